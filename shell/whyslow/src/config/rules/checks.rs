//! What a check asks for must make sense together.

use whyslow_model::{Phase, limits};
use whyslow_probe::spec::{Auth, CheckSpec, Kind, SecretRef, Text};

use super::super::node::Step;
use super::super::types::Config;
use super::super::world::World;
use super::Findings;
use super::listener::secret_is_there;

pub(super) fn apply(config: &Config, world: &World<'_>, findings: &mut Findings<'_, '_>) {
    for (name, service) in &config.services {
        for (index, check) in service.checks.iter().enumerate() {
            let at = Place { service: name, index };
            target(check, &at, findings);
            resolver(check, &at, findings);
            times(check, &at, findings);
            kind(check, &at, findings);
            request(check, &at, findings);
            ping(check, &at, findings);
            files(check, &at, world, findings);
            secrets(check, &at, world, findings);
        }
        for (path_name, path) in &service.paths {
            let above = || {
                ["services".into(), name.as_str().into(), "paths".into(), path_name.as_str().into()]
            };
            if let Some(file) = &path.ca_file {
                let [a, b, c, d] = above();
                readable(file, &[a, b, c, d, "ca_file".into()], world, findings);
            }
        }
    }
    let planned = config.planned_checks().len();
    if planned > limits::CHECKS_MAX {
        let what =
            format!("{planned} checks, counted once per path; at most {}", limits::CHECKS_MAX);
        findings.add(&["services".into()], what);
    }
}

/// Which check is meant.
struct Place<'a> {
    service: &'a str,
    index: usize,
}

impl Place<'_> {
    fn of<'s>(&'s self, keys: &[&'s str]) -> Vec<Step<'s>> {
        let mut steps =
            vec!["services".into(), self.service.into(), "checks".into(), self.index.into()];
        steps.extend(keys.iter().map(|k| Step::from(*k)));
        steps
    }
}

fn target(check: &CheckSpec, at: &Place<'_>, findings: &mut Findings<'_, '_>) {
    if let Err(error) = check.parsed_target() {
        findings.add(&at.of(&["target"]), error.what).hint = Some(error.hint);
    }
}

/// A resolver with a name would have to be resolved itself, by whom nobody can say.
fn resolver(check: &CheckSpec, at: &Place<'_>, findings: &mut Findings<'_, '_>) {
    if let Some(server) = check.resolver.as_ref().filter(|server| server.ip().is_none()) {
        let what = format!("resolver {server} is a name; only an address can be asked");
        findings.add(&at.of(&["resolver"]), what).hint =
            Some("write its address, such as 192.0.2.53 or [2001:db8::53]:53".to_owned());
    }
}

fn times(check: &CheckSpec, at: &Place<'_>, findings: &mut Findings<'_, '_>) {
    let second = whyslow_model::Duration::from_secs(1);
    if check.every < second {
        findings
            .add(&at.of(&["every"]), format!("{} is more often than once a second", check.every));
    }
    if check.timeout.std().is_zero() {
        findings.add(&at.of(&["timeout"]), "no run could finish in no time");
    }
    let overlapping = u32::try_from(limits::OVERLAPPING_RUNS_MAX).unwrap_or(u32::MAX);
    if check.timeout.std() > check.every.std().saturating_mul(overlapping) {
        let what = format!(
            "with {} a run more than {overlapping} could be under way at once, one every {}",
            check.timeout, check.every
        );
        findings.add(&at.of(&["timeout"]), what).hint =
            Some("shorten timeout or run it less often".to_owned());
    }
    if let Some(warn) = check.warn.filter(|w| *w >= check.timeout) {
        let what = format!("warn {warn} is not below timeout {}", check.timeout);
        findings.add(&at.of(&["warn"]), what).hint =
            Some("a run slower than warn is slow, slower than timeout has failed".to_owned());
    }
    for phase in Phase::ALL {
        if let Some(limit) = check.timeouts.of(phase).filter(|l| *l > check.timeout) {
            let what = format!("{limit} is more than the {} of the whole run", check.timeout);
            findings.add(&at.of(&["timeouts", phase.as_str()]), what);
        }
    }
}

/// Keys that say nothing to this kind of check are a misunderstanding.
fn kind(check: &CheckSpec, at: &Place<'_>, findings: &mut Findings<'_, '_>) {
    use Kind::{Dns, Http, Ping, Tls};
    let written: [(&str, bool, &[Kind]); 15] = [
        ("method", check.method.is_some(), &[Http]),
        ("headers", !check.headers.is_empty(), &[Http]),
        ("body", check.body.is_some(), &[Http]),
        ("auth", check.auth.is_some(), &[Http]),
        ("host", check.host.is_some(), &[Http]),
        ("follow_redirects", check.follow_redirects.is_some(), &[Http]),
        ("http_version", !check.http_version.is_auto(), &[Http]),
        ("body_bytes_max", check.body_bytes_max.is_some(), &[Http]),
        ("insecure", check.insecure, &[Http, Tls]),
        ("client_certificate", check.client_certificate.is_some(), &[Http, Tls]),
        ("record", check.record.is_some(), &[Dns]),
        ("transport", check.transport.is_some(), &[Dns]),
        ("packets", check.packets.is_some(), &[Ping]),
        ("spacing", check.spacing.is_some(), &[Ping]),
        ("payload_bytes", check.payload_bytes.is_some(), &[Ping]),
    ];
    for (key, is_written, kinds) in written {
        if is_written && !kinds.contains(&check.kind) {
            let names: Vec<&str> = kinds.iter().map(|k| k.as_str()).collect();
            let what = format!("{key} says nothing to kind {}", check.kind.as_str());
            findings.add_key(&at.of(&[key]), what).hint =
                Some(format!("{key} is for {}", names.join(" and ")));
        }
    }
}

fn request(check: &CheckSpec, at: &Place<'_>, findings: &mut Findings<'_, '_>) {
    if let Some(method) = &check.method
        && http::Method::from_bytes(method.as_bytes()).is_err()
    {
        findings.add(&at.of(&["method"]), format!("'{method}' is not an HTTP method"));
    }
    for (name, text) in &check.headers {
        let keys = ["headers", name.as_str()];
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            findings.add_key(&at.of(&keys), format!("'{name}' is not a header's name"));
        }
        if let Text::Plain(value) = text
            && http::HeaderValue::from_str(value).is_err()
        {
            findings.add(&at.of(&keys), "a header's value has no line breaks or control bytes");
        }
        if check.auth.is_some() && name.eq_ignore_ascii_case("authorization") {
            findings.add_key(&at.of(&keys), "auth sets this header already").hint =
                Some("keep one of the two".to_owned());
        }
    }
}

fn ping(check: &CheckSpec, at: &Place<'_>, findings: &mut Findings<'_, '_>) {
    let Some(packets) = check.packets else { return };
    if packets == 0 || packets > limits::PING_PACKETS_MAX {
        let what =
            format!("{packets} packets; between 1 and {} make a round", limits::PING_PACKETS_MAX);
        findings.add(&at.of(&["packets"]), what);
    }
}

fn files(check: &CheckSpec, at: &Place<'_>, world: &World<'_>, findings: &mut Findings<'_, '_>) {
    if let Some(file) = &check.ca_file {
        readable(file, &at.of(&["ca_file"]), world, findings);
    }
    if let Some(shown) = &check.client_certificate {
        readable(
            &shown.certificate,
            &at.of(&["client_certificate", "certificate"]),
            world,
            findings,
        );
        readable(&shown.key, &at.of(&["client_certificate", "key"]), world, findings);
    }
}

fn readable(name: &str, steps: &[Step<'_>], world: &World<'_>, findings: &mut Findings<'_, '_>) {
    if let Err(error) = (world.file)(&world.resolved(name)) {
        findings.add(steps, format!("cannot read {name}: {error}"));
    }
}

fn secrets(check: &CheckSpec, at: &Place<'_>, world: &World<'_>, findings: &mut Findings<'_, '_>) {
    let mut named: Vec<(Vec<Step<'_>>, &SecretRef)> = Vec::new();
    for (name, text) in &check.headers {
        named.extend(text.secret().map(|s| (at.of(&["headers", name]), s)));
    }
    named.extend(check.body.as_ref().and_then(Text::secret).map(|s| (at.of(&["body"]), s)));
    match &check.auth {
        Some(Auth::Basic(basic)) => {
            named.push((at.of(&["auth", "basic", "password"]), &basic.password));
        }
        Some(Auth::Bearer(token)) => named.push((at.of(&["auth", "bearer"]), token)),
        None => {}
    }
    for (steps, secret) in named {
        secret_is_there(secret, &steps, world, findings);
    }
}
