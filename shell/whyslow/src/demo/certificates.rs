//! The demo's own certificate authority and what it signs. Made anew on each start, kept in memory;
//! only the authority's certificate is written out, so that checks can trust it.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::sync::watch;

use super::script::Conditions;

const DAY: Duration = Duration::from_hours(24);
/// Life left in the certificate of the "ends within days" fault.
const SHORT_LIFE: Duration = Duration::from_hours(5 * 24);

/// An authority that signs for the demo's names.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// Makes a new authority, valid from yesterday for a year.
    pub fn new() -> anyhow::Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name = named("whyslow demo authority");
        lasting(&mut params, 365 * DAY)?;
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)
            .context("making the demo's certificate authority")?;
        Ok(Self { issuer })
    }

    /// The authority's certificate as PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// The authority's certificate as DER.
    pub fn der(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// Signs a certificate for `name` that ends in `life`.
    pub fn sign(&self, name: &str, life: Duration) -> anyhow::Result<Arc<CertifiedKey>> {
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.distinguished_name = named(name);
        params.use_authority_key_identifier_extension = true;
        lasting(&mut params, life)?;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let key = ring::sign::any_supported_type(&key).context("loading a key just made")?;
        Ok(Arc::new(CertifiedKey::new(vec![certificate.der().clone()], key)))
    }

    /// What a server shows: a long-lived certificate, or while `conditions` ask for it, and only
    /// where `may_end` is set, one that ends within days.
    pub fn server(
        &self,
        name: &str,
        may_end: bool,
        conditions: watch::Receiver<Conditions>,
    ) -> anyhow::Result<Arc<ServerConfig>> {
        let lasting = self.sign(name, 90 * DAY)?;
        let ending = if may_end { self.sign(name, SHORT_LIFE)? } else { lasting.clone() };
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Shown { lasting, ending, conditions }));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// How the balancer speaks to its backends: HTTP/1.1, trusting this authority alone.
    pub fn client(&self) -> anyhow::Result<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der())?;
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

/// Chooses the certificate at each handshake, so that the script can change it.
#[derive(Debug)]
struct Shown {
    lasting: Arc<CertifiedKey>,
    ending: Arc<CertifiedKey>,
    conditions: watch::Receiver<Conditions>,
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let ends = self.conditions.borrow().certificate_ends;
        Some(if ends { self.ending.clone() } else { self.lasting.clone() })
    }
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// Valid from yesterday, so that a slightly wrong clock does no harm, until `life` from now.
fn lasting(params: &mut CertificateParams, life: Duration) -> anyhow::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + now.saturating_sub(DAY);
    params.not_after = epoch + now + life;
    Ok(())
}
