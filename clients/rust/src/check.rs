//! Refuses, before anything is sent, what a gateway would take for a broken program: it would close
//! the connection, and with it every other request in flight.

use crate::error::Error;
use holdfast_protocol::backend::{Broadcast, Target};
use holdfast_protocol::limits::{
    API_KEY_BYTES, BACKEND_NAME_BYTES, BACKEND_PAYLOAD, IDEMPOTENCY_KEY_BYTES, ONLINE_USERS,
    PRODUCT_BYTES, PUSH_TARGETS, REASON_BYTES, TAG_BYTES, TTL_SECONDS_MAX, USER_BYTES,
};
use std::ops::RangeInclusive;

/// Most bytes that the fields beside its bodies add to a push or a broadcast: id, product, count,
/// tag, numbers.
const REQUEST_OVERHEAD: usize = 128;
/// Most bytes that a target's own fields add to its user, key and body: flags and four lengths.
const TARGET_OVERHEAD: usize = 1 + 1 + 5 + 1 + 4;

pub(crate) fn hello(name: &str, key: &[u8]) -> Result<(), Error> {
    length("the backend's name", name.len(), 1..=BACKEND_NAME_BYTES)?;
    length("the API key", key.len(), 0..=API_KEY_BYTES)
}

pub(crate) fn push(product: &str, targets: &[Target<'_>]) -> Result<(), Error> {
    length("the product", product.len(), 1..=PRODUCT_BYTES)?;
    count("targets", targets.len(), PUSH_TARGETS)?;
    let mut bytes = REQUEST_OVERHEAD;
    let mut before: Option<&[u8]> = None;
    for target in targets {
        user(target.user)?;
        message(target.ttl, target.key)?;
        bytes += TARGET_OVERHEAD + target.user.len() + target.key.len();
        if !before.is_some_and(|body| std::ptr::eq(body, target.body)) {
            bytes += target.body.len();
        }
        before = Some(target.body);
    }
    frame(bytes)
}

pub(crate) fn broadcast(broadcast: &Broadcast<'_>) -> Result<(), Error> {
    length("the product", broadcast.product.len(), 1..=PRODUCT_BYTES)?;
    length("the tag", broadcast.tag.len(), 0..=TAG_BYTES)?;
    message(broadcast.ttl, broadcast.key)?;
    frame(REQUEST_OVERHEAD + broadcast.key.len() + broadcast.body.len())
}

pub(crate) fn online(product: &str, users: &[&str]) -> Result<(), Error> {
    length("the product", product.len(), 1..=PRODUCT_BYTES)?;
    count("users", users.len(), ONLINE_USERS)?;
    users.iter().try_for_each(|name| user(name))
}

pub(crate) fn kick(product: &str, name: &str, reason: &str) -> Result<(), Error> {
    length("the product", product.len(), 1..=PRODUCT_BYTES)?;
    length("the reason", reason.len(), 0..=REASON_BYTES)?;
    user(name)
}

pub(crate) fn mailbox(product: &str, name: &str) -> Result<(), Error> {
    length("the product", product.len(), 1..=PRODUCT_BYTES)?;
    user(name)
}

fn user(name: &str) -> Result<(), Error> {
    length("the user", name.len(), 1..=USER_BYTES)
}

fn message(ttl: u32, key: &[u8]) -> Result<(), Error> {
    if ttl > TTL_SECONDS_MAX {
        let text = format!("the time to live is {ttl} s; at most {TTL_SECONDS_MAX} s are allowed");
        return Err(Error::Invalid(text));
    }
    length("the idempotency key", key.len(), 0..=IDEMPOTENCY_KEY_BYTES)
}

fn length(what: &str, length: usize, bounds: RangeInclusive<usize>) -> Result<(), Error> {
    if bounds.contains(&length) {
        return Ok(());
    }
    let (from, to) = bounds.into_inner();
    Err(Error::Invalid(format!("{what} is {length} bytes long; {from} to {to} are allowed")))
}

fn count(what: &str, count: usize, max: usize) -> Result<(), Error> {
    if (1..=max).contains(&count) {
        return Ok(());
    }
    Err(Error::Invalid(format!("{count} {what} in one request; 1 to {max} are allowed")))
}

fn frame(bytes: usize) -> Result<(), Error> {
    if bytes <= BACKEND_PAYLOAD {
        return Ok(());
    }
    let text = format!("the request is about {bytes} bytes long; {BACKEND_PAYLOAD} are allowed");
    Err(Error::Invalid(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{broadcast as to_all, target};
    use holdfast_protocol::backend::request::{put_broadcast, put_push};
    use holdfast_protocol::frame as wire;

    const LONGEST_USER: &str = "uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu";
    const LONGEST_NAME: &str = "pppppppppppppppppppppppppppppppp";

    #[test]
    fn every_bound_of_the_wire_is_kept() {
        let long = "x".repeat(65);
        assert!(push("", &[target("u", b"b")]).is_err());
        assert!(push(&long[..33], &[target("u", b"b")]).is_err());
        assert!(push("p", &[]).is_err());
        assert!(push("p", &vec![target("u", b"b"); 4097]).is_err());
        assert!(push("p", &[target("", b"b")]).is_err());
        assert!(push("p", &[target(&long, b"b")]).is_err());
        assert!(push("p", &[Target { key: long.as_bytes(), ..target("u", b"b") }]).is_err());
        assert!(push("p", &[Target { ttl: u32::MAX, ..target("u", b"b") }]).is_err());
        assert!(broadcast(&Broadcast { tag: &long[..33], ..to_all("p", b"b") }).is_err());
        assert!(online("p", &[]).is_err());
        assert!(online("p", &["u", ""]).is_err());
        assert!(kick("p", "u", &"r".repeat(256)).is_err());
        assert!(mailbox("", "u").is_err() && mailbox("p", "").is_err());
        assert!(mailbox(&long[..33], "u").is_err() && mailbox("p", &long).is_err());
        assert!(hello("", b"").is_err());
        assert!(hello("n", &[0; 257]).is_err());
    }

    #[test]
    fn an_empty_body_is_left_to_the_gateway_which_answers_for_each_target() {
        assert_eq!(push("p", &[target("u", b"")]), Ok(()));
    }

    /// What passes with every other field at its longest fits in a frame of the wire.
    #[test]
    fn what_passes_fits_in_a_frame() {
        let body = vec![7; BACKEND_PAYLOAD - REQUEST_OVERHEAD - TARGET_OVERHEAD - 128];
        let longest = Target { ttl: TTL_SECONDS_MAX, key: &[1; 64], ..target(LONGEST_USER, &body) };
        assert_eq!(push(LONGEST_NAME, &[longest]), Ok(()));
        let mut out = Vec::new();
        put_push(u64::MAX, LONGEST_NAME, &[longest], &mut out);
        assert!(matches!(wire::split(&out, BACKEND_PAYLOAD), Ok(Some(_))));

        out.clear();
        let longest = Broadcast {
            tag: LONGEST_NAME,
            ttl: TTL_SECONDS_MAX,
            users_per_second: u32::MAX,
            bits_per_second: u64::MAX,
            key: &[1; 64],
            ..to_all(LONGEST_NAME, &body[..BACKEND_PAYLOAD - REQUEST_OVERHEAD - 268])
        };
        assert_eq!(broadcast(&longest), Ok(()));
        put_broadcast(u64::MAX, &longest, &mut out);
        assert!(matches!(wire::split(&out, BACKEND_PAYLOAD), Ok(Some(_))));
    }

    #[test]
    fn a_shared_body_counts_once() {
        let body = vec![7; BACKEND_PAYLOAD / 2];
        let copy = body.clone();
        assert_eq!(
            push("p", &[target("a", &body), target("b", &body), target("c", &body)]),
            Ok(())
        );
        assert!(push("p", &[target("a", &body), target("b", &copy)]).is_err());
    }
}
