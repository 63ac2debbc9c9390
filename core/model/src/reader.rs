//! A shrinking view over bytes from outside: the only way parsers consume them.

/// Why bytes could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadBytesError {
    /// More bytes may make it valid.
    #[error("the bytes end before {0}")]
    Incomplete(&'static str),
    /// No further byte can make it valid.
    #[error("malformed {0}")]
    Malformed(&'static str),
}

/// The bytes not yet consumed.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader over all of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The bytes not yet consumed.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether everything is consumed.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Consumes `n` bytes; `what` names them in the error.
    ///
    /// # Errors
    /// [`ReadBytesError::Incomplete`] where fewer are left; nothing is consumed then.
    pub fn take(&mut self, n: usize, what: &'static str) -> Result<&'a [u8], ReadBytesError> {
        let Some((head, tail)) = self.rest.split_at_checked(n) else {
            return Err(ReadBytesError::Incomplete(what));
        };
        self.rest = tail;
        Ok(head)
    }

    /// Consumes one byte.
    ///
    /// # Errors
    /// [`ReadBytesError::Incomplete`] where none is left.
    pub fn u8(&mut self, what: &'static str) -> Result<u8, ReadBytesError> {
        self.array::<1>(what).map(|[b]| b)
    }

    /// Consumes a big-endian 16-bit number.
    ///
    /// # Errors
    /// [`ReadBytesError::Incomplete`] where fewer bytes are left.
    pub fn u16(&mut self, what: &'static str) -> Result<u16, ReadBytesError> {
        self.array(what).map(u16::from_be_bytes)
    }

    /// Consumes a big-endian 32-bit number.
    ///
    /// # Errors
    /// [`ReadBytesError::Incomplete`] where fewer bytes are left.
    pub fn u32(&mut self, what: &'static str) -> Result<u32, ReadBytesError> {
        self.array(what).map(u32::from_be_bytes)
    }

    /// Consumes `N` bytes.
    ///
    /// # Errors
    /// [`ReadBytesError::Incomplete`] where fewer are left; nothing is consumed then.
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], ReadBytesError> {
        let Some((head, tail)) = self.rest.split_first_chunk::<N>() else {
            return Err(ReadBytesError::Incomplete(what));
        };
        self.rest = tail;
        Ok(*head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_read_consumes_nothing() {
        let mut r = Reader::new(&[1, 2, 3]);
        assert_eq!(r.u8("kind"), Ok(1));
        assert_eq!(r.u32("length"), Err(ReadBytesError::Incomplete("length")));
        assert_eq!(r.rest(), &[2, 3]);
    }
}
