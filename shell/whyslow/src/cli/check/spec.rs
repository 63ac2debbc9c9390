//! The options of `whyslow check`, and the check they describe.

use std::net::IpAddr;

use whyslow_model::Duration;
use whyslow_probe::spec::{
    BodyRule, CheckSpec, ClientCertificate, DnsTransport, Family, HostPort, HttpVersion, Kind,
    Match, StatusSet, TIMEOUT, Text, parse_target,
};

use super::super::Stop;

/// The options, in the words of the configuration.
#[derive(Debug, clap::Args)]
pub(super) struct SpecArgs {
    /// https://… or http://…, dns:NAME[@SERVER], tcp:HOST:PORT, tls:HOST:PORT or ping:HOST.
    target: String,
    /// Gives up after this.
    #[arg(long, value_name = "D", default_value_t = TIMEOUT)]
    timeout: Duration,
    /// Above this a run is slow: exit 1.
    #[arg(long, value_name = "D")]
    warn: Option<Duration>,

    /// Connects to this address or name instead; name, SNI and Host stay the target's.
    #[arg(long, value_name = "ADDR", help_heading = "Way")]
    connect_to: Option<HostPort>,
    /// Asks this name server.
    #[arg(long, value_name = "ADDR", help_heading = "Way")]
    resolver: Option<HostPort>,
    /// Connects from this local address.
    #[arg(long, value_name = "IP", help_heading = "Way")]
    source: Option<IpAddr>,
    /// Uses IPv4 only.
    #[arg(short = '4', long, conflicts_with = "ipv6", help_heading = "Way")]
    ipv4: bool,
    /// Uses IPv6 only.
    #[arg(short = '6', long, help_heading = "Way")]
    ipv6: bool,

    /// Goes on with a certificate that is not trusted; what is wrong with it is still told.
    #[arg(short = 'k', long, help_heading = "TLS")]
    insecure: bool,
    /// Trusts the certificates of this PEM file instead of the usual ones.
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    cacert: Option<String>,
    /// Shows this certificate: a PEM file.
    #[arg(long, value_name = "FILE", requires = "key", help_heading = "TLS")]
    cert: Option<String>,
    /// The certificate's private key: a PEM file.
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = "TLS")]
    key: Option<String>,
    /// The name asked for in TLS instead of the target's.
    #[arg(long, value_name = "NAME", help_heading = "TLS")]
    sni: Option<String>,

    /// The request's method.
    #[arg(short = 'X', long, value_name = "METHOD", help_heading = "HTTP")]
    method: Option<String>,
    /// A header field, 'Name: value'; may be repeated.
    #[arg(short = 'H', long, value_name = "FIELD", help_heading = "HTTP")]
    header: Vec<String>,
    /// The request's body.
    #[arg(short = 'd', long, value_name = "TEXT", help_heading = "HTTP")]
    body: Option<String>,
    /// The name in the Host header instead of the target's.
    #[arg(long, value_name = "NAME", help_heading = "HTTP")]
    host: Option<String>,
    /// Does not follow redirects.
    #[arg(long, help_heading = "HTTP")]
    no_follow: bool,
    /// Speaks this HTTP only: 1.1 or 2.
    #[arg(long, value_name = "VERSION", help_heading = "HTTP")]
    http: Option<String>,
    /// Statuses that are right: 200, 2xx, 200-299, or several with commas.
    #[arg(long, value_name = "SET", help_heading = "HTTP")]
    expect_status: Option<StatusSet>,
    /// A text that the body must hold.
    #[arg(long, value_name = "TEXT", help_heading = "HTTP")]
    expect_body: Option<String>,

    /// The record type asked for.
    #[arg(long, value_name = "TYPE", help_heading = "DNS and ping")]
    record: Option<String>,
    /// Asks the name server over TCP.
    #[arg(long, help_heading = "DNS and ping")]
    tcp: bool,
    /// Packets in a round of ping, 1 to 100.
    #[arg(long, value_name = "N", help_heading = "DNS and ping",
          value_parser = clap::value_parser!(u16).range(1..=100))]
    packets: Option<u16>,
}

impl SpecArgs {
    /// The check that was asked for.
    pub(super) fn spec(&self) -> Result<CheckSpec, Stop> {
        let target = parse_target(&self.target).map_err(|e| Stop::usage(e.what).hint(e.hint))?;
        let mut spec = CheckSpec::of("check", &target);
        self.limits(&mut spec)?;
        spec.connect_to = self.connect_to.clone();
        spec.resolver = self.resolver.clone();
        spec.source = self.source;
        spec.family = self.family();
        spec.insecure = self.insecure;
        spec.ca_file = self.cacert.clone();
        if let (Some(certificate), Some(key)) = (self.cert.clone(), self.key.clone()) {
            spec.client_certificate = Some(ClientCertificate { certificate, key });
        }
        spec.sni = self.sni.clone();
        self.request(&mut spec)?;
        spec.record = self.record.clone();
        spec.transport = self.tcp.then_some(DnsTransport::Tcp);
        spec.packets = self.packets;
        self.fits(spec.kind)?;
        self.readable()?;
        Ok(spec)
    }

    fn limits(&self, spec: &mut CheckSpec) -> Result<(), Stop> {
        if self.timeout.std().is_zero() {
            return Err(Stop::usage("--timeout is zero").hint("write 5s"));
        }
        if let Some(warn) = self.warn.filter(|w| *w >= self.timeout) {
            let what = format!("--warn {warn} is not below --timeout {}", self.timeout);
            return Err(Stop::usage(what).hint("raise --timeout, or lower --warn"));
        }
        spec.timeout = self.timeout;
        spec.warn = self.warn;
        Ok(())
    }

    const fn family(&self) -> Family {
        match (self.ipv4, self.ipv6) {
            (true, _) => Family::Ipv4,
            (false, true) => Family::Ipv6,
            (false, false) => Family::Any,
        }
    }

    fn request(&self, spec: &mut CheckSpec) -> Result<(), Stop> {
        if let Some(method) = &self.method
            && http::Method::from_bytes(method.as_bytes()).is_err()
        {
            return Err(Stop::usage(format!("'{}' is not an HTTP method", shown(method))));
        }
        spec.method = self.method.clone();
        for field in &self.header {
            let (name, value) = header(field)?;
            spec.headers.insert(name, Text::Plain(value));
        }
        spec.body = self.body.clone().map(Text::Plain);
        spec.host = self.host.clone();
        spec.follow_redirects = self.no_follow.then_some(false);
        spec.http_version = match self.http.as_deref() {
            None => HttpVersion::Auto,
            Some("1.1") => HttpVersion::Http11,
            Some("2") => HttpVersion::Http2,
            Some(other) => {
                let what = format!("'{}' is not an HTTP version", shown(other));
                return Err(Stop::usage(what).hint("write --http 1.1 or --http 2"));
            }
        };
        if let Some(status) = &self.expect_status {
            spec.expect.status = Some(status.clone());
        }
        if let Some(part) = &self.expect_body {
            spec.expect.body = Some(BodyRule::One(Match::Holds(part.clone())));
        }
        Ok(())
    }

    /// An option that says nothing to this kind of target is a misunderstanding.
    fn fits(&self, kind: Kind) -> Result<(), Stop> {
        let typed: [(&str, bool, &[Kind]); 12] = [
            ("--method", self.method.is_some(), &[Kind::Http]),
            ("--header", !self.header.is_empty(), &[Kind::Http]),
            ("--body", self.body.is_some(), &[Kind::Http]),
            ("--host", self.host.is_some(), &[Kind::Http]),
            ("--no-follow", self.no_follow, &[Kind::Http]),
            ("--http", self.http.is_some(), &[Kind::Http]),
            ("--expect-status", self.expect_status.is_some(), &[Kind::Http]),
            ("--expect-body", self.expect_body.is_some(), &[Kind::Http]),
            ("--record", self.record.is_some(), &[Kind::Dns]),
            ("--tcp", self.tcp, &[Kind::Dns]),
            ("--packets", self.packets.is_some(), &[Kind::Ping]),
            ("--cert", self.cert.is_some(), &[Kind::Http, Kind::Tls]),
        ];
        for (option, is_typed, kinds) in typed {
            if is_typed && !kinds.contains(&kind) {
                let names: Vec<&str> = kinds.iter().map(|k| k.as_str()).collect();
                let what = format!("{option} says nothing to a {} target", kind.as_str());
                return Err(Stop::usage(what).hint(format!("it is for {}", names.join(" and "))));
            }
        }
        Ok(())
    }

    fn readable(&self) -> Result<(), Stop> {
        for file in [&self.cacert, &self.cert, &self.key].into_iter().flatten() {
            std::fs::File::open(file)
                .map_err(|e| Stop::unreadable(format!("cannot read {}: {e}", shown(file))))?;
        }
        Ok(())
    }
}

fn header(field: &str) -> Result<(String, String), Stop> {
    let refused = || {
        Stop::usage(format!("'{}' is not a header field", shown(field)))
            .hint("write --header 'Name: value'")
    };
    let (name, value) = field.split_once(':').ok_or_else(refused)?;
    let value = value.trim();
    http::HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
    http::HeaderValue::from_str(value).map_err(|_| refused())?;
    Ok((name.to_owned(), value.to_owned()))
}

fn shown(text: &str) -> String {
    whyslow_model::printable(&text.chars().take(80).collect::<String>()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Typed {
        #[command(flatten)]
        args: SpecArgs,
    }

    fn spec(line: &str) -> Result<CheckSpec, Stop> {
        use clap::Parser as _;
        let words = std::iter::once("check").chain(line.split_whitespace());
        Typed::try_parse_from(words).map_err(Stop::usage)?.args.spec()
    }

    #[test]
    fn options_say_what_the_configuration_says() {
        let spec = spec(
            "https://shop.example/ --warn 1s --connect-to 10.0.0.6:443 --resolver 192.0.2.53 -4 \
             -k -X POST -H X-A:b -d hello --http 1.1 --expect-status 2xx,301 --no-follow",
        )
        .unwrap();
        assert_eq!(spec.warn, Some(Duration::from_secs(1)));
        assert_eq!(spec.connect_to.unwrap().to_string(), "10.0.0.6:443");
        assert_eq!(spec.headers["X-A"], Text::Plain("b".into()));
        assert_eq!((spec.family, spec.http_version), (Family::Ipv4, HttpVersion::Http11));
        assert!(spec.insecure && spec.follow_redirects == Some(false));
    }

    #[test]
    fn nonsense_is_a_usage_error_with_a_hint_where_one_helps() {
        for line in [
            "shop.example",
            "ftp://shop.example/",
            "tcp:shop.example",
            "https://shop.example/ --warn 5s --timeout 5s",
            "https://shop.example/ --timeout 0",
            "https://shop.example/ -H nonsense",
            "https://shop.example/ --http 3",
            "https://shop.example/ --packets 3",
            "ping:shop.example -X GET",
        ] {
            let stop = spec(line).expect_err(line);
            assert_eq!(stop.exit, crate::cli::Exit::Usage, "{line}");
            assert!(stop.hint.is_some(), "{line}: {}", stop.what);
        }
        assert_eq!(spec("ping:a --packets 101").unwrap_err().exit, crate::cli::Exit::Usage);
    }

    #[test]
    fn a_certificate_file_that_is_not_there_is_unreadable_input() {
        let stop = spec("https://shop.example/ --cacert /nowhere/ca.pem").unwrap_err();
        assert_eq!(stop.exit, crate::cli::Exit::Unreadable);
    }
}
