//! Ranges from a MaxMind database, whichever of the common record shapes it has.

use std::fs;
use std::io::{Read as _, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use ipnet::IpNet;
use maxminddb::{MaxMindDbError, Reader, WithinOptions};
use serde::Deserialize;
use whyslow_model::asn::{Country, Owner, Range};

use super::{AsnError, Read};

/// The bytes before the metadata section, which stands in the file's last 128 KiB.
const MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";
const METADATA_BYTES_MAX: u64 = 128 << 10;

/// Whether the file ends like a MaxMind database, whatever it is called.
pub(super) fn is_one(file: &Path) -> bool {
    let tail = || -> std::io::Result<Vec<u8>> {
        let mut open = fs::File::open(file)?;
        let size = open.metadata()?.len();
        open.seek(SeekFrom::Start(size.saturating_sub(METADATA_BYTES_MAX)))?;
        let mut tail = Vec::new();
        open.take(METADATA_BYTES_MAX).read_to_end(&mut tail)?;
        Ok(tail)
    };
    tail().is_ok_and(|t| t.windows(MARKER.len()).any(|w| w == MARKER))
}

/// All networks of the database that name an AS or a country.
pub(super) fn read(file: &Path) -> Result<Read, AsnError> {
    let broken = |e: MaxMindDbError| AsnError::Mmdb { file: file.into(), reason: e.to_string() };
    let database = Reader::open_readfile(file).map_err(broken)?;
    let mut read = Read::default();
    for (number, found) in (1..).zip(database.networks(WithinOptions::default()).map_err(broken)?) {
        let record = found.and_then(|f| Ok((f.network()?, f.decode::<Record>()?)));
        match record {
            Ok((network, Some(record))) => {
                let Ok(net) = network.to_string().parse::<IpNet>() else { continue };
                let owner = record.owner();
                if !owner.is_empty() {
                    let range = Range { first: net.network(), last: net.broadcast(), owner };
                    read.keep(range, file)?;
                }
            }
            Ok((_, None)) => {}
            Err(e) => read.refuse(number, &e),
        }
    }
    Ok(read)
}

/// The fields that the databases in use spell in one of these ways.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Record {
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<String>,
    asn: Option<Asn>,
    as_name: Option<String>,
    name: Option<String>,
    country: Option<Place>,
    country_code: Option<String>,
    registered_country: Option<Place>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Asn {
    Number(u32),
    Text(String),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Place {
    Code(String),
    Fields { iso_code: Option<String> },
}

impl Place {
    fn country(&self) -> Option<Country> {
        match self {
            Self::Code(code) => Country::new(code),
            Self::Fields { iso_code } => Country::new(iso_code.as_deref()?),
        }
    }
}

impl Record {
    fn owner(self) -> Owner {
        let asn = self.autonomous_system_number.or_else(|| match self.asn? {
            Asn::Number(n) => Some(n),
            Asn::Text(t) => t.trim_start_matches("AS").parse().ok(),
        });
        let name = self.autonomous_system_organization.or(self.as_name).or(self.name);
        let country = self.country.as_ref().and_then(Place::country);
        let country = country.or_else(|| Country::new(self.country_code.as_deref()?));
        let country = country.or_else(|| self.registered_country?.country());
        let asn = asn.filter(|n| *n != 0);
        let name = name.filter(|_| asn.is_some()).map(Arc::from);
        Owner { asn, name, country }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes the smallest database that holds one network: 192.0.0.0/2 with the given record.
    ///
    /// The format is MaxMind DB 2.0: a search tree of two nodes with 24-bit records, 16 zero
    /// bytes, the data section, the marker, and the metadata map.
    fn tiny(record: &[u8]) -> Vec<u8> {
        let nodes = 2_u32;
        let data = nodes + 16;
        let mut out = Vec::new();
        for node in [[nodes, 1], [nodes, data]] {
            for to in node {
                out.extend_from_slice(&to.to_be_bytes()[1..]);
            }
        }
        out.extend_from_slice(&[0; 16]);
        out.extend_from_slice(record);
        out.extend_from_slice(MARKER);
        let fields: Vec<Vec<u8>> = vec![
            [text("binary_format_major_version"), number(2)].concat(),
            [text("binary_format_minor_version"), number(0)].concat(),
            [text("build_epoch"), vec![0x04, 0x02, 1, 2, 3, 4]].concat(),
            [text("database_type"), text("Test-ASN")].concat(),
            [text("description"), vec![0xe0]].concat(),
            [text("ip_version"), number(4)].concat(),
            [text("languages"), vec![0x00, 0x04]].concat(),
            [text("node_count"), vec![0xc4, 0, 0, 0, 2]].concat(),
            [text("record_size"), number(24)].concat(),
        ];
        out.push(0xe0 | u8::try_from(fields.len()).unwrap());
        out.extend(fields.concat());
        out
    }

    /// A UTF-8 string of up to 28 bytes.
    fn text(t: &str) -> Vec<u8> {
        [&[0x40 | u8::try_from(t.len()).unwrap()], t.as_bytes()].concat()
    }

    /// An unsigned 16-bit number in one byte.
    fn number(n: u8) -> Vec<u8> {
        vec![0xa1, n]
    }

    fn imported(record: &[u8]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("any.mmdb");
        fs::write(&file, tiny(record)).unwrap();
        assert!(is_one(&file));
        super::super::import(&file, dir.path()).unwrap();
        let tables = super::super::Tables::load(dir.path(), &[]).unwrap();
        assert!(tables.owner_of_text("127.0.0.1").is_empty());
        tables.owner_of_text("192.0.2.1").to_string()
    }

    #[test]
    fn the_usual_record_of_a_network_database_is_read() {
        let record = [
            vec![0xe2],
            text("autonomous_system_number"),
            vec![0xc3, 0x00, 0xfb, 0xf4],
            text("autonomous_system_organization"),
            vec![],
        ];
        // Thirty bytes and more need a second length byte: 0x5d, then the length less 29.
        let organization = "autonomous_system_organization";
        let mut bytes = record[..3].concat();
        bytes.extend([0x5d, u8::try_from(organization.len() - 29).unwrap()]);
        bytes.extend(organization.as_bytes());
        bytes.extend(text("Example Net"));
        assert_eq!(imported(&bytes), "AS64500 Example Net");
    }

    #[test]
    fn a_country_is_read_as_text_or_as_a_map() {
        let nested =
            [vec![0xe1], text("country"), vec![0xe1], text("iso_code"), text("GB")].concat();
        assert_eq!(imported(&nested), "GB");
        let flat = [vec![0xe1], text("country_code"), text("GB")].concat();
        assert_eq!(imported(&flat), "GB");
    }

    #[test]
    fn a_damaged_record_is_refused_and_never_a_panic() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("torn.mmdb");
        let whole = tiny(&[vec![0xe1], text("country_code"), text("GB")].concat());
        // Behind the tree and its 16 zero bytes: the record and the metadata's own words.
        for bent in 28..70 {
            let mut bytes = whole.clone();
            bytes[bent] ^= 0xff;
            fs::write(&file, bytes).unwrap();
            let _ = super::super::import(&file, dir.path());
        }
    }
}
