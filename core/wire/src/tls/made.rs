//! TLS messages for tests: true ones where they are read, sized ones where only sizes count.

/// A record.
pub(crate) fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind, 3, 3], &len[..], body].concat()
}

/// A sealed record of TLS 1.3.
pub(crate) fn sealed(len: usize) -> Vec<u8> {
    record(23, &vec![0x5a; len])
}

/// `ChangeCipherSpec`.
pub(crate) fn ccs() -> Vec<u8> {
    record(20, &[1])
}

/// A handshake message.
pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind], &len[1..], body].concat()
}

/// An extension.
pub(crate) fn extension(number: u16, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&number.to_be_bytes(), &len, body].concat()
}

/// A `ClientHello` of 1.3, with these extensions besides server name, ALPN and versions.
pub(crate) fn client_hello(more: &[Vec<u8>]) -> Vec<u8> {
    let mut extensions = vec![
        extension(0, b"\0\x0f\0\0\x0cshop.example"),
        extension(16, b"\0\x0c\x02h2\x08http/1.1"),
        extension(13, &[0, 4, 4, 3, 8, 4]),
    ];
    extensions.extend_from_slice(more);
    let extensions = extensions.concat();
    let mut body = vec![3, 3];
    body.extend([0x11; 32]);
    body.push(32);
    body.extend([0x22; 32]);
    body.extend([0, 6, 0x13, 0x01, 0x13, 0x02, 0xc0, 0x2b, 1, 0]);
    body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend(extensions);
    message(1, &body)
}

/// `supported_versions` with 1.3 and 1.2.
pub(crate) fn versions() -> Vec<u8> {
    extension(43, &[4, 3, 4, 3, 3])
}

/// A `ServerHello`.
pub(crate) fn server_hello(random: &[u8; 32], cipher: u16, extensions: &[Vec<u8>]) -> Vec<u8> {
    let extensions = extensions.concat();
    let mut body = vec![3, 3];
    body.extend(random);
    body.push(32);
    body.extend([0x22; 32]);
    body.extend(cipher.to_be_bytes());
    body.push(0);
    body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend(extensions);
    message(2, &body)
}

/// A `ServerHello` of 1.3 with SHA-256, with these extensions besides its version.
pub(crate) fn server_hello_1_3(more: &[Vec<u8>]) -> Vec<u8> {
    let extensions = [vec![extension(43, &[3, 4])], more.to_vec()].concat();
    server_hello(&[0x33; 32], 0x1301, &extensions)
}
