//! The operator's own address tables: `whyslow asn import FILE`, and whose an address is.
//!
//! An import reads a `.mmdb` file or a range list and writes what it understood into the data
//! directory as a plain range list, so that what whyslow uses can be read and edited.

use std::fs;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use whyslow_model::asn::csv::{self, Line};
use whyslow_model::asn::{AsnTable, Owner, Range};
use whyslow_model::limits::{ASN_FILE_BYTES_MAX, ASN_RANGES_MAX};

mod mmdb;

/// What an import is stored as: ranges that name networks, or countries only.
const KINDS: [&str; 2] = ["networks", "countries"];

/// Whose addresses are: one table of networks, one of countries, either of which may be empty.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// From a source that names autonomous systems.
    pub networks: Arc<AsnTable>,
    /// From a source that names countries only.
    pub countries: AsnTable,
}

impl Tables {
    /// Reads what was imported into this data directory, and the files the configuration names
    /// besides; empty tables where there is nothing.
    ///
    /// # Errors
    /// [`AsnError`] where a file is there and cannot be read.
    pub fn load(data: &Path, configured: &[PathBuf]) -> Result<Self, AsnError> {
        let imported = KINDS.map(|kind| stored(data, kind)).into_iter().filter(|f| f.exists());
        let (mut networks, mut countries) = (Vec::new(), Vec::new());
        for file in imported.chain(configured.iter().cloned()) {
            let ranges = read(&file)?.ranges;
            let names_networks = ranges.iter().any(|r| r.owner.asn.is_some());
            if names_networks { networks.extend(ranges) } else { countries.extend(ranges) }
        }
        let networks = Arc::new(AsnTable::build(networks));
        Ok(Self { networks, countries: AsnTable::build(countries) })
    }

    /// Whose `address` is; the network table speaks first, the country table fills in.
    pub fn owner(&self, address: IpAddr) -> Owner {
        let of = |table: &AsnTable| table.lookup(address).cloned().unwrap_or_default();
        of(&self.networks).or(of(&self.countries))
    }

    /// Whose the address of an `ip:port` or a bare `ip` is; empty where it is neither.
    pub fn owner_of_text(&self, remote: &str) -> Owner {
        let address = remote
            .parse::<SocketAddr>()
            .map(|s| s.ip())
            .or_else(|_| remote.trim_matches(['[', ']']).parse::<IpAddr>());
        address.map(|a| self.owner(a)).unwrap_or_default()
    }

    /// Whether nothing was imported.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && self.countries.is_empty()
    }
}

/// What an import did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Ranges kept.
    pub ranges: usize,
    /// Lines or records that could not be read.
    pub refused: usize,
    /// The first of those: its number and the reason.
    pub first_refused: Option<(usize, String)>,
    /// Where they were written.
    pub file: PathBuf,
}

/// Why address ranges could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum AsnError {
    /// The file cannot be read or written.
    #[error("{file}: {source}")]
    Io {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no MaxMind database, or a damaged one.
    #[error("{file}: not a readable MaxMind database: {reason}")]
    Mmdb {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing in the file names a network or a country.
    #[error("{file}: no address range with an AS number or a country in it")]
    Nothing {
        /// The file.
        file: PathBuf,
    },
    /// The file is larger than whyslow takes.
    #[error("{file}: more than {limit} {what}")]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// The limit that was hit.
        limit: u64,
        /// What was counted.
        what: &'static str,
    },
}

impl AsnError {
    /// What the operator can do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Io { .. } => "check the path and its permissions",
            Self::Mmdb { .. } | Self::Nothing { .. } => {
                "give a .mmdb file, or lines of first,last,asn,name or first,last,country"
            }
            Self::TooLarge { .. } => "give a table of networks, not of single addresses",
        }
    }
}

/// Reads `file` and keeps its ranges in the data directory, in place of an earlier import of the
/// same kind.
///
/// # Errors
/// [`AsnError`] where the file cannot be read, holds nothing of use, or the copy fails.
pub fn import(file: &Path, data: &Path) -> Result<Imported, AsnError> {
    let read = read(file)?;
    if read.ranges.is_empty() {
        return Err(AsnError::Nothing { file: file.into() });
    }
    let networks = read.ranges.iter().any(|r| r.owner.asn.is_some());
    let kept = stored(data, KINDS[usize::from(!networks)]);
    write(&kept, &read.ranges).map_err(|source| AsnError::Io { file: kept.clone(), source })?;
    Ok(Imported {
        ranges: read.ranges.len(),
        refused: read.refused,
        first_refused: read.first_refused,
        file: kept,
    })
}

/// What a source held.
#[derive(Debug, Default)]
struct Read {
    ranges: Vec<Range>,
    refused: usize,
    first_refused: Option<(usize, String)>,
}

impl Read {
    fn keep(&mut self, range: Range, file: &Path) -> Result<(), AsnError> {
        if self.ranges.len() == ASN_RANGES_MAX {
            let limit = ASN_RANGES_MAX as u64;
            return Err(AsnError::TooLarge { file: file.into(), limit, what: "ranges" });
        }
        self.ranges.push(range);
        Ok(())
    }

    fn refuse(&mut self, number: usize, reason: &impl ToString) {
        self.refused += 1;
        if self.first_refused.is_none() {
            self.first_refused = Some((number, reason.to_string()));
        }
    }
}

/// Reads a file of either format.
fn read(file: &Path) -> Result<Read, AsnError> {
    let failed = |source| AsnError::Io { file: file.into(), source };
    if fs::metadata(file).map_err(failed)?.len() > ASN_FILE_BYTES_MAX {
        let limit = ASN_FILE_BYTES_MAX;
        return Err(AsnError::TooLarge { file: file.into(), limit, what: "bytes" });
    }
    if mmdb::is_one(file) { mmdb::read(file) } else { read_csv(file) }
}

fn stored(data: &Path, kind: &str) -> PathBuf {
    data.join("asn").join(format!("{kind}.csv"))
}

fn read_csv(file: &Path) -> Result<Read, AsnError> {
    let failed = |source| AsnError::Io { file: file.into(), source };
    let mut lines = BufReader::new(fs::File::open(file).map_err(failed)?);
    let mut read = Read::default();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if lines.read_until(b'\n', &mut line).map_err(failed)? == 0 {
            break;
        }
        match csv::parse(&String::from_utf8_lossy(&line)) {
            Ok(Line::Range(range)) => read.keep(range, file)?,
            Ok(Line::Nothing) => {}
            Err(reason) => read.refuse(number, &reason),
        }
    }
    Ok(read)
}

/// Writes the whole list beside its place first, so that a stop half-way keeps the old one.
fn write(file: &Path, ranges: &[Range]) -> std::io::Result<()> {
    fs::create_dir_all(file.parent().unwrap_or(Path::new(".")))?;
    let beside = file.with_extension("csv.new");
    let mut out = BufWriter::new(fs::File::create(&beside)?);
    writeln!(out, "# first,last,asn,country,name; written by `whyslow asn import`")?;
    for range in ranges {
        let Owner { asn, name, country } = &range.owner;
        let (first, last) = (range.first, range.last);
        let country = country.as_ref().map_or("None", |c| c.as_str());
        match asn {
            Some(asn) => {
                let name =
                    name.as_deref().unwrap_or("").replace('"', "\"\"").replace(['\n', '\r'], " ");
                writeln!(out, "{first},{last},{asn},{country},\"{name}\"")?;
            }
            None => writeln!(out, "{first},{last},{country}")?,
        }
    }
    out.into_inner()?.sync_all()?;
    fs::rename(&beside, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imported(text: &str) -> (tempfile::TempDir, Result<Imported, AsnError>) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ranges.csv");
        fs::write(&file, text).unwrap();
        let result = import(&file, dir.path());
        (dir, result)
    }

    #[test]
    fn what_is_imported_is_found_again_after_a_restart() {
        let (dir, result) =
            imported("192.0.2.0,192.0.2.255,64500,\"A \"\"quoted\"\", name\"\nnonsense:\n");
        let done = result.unwrap();
        assert_eq!((done.ranges, done.refused), (1, 1));
        assert_eq!(
            done.first_refused,
            Some((2, "no address range at the start of the line".into()))
        );
        let tables = Tables::load(dir.path(), &[]).unwrap();
        assert_eq!(tables.owner_of_text("192.0.2.7:443").to_string(), "AS64500 A \"quoted\", name");
        assert!(tables.owner_of_text("not an address").is_empty());
    }

    #[test]
    fn countries_fill_in_what_the_networks_do_not_say() {
        let (dir, result) = imported("192.0.2.0,192.0.2.255,64500,Example\n");
        result.unwrap();
        let file = dir.path().join("countries-source.csv");
        fs::write(&file, "192.0.2.0,192.0.3.255,GB\n").unwrap();
        import(&file, dir.path()).unwrap();
        let tables = Tables::load(dir.path(), &[]).unwrap();
        assert_eq!(tables.owner_of_text("192.0.2.7").to_string(), "AS64500 Example, GB");
        assert_eq!(tables.owner_of_text("192.0.3.7").to_string(), "GB");
    }

    #[test]
    fn a_file_without_ranges_replaces_nothing() {
        let (dir, result) = imported("hello\nworld\n");
        assert!(matches!(result, Err(AsnError::Nothing { .. })));
        assert!(Tables::load(dir.path(), &[]).unwrap().is_empty());
    }
}
