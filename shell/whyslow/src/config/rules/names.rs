//! Names: which letters they have, and that what they point at exists.

use std::collections::BTreeSet;

use super::super::node::Step;
use super::super::problem::{did_you_mean, enumerated};
use super::super::types::{Config, Service};
use super::super::world::World;
use super::Findings;

/// Letters of one name.
const NAME_LETTERS_MAX: usize = 64;

pub(super) fn apply(config: &Config, _: &World<'_>, findings: &mut Findings<'_, '_>) {
    if !config.vantage.name.is_empty() {
        vantage_name(config, findings);
    }
    if let Some(country) = &config.vantage.country
        && !(country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase()))
    {
        findings
            .add(&["vantage".into(), "country".into()], format!("'{country}' is not a country"))
            .hint = Some("two capital letters, such as GB (ISO 3166-1)".to_owned());
    }
    for (index, tag) in config.vantage.tags.iter().enumerate() {
        if let Some(what) = wrong_name(tag) {
            findings.add(&["vantage".into(), "tags".into(), index.into()], what);
        }
    }
    for name in config.agents.keys() {
        named(name, &["agents".into(), name.as_str().into()], findings);
    }
    for (name, service) in &config.services {
        let above = ["services".into(), name.as_str().into()];
        named(name, &above, findings);
        within(service, &above, findings);
    }
}

fn vantage_name(config: &Config, findings: &mut Findings<'_, '_>) {
    if let Some(what) = wrong_name(&config.vantage.name) {
        findings.add(&["vantage".into(), "name".into()], what);
    }
}

fn within(service: &Service, above: &[Step<'_>; 2], findings: &mut Findings<'_, '_>) {
    let [first, second] = above.clone();
    for name in service.servers.keys() {
        named(
            name,
            &[first.clone(), second.clone(), "servers".into(), name.as_str().into()],
            findings,
        );
    }
    for (name, path) in &service.paths {
        let at = [first.clone(), second.clone(), "paths".into(), name.as_str().into()];
        named(name, &at, findings);
        if let Some(server) = &path.server
            && !service.servers.contains_key(server)
        {
            let [a, b, c, d] = at;
            let names = service.servers.keys().map(String::as_str);
            findings
                .add(&[a, b, c, d, "server".into()], format!("there is no server '{server}'"))
                .hint = Some(meant(server, names, "servers", "server"));
        }
    }
    let mut seen = BTreeSet::new();
    for (index, check) in service.checks.iter().enumerate() {
        let at = |key: &'static str| {
            vec![first.clone(), second.clone(), "checks".into(), index.into(), key.into()]
        };
        if let Some(what) = wrong_name(&check.name) {
            findings.add(&at("name"), what);
        }
        if !seen.insert(check.name.as_str()) {
            findings
                .add(&at("name"), format!("the service has a check '{}' already", check.name))
                .hint = Some("check names are unique within a service".to_owned());
        }
        for (place, path) in check.paths.iter().enumerate() {
            let mut steps = at("paths");
            steps.push(place.into());
            if check.paths[..place].contains(path) {
                findings.add(&steps, format!("path '{path}' is named twice"));
            } else if !service.paths.contains_key(path) {
                let names = service.paths.keys().map(String::as_str);
                findings.add(&steps, format!("there is no path '{path}'")).hint =
                    Some(meant(path, names, "paths", "path"));
            }
        }
    }
}

fn named(name: &str, steps: &[Step<'_>], findings: &mut Findings<'_, '_>) {
    if let Some(what) = wrong_name(name) {
        findings.add_key(steps, what).hint = Some(
            "letters, digits, '-', '_' and '.', at most 64, beginning with a letter or digit"
                .to_owned(),
        );
    }
}

/// Why a text cannot name a thing of ours: it becomes a label, an id and part of an address.
pub(super) fn wrong_name(name: &str) -> Option<String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let begins = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if begins && name.len() <= NAME_LETTERS_MAX && name.bytes().all(allowed) {
        return None;
    }
    let clipped: String = name.chars().take(80).collect();
    Some(format!("'{clipped}' is not a name"))
}

fn meant<'a>(
    typed: &str,
    names: impl Iterator<Item = &'a str> + Clone,
    many: &str,
    one: &str,
) -> String {
    match did_you_mean(typed, names.clone()) {
        Some(name) => format!("did you mean '{name}'?"),
        None if names.clone().next().is_none() => {
            format!("the service has no {many}; add the {one} under {many}:")
        }
        None => format!("{many} of this service: {}", enumerated(names)),
    }
}
