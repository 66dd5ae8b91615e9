//! How carefully a message is delivered: what a push and a broadcast have in common.

use crate::cli::value::ttl;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};

/// How carefully a message is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Class {
    /// To sessions that are online now; never stored
    #[default]
    Online,
    /// A push: stored until the client acknowledges it, or until its time to live ends. A
    /// broadcast: kept for its time to live, and given once to everybody who comes
    Durable,
}

/// The class, and what a durable message has beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Care {
    /// How carefully it is delivered
    #[arg(long, value_enum, default_value_t)]
    pub class: Class,
    /// The same as --class durable
    #[arg(long, conflicts_with = "class")]
    pub durable: bool,
    /// For how long a durable message is kept, such as 90s, 10min, 7d
    #[arg(long, value_name = "TIME", value_parser = ttl)]
    pub ttl: Option<u32>,
    /// Sent again with the same key, a durable message gets the first answer and is no second one
    #[arg(long, value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    pub idempotency_key: Option<String>,
}

impl Care {
    /// The class that was chosen, in whatever way.
    pub fn class(&self) -> Class {
        if self.durable { Class::Durable } else { self.class }
    }

    /// What no single argument can tell: an error in words.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.class() == Class::Durable {
            return Ok(());
        }
        if self.ttl.is_some() {
            return Err("--ttl is of use only with --durable: \
                        what is not stored has no time to live"
                .to_owned());
        }
        if self.idempotency_key.is_some() {
            return Err("--idempotency-key is of use only with --durable: \
                        what is not stored is not remembered"
                .to_owned());
        }
        Ok(())
    }

    /// The time to live in seconds, 0 for the gateway's own.
    pub(in crate::cli) fn ttl_seconds(&self) -> u32 {
        self.ttl.unwrap_or(0)
    }

    /// The idempotency key, empty for none.
    pub(in crate::cli) fn key(&self) -> &[u8] {
        self.idempotency_key.as_deref().unwrap_or_default().as_bytes()
    }
}
