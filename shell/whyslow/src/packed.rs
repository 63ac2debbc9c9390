//! Packed files, read as what they hold: gzip and zstd.

use std::io::{self, Cursor, Read};

/// How a file is packed, by its first bytes (RFC 1952, section 2.3.1; RFC 8878, section 3.1.1).
pub(crate) enum Packing {
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

/// How what begins with these bytes is packed; `None` where it is not.
pub(crate) fn packing(first: &[u8]) -> Option<Packing> {
    match first {
        [0x1f, 0x8b, ..] => Some(Packing::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Packing::Zstd),
        _ => None,
    }
}

/// The bytes by which it is told how an input is packed; fewer where it is shorter.
///
/// # Errors
/// As reading does.
pub(crate) fn first_bytes(input: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut first = Vec::new();
    input.take(4).read_to_end(&mut first)?;
    Ok(first)
}

/// What an input holds, unpacked on the way where it is packed.
///
/// # Errors
/// As reading does, and where a packed input's first frame is none.
pub(crate) fn unpacked(mut input: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let first = first_bytes(&mut input)?;
    let packing = packing(&first);
    let whole = Cursor::new(first).chain(input);
    Ok(match packing {
        // A rotated log may hold several members behind one another.
        Some(Packing::Gzip) => Box::new(flate2::read::MultiGzDecoder::new(whole)),
        Some(Packing::Zstd) => Box::new(Frames::new(Box::new(whole))?),
        None => Box::new(whole),
    })
}

type Zstd =
    ruzstd::decoding::StreamingDecoder<Box<dyn Read + Send>, ruzstd::decoding::FrameDecoder>;

/// All frames of a zstd file, one behind the other.
struct Frames(Option<Zstd>);

impl Frames {
    fn new(input: Box<dyn Read + Send>) -> io::Result<Self> {
        let frame = Zstd::new(input).map_err(|e| told(&e))?;
        Ok(Self(Some(frame)))
    }
}

/// What is wrong with zstd data, as reading itself would say it: the decoder's own words are its
/// insides.
fn told(error: &(dyn std::error::Error + 'static)) -> io::Error {
    let causes = std::iter::successors(Some(error), |error| error.source());
    match causes.filter_map(|error| error.downcast_ref::<io::Error>()).next() {
        Some(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
            io::Error::new(e.kind(), "incomplete zstd frame")
        }
        Some(e) => io::Error::new(e.kind(), e.to_string()),
        None => io::Error::new(io::ErrorKind::InvalidData, "corrupt zstd frame"),
    }
}

impl Read for Frames {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while let Some(frame) = &mut self.0 {
            let n = frame
                .read(into)
                .map_err(|e| e.get_ref().map_or_else(|| e.kind().into(), |inside| told(inside)))?;
            if n > 0 || into.is_empty() {
                return Ok(n);
            }
            let mut input = match self.0.take() {
                Some(frame) => frame.into_inner(),
                None => break,
            };
            let next = first_bytes(&mut input)?;
            if !next.is_empty() {
                *self = Self::new(Box::new(Cursor::new(next).chain(input)))?;
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zstd_data_that_is_cut_or_damaged_is_told_apart_in_plain_words() {
        let level = ruzstd::encoding::CompressionLevel::Fastest;
        let text: Vec<u8> = (0..200_000_u32).flat_map(|n| n.to_string().into_bytes()).collect();
        let packed = ruzstd::encoding::compress_to_vec(&*text, level);
        let read = |bytes: Vec<u8>| -> io::Result<Vec<u8>> {
            let mut all = Vec::new();
            unpacked(Box::new(Cursor::new(bytes)))?.read_to_end(&mut all)?;
            Ok(all)
        };
        assert_eq!(read(packed.clone()).unwrap(), text);
        for cut in [5, 7, 9, packed.len() / 2, packed.len() - 1] {
            let error = read(packed[..cut].to_vec()).unwrap_err();
            let said = (error.kind(), error.to_string());
            assert_eq!(said, (io::ErrorKind::UnexpectedEof, "incomplete zstd frame".to_owned()));
        }
        // The first block's type becomes the one that is reserved.
        let mut damaged = packed;
        let header = damaged.iter().take(18).copied().collect::<Vec<_>>();
        damaged[header.len() - 1..].iter_mut().for_each(|byte| *byte = 0xff);
        let error = read(damaged).unwrap_err();
        assert!(!error.to_string().contains("Error"), "{error}");
    }
}
