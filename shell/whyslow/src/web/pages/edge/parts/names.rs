//! What values are called on pages: networks by their names too.

use super::name;
use crate::web::pages::model::edge::filter::Field;
use crate::web::pages::model::edge::tree::NO_SERVER;

/// Finds the names of networks.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    /// The name of an autonomous system; empty where no table knows it.
    pub network: &'a dyn Fn(u32) -> String,
}

impl std::fmt::Debug for Names<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Names")
    }
}

impl Names<'_> {
    /// A value as a page shows it.
    pub fn of(&self, field: Field, value: &str) -> String {
        match (field, value) {
            (Field::Server, NO_SERVER) => "no server chosen".to_owned(),
            (Field::Code, "0") => "no code sent".to_owned(),
            (Field::Asn | Field::Prefix, "unknown") => "not known".to_owned(),
            (Field::Asn, number) => number.parse().map_or_else(
                |_| name(number),
                |n: u32| format!("AS{n} {}", (self.network)(n)).trim_end().to_owned(),
            ),
            (_, value) => name(value),
        }
    }
}
