//! Reads what a check refers to without saying it: files and environment variables.

use whyslow_probe::checks::Secrets;
use whyslow_probe::spec::CheckSpec;

use crate::config::secret::reveal;

/// Every secret that `spec` refers to and that can be read; the run names the one it misses.
pub(super) fn read(spec: &CheckSpec) -> Secrets {
    let revealed = |at| Some((Clone::clone(at), reveal(at).ok()?.expose().to_owned()));
    Secrets(spec.secrets().into_iter().filter_map(revealed).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use whyslow_probe::spec::{Auth, SecretRef, parse_target};

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
