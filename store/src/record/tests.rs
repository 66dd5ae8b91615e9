//! Every record comes back as it was written; whatever else the bytes are, nothing panics.

use super::{Bad, Cast, HEAD, Header, Kind, Message, OLDEST, Pen, Record, VERSION, parse};
use crate::letter::{BroadcastState, KeyMark, Seen};
use proptest::collection::vec;
use proptest::prelude::*;

fn state() -> impl Strategy<Value = BroadcastState> {
    prop_oneof![
        Just(BroadcastState::Running),
        Just(BroadcastState::Paused),
        Just(BroadcastState::Cancelled)
    ]
}

/// What `write` writes must be read as what `same` accepts, and as nothing with another salt.
fn back(salt: u32, write: impl FnOnce(&mut Pen), same: impl FnOnce(Record<'_>) -> bool) {
    let mut pen = Pen::default();
    pen.begin(salt);
    write(&mut pen);
    let (record, length) = parse(pen.bytes(), salt).unwrap();
    assert_eq!(length, pen.bytes().len());
    assert!(same(record), "{record:?}");
    assert_eq!(parse(pen.bytes(), salt ^ 1), Err(Bad::Wrong));
    assert_eq!(
        parse(&pen.bytes()[..length - 1], salt),
        Err(Bad::Short(if length - 1 < 9 { 9 } else { length }))
    );
}

proptest! {
    #[test]
    fn messages_come_back(
        salt: u32, sequence: u64, at: u32, expires: u32,
        names in ("[a-z]{1,8}", "\\PC{1,16}"),
        key in vec(any::<u8>(), 0..64),
        receipt in proptest::option::of("[a-z]{0,9}"),
        body in vec(any::<u8>(), 1..700),
    ) {
        let (product, user) = (&*names.0, &*names.1);
        let (key, body, receipt) = (&*key, &*body, receipt.as_deref());
        let message = Message { product, user, sequence, at, expires, key, receipt, body };
        back(salt, |pen| pen.message(&message), |record| record == Record::Message(message));
    }

    #[test]
    fn broadcasts_come_back(
        salt: u32, number: u64, job: u64, times: (u32, u32), state in state(),
        names in ("[a-z]{1,8}", "[a-z]{0,8}"),
        key in vec(any::<u8>(), 0..64),
        body in vec(any::<u8>(), 1..700),
    ) {
        let cast = Cast {
            product: &names.0, number, job, at: times.0, expires: times.1, state, tag: &names.1,
            key: &key, body: &body,
        };
        back(salt, |pen| pen.broadcast(&cast), |record| record == Record::Broadcast(cast));
        let steer = Record::Steer { product: &names.0, number, state };
        back(salt, |pen| pen.steer(&names.0, number, state), |record| record == steer);
    }

    #[test]
    fn marks_of_all_kinds_come_back(
        salt: u32, upto: u64, offset: u32, users in vec(any::<u64>(), 0..40),
        keys in vec((any::<u64>(), any::<u64>(), any::<u64>(), any::<u32>()), 0..40),
    ) {
        back(salt, |pen| pen.mark(offset), |record| record == Record::Mark(offset));
        back(salt, |pen| pen.reserve(upto), |record| record == Record::Reserve(upto));
        let trim = Record::Trim { product: "p", user: "u", upto };
        back(salt, |pen| pen.trim("p", "u", upto), |record| record == trim);
        let room = offset ^ 9;
        let header =
            Header { version: VERSION, number: offset, before: offset ^ 7, reserved: upto, room };
        back(salt, |pen| pen.header(header), |record| record == Record::Header(header));
        // As the version before wrote it: without the last field.
        let old = Header { version: OLDEST, ..header };
        let read = Record::Header(Header { room: 0, ..old });
        back(salt, |pen| pen.header(old), |record| record == read);
        let seen = Seen { product: 0, number: upto, until: offset, users };
        back(salt, |pen| pen.seen("p", &seen), |record| {
            matches!(record, Record::Seen { product: "p", number, until, users }
                if number == upto && until == offset && users.iter().eq(seen.users.iter().copied()))
        });
        let mark = |(user, key, sequence, at)| KeyMark { user, key, sequence, at };
        let keys: Vec<_> = keys.into_iter().map(mark).collect();
        back(salt, |pen| pen.keys(&keys), |record| {
            matches!(record, Record::Keys(marks) if marks.iter().eq(keys.iter().copied()))
        });
    }

    #[test]
    fn any_bytes_are_read_or_refused(salt: u32, bytes in vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes, salt);
    }

    /// A good checksum around any payload: what a broken writer could leave.
    #[test]
    fn any_payload_is_read_or_refused(
        salt: u32, kind in 0..Kind::ALL.len(), payload in vec(any::<u8>(), 0..120),
    ) {
        let mut pen = Pen::default();
        pen.begin(salt);
        pen.again(Kind::ALL[kind], &payload);
        if let Ok((record, length)) = parse(pen.bytes(), salt) {
            prop_assert_eq!(Kind::of_record(&record), Kind::ALL[kind]);
            prop_assert_eq!(length, pen.bytes().len());
        }
    }

    /// One bit anywhere is one record less.
    #[test]
    fn one_bit_is_noticed(salt: u32, body in vec(any::<u8>(), 1..100), at: prop::sample::Index) {
        let mut pen = Pen::default();
        pen.begin(salt);
        pen.again(Kind::Message, &body);
        let mut bytes = pen.bytes().to_vec();
        let bit = at.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(super::shape(&bytes, salt).is_err());
    }
}

/// A later version's header is read as one, so that its version can be told, whatever it adds.
#[test]
fn a_header_of_a_later_version_says_so() {
    let mut pen = Pen::default();
    pen.header(Header { version: VERSION + 1, number: 1, before: 2, reserved: 3, room: 4 });
    let longer = [&pen.bytes()[HEAD..], b"more"].concat();
    pen.begin(5);
    pen.again(Kind::Header, &longer);
    let read = parse(pen.bytes(), 5).unwrap();
    assert!(matches!(read, (Record::Header(header), _) if header.version == VERSION + 1));
}
