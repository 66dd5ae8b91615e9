//! Every bound of the wire, tied together by constant assertions.

/// The protocol version that this crate speaks, for clients and for backends.
pub const VERSION: u8 = 1;

/// Longest user id, in bytes of UTF-8.
pub const USER_BYTES: usize = 64;
/// Longest product name, in bytes of UTF-8.
pub const PRODUCT_BYTES: usize = 32;
/// Longest device name, in bytes of UTF-8; may be empty.
pub const DEVICE_BYTES: usize = 64;
/// Longest login token, in bytes.
pub const TOKEN_BYTES: usize = 2048;
/// Most tags that one session may carry.
pub const TAGS: usize = 16;
/// Longest tag, in bytes of UTF-8.
pub const TAG_BYTES: usize = 32;
/// Length of a session id.
pub const SESSION_ID_BYTES: usize = 16;
/// Longest reason text, in bytes of UTF-8.
pub const REASON_BYTES: usize = 255;
/// Most addresses in one redirect.
pub const REDIRECT_ADDRESSES: usize = 8;
/// Longest address in a redirect, in bytes.
pub const ADDRESS_BYTES: usize = 255;
/// Largest payload of a frame that a client may send.
pub const CLIENT_PAYLOAD: usize = 4096;

/// Longest push body that a gateway may be configured for.
pub const BODY_BYTES_CEILING: usize = 1 << 20;
/// Longest push body by default.
pub const BODY_BYTES_DEFAULT: usize = 64 << 10;
/// Largest payload of a frame that the gateway may send to a client.
pub const PUSH_PAYLOAD: usize = BODY_BYTES_CEILING + 8;
/// Most bytes that a push adds to a body of up to 16 KiB, and of any length.
pub const PUSH_OVERHEAD: usize = 12;
/// Greatest sequence number: 49 bits, so that it takes at most seven bytes.
pub const SEQUENCE_MAX: u64 = (1 << 49) - 1;

/// Longest name of a backend, in bytes of UTF-8.
pub const BACKEND_NAME_BYTES: usize = 64;
/// Longest API key, in bytes.
pub const API_KEY_BYTES: usize = 256;
/// Largest payload of a frame from a backend that is not welcomed yet: a hello with every field at
/// its longest.
pub const BACKEND_HELLO_PAYLOAD: usize = 1 + (1 + BACKEND_NAME_BYTES) + (2 + API_KEY_BYTES);
/// A backend sends something at least this often, in seconds; a gateway waits at least twice as
/// long.
pub const BACKEND_HEARTBEAT_SECONDS: u16 = 60;
/// Largest payload of a frame on the backend API, both ways.
pub const BACKEND_PAYLOAD: usize = 4 << 20;
/// Most targets of one push request.
pub const PUSH_TARGETS: usize = 4096;
/// Most users of one online query.
pub const ONLINE_USERS: usize = 4096;
/// Longest idempotency key, in bytes.
pub const IDEMPOTENCY_KEY_BYTES: usize = 64;
/// Longest time to live, in seconds: 30 days.
pub const TTL_SECONDS_MAX: u32 = 30 * 24 * 3600;
/// Most counters in one answer.
pub const COUNTERS: usize = 1024;
/// Longest name of a counter, in bytes.
pub const COUNTER_NAME_BYTES: usize = 128;

/// Shortest heartbeat that a gateway grants, in seconds.
pub const HEARTBEAT_SECONDS_MIN: u16 = 5;
/// Longest heartbeat that a gateway grants, in seconds.
pub const HEARTBEAT_SECONDS_MAX: u16 = 3600;

/// Longest varint of a frame's length.
pub const LENGTH_BYTES: usize = 4;
/// Longest frame header: kind and length.
pub const HEADER_BYTES: usize = 1 + LENGTH_BYTES;

const _: () = {
    // A hello with every field at its longest fits in what a client may send.
    let hello = 1
        + 3
        + (1 + PRODUCT_BYTES)
        + (1 + USER_BYTES)
        + (1 + DEVICE_BYTES)
        + (2 + TOKEN_BYTES)
        + (1 + SESSION_ID_BYTES + 7 + 7)
        + (1 + TAGS * (1 + TAG_BYTES));
    assert!(hello <= CLIENT_PAYLOAD);
    // kind + three bytes of length + flags + seven bytes of sequence.
    assert!(PUSH_OVERHEAD == 1 + 3 + 1 + 7);
    assert!(PUSH_PAYLOAD < 1 << 21, "the length of every push fits in three bytes");
    assert!(BACKEND_PAYLOAD < 1 << 28, "a length fits in four bytes");
    assert!(BODY_BYTES_CEILING < BACKEND_PAYLOAD);
    assert!(BODY_BYTES_DEFAULT <= BODY_BYTES_CEILING);
};
