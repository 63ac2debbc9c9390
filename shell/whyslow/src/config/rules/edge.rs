//! Balancers' logs: that each can be read as it is written down.

use whyslow_edge::routes::Routes;
use whyslow_edge::{compiled, formats};
use whyslow_model::limits::{EDGE_SHARDS_MAX, EDGE_SOURCES_MAX};

use super::super::edge::{EdgeSource, Input, ReadFrom};
use super::super::node::Step;
use super::super::problem::{did_you_mean, enumerated};
use super::super::types::Config;
use super::super::world::World;
use super::{Findings, names};

pub(super) fn apply(config: &Config, _: &World<'_>, findings: &mut Findings<'_, '_>) {
    if config.edge.len() > EDGE_SOURCES_MAX {
        let what = format!("{} sources; at most {EDGE_SOURCES_MAX} are read", config.edge.len());
        findings.add(&["edge".into()], what);
    }
    for (index, source) in config.edge.iter().enumerate() {
        let mut found = |key: &'static str, what: String, hint: Option<String>| {
            let at: [Step<'_>; 3] = ["edge".into(), index.into(), key.into()];
            findings.add(&at, what).hint = hint;
        };
        if let Some(what) = names::wrong_name(&source.name) {
            found("name", what, None);
        }
        let before = &config.edge[..index];
        if before.iter().any(|other| other.name == source.name) {
            found("name", format!("two sources are called '{}'", source.name), None);
        }
        if before.iter().any(|other| other.input == source.input) {
            let what = format!("another source reads {} already", source.input);
            found("input", what, Some("each line is counted by one source".to_owned()));
        }
        if let Some(service) = &source.service
            && !config.services.contains_key(service)
        {
            let hint = did_you_mean(service, config.services.keys().map(String::as_str));
            let hint = hint.map(|meant| format!("did you mean '{meant}'?"));
            found("service", format!("there is no service '{service}'"), hint);
        }
        format(source, &mut found);
        fitting(source, &mut found);
    }
}

fn format(source: &EdgeSource, found: &mut impl FnMut(&'static str, String, Option<String>)) {
    if let Err(error) = Routes::new(&source.routes) {
        found("routes", error.to_string(), None);
    }
    if let Err(error) = Routes::new(&source.slow_routes.keys().collect::<Vec<_>>()) {
        found("slow_routes", error.to_string(), None);
    }
    let format = source.format.as_str();
    match compiled::parser(format) {
        Some(Ok(_)) => return,
        Some(Err(refused)) => {
            return found("format", refused.to_string(), Some(refused.hint()));
        }
        None if format == "auto" => return,
        None => {}
    }
    let known = || formats::ALL.iter().map(|f| f.name).chain(["auto"]);
    let hint = match did_you_mean(format, known()) {
        Some(meant) => format!("did you mean '{meant}'?"),
        None => format!("known are {}", enumerated(known())),
    };
    found("format", format!("there is no format '{format}'"), Some(hint));
}

/// What only some inputs know.
fn fitting(source: &EdgeSource, found: &mut impl FnMut(&'static str, String, Option<String>)) {
    let input = &source.input;
    let syslog = matches!(input, Input::SyslogUdp(_) | Input::SyslogTcp(_));
    let unix = matches!(input, Input::UnixDgram(_) | Input::UnixStream(_));
    let misplaced =
        |of: &str| (format!("{input} has no use for it"), Some(format!("it is for {of}")));
    if !source.from.is_empty() && !syslog {
        let (what, hint) = misplaced("syslog-udp and syslog-tcp");
        found("from", what, hint);
    }
    if source.mode.is_some() && !unix {
        let (what, hint) = misplaced("unix-dgram and unix-stream");
        found("mode", what, hint);
    }
    if source.read_from != ReadFrom::default() && !matches!(input, Input::Files(_)) {
        let (what, hint) = misplaced("file");
        found("read_from", what, hint);
    }
    match (source.shards, input) {
        (None, _) => {}
        (Some(n), Input::SyslogUdp(_)) if (1..=EDGE_SHARDS_MAX).contains(&n) => {}
        (Some(n), Input::SyslogUdp(_)) => {
            found("shards", format!("{n} sockets; between 1 and {EDGE_SHARDS_MAX}"), None);
        }
        (Some(_), _) => {
            let (what, hint) = misplaced("syslog-udp");
            found("shards", what, hint);
        }
    }
    if let Input::Files(path) = input {
        let folder = path.parent().map(|p| p.as_os_str().as_encoded_bytes()).unwrap_or_default();
        if folder.iter().any(|b| matches!(b, b'*' | b'?')) {
            let hint = "name each directory as a source of its own".to_owned();
            found("input", "only the last part of a path may hold * or ?".to_owned(), Some(hint));
        }
    }
}
