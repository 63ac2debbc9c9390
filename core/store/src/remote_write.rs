//! The bytes of a remote-write 1.0 request: protocol buffers, read without copying.
//!
//! Source: prometheus.io/docs/specs/prw/remote_write_spec (1.0), `prompb/remote.proto` and
//! `prompb/types.proto`. Fields we do not know are skipped, as protocol buffers ask for.

use whyslow_model::reader::{ReadBytesError, Reader};

/// One series of a request; its buffers are used again for the next one.
#[derive(Debug, Default)]
pub struct Series {
    /// The label fields as they came, one after the other: the series' name on the wire.
    pub label_bytes: Vec<u8>,
    /// Milliseconds since the epoch, and the value.
    pub samples: Vec<(i64, f64)>,
    /// Native histograms, which are not stored.
    pub histograms: u64,
}

/// What a sender says about a metric family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Family<'a> {
    /// The family's name.
    pub name: &'a str,
    /// What it means, for people.
    pub help: &'a str,
    /// Its unit.
    pub unit: &'a str,
    /// `counter`, `gauge`, `histogram`, …
    pub kind: &'static str,
}

/// What the next item of a request is; a series itself is in the buffer that was handed in.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A series.
    Series,
    /// A description.
    Family(Family<'a>),
}

/// Reads the next item; `None` at the end of the request.
///
/// # Errors
/// Where the bytes are no remote-write request.
pub fn next_item<'a>(
    request: &mut Reader<'a>,
    series: &mut Series,
) -> Result<Option<Item<'a>>, ReadBytesError> {
    while !request.is_empty() {
        match field(request)? {
            (1, Value::Bytes(bytes)) => {
                read_series(bytes, series)?;
                return Ok(Some(Item::Series));
            }
            (3, Value::Bytes(bytes)) => return Ok(Some(Item::Family(read_family(bytes)?))),
            (1 | 3, _) => return Err(ReadBytesError::Malformed("field of a write request")),
            _ => {}
        }
    }
    Ok(None)
}

/// The name and value of each label in [`Series::label_bytes`].
///
/// # Errors
/// Where a label is no pair of UTF-8 texts.
pub fn read_labels<'a>(
    label_bytes: &'a [u8],
    labels: &mut Vec<(&'a str, &'a str)>,
) -> Result<(), ReadBytesError> {
    labels.clear();
    let mut fields = Reader::new(label_bytes);
    while !fields.is_empty() {
        if let (1, Value::Bytes(bytes)) = field(&mut fields)? {
            labels.push(read_label(bytes)?);
        }
    }
    Ok(())
}

/// For the fuzzer: reads a whole request, labels included. It yields no more than its bytes can
/// hold: of a sample, a histogram or a label two each at least.
pub fn fuzz_remote_write(bytes: &[u8]) {
    let (mut request, mut series) = (Reader::new(bytes), Series::default());
    let mut before = request.rest().len();
    while let Ok(Some(item)) = next_item(&mut request, &mut series) {
        let taken = before - request.rest().len();
        before -= taken;
        if item != Item::Series {
            continue;
        }
        let told = series.label_bytes.len() + 2 * series.samples.len();
        assert!(told as u64 + 2 * series.histograms <= taken as u64, "more than {taken} bytes say");
        let mut labels = Vec::new();
        // A broken label breaks its series only.
        if read_labels(&series.label_bytes, &mut labels).is_ok() {
            let text: usize = labels.iter().map(|(name, value)| name.len() + value.len()).sum();
            assert!(text + 2 * labels.len() <= series.label_bytes.len());
        }
    }
}

fn read_series(bytes: &[u8], series: &mut Series) -> Result<(), ReadBytesError> {
    series.label_bytes.clear();
    series.samples.clear();
    series.histograms = 0;
    let mut fields = Reader::new(bytes);
    while !fields.is_empty() {
        let before = fields.rest();
        match field(&mut fields)? {
            (1, Value::Bytes(_)) => {
                let used = before.len() - fields.rest().len();
                series.label_bytes.extend_from_slice(before.split_at(used).0);
            }
            (2, Value::Bytes(sample)) => series.samples.push(read_sample(sample)?),
            (4, Value::Bytes(_)) => series.histograms += 1,
            (1 | 2 | 4, _) => return Err(ReadBytesError::Malformed("field of a series")),
            _ => {}
        }
    }
    Ok(())
}

fn read_label(bytes: &[u8]) -> Result<(&str, &str), ReadBytesError> {
    let (mut name, mut value) = ("", "");
    let mut fields = Reader::new(bytes);
    while !fields.is_empty() {
        match field(&mut fields)? {
            (1, Value::Bytes(text)) => name = utf8(text)?,
            (2, Value::Bytes(text)) => value = utf8(text)?,
            (1 | 2, _) => return Err(ReadBytesError::Malformed("field of a label")),
            _ => {}
        }
    }
    Ok((name, value))
}

fn read_sample(bytes: &[u8]) -> Result<(i64, f64), ReadBytesError> {
    let (mut at_ms, mut value) = (0, 0.0);
    let mut fields = Reader::new(bytes);
    while !fields.is_empty() {
        match field(&mut fields)? {
            (1, Value::Fixed64(bits)) => value = f64::from_bits(bits),
            (2, Value::Varint(n)) => at_ms = n.cast_signed(),
            (1 | 2, _) => return Err(ReadBytesError::Malformed("field of a sample")),
            _ => {}
        }
    }
    Ok((at_ms, value))
}

fn read_family(bytes: &[u8]) -> Result<Family<'_>, ReadBytesError> {
    let mut family = Family { kind: "unknown", ..Family::default() };
    let mut fields = Reader::new(bytes);
    while !fields.is_empty() {
        match field(&mut fields)? {
            (1, Value::Varint(kind)) => family.kind = family_kind(kind),
            (2, Value::Bytes(text)) => family.name = utf8(text)?,
            (4, Value::Bytes(text)) => family.help = utf8(text)?,
            (5, Value::Bytes(text)) => family.unit = utf8(text)?,
            (1 | 2 | 4 | 5, _) => return Err(ReadBytesError::Malformed("field of a description")),
            _ => {}
        }
    }
    Ok(family)
}

const fn family_kind(kind: u64) -> &'static str {
    match kind {
        1 => "counter",
        2 => "gauge",
        3 => "histogram",
        4 => "gaugehistogram",
        5 => "summary",
        6 => "info",
        7 => "stateset",
        _ => "unknown",
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, ReadBytesError> {
    std::str::from_utf8(bytes).map_err(|_| ReadBytesError::Malformed("UTF-8 text"))
}

/// The value of one field, by its wire type.
enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

/// One field: its number and value.
#[inline]
fn field<'a>(from: &mut Reader<'a>) -> Result<(u64, Value<'a>), ReadBytesError> {
    let tag = varint(from)?;
    let value = match tag & 7 {
        0 => Value::Varint(varint(from)?),
        1 => Value::Fixed64(u64::from_le_bytes(from.array("64-bit value")?)),
        2 => {
            let length = usize::try_from(varint(from)?)
                .map_err(|_| ReadBytesError::Malformed("length of a field"))?;
            Value::Bytes(from.take(length, "the end of a field")?)
        }
        5 => {
            from.take(4, "32-bit value")?;
            Value::Fixed32
        }
        _ => return Err(ReadBytesError::Malformed("wire type")),
    };
    Ok((tag >> 3, value))
}

/// A number of up to ten bytes, seven bits in each, least first.
#[inline]
fn varint(from: &mut Reader<'_>) -> Result<u64, ReadBytesError> {
    let mut number = 0;
    for shift in (0..70).step_by(7) {
        let byte = from.u8("the end of a number")?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(ReadBytesError::Malformed("number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `bytes` as the length-delimited field `number`.
    fn field_of(number: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u8::try_from(bytes.len()).unwrap();
        assert!(length < 0x80, "one byte of length is enough for a test");
        [&[number << 3 | 2, length], bytes].concat()
    }

    fn label(name: &str, value: &str) -> Vec<u8> {
        field_of(1, &[field_of(1, name.as_bytes()), field_of(2, value.as_bytes())].concat())
    }

    fn sample(at_ms: u8, value: f64) -> Vec<u8> {
        field_of(2, &[&[1 << 3 | 1][..], &value.to_le_bytes(), &[2 << 3, at_ms]].concat())
    }

    fn example() -> Vec<u8> {
        let family = [&[1 << 3, 1][..], &field_of(2, b"a"), &field_of(4, b"h"), &field_of(5, b"s")];
        let unknown = [&[9 << 3 | 5, 1, 2, 3, 4][..], &field_of(15, b"x")].concat();
        let first = [label("__name__", "a"), label("job", "ü"), sample(5, 1.5), sample(6, -0.0)];
        let second = [label("__name__", "b"), field_of(4, b"histogram"), unknown];
        [field_of(1, &first.concat()), field_of(1, &second.concat()), field_of(3, &family.concat())]
            .concat()
    }

    #[test]
    fn series_and_descriptions_are_read_and_unknown_fields_skipped() {
        let bytes = example();
        let (mut request, mut series) = (Reader::new(&bytes), Series::default());
        assert_eq!(next_item(&mut request, &mut series), Ok(Some(Item::Series)));
        let mut labels = Vec::new();
        read_labels(&series.label_bytes, &mut labels).unwrap();
        assert_eq!(labels, [("__name__", "a"), ("job", "ü")]);
        assert_eq!(series.samples, [(5, 1.5), (6, -0.0)]);
        assert_eq!(next_item(&mut request, &mut series), Ok(Some(Item::Series)));
        assert_eq!((series.samples.len(), series.histograms), (0, 1));
        let family = Family { name: "a", help: "h", unit: "s", kind: "counter" };
        assert_eq!(next_item(&mut request, &mut series), Ok(Some(Item::Family(family))));
        assert_eq!(next_item(&mut request, &mut series), Ok(None));
    }

    #[test]
    fn a_negative_time_takes_ten_bytes() {
        let bytes = [2 << 3, 0xfb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(read_sample(&bytes), Ok((-5, 0.0)));
    }

    #[test]
    fn every_prefix_ends_cleanly() {
        let bytes = example();
        for end in 0..bytes.len() {
            fuzz_remote_write(&bytes[..end]);
        }
    }

    #[test]
    fn a_length_beyond_the_request_reserves_nothing() {
        let bytes = [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        let end = next_item(&mut Reader::new(&bytes), &mut Series::default());
        assert_eq!(end, Err(ReadBytesError::Incomplete("the end of a field")));
    }

    #[test]
    fn a_number_without_end_is_malformed() {
        let end = next_item(&mut Reader::new(&[0xff; 32]), &mut Series::default());
        assert_eq!(end, Err(ReadBytesError::Malformed("number")));
    }
}
