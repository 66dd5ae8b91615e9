//! MQTT 3.1.1, QoS 0 and 1, as mosquitto speaks it.
//!
//! Packets are built and read by `mqtt-protocol-core`; what is here says which ones. Of a packet
//! that is not whole nothing is read.

use std::sync::Arc;

use mqtt_protocol_core::mqtt::packet::v3_1_1::{
    Connack, Connect, Puback, Publish, Suback, Subscribe,
};
use mqtt_protocol_core::mqtt::packet::{DecodeResult, Qos, SubEntry, SubOpts, VariableByteInteger};
use mqtt_protocol_core::mqtt::result_code::{ConnectReturnCode, SubackReturnCode};

use super::peer::{Answer, Heard, Message, Peer, To, What};
use crate::floor::user;

/// The packet types that a client receives, as the high half of the first byte.
mod kind {
    pub(super) const CONNACK: u8 = 2;
    pub(super) const PUBLISH: u8 = 3;
    pub(super) const PUBACK: u8 = 4;
    pub(super) const SUBACK: u8 = 9;
}

/// The id of a client's only SUBSCRIBE.
const SUBSCRIBE_ID: u16 = 1;
/// The client id of the publisher.
const PUBLISHER: &str = "publisher";

/// Clients and a publisher that use one quality of service for everything.
#[derive(Debug)]
pub(super) struct Mqtt {
    qos: Qos,
    /// The packet id of the last PUBLISH; never 0.
    last: u16,
}

/// A packet that is whole.
struct Packet<'a> {
    kind: u8,
    flags: u8,
    /// Bytes behind the fixed header.
    body: &'a [u8],
    /// Bytes with it.
    length: usize,
}

fn wrong(what: &str, error: impl std::fmt::Debug) -> String {
    format!("{what}: {error:?}")
}

/// The first packet in `bytes`, once it is whole.
fn split(bytes: &[u8]) -> Result<Option<Packet<'_>>, String> {
    let Some((first, rest)) = bytes.split_first() else { return Ok(None) };
    let (length, taken) = match VariableByteInteger::decode_stream(rest) {
        DecodeResult::Ok(length, taken) => (length.to_u32() as usize, taken),
        DecodeResult::Incomplete => return Ok(None),
        DecodeResult::Err(error) => return Err(wrong("a packet's length", error)),
    };
    let Some(body) = rest.get(taken..taken + length) else { return Ok(None) };
    Ok(Some(Packet { kind: first >> 4, flags: first & 15, body, length: 1 + taken + length }))
}

fn connect(id: &str, clean: bool, out: &mut Vec<u8>) -> Result<(), String> {
    let refused = |error| wrong("CONNECT", error);
    let connect = Connect::builder().client_id(id).map_err(refused)?;
    // Without a keep-alive nothing happens that is not asked for.
    let connect = connect.clean_session(clean).keep_alive(0).build().map_err(refused)?;
    out.extend_from_slice(&connect.to_continuous_buffer());
    Ok(())
}

fn accepted(packet: &Packet<'_>) -> Result<(), String> {
    let (answer, _) = Connack::parse(packet.body).map_err(|error| wrong("CONNACK", error))?;
    match answer.return_code() {
        ConnectReturnCode::Accepted => Ok(()),
        code => Err(wrong("the broker refused a client", code)),
    }
}

impl Mqtt {
    /// Quality of service 0: at most once.
    pub(super) const AT_MOST_ONCE: Self = Self { qos: Qos::AtMostOnce, last: 0 };
    /// Quality of service 1: at least once, sessions that outlive their connection.
    pub(super) const AT_LEAST_ONCE: Self = Self { qos: Qos::AtLeastOnce, last: 0 };

    fn clean(&self) -> bool {
        self.qos == Qos::AtMostOnce
    }

    fn subscribed(&self, packet: &Packet<'_>) -> Result<(), String> {
        let (answer, _) = Suback::parse(packet.body).map_err(|error| wrong("SUBACK", error))?;
        let wanted = match self.qos {
            Qos::AtMostOnce => SubackReturnCode::SuccessMaximumQos0,
            _ => SubackReturnCode::SuccessMaximumQos1,
        };
        let codes = answer.return_codes();
        if codes == [wanted, wanted] {
            Ok(())
        } else {
            Err(wrong("the broker refused a subscription", codes))
        }
    }

    fn put_publish(&mut self, message: &Message<'_>, out: &mut Vec<u8>) -> Result<(), String> {
        let refused = |error| wrong("PUBLISH", error);
        let publish = Publish::builder().topic_name(message.to.channel()).map_err(refused)?;
        let mut publish = publish.qos(self.qos).payload(message.body);
        if self.qos != Qos::AtMostOnce {
            self.last = self.last.checked_add(1).unwrap_or(1);
            publish = publish.packet_id(self.last);
        }
        out.extend_from_slice(&publish.build().map_err(refused)?.to_continuous_buffer());
        Ok(())
    }
}

/// The body of a PUBLISH, which is confirmed where its quality of service wants that.
fn published<'a>(packet: &Packet<'a>, reply: &mut Vec<u8>) -> Result<&'a [u8], String> {
    let (publish, _) = Publish::parse(packet.flags, Arc::from(packet.body))
        .map_err(|error| wrong("PUBLISH", error))?;
    if let Some(id) = publish.packet_id() {
        let answer = Puback::builder().packet_id(id).build();
        let answer = answer.map_err(|error| wrong("PUBACK", error))?;
        reply.extend_from_slice(&answer.to_continuous_buffer());
    }
    // The payload is the last part of the packet.
    let begin = packet.body.len() - publish.payload().as_slice().len();
    Ok(&packet.body[begin..])
}

impl Peer for Mqtt {
    /// CONNECT and SUBSCRIBE at once, as the protocol allows (3.1.4).
    fn greet(&self, number: u32, out: &mut Vec<u8>) -> Result<(), String> {
        let refused = |error| wrong("SUBSCRIBE", error);
        connect(&user(number), self.clean(), out)?;
        let mut entries = Vec::new();
        for to in [To::All, To::One(number)] {
            let options = SubOpts::new().set_qos(self.qos);
            entries.push(SubEntry::new(to.channel(), options).map_err(refused)?);
        }
        let subscribe = Subscribe::builder().packet_id(SUBSCRIBE_ID).entries(entries);
        let subscribe = subscribe.build().map_err(refused)?;
        out.extend_from_slice(&subscribe.to_continuous_buffer());
        Ok(())
    }

    fn hear<'a>(
        &self,
        _ready: bool,
        bytes: &'a [u8],
        reply: &mut Vec<u8>,
    ) -> Result<Option<Heard<'a>>, String> {
        let Some(packet) = split(bytes)? else { return Ok(None) };
        let what = match packet.kind {
            kind::PUBLISH => What::Message(published(&packet, reply)?),
            kind::SUBACK => {
                self.subscribed(&packet)?;
                What::Ready
            }
            kind::CONNACK => {
                accepted(&packet)?;
                What::Other
            }
            _ => What::Other,
        };
        Ok(Some(Heard { length: packet.length, what }))
    }

    fn greet_as_publisher(&mut self, out: &mut Vec<u8>) -> Result<bool, String> {
        connect(PUBLISHER, true, out).map(|()| false)
    }

    fn publish(&mut self, messages: &[Message<'_>], out: &mut Vec<u8>) -> Result<(), String> {
        messages.iter().try_for_each(|message| self.put_publish(message, out))
    }

    fn hear_as_publisher(
        &mut self,
        bytes: &[u8],
        _reply: &mut Vec<u8>,
    ) -> Result<Option<Answer>, String> {
        let Some(packet) = split(bytes)? else { return Ok(None) };
        let ready = packet.kind == kind::CONNACK;
        if ready {
            accepted(&packet)?;
        } else if packet.kind == kind::PUBACK {
            Puback::parse(packet.body).map_err(|error| wrong("PUBACK", error))?;
        }
        Ok(Some(Answer { ready, ..Answer::good(packet.length) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CONNECT of level 4 with keep-alive 0 and these flags, SUBSCRIBE to both channels with `qos`.
    fn greeting(flags: u8, qos: u8) -> Vec<u8> {
        let mut bytes = b"\x10\x1c\x00\x04MQTT\x04".to_vec();
        bytes.push(flags);
        bytes.extend_from_slice(b"\x00\x00\x00\x10user-00000000007");
        bytes.extend_from_slice(b"\x82\x1b\x00\x01\x00\x03all");
        bytes.push(qos);
        bytes.extend_from_slice(b"\x00\x10user-00000000007");
        bytes.push(qos);
        bytes
    }

    fn hear<'a>(peer: &Mqtt, bytes: &'a [u8]) -> (Option<Heard<'a>>, Vec<u8>) {
        let mut reply = Vec::new();
        let heard = peer.hear(true, bytes, &mut reply).unwrap();
        (heard, reply)
    }

    #[test]
    fn a_greeting_is_a_connect_and_a_subscribe_of_the_specification() {
        for (peer, flags, qos) in [(Mqtt::AT_MOST_ONCE, 2, 0), (Mqtt::AT_LEAST_ONCE, 0, 1)] {
            let mut out = Vec::new();
            peer.greet(7, &mut out).unwrap();
            assert_eq!(out, greeting(flags, qos));
        }
    }

    #[test]
    fn a_message_is_published_with_an_id_only_where_it_is_confirmed() {
        let message = Message { to: To::All, body: b"hi" };
        let mut out = Vec::new();
        let [mut once, mut confirmed] = [Mqtt::AT_MOST_ONCE, Mqtt::AT_LEAST_ONCE];
        once.publish(&[message], &mut out).unwrap();
        assert_eq!(out, b"\x30\x07\x00\x03allhi");
        out.clear();
        confirmed.publish(&[message, message], &mut out).unwrap();
        assert_eq!(out, b"\x32\x09\x00\x03all\x00\x01hi\x32\x09\x00\x03all\x00\x02hi");
    }

    #[test]
    fn packet_ids_begin_again_behind_the_last_and_leave_out_zero() {
        let mut peer = Mqtt { last: u16::MAX, ..Mqtt::AT_LEAST_ONCE };
        let mut out = Vec::new();
        peer.publish(&[Message { to: To::All, body: b"" }], &mut out).unwrap();
        assert_eq!(out[7..9], [0, 1]);
    }

    #[test]
    fn a_message_at_qos_1_is_heard_and_confirmed() {
        let bytes = b"\x32\x07\x00\x01a\x12\x34hi";
        let (heard, reply) = hear(&Mqtt::AT_LEAST_ONCE, bytes);
        assert_eq!(heard, Some(Heard { length: 9, what: What::Message(b"hi") }));
        assert_eq!(reply, b"\x40\x02\x12\x34");
        for cut in 0..bytes.len() {
            assert_eq!(hear(&Mqtt::AT_LEAST_ONCE, &bytes[..cut]), (None, Vec::new()), "{cut}");
        }
    }

    #[test]
    fn a_message_at_qos_0_is_heard_and_not_confirmed() {
        let (heard, reply) = hear(&Mqtt::AT_MOST_ONCE, b"\x30\x05\x00\x01ahi\x30");
        assert_eq!(heard, Some(Heard { length: 7, what: What::Message(b"hi") }));
        assert!(reply.is_empty());
    }

    #[test]
    fn a_client_is_ready_when_both_subscriptions_are_granted() {
        let peer = Mqtt::AT_LEAST_ONCE;
        let ready = Some(Heard { length: 6, what: What::Ready });
        assert_eq!(hear(&peer, b"\x90\x04\x00\x01\x01\x01").0, ready);
        let other = Some(Heard { length: 4, what: What::Other });
        assert_eq!(hear(&peer, b"\x20\x02\x00\x00").0, other);
        for refused in [&b"\x90\x04\x00\x01\x01\x80"[..], b"\x20\x02\x00\x05"] {
            assert!(peer.hear(false, refused, &mut Vec::new()).is_err());
        }
    }

    #[test]
    fn a_publisher_is_ready_at_its_connack() {
        let mut peer = Mqtt::AT_LEAST_ONCE;
        let mut hear = |bytes: &[u8]| peer.hear_as_publisher(bytes, &mut Vec::new()).unwrap();
        assert_eq!(hear(b"\x20\x02\x00"), None);
        assert!(hear(b"\x20\x02\x00\x00").unwrap().ready);
        assert_eq!(hear(b"\x40\x02\x00\x01"), Some(Answer::good(4)));
    }
}
