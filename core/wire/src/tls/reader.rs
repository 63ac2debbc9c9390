//! A shrinking view of bytes; every reader in this module goes through it.

/// The bytes that are left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// The next `n` bytes, or nothing where there are fewer.
    pub(crate) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.left.split_at_checked(n)?;
        self.left = left;
        Some(taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|b| u16::from_be_bytes([b[0], b[1]]))
    }

    /// A vector behind its length of one byte: what of it there is, and whether that is all.
    pub(crate) fn vec8(&mut self) -> Option<(&'a [u8], bool)> {
        let n = usize::from(self.u8()?);
        Some(self.at_most(n))
    }

    /// A vector behind its length of two bytes.
    pub(crate) fn vec16(&mut self) -> Option<(&'a [u8], bool)> {
        let n = usize::from(self.u16()?);
        Some(self.at_most(n))
    }

    fn at_most(&mut self, n: usize) -> (&'a [u8], bool) {
        let there = n.min(self.left.len());
        let (taken, left) = self.left.split_at(there);
        self.left = left;
        (taken, there == n)
    }
}
