//! Packets dropped, refused and lost between two network namespaces, as the kernel does it.

use anyhow::{Result, ensure};

use crate::namespace::Pair;
use crate::peer::Peer;
use crate::scenario::{Need, Scenario};
use crate::server::NGINX;
use crate::world::{Checked, World, checked, must};

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "firewall",
    proves: "dropped and lost SYNs, refusals, no route, redirects inwards, lost pings are told apart",
    needs: &[
        Need::Root,
        Need::Program("/usr/sbin/ip"),
        Need::Program("/usr/sbin/nft"),
        Need::Program(NGINX),
    ],
    run,
};

const PORT: u16 = 8443;

fn run(world: &World) -> Result<()> {
    let pair = Pair::new()?;
    let target = format!("tcp:{}:{PORT}", Pair::SERVER);
    let check = |target: &str, timeout: &str| -> Result<Checked> {
        let line = format!("{} check {target} --timeout {timeout} --json", world.whyslow_path());
        checked(&mut pair.client(&line))
    };

    check(&target, "2s")?.is("failed", "connect_refused", 2)?.adds_up()?;
    let _server = listen(world, &pair)?;
    let fine = check(&target, "2s")?;
    fine.is("ok", "", 0)?.adds_up()?;

    // From public space a redirect may lead to public space only.
    check(&format!("http://{}:{PORT}/", Pair::PUBLIC), "2s")?.is("ok", "", 0)?;
    let inwards = check(&format!("http://{}:{PORT}/in", Pair::PUBLIC), "2s")?;
    inwards.is("failed", "redirect_refused", 2)?;
    check(&format!("http://{}:{PORT}/in", Pair::SERVER), "2s")?.is("ok", "", 0)?;

    pair.rule(&format!("tcp dport {PORT} drop"))?;
    let dropped = check(&target, "1500ms")?;
    dropped.is("failed", "connect_timeout", 2)?.adds_up()?;
    ensure!(dropped.phase("connect").is_some_and(|ms| ms >= 1400.0), "{:#}", dropped.run);

    // Only the first SYN is lost: the kernel's second, a second later, gets through.
    pair.rule(&format!("tcp dport {PORT} tcp flags syn numgen inc mod 1000 0 drop"))?;
    let late = check(&target, "5s")?;
    ensure!(late.outcome() != "failed", "{:#}", late.run);
    ensure!(
        late.phase("connect").is_some_and(|ms| (900.0..2500.0).contains(&ms)),
        "{:#}",
        late.run
    );
    let sent_again = &late.run["exchanges"][0]["tcp"]["retransmits"];
    ensure!(sent_again.as_u64() >= Some(1), "{:#}", late.run);

    pair.clear()?;
    check("tcp:198.18.9.9:80", "2s")?.is("failed", "connect_unreachable", 2)?;
    pings(&pair, &check)
}

/// A third of the echoes is dropped, one in three by count, and a third is what is reported.
fn pings(pair: &Pair, check: &dyn Fn(&str, &str) -> Result<Checked>) -> Result<()> {
    let target = format!("ping:{}", Pair::SERVER);
    let all = check(&target, "5s")?;
    all.is("ok", "", 0)?;
    let ping = &all.run["ping"];
    ensure!(ping["sent"] == ping["received"] && !ping["rtt_ms"]["avg"].is_null(), "{ping:#}");
    pair.rule("icmp type echo-request numgen inc mod 5 0 drop")?;
    let some = check(&target, "5s")?;
    let (sent, received) =
        (some.run["ping"]["sent"].as_u64(), some.run["ping"]["received"].as_u64());
    let lost = sent.zip(received).map(|(sent, received)| (sent, sent - received));
    let Some((sent, lost)) = lost else { anyhow::bail!("no counts: {:#}", some.run) };
    ensure!(lost >= sent / 5 && lost <= sent.div_ceil(5), "{lost} of {sent}: {:#}", some.run);
    pair.rule("icmp type echo-request drop")?;
    let none = check(&target, "3s")?;
    ensure!(none.outcome() == "failed" && none.run["ping"]["received"] == 0, "{:#}", none.run);
    Ok(())
}

/// nginx inside the server's namespace: something that accepts connections.
fn listen(world: &World, pair: &Pair) -> Result<Peer> {
    let config = world.write(
        "server.conf",
        &format!(
            "daemon off; master_process off; pid {0}/server.pid; error_log stderr;\n\
             events {{}} http {{ access_log off; client_body_temp_path {0}/b; proxy_temp_path {0}/p;\n\
             fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;\n\
             server {{ listen {PORT}; location = / {{ return 204; }}\n\
             location = /in {{ return 302 http://{1}:{PORT}/; }} }} }}\n",
            world.dir().display(),
            Pair::SERVER,
        ),
    )?;
    let mut command =
        pair.server(&format!("{NGINX} -p {} -e stderr -c {config}", world.dir().display()));
    let mut peer = Peer::start("server", world.dir(), &mut command)?;
    peer.until(|| {
        let mut listens = pair.server(&format!("ss -Hltn sport = :{PORT}"));
        Ok(!must(&mut listens)?.is_empty())
    })?;
    Ok(peer)
}
