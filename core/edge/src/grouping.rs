//! By which fields rows are told apart, and how rows told apart by more give those by fewer.

use crate::row::Key;

/// A set of a key's fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grouping(u8);

impl Grouping {
    /// Everything together.
    pub const ALL: Self = Self(0);
    /// The frontend.
    pub const VIP: Self = Self(1);
    /// The pool.
    pub const BACKEND: Self = Self(1 << 1);
    /// The server.
    pub const SERVER: Self = Self(1 << 2);
    /// The route.
    pub const ROUTE: Self = Self(1 << 3);
    /// The status code.
    pub const CODE: Self = Self(1 << 4);
    /// The client's network.
    pub const CLIENT_ASN: Self = Self(1 << 5);
    /// The client's prefix.
    pub const CLIENT_PREFIX: Self = Self(1 << 6);

    /// Each field with the name by which one asks for it (`--by`, the API).
    pub const FIELDS: [(&'static str, Self); 7] = [
        ("vip", Self::VIP),
        ("backend", Self::BACKEND),
        ("server", Self::SERVER),
        ("route", Self::ROUTE),
        ("code", Self::CODE),
        ("client_asn", Self::CLIENT_ASN),
        ("client_prefix", Self::CLIENT_PREFIX),
    ];

    /// The fields of either.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other`'s fields are among these.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The fields that a key has.
    pub fn of(key: &Key) -> Self {
        let fields = [
            (key.vip.is_some(), Self::VIP),
            (key.backend.is_some(), Self::BACKEND),
            (key.server.is_some(), Self::SERVER),
            (key.route.is_some(), Self::ROUTE),
            (key.code.is_some(), Self::CODE),
            (key.client_asn.is_some(), Self::CLIENT_ASN),
            (key.client_prefix.is_some(), Self::CLIENT_PREFIX),
        ];
        fields.iter().filter(|(there, _)| *there).fold(Self::ALL, |all, (_, one)| all.and(*one))
    }

    /// The fields of these names; the first name that is none where there is one.
    ///
    /// # Errors
    /// The name that is none.
    pub fn of_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut all = Self::ALL;
        for name in names {
            let field = Self::FIELDS.iter().find(|(n, _)| *n == name);
            all = all.and(field.ok_or(name)?.1);
        }
        Ok(all)
    }

    /// One byte that names the set; in stored keys.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set that a byte names; bits that name no field are dropped.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 0x7f)
    }

    /// Of the groupings there are, the one whose rows, added up, give those by `self`: the one
    /// with the fewest further fields.
    pub fn cover(self, there_are: impl IntoIterator<Item = Self>) -> Option<Self> {
        let able = there_are.into_iter().filter(|g| g.has(self));
        able.min_by_key(|g| (g.0.count_ones(), g.0))
    }

    /// The key with no other fields than these.
    pub fn project(self, key: &Key) -> Key {
        Key {
            vip: key.vip.clone().filter(|_| self.has(Self::VIP)),
            backend: key.backend.clone().filter(|_| self.has(Self::BACKEND)),
            server: key.server.clone().filter(|_| self.has(Self::SERVER)),
            route: key.route.clone().filter(|_| self.has(Self::ROUTE)),
            code: key.code.filter(|_| self.has(Self::CODE)),
            client_asn: key.client_asn.filter(|_| self.has(Self::CLIENT_ASN)),
            client_prefix: key.client_prefix.filter(|_| self.has(Self::CLIENT_PREFIX)),
        }
    }
}

/// Whether every field that `wanted` has is the same in `key`.
pub fn satisfies(key: &Key, wanted: &Key) -> bool {
    Grouping::of(wanted).project(key) == *wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_by_more_fields_answer_for_rows_by_fewer() {
        let by = |names: &[&'static str]| Grouping::of_names(names.iter().copied()).unwrap();
        let there =
            [by(&["vip"]), by(&["backend", "server", "route"]), by(&["backend", "client_asn"])];
        assert_eq!(by(&["server"]).cover(there), Some(there[1]));
        assert_eq!(by(&["backend"]).cover(there), Some(there[2]));
        assert_eq!(by(&["vip", "code"]).cover(there), None);
        assert_eq!(Grouping::of_names(["vip", "colour"]), Err("colour"));
        let key = Key { vip: Some("bid".into()), code: Some(200), ..Key::default() };
        assert_eq!(Grouping::of(&key), by(&["code", "vip"]));
        assert_eq!(Grouping::CODE.project(&key), Key { code: Some(200), ..Key::default() });
        assert!(satisfies(&key, &Key { code: Some(200), ..Key::default() }));
        assert!(!satisfies(&key, &Key { code: Some(500), ..Key::default() }));
    }
}
