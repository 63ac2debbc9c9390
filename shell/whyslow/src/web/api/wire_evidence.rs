//! `GET /api/v1/wire/evidence/NAME`: the packets of one incident, as they were written out.

use std::fs::File;
use std::io::Read;
use std::path::Path as FilePath;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header;
use whyslow_model::limits::WIRE_EVIDENCE_BYTES_MAX;

use crate::web::problem::Problem;
use crate::web::state::AppState;

/// The folder of the data directory in which evidence is.
const FOLDER: &str = "wire";

/// One file of packets.
///
/// # Errors
/// [`Problem`] where there is no such file, or it cannot be read.
pub async fn evidence(
    State(state): State<Arc<AppState>>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    if !is_name(&name) {
        return Err(nothing());
    }
    let path = state.current.data().join(FOLDER).join(&name);
    let read = tokio::task::spawn_blocking(move || read(&path)).await;
    let bytes = read.map_err(|_| Problem::internal("the file could not be read"))??;
    let headers = [
        (header::CONTENT_TYPE, "application/vnd.tcpdump.pcap".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((headers, bytes).into_response())
}

/// Whether a name is one that evidence has: of one file in the folder, and not hidden, as those
/// are that are not yet whole.
fn is_name(name: &str) -> bool {
    let fitting = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    name.ends_with(".pcapng") && !name.starts_with('.') && name.bytes().all(fitting)
}

fn read(path: &FilePath) -> Result<Vec<u8>, Problem> {
    // A link would lead elsewhere.
    let is_file = path.symlink_metadata().is_ok_and(|about| about.is_file());
    if !is_file {
        return Err(nothing());
    }
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| {
        file.take(WIRE_EVIDENCE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        Ok(())
    });
    read.map_err(|error| {
        tracing::error!("{} cannot be read: {error}", path.display());
        Problem::internal("the file could not be read")
    })?;
    if bytes.len() as u64 > WIRE_EVIDENCE_BYTES_MAX {
        let most = WIRE_EVIDENCE_BYTES_MAX >> 20;
        return Err(Problem::unavailable(format!("the file is larger than {most} MiB"))
            .hint("take it from the data directory"));
    }
    Ok(bytes)
}

fn nothing() -> Problem {
    Problem::not_found("there is no such evidence (any more)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_whole_files_in_the_folder_are_taken() {
        assert!(is_name("20261121T170000Z-4f2a.pcapng"));
        for name in [
            "",
            ".pcapng",
            ".hidden.pcapng",
            "../secret.pcapng",
            "a/b.pcapng",
            "a\\b.pcapng",
            "a\0.pcapng",
            "secret",
            "a.pcapng\r\nX: y.pcapng",
        ] {
            assert!(!is_name(name), "{name:?}");
        }
    }
}
