//! Who has not the key gets nowhere, and what is changed on its way is noticed.

use super::*;
use proptest::prelude::*;
use std::net::TcpListener;
use std::thread;

type End = Result<(Sender, Receiver), Error>;

/// Both ends of a connection, with the keys that they have.
fn pair(controller: &'static [u8], agent: &'static [u8]) -> (End, End) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let other = thread::spawn(move || connect(TcpStream::connect(address).unwrap(), controller));
    let agent = accept(listener.accept().unwrap().0, agent);
    (other.join().unwrap(), agent)
}

/// What an agent says to a peer that sends `bytes`.
fn accepted(bytes: Vec<u8>) -> End {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let other = thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(&bytes).unwrap();
        // An agent that has heard enough may have reset the connection by now.
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let end = accept(listener.accept().unwrap().0, b"key");
    other.join().unwrap();
    end
}

#[test]
fn who_shares_the_key_speaks_both_ways() {
    let (controller, agent) = pair(b"key", b"key");
    let ((mut here, mut back), (mut there, mut from)) = (controller.unwrap(), agent.unwrap());
    for number in 0..3_u8 {
        here.send(&[number; 5]).unwrap();
        there.send(&vec![number + 100; 70_000]).unwrap();
        assert_eq!(from.receive().unwrap(), [number; 5]);
        assert_eq!(back.receive().unwrap(), vec![number + 100; 70_000]);
    }
    here.close();
    assert_eq!(from.receive().unwrap_err().to_string(), "it closed the connection");
}

#[test]
fn a_wrong_key_is_said_at_both_ends() {
    let (controller, agent) = pair(b"key", b"other");
    for end in [controller, agent] {
        assert!(matches!(end.err(), Some(Error::WrongKey)));
    }
}

#[test]
fn another_version_is_said_in_words() {
    let mut hello = hello().unwrap().to_vec();
    hello[8..10].copy_from_slice(&(VERSION + 7).to_le_bytes());
    hello.extend([0; PROOF]);
    let refused = accepted(hello).err().unwrap().to_string();
    let theirs = format!("version {}", VERSION + 7);
    assert!(refused.contains(&theirs) && refused.contains("both ends"), "{refused}");
}

#[test]
fn what_is_no_controller_is_told_apart() {
    assert!(matches!(accepted(b"GET / HTTP/1.1\r\n".repeat(5)).err(), Some(Error::NoAgent)));
    assert!(matches!(accepted(b"HFAG".to_vec()).err(), Some(Error::Io(_))));
}

#[test]
fn a_proof_is_of_one_role_and_one_connection() {
    let (controller, other) = (prove(b"key", b"controller", b"said"), b"agent");
    assert!(verify(b"key", b"controller", b"said", &controller));
    assert!(!verify(b"key", other, b"said", &controller), "reflected");
    assert!(!verify(b"key", b"controller", b"else", &controller), "played back");
    assert!(!verify(b"key", b"controller", b"said", &controller[..31]), "cut");
}

#[test]
fn a_length_is_bounded_before_memory_is_given() {
    assert!(matches!(seal::length([0xff; 4]), Err(Error::TooLong)));
    assert_eq!(seal::length([16, 0, 0, 0]).unwrap(), 16);
    let too_long = Sealer::new(&[1; 32]).seal(&vec![0; MESSAGE_BYTES + 1]);
    assert!(matches!(too_long, Err(Error::TooLong)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_message_that_was_changed_moved_or_repeated_is_not_opened(
        first in prop::collection::vec(any::<u8>(), 0..64),
        second in prop::collection::vec(any::<u8>(), 0..64),
        place in any::<prop::sample::Index>(),
        bit in 0..8_u32,
    ) {
        let mut sealer = Sealer::new(&[7; 32]);
        let sealed = [sealer.seal(&first).unwrap(), sealer.seal(&second).unwrap()];
        let [one, other] = sealed.map(|sealed| sealed[4..].to_vec());
        prop_assert_eq!(Opener::new(&[7; 32]).open(&one).unwrap(), first);
        prop_assert!(Opener::new(&[7; 32]).open(&other).is_err(), "moved");
        prop_assert!(Opener::new(&[8; 32]).open(&one).is_err(), "another key");
        let mut again = Opener::new(&[7; 32]);
        again.open(&one).unwrap();
        prop_assert!(again.open(&one).is_err(), "repeated");
        let mut changed = one;
        let place = place.index(changed.len());
        changed[place] ^= 1 << bit;
        prop_assert!(Opener::new(&[7; 32]).open(&changed).is_err(), "changed");
    }
}
