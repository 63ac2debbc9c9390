//! The journal, by a child `journalctl --output=json --follow`, which knows how to read it.

use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::Value as Json;
use whyslow_edge::framing::{Frame, Framer, Framing};
use whyslow_sys::poll;

use super::super::run::{Ended, Place};
use super::super::worker::Worker;

const WAIT: Duration = Duration::from_millis(200);

/// A child that is ended with us.
struct Journalctl {
    child: Child,
    out: ChildStdout,
}

impl Drop for Journalctl {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn read(unit: &str, place: &Place, worker: &mut Worker) -> Result<Ended, String> {
    let mut journal = open(unit, None)?;
    worker.gauge(|g| g.problem = None);
    let mut framer = Framer::new(Framing::Lines);
    let mut ready = Vec::new();
    loop {
        worker.tick();
        if place.stop.is_told() {
            return Ok(Ended::Stopped);
        }
        let n = poll::readable(&[journal.out.as_fd()], WAIT, &mut ready);
        if n.map_err(|e| format!("cannot wait for journalctl: {e}"))? == 0 {
            continue;
        }
        match journal.out.read(framer.room()) {
            Ok(0) => return Err(ended(&mut journal)),
            Ok(n) => {
                framer.handle_read(n);
                worker.count(|t| t.bytes += n as u64);
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(format!("cannot read from journalctl: {e}")),
        }
        while let Some(frame) = framer.poll_frame() {
            match frame {
                Frame::Line(entry) => take(entry, worker),
                Frame::TooLong | Frame::Broken => worker.count(|t| t.too_long += 1),
            }
        }
    }
}

fn open(unit: &str, after: Option<&str>) -> Result<Journalctl, String> {
    let mut command = Command::new("journalctl");
    command.args(["--output=json", "--follow", "--no-pager", "--quiet"]);
    if !unit.is_empty() {
        command.arg(format!("--unit={unit}"));
    }
    match after {
        Some(cursor) => command.arg(format!("--after-cursor={cursor}")),
        None => command.arg("--lines=0"),
    };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command
        .spawn()
        .map_err(|e| format!("cannot start journalctl: {e} (it is part of systemd)"))?;
    let Some(out) = child.stdout.take() else {
        return Err("journalctl has no output".to_owned());
    };
    Ok(Journalctl { child, out })
}

fn ended(journal: &mut Journalctl) -> String {
    let how = journal.child.wait().map_or_else(|e| e.to_string(), |status| status.to_string());
    format!("journalctl ended ({how}); the user whyslow runs as must be in group systemd-journal")
}

/// Takes one entry: its message is the line.
fn take(entry: &[u8], worker: &mut Worker) {
    match message(entry) {
        Some(line) => worker.handle_line(&line),
        None => worker.count(|t| t.too_long += 1),
    }
}

/// The message of an entry; a text, or the numbers of its bytes where it is none
/// (systemd.io/JOURNAL_EXPORT_FORMATS).
fn message(entry: &[u8]) -> Option<Vec<u8>> {
    let entry: Json = serde_json::from_slice(entry).ok()?;
    match entry.get("MESSAGE")? {
        Json::String(text) => Some(text.clone().into_bytes()),
        Json::Array(bytes) => {
            let byte = |n: &Json| n.as_u64().and_then(|n| u8::try_from(n).ok());
            bytes.iter().map(byte).collect()
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_text_or_the_numbers_of_its_bytes() {
        assert_eq!(message(br#"{"MESSAGE":"a b","__CURSOR":"s=1"}"#).unwrap(), b"a b");
        assert_eq!(message(br#"{"MESSAGE":[97,0,255]}"#).unwrap(), [97, 0, 255]);
        for entry in ["", "{}", r#"{"MESSAGE":null}"#, r#"{"MESSAGE":[256]}"#, "[1]"] {
            assert_eq!(message(entry.as_bytes()), None, "{entry}");
        }
    }
}
