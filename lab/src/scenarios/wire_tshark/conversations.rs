//! Handshakes of every kind between nginx, `openssl s_server`, `openssl s_client` and curl, over
//! a line whose ends are namespaces.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::certificates::{Authority, Leaf, Valid};
use crate::line::Line;
use crate::peer::Peer;
use crate::server::{nginx_inside, until_bound};
use crate::world::{World, must, words};

/// Where nginx listens.
const NGINX: u16 = 443;
/// Where `s_server`s listen, with what each is told.
const SERVERS: &[(u16, &str)] = &[
    (4431, "-groups P-384"),
    (4432, "-Verify 1 -verify_return_error -CAfile {ca}"),
    (4434, "-tls1_2 -no_ticket -Verify 1 -CAfile {ca}"),
];

/// What a client says: `s_client` with these words, or curl.
const CLIENTS: &[(u16, &str)] = &[
    // Full and resumed by a ticket, with two names for ALPN.
    (NGINX, "-tls1_2 -alpn h2,http/1.1 -sess_out {old}"),
    (NGINX, "-tls1_2 -alpn h2,http/1.1 -sess_in {old}"),
    (NGINX, "-tls1_3 -alpn h2,http/1.1 -sess_out {new}"),
    (NGINX, "-tls1_3 -alpn h2,http/1.1 -sess_in {new}"),
    (NGINX, "-tls1_3 -no_middlebox"),
    (NGINX, "-tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256"),
    (NGINX, "-tls1_3 -alpn {many}"),
    // A key share the server does not take.
    (4431, "-tls1_3 -groups X25519:P-384"),
    (4432, "-tls1_3 -cert {cert} -key {key}"),
    (NGINX, "-tls1_3 -sess_out {early}"),
    (NGINX, "-tls1_3 -sess_in {early} -early_data {request}"),
    (4434, "-tls1_2 -cert {cert} -key {key}"),
];

/// What curl says.
const CURLS: &[&str] = &["--tls-max 1.2", "--tlsv1.3", "--http1.1"];

/// Connections in all.
pub(super) const COUNT: usize = CLIENTS.len() + CURLS.len();

/// Every port of a server.
pub(super) fn ports() -> Vec<u16> {
    SERVERS.iter().map(|(port, _)| *port).chain([NGINX]).collect()
}

/// Has all of them, one after the other.
pub(super) fn hold(world: &World, line: &Line) -> Result<()> {
    let authority = Authority::new(world, "ca")?;
    let leaf = authority.sign("web", "DNS:wire.lab", Valid::Days(30))?;
    let inside = |words: &str| line.server(words);
    let more = "ssl_protocols TLSv1.2 TLSv1.3; ssl_early_data on;";
    let _nginx = nginx_inside(world, &leaf, (Line::SERVER, NGINX), more, &inside)?;
    let told = Told { world, authority: &authority, leaf: &leaf };
    let mut servers = Vec::new();
    for (port, more) in SERVERS {
        servers.push(s_server(&told, line, *port, more)?);
    }
    world.write("request", "GET / HTTP/1.0\r\n\r\n")?;
    for (port, more) in CLIENTS {
        s_client(&told, line, *port, more)?;
    }
    for version in CURLS {
        let host = format!("--connect-to wire.lab::{}:", Line::SERVER);
        let ca = authority.pem();
        let url = "https://wire.lab/";
        must(&mut line.client(&format!("curl -sS {version} --cacert {ca} {host} {url}")))?;
    }
    Ok(())
}

/// What stands for the words in braces.
struct Told<'a> {
    world: &'a World,
    authority: &'a Authority<'a>,
    leaf: &'a Leaf,
}

impl Told<'_> {
    fn filled(&self, words: &str) -> String {
        let many: Vec<String> = (0..120).map(|n| format!("protocol-{n:05}")).collect();
        words
            .replace("{ca}", &self.authority.pem())
            .replace("{cert}", &self.leaf.certificate)
            .replace("{key}", &self.leaf.key)
            .replace("{many}", &format!("{},http/1.1", many.join(",")))
            .replace("{old}", &self.world.path("old.session"))
            .replace("{new}", &self.world.path("new.session"))
            .replace("{early}", &self.world.path("early.session"))
            .replace("{request}", &self.world.path("request"))
    }
}

fn s_server(told: &Told<'_>, line: &Line, port: u16, more: &str) -> Result<Peer> {
    let (cert, key) = (&told.leaf.certificate, &told.leaf.key);
    let mut command = line.server(&format!(
        "openssl s_server -quiet -accept {}:{port} -cert {cert} -key {key} -www {}",
        Line::SERVER,
        told.filled(more),
    ));
    let mut peer = Peer::start(&format!("s_server-{port}"), told.world.dir(), &mut command)?;
    until_bound(&mut peer, port, &|words| line.server(words))?;
    Ok(peer)
}

/// Asks for a page. It goes on reading until the server closes.
fn s_client(told: &Told<'_>, line: &Line, port: u16, more: &str) -> Result<()> {
    let arguments = told.filled(more);
    let client = format!(
        "openssl s_client -ign_eof -connect {}:{port} -servername wire.lab {arguments}",
        Line::SERVER
    );
    // What was sent early is not to be sent again.
    let request = if more.contains("-early_data") { "" } else { "GET / HTTP/1.0\r\n\r\n" };
    let mut child = line
        .client(&client)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| client.clone())?;
    if let Some(mut input) = child.stdin.take() {
        std::io::Write::write_all(&mut input, request.as_bytes())?;
    }
    child.wait()?;
    Ok(())
}

/// tshark over `file`, a line a packet with these fields, tab between them.
pub(super) fn fields(file: &str, filter: &str, fields: &[&str]) -> Result<Vec<Vec<String>>> {
    let mut command: Command = words("tshark -n -o tls.desegment_ssl_records:TRUE -T fields");
    for port in ports() {
        command.args(["-d", &format!("tcp.port=={port},tls")]);
    }
    command.args(["-r", file, "-Y", filter]);
    for field in fields {
        command.args(["-e", field]);
    }
    let said = must(&mut command)?;
    Ok(said.lines().map(|l| l.split('\t').map(str::to_owned).collect()).collect())
}
