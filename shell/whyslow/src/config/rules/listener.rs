//! Who may reach the listener, and the secrets they show.

use whyslow_probe::spec::SecretRef;

use super::super::node::Step;
use super::super::secret;
use super::super::types::Config;
use super::super::world::World;
use super::Findings;

pub(super) fn apply(config: &Config, world: &World<'_>, findings: &mut Findings<'_, '_>) {
    if !config.listen.ip().is_loopback() && config.token.is_none() {
        findings
            .add(
                &["listen".into()],
                format!("{} is reachable from outside without a token", config.listen),
            )
            .hint = Some("add token: {file: /path/to/token}, or listen on 127.0.0.1".to_owned());
    }
    if let Some(token) = &config.token {
        secret_is_there(token, &["token".into()], world, findings);
    }
    for (name, agent) in &config.agents {
        let steps = ["agents".into(), name.as_str().into(), "token".into()];
        secret_is_there(&agent.token, &steps, world, findings);
    }
    for (index, host) in config.hosts.iter().enumerate() {
        let letters = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        if host.is_empty() || !host.bytes().all(letters) {
            findings
                .add(&["hosts".into(), index.into()], format!("'{host}' is not a host name"))
                .hint = Some("the name alone, without scheme and port".to_owned());
        }
    }
    for (index, table) in config.asn.iter().enumerate() {
        let name = table.to_string_lossy();
        if let Err(error) = (world.file)(&world.resolved(&name)) {
            findings.add(&["asn".into(), index.into()], format!("cannot read {name}: {error}"));
        }
    }
}

/// A secret that is not there is told now, not at the first check that needs it.
pub(super) fn secret_is_there(
    at: &SecretRef,
    steps: &[Step<'_>],
    world: &World<'_>,
    findings: &mut Findings<'_, '_>,
) {
    if let Err(error) = secret::read_in(at, world) {
        findings.add(steps, error.to_string()).hint = Some(error.hint().to_owned());
    }
}
