//! The phases beside what curl measures on the same real nginx.

use anyhow::{Context, Result, ensure};

use crate::certificates::{Authority, Valid};
use crate::scenario::{Need, Scenario};
use crate::server::{NGINX, Nginx};
use crate::world::{World, must};

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "phases",
    proves: "every phase curl knows of the same nginx is measured; the bench compares the medians",
    needs: &[Need::Program(NGINX), Need::Program("/usr/bin/curl")],
    run,
};

/// Requests of each program in a short run.
const SHORT: usize = 25;

/// Medians of one phase, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The phase, or `total`.
    pub phase: &'static str,
    /// What curl measured.
    pub curl_ms: f64,
    /// What whyslow measured.
    pub whyslow_ms: f64,
}

impl Row {
    /// Whether both agree within 1 ms + 5 % of curl's.
    pub fn agrees(&self) -> bool {
        (self.curl_ms - self.whyslow_ms).abs() <= 1.0 + 0.05 * self.curl_ms
    }
}

/// No time is asserted here: on a busy machine the two differ by what each waits for a processor.
fn run(world: &World) -> Result<()> {
    for row in compare(world, SHORT)? {
        ensure!(row.curl_ms.is_finite() && row.whyslow_ms > 0.0, "{row:?}");
    }
    Ok(())
}

/// Asks the same nginx `times` each by curl and whyslow, in turn, and compares the medians.
///
/// # Errors
/// Where a request fails.
pub fn compare(world: &World, times: usize) -> Result<Vec<Row>> {
    let authority = Authority::new(world, "ca")?;
    let leaf = authority.sign("web", "DNS:shop.lab,IP:127.0.0.1", Valid::Days(60))?;
    let nginx = Nginx::start(world, &leaf, "")?;
    let url = format!("https://{}/page", nginx.tls);
    let mut seen: [(Vec<f64>, Vec<f64>); 5] = Default::default();
    for _ in 0..times {
        let curl = curl_ms(&url, &authority.pem())?;
        let ours = ours_ms(world, &url, &authority.pem())?;
        for (column, (a, b)) in seen.iter_mut().zip(curl.into_iter().zip(ours)) {
            column.0.push(a);
            column.1.push(b);
        }
    }
    let names = ["connect", "tls", "send + wait", "receive", "total"];
    let rows = names.into_iter().zip(seen).map(|(phase, (curl, ours))| Row {
        phase,
        curl_ms: median(curl),
        whyslow_ms: median(ours),
    });
    Ok(rows.collect())
}

/// The second of two requests of one curl: in the first, `tls` also holds some 2 ms in which
/// OpenSSL sets itself up, which is curl's own start and no part of the conversation. Another name
/// for the same server makes the second one connect anew. The bodies go to /dev/null, since a file
/// written over adds its file system's 1.5 ms to `receive`.
fn curl_ms(url: &str, ca: &str) -> Result<[f64; 5]> {
    let format = "%{time_namelookup} %{time_connect} %{time_appconnect} %{time_pretransfer} \
                  %{time_starttransfer} %{time_total}\n";
    let body = "/dev/null";
    let first = url.replace("127.0.0.1", "shop.lab");
    let mut curl = std::process::Command::new("curl");
    curl.args(["-sS", "--cacert", ca, "-w", format]);
    curl.args(["--connect-to", "shop.lab::127.0.0.1:"]);
    let said = must(curl.args(["-o", body, &first, "-o", body, url]))?;
    let second = said.lines().nth(1).context("curl told of one request only")?;
    let s: Vec<f64> = second.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let [lookup, connect, tls, ready, first, total] = s[..] else {
        anyhow::bail!("curl said {said}")
    };
    let parts = [connect - lookup, tls - connect, first - ready, total - first, total];
    Ok(parts.map(|s| s * 1000.0))
}

fn ours_ms(world: &World, url: &str, ca: &str) -> Result<[f64; 5]> {
    let checked = world.check(&[url, "--cacert", ca])?;
    checked.is("ok", "", 0)?.adds_up()?;
    let phase = |name: &str| checked.phase(name).with_context(|| format!("{name} is null"));
    let total = checked.run["total_ms"].as_f64().context("no total_ms")?;
    let asked = phase("send")? + phase("wait")?;
    Ok([phase("connect")?, phase("tls")?, asked, phase("receive")?, total])
}

/// The middle of `values`.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    match n {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}
