//! Who is connected, and how bytes reach them: the part of the server that needs a runtime, with
//! the runtime left open.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::rc::Rc;

use slab::Slab;

/// Sends that are under way at the same time in one broadcast.
const TOGETHER: usize = 128;

/// The sending half of a connection, as a runtime has it.
pub(crate) trait Writer: 'static {
    /// Sends every byte.
    fn write_all(&mut self, bytes: Rc<Vec<u8>>) -> impl Future<Output = io::Result<()>>;
}

/// A runtime's way to do several things at once.
pub(crate) trait Spawn: 'static {
    /// The sending half of its sockets.
    type Writer: Writer;

    /// Runs it beside the others.
    fn spawn(work: impl Future<Output = ()> + 'static) -> impl Future<Output = ()>;
}

/// Where one connection's bytes leave, one write at a time.
pub(crate) struct Outlet<W> {
    /// Taken while somebody writes.
    writer: Cell<Option<W>>,
    /// What came meanwhile.
    waiting: RefCell<Vec<u8>>,
}

impl<W: Writer> Outlet<W> {
    pub(crate) fn new(writer: W) -> Rc<Self> {
        Rc::new(Self { writer: Cell::new(Some(writer)), waiting: RefCell::new(Vec::new()) })
    }

    /// Sends, or leaves the bytes to whoever sends now. False when the connection is broken.
    pub(crate) async fn send(&self, bytes: Rc<Vec<u8>>) -> bool {
        let Some(mut writer) = self.writer.take() else {
            self.waiting.borrow_mut().extend_from_slice(&bytes);
            return true;
        };
        let mut bytes = bytes;
        loop {
            if writer.write_all(bytes).await.is_err() {
                return false;
            }
            let waiting = self.waiting.take();
            if waiting.is_empty() {
                self.writer.set(Some(writer));
                return true;
            }
            bytes = Rc::new(waiting);
        }
    }
}

struct Session<W> {
    user: Rc<str>,
    outlet: Rc<Outlet<W>>,
}

/// Everybody who is logged in.
pub(crate) struct Office<S: Spawn> {
    sessions: RefCell<Slab<Session<S::Writer>>>,
    users: RefCell<HashMap<Rc<str>, usize>>,
    sequence: Cell<u64>,
}

impl<S: Spawn> Office<S> {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self {
            sessions: RefCell::new(Slab::new()),
            users: RefCell::new(HashMap::new()),
            sequence: Cell::new(0),
        })
    }

    /// A user came; gives the session's number.
    pub(crate) fn log_in(&self, user: &str, outlet: &Rc<Outlet<S::Writer>>) -> usize {
        let user: Rc<str> = user.into();
        let entry = Session { user: Rc::clone(&user), outlet: Rc::clone(outlet) };
        let session = self.sessions.borrow_mut().insert(entry);
        self.users.borrow_mut().insert(user, session);
        session
    }

    /// A session ended.
    pub(crate) fn log_out(&self, session: usize) {
        let Some(ended) = self.sessions.borrow_mut().try_remove(session) else { return };
        let mut users = self.users.borrow_mut();
        // Somebody may have logged in under the same name since.
        if users.get(&ended.user) == Some(&session) {
            users.remove(&ended.user);
        }
    }

    /// The next sequence number, one for all.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.sequence.set(self.sequence.get() + 1);
        self.sequence.get()
    }

    /// Sends to one user; false where nobody is there.
    pub(crate) async fn send_to(&self, user: &str, bytes: Vec<u8>) -> bool {
        let session = self.users.borrow().get(user).copied();
        let outlet = session
            .and_then(|session| Some(Rc::clone(&self.sessions.borrow().get(session)?.outlet)));
        match outlet {
            Some(outlet) => outlet.send(Rc::new(bytes)).await,
            None => false,
        }
    }

    /// Sends to everybody, so many at a time; gives how many there were.
    pub(crate) async fn send_to_all(&self, bytes: Vec<u8>) -> usize {
        let outlets: Vec<_> =
            self.sessions.borrow().iter().map(|(_, session)| Rc::clone(&session.outlet)).collect();
        let bytes = Rc::new(bytes);
        for some in outlets.chunks(TOGETHER) {
            let mut sends = Vec::with_capacity(TOGETHER);
            for outlet in some {
                let (outlet, bytes) = (Rc::clone(outlet), Rc::clone(&bytes));
                sends.push(S::spawn(async move {
                    outlet.send(bytes).await;
                }));
            }
            for send in sends {
                send.await;
            }
        }
        outlets.len()
    }
}
