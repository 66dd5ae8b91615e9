//! Core to core: for each ordered pair of shards, one bounded ring for each stage of a message.
//!
//! A push goes from the shard of its backend to the user's home ([`ToHome`]), from there to the
//! shard of the connection ([`ToSession`]), and what became of it goes back ([`ToOrigin`]). The
//! three stages have rings of their own because a full ring must hold its source up without holding
//! up the world: `ToOrigin` is always taken, so `ToSession` always drains, so `ToHome` always
//! drains. With one ring for all, two shards whose rings are full of each other's work would wait
//! for ever.
//!
//! [`Outbound`] keeps order and never loses a letter: what finds its ring full waits in the
//! sender's backlog, and while a stage has a backlog its source is not read. So a backlog holds no
//! more than one source's last request, and the bytes wait where they came from.

pub mod letter;
pub mod outbound;

use crate::io::Wake;
use crate::io::sleep::{Doorbell, Sleeper};
use crate::io::spsc::{Consumer, ring};
pub use letter::{ToHome, ToOrigin, ToSession};
pub use outbound::Outbound;
use std::sync::Arc;

/// One shard's ends of the mesh.
#[derive(Debug)]
pub struct Ends<W> {
    /// Letters to homes, from every shard.
    pub home_in: Vec<Consumer<ToHome>>,
    /// Letters to sessions, from every shard.
    pub session_in: Vec<Consumer<ToSession>>,
    /// Letters to origins, from every shard.
    pub origin_in: Vec<Consumer<ToOrigin>>,
    /// To every shard's homes.
    pub home_out: Outbound<ToHome>,
    /// To every shard's sessions.
    pub session_out: Outbound<ToSession>,
    /// To every shard's origins.
    pub origin_out: Outbound<ToOrigin>,
    /// Every shard's doorbell, this one's included.
    pub doorbells: Vec<Doorbell<W>>,
    /// This shard's sleep.
    pub sleeper: Arc<Sleeper>,
}

impl<W> Ends<W> {
    /// The bytes of the rings that this shard reads.
    pub fn bytes(&self) -> usize {
        let letters = size_of::<ToHome>() + size_of::<ToSession>() + size_of::<ToOrigin>();
        self.home_in.iter().map(Consumer::capacity).sum::<usize>() * letters
    }
}

/// Connects `wakers.len()` shards with rings of `capacity` letters.
///
/// Gives each shard its ends, in the order of the wakers.
pub fn connect<W: Wake + Clone>(wakers: &[W], capacity: usize) -> Vec<Ends<W>> {
    let shards = wakers.len();
    let sleepers: Vec<_> = wakers.iter().map(|_| Arc::new(Sleeper::new())).collect();
    let doorbell =
        |shard: usize| Doorbell::new(Arc::clone(&sleepers[shard]), wakers[shard].clone());
    let (home_out, mut home_in) = rings(shards, capacity);
    let (session_out, mut session_in) = rings(shards, capacity);
    let (origin_out, mut origin_in) = rings(shards, capacity);
    let outs = home_out.into_iter().zip(session_out).zip(origin_out);
    outs.enumerate()
        .map(|(shard, ((home_out, session_out), origin_out))| Ends {
            home_in: std::mem::take(&mut home_in[shard]),
            session_in: std::mem::take(&mut session_in[shard]),
            origin_in: std::mem::take(&mut origin_in[shard]),
            home_out,
            session_out,
            origin_out,
            doorbells: (0..shards).map(doorbell).collect(),
            sleeper: Arc::clone(&sleepers[shard]),
        })
        .collect()
}

/// A ring for each ordered pair: the producers by source, the consumers by destination.
fn rings<L: Send>(shards: usize, capacity: usize) -> (Vec<Outbound<L>>, Vec<Vec<Consumer<L>>>) {
    let mut consumers: Vec<Vec<Consumer<L>>> = (0..shards).map(|_| Vec::new()).collect();
    let producers = (0..shards)
        .map(|_| {
            let row = consumers.iter_mut().map(|inbox| {
                let (producer, consumer) = ring(capacity);
                inbox.push(consumer);
                producer
            });
            Outbound::new(row.collect())
        })
        .collect();
    (producers, consumers)
}
