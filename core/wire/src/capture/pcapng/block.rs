//! The inside of one block: numbers in the section's byte order, padded bytes, options.

/// Reads numbers in the byte order of a section.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    pub big_endian: bool,
}

impl Fields {
    pub(super) const fn u32(self, bytes: [u8; 4]) -> u32 {
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    pub(super) const fn u16(self, bytes: [u8; 2]) -> u16 {
        if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    /// An option that is a number of 64 bits.
    pub(super) fn number(self, value: &[u8]) -> Option<u64> {
        let bytes = <[u8; 8]>::try_from(value).ok()?;
        Some(if self.big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }

    /// The direction in a packet's flags: whether it was sent.
    pub(super) fn direction(self, value: &[u8]) -> Option<bool> {
        match self.u32(<[u8; 4]>::try_from(value).ok()?) & 3 {
            1 => Some(false),
            2 => Some(true),
            _ => None,
        }
    }
}

/// What of a block's body is still to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'a> {
    pub fields: Fields,
    pub body: &'a [u8],
}

/// A block whose body is too short for what its type demands.
const SHORT: &str = "a block too short for its type";

impl<'a> Block<'a> {
    pub(super) fn u16(&mut self) -> Result<u16, &'static str> {
        self.array().map(|bytes| self.fields.u16(bytes))
    }

    pub(super) fn u32(&mut self) -> Result<u32, &'static str> {
        self.array().map(|bytes| self.fields.u32(bytes))
    }

    /// A time stamp: its upper half first, whatever the byte order.
    pub(super) fn u64_halves(&mut self) -> Result<u64, &'static str> {
        let upper = u64::from(self.u32()?);
        Ok(upper << 32 | u64::from(self.u32()?))
    }

    /// `len` bytes and the padding behind them.
    pub(super) fn padded(&mut self, len: usize) -> Result<&'a [u8], &'static str> {
        let bytes = self.body.get(..len).ok_or(SHORT)?;
        self.body = self.body.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let (head, rest) = self.body.split_first_chunk::<N>().ok_or(SHORT)?;
        self.body = rest;
        Ok(*head)
    }
}

/// The options at the end of a block, by code; broken ones end the list, for what stood before
/// them is good.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options<'a>(pub Block<'a>);

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.body.is_empty() {
            return None;
        }
        let (code, len) = (self.0.u16().ok()?, self.0.u16().ok()?);
        if code == 0 {
            return None;
        }
        let value = self.0.padded(usize::from(len)).ok()?;
        Some((code, value))
    }
}
