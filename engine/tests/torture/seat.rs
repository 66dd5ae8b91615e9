//! One user's side of the ledger: what came to which of the user's devices, and what was
//! acknowledged.

use crate::ledger::Id;
use std::collections::{HashMap, HashSet};

/// One device of a user.
#[derive(Debug, Default)]
pub(crate) struct Device {
    /// The numbers that came to it.
    pub(crate) came: HashSet<u64>,
    /// The greatest number of a durable message that came to it.
    pub(crate) last: u64,
    /// The greatest number whose acknowledgement had certainly been taken when this connection was
    /// made, by whichever device.
    pub(crate) barrier: u64,
    /// The greatest number that anybody of the user had seen then.
    pub(crate) floor: u64,
}

/// A user.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    /// What each number is.
    pub(crate) numbers: HashMap<u64, Id>,
    pub(crate) devices: Vec<Device>,
    /// The greatest that was acknowledged, whether or not anybody heard it.
    pub(crate) acked: u64,
    /// What that was when the gateway before this one ended.
    pub(crate) acked_before: u64,
    /// The greatest whose acknowledgement this gateway certainly took.
    pub(crate) taken: u64,
    /// The greatest that is certainly on disk.
    pub(crate) kept: u64,
    /// Its messages, in the order made.
    pub(crate) messages: Vec<Id>,
}

impl Seat {
    /// A user with so many devices.
    pub(crate) fn new(devices: usize) -> Self {
        let devices = (0..devices).map(|_| Device::default()).collect();
        Self { devices, ..Self::default() }
    }

    /// The greatest number that anybody saw.
    pub(crate) fn last(&self) -> u64 {
        self.devices.iter().map(|device| device.last).max().unwrap_or(0).max(self.acked)
    }

    /// Whether a message that comes to a device for the first time, behind later ones, may do so:
    /// another device acknowledged it, and the gateway that took this was killed.
    pub(crate) fn was_acked_elsewhere(&self, sequence: u64) -> bool {
        self.devices.len() > 1 && sequence <= self.acked_before
    }

    /// The gateway is gone; of what it took it kept this.
    pub(crate) fn orphaned(&mut self, kept: bool) {
        if kept {
            self.kept = self.taken;
        } else {
            self.taken = self.kept;
        }
        self.acked_before = self.acked;
    }
}
