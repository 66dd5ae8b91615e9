//! Addresses that carry their age: a stale one finds nothing, never a stranger.

use holdfast_protocol::client::SessionId;

/// Names one use of one connection slot on one shard of this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId {
    /// The shard that owns the connection.
    pub shard: u16,
    /// Its place in that shard's table.
    pub slot: u32,
    /// Which use of the place.
    pub generation: u32,
}

/// Names a connection in the whole cluster, over restarts of its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address {
    /// The host's number.
    pub host: u16,
    /// Grows each time the host's process starts.
    pub incarnation: u32,
    /// Where on that host.
    pub connection: ConnectionId,
}

impl Address {
    /// The address as the session id that its client is given: host, incarnation, shard, slot,
    /// generation, each big-endian. It is a name, not a secret: who comes back with it logs in all
    /// the same.
    pub fn session_id(self) -> SessionId {
        let mut id = [0; 16];
        id[0..2].copy_from_slice(&self.host.to_be_bytes());
        id[2..6].copy_from_slice(&self.incarnation.to_be_bytes());
        id[6..8].copy_from_slice(&self.connection.shard.to_be_bytes());
        id[8..12].copy_from_slice(&self.connection.slot.to_be_bytes());
        id[12..16].copy_from_slice(&self.connection.generation.to_be_bytes());
        id
    }

    /// The address that a session id names; `None` where it is none of this software's.
    pub fn of_session(id: SessionId) -> Option<Self> {
        let (host, rest) = id.split_first_chunk()?;
        let (incarnation, rest) = rest.split_first_chunk()?;
        let (shard, rest) = rest.split_first_chunk()?;
        let (slot, rest) = rest.split_first_chunk()?;
        let (generation, _) = rest.split_first_chunk()?;
        Some(Self {
            host: u16::from_be_bytes(*host),
            incarnation: u32::from_be_bytes(*incarnation),
            connection: ConnectionId {
                shard: u16::from_be_bytes(*shard),
                slot: u32::from_be_bytes(*slot),
                generation: u32::from_be_bytes(*generation),
            },
        })
    }

    /// Whether both are of the same life of the same host.
    pub fn is_of(&self, other: &Self) -> bool {
        self.host == other.host && self.incarnation == other.incarnation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_id_names_its_address_again() {
        let connection = ConnectionId { shard: 7, slot: 1 << 20, generation: 3 };
        let address = Address { host: 2, incarnation: 1_700_000_000, connection };
        let again = Address::of_session(address.session_id()).unwrap();
        assert_eq!(again, address);
        assert!(again.is_of(&address));
        assert!(!again.is_of(&Address { incarnation: 1, ..address }));
    }
}
