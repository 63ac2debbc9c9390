//! The listener's address.

use std::io::ErrorKind;
use std::net::TcpListener;

use super::Finding;
use crate::config::Config;

const NAME: &str = "listener";

pub(super) fn look(config: &Config) -> Vec<Finding> {
    let address = config.listen;
    let finding = match TcpListener::bind(address) {
        Ok(_) => Finding::works(NAME, format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let other = (address.ip(), address.port().wrapping_add(1));
            let other = std::net::SocketAddr::from(other);
            Finding::limited(NAME, format!("{address} is taken, perhaps by another whyslow"))
                .mend(format!("ss -ltnp 'sport = :{}'", address.port()))
                .mend(format!("whyslow up --listen {other}"))
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Finding::broken(NAME, format!("{address}: {error}; ports below 1024 need a right"))
                .mend("AmbientCapabilities=CAP_NET_BIND_SERVICE in the systemd unit")
        }
        Err(error) => Finding::broken(NAME, format!("{address}: {error}"))
            .mend("whyslow up --listen 127.0.0.1:7070"),
    };
    vec![finding]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_use_is_told_with_another_one() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let config = Config { listen: taken.local_addr().unwrap(), ..Config::default() };
        let [finding] = &look(&config)[..] else { panic!("one finding") };
        assert!(finding.what.contains("is taken"), "{finding:?}");
        drop(taken);
    }
}
