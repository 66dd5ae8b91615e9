//! What a gateway counts, as its admin port says it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::shell::Result;

/// How long the admin port may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Every counter and gauge at one moment.
#[derive(Debug)]
pub(super) struct Counts(String);

impl Counts {
    /// Asks the gateway with this admin port.
    pub(super) fn read(admin: u16) -> Result<Self> {
        let failed = |error: std::io::Error| format!("admin port: {error}");
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, admin)).map_err(failed)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request).map_err(failed)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(failed)?;
        Ok(Self(answer))
    }

    /// A number by its name without the prefix, over all shards and labels.
    pub(super) fn of(&self, name: &str) -> Result<f64> {
        let value = |line: &str| {
            let rest = line.strip_prefix("holdfast_")?.strip_prefix(name)?;
            let is_it = rest.starts_with(['{', ' ']);
            rest.rsplit(' ').next().filter(|_| is_it)?.parse::<f64>().ok()
        };
        let mut values = self.0.lines().filter_map(value).peekable();
        values.peek().ok_or_else(|| format!("the gateway counts no {name}"))?;
        Ok(values.sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_summed_over_shards_and_is_that_of_its_whole_name() {
        let text = "# HELP holdfast_mailbox x\nholdfast_mailbox{shard=\"0\"} 3\n\
                    holdfast_mailbox{shard=\"1\"} 4\nholdfast_mailbox_messages 9\n";
        let counts = Counts(text.to_owned());
        assert_eq!(counts.of("mailbox"), Ok(7.0));
        assert_eq!(counts.of("mailbox_messages"), Ok(9.0));
        assert!(counts.of("mail").is_err());
    }
}
