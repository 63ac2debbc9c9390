//! The records of a TLS 1.3 handshake (RFC 8446): the hellos as they are, sealed ones by their
//! sizes, since what is in them nobody but the two ends can read.

use super::Dice;

const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;

/// Sizes of the server's sealed records: `EncryptedExtensions`, Certificate (two of RSA 2048),
/// `CertificateVerify`, Finished of a suite with SHA-256.
const SERVER_SEALED: [usize; 4] = [32, 2394, 281, 53];
/// The client's Finished.
const CLIENT_FINISHED: usize = 53;

/// The name that is asked for.
pub(super) const SERVER_NAME: &str = "shop.example";

/// A record.
fn record(kind: u8, version: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&[kind, 3, version], &len[..], body].concat()
}

/// A sealed record of so many bytes.
pub(super) fn sealed(dice: &mut Dice, len: usize) -> Vec<u8> {
    record(APPLICATION_DATA, 3, &dice.bytes(len))
}

fn change_cipher_spec() -> Vec<u8> {
    record(CHANGE_CIPHER_SPEC, 3, &[1])
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).unwrap_or(0).to_be_bytes();
    [&[kind], &len[1..], body].concat()
}

/// Bytes behind their length in two bytes.
fn long(body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&len[..], body].concat()
}

fn extension(number: u16, body: &[u8]) -> Vec<u8> {
    [&number.to_be_bytes()[..], &long(body)].concat()
}

/// A `ClientHello` that offers TLS 1.3 and 1.2, padded to the 512 bytes browsers send (RFC 7685).
pub(super) fn client_hello(dice: &mut Dice) -> Vec<u8> {
    let name = SERVER_NAME.as_bytes();
    let server_name = long(&[&[0][..], &long(name)].concat());
    let key_share = long(&[&[0, 0x1d][..], &long(&dice.bytes(32))].concat());
    let mut extensions = [
        extension(0, &server_name),
        extension(10, &[0, 4, 0, 0x1d, 0, 0x17]),
        extension(13, &[0, 8, 4, 3, 8, 4, 4, 1, 8, 5]),
        extension(16, b"\0\x0c\x02h2\x08http/1.1"),
        extension(43, &[4, 3, 4, 3, 3]),
        extension(45, &[1, 1]),
        extension(51, &key_share),
    ]
    .concat();
    let mut body = vec![3, 3];
    body.extend(dice.bytes(32));
    body.push(32);
    body.extend(dice.bytes(32));
    body.extend([0, 10, 0x13, 0x01, 0x13, 0x02, 0x13, 0x03, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0]);
    // The message's header, the extensions' length and the padding's own header.
    let padding = 512_usize.saturating_sub(4 + body.len() + 2 + extensions.len() + 4);
    extensions.extend(extension(21, &vec![0; padding]));
    body.extend(long(&extensions));
    record(HANDSHAKE, 1, &message(CLIENT_HELLO, &body))
}

/// `ServerHello` to Finished: one flight.
pub(super) fn server_flight(dice: &mut Dice) -> Vec<u8> {
    let key_share = [&[0, 0x1d][..], &long(&dice.bytes(32))].concat();
    let extensions = [extension(43, &[3, 4]), extension(51, &key_share)].concat();
    let mut body = vec![3, 3];
    body.extend(dice.bytes(32));
    body.push(32);
    body.extend(dice.bytes(32));
    body.extend([0x13, 0x01, 0]);
    body.extend(long(&extensions));
    let mut flight = record(HANDSHAKE, 3, &message(SERVER_HELLO, &body));
    flight.extend(change_cipher_spec());
    SERVER_SEALED.into_iter().for_each(|len| flight.extend(sealed(dice, len)));
    flight
}

/// The client's `ChangeCipherSpec` and Finished.
pub(super) fn client_finished(dice: &mut Dice) -> Vec<u8> {
    [change_cipher_spec(), sealed(dice, CLIENT_FINISHED)].concat()
}
