//! Whom to trust: sets of certificates and TLS settings, made once and shared by every check
//! that asks for the same.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use sha2::{Digest as _, Sha256};
use whyslow_model::Mono;
use whyslow_model::conversation::{ChainFault, Trust};
use whyslow_sys::clock::mono;

/// Settings kept at once; an operator's configuration has a handful.
const PREPARED_MAX: usize = 256;

/// What has been made so far.
#[derive(Debug, Default)]
pub struct Store {
    prepared: Mutex<BTreeMap<Key, Arc<Prepared>>>,
}

/// Whom to trust, and which protocols to offer.
type Key = (Trust, Vec<&'static str>);

/// Everything a handshake under one [`Trust`] needs.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) config: Arc<ClientConfig>,
    roots: RootCertStore,
    /// Certificates of the operator's own file, which may also be a server's own certificate.
    pinned: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
    /// The files it was made from and when each was changed last.
    files: Vec<(String, Option<SystemTime>)>,
    /// When the files were last asked for that, in nanoseconds of the monotonic clock.
    looked_ns: AtomicU64,
    /// Chains found good, by SHA-256, and when: the same chain, shown again a moment later,
    /// need not be verified again, which would cost a third of a handshake.
    verified: Mutex<BTreeMap<Digest, UnixTime>>,
}

type Digest = [u8; 32];

/// How long the files of a setting are taken for unchanged: many checks share one, and to ask the
/// file system twice in each run costs more than it tells.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Chains found good that are remembered.
const VERIFIED_MAX: usize = 4096;

/// How long a chain found good is taken for good without being verified again.
const VERIFIED_S_MAX: u64 = 600;

impl Store {
    /// The settings for `trust` that offer `alpn`, made anew where a file has changed.
    ///
    /// # Errors
    /// A sentence that names the file that cannot be used.
    pub(crate) fn prepared(
        &self,
        trust: &Trust,
        alpn: &[&'static str],
    ) -> Result<Arc<Prepared>, String> {
        let key = (trust.clone(), alpn.to_vec());
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = prepared.get(&key)
            && made.is_current()
        {
            return Ok(Arc::clone(made));
        }
        let made = Arc::new(Prepared::make(trust, alpn)?);
        if prepared.len() >= PREPARED_MAX {
            prepared.clear();
        }
        prepared.insert(key, Arc::clone(&made));
        Ok(made)
    }
}

impl Prepared {
    fn make(trust: &Trust, alpn: &[&'static str]) -> Result<Self, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let pinned = match &trust.ca_file {
            Some(file) => certificates(file)?,
            None => Vec::new(),
        };
        let roots = roots(trust, &pinned)?;
        let verifier = Arc::new(Deferred(Arc::clone(&provider)));
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|e| format!("TLS cannot be set up: {e}"))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &trust.client {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate)?;
                let key_der = PrivateKeyDer::from_pem_file(key)
                    .map_err(|e| format!("the private key in {key} cannot be used: {e}"))?;
                builder.with_client_auth_cert(chain, key_der).map_err(|e| {
                    format!("the certificate in {certificate} cannot be used with {key}: {e}")
                })?
            }
        };
        // A measurement is of a whole handshake, each time.
        config.resumption = Resumption::disabled();
        config.alpn_protocols = alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
        let named = trust.ca_file.iter().chain(trust.client.iter().flat_map(|(c, k)| [c, k]));
        let files = named.map(|file| (file.clone(), changed(file))).collect();
        let (verified, looked_ns) = (Mutex::default(), AtomicU64::new(mono().as_nanos()));
        let config = Arc::new(config);
        Ok(Self { config, roots, pinned, provider, files, looked_ns, verified })
    }

    /// Whether the files are still those it was made from, as of a look no older than
    /// [`LOOK_AGAIN`].
    fn is_current(&self) -> bool {
        let now = mono();
        let looked = Mono::from_nanos(self.looked_ns.load(Ordering::Relaxed));
        if now.since(looked) < LOOK_AGAIN {
            return true;
        }
        self.looked_ns.store(now.as_nanos(), Ordering::Relaxed);
        self.files.iter().all(|(file, then)| changed(file) == *then)
    }

    /// Why `chain`, leaf first, does not lead to anybody trusted at `now`.
    pub(crate) fn distrust(
        &self,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Option<ChainFault> {
        let Some((leaf, others)) = chain.split_first() else {
            return Some(ChainFault::Other("no certificate was shown".to_owned()));
        };
        // A server's own certificate in the operator's file needs no issuer; whether its time
        // is over is said by its dates.
        if self.pinned.iter().any(|own| own.as_ref() == leaf.as_ref()) {
            return None;
        }
        let digest = digest(chain);
        if self.recently_verified(&digest, now) {
            return None;
        }
        let algorithms = self.provider.signature_verification_algorithms.all;
        let verdict = ParsedCertificate::try_from(leaf).and_then(|leaf| {
            verify_server_cert_signed_by_trust_anchor(&leaf, &self.roots, others, now, algorithms)
        });
        match verdict {
            Ok(()) => {
                let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
                if verified.len() >= VERIFIED_MAX {
                    verified.clear();
                }
                verified.insert(digest, now);
                None
            }
            Err(error) => Some(chain_fault(&error)),
        }
    }

    fn recently_verified(&self, digest: &Digest, now: UnixTime) -> bool {
        let verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        let age = verified.get(digest).and_then(|at| now.as_secs().checked_sub(at.as_secs()));
        age.is_some_and(|seconds| seconds <= VERIFIED_S_MAX)
    }
}

fn digest(chain: &[CertificateDer<'_>]) -> Digest {
    let mut hash = Sha256::new();
    for certificate in chain {
        // Lengths between, so that no two chains run together to the same bytes.
        hash.update(certificate.len().to_be_bytes());
        hash.update(certificate);
    }
    hash.finalize().into()
}

/// Whether the leaf bears `name`.
pub(crate) fn bears(leaf: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
    ParsedCertificate::try_from(leaf).is_ok_and(|leaf| verify_server_name(&leaf, name).is_ok())
}

fn changed(file: &str) -> Option<SystemTime> {
    fs::metadata(file).and_then(|m| m.modified()).ok()
}

fn certificates(file: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let refused =
        |e: &dyn std::fmt::Display| format!("the certificates in {file} cannot be used: {e}");
    let all = CertificateDer::pem_file_iter(file).map_err(|e| refused(&e))?;
    let all: Vec<_> = all.collect::<Result<_, _>>().map_err(|e| refused(&e))?;
    if all.is_empty() { Err(refused(&"there is none")) } else { Ok(all) }
}

/// The operator's own, or the machine's; the built-in where the machine has none.
fn roots(trust: &Trust, own: &[CertificateDer<'static>]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = &trust.ca_file {
        let (_, unusable) = roots.add_parsable_certificates(own.iter().cloned());
        if roots.is_empty() {
            return Err(format!("none of the {unusable} certificates in {file} can be used"));
        }
        return Ok(roots);
    }
    let machine = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(machine.certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    Ok(roots)
}

/// How many certificates the machine trusts; with none, the built-in ones are trusted. Reads files.
pub fn machine_roots() -> usize {
    rustls_native_certs::load_native_certs().certs.len()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum that grows")]
fn chain_fault(error: &Error) -> ChainFault {
    let Error::InvalidCertificate(error) = error else {
        return ChainFault::Other(error.to_string());
    };
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => ChainFault::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            ChainFault::NotYetValid
        }
        CertificateError::Revoked => ChainFault::Revoked,
        CertificateError::UnknownIssuer => ChainFault::UnknownIssuer,
        CertificateError::BadSignature => ChainFault::BadSignature,
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            ChainFault::WrongUse
        }
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            ChainFault::IssuerAsServer
        }
        other => ChainFault::Other(other.to_string()),
    }
}

/// Takes any certificate during the handshake, and the proof that the peer holds its key not on
/// trust: whether the chain is good is asked afterwards, so that a bad one is seen too.
#[derive(Debug)]
struct Deferred(Arc<CryptoProvider>);

impl ServerCertVerifier for Deferred {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
