//! A gateway made of a script: it speaks the protocol through the protocol crate alone, and does to
//! messages what a test tells it to, so that a test knows what the generator must report.

mod wire;

use holdfast_protocol::backend::answer::{self, Job, JobState, Outcome};
use holdfast_protocol::backend::{Request, Target};
use holdfast_protocol::client::FromClient;
use holdfast_protocol::client::from_server::{self, Class, Push, Welcome};
use holdfast_protocol::limits::{BACKEND_PAYLOAD, BODY_BYTES_DEFAULT, CLIENT_PAYLOAD};
use std::collections::BTreeMap;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use wire::{Line, frames, write};

/// What happens to one pushed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Delivered and answered so.
    Deliver,
    /// Answered as delivered, and thrown away.
    Lose,
    /// Delivered twice under one sequence.
    Double,
    /// Delivered twice, the second time marked as redelivered.
    Redeliver,
    /// Delivered after the next message to the same user.
    Overtake,
    /// A bit of the body is flipped.
    Corrupt,
    /// Answered as offline, and not delivered.
    Refuse,
    /// Answered as offline, and delivered all the same.
    RefuseAndDeliver,
    /// Delivered to another user.
    Misdeliver,
    /// Delivered, and the client's connection closed behind it.
    DeliverAndClose,
}

/// What happens to one request to push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heed {
    /// It is carried out and answered.
    Answer,
    /// Nothing.
    Ignore,
    /// Nothing, and the connection of the API ends.
    HangUp,
}

/// A close code after which no client comes back.
pub(crate) const BAD_TOKEN: u16 = 3502;

/// What the gateway does.
#[derive(Clone)]
pub(crate) struct Script {
    /// What happens to the so manieth message, counted from 1.
    pub(crate) fate: fn(u64) -> Fate,
    /// What happens to the so manieth request to push, counted from 1.
    pub(crate) heed: fn(u64) -> Heed,
    /// Between a message's request and its way to the client.
    pub(crate) delay: Duration,
    /// The gateway stops dead for the second duration, the first after the first push.
    pub(crate) stall: Option<(Duration, Duration)>,
    /// The window that a backend is granted.
    pub(crate) window: u32,
    /// Sessions that a broadcast leaves out.
    pub(crate) broadcast_leaves_out: usize,
    /// Whether the gateway admits those.
    pub(crate) broadcast_admits: bool,
    /// The code with which every hello is answered instead of a welcome.
    pub(crate) refuse_logins: Option<u16>,
    /// With so many users logged in, others are refused for good.
    pub(crate) users_most: usize,
    /// The code with which every backend is closed instead of a welcome.
    pub(crate) refuse_backends: Option<u16>,
    /// The same for a client that comes back.
    pub(crate) refuse_returns: Option<u16>,
    /// Whether a client that comes back is left without a welcome.
    pub(crate) ignore_returns: bool,
    /// Bodies that each client gets at its login, as a durable broadcast and as a durable message.
    pub(crate) kept: Vec<Vec<u8>>,
    /// Granted heartbeat, seconds.
    pub(crate) heartbeat: u16,
    /// A user whose first login is answered so late.
    pub(crate) slow_login: Option<(&'static str, Duration)>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            fate: |_| Fate::Deliver,
            heed: |_| Heed::Answer,
            delay: Duration::ZERO,
            stall: None,
            window: 4096,
            broadcast_leaves_out: 0,
            broadcast_admits: false,
            refuse_logins: None,
            users_most: usize::MAX,
            refuse_backends: None,
            refuse_returns: None,
            ignore_returns: false,
            kept: Vec::new(),
            heartbeat: 300,
            slow_login: None,
        }
    }
}

/// What the gateway saw of its clients.
#[derive(Debug, Default, Clone)]
pub(crate) struct Seen {
    pub(crate) hellos: u64,
    pub(crate) resumes: u64,
    pub(crate) tokens: u64,
    pub(crate) pings: u64,
    pub(crate) byes: u64,
    pub(crate) acks: u64,
    pub(crate) greatest_ack: u64,
    /// Messages that a backend pushed, and broadcasts.
    pub(crate) pushes: u64,
    pub(crate) broadcasts: u64,
    /// Users that were logged in when the first of those came.
    pub(crate) online_at_first_push: usize,
    /// The name and the key of the last backend.
    pub(crate) backend: (String, Vec<u8>),
}

struct User {
    product: String,
    stream: TcpStream,
    sequence: u64,
    overtaken: Option<Vec<u8>>,
    session: u64,
}

#[derive(Default)]
struct State {
    users: BTreeMap<String, User>,
    messages: u64,
    requests: u64,
    broadcasts: u64,
    sessions: u64,
    first_push: Option<Instant>,
    seen: Seen,
}

/// A gateway that runs in threads of the test until the process ends.
pub(crate) struct Gateway {
    pub(crate) clients: SocketAddr,
    pub(crate) api: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Gateway {
    pub(crate) fn start(script: Script) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let line = Line::start(script.delay);
        let at_clients = {
            let (script, state) = (script.clone(), Arc::clone(&state));
            listen(move |stream| serve_client(&stream, &script, &state))
        };
        let at_api = {
            let state = Arc::clone(&state);
            listen(move |stream| serve_backend(&stream, &script, &state, &line))
        };
        Self { clients: at_clients, api: at_api, state }
    }

    pub(crate) fn seen(&self) -> Seen {
        self.state.lock().unwrap().seen.clone()
    }
}

fn listen(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            stream.set_nodelay(true).unwrap();
            let serve = Arc::clone(&serve);
            thread::spawn(move || serve(stream));
        }
    });
    address
}

fn serve_client(stream: &TcpStream, script: &Script, state: &Mutex<State>) {
    let mut me: Option<(String, u64)> = None;
    frames(stream, CLIENT_PAYLOAD, |frame| {
        match FromClient::decode(frame).unwrap() {
            FromClient::Hello(hello) => {
                let slow = script.slow_login.filter(|(user, _)| *user == hello.user);
                thread::sleep(slow.map_or(Duration::ZERO, |(_, late)| late));
                let mut state = state.lock().unwrap();
                state.seen.hellos += 1;
                state.seen.resumes += u64::from(hello.resume.is_some());
                state.seen.tokens += u64::from(!hello.token.is_empty());
                let returns = script.refuse_returns.filter(|_| hello.resume.is_some());
                let full = (state.users.len() >= script.users_most).then_some(BAD_TOKEN);
                if let Some(code) = script.refuse_logins.or(returns).or(full) {
                    let mut out = Vec::new();
                    from_server::put_close(code, "by script", &mut out);
                    write(stream, &out);
                    return false;
                }
                if script.ignore_returns && hello.resume.is_some() {
                    return true;
                }
                me = Some(log_in(&mut state, (hello.product, hello.user), stream, script));
            }
            FromClient::Ping => {
                state.lock().unwrap().seen.pings += 1;
                let mut out = Vec::new();
                from_server::put_pong(&mut out);
                write(stream, &out);
            }
            FromClient::Ack { sequence } => {
                let seen = &mut state.lock().unwrap().seen;
                seen.acks += 1;
                seen.greatest_ack = seen.greatest_ack.max(sequence);
            }
            FromClient::Bye => {
                state.lock().unwrap().seen.byes += 1;
                return false;
            }
            FromClient::Skipped => {}
        }
        true
    });
    let _ = stream.shutdown(Shutdown::Both);
    if let Some((user, session)) = me {
        let users = &mut state.lock().unwrap().users;
        // The user may be back on a newer connection by now.
        if users.get(&user).is_some_and(|now| now.session == session) {
            users.remove(&user);
        }
    }
}

fn log_in(
    state: &mut State,
    (product, user): (&str, &str),
    stream: &TcpStream,
    script: &Script,
) -> (String, u64) {
    state.sessions += 1;
    let session = state.sessions;
    let mut sequence = state.users.get(user).map_or(0, |before| before.sequence);
    let mut id = [0; 16];
    id[..8].copy_from_slice(&session.to_le_bytes());
    let welcome = Welcome {
        session: id,
        heartbeat: script.heartbeat,
        server_time: 0,
        next_sequence: sequence + 1,
        resumed: false,
        body_max: u32::try_from(BODY_BYTES_DEFAULT).unwrap(),
    };
    let mut out = Vec::new();
    from_server::put_welcome(&welcome, &mut out);
    for (number, body) in (1..).zip(&script.kept) {
        sequence += 1;
        for (broadcast, sequence) in [(true, number), (false, sequence)] {
            let (class, redelivered) = (Class::Durable, false);
            let push = Push { class, broadcast, redelivered, sequence, body };
            from_server::put_push(&push, &mut out);
        }
    }
    let stream = stream.try_clone().unwrap();
    write(&stream, &out);
    let user = user.to_owned();
    let now = User { product: product.to_owned(), stream, sequence, overtaken: None, session };
    state.users.insert(user.clone(), now);
    (user, session)
}

fn serve_backend(stream: &TcpStream, script: &Script, state: &Mutex<State>, line: &Line) {
    frames(stream, BACKEND_PAYLOAD, |frame| {
        let mut out = Vec::new();
        match Request::decode(frame).unwrap() {
            Request::Hello { name, key, .. } => {
                state.lock().unwrap().seen.backend = (name.to_owned(), key.to_vec());
                if let Some(code) = script.refuse_backends {
                    answer::put_close(code, "by script", &mut out);
                    write(stream, &out);
                    return false;
                }
                let body_max = u32::try_from(BODY_BYTES_DEFAULT).unwrap();
                let granted =
                    answer::Welcome { window: script.window, body_max, host: 1, incarnation: 1 };
                answer::put_welcome(&granted, &mut out);
            }
            Request::Push(id, push) => {
                stall(script, state);
                let mut state = state.lock().unwrap();
                state.requests += 1;
                match (script.heed)(state.requests) {
                    Heed::Answer => {}
                    Heed::Ignore => return true,
                    Heed::HangUp => return false,
                }
                if state.seen.pushes == 0 {
                    state.seen.online_at_first_push = state.users.len();
                }
                state.seen.pushes += push.targets.iter().count() as u64;
                let outcomes: Vec<Outcome> = push
                    .targets
                    .iter()
                    .map(|target| deliver(&mut state, (push.product, &target), script, line))
                    .collect();
                answer::put_outcomes(id, &outcomes, &mut out);
            }
            Request::Broadcast(id, broadcast) => {
                let to = (broadcast.product, broadcast.body);
                let job = broadcast_to_all(&mut state.lock().unwrap(), to, script, line);
                answer::put_job(id, &job, &mut out);
            }
            Request::Ping => answer::put_pong(&mut out),
            _ => {}
        }
        write(stream, &out)
    });
}

fn stall(script: &Script, state: &Mutex<State>) {
    let Some((after, length)) = script.stall else { return };
    let first = *state.lock().unwrap().first_push.get_or_insert_with(Instant::now);
    let passed = first.elapsed();
    if passed >= after && passed < after + length {
        thread::sleep((after + length).saturating_sub(passed));
    }
}

fn deliver(
    state: &mut State,
    (product, target): (&str, &Target<'_>),
    script: &Script,
    line: &Line,
) -> Outcome {
    state.messages += 1;
    let fate = (script.fate)(state.messages);
    let name = match fate {
        Fate::Misdeliver => {
            let other = state.users.keys().find(|user| *user != target.user);
            other.cloned().unwrap_or_default()
        }
        _ => target.user.to_owned(),
    };
    let user = state.users.get_mut(&name).filter(|user| user.product == product);
    let Some(user) = user else { return Outcome::Offline };
    if fate == Fate::Refuse {
        return Outcome::Offline;
    }
    user.sequence += 1;
    let mut bytes = Vec::new();
    let mut body = target.body.to_vec();
    if fate == Fate::Corrupt {
        let middle = body.len() / 2;
        body[middle] ^= 1;
    }
    let mut push = Push {
        class: target.class,
        broadcast: false,
        redelivered: false,
        sequence: user.sequence,
        body: &body,
    };
    match fate {
        Fate::Lose => {}
        Fate::Overtake => {
            let mut late = Vec::new();
            from_server::put_push(&push, &mut late);
            user.overtaken = Some(late);
        }
        _ => from_server::put_push(&push, &mut bytes),
    }
    if matches!(fate, Fate::Double | Fate::Redeliver) {
        push.redelivered = fate == Fate::Redeliver;
        from_server::put_push(&push, &mut bytes);
    }
    if fate != Fate::Overtake {
        bytes.extend(user.overtaken.take().unwrap_or_default());
    }
    line.send(&user.stream, bytes, fate == Fate::DeliverAndClose);
    match fate {
        Fate::RefuseAndDeliver => Outcome::Offline,
        _ if target.class == Class::Durable => Outcome::Stored(user.sequence),
        _ => Outcome::Delivered(user.sequence),
    }
}

fn broadcast_to_all(
    state: &mut State,
    (product, body): (&str, &[u8]),
    script: &Script,
    line: &Line,
) -> Job {
    state.broadcasts += 1;
    state.seen.broadcasts += 1;
    let sequence = state.broadcasts;
    let push = Push { class: Class::Online, broadcast: true, redelivered: false, sequence, body };
    let mut bytes = Vec::new();
    from_server::put_push(&push, &mut bytes);
    let users = || state.users.values().filter(|user| user.product == product);
    for user in users().skip(script.broadcast_leaves_out) {
        line.send(&user.stream, bytes.clone(), false);
    }
    let total = users().count() as u64;
    let left_out = script.broadcast_leaves_out as u64;
    let dropped = if script.broadcast_admits { left_out } else { 0 };
    Job {
        id: sequence,
        state: JobState::Done,
        sequence,
        total,
        delivered: total - dropped,
        dropped,
    }
}
