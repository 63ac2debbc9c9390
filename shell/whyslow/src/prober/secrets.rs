//! Reads what a check refers to without saying it: files and environment variables.

use std::env;
use std::fs::File;
use std::io::Read;

use whyslow_probe::checks::Secrets;
use whyslow_probe::spec::{CheckSpec, SecretRef};

/// Bytes of one secret.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// Every secret that `spec` refers to and that can be read; the run names the one it misses.
pub(super) fn read(spec: &CheckSpec) -> Secrets {
    let found = spec.secrets().into_iter().filter_map(|at| Some((at.clone(), value(at)?)));
    Secrets(found.collect())
}

fn value(at: &SecretRef) -> Option<String> {
    match at {
        SecretRef::Env(name) => env::var(name).ok(),
        SecretRef::File(path) => {
            let mut text = String::new();
            File::open(path).ok()?.take(SECRET_BYTES_MAX).read_to_string(&mut text).ok()?;
            let end = text.strip_suffix('\n').map(|t| t.strip_suffix('\r').unwrap_or(t));
            Some(end.map_or_else(|| text.clone(), str::to_owned))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use whyslow_probe::spec::{Auth, parse_target};

    #[test]
    fn a_secret_loses_one_line_break_at_its_end() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("token");
        std::fs::write(&file, "s3cret\r\n").expect("written");
        let target = parse_target("https://a.example/").expect("a target");
        let mut spec = CheckSpec::of("a", &target);
        let at = SecretRef::File(file.display().to_string());
        spec.auth = Some(Auth::Bearer(at.clone()));
        assert_eq!(read(&spec).0.get(&at).map(String::as_str), Some("s3cret"));
        spec.auth = Some(Auth::Bearer(SecretRef::File("/nonexistent".into())));
        assert!(read(&spec).0.is_empty());
    }
}
