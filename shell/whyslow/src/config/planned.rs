//! The checks a configuration asks for: each check of each service, once per path.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use whyslow_probe::spec::{CheckSpec, PathSpec};

use super::types::Config;

/// The path's name where a service has none of its own.
pub const DIRECT: &str = "direct";

/// Names one check on one path: `service:check:path`. The three parts never hold a colon.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[expect(missing_docs, reason = "the contract's own words")]
pub struct CheckId {
    pub service: String,
    pub check: String,
    pub path: String,
}

impl fmt::Display for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.service, self.check, self.path)
    }
}

/// A text that does not name a check on a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not service:check:path")]
pub struct NotACheckId(String);

impl FromStr for CheckId {
    type Err = NotACheckId;

    fn from_str(text: &str) -> Result<Self, NotACheckId> {
        let mut parts = text.split(':').map(str::to_owned);
        let (Some(service), Some(check), Some(path), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NotACheckId(text.chars().take(80).collect()));
        };
        Ok(Self { service, check, path })
    }
}

impl TryFrom<String> for CheckId {
    type Error = NotACheckId;

    fn try_from(text: String) -> Result<Self, NotACheckId> {
        text.parse()
    }
}

impl From<CheckId> for String {
    fn from(id: CheckId) -> Self {
        id.to_string()
    }
}

/// One check on one path, ready to be scheduled.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedCheck {
    /// Names it.
    pub id: CheckId,
    /// The check, with what its path overrides; shared, since there may be thousands.
    pub spec: Arc<CheckSpec>,
    /// The path as configured.
    pub path: PathSpec,
}

impl Config {
    /// Every check on every one of its paths, in the order of the names.
    pub fn planned_checks(&self) -> Vec<PlannedCheck> {
        let direct = (DIRECT.to_owned(), PathSpec::default());
        let mut planned = Vec::new();
        for (name, service) in &self.services {
            for check in &service.checks {
                let paths: Vec<(&String, &PathSpec)> = if service.paths.is_empty() {
                    vec![(&direct.0, &direct.1)]
                } else {
                    service.paths.iter().filter(|(p, _)| runs_on(check, p)).collect()
                };
                planned.extend(paths.into_iter().map(|(path_name, path)| PlannedCheck {
                    id: CheckId {
                        service: name.clone(),
                        check: check.name.clone(),
                        path: path_name.clone(),
                    },
                    spec: Arc::new(check.on_path(path)),
                    path: path.clone(),
                }));
            }
        }
        planned.sort_by(|a, b| a.id.cmp(&b.id));
        planned
    }
}

/// A check that names no paths runs on all of them.
fn runs_on(check: &CheckSpec, path: &str) -> bool {
    check.paths.is_empty() || check.paths.iter().any(|p| p == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_runs_once_on_each_path_it_names_and_directly_where_there_is_none() {
        let config: Config = serde_json::from_str(
            r#"{"services": {
                "shop": {"paths": {"cdn": {}, "web1": {"connect_to": "10.0.0.5:443"}},
                    "checks": [
                        {"name": "home", "kind": "http", "target": "https://shop.example/"},
                        {"name": "cart", "kind": "http", "target": "https://shop.example/cart",
                         "paths": ["web1"]}]},
                "mail": {"checks": [{"name": "smtp", "kind": "tcp", "target": "mail.example:25"}]}}}"#,
        )
        .unwrap();
        let planned = config.planned_checks();
        let ids: Vec<String> = planned.iter().map(|p| p.id.to_string()).collect();
        assert_eq!(ids, ["mail:smtp:direct", "shop:cart:web1", "shop:home:cdn", "shop:home:web1"]);
        assert_eq!(planned[3].spec.connect_to.as_ref().unwrap().to_string(), "10.0.0.5:443");
        assert_eq!(planned[2].spec.connect_to, None);
    }

    #[test]
    fn a_check_id_prints_and_parses() {
        let id: CheckId = "shop:home:cdn".parse().unwrap();
        assert_eq!(id.to_string(), "shop:home:cdn");
        assert!("shop:home".parse::<CheckId>().is_err());
        assert!("a:b:c:d".parse::<CheckId>().is_err());
    }
}
