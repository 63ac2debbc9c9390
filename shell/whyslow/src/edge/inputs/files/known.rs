//! Files that are known and not followed: what was there before the source was, what was read to
//! its end, copies. A file under a rotated name that is none of them is yet to be read.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::super::super::resume::KnownFile;
use super::super::super::worker::FileId;
use super::follow::{Follow, HEAD_BYTES_SURE};

/// Files kept in mind; beyond, those of the lowest numbers are forgotten, and with them only that
/// they are no strays.
const KNOWN_MAX: usize = 1024;

/// First bytes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// How many.
    pub(super) bytes: usize,
    /// Their digest.
    pub(super) digest: String,
}

impl Head {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len(), digest: digest(bytes) }
    }

    /// Whether a file begins so.
    fn is_of(&self, file: &Follow) -> bool {
        file.digest(self.bytes).is_some_and(|digest| digest == self.digest)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<FileId, Head>);

impl Known {
    /// As it was stored.
    pub(super) fn stored(files: &[KnownFile]) -> Self {
        let head = |file: &KnownFile| Head { bytes: file.head_bytes, digest: file.digest.clone() };
        Self(files.iter().map(|file| (file.id, head(file))).collect())
    }

    /// As it is stored.
    pub(super) fn listed(&self) -> Vec<KnownFile> {
        let of = |(id, head): (&FileId, &Head)| KnownFile {
            id: *id,
            head_bytes: head.bytes,
            digest: head.digest.clone(),
        };
        self.0.iter().map(of).collect()
    }

    /// Keeps a file in mind.
    pub(super) fn add(&mut self, file: &Follow) {
        self.0.insert(file.id, Head::of(file.head()));
        if self.0.len() > KNOWN_MAX {
            self.0.pop_first();
        }
    }

    /// Whether a file is known: by its number, or by its first bytes, since a copy and a packed
    /// file have another number. A number alone says nothing: it is given again.
    pub(super) fn has(&self, file: &Follow) -> bool {
        let mut digests = BTreeMap::new();
        let mut is = |head: &Head| {
            let own = digests.entry(head.bytes).or_insert_with(|| file.digest(head.bytes));
            // A few bytes are those of a file only where it has no more.
            let sure = head.bytes >= HEAD_BYTES_SURE || head.bytes == file.head().len();
            head.bytes > 0 && sure && own.as_ref() == Some(&head.digest)
        };
        self.has_number(file) || self.0.values().any(&mut is)
    }

    /// Whether a file is known by its number.
    pub(super) fn has_number(&self, file: &Follow) -> bool {
        self.0.get(&file.id).is_some_and(|head| head.is_of(file))
    }

    /// Lets go of a file.
    pub(super) fn remove(&mut self, id: FileId) {
        self.0.remove(&id);
    }

    /// Lets go of all but some.
    pub(super) fn retain(&mut self, stays: impl Fn(FileId) -> bool) {
        self.0.retain(|id, _| stays(*id));
    }
}

/// A digest by which first bytes are known again.
pub(super) fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().take(16).fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
