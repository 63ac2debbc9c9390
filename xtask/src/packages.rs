//! The Debian packages whose programs stand at the other end of the lab's conversations.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::steps::Ended;

/// A package, and a file it installs by which its presence is known.
struct Package {
    name: &'static str,
    proof: &'static str,
}

const PACKAGES: &[Package] = &[
    Package { name: "apache2-bin", proof: "/usr/sbin/apache2" },
    Package { name: "caddy", proof: "/usr/bin/caddy" },
    Package { name: "chromium", proof: "/usr/bin/chromium" },
    Package { name: "bind9-dnsutils", proof: "/usr/bin/dig" },
    Package { name: "curl", proof: "/usr/bin/curl" },
    Package { name: "ethtool", proof: "/usr/sbin/ethtool" },
    Package { name: "fonts-dejavu-core", proof: "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf" },
    Package { name: "fping", proof: "/usr/bin/fping" },
    Package { name: "graphite-carbon", proof: "/usr/bin/carbon-cache" },
    Package { name: "graphite-web", proof: "/usr/bin/graphite-manage" },
    Package { name: "haproxy", proof: "/usr/sbin/haproxy" },
    Package { name: "iproute2", proof: "/usr/sbin/ip" },
    Package { name: "iputils-ping", proof: "/usr/bin/ping" },
    Package { name: "nftables", proof: "/usr/sbin/nft" },
    Package { name: "nginx-light", proof: "/usr/sbin/nginx" },
    Package { name: "nodejs", proof: "/usr/bin/node" },
    Package { name: "npm", proof: "/usr/bin/npm" },
    Package { name: "openssl", proof: "/usr/bin/openssl" },
    Package { name: "prometheus", proof: "/usr/bin/prometheus" },
    Package { name: "rsyslog", proof: "/usr/sbin/rsyslogd" },
    Package { name: "tcpdump", proof: "/usr/bin/tcpdump" },
    Package { name: "tcptrace", proof: "/usr/bin/tcptrace" },
    Package { name: "tshark", proof: "/usr/bin/tshark" },
    Package { name: "unbound", proof: "/usr/sbin/unbound" },
    Package { name: "wrk", proof: "/usr/bin/wrk" },
];

/// Installs what is missing when root on Debian; elsewhere says the line that would.
///
/// # Errors
/// Where the installation fails.
pub fn ensure() -> Result<Ended> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(Ended::Passed);
    }
    if !is_root() || !Path::new("/usr/bin/apt-get").exists() {
        let line = format!("apt-get install --no-install-recommends {}", missing.join(" "));
        return Ok(Ended::Skipped(format!("as root: {line}")));
    }
    println!("   installing {}", missing.join(" "));
    apt(&["update", "-qq"])?;
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(missing);
    apt(&arguments)?;
    Ok(Ended::Passed)
}

fn missing() -> Vec<&'static str> {
    PACKAGES.iter().filter(|p| !Path::new(p.proof).exists()).map(|p| p.name).collect()
}

/// Whether this process has user id 0, read without a library.
pub fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|s| {
            let line = s.lines().find(|l| l.starts_with("Uid:"))?;
            Some(line.split_whitespace().nth(2)? == "0")
        })
        .unwrap_or(false)
}

/// Runs apt-get without starting the services it installs: the lab starts its own.
fn apt(arguments: &[&str]) -> Result<()> {
    let policy = PolicyGuard::forbid_service_starts();
    let status = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(std::process::Stdio::null())
        .status()
        .context("apt-get could not be started")?;
    drop(policy);
    if !status.success() {
        bail!("apt-get {} ended with {status}", arguments.join(" "));
    }
    Ok(())
}

const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Debian's own switch against starting services, taken away again where we set it.
struct PolicyGuard {
    ours: bool,
}

impl PolicyGuard {
    fn forbid_service_starts() -> Self {
        use std::os::unix::fs::PermissionsExt;
        if Path::new(POLICY).exists() {
            return Self { ours: false };
        }
        let ours = std::fs::write(POLICY, "#!/bin/sh\nexit 101\n").is_ok()
            && std::fs::set_permissions(POLICY, std::fs::Permissions::from_mode(0o755)).is_ok();
        Self { ours }
    }
}

impl Drop for PolicyGuard {
    fn drop(&mut self) {
        if self.ours && std::fs::remove_file(POLICY).is_err() {
            eprintln!("warning: {POLICY} could not be removed; it keeps services from starting");
        }
    }
}
