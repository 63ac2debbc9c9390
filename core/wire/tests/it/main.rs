//! Real handshakes: bytes of OpenSSL 3.0 talking to itself, and what tshark says of them.

mod handshakes;
