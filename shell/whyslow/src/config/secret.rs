//! Secrets stand outside the configuration: in a file or in the environment. They are read when
//! needed and never printed.

use std::fmt;
use std::path::Path;

use whyslow_probe::spec::SecretRef;

use super::world::World;

/// A secret in the clear. It prints as `…`.
#[derive(Clone, PartialEq, Eq)]
pub struct Revealed(String);

impl Revealed {
    /// The secret itself, to be handed to whoever is to see it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Revealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// A secret that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read the secret in {name}: {error}")]
    File {
        /// The file's name.
        name: String,
        /// Why.
        error: std::io::Error,
    },
    /// The file is no text.
    #[error("the secret in {0} is not text")]
    NotText(String),
    /// The variable is not set.
    #[error("the environment variable {0} is not set")]
    Env(String),
    /// There is nothing in it.
    #[error("the secret in {0} is empty")]
    Empty(String),
}

impl SecretError {
    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::File { .. } => "the file must be readable by the user whyslow runs as",
            Self::NotText(_) => "a secret is one line of UTF-8",
            Self::Env(_) => "set it where whyslow is started, or use {file: …}",
            Self::Empty(_) => "one line: the secret, and nothing else",
        }
    }
}

/// Reads a secret. A configuration that was loaded has absolute file names only.
pub fn reveal(at: &SecretRef) -> Result<Revealed, SecretError> {
    read_in(at, &World::here(Path::new("")))
}

/// Reads a secret in a given world. One line break at the end of a file is dropped.
pub fn read_in(at: &SecretRef, world: &World<'_>) -> Result<Revealed, SecretError> {
    let (name, text) = match at {
        SecretRef::File(name) => {
            let bytes = (world.file)(&world.resolved(name))
                .map_err(|error| SecretError::File { name: name.clone(), error })?;
            let text = String::from_utf8(bytes).map_err(|_| SecretError::NotText(name.clone()))?;
            let line = text.strip_suffix('\n').unwrap_or(&text);
            (name, line.strip_suffix('\r').unwrap_or(line).to_owned())
        }
        SecretRef::Env(name) => {
            let text = (world.environment)(name).ok_or_else(|| SecretError::Env(name.clone()))?;
            (name, text)
        }
    };
    if text.is_empty() {
        return Err(SecretError::Empty(name.clone()));
    }
    Ok(Revealed(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_one_line_and_never_printed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), "s3cret\n").unwrap();
        let file = |name: &str| SecretRef::File(dir.path().join(name).display().to_string());
        let secret = reveal(&file("token")).unwrap();
        assert_eq!(secret.expose(), "s3cret");
        assert_eq!(format!("{secret:?}"), "…");
    }

    #[test]
    fn a_secret_that_is_not_there_is_told_with_its_name() {
        let error = reveal(&SecretRef::File("/nowhere/token".into())).unwrap_err();
        assert!(error.to_string().contains("/nowhere/token"), "{error}");
        let error = reveal(&SecretRef::Env("WHYSLOW_TEST_UNSET".into())).unwrap_err();
        assert!(matches!(error, SecretError::Env(_)));
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().join("empty");
        std::fs::write(&empty, "\n").unwrap();
        let error = reveal(&SecretRef::File(empty.display().to_string())).unwrap_err();
        assert!(matches!(error, SecretError::Empty(_)));
    }
}
