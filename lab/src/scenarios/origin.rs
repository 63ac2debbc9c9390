//! A web page the operator happens to visit cannot reach the listener, whatever its name resolves to.

use anyhow::{Result, ensure};

use crate::scenario::{Need, Scenario};
use crate::up::{Up, curl};
use crate::world::World;

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "origin",
    proves: "DNS rebinding and cross-site posts are refused; a listener for all needs a token",
    needs: &[Need::Program("/usr/bin/curl")],
    run,
};

const MARK: &str = r#"{"text":"written by an attacker"}"#;

fn run(world: &World) -> Result<()> {
    let up = Up::start(world, "  {}\n")?;
    let marks = up.url("/api/v1/marks");
    let json = "content-type: application/json";

    // A name of the attacker's that now resolves to 127.0.0.1.
    for path in ["/", "/api/v1/observations", "/metrics", "/api/v1/query?query=1"] {
        let answer = curl(&["-H", "Host: evil.example", &up.url(path)])?;
        ensure!((400..500).contains(&answer.status), "{path} by a foreign Host: {answer:?}");
    }
    // A page elsewhere that posts, with every disguise a form or a script can put on.
    for more in [
        vec!["-H", "Origin: https://evil.example", "-H", json],
        vec!["-H", "Origin: null", "-H", json],
        vec!["-H", "Origin: https://evil.example", "-H", "content-type: text/plain"],
        vec!["-H", "Sec-Fetch-Site: cross-site", "-H", json],
        vec!["-H", "Host: evil.example", "-H", "Origin: http://evil.example", "-H", json],
    ] {
        let arguments = [more.as_slice(), &["-d", MARK, &marks]].concat();
        let answer = curl(&arguments)?;
        ensure!((400..500).contains(&answer.status), "{more:?}: {answer:?}");
    }
    let kept = up.get("/api/v1/observations?plane=mark")?;
    ensure!(kept.status == 200 && !kept.body.contains("attacker"), "{kept:?}");

    // The page's own form and a script on the same machine may.
    let own = format!("Origin: http://{}", up.address);
    let form = curl(&["-H", &own, "-H", json, "-d", r#"{"text":"own page"}"#, &marks])?;
    ensure!((200..300).contains(&form.status), "own origin: {form:?}");
    let script = curl(&["-H", json, "-d", r#"{"text":"a script"}"#, &marks])?;
    ensure!((200..300).contains(&script.status), "no origin: {script:?}");
    let kept = up.get("/api/v1/observations?plane=mark")?;
    ensure!(kept.body.contains("own page") && kept.body.contains("a script"), "{kept:?}");

    let data = world.path("open");
    let open = world.whyslow().args(["up", "--listen", "0.0.0.0:0", "--data", &data]).output()?;
    ensure!(!open.status.success(), "a listener for all started without a token");
    let said = String::from_utf8_lossy(&open.stderr);
    ensure!(said.contains("token"), "it did not say what is missing: {said}");
    Ok(())
}
