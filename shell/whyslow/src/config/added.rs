//! What a page added: kept in the data directory, in force below the configuration file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use whyslow_probe::spec::{CheckSpec, Target, parse_target};

use super::load::{LoadError, load};
use super::types::{Config, Service};

/// The file's name in the data directory.
pub const FILE: &str = "added.yaml";

/// Services by name, as a page added them.
pub type Added = BTreeMap<String, Service>;

/// Reads what was added; nothing where there is no such file yet.
pub fn read(data: &Path) -> Result<Added, LoadError> {
    let path = data.join(FILE);
    match load(&path) {
        Ok(config) => Ok(config.services),
        Err(LoadError::Unreadable { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
            Ok(Added::new())
        }
        Err(error) => Err(error),
    }
}

/// What was added cannot be kept.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {error}", path.display())]
pub struct NotKept {
    path: PathBuf,
    error: io::Error,
}

/// Writes all of it; a reader sees the old file or the new one, never half of one.
pub fn write(data: &Path, added: &Added) -> Result<(), NotKept> {
    let path = data.join(FILE);
    replace(data, &path, &text(added)).map_err(|error| NotKept { path, error })
}

fn text(added: &Added) -> String {
    // JSON is YAML, and its writer needs no rules about quoting.
    let document = serde_json::json!({ "services": added });
    // A `$` read back would name a variable.
    let text = format!("{document:#}").replace('$', "$$");
    format!("# Written by whyslow's pages. The configuration file wins over it.\n{text}\n")
}

fn replace(dir: &Path, path: &Path, text: &str) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let unfinished = path.with_extension("yaml.new");
    let mut file = File::create(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    File::open(dir)?.sync_all()
}

/// A service of one check, as typed into a page or on the command line: `https://shop.example/`
/// makes `shop.example` with the check `page`.
pub fn service_of(typed: &str) -> Result<(String, Service), whyslow_probe::spec::NotATarget> {
    let target = parse_target(typed)?;
    let check = CheckSpec::of(check_name(&target), &target);
    let service = Service { checks: vec![check], ..Service::default() };
    Ok((service_name(&target), service))
}

/// Puts what was typed among `services`: a new service, or one more check of the service its host
/// has already. Two URLs of one host are its checks `page` and `page-2`. Gives the names of both,
/// or `None` where the very same check is there.
pub fn put(
    services: &mut BTreeMap<String, Service>,
    name: String,
    service: Service,
) -> Option<(String, String)> {
    let mut check = service.checks.into_iter().next()?;
    let checks = &mut services.entry(name.clone()).or_default().checks;
    if checks.iter().any(|c| c.kind == check.kind && c.target == check.target) {
        return None;
    }
    let first = check.name.clone();
    let mut number = 2;
    while checks.iter().any(|c| c.name == check.name) {
        check.name = format!("{first}-{number}");
        number += 1;
    }
    let names = (name, check.name.clone());
    checks.push(check);
    Some(names)
}

fn check_name(target: &Target) -> &'static str {
    match target {
        Target::Http(_) => "page",
        Target::Tls { .. } => "tls",
        Target::Tcp { .. } => "port",
        Target::Dns { .. } => "name",
        Target::Ping { .. } => "ping",
    }
}

/// The host's name in the letters a service's name may have.
fn service_name(target: &Target) -> String {
    let host = match target {
        Target::Http(url) => match (url.host_str().unwrap_or_default(), url.port()) {
            (host, Some(port)) => format!("{host}-{port}"),
            (host, None) => host.to_owned(),
        },
        Target::Tls { host, port } | Target::Tcp { host, port } => format!("{host}-{port}"),
        Target::Dns { name, .. } => name.clone(),
        Target::Ping { host } => host.clone(),
    };
    let letters = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let name: String = host.chars().map(letters).take(64).collect();
    let name = name.trim_matches(['-', '.']);
    if name.is_empty() { "root".to_owned() } else { name.to_ascii_lowercase() }
}

/// Puts `added` under what the file says. Gives the names of services that both name: the file's
/// is in force.
pub fn merge(config: &mut Config, added: &Added) -> Vec<String> {
    let mut overruled = Vec::new();
    for (name, service) in added {
        if config.services.contains_key(name) {
            overruled.push(name.clone());
        } else {
            config.services.insert(name.clone(), service.clone());
        }
    }
    overruled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_becomes_a_service_with_a_good_name() {
        let cases = [
            ("https://Shop.Example/basket", "shop.example", "page"),
            ("http://127.0.0.1:8080/", "127.0.0.1-8080", "page"),
            ("https://[2001:db8::1]/", "2001-db8--1", "page"),
            ("tcp:db.example:5432", "db.example-5432", "port"),
            ("dns:.", "root", "name"),
            ("ping:gw", "gw", "ping"),
        ];
        for (typed, name, check) in cases {
            let (service, of) = service_of(typed).unwrap();
            assert_eq!((service.as_str(), of.checks[0].name.as_str()), (name, check), "{typed}");
        }
        assert!(service_of("shop.example").is_err());
    }

    #[test]
    fn what_was_added_is_read_back_and_the_file_wins() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), Added::new());
        let added: Added = ["https://a.example/", "https://b.example/?x=\"${HOME}\""]
            .iter()
            .map(|t| service_of(t).unwrap())
            .collect();
        write(dir.path(), &added).unwrap();
        assert_eq!(read(dir.path()).unwrap(), added);

        let mut config = Config::default();
        config.services.insert(
            "a.example".into(),
            Service { owner: Some("file".into()), ..Service::default() },
        );
        assert_eq!(merge(&mut config, &added), ["a.example"]);
        assert_eq!(config.services["a.example"].owner.as_deref(), Some("file"));
        assert!(config.services.contains_key("b.example"));
    }

    #[test]
    fn a_broken_file_is_told_and_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), "services: [torn").unwrap();
        assert!(matches!(read(dir.path()), Err(LoadError::Wrong(_))));
    }
}
