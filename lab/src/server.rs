//! Real servers with the little configuration a scenario needs.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::Result;

use crate::certificates::Leaf;
use crate::peer::{Peer, free_port, loopback};
use crate::world::{World, must, words};

/// Files of the Debian packages.
pub const NGINX: &str = "/usr/sbin/nginx";
/// HAProxy's program.
pub const HAPROXY: &str = "/usr/sbin/haproxy";
/// Unbound's program.
pub const UNBOUND: &str = "/usr/sbin/unbound";

/// nginx with one TLS server (HTTP/1.1 and 2) and one without TLS.
#[derive(Debug)]
pub struct Nginx {
    /// Where it speaks TLS.
    pub tls: SocketAddr,
    /// Where it does not.
    pub plain: SocketAddr,
    /// The process.
    pub peer: Peer,
}

impl Nginx {
    /// Starts nginx with `leaf`; `locations` goes into both servers. `/page` is 13.8 kB.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn start(world: &World, leaf: &Leaf, locations: &str) -> Result<Self> {
        let (tls, plain) = (loopback(free_port()?), loopback(free_port()?));
        world.write("page", &"a page like many others\n".repeat(575))?;
        let root = world.dir().display();
        let (certificate, key) = (&leaf.certificate, &leaf.key);
        let config = world.write(
            "nginx.conf",
            &format!(
                "daemon off; master_process off; pid {root}/nginx.pid; error_log stderr;\n\
                 events {{ worker_connections 1024; }}\n\
                 http {{ access_log off; default_type text/plain; server_names_hash_bucket_size 128;\n\
                 absolute_redirect off; client_body_temp_path {root}/b; proxy_temp_path {root}/p;\n\
                 fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;\n\
                 server {{ listen {tls} ssl http2; listen {plain}; root {root};\n\
                 ssl_certificate {certificate}; ssl_certificate_key {key};\n{locations}\n}} }}\n"
            ),
        )?;
        let mut command = words(&format!("{NGINX} -p {root} -e stderr -c {config}"));
        let peer = Peer::start("nginx", world.dir(), &mut command)?.until_listening(tls)?;
        Ok(Self { tls, plain, peer })
    }
}

/// nginx with one TLS server at `port` of `address`, and `more` in it, started by `inside`, which
/// puts a program into a namespace. `/` is 24 bytes long.
///
/// # Errors
/// Where it does not start.
pub fn nginx_inside(
    world: &World,
    leaf: &Leaf,
    (address, port): (&str, u16),
    more: &str,
    inside: &dyn Fn(&str) -> Command,
) -> Result<Peer> {
    let root = world.dir().display();
    let (certificate, key) = (&leaf.certificate, &leaf.key);
    let config = world.write(
        &format!("nginx-{port}.conf"),
        &format!(
            "daemon off; master_process off; pid {root}/nginx-{port}.pid; error_log stderr;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; default_type text/plain; client_body_temp_path {root}/b;\n\
             proxy_temp_path {root}/p; fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u;\n\
             scgi_temp_path {root}/s;\n\
             server {{ listen {address}:{port} ssl http2 backlog=4096;\n\
             ssl_certificate {certificate}; ssl_certificate_key {key};\n\
             location / {{ return 200 \"a page like many others\\n\"; }}\n{more}\n}} }}\n"
        ),
    )?;
    let mut command = inside(&format!("{NGINX} -p {root} -e stderr -c {config}"));
    let mut peer = Peer::start(&format!("nginx-{port}"), world.dir(), &mut command)?;
    until_bound(&mut peer, port, inside)?;
    Ok(peer)
}

/// Waits until something listens at a port inside a namespace.
///
/// # Errors
/// Where nothing does after a while, or the program ends.
pub fn until_bound(peer: &mut Peer, port: u16, inside: &dyn Fn(&str) -> Command) -> Result<()> {
    peer.until(|| Ok(!must(&mut inside(&format!("ss -Hltn sport = :{port}")))?.is_empty()))
}

/// Unbound answering from the zone data in its configuration, without the internet.
#[derive(Debug)]
pub struct Unbound {
    /// Where it answers.
    pub address: SocketAddr,
    /// The process.
    pub peer: Peer,
}

impl Unbound {
    /// Starts unbound with `zones`, lines of the `server:` clause.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn start(world: &World, zones: &str) -> Result<Self> {
        let address = loopback(free_port()?);
        let peer = Self::run(world, zones, address, &words)?.until_listening(address)?;
        Ok(Self { address, peer })
    }

    /// Starts it at the usual port of loopback, in the namespace that `inside` puts a program into.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn start_inside(
        world: &World,
        zones: &str,
        inside: &dyn Fn(&str) -> Command,
    ) -> Result<Self> {
        let address = loopback(53);
        let mut peer = Self::run(world, zones, address, inside)?;
        until_bound(&mut peer, 53, inside)?;
        Ok(Self { address, peer })
    }

    fn run(
        world: &World,
        zones: &str,
        address: SocketAddr,
        inside: &dyn Fn(&str) -> Command,
    ) -> Result<Peer> {
        let config = world.write(
            "unbound.conf",
            &format!(
                "server:\n directory: \"{}\"\n username: \"\"\n chroot: \"\"\n pidfile: \"\"\n \
                 interface: 127.0.0.1@{}\n port: {}\n do-daemonize: no\n use-syslog: no\n \
                 logfile: \"\"\n access-control: 127.0.0.0/8 allow\n do-not-query-localhost: no\n \
                 module-config: \"iterator\"\n num-threads: 1\n{zones}\n\
                 remote-control:\n control-enable: no\n",
                world.dir().display(),
                address.port(),
                address.port(),
            ),
        )?;
        let mut command = inside(&format!("{UNBOUND} -d -c {config}"));
        Peer::start("unbound", world.dir(), &mut command)
    }
}

/// HAProxy with the configuration given.
///
/// # Errors
/// Where it does not start.
pub fn haproxy(world: &World, config: &str, listens: SocketAddr) -> Result<Peer> {
    let config = world.write("haproxy.cfg", config)?;
    let mut command = words(&format!("{HAPROXY} -db -f {config}"));
    Peer::start("haproxy", world.dir(), &mut command)?.until_listening(listens)
}
