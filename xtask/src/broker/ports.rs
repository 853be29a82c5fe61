//! Ports on loopback.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::Context;

use super::state::{Listeners, Proxied};

/// One port for each listener of the broker, and the one that a proxy takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ports {
    pub(crate) plaintext: u16,
    pub(crate) sasl_plaintext: u16,
    pub(crate) sasl_ssl: u16,
    pub(crate) wrong_name: u16,
    pub(crate) mutual: u16,
    pub(crate) controller: u16,
    /// Where the broker listens for what a proxy forwards.
    pub(crate) proxied: u16,
    /// What it tells the clients of that listener: the broker leaves this port to the proxy.
    pub(crate) advertised: u16,
}

impl Ports {
    /// Ports that are free now: all of them are held at once, so that they differ, then released.
    pub(crate) fn free() -> anyhow::Result<Self> {
        let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on 127.0.0.1");
        let held = [bind()?, bind()?, bind()?, bind()?, bind()?, bind()?, bind()?, bind()?];
        let [a, b, c, d, e, f, g, h] =
            held.each_ref().map(|listener| listener.local_addr().map(|address| address.port()));
        Ok(Self {
            plaintext: a?,
            sasl_plaintext: b?,
            sasl_ssl: c?,
            wrong_name: d?,
            controller: e?,
            proxied: f?,
            advertised: g?,
            mutual: h?,
        })
    }

    /// Eight ports in a row.
    ///
    /// # Errors
    /// If they pass 65535 or one of them is taken.
    pub(crate) fn from_base(base: u16) -> anyhow::Result<Self> {
        let at = |offset| base.checked_add(offset).context("the ports end at 65535");
        let ports = Self {
            plaintext: base,
            sasl_plaintext: at(1)?,
            sasl_ssl: at(2)?,
            wrong_name: at(3)?,
            controller: at(4)?,
            proxied: at(5)?,
            advertised: at(6)?,
            mutual: at(7)?,
        };
        for port in base..=ports.mutual {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port))
                .with_context(|| format!("port {port} is taken"))?;
        }
        Ok(ports)
    }

    /// The addresses that clients use.
    pub(crate) fn listeners(&self) -> Listeners {
        let address = |port| format!("127.0.0.1:{port}");
        Listeners {
            plaintext: address(self.plaintext),
            sasl_plaintext: address(self.sasl_plaintext),
            sasl_ssl: address(self.sasl_ssl),
            wrong_name: address(self.wrong_name),
            mutual: address(self.mutual),
            proxied: Proxied { listens: address(self.proxied), advertised: address(self.advertised) },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::Ports;

    #[test]
    fn free_ports_differ() {
        let ports = Ports::free().unwrap();
        let mut all = vec![
            ports.plaintext,
            ports.sasl_plaintext,
            ports.sasl_ssl,
            ports.wrong_name,
            ports.controller,
            ports.proxied,
            ports.advertised,
            ports.mutual,
        ];
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 8);
    }

    #[test]
    fn a_taken_port_is_named() {
        let held = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = held.local_addr().unwrap().port();
        let Err(error) = Ports::from_base(port) else { panic!("port {port} is taken") };
        assert!(error.to_string().contains(&port.to_string()) || port > 65_528, "{error}");
    }
}
