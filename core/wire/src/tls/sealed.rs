//! What the sizes of sealed TLS 1.3 records say. A record's length is that of its content, one byte
//! of type, and the seal (RFC 8446, section 5.2); nobody pads handshakes in practice.

use super::flight::Piece;
use super::record::APPLICATION_DATA;

/// The seal of every suite but the CCM ones with the short tag, and the byte of type.
const SEAL: u32 = 17;
const MESSAGE_HEADER: u32 = 4;
/// An alert: two bytes.
pub(crate) const ALERT: u32 = 2 + SEAL;
/// `EndOfEarlyData`: a message of nothing.
pub(crate) const END_OF_EARLY_DATA: u32 = MESSAGE_HEADER + SEAL;
/// The longest record without padding (RFC 8446, section 5.1): messages that fill it go on in the
/// next one.
pub(crate) const LEN_MAX: u32 = (1 << 14) + SEAL;
/// More than this no session ticket has that a server sends for speed.
pub(crate) const TICKET_MAX: u32 = 1500;

/// Whether a record may hold a Finished and nothing else, under this suite.
pub(crate) const fn is_finished(len: u32, cipher: Option<u16>) -> bool {
    let (sha256, sha384) = (MESSAGE_HEADER + 32 + SEAL, MESSAGE_HEADER + 48 + SEAL);
    match cipher {
        Some(TLS_AES_256_GCM_SHA384) => len == sha384,
        // The tag of this suite has 8 bytes.
        Some(TLS_AES_128_CCM_8_SHA256) => len == sha256 - 8,
        Some(_) => len == sha256,
        None => len == sha256 || len == sha384,
    }
}

/// Which of the server's records ends its first flight, if the sizes tell: its Finished.
///
/// `EncryptedExtensions` comes before, so it is never the first; and without a pre-shared key a
/// certificate and its proof do too, where each message has its own record.
pub(crate) fn finished(
    pieces: &[Piece],
    cipher: Option<u16>,
    resumed: Option<bool>,
) -> Option<usize> {
    let sealed = pieces.iter().enumerate().filter(|(_, p)| p.record.kind == APPLICATION_DATA);
    let candidates =
        sealed.enumerate().filter(|(nth, (_, p))| *nth > 0 && is_finished(p.record.len, cipher));
    let mut early = None;
    for (nth, (i, _)) in candidates {
        if resumed == Some(true) || nth >= 3 {
            return early.filter(|_| resumed == Some(true)).or(Some(i));
        }
        early = early.or(Some(i));
    }
    early
}

const TLS_AES_256_GCM_SHA384: u16 = 0x1302;
const TLS_AES_128_CCM_8_SHA256: u16 = 0x1305;
