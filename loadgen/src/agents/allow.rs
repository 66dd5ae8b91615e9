//! The allow-list of an agent: where its clients and pushers may connect to.
//!
//! Names are resolved once, when the agent starts; a target is an address, and is what is checked
//! and what is connected to.

use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::ops::RangeInclusive;
use std::str::FromStr;

const FORM: &str =
    "HOST:PORTS or CIDR:PORTS, such as gw1:7500-7600, 10.1.0.0/16:7500 or [fd00::/8]:*";

/// One place as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    host: Host,
    ports: RangeInclusive<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Net(IpNet),
    Name(String),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not of the form {FORM}");
        let (host, ports) = text.rsplit_once(':').ok_or_else(wrong)?;
        let inner = host.strip_prefix('[').map(|host| host.strip_suffix(']'));
        let host = inner.map_or(Some(host), |inner| inner).ok_or_else(wrong)?;
        let ports = range(ports).ok_or_else(wrong)?;
        if let Some(net) = net(host) {
            return Ok(Self { host: Host::Net(net), ports });
        }
        let named = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
        // What looks like an address is none of those above: the resolver would make one of it that
        // nobody meant, 8.1.2.3 of 010.1.2.3.
        let number = host.trim_end_matches('.').rsplit('.').next().is_some_and(|last| {
            last.starts_with("0x") || last.chars().all(|letter| letter.is_ascii_digit())
        });
        if host.is_empty() || number || !host.chars().all(named) {
            return Err(wrong());
        }
        Ok(Self { host: Host::Name(host.to_owned()), ports })
    }
}

/// An address alone, or a network.
fn net(text: &str) -> Option<IpNet> {
    let alone = text.parse::<IpAddr>().ok().map(IpNet::from);
    alone.or_else(|| text.parse().ok())
}

/// One port, from one to another, or all.
fn range(text: &str) -> Option<RangeInclusive<u16>> {
    if text == "*" {
        return Some(1..=u16::MAX);
    }
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let (low, high) = (low.parse::<u16>().ok()?, high.parse::<u16>().ok()?);
    (low > 0 && low <= high).then_some(low..=high)
}

/// Where an agent may connect to.
#[derive(Debug, Clone)]
pub(super) struct Allowed(Vec<(Vec<IpNet>, RangeInclusive<u16>)>);

impl Allowed {
    /// The places, with their names resolved now and never again.
    ///
    /// # Errors
    /// A name has no address.
    pub(super) fn resolve(places: &[Place]) -> Result<Self, String> {
        let resolve = |place: &Place| {
            let nets = match &place.host {
                Host::Net(net) => vec![*net],
                Host::Name(name) => addresses(name)?,
            };
            Ok((nets, place.ports.clone()))
        };
        places.iter().map(resolve).collect::<Result<_, String>>().map(Self)
    }

    /// # Errors
    /// The target is not in the list; the text names both.
    pub(super) fn check(&self, target: SocketAddr) -> Result<(), String> {
        // An IPv4 address in IPv6 clothes is the same place.
        let ip = target.ip().to_canonical();
        let within = |(nets, ports): &(Vec<IpNet>, RangeInclusive<u16>)| {
            ports.contains(&target.port()) && nets.iter().any(|net| net.contains(&ip))
        };
        if self.0.iter().any(within) {
            return Ok(());
        }
        Err(format!("{target} is not in this agent's --allow list"))
    }
}

fn addresses(name: &str) -> Result<Vec<IpNet>, String> {
    let found = (name, 0).to_socket_addrs();
    let found = found.map_err(|error| format!("--allow: {name} has no address: {error}"))?;
    Ok(found.map(|address| IpNet::from(address.ip().to_canonical())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(places: &[&str], target: &str) -> bool {
        let places: Vec<Place> = places.iter().map(|place| place.parse().unwrap()).collect();
        Allowed::resolve(&places).unwrap().check(target.parse().unwrap()).is_ok()
    }

    #[test]
    fn only_what_is_named_is_allowed() {
        for (place, target, right) in [
            ("127.0.0.1:7500", "127.0.0.1:7500", true),
            ("127.0.0.1:7500", "127.0.0.1:7501", false),
            ("127.0.0.1:7500", "127.0.0.2:7500", false),
            ("127.0.0.1:7500", "0.0.0.0:7500", false),
            ("10.1.0.0/16:7500-7600", "10.1.255.3:7600", true),
            ("10.1.0.0/16:7500-7600", "10.1.255.3:7601", false),
            ("10.1.0.0/16:7500-7600", "10.2.0.0:7500", false),
            ("10.1.0.0/16:*", "[::ffff:10.1.2.3]:1", true),
            ("127.0.0.1:*", "[::1]:80", false),
            ("[fd00::/8]:80", "[fd12::1]:80", true),
            ("[::1]:80", "[::1]:80", true),
            ("localhost:9", "127.0.0.1:9", true),
        ] {
            assert_eq!(allowed(&[place], target), right, "{place} {target}");
        }
        assert!(allowed(&["10.0.0.1:1", "10.0.0.2:2"], "10.0.0.2:2"));
        assert!(!allowed(&["10.0.0.1:1", "10.0.0.2:2"], "10.0.0.2:1"));
    }

    #[test]
    fn what_is_no_place_is_refused_with_the_form() {
        for text in [
            "",
            "host",
            "host:",
            "host:0",
            "host:9-8",
            "host:70000",
            ":80",
            "[::1:80",
            "10.0.0.0/33:80",
            "a b:80",
            "host:80,81",
            "010.1.2.3:80",
            "10.1:80",
            "127.1.:80",
            "0x7f000001:80",
        ] {
            let refused = text.parse::<Place>().unwrap_err();
            assert!(refused.contains("HOST:PORTS"), "{text}: {refused}");
        }
    }
}
