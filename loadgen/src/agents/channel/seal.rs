//! Messages sealed under a key and their count; no I/O.

use super::{Error, MESSAGE_BYTES};
use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};

/// What a seal adds, bytes.
const TAG: usize = 16;

/// Seals what is sent.
pub(super) struct Sealer {
    cipher: ChaCha20Poly1305,
    count: u64,
}

/// Opens what comes.
pub(super) struct Opener {
    cipher: ChaCha20Poly1305,
    count: u64,
}

/// The nonce of message `count`; a key has one direction of one connection, so none comes again.
fn nonce(count: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&count.to_le_bytes());
    nonce.into()
}

/// How long what follows is, where it may be so long.
pub(super) fn length(said: [u8; 4]) -> Result<usize, Error> {
    let length = usize::try_from(u32::from_le_bytes(said)).map_err(|_| Error::TooLong)?;
    if length > MESSAGE_BYTES + TAG { Err(Error::TooLong) } else { Ok(length) }
}

impl Sealer {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self { cipher: ChaCha20Poly1305::new(key.into()), count: 0 }
    }

    /// Length and sealed message, as they are sent.
    pub(super) fn seal(&mut self, message: &[u8]) -> Result<Vec<u8>, Error> {
        if message.len() > MESSAGE_BYTES {
            return Err(Error::TooLong);
        }
        let sealed = self.cipher.encrypt(&nonce(self.count), message);
        let sealed = sealed.map_err(|_| Error::TooLong)?;
        self.count += 1;
        let length = u32::try_from(sealed.len()).map_err(|_| Error::TooLong)?;
        Ok([&length.to_le_bytes()[..], &sealed].concat())
    }
}

impl Opener {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self { cipher: ChaCha20Poly1305::new(key.into()), count: 0 }
    }

    /// The message in what came behind a length.
    pub(super) fn open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let message = self.cipher.decrypt(&nonce(self.count), sealed);
        self.count += 1;
        message.map_err(|_| Error::Forged)
    }
}
