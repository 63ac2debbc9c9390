//! What a file that is no capture looks like, for an error that helps.

/// First bytes and what they are the first bytes of.
const KINDS: &[(&[u8], &str)] = &[
    (b"\x1f\x8b", "gzip data within the capture, or compressed twice"),
    (b"\x28\xb5\x2f\xfd", "zstd data"),
    (b"\xfd7zXZ\0", "xz data"),
    (b"BZh", "bzip2 data"),
    (b"\x04\x22\x4d\x18", "lz4 data"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x7fELF", "an ELF program"),
    (b"MZ", "a Windows program"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"%PDF", "a PDF document"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"snoop\0\0\0", "a Solaris snoop capture"),
    (b"GMBU", "a Microsoft Network Monitor capture"),
    (b"RTSS", "a Microsoft Network Monitor capture"),
    (b"TRSNIFF data", "a Network General Sniffer capture"),
    (b"XCP\0", "a NetXray capture"),
    (b"BPF\0", "a compiled eBPF object"),
];

/// Names the kind of file that begins with `head`.
pub(super) fn like(head: &[u8]) -> &'static str {
    if let Some((_, kind)) = KINDS.iter().find(|(magic, _)| head.starts_with(magic)) {
        return kind;
    }
    // A character may be cut at the end of what is there.
    let text = match std::str::from_utf8(head) {
        Ok(text) => Some(text),
        Err(e) if e.error_len().is_none() => std::str::from_utf8(&head[..e.valid_up_to()]).ok(),
        Err(_) => None,
    };
    match text {
        Some(text) if text.starts_with('\0') && text.chars().all(|c| c == '\0') => "zeros only",
        Some(text) if text.chars().all(|c| !c.is_control() || c.is_ascii_whitespace()) => {
            match text.trim_start().as_bytes() {
                [b'{' | b'[', ..] => "JSON",
                [b'<', ..] => "XML or HTML",
                [b'#', b'!', ..] => "a script",
                _ => "text",
            }
        }
        _ => "binary data of no known kind",
    }
}
