//! A TLS handshake on an open connection.

use std::io;

use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, Error, ProtocolVersion};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use whyslow_model::conversation::{TlsAsk, TlsDone, TlsFault};
use whyslow_sys::clock::{mono, wall};

use crate::faults;
use crate::trust::{self, Prepared, Store};

/// Shakes hands; the stream comes back where that ended well, whoever was met. The kernel's view
/// is the caller's to add.
pub(crate) async fn greet(
    store: &Store,
    stream: TcpStream,
    ask: &TlsAsk,
) -> (TlsDone, Option<TlsStream<TcpStream>>) {
    let began = mono();
    let mut done = TlsDone {
        began,
        ended: began,
        version: None,
        cipher: None,
        alpn: None,
        resumed: None,
        chain: Vec::new(),
        untrusted: None,
        name_fits: true,
        fault: None,
        tcp: None,
    };
    let failed = |mut done: TlsDone, fault| {
        done.fault = Some(fault);
        done.ended = mono();
        (done, None)
    };
    let prepared = match store.prepared(&ask.trust, &ask.alpn) {
        Ok(prepared) => prepared,
        Err(why) => return failed(done, TlsFault::Local(why)),
    };
    let bare = ask.name.trim_end_matches('.').to_owned();
    let Ok(name) = ServerName::try_from(bare) else {
        let why = format!("'{}' cannot be asked for by TLS", ask.name);
        return failed(done, TlsFault::Local(why));
    };
    let connector = TlsConnector::from(prepared.config.clone());
    let handshake = connector.connect(name.clone(), stream);
    let ended = timeout(ask.timeout, handshake).await;
    match ended {
        Err(_) => failed(done, TlsFault::TimedOut),
        Ok(Err(error)) => failed(done, fault(&error)),
        Ok(Ok(stream)) => {
            inspect(&mut done, &stream, &prepared, &name);
            done.ended = mono();
            (done, Some(stream))
        }
    }
}

fn inspect(
    done: &mut TlsDone,
    stream: &TlsStream<TcpStream>,
    prepared: &Prepared,
    name: &ServerName<'_>,
) {
    let (_, session) = stream.get_ref();
    done.version = match session.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => Some("TLS 1.2"),
        Some(ProtocolVersion::TLSv1_3) => Some("TLS 1.3"),
        _ => None,
    };
    done.cipher = session.negotiated_cipher_suite().and_then(|s| iana(s.suite().as_str()?));
    done.alpn = session.alpn_protocol().map(|p| String::from_utf8_lossy(p).into_owned());
    done.resumed = session.handshake_kind().map(|kind| kind == rustls::HandshakeKind::Resumed);
    let chain: &[CertificateDer<'_>] = session.peer_certificates().unwrap_or_default();
    let kept = chain.iter().take(whyslow_model::limits::CHAIN_MAX);
    done.chain = kept.map(|c| c.to_vec()).collect();
    let seconds = u64::try_from(wall().as_millis() / 1000).unwrap_or(0);
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    done.untrusted = prepared.distrust(chain, now);
    done.name_fits = chain.first().is_some_and(|leaf| trust::bears(leaf, name));
}

/// rustls calls TLS 1.3's suites `TLS13_…`; IANA calls them `TLS_…`.
fn iana(name: &str) -> Option<String> {
    Some(name.replacen("TLS13_", "TLS_", 1))
}

/// The alert by which the peer ended the connection, if that is what `error` says.
pub(crate) fn alert(error: &io::Error) -> Option<String> {
    let Error::AlertReceived(alert) = error.get_ref()?.downcast_ref::<Error>()? else {
        return None;
    };
    Some(alert_name(*alert))
}

fn fault(error: &io::Error) -> TlsFault {
    let within = error.get_ref().and_then(|e| e.downcast_ref::<Error>());
    match within {
        Some(Error::AlertReceived(alert)) => TlsFault::Alert(alert_name(*alert)),
        Some(Error::InvalidCertificate(CertificateError::BadSignature) | Error::DecryptError) => {
            TlsFault::BadSignature
        }
        Some(other) => TlsFault::Malformed(other.to_string()),
        None if faults::is_reset(error) => TlsFault::Reset,
        None if error.kind() == io::ErrorKind::UnexpectedEof => TlsFault::Closed,
        None => TlsFault::Malformed(faults::words(error)),
    }
}

/// As the RFCs write it: `HandshakeFailure` is `handshake_failure`.
fn alert_name(alert: AlertDescription) -> String {
    let mut name = String::new();
    for c in format!("{alert:?}").chars() {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    name.replace("recognised", "recognized")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_named_as_the_rfcs_name_them() {
        assert_eq!(alert_name(AlertDescription::HandshakeFailure), "handshake_failure");
        assert_eq!(alert_name(AlertDescription::UnrecognisedName), "unrecognized_name");
    }
}
