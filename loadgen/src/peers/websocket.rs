//! WebSocket (RFC 6455) for those who listen and HTTP for the one who publishes, as nginx with
//! nchan serves them.
//!
//! Frames are read and written by `tungstenite`, HTTP answers are read by `httparse`. The
//! handshake's key is the example of the RFC, so its answer is known.

use std::io::Cursor;

use httparse::{EMPTY_HEADER, Response, Status};
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use tungstenite::protocol::frame::{Frame, FrameHeader};

use super::peer::{Answer, Heard, Message, Peer, To, What};

/// The example of RFC 6455, section 1.3: what the client says, and what proves that it was read.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const PROOF: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// A client masks what it sends; on a link without proxies any mask will do. This one is the RFC's
/// example.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// Headers of one answer.
const HEADERS_MAX: usize = 32;

/// Clients on WebSocket, a publisher on one HTTP connection that is kept.
#[derive(Debug)]
pub(super) struct Nchan;

/// The head of an HTTP answer, once it is whole.
struct Head {
    status: u16,
    length: usize,
    /// Bytes that follow it.
    content: usize,
    proven: bool,
}

fn head(bytes: &[u8]) -> Result<Option<Head>, String> {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut response = Response::new(&mut headers);
    let parsed = response.parse(bytes).map_err(|error| format!("an HTTP answer: {error}"))?;
    let Status::Complete(length) = parsed else { return Ok(None) };
    let value = |name: &str| {
        let named = |header: &&httparse::Header<'_>| header.name.eq_ignore_ascii_case(name);
        response.headers.iter().find(named).map(|header| header.value)
    };
    let content = match value("content-length") {
        None => 0,
        Some(digits) => std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| digits.trim().parse().ok())
            .ok_or("an HTTP answer of unknown length")?,
    };
    let proven = value("sec-websocket-accept") == Some(PROOF);
    Ok(Some(Head { status: response.code.unwrap_or(0), length, content, proven }))
}

/// The answer to the handshake.
fn shaken(bytes: &[u8]) -> Result<Option<Heard<'_>>, String> {
    let Some(head) = head(bytes)? else { return Ok(None) };
    match head {
        Head { status: 101, proven: true, length, .. } => {
            Ok(Some(Heard { length, what: What::Ready }))
        }
        Head { status, .. } => Err(format!("the handshake was answered with {status}")),
    }
}

/// The first frame, once it is whole.
fn frame<'a>(bytes: &'a [u8], reply: &mut Vec<u8>) -> Result<Option<Heard<'a>>, String> {
    let failed = |error: tungstenite::Error| format!("a frame: {error}");
    let mut cursor = Cursor::new(bytes);
    let Some((header, length)) = FrameHeader::parse(&mut cursor).map_err(failed)? else {
        return Ok(None);
    };
    let whole = usize::try_from(cursor.position()).ok().zip(usize::try_from(length).ok());
    let (begin, length) = whole.ok_or("a frame longer than memory")?;
    let end = begin.checked_add(length).ok_or("a frame longer than memory")?;
    let Some(body) = bytes.get(begin..end) else { return Ok(None) };
    let what = match header.opcode {
        OpCode::Data(Data::Text | Data::Binary) if header.is_final => What::Message(body),
        OpCode::Data(_) => return Err("a message in several frames".to_owned()),
        OpCode::Control(Control::Ping) => {
            let mut pong = Frame::pong(body.to_vec());
            pong.header_mut().mask = Some(MASK);
            pong.format(reply).map_err(failed)?;
            What::Other
        }
        OpCode::Control(Control::Close) => {
            let reason = String::from_utf8_lossy(body.get(2..).unwrap_or_default());
            return Err(format!("the server closed: {reason}"));
        }
        OpCode::Control(_) => What::Other,
    };
    Ok(Some(Heard { length: end, what }))
}

impl Peer for Nchan {
    fn greet(&self, number: u32, out: &mut Vec<u8>) -> Result<(), String> {
        let id = To::One(number).channel();
        let request = format!(
            "GET /sub?id={id} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        out.extend_from_slice(request.as_bytes());
        Ok(())
    }

    fn hear<'a>(
        &self,
        ready: bool,
        bytes: &'a [u8],
        reply: &mut Vec<u8>,
    ) -> Result<Option<Heard<'a>>, String> {
        if ready { frame(bytes, reply) } else { shaken(bytes) }
    }

    fn greet_as_publisher(&mut self, _out: &mut Vec<u8>) -> Result<bool, String> {
        Ok(true)
    }

    fn publish(&mut self, messages: &[Message<'_>], out: &mut Vec<u8>) -> Result<(), String> {
        for Message { to, body } in messages {
            let request = format!(
                "POST /pub?id={} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
                to.channel(),
                body.len()
            );
            out.extend_from_slice(request.as_bytes());
            out.extend_from_slice(body);
        }
        Ok(())
    }

    fn hear_as_publisher(
        &mut self,
        bytes: &[u8],
        _reply: &mut Vec<u8>,
    ) -> Result<Option<Answer>, String> {
        let Some(head) = head(bytes)? else { return Ok(None) };
        let length = head.length + head.content;
        if bytes.len() < length {
            return Ok(None);
        }
        match head.status {
            // Somebody listens; nobody does.
            201 | 202 => Ok(Some(Answer::good(length))),
            400..600 => Ok(Some(Answer { refused: 1, ..Answer::good(length) })),
            status => Err(format!("a message was answered with {status}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As RFC 6455 has it in section 1.3.
    const ACCEPTED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    /// A single-frame unmasked text message (5.7).
    const HELLO: &[u8] = b"\x81\x05Hello";

    fn hear(ready: bool, bytes: &[u8]) -> (Option<Heard<'_>>, Vec<u8>) {
        let mut reply = Vec::new();
        let heard = Nchan.hear(ready, bytes, &mut reply).unwrap();
        (heard, reply)
    }

    #[test]
    fn the_handshake_is_the_example_of_the_rfc() {
        let mut out = Vec::new();
        Nchan.greet(7, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("GET /sub?id=user-00000000007 HTTP/1.1\r\nHost: "), "{text}");
        assert!(text.contains("\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), "{text}");
        assert!(text.ends_with("\r\nSec-WebSocket-Version: 13\r\n\r\n"), "{text}");
        let bytes = [ACCEPTED, HELLO].concat();
        assert_eq!(
            hear(false, &bytes).0,
            Some(Heard { length: ACCEPTED.len(), what: What::Ready })
        );
        assert_eq!(hear(false, &bytes[..ACCEPTED.len() - 1]).0, None);
    }

    #[test]
    fn a_handshake_without_proof_or_refused_ends_the_measurement() {
        let forged = String::from_utf8(ACCEPTED.to_vec()).unwrap().replace("s3pP", "s3pQ");
        for answer in [forged.as_str(), "HTTP/1.1 403 Forbidden\r\n\r\n"] {
            assert!(Nchan.hear(false, answer.as_bytes(), &mut Vec::new()).is_err(), "{answer}");
        }
    }

    #[test]
    fn messages_are_heard_once_they_are_whole() {
        assert_eq!(hear(true, HELLO).0, Some(Heard { length: 7, what: What::Message(b"Hello") }));
        for cut in 0..HELLO.len() {
            assert_eq!(hear(true, &HELLO[..cut]).0, None, "{cut}");
        }
        // 256 bytes of binary in a single unmasked frame (5.7).
        let long = [&b"\x82\x7e\x01\x00"[..], &[7; 256]].concat();
        assert_eq!(hear(true, &long).0.unwrap().length, 260);
    }

    #[test]
    fn a_ping_is_answered_with_the_masked_pong_of_the_rfc() {
        let (heard, reply) = hear(true, b"\x89\x05Hello");
        assert_eq!(heard, Some(Heard { length: 7, what: What::Other }));
        assert_eq!(reply, b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    }

    #[test]
    fn a_close_and_a_fragment_end_the_measurement() {
        for bytes in [&b"\x88\x05\x03\xe8bye"[..], b"\x01\x03Hel"] {
            assert!(Nchan.hear(true, bytes, &mut Vec::new()).is_err());
        }
    }

    #[test]
    fn a_message_is_posted_and_its_answer_counted() {
        let mut out = Vec::new();
        Nchan.publish(&[Message { to: To::All, body: b"hi" }], &mut out).unwrap();
        let wanted = b"POST /pub?id=all HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi";
        assert_eq!(out, wanted);
        let hear = |bytes: &[u8]| Nchan.hear_as_publisher(bytes, &mut Vec::new()).unwrap();
        let created = b"HTTP/1.1 201 Created\r\nContent-Length: 3\r\n\r\nyes";
        assert_eq!(hear(created), Some(Answer::good(created.len())));
        assert_eq!(hear(&created[..created.len() - 1]), None);
        let full = hear(b"HTTP/1.1 507 Insufficient Storage\r\nContent-Length: 0\r\n\r\n").unwrap();
        assert_eq!(full.refused, 1);
    }
}
