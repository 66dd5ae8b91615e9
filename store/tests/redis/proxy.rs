//! A network of a test between clients and a server: it can be cut, so that bytes go nowhere and
//! nobody is told, and mended, so that they arrive late.

use crate::server::pause;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::Duration;

#[derive(Default)]
struct State {
    /// Where it leads; 0 for nowhere yet.
    to: AtomicU16,
    cut: AtomicBool,
    over: AtomicBool,
}

/// The way to one server; it ends with this.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    state: Arc<State>,
}

impl Proxy {
    /// A way that leads nowhere yet.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let own = Arc::clone(&state);
        std::thread::spawn(move || {
            while !own.over.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((near, _)) => join(&near, &own),
                    Err(_) => pause(),
                }
            }
        });
        Self { port, state }
    }

    /// From now on it leads there.
    pub(crate) fn lead_to(&self, port: u16) {
        self.state.to.store(port, Ordering::Relaxed);
    }

    /// Cuts it, or mends it.
    pub(crate) fn cut(&self, cut: bool) {
        self.state.cut.store(cut, Ordering::Relaxed);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
    }
}

fn join(near: &TcpStream, state: &Arc<State>) {
    let Ok(far) = TcpStream::connect(("127.0.0.1", state.to.load(Ordering::Relaxed))) else {
        return;
    };
    near.set_nonblocking(false).unwrap();
    for (from, to) in [(near, &far), (&far, near)] {
        let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        let state = Arc::clone(state);
        std::thread::spawn(move || carry(from, to, &state));
    }
}

/// Carries bytes one way until an end is reached.
fn carry(mut from: TcpStream, mut to: TcpStream, state: &State) {
    let mut buffer = vec![0; 64 << 10];
    // So that a thread of a silent connection sees the end of the test.
    from.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    while !state.over.load(Ordering::Relaxed) {
        let length = match from.read(&mut buffer) {
            Ok(length) if length > 0 => length,
            Err(why) if matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                continue;
            }
            Ok(_) | Err(_) => break,
        };
        while state.cut.load(Ordering::Relaxed) && !state.over.load(Ordering::Relaxed) {
            pause();
        }
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    // It fails where the other side has gone.
    let _ = to.shutdown(Shutdown::Both);
}
