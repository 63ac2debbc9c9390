//! `whyslow doctor`: what works on this machine, what lacks a privilege or a package, and the
//! exact line that mends it. One file per part of the machine, one line in `ALL`.

mod clock;
mod data;
mod edge;
mod limits;
mod listener;
mod network;
mod ping;
mod resolver;
mod trust;
mod wire;

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Serialize;

use super::render::{Line, Style};
use super::{Exit, Output, Stop};
use crate::config::{Config, Current, Origin};

/// Tells what works here, what does not, and the line that mends it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration that `up` will be given.
    #[arg(long, value_name = "FILE", env = "WHYSLOW_CONFIG")]
    config: Option<PathBuf>,
    /// The data directory that `up` will be given.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The listener's address that `up` will be given.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Prints one JSON document.
    #[arg(long)]
    json: bool,
}

/// How well something works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// As it should.
    Works,
    /// With less than there could be.
    Limited,
    /// Not at all.
    Broken,
}

/// One thing looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was looked at.
    name: &'static str,
    /// How well it works.
    state: State,
    /// What was found.
    what: String,
    /// The lines that mend it, each to be typed as it stands.
    mend: Vec<String>,
}

impl Finding {
    fn works(name: &'static str, what: impl Into<String>) -> Self {
        Self { name, state: State::Works, what: what.into(), mend: Vec::new() }
    }

    fn limited(name: &'static str, what: impl Into<String>) -> Self {
        Self { state: State::Limited, ..Self::works(name, what) }
    }

    fn broken(name: &'static str, what: impl Into<String>) -> Self {
        Self { state: State::Broken, ..Self::works(name, what) }
    }

    fn mend(mut self, line: impl Into<String>) -> Self {
        self.mend.push(line.into());
        self
    }
}

/// Looks at one part of the machine, as `up` would use it.
type Look = fn(&Config) -> Vec<Finding>;

const ALL: [Look; 10] = [
    ping::look,
    data::look,
    listener::look,
    clock::look,
    resolver::look,
    network::look,
    trust::look,
    limits::look,
    edge::look,
    wire::look,
];

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    version: &'static str,
    kernel: &'a str,
    state: State,
    findings: &'a [Finding],
}

pub(super) fn run(args: &Args, out: &mut Output) -> Result<Exit, Stop> {
    let (config, mut findings) = configured(args);
    findings.extend(ALL.iter().flat_map(|look| look(&config)));
    let state = findings.iter().map(|f| f.state).max().unwrap_or(State::Works);
    let kernel = kernel();
    if args.json {
        let (schema, version) = ("whyslow.doctor/1", env!("CARGO_PKG_VERSION"));
        out.json(&Document { schema, version, kernel: &kernel, state, findings: &findings })?;
    } else {
        for line in report(&findings, &kernel) {
            out.line(line.coloured())?;
        }
    }
    Ok(match state {
        State::Works => Exit::Ok,
        State::Limited => Exit::Degraded,
        State::Broken => Exit::Failed,
    })
}

/// The configuration as `up` would take it; where it is wrong, that is a finding, and the rest of
/// the machine is looked at with the defaults.
fn configured(args: &Args) -> (Config, Vec<Finding>) {
    let origin = Origin {
        file: args.config.clone(),
        data: args.data.clone(),
        listen: args.listen,
        targets: Vec::new(),
    };
    let error = match Current::preview(&origin) {
        Ok(config) => {
            let checks = config.planned_checks().len();
            let told = args.config.is_some().then(|| {
                Finding::works(
                    "configuration",
                    format!("right; checks, counted once per path: {checks}"),
                )
            });
            return (config, told.into_iter().collect());
        }
        Err(error) => error,
    };
    let finding = Finding::broken("configuration", error.to_string());
    let finding = match (error.hint(), &args.config) {
        (_, Some(file)) => finding.mend(format!("whyslow config check {}", file.display())),
        (Some(hint), None) => finding.mend(hint),
        (None, None) => finding,
    };
    (Config::default(), vec![finding])
}

fn kernel() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("Linux {}", release.trim())
}

/// Columns up to what was found.
const NAME_WIDTH: usize = 18;

fn report(findings: &[Finding], kernel: &str) -> Vec<Line> {
    let version = env!("CARGO_PKG_VERSION");
    let mut lines = vec![
        Line::of(Style::Bold, &summary(findings)),
        Line::of(Style::Dim, &format!("whyslow {version}, {kernel}")),
        Line::default(),
    ];
    for finding in findings {
        let (style, mark) = match finding.state {
            State::Works => (Style::Blue, "+"),
            State::Limited => (Style::Orange, "?"),
            State::Broken => (Style::Reversed, "X"),
        };
        let name = format!(" {:<width$}", finding.name, width = NAME_WIDTH - 2);
        let line = Line::of(style, mark).with(Style::Plain, &name);
        lines.extend(line.wrapped(&finding.what, Style::Plain));
        for mend in &finding.mend {
            // What is to be typed stands on a line of its own, whole, however long it is.
            lines.push(Line::of(Style::Dim, "    mend: ").with(Style::Bold, mend));
        }
    }
    lines
}

fn summary(findings: &[Finding]) -> String {
    let of = |state| findings.iter().filter(|f| f.state == state).count();
    match (of(State::Limited), of(State::Broken)) {
        (0, 0) => "Everything whyslow needs works here.".to_owned(),
        (limited, 0) => format!("Everything works here, {limited} of it with limits."),
        (0, 1) => "1 thing does not work here.".to_owned(),
        (0, broken) => format!("{broken} things do not work here."),
        (limited, broken) => {
            format!("{broken} of {} do not work here, {limited} have limits.", findings.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_leads_with_the_sum_and_each_lack_is_followed_by_its_line() {
        let findings = [
            Finding::works("resolver", "192.0.2.53 answers in 1.2 ms"),
            Finding::limited("clock", "nothing keeps it right").mend("timedatectl set-ntp true"),
            Finding::broken("ping", "no right to send echoes ".repeat(8))
                .mend("sudo setcap cap_net_raw+ep /usr/bin/whyslow"),
        ];
        let text: String =
            report(&findings, "Linux 6.18").iter().map(|l| l.plain() + "\n").collect();
        insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "../render/told", omit_expression => true }, {
            insta::assert_snapshot!("doctor", text);
        });
    }

    #[test]
    fn every_lack_found_on_this_machine_has_a_line_that_mends_it() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config { data: Some(dir.path().to_owned()), ..Config::default() };
        // Name servers are asked on a network that a test does not have.
        let looks = ALL.iter().filter(|look| !std::ptr::fn_addr_eq(**look, resolver::look as Look));
        for finding in looks.flat_map(|look| look(&config)) {
            assert!(!finding.what.is_empty());
            assert_eq!(finding.mend.is_empty(), finding.state == State::Works, "{finding:?}");
        }
    }
}
