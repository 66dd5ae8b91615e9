//! NATS core: the text protocol of `nats-server`, as far as a subscriber and a publisher need it.
//!
//! Written by hand: the kept client (`async-nats`) has its codec to itself and brings a runtime,
//! and what is needed is six verbs, each a line.

use std::str::from_utf8;

use super::peer::{Answer, Heard, Message, Peer, To, What};

/// Login; nothing is confirmed, so that a publisher is not slowed down.
const CONNECT: &str = "CONNECT {\"verbose\":false,\"pedantic\":false,\"tls_required\":false,\
     \"name\":\"\",\"lang\":\"rust\",\"version\":\"1\",\"protocol\":1}\r\n";
/// Asks for a PONG, which comes when everything before it is done.
const PING: &str = "PING\r\n";
const PONG: &str = "PONG\r\n";
/// The longest line that is not a message: INFO with the addresses of a cluster.
const LINE_MAX: usize = 64 * 1024;

/// Clients and a publisher of NATS core.
#[derive(Debug)]
pub(super) struct Nats;

/// The first line of `bytes` without its end, once it is whole.
fn line(bytes: &[u8]) -> Result<Option<&str>, String> {
    // Lines that matter here are short; most of what comes is bodies.
    let Some(end) = bytes.iter().take(LINE_MAX).position(|byte| *byte == b'\n') else {
        if bytes.len() >= LINE_MAX {
            return Err("a line without an end".to_owned());
        }
        return Ok(None);
    };
    let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
    from_utf8(line).map(Some).map_err(|error| format!("a line that is not text: {error}"))
}

/// The number of bytes that a MSG line (its words behind the verb) announces.
fn announced(words: &str) -> Result<usize, String> {
    let last = words.split_ascii_whitespace().last().and_then(|word| word.parse().ok());
    last.ok_or_else(|| format!("a message without a length: {words}"))
}

/// Takes the first line, or message, off what either side received.
fn take<'a>(bytes: &'a [u8], reply: &mut Vec<u8>) -> Result<Option<Heard<'a>>, String> {
    let Some(line) = line(bytes)? else { return Ok(None) };
    // What follows a line begins behind its CRLF.
    let behind = line.len() + 2;
    let (verb, words) = line.split_once(' ').unwrap_or((line, ""));
    let what = match verb {
        "MSG" => {
            let end = behind + announced(words)?;
            let Some(body) = bytes.get(behind..end) else { return Ok(None) };
            let whole = bytes.len() >= end + 2;
            return Ok(whole.then_some(Heard { length: end + 2, what: What::Message(body) }));
        }
        "PONG" => What::Ready,
        "PING" => {
            reply.extend_from_slice(PONG.as_bytes());
            What::Other
        }
        "-ERR" => return Err(format!("the server said {line}")),
        _ => What::Other,
    };
    Ok(Some(Heard { length: behind, what }))
}

impl Peer for Nats {
    fn greet(&self, number: u32, out: &mut Vec<u8>) -> Result<(), String> {
        out.extend_from_slice(CONNECT.as_bytes());
        for (to, id) in [(To::All, 1), (To::One(number), 2)] {
            out.extend_from_slice(format!("SUB {} {id}\r\n", to.channel()).as_bytes());
        }
        out.extend_from_slice(PING.as_bytes());
        Ok(())
    }

    fn hear<'a>(
        &self,
        _ready: bool,
        bytes: &'a [u8],
        reply: &mut Vec<u8>,
    ) -> Result<Option<Heard<'a>>, String> {
        take(bytes, reply)
    }

    fn greet_as_publisher(&mut self, out: &mut Vec<u8>) -> Result<bool, String> {
        out.extend_from_slice(CONNECT.as_bytes());
        out.extend_from_slice(PING.as_bytes());
        Ok(false)
    }

    fn publish(&mut self, messages: &[Message<'_>], out: &mut Vec<u8>) -> Result<(), String> {
        for Message { to, body } in messages {
            let line = format!("PUB {} {}\r\n", to.channel(), body.len());
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(body);
            out.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    fn hear_as_publisher(
        &mut self,
        bytes: &[u8],
        reply: &mut Vec<u8>,
    ) -> Result<Option<Answer>, String> {
        let Some(heard) = take(bytes, reply)? else { return Ok(None) };
        Ok(Some(Answer { ready: heard.what == What::Ready, ..Answer::good(heard.length) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the protocol's documentation has them.
    const EXAMPLE: &[u8] = b"MSG FOO.BAR 9 11\r\nHello World\r\n";

    fn hear(bytes: &[u8]) -> (Option<Heard<'_>>, Vec<u8>) {
        let mut reply = Vec::new();
        let heard = Nats.hear(true, bytes, &mut reply).unwrap();
        (heard, reply)
    }

    #[test]
    fn a_greeting_logs_in_subscribes_and_asks_for_a_pong() {
        let mut out = Vec::new();
        Nats.greet(7, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let (connect, rest) = text.split_once("\r\n").unwrap();
        let options = connect.strip_prefix("CONNECT ").unwrap();
        let options: serde_json::Value = serde_json::from_str(options).unwrap();
        assert_eq!(options["verbose"], false);
        assert_eq!(rest, "SUB all 1\r\nSUB user-00000000007 2\r\nPING\r\n");
    }

    #[test]
    fn a_message_is_published_with_its_length() {
        let mut out = Vec::new();
        let messages = [To::All, To::One(7)].map(|to| Message { to, body: b"Hello NATS!" });
        Nats.publish(&messages, &mut out).unwrap();
        let wanted = b"PUB all 11\r\nHello NATS!\r\nPUB user-00000000007 11\r\nHello NATS!\r\n";
        assert_eq!(out, wanted);
    }

    #[test]
    fn a_message_is_heard_once_it_is_whole_with_or_without_a_reply_subject() {
        let what = What::Message(b"Hello World");
        assert_eq!(hear(EXAMPLE).0, Some(Heard { length: EXAMPLE.len(), what }));
        let asked = b"MSG FOO.BAR 9 GREETING.34 11\r\nHello World\r\nPING\r\n";
        assert_eq!(hear(asked).0, Some(Heard { length: asked.len() - 6, what }));
        for cut in 0..EXAMPLE.len() {
            assert_eq!(hear(&EXAMPLE[..cut]).0, None, "{cut}");
        }
    }

    #[test]
    fn a_pong_makes_ready_and_a_ping_is_answered() {
        let (info, _) = hear(b"INFO {\"max_payload\":1048576}\r\nPONG\r\n");
        assert_eq!(info.unwrap().what, What::Other);
        assert_eq!(hear(b"PONG\r\n").0, Some(Heard { length: 6, what: What::Ready }));
        let ping = Heard { length: 6, what: What::Other };
        assert_eq!(hear(b"PING\r\n"), (Some(ping), b"PONG\r\n".to_vec()));
        let mut reply = Vec::new();
        assert!(Nats.hear_as_publisher(b"PONG\r\n", &mut reply).unwrap().unwrap().ready);
    }

    #[test]
    fn an_error_and_nonsense_end_the_measurement() {
        let hear =
            |bytes: &[u8]| Nats.hear(true, bytes, &mut Vec::new()).map(|heard| heard.is_some());
        assert!(hear(b"-ERR 'Slow Consumer'\r\n").unwrap_err().contains("Slow Consumer"));
        assert!(hear(b"MSG FOO 9 eleven\r\n").is_err());
        assert!(hear(&vec![b'x'; LINE_MAX]).is_err());
        assert_eq!(hear(b"+OK\r\n"), Ok(true));
    }
}
