//! Bad certificates are named for what is wrong with them, and inspected all the same.

use anyhow::{Context, Result, ensure};

use crate::certificates::{Authority, Leaf, Valid};
use crate::peer::{Peer, free_port, loopback};
use crate::scenario::{Need, Scenario};
use crate::world::{World, words};

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "certificates",
    proves: "openssl's expired, misnamed, unknown and soon-ending certificates are told apart",
    needs: &[Need::Program("/usr/bin/openssl")],
    run,
};

/// One server and what must be said of it.
struct Case {
    name: &'static str,
    names: &'static str,
    valid: Valid,
    by_other_authority: bool,
    outcome: &'static str,
    code: &'static str,
    exit: i32,
    problem: Option<&'static str>,
}

const RIGHT: &str = "DNS:shop.lab,IP:127.0.0.1";
const GOOD: Case = Case {
    name: "good",
    names: RIGHT,
    valid: Valid::Days(60),
    by_other_authority: false,
    outcome: "ok",
    code: "",
    exit: 0,
    problem: None,
};
const BAD: Case = Case { outcome: "failed", exit: 2, ..GOOD };

const CASES: [Case; 6] = [
    GOOD,
    // Ending within 14 days is a warning, and a warning makes the exit 1.
    Case { name: "ending", valid: Valid::Days(5), exit: 1, ..GOOD },
    Case {
        name: "expired",
        valid: Valid::Past,
        code: "tls_expired",
        problem: Some("expired"),
        ..BAD
    },
    Case {
        name: "future",
        valid: Valid::Future,
        code: "tls_not_yet_valid",
        problem: Some("not_yet_valid"),
        ..BAD
    },
    Case {
        name: "misnamed",
        names: "DNS:other.lab",
        code: "tls_wrong_name",
        problem: Some("wrong_name"),
        ..BAD
    },
    Case {
        name: "unknown",
        by_other_authority: true,
        code: "tls_unknown_issuer",
        problem: Some("unknown_issuer"),
        ..BAD
    },
];

fn run(world: &World) -> Result<()> {
    let ours = Authority::new(world, "ours")?;
    let other = Authority::new(world, "other")?;
    for case in &CASES {
        let authority = if case.by_other_authority { &other } else { &ours };
        let leaf = authority.sign(case.name, case.names, case.valid)?;
        judge(world, &ours, &leaf, case).with_context(|| format!("case {}", case.name))?;
    }
    client_certificate(world, &ours)
}

fn judge(world: &World, trusted: &Authority<'_>, leaf: &Leaf, case: &Case) -> Result<()> {
    let port = free_port()?;
    let _server = s_server(world, case.name, leaf, port, "")?;
    let target = format!("tls:127.0.0.1:{port}");
    let seen = world.check(&[&target, "--cacert", &trusted.pem()])?;
    seen.is(case.outcome, case.code, case.exit)?.adds_up()?;
    let tls = &seen.run["exchanges"][0]["tls"];
    ensure!(tls["chain_problem"].as_str() == case.problem, "{tls:#}");
    ensure!(tls["chain_ok"].as_bool() == Some(case.problem.is_none()), "{tls:#}");
    ensure!(!tls["not_after"].is_null(), "the certificate was not inspected: {tls:#}");
    let insecure = world.check(&[&target, "--insecure"])?;
    ensure!(insecure.outcome() == "ok", "insecure: {:#}", insecure.run);
    Ok(())
}

/// A server that wants a certificate of us refuses one who has none.
fn client_certificate(world: &World, authority: &Authority<'_>) -> Result<()> {
    let leaf = authority.sign("server", RIGHT, Valid::Days(60))?;
    let port = free_port()?;
    let demand = format!("-Verify 1 -verify_return_error -CAfile {}", authority.pem());
    let _server = s_server(world, "demanding", &leaf, port, &demand)?;
    let url = format!("https://127.0.0.1:{port}/");
    let seen = world.check(&[&url, "--cacert", &authority.pem()])?;
    seen.is("failed", "tls_alert", 2)?;
    Ok(())
}

fn s_server(world: &World, name: &str, leaf: &Leaf, port: u16, more: &str) -> Result<Peer> {
    let mut command = words(&format!(
        "openssl s_server -accept 127.0.0.1:{port} -cert {} -key {} -www {more}",
        leaf.certificate, leaf.key
    ));
    Peer::start(name, world.dir(), &mut command)?.until_listening(loopback(port))
}
