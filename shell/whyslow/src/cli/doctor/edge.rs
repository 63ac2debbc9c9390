//! What stands in the way of the balancers' logs that are configured.

use std::path::Path;

use super::Finding;
use crate::config::{Config, EdgeSource, Input};
use crate::edge::kernel;

pub(super) fn look(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    let any = |wanted: fn(&Input) -> bool| config.edge.iter().any(|s| wanted(&s.input));
    if any(|input| matches!(input, Input::SyslogUdp(_))) {
        found.push(buffers());
    }
    if any(|input| matches!(input, Input::UnixDgram(_))) {
        found.push(queues());
    }
    found.extend(config.edge.iter().filter_map(source));
    found
}

fn buffers() -> Finding {
    let name = "log datagrams";
    let limit = kernel::buffer_limit().unwrap_or(0);
    match kernel::small_buffer(limit) {
        Some(small) => Finding::limited(name, small.what).mend(small.mend),
        None => Finding::works(name, format!("sockets may buffer {} KiB", limit >> 10)),
    }
}

fn queues() -> Finding {
    let name = "log queues";
    match kernel::short_queue() {
        Some(short) => Finding::limited(name, short.what).mend(short.mend),
        None => Finding::works(name, "unix datagram sockets have long queues"),
    }
}

/// What is missing of one source's input.
fn source(of: &EdgeSource) -> Option<Finding> {
    let name = "log source";
    match &of.input {
        Input::Files(path) | Input::UnixDgram(path) | Input::UnixStream(path) => {
            let folder = path.parent().unwrap_or(Path::new("/"));
            (!folder.is_dir()).then(|| {
                let what = format!("{}: there is no directory {}", of.name, folder.display());
                Finding::broken(name, what).mend(format!("sudo mkdir -p {}", folder.display()))
            })
        }
        Input::Journald(_) => {
            let there = ["/usr/bin/journalctl", "/bin/journalctl"];
            let found = there.iter().any(|program| Path::new(program).exists());
            (!found).then(|| {
                let what = format!("{}: there is no journalctl", of.name);
                Finding::broken(name, what).mend("sudo apt install systemd")
            })
        }
        Input::Stdin | Input::SyslogUdp(_) | Input::SyslogTcp(_) => None,
    }
}
