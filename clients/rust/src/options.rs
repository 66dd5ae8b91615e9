//! What a [`crate::Backend`] needs to know: where, who, and how patient.

use crate::check;
use crate::error::Error;
use crate::event::Event;
use crate::receipt::Receipt;
use std::fmt;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

/// The port of the backend API where an address names none.
pub const DEFAULT_PORT: u16 = 7600;

/// A function that is told of [`Event`]s, on the client's own thread; it must not block.
pub type Listener = Arc<dyn Fn(&Event) + Send + Sync>;

/// A function that takes [`Receipt`]s, on the client's own thread; it must not block.
pub type ReceiptListener = Arc<dyn Fn(Receipt) + Send + Sync>;

/// How to connect. [`Options::new`] has a default for all but the addresses.
#[derive(Clone)]
pub struct Options {
    /// Gateways, any of which will do: `host`, `host:port`, `192.0.2.1:7600`, `[2001:db8::1]:7600`.
    /// Names are resolved at each attempt. The first to be tried is drawn by lot, then in turn, so
    /// that many backends with the same list spread over it.
    pub addresses: Vec<String>,
    /// The backend's name in the gateway's logs and counters, 1 to 64 bytes.
    pub name: String,
    /// The API key, up to 256 bytes; empty where the gateway asks for none.
    pub key: Vec<u8>,
    /// How long a request may wait for its answer, and besides for room in the window. Each
    /// request's fate is known after this at the latest. Default 5 s.
    pub timeout: Duration,
    /// How long one address may take from the first packet to the welcome. Default 3 s.
    pub connect_timeout: Duration,
    /// A connection that was silent for so long is pinged; silent for three times as long, it is
    /// given up. Default 10 s.
    pub ping_after: Duration,
    /// The delay before all addresses are tried again. It doubles up to
    /// [`backoff_max`](Self::backoff_max); each delay is drawn between half of it and all of it.
    /// Default 100 ms.
    pub backoff_min: Duration,
    /// The longest delay. Default 10 s.
    pub backoff_max: Duration,
    /// Is told of connects, losses and drains. Default: nobody.
    pub on_event: Option<Listener>,
    /// Takes the receipts of targets that asked for one; see [`Options::on_receipt`]. Default:
    /// nobody.
    pub on_receipt: Option<ReceiptListener>,
}

impl Options {
    /// The defaults, for these gateways.
    pub fn new<A: Into<String>>(addresses: impl IntoIterator<Item = A>) -> Self {
        Self {
            addresses: addresses.into_iter().map(Into::into).collect(),
            name: "backend".to_owned(),
            key: Vec::new(),
            timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(3),
            ping_after: Duration::from_secs(10),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(10),
            on_event: None,
            on_receipt: None,
        }
    }

    /// Hands each receipt to `listener`, on the client's own thread: it must not block. Receipts
    /// that come while nobody listens are passed over.
    ///
    /// A receipt may be for a push of an earlier connection, of another clone, or of another
    /// process whose backend has the same [`name`](Self::name). It may come before the outcomes of
    /// its own push, when that had several targets.
    #[must_use]
    pub fn on_receipt(mut self, listener: impl Fn(Receipt) + Send + Sync + 'static) -> Self {
        self.on_receipt = Some(Arc::new(listener));
        self
    }

    /// Refuses what cannot work, and gives each address its port.
    pub(crate) fn checked(mut self) -> Result<Self, Error> {
        if self.addresses.is_empty() {
            return Err(Error::Invalid("no address of a gateway is given".to_owned()));
        }
        check::hello(&self.name, &self.key)?;
        for (what, duration) in [
            ("timeout", self.timeout),
            ("connect_timeout", self.connect_timeout),
            ("ping_after", self.ping_after),
            ("backoff_min", self.backoff_min),
        ] {
            if duration.is_zero() {
                return Err(Error::Invalid(format!("{what} is zero")));
            }
        }
        for address in &mut self.addresses {
            *address = with_port(address);
        }
        Ok(self)
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key is left out, and so is the function, of which nothing can be said.
        out.debug_struct("Options")
            .field("addresses", &self.addresses)
            .field("name", &self.name)
            .field("timeout", &self.timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("ping_after", &self.ping_after)
            .field("backoff", &(self.backoff_min..=self.backoff_max))
            .finish_non_exhaustive()
    }
}

/// `address` with [`DEFAULT_PORT`] if it names none; a bare IPv6 address gets its brackets.
fn with_port(address: &str) -> String {
    let bare = address.trim_start_matches('[').trim_end_matches(']');
    if bare.parse::<Ipv6Addr>().is_ok() {
        return format!("[{bare}]:{DEFAULT_PORT}");
    }
    if address.contains(':') { address.to_owned() } else { format!("{address}:{DEFAULT_PORT}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_port_gets_the_default_one() {
        assert_eq!(with_port("gw1"), "gw1:7600");
        assert_eq!(with_port("gw1:99"), "gw1:99");
        assert_eq!(with_port("192.0.2.1"), "192.0.2.1:7600");
        assert_eq!(with_port("::1"), "[::1]:7600");
        assert_eq!(with_port("[::1]"), "[::1]:7600");
        assert_eq!(with_port("[::1]:99"), "[::1]:99");
    }

    #[test]
    fn a_printed_option_keeps_the_key_to_itself() {
        let options = Options { key: b"hunter2".to_vec(), ..Options::new(["gw1"]) };
        let printed = format!("{options:?}");
        assert!(!printed.contains("hunter2") && !printed.contains("104"), "{printed}");
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        let none = Options::new(Vec::<String>::new()).checked();
        assert!(matches!(none, Err(Error::Invalid(what)) if what.contains("address")));
        let hasty = Options { timeout: Duration::ZERO, ..Options::new(["gw1"]) }.checked();
        assert!(matches!(hasty, Err(Error::Invalid(what)) if what.contains("timeout")));
        let nameless = Options { name: String::new(), ..Options::new(["gw1"]) }.checked();
        assert!(matches!(nameless, Err(Error::Invalid(what)) if what.contains("name")));
    }
}
