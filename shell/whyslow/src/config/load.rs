//! From a file or a directory on disk to a [`Config`].

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use whyslow_model::limits::{CONFIG_BYTES_MAX, CONFIG_FILES_MAX};

use super::absolute;
use super::problem::{Problems, Source};
use super::read::read;
use super::types::Config;
use super::world::World;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file or the directory cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Something in it is wrong.
    #[error("{} in the configuration", .0.counted())]
    Wrong(Problems),
}

/// Reads a file, or every `*.yaml` and `*.yml` of a directory in the order of their names.
/// File names in it are made absolute; they begin at the file's own directory.
pub fn load(path: &Path) -> Result<Config, LoadError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |error| LoadError::Unreadable { path, error }
    };
    let is_dir = std::fs::metadata(path).map_err(unreadable(path))?.is_dir();
    let files =
        if is_dir { files_of(path).map_err(unreadable(path))? } else { vec![path.to_owned()] };
    let base = if is_dir { path } else { path.parent().unwrap_or(path) };
    let base = if base.as_os_str().is_empty() { Path::new(".") } else { base };
    let base = std::path::absolute(base).map_err(unreadable(path))?;
    let mut sources = Vec::new();
    for file in files {
        let text = text_of(&file).map_err(unreadable(&file))?;
        sources.push(Source { name: file.display().to_string(), text });
    }
    let mut config = read(sources, &World::here(&base)).map_err(LoadError::Wrong)?;
    absolute::file_names(&mut config, &base);
    settle(&mut config);
    Ok(config)
}

/// Fills in what this machine knows better than a default: its own name.
pub fn settle(config: &mut Config) {
    if config.vantage.name.is_empty() {
        config.vantage.name = host_name();
    }
}

/// The machine's name without its domain, in letters a vantage's name may have.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let short = name.trim().split('.').next().unwrap_or_default();
    let plain: String = short
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        .take(64)
        .collect();
    let plain = plain.trim_start_matches(['-', '_']);
    if plain.is_empty() { "here".to_owned() } else { plain.to_owned() }
}

fn files_of(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let hidden = path.file_name().is_none_or(|n| n.as_encoded_bytes().starts_with(b"."));
        let yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
        if yaml && !hidden && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    let refused = |what: String| Err(io::Error::other(what));
    if files.is_empty() {
        return refused("no *.yaml or *.yml in it".to_owned());
    }
    if files.len() > CONFIG_FILES_MAX {
        return refused(format!("{} files in it; at most {CONFIG_FILES_MAX}", files.len()));
    }
    Ok(files)
}

fn text_of(file: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    let limit = CONFIG_BYTES_MAX as u64 + 1;
    std::fs::File::open(file)?.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > CONFIG_BYTES_MAX {
        return Err(io::Error::other(format!("more than {CONFIG_BYTES_MAX} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| io::Error::other("not UTF-8 text"))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    #[test]
    fn a_directory_is_one_configuration_and_its_file_names_begin_there() {
        let dir = written(&[
            ("1-base.yaml", "vantage: {name: lon1}\ntoken: {file: token}\n"),
            ("2-shop.yml", "services: {shop: {owner: web}}\n"),
            ("notes.txt", "not: [yaml"),
            (".hidden.yaml", "not: [yaml"),
            ("token", "s3cret\n"),
        ]);
        let config = load(dir.path()).unwrap();
        assert_eq!(config.vantage.name, "lon1");
        assert!(config.services.contains_key("shop"));
        let token =
            whyslow_probe::spec::SecretRef::File(dir.path().join("token").display().to_string());
        assert_eq!(config.token, Some(token));
    }

    #[test]
    fn a_file_that_is_not_there_is_told_with_its_name() {
        let error = load(Path::new("/nowhere/whyslow.yaml")).unwrap_err();
        assert!(error.to_string().starts_with("cannot read /nowhere/whyslow.yaml"), "{error}");
    }

    #[test]
    fn a_file_too_large_or_in_no_text_is_refused() {
        let dir = written(&[("big.yaml", &" ".repeat(CONFIG_BYTES_MAX + 1))]);
        assert!(load(&dir.path().join("big.yaml")).unwrap_err().to_string().contains("more than"));
        std::fs::write(dir.path().join("bin.yaml"), [0xff, 0xfe, 0]).unwrap();
        assert!(load(&dir.path().join("bin.yaml")).unwrap_err().to_string().contains("UTF-8"));
        assert!(load(dir.path()).is_err());
    }

    #[test]
    fn a_vantage_without_a_name_is_called_after_the_machine() {
        let dir = written(&[("a.yaml", "")]);
        assert!(!load(dir.path()).unwrap().vantage.name.is_empty());
    }
}
