//! A connection between a controller and an agent that only those who have the key can speak on.
//!
//! ```text
//! agent -> controller   magic 8, version u16, nonce 32
//! controller -> agent   magic 8, version u16, nonce 32, proof 32
//! agent -> controller   verdict u8, proof 32
//! both                  length u32, sealed message of that length
//! ```
//! A proof is the HMAC-SHA256 of everything that was said before under the shared key and the
//! speaker's role, so none can be played back or reflected. The controller proves first. Each
//! direction then has its own key, made from the shared one and both nonces; a message is sealed
//! with ChaCha20-Poly1305 under the count of those before it, so nothing can be read, changed,
//! left out, repeated or moved. Lengths are bounded before memory is given for them.

mod seal;

use super::PATIENCE;
use hmac::{Hmac, KeyInit, Mac};
use seal::{Opener, Sealer};
use sha2::Sha256;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Instant;

/// Changes whenever older agents would not understand, or would do something else.
pub(super) const VERSION: u16 = 3;
const MAGIC: [u8; 8] = *b"HFAGENTS";
const NONCE: usize = 32;
const PROOF: usize = 32;
const HELLO: usize = MAGIC.len() + 2 + NONCE;
/// Longest message in bytes: some hundred histograms.
pub(super) const MESSAGE_BYTES: usize = 8 << 20;

const GOOD: u8 = 0;
const WRONG_KEY: u8 = 1;
const WRONG_VERSION: u8 = 2;

/// Why there is no connection, or no more.
#[derive(Debug)]
pub(super) enum Error {
    /// The other end is something else.
    NoAgent,
    /// The keys differ.
    WrongKey,
    /// The other end speaks this version.
    Version(u16),
    /// What came is not what the other end sealed.
    Forged,
    /// A message is longer than may be.
    TooLong,
    /// The connection.
    Io(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAgent => out.write_str("it does not speak as an agent's peer does"),
            Self::WrongKey => out.write_str("the keys differ: give both ends the same --key-file"),
            Self::Version(0) => out.write_str(
                "it speaks another version of the agents' protocol: run the same \
                 holdfast-loadgen at both ends",
            ),
            Self::Version(theirs) => write!(
                out,
                "it speaks version {theirs} of the agents' protocol and this one speaks \
                 {VERSION}: run the same holdfast-loadgen at both ends"
            ),
            Self::Forged => out.write_str("a message was changed on its way"),
            Self::TooLong => {
                write!(out, "a message is longer than {} MiB", MESSAGE_BYTES >> 20)
            }
            Self::Io(error) => match error.kind() {
                io::ErrorKind::UnexpectedEof => out.write_str("it closed the connection"),
                io::ErrorKind::TimedOut => {
                    write!(out, "it was silent for {} s", PATIENCE.as_secs())
                }
                _ => write!(out, "{error}"),
            },
        }
    }
}

impl Error {
    /// Whether the other end was only not heard: it may live and go on.
    pub(super) fn is_silence(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::TimedOut)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Sends messages.
pub(super) struct Sender {
    stream: TcpStream,
    sealer: Sealer,
}

/// Receives messages.
pub(super) struct Receiver {
    stream: TcpStream,
    opener: Opener,
}

/// The controller's end: proves the key and has the agent prove it.
///
/// # Errors
/// The other end is no agent, has another key or another version, or does not answer in time.
pub(super) fn connect(stream: TcpStream, key: &[u8]) -> Result<(Sender, Receiver), Error> {
    let deadline = start(&stream)?;
    let mut said = [0; HELLO];
    read_by(&stream, &mut said, deadline)?;
    let theirs = version(&said)?;
    let mut said = said.to_vec();
    said.extend_from_slice(&hello()?);
    let proof = prove(key, b"controller", &said);
    (&stream).write_all(&[&said[HELLO..], &proof[..]].concat())?;
    if theirs != VERSION {
        return Err(Error::Version(theirs));
    }
    said.extend_from_slice(&proof);
    let mut answer = [0; 1 + PROOF];
    read_by(&stream, &mut answer, deadline)?;
    match answer[0] {
        GOOD if verify(key, b"agent", &said, &answer[1..]) => {}
        GOOD | WRONG_KEY => return Err(Error::WrongKey),
        WRONG_VERSION => return Err(Error::Version(0)),
        _ => return Err(Error::NoAgent),
    }
    ends(stream, (&prove(key, b"to agent", &said), &prove(key, b"to controller", &said)))
}

/// The agent's end: has the controller prove the key and proves it.
///
/// # Errors
/// The other end is no controller, has another key or another version, or does not answer in time.
pub(super) fn accept(stream: TcpStream, key: &[u8]) -> Result<(Sender, Receiver), Error> {
    let deadline = start(&stream)?;
    let mut said = hello()?.to_vec();
    (&stream).write_all(&said)?;
    let mut answer = [0; HELLO + PROOF];
    read_by(&stream, &mut answer, deadline)?;
    let (theirs, proof) = answer.split_at(HELLO);
    let theirs = version(theirs)?;
    said.extend_from_slice(&answer[..HELLO]);
    let verdict = match theirs {
        VERSION if verify(key, b"controller", &said, proof) => GOOD,
        VERSION => WRONG_KEY,
        _ => WRONG_VERSION,
    };
    said.extend_from_slice(proof);
    let proof = if verdict == GOOD { prove(key, b"agent", &said) } else { [0; PROOF] };
    (&stream).write_all(&[&[verdict][..], &proof].concat())?;
    match verdict {
        GOOD => {
            ends(stream, (&prove(key, b"to controller", &said), &prove(key, b"to agent", &said)))
        }
        WRONG_KEY => Err(Error::WrongKey),
        _ => Err(Error::Version(theirs)),
    }
}

/// Sets the stream up; gives when both ends must have proved themselves.
fn start(stream: &TcpStream) -> io::Result<Instant> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(Instant::now() + PATIENCE)
}

fn hello() -> io::Result<[u8; HELLO]> {
    let mut hello = [0; HELLO];
    hello[..8].copy_from_slice(&MAGIC);
    hello[8..10].copy_from_slice(&VERSION.to_le_bytes());
    getrandom::fill(&mut hello[10..]).map_err(io::Error::other)?;
    Ok(hello)
}

/// Which version a hello is of.
fn version(hello: &[u8]) -> Result<u16, Error> {
    let version = hello.strip_prefix(&MAGIC).and_then(|rest| rest.first_chunk());
    version.map(|version| u16::from_le_bytes(*version)).ok_or(Error::NoAgent)
}

fn keyed(key: &[u8], role: &[u8], said: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(b"holdfast agents, ");
    mac.update(role);
    mac.update(&[0]);
    mac.update(said);
    mac
}

fn prove(key: &[u8], role: &[u8], said: &[u8]) -> [u8; PROOF] {
    keyed(key, role, said).finalize().into_bytes().into()
}

/// Whether the proof is right, in a time that does not say where it is wrong.
fn verify(key: &[u8], role: &[u8], said: &[u8], proof: &[u8]) -> bool {
    keyed(key, role, said).verify_slice(proof).is_ok()
}

/// The two halves, with the keys for what is sent and for what comes.
fn ends(
    stream: TcpStream,
    (out, back): (&[u8; 32], &[u8; 32]),
) -> Result<(Sender, Receiver), Error> {
    let other = stream.try_clone()?;
    let sender = Sender { stream: other, sealer: Sealer::new(out) };
    Ok((sender, Receiver { stream, opener: Opener::new(back) }))
}

impl Sender {
    /// Sends one message, of at most [`MESSAGE_BYTES`].
    ///
    /// # Errors
    /// It is too long, or the connection is gone or takes nothing.
    pub(super) fn send(&mut self, message: &[u8]) -> Result<(), Error> {
        let sealed = self.sealer.seal(message)?;
        Ok(self.stream.write_all(&sealed)?)
    }

    /// Says that nothing more will be said; what the other end says is still heard.
    pub(super) fn finish(&self) {
        // It may be closed already.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Ends the connection for both ends, whoever else has the socket.
    pub(super) fn close(&self) {
        // It may be closed already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl Receiver {
    /// Waits for one message.
    ///
    /// # Errors
    /// It is too long or not the other end's, or none came for [`PATIENCE`].
    pub(super) fn receive(&mut self) -> Result<Vec<u8>, Error> {
        let deadline = Instant::now() + PATIENCE;
        let mut length = [0; 4];
        read_by(&self.stream, &mut length, deadline)?;
        let mut sealed = vec![0; seal::length(length)?];
        read_by(&self.stream, &mut sealed, deadline)?;
        self.opener.open(&sealed)
    }
}

/// Fills `bytes`, by the deadline.
fn read_by(mut stream: &TcpStream, bytes: &mut [u8], deadline: Instant) -> io::Result<()> {
    let mut at = 0;
    while at < bytes.len() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut bytes[at..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => at += length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
