//! What goes wrong in a simulated world, and how often.
//!
//! Owns numbers only; the links and peers act on them. Frequencies are in parts of a thousand,
//! times in microseconds.

use super::chance::Chance;

/// The faults of one world. Nothing here breaks the contract of [`crate::io::Io`].
#[derive(Debug, Clone)]
pub struct Faults {
    /// How long bytes, connects and closes travel: shortest and longest.
    pub latency: (u64, u64),
    /// How often one of them takes `spike` longer (a lost packet, sent again).
    pub spike_permille: u32,
    /// See `spike_permille`.
    pub spike: u64,
    /// How many bytes one direction of a connection holds that its reader has not read: least and
    /// most, drawn for each.
    pub pipe_bytes: (u64, u64),
    /// Sends that take a part although there is room.
    pub short_send_permille: u32,
    /// Sends that take nothing although there is room, as where the kernel lacks memory.
    pub refused_send_permille: u32,
    /// Receives that find nothing although bytes wait, for the same reason; the next watch tells of
    /// them.
    pub refused_receive_permille: u32,
    /// Connections that are reset at both ends at some time.
    pub cut_permille: u32,
    /// Connections whose peer is silently gone from some time on.
    pub silence_permille: u32,
    /// A cut or a silence comes at most so long after the connect.
    pub harm_within: u64,
    /// Sent bytes that a silent peer leaves unacknowledged break the connection after so long.
    pub user_timeout: u64,
    /// Accepts that fail for want of a descriptor.
    pub accept_failure_permille: u32,
    /// Watches that are reported readable with nothing to read.
    pub spurious_ready_permille: u32,
    /// Reports and wake-ups that come up to `delay` late.
    pub late_permille: u32,
    /// See `late_permille`.
    pub delay: u64,
    /// Waits that report a wake-up that nobody asked for.
    pub spurious_wake_permille: u32,
    /// Waits that report a part of what happened and leave the rest for the next.
    pub short_wait_permille: u32,
    /// Whether a watch tells of changes only, as epoll does for a socket it knows, and not of what
    /// waited before it was armed.
    pub edges_only: bool,
}

impl Faults {
    /// A quick network on which nothing goes wrong.
    pub fn none() -> Self {
        Self {
            latency: (20, 200),
            spike_permille: 0,
            spike: 0,
            pipe_bytes: (256 << 10, 256 << 10),
            short_send_permille: 0,
            refused_send_permille: 0,
            refused_receive_permille: 0,
            cut_permille: 0,
            silence_permille: 0,
            harm_within: 20_000_000,
            user_timeout: 30_000_000,
            accept_failure_permille: 0,
            spurious_ready_permille: 0,
            late_permille: 0,
            delay: 0,
            spurious_wake_permille: 0,
            short_wait_permille: 0,
            edges_only: false,
        }
    }

    /// The faults of a seed: each one is on or off, since some bugs hide behind the mixture of all.
    pub fn draw(chance: &mut Chance) -> Self {
        let mut sometimes = |permille: u64| {
            let on = chance.happens(600);
            let drawn = u32::try_from(chance.between(1, permille)).unwrap_or(0);
            if on { drawn } else { 0 }
        };
        let mut faults = Self {
            spike_permille: sometimes(50),
            short_send_permille: sometimes(400),
            cut_permille: sometimes(150),
            silence_permille: sometimes(80),
            accept_failure_permille: sometimes(100),
            spurious_ready_permille: sometimes(100),
            late_permille: sometimes(300),
            spurious_wake_permille: sometimes(100),
            short_wait_permille: sometimes(400),
            refused_send_permille: sometimes(300),
            refused_receive_permille: sometimes(100),
            ..Self::none()
        };
        faults.latency = *chance.pick(&[(1, 50), (20, 2_000), (5_000, 40_000)]);
        faults.spike = chance.between(1_000, 1_000_000);
        faults.delay = chance.between(100, 50_000);
        faults.pipe_bytes = *chance.pick(&[(512, 4096), (4096, 65_536), (65_536, 262_144)]);
        faults.edges_only = chance.happens(500);
        faults
    }
}
