//! Who an address belongs to: autonomous system, its name, and country.
//!
//! A table is built once from ranges and then only read. An IPv4 look-up takes one step through
//! an index over the first 16 bits and a short binary search behind it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

pub mod csv;

/// A country by its two letters (ISO 3166-1 alpha-2), in capitals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

impl Country {
    /// The country of two ASCII letters, capitalised; `None` of anything else.
    pub fn new(text: &str) -> Option<Self> {
        match text.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Some(Self([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => None,
        }
    }

    /// The two letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("??")
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known of the owner of a range. Never empty of all three.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The autonomous system that announces it.
    pub asn: Option<u32>,
    /// That system's name, from outside and therefore untrusted.
    pub name: Option<Arc<str>>,
    /// Where it is said to be.
    pub country: Option<Country>,
}

impl Owner {
    /// Whether nothing at all is known.
    pub const fn is_empty(&self) -> bool {
        self.asn.is_none() && self.name.is_none() && self.country.is_none()
    }

    /// The same with what is missing taken from `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            asn: self.asn.or(other.asn),
            name: self.name.or(other.name),
            country: self.country.or(other.country),
        }
    }
}

/// As pages and terminals show it: `AS64500 Example Net, GB`.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "";
        if let Some(asn) = self.asn {
            write!(f, "AS{asn}")?;
            before = " ";
        }
        if let Some(name) = &self.name {
            write!(f, "{before}{name}")?;
            before = " ";
        }
        if let Some(country) = self.country {
            let comma = if before.is_empty() { "" } else { ", " };
            write!(f, "{comma}{}", country.as_str())?;
        }
        Ok(())
    }
}

/// One line of a source: the addresses `first` to `last` belong to `owner`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first address.
    pub first: IpAddr,
    /// The last address, inclusive, of the same family.
    pub last: IpAddr,
    /// Whose they are.
    pub owner: Owner,
}

/// Sorted, disjoint ranges of one address family.
#[derive(Clone, Debug, Default)]
struct Ranges<T> {
    /// Ascending; as long as `lasts` and `owners`, and `starts[i] <= lasts[i] < starts[i + 1]`.
    starts: Vec<T>,
    lasts: Vec<T>,
    owners: Vec<u32>,
}

/// The look-up table.
///
/// Invariant: `index[h]` counts the IPv4 ranges that start below `h << 16`, for 65 537 values of
/// `h`, or the index is empty where there is no IPv4 range.
#[derive(Clone, Debug, Default)]
pub struct AsnTable {
    index: Vec<u32>,
    v4: Ranges<u32>,
    v6: Ranges<u128>,
    owners: Vec<Owner>,
}

impl AsnTable {
    /// Builds the table. Where ranges overlap, the one that starts later wins, and of two that
    /// start together the narrower one: the more specific announcement.
    pub fn build(ranges: impl IntoIterator<Item = Range>) -> Self {
        let mut numbers: BTreeMap<Owner, u32> = BTreeMap::new();
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for range in ranges {
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            let owner = *numbers.entry(range.owner).or_insert(next);
            match (range.first.to_canonical(), range.last.to_canonical()) {
                (IpAddr::V4(a), IpAddr::V4(b)) if a <= b => {
                    v4.push(Span { first: a.to_bits().into(), last: b.to_bits().into(), owner });
                }
                (IpAddr::V6(a), IpAddr::V6(b)) if a <= b => {
                    v6.push(Span { first: a.to_bits(), last: b.to_bits(), owner });
                }
                _ => {}
            }
        }
        let mut owners: Vec<(u32, Owner)> = numbers.into_iter().map(|(o, n)| (n, o)).collect();
        owners.sort_unstable_by_key(|(n, _)| *n);
        let v4 = columns(&flatten(v4), |x| u32::try_from(x).unwrap_or(u32::MAX));
        Self {
            index: index_16(&v4.starts),
            v4,
            v6: columns(&flatten(v6), |x| x),
            owners: owners.into_iter().map(|(_, o)| o).collect(),
        }
    }

    /// Whose `address` is; an IPv4-mapped IPv6 address is read as IPv4.
    pub fn lookup(&self, address: IpAddr) -> Option<&Owner> {
        let row = match address.to_canonical() {
            IpAddr::V4(a) => self.find_v4(a.to_bits()),
            IpAddr::V6(a) => find(&self.v6, 0, self.v6.starts.len(), a.to_bits()),
        }?;
        self.owners.get(row as usize)
    }

    /// The name of an autonomous system. Searches all owners, so not for a hot path.
    pub fn name_of(&self, asn: u32) -> Option<&str> {
        self.owners.iter().find(|o| o.asn == Some(asn) && o.name.is_some())?.name.as_deref()
    }

    /// How many disjoint ranges it holds.
    pub fn len(&self) -> usize {
        self.v4.starts.len() + self.v6.starts.len()
    }

    /// Whether it knows nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn find_v4(&self, bits: u32) -> Option<u32> {
        let high = (bits >> 16) as usize;
        let from = *self.index.get(high)? as usize;
        let to = *self.index.get(high + 1)? as usize;
        find(&self.v4, from, to, bits)
    }
}

/// The owner of the range that holds `x`, whose start is known to be among `from..to` or to be
/// the last one before it.
fn find<T: Copy + Ord>(ranges: &Ranges<T>, from: usize, to: usize, x: T) -> Option<u32> {
    let after = from + ranges.starts.get(from..to)?.partition_point(|s| *s <= x);
    let at = after.checked_sub(1)?;
    (*ranges.lasts.get(at)? >= x).then(|| ranges.owners[at])
}

/// A range as numbers, whichever its family.
#[derive(Clone, Copy)]
struct Span {
    first: u128,
    last: u128,
    owner: u32,
}

/// Cuts overlapping spans into disjoint ascending ones.
fn flatten(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by(|a, b| a.first.cmp(&b.first).then(b.last.cmp(&a.last)));
    let mut out: Vec<Span> = Vec::with_capacity(spans.len());
    // Spans that are open at `at`, the innermost last.
    let mut open: Vec<Span> = Vec::new();
    let mut at = 0_u128;
    for span in spans {
        close_until(&mut out, &mut open, &mut at, Some(span.first));
        at = span.first;
        open.push(span);
    }
    close_until(&mut out, &mut open, &mut at, None);
    out
}

/// Emits what the open spans cover from `at` up to, not including, `until`.
fn close_until(out: &mut Vec<Span>, open: &mut Vec<Span>, at: &mut u128, until: Option<u128>) {
    while let Some(inner) = open.last().copied() {
        let stop = until.map_or(inner.last, |u| inner.last.min(u.saturating_sub(1)));
        let covers_some = inner.last >= *at && until != Some(*at);
        if covers_some {
            emit(out, Span { first: *at, last: stop, owner: inner.owner });
        }
        if until.is_some_and(|u| inner.last >= u) {
            return;
        }
        open.pop();
        if covers_some {
            let Some(next) = stop.checked_add(1) else {
                open.clear();
                return;
            };
            *at = next;
        }
    }
}

/// Adds a span, or lengthens the one before where both touch and agree.
fn emit(out: &mut Vec<Span>, span: Span) {
    if let Some(before) = out.last_mut()
        && before.owner == span.owner
        && before.last.checked_add(1) == Some(span.first)
    {
        before.last = span.last;
        return;
    }
    out.push(span);
}

fn columns<T>(spans: &[Span], number: impl Fn(u128) -> T) -> Ranges<T> {
    Ranges {
        starts: spans.iter().map(|s| number(s.first)).collect(),
        lasts: spans.iter().map(|s| number(s.last)).collect(),
        owners: spans.iter().map(|s| s.owner).collect(),
    }
}

/// For each value of the first 16 bits, how many starts lie below its first address.
fn index_16(starts: &[u32]) -> Vec<u32> {
    if starts.is_empty() {
        return Vec::new();
    }
    let below = |high: u64| starts.partition_point(|s| u64::from(*s) < high << 16);
    (0..=65_536).map(|high| u32::try_from(below(high)).unwrap_or(u32::MAX)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: &str, last: &str, asn: u32) -> Range {
        Range {
            first: first.parse().unwrap(),
            last: last.parse().unwrap(),
            owner: Owner { asn: Some(asn), ..Owner::default() },
        }
    }

    fn asn(table: &AsnTable, address: &str) -> Option<u32> {
        table.lookup(address.parse().unwrap()).and_then(|o| o.asn)
    }

    #[test]
    fn a_range_over_many_16_bit_blocks_is_found_in_each_of_them() {
        let table = AsnTable::build([range("10.0.0.0", "10.255.255.255", 64500)]);
        for a in ["10.0.0.0", "10.7.1.2", "10.255.255.255"] {
            assert_eq!(asn(&table, a), Some(64500), "{a}");
        }
        assert_eq!(asn(&table, "9.255.255.255"), None);
        assert_eq!(asn(&table, "11.0.0.0"), None);
    }

    #[test]
    fn the_more_specific_range_wins_and_the_wider_one_goes_on_behind_it() {
        let table = AsnTable::build([
            range("192.0.2.64", "192.0.2.127", 64501),
            range("192.0.2.0", "192.0.2.255", 64500),
            range("192.0.2.100", "192.0.2.100", 64502),
        ]);
        let expected = [
            (0, 64500),
            (64, 64501),
            (99, 64501),
            (100, 64502),
            (101, 64501),
            (128, 64500),
            (255, 64500),
        ];
        for (last, wanted) in expected {
            assert_eq!(asn(&table, &format!("192.0.2.{last}")), Some(wanted), "{last}");
        }
        assert_eq!(table.len(), 5);
    }

    #[test]
    fn the_ends_of_both_address_spaces_are_addresses_like_any_other() {
        let table = AsnTable::build([
            range("255.255.255.0", "255.255.255.255", 1),
            range("0.0.0.0", "0.0.0.255", 2),
            range("ffff::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 3),
        ]);
        assert_eq!(asn(&table, "255.255.255.255"), Some(1));
        assert_eq!(asn(&table, "0.0.0.0"), Some(2));
        assert_eq!(asn(&table, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), Some(3));
    }

    #[test]
    fn a_mapped_address_is_read_as_ipv4() {
        let table = AsnTable::build([range("192.0.2.0", "192.0.2.255", 64500)]);
        assert_eq!(asn(&table, "::ffff:192.0.2.9"), Some(64500));
    }

    #[test]
    fn an_owner_prints_as_the_pages_show_it() {
        let full = Owner {
            asn: Some(64500),
            name: Some("Example Net".into()),
            country: Country::new("gb"),
        };
        assert_eq!(full.to_string(), "AS64500 Example Net, GB");
        let only = Owner { country: Country::new("GB"), ..Owner::default() };
        assert_eq!(only.to_string(), "GB");
    }

    proptest::proptest! {
        #[test]
        fn the_table_agrees_with_a_search_through_all_ranges(
            spans in proptest::collection::vec((0_u32..400, 0_u32..60), 0..30),
            at in 0_u32..500,
        ) {
            let ip = |n: u32| IpAddr::from(std::net::Ipv4Addr::from_bits(n * 0x3001));
            let ranges: Vec<Range> = (0..).zip(&spans).map(|(i, (first, length))| Range {
                first: ip(*first),
                last: ip(first + length),
                owner: Owner { asn: Some(i), ..Owner::default() },
            }).collect();
            let table = AsnTable::build(ranges.clone());
            let address = ip(at);
            // Latest start first; of equal starts the narrowest; of equal ranges the last given.
            let wanted = ranges.iter().enumerate()
                .filter(|(_, r)| r.first <= address && address <= r.last)
                .max_by_key(|(i, r)| (r.first, std::cmp::Reverse(r.last), *i))
                .and_then(|(_, r)| r.owner.asn);
            proptest::prop_assert_eq!(table.lookup(address).and_then(|o| o.asn), wanted);
        }
    }
}
