//! Certificates as openssl makes them, good and bad.

use anyhow::Result;

use crate::world::{World, must, words};

/// A certificate authority in a world's directory.
#[derive(Debug)]
pub struct Authority<'w> {
    world: &'w World,
    name: &'static str,
}

/// A certificate with its key, as paths.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The PEM file of the certificate.
    pub certificate: String,
    /// The PEM file of its key.
    pub key: String,
}

/// When a certificate is valid.
#[derive(Clone, Copy, Debug)]
pub enum Valid {
    /// From now for this many days.
    Days(u32),
    /// In January 2020 only.
    Past,
    /// In January 2040 only.
    Future,
}

impl<'w> Authority<'w> {
    /// Makes an authority called `name`.
    ///
    /// # Errors
    /// Where openssl cannot.
    pub fn new(world: &'w World, name: &'static str) -> Result<Self> {
        let this = Self { world, name };
        world.write(&format!("{name}.index"), "")?;
        world.write(
            &format!("{name}.cnf"),
            &format!(
                "[ca]\ndefault_ca=d\n[d]\ndatabase={}\nnew_certs_dir={}\nunique_subject=no\n\
                 default_md=sha256\npolicy=p\ncopy_extensions=copy\nrand_serial=yes\n\
                 [p]\ncommonName=supplied\n",
                world.path(&format!("{name}.index")),
                world.dir().display(),
            ),
        )?;
        must(&mut words(&format!(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
             -keyout {} -out {} -subj /CN={name} -addext basicConstraints=critical,CA:TRUE",
            this.file("key"),
            this.file("pem"),
        )))?;
        Ok(this)
    }

    /// The authority's certificate, as a path.
    pub fn pem(&self) -> String {
        self.file("pem")
    }

    /// Signs a certificate `name` for `names`, written `DNS:shop.lab,IP:127.0.0.1`.
    ///
    /// # Errors
    /// Where openssl cannot.
    pub fn sign(&self, name: &str, names: &str, valid: Valid) -> Result<Leaf> {
        let file = |kind: &str| self.world.path(&format!("{name}.{kind}"));
        must(&mut words(&format!(
            "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {} -out {} \
             -subj /CN={name} -addext subjectAltName={names}",
            file("key"),
            file("csr"),
        )))?;
        let dates = match valid {
            Valid::Days(days) => format!("-days {days}"),
            Valid::Past => "-startdate 20200101000000Z -enddate 20200201000000Z".to_owned(),
            Valid::Future => "-startdate 20400101000000Z -enddate 20400201000000Z".to_owned(),
        };
        must(&mut words(&format!(
            "openssl ca -batch -notext -config {} -cert {} -keyfile {} -in {} -out {} {dates}",
            self.file("cnf"),
            self.file("pem"),
            self.file("key"),
            file("csr"),
            file("pem"),
        )))?;
        Ok(Leaf { certificate: file("pem"), key: file("key") })
    }

    fn file(&self, kind: &str) -> String {
        self.world.path(&format!("{}.{kind}", self.name))
    }
}
