//! The names of what is counted, with the sentence that explains each.
//!
//! Names are those of the Prometheus text without the prefix, the unit and `_total`, which the
//! library adds.

/// The unit of a number; [`Unit::None`] where it counts things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// It counts what its name says.
    None,
    /// Bytes.
    Bytes,
}

macro_rules! names {
    ($(#[$type_doc:meta])* $type:ident {
        $(#[doc = $help:literal] $name:ident = $word:literal $(, $unit:ident)?;)*
    }) => {
        $(#[$type_doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $type { $(#[doc = $help] $name,)* }

        impl $type {
            /// Every value, in the order of its numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// What it counts, as a sentence.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$name => $help.trim_ascii_start(),)* }
            }

            /// Its unit.
            pub const fn unit(self) -> Unit {
                match self { $(Self::$name => names!(@unit $($unit)?),)* }
            }
        }
    };
    (@unit) => { Unit::None };
    (@unit $unit:ident) => { Unit::$unit };
}

names! {
    /// What only grows and has no reason of its own.
    Counter {
        /// Connections of clients that were accepted.
        Accepted = "accepted_connections";
        /// Connections of backends that were accepted.
        BackendsAccepted = "accepted_backends";
        /// Times that accepting paused for want of descriptors or memory.
        AcceptPauses = "accept_pauses";
        /// Clients that logged in.
        Logins = "logins";
        /// Backends that logged in.
        BackendLogins = "backend_logins";
        /// Bytes received from clients.
        BytesIn = "client_received", Bytes;
        /// Bytes that the kernel took for clients.
        BytesOut = "client_sent", Bytes;
        /// Bytes received from backends.
        BackendBytesIn = "backend_received", Bytes;
        /// Bytes that the kernel took for backends.
        BackendBytesOut = "backend_sent", Bytes;
        /// Connections of clients that the client closed without a bye.
        PeerClosed = "closed_by_peer";
        /// Connections of backends that the backend closed.
        BackendPeerClosed = "backends_closed_by_peer";
        /// Connections that broke.
        PeerReset = "broken_connections";
        /// Broadcast jobs that were started.
        BroadcastsStarted = "broadcasts_started";
        /// Sessions that left before a broadcast that was for them came by.
        BroadcastMissed = "broadcast_missed";
        /// Sessions for which a broadcast's time to live ended first.
        BroadcastExpired = "broadcast_expired";
        /// Broadcast messages that were handed to a connection.
        BroadcastDeliveries = "broadcast_deliveries";
        /// Durable broadcasts that were handed to sessions which came after they began.
        BroadcastsCaughtUp = "broadcasts_caught_up";
        /// Letters that were put into rings to other shards.
        MeshLetters = "mesh_letters";
        /// Times that a ring to another shard was full and its source had to wait.
        MeshFull = "mesh_full_stalls";
        /// Sleeping shards that this one woke.
        Wakes = "mesh_wakes";
        /// Turns of the loop.
        Turns = "turns";
        /// Sends that the kernel was asked for.
        Sends = "sends";
        /// Sends of which the kernel took a part or nothing.
        ShortSends = "short_sends";
        /// Times that the completion queue of the ring overflowed.
        CqOverflows = "cq_overflows";
        /// Timers that were looked at.
        TimerVisits = "timer_visits";
        /// Messages for a connection that was gone.
        Stale = "stale_addresses";
        /// Durable messages that were taken for a user; one that is kept again counts again.
        DurableTaken = "durable_taken";
        /// Durable messages that another host was faster than, and that were kept again behind it.
        DurableKeptAgain = "durable_kept_again";
        /// Durable messages that the store has made safe.
        DurableStored = "durable_stored";
        /// Durable messages that the store could not make safe; their backends were told.
        DurableNotStored = "durable_not_stored";
        /// Durable messages that a client acknowledged.
        DurableAcked = "durable_acked";
        /// Durable messages whose time to live ended.
        DurableExpired = "durable_expired";
        /// Durable messages that were given up: pushed out of a full mailbox, or purged.
        DurableDropped = "durable_dropped";
        /// Durable messages that were handed to a connection.
        DurableDeliveries = "durable_deliveries";
        /// Durable messages that were handed to a connection and may have been before.
        Redeliveries = "durable_redeliveries";
        /// Times that what was not acknowledged in time was sent again to a user.
        RedeliveryRounds = "redelivery_rounds";
        /// Times that a user's mailbox was quarantined.
        Quarantines = "quarantines";
        /// Times that a session had no room for a durable message, which then waits in its mailbox.
        SessionsStuck = "sessions_stuck";
        /// Pushes that were repeated with the same idempotency key and made no second message.
        IdempotentRepeats = "idempotent_repeats";
        /// Receipts that were sent to backends.
        Receipts = "receipts";
        /// Receipts for backends of which no connection was there.
        ReceiptsLost = "receipts_lost";
        /// Batches that were sent to the store.
        StoreBatches = "store_batches";
        /// Writes that were spared, because a client acknowledged before they were due.
        StoreSkipped = "store_writes_skipped";
        /// Messages that were copied so that the segment that they lay in could go.
        StoreMoved = "store_moved";
        /// Messages that the store had and could not give back.
        StoreUnreadable = "store_unreadable";
        /// Lines that were kept out of the log.
        LogSuppressed = "log_lines_suppressed";
    }
}

names! {
    /// What goes up and down.
    Gauge {
        /// Connections of backends.
        Backends = "backends";
        /// Bytes that wait for peers that do not read fast enough.
        OutboxBytes = "outbox", Bytes;
        /// Users whose home is this shard and who have a session.
        Users = "users";
        /// Broadcast jobs that are not over.
        Broadcasts = "broadcasts";
        /// Targets and requests of backends that wait for their outcome.
        PushesInFlight = "pushes_in_flight";
        /// Users who have messages in their mailbox.
        Mailboxes = "mailboxes";
        /// Messages in mailboxes.
        MailboxMessages = "mailbox_messages";
        /// Bytes of bodies of messages in mailboxes.
        MailboxBytes = "mailbox", Bytes;
        /// Mailboxes of users who take messages and acknowledge none.
        Quarantined = "quarantined_mailboxes";
        /// Bytes of messages that wait for the store.
        StoreWaiting = "store_waiting", Bytes;
        /// Whether the store takes nothing from this shard now.
        StoreTrouble = "store_trouble";
        /// Whether this shard accepts no connections for want of descriptors or memory.
        AcceptPaused = "accept_paused";
        /// This shard's part of the connections of clients that the gateway holds at most.
        ConnectionsLimit = "connections_limit";
    }
}

names! {
    /// Where the connection of a client stands.
    ConnectionState {
        /// Accepted, and its hello is not complete.
        Opening = "opening";
        /// Its hello is being checked or registered.
        LoggingIn = "logging_in";
        /// Logged in.
        Online = "online";
        /// Told to go; its last bytes are on their way.
        Closing = "closing";
    }
}

names! {
    /// Who holds memory.
    Memory {
        /// The connection table.
        Connections = "connections";
        /// Sessions and homes.
        Directory = "directory";
        /// Mailboxes and idempotency keys, without the bodies of messages.
        Mailboxes = "mailboxes";
        /// Bytes queued to connections.
        Outboxes = "outboxes";
        /// The timer wheel.
        Timers = "timers";
        /// The rings to other shards.
        Mesh = "mesh";
        /// Buffers that receive.
        ReceiveBuffers = "receive_buffers";
        /// Bodies of broadcast jobs.
        Broadcasts = "broadcasts";
        /// Requests of backends in flight.
        Backends = "backends";
    }
}

names! {
    /// Why a connection was closed before its first byte.
    Refusal {
        /// As many clients are connected as may.
        ClientsFull = "clients_full";
        /// As many backends are connected as may.
        BackendsFull = "backends_full";
        /// The gateway shuts down.
        Draining = "draining";
    }
}

/// Outcomes of a push that have no reason, in the order of their cells.
pub(super) const OUTCOMES: [&str; 6] =
    ["delivered", "offline", "stored", "acked", "expired", "busy"];
