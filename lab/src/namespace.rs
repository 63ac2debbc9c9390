//! Two network namespaces and the wire between them.

use std::process::Command;

use anyhow::Result;

use crate::world::{must, words};

/// A client's and a server's namespace, joined by one virtual wire; gone when dropped.
#[derive(Debug)]
pub struct Pair {
    client: String,
    server: String,
}

impl Pair {
    /// The client's address.
    pub const CLIENT: &'static str = "10.99.0.1";
    /// The server's address.
    pub const SERVER: &'static str = "10.99.0.2";

    /// An address of the server that counts as public; it exists in here only.
    pub const PUBLIC: &'static str = "1.2.3.4";

    /// Makes both. The server's firewall is empty at first.
    ///
    /// # Errors
    /// Where the kernel or the rights do not allow it.
    pub fn new() -> Result<Self> {
        let id = std::process::id();
        let this = Self { client: format!("wl-c-{id}"), server: format!("wl-s-{id}") };
        let (client, server) = (&this.client, &this.server);
        for line in [
            format!("ip netns add {client}"),
            format!("ip netns add {server}"),
            format!("ip -n {client} link add w0 type veth peer name w0 netns {server}"),
            format!("ip -n {client} addr add {}/24 dev w0", Self::CLIENT),
            format!("ip -n {server} addr add {}/24 dev w0", Self::SERVER),
            format!("ip -n {client} link set w0 up"),
            format!("ip -n {server} link set w0 up"),
            format!("ip -n {client} link set lo up"),
            format!("ip -n {server} link set lo up"),
            format!("ip -n {server} addr add {}/32 dev lo", Self::PUBLIC),
            format!("ip -n {client} route add {}/32 via {}", Self::PUBLIC, Self::SERVER),
        ] {
            must(&mut words(&line))?;
        }
        Ok(this)
    }

    /// A command inside the client's namespace.
    pub fn client(&self, line: &str) -> Command {
        words(&format!("ip netns exec {} {line}", self.client))
    }

    /// A command inside the server's namespace.
    pub fn server(&self, line: &str) -> Command {
        words(&format!("ip netns exec {} {line}", self.server))
    }

    /// The file that stands for the client's namespace.
    pub fn client_file(&self) -> String {
        format!("/run/netns/{}", self.client)
    }

    /// The file that stands for the server's namespace.
    pub fn server_file(&self) -> String {
        format!("/run/netns/{}", self.server)
    }

    /// Replaces the firewall for what reaches the server by one rule.
    ///
    /// # Errors
    /// Where nft refuses it.
    pub fn rule(&self, rule: &str) -> Result<()> {
        self.clear()?;
        must(&mut self.server("nft add table ip lab"))?;
        let hook = "{ type filter hook input priority 0 ; policy accept ; }";
        must(&mut self.server(&format!("nft add chain ip lab input {hook}")))?;
        must(&mut self.server(&format!("nft add rule ip lab input {rule}")))?;
        Ok(())
    }

    /// Takes the firewall away.
    ///
    /// # Errors
    /// Where nft cannot.
    pub fn clear(&self) -> Result<()> {
        must(&mut self.server("nft flush ruleset"))?;
        Ok(())
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for name in [&self.client, &self.server] {
            // What was never made cannot be taken away, which is fine.
            let _ = words(&format!("ip netns del {name}")).output();
        }
    }
}
