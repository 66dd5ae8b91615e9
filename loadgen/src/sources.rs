//! Which local address each client connects from, so that ports never run out.
//!
//! A connection is named by both its addresses and ports, so one source address holds as many
//! connections to one gateway address as there are local ports. On loopback there are 16 million
//! source addresses for nothing; elsewhere the caller names its own, or the kernel chooses.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Which part of the local ports one source address can use at most. What is left absorbs ports
/// that wait in TIME-WAIT after a churn and those of other programs.
const SHARE: (u32, u32) = (2, 3);
/// Which part it uses where addresses cost nothing. The kernel looks for a port among the even ones
/// first, so beyond half of all each connect searches every even port in vain; well below that it
/// finds one at once.
const EASY_SHARE: (u32, u32) = (1, 5);

/// The source addresses of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sources {
    /// The kernel chooses.
    Kernel,
    /// These, in turn.
    Listed(Vec<IpAddr>),
    /// So many addresses of 127/8, in turn, beginning at 127.0.0.1.
    Loopback(u32),
}

impl Sources {
    /// Sources for `clients` connections spread over `gateways`, with `ports` local ports. `listed`
    /// are the caller's own.
    ///
    /// # Errors
    /// The connections do not fit on the addresses that there are; the text says what to change.
    pub(crate) fn plan(
        clients: u32,
        gateways: &[SocketAddr],
        listed: &[IpAddr],
        ports: u32,
    ) -> Result<Self, String> {
        let spread = u32::try_from(gateways.len()).unwrap_or(u32::MAX).max(1);
        let sources = |share: (u32, u32)| {
            clients.div_ceil(spread).div_ceil((ports * share.0 / share.1).max(1)).max(1)
        };
        let needed = sources(SHARE);
        if !listed.is_empty() {
            return enough(listed.len(), needed).map(|()| Self::Listed(listed.to_vec()));
        }
        let loopback = gateways.iter().all(|gateway| match gateway.ip() {
            IpAddr::V4(address) => address.is_loopback(),
            IpAddr::V6(_) => false,
        });
        if loopback {
            Ok(Self::Loopback(sources(EASY_SHARE)))
        } else {
            enough(1, needed).map(|()| Self::Kernel)
        }
    }

    /// The source of client `index`; `None` where the kernel chooses.
    pub(crate) fn of(&self, index: u32) -> Option<IpAddr> {
        match self {
            Self::Kernel => None,
            Self::Listed(addresses) => Some(addresses[index as usize % addresses.len()]),
            Self::Loopback(count) => {
                let first = u32::from(Ipv4Addr::LOCALHOST);
                Some(Ipv4Addr::from(first + index % count).into())
            }
        }
    }

    /// How many addresses; 0 where the kernel chooses.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Kernel => 0,
            Self::Listed(addresses) => addresses.len(),
            Self::Loopback(count) => *count as usize,
        }
    }
}

fn enough(have: usize, needed: u32) -> Result<(), String> {
    if have >= needed as usize {
        return Ok(());
    }
    Err(format!(
        "{needed} source addresses are needed so that local ports do not run out, and \
         there are {have}: \
         name more with --source, more gateway addresses with --gateway, or widen the ports with \
         `sysctl -w net.ipv4.ip_local_port_range=\"10000 65535\"`"
    ))
}

/// How many local ports the kernel gives out.
pub(crate) fn local_ports() -> u32 {
    let (low, high) = local_port_range();
    u32::from(high.saturating_sub(low)) + 1
}

/// The first and the last local port that the kernel gives out.
pub(crate) fn local_port_range() -> (u16, u16) {
    const USUAL: (u16, u16) = (32_768, 60_999);
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let range = text.unwrap_or_default();
    let mut ends = range.split_whitespace().map_while(|end| end.parse::<u16>().ok());
    match (ends.next(), ends.next()) {
        (Some(low), Some(high)) if high >= low => (low, high),
        _ => USUAL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateways(text: &[&str]) -> Vec<SocketAddr> {
        text.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_million_clients_on_loopback_use_a_fifth_of_the_ports_of_each_address() {
        let to = gateways(&["127.0.0.1:7500"]);
        let sources = Sources::plan(1_000_000, &to, &[], 28_232).unwrap();
        assert!(1_000_000 / sources.len() <= 28_232 / 5);
        assert_eq!(sources.of(0), Some("127.0.0.1".parse().unwrap()));
        let last = sources.of(u32::try_from(sources.len()).unwrap() - 1);
        assert_eq!(last, Some("127.0.0.178".parse().unwrap()));
    }

    #[test]
    fn several_gateway_addresses_need_fewer_sources() {
        let to = gateways(&["127.0.0.1:7500", "127.0.0.1:7501"]);
        assert_eq!(Sources::plan(11_000, &to, &[], 28_232).unwrap(), Sources::Loopback(1));
        assert_eq!(Sources::plan(11_000, &to[..1], &[], 28_232).unwrap(), Sources::Loopback(2));
    }

    #[test]
    fn too_few_listed_addresses_are_refused_with_what_to_do() {
        let to = gateways(&["192.0.2.1:7500"]);
        let listed = ["192.0.2.7".parse().unwrap()];
        let refused = Sources::plan(100_000, &to, &listed, 28_232).unwrap_err();
        assert!(refused.contains("--source"), "{refused}");
        assert!(Sources::plan(10_000, &to, &listed, 28_232).is_ok());
    }

    #[test]
    fn elsewhere_the_kernel_chooses_while_one_address_is_enough() {
        let to = gateways(&["192.0.2.1:7500"]);
        assert_eq!(Sources::plan(10_000, &to, &[], 28_232).unwrap(), Sources::Kernel);
        assert!(Sources::plan(100_000, &to, &[], 28_232).is_err());
    }
}
