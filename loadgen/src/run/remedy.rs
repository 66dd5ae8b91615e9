//! What mends the reasons for which connections fail, where one is obvious.

use crate::room;
use holdfast_protocol::close::Code;

/// What mends `reason`, as the tally has it, in a run with so many clients.
pub(super) fn of(reason: &str, clients: u32) -> Option<String> {
    let closed = |code: &Code| reason.ends_with(&format!("(code {})", code.number()));
    let said = match Code::ALL.iter().find(|code| closed(code))? {
        Code::Overloaded => return Some(room::raise(u64::from(clients))),
        Code::HelloTimeout | Code::FrameTimeout => {
            "connect more slowly (--connect-rate), or give the generator and the gateway more cores"
        }
        Code::BadToken | Code::ExpiredToken => {
            "sign the tokens with a key that the gateway has (--secret-file, --key-id)"
        }
        Code::UnknownProduct => "name a product that the gateway's configuration has",
        Code::GoingAway => "the gateway was stopped: start it, and run again",
        _ => return None,
    };
    Some(said.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::client::End;

    #[test]
    fn a_gateway_that_is_full_has_its_remedy_and_an_end_of_stream_none() {
        let full = of(&End::Closed(Code::Overloaded.number()).name(), 50_000).unwrap();
        assert!(full.contains("holdfast-tuning check --connections 50000`"), "{full}");
        assert_eq!(of(&End::Stream.name(), 50_000), None);
        assert_eq!(of(&End::Closed(Code::Bye.number()).name(), 1), None);
    }
}
