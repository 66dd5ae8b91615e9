//! A shard of a test: sends batches, asks, and keeps what it was promised.

use compact_str::CompactString;
use holdfast_store::letter::Append;
use holdfast_store::redis::{OpenError, Options, Started, start};
use holdfast_store::{
    Ask, Batch, Bell, Command, Event, Homes, Kept, KeyMark, Loaded, Mark, Place, Port, Span,
    Trouble, Wanted,
};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::server::pause;

/// Two products on one shard.
pub(crate) struct OneShard(Vec<String>);

impl OneShard {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(vec!["chat".into(), "news".into()]))
    }
}

impl Homes for OneShard {
    fn products(&self) -> &[String] {
        &self.0
    }

    fn hash(&self, product: u16, user: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.0[usize::from(product)], user).hash(&mut hasher);
        hasher.finish()
    }

    fn shard(&self, _hash: u64) -> u16 {
        0
    }

    fn shards(&self) -> u16 {
        1
    }
}

struct Silent;

impl Bell for Silent {
    fn ring(&self) {}
}

/// One process: a store with one shard.
pub(crate) struct Shard {
    pub(crate) started: Started,
    token: u64,
    /// How the store says that it stands.
    pub(crate) state: Option<Trouble>,
    /// What it said that was no answer.
    pub(crate) news: Vec<Event>,
    /// Why how broadcasts stand by a batch is not safe, where it said that.
    pub(crate) unsteered: Option<Trouble>,
    /// What the newest block that the store gave without being asked begins behind.
    pub(crate) floor: u64,
    /// The greatest sequence of each user, as this process believes.
    last: HashMap<String, u64>,
}

/// What opening a mailbox told.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) messages: Vec<Kept>,
    pub(crate) last: u64,
    pub(crate) keys: Vec<KeyMark>,
    pub(crate) seen: Vec<u64>,
    pub(crate) mark: Option<Mark>,
}

impl Opened {
    pub(crate) fn sequences(&self) -> Vec<u64> {
        self.messages.iter().map(|kept| kept.sequence).collect()
    }
}

/// Options for these servers, with times as short as a busy machine allows.
pub(crate) fn options(addresses: &[String]) -> Options {
    Options {
        addresses: addresses.to_vec(),
        connect_timeout: Duration::from_secs(1),
        command_timeout: Duration::from_secs(1),
        ..Options::default()
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

/// In place of what a message goes behind: whatever the process believes, see [`Shard::send`].
const UNSAID: u64 = u64::MAX;

/// A message of a user of the product 0.
pub(crate) fn append(user: &str, sequence: u64, body: &str) -> Command {
    Command::Append(message(user, sequence, body, ""))
}

/// The same with an idempotency key.
pub(crate) fn message(user: &str, sequence: u64, body: &str, key: &str) -> Append {
    let span = |at: usize, length: usize| Span {
        at: at.try_into().unwrap(),
        length: length.try_into().unwrap(),
    };
    Append {
        product: 0,
        sequence,
        behind: UNSAID,
        chained: false,
        at: now(),
        expires: now() + 1000,
        bytes: [user, key, body].concat().into_bytes().into(),
        user: span(0, user.len()),
        key: span(user.len(), key.len()),
        body: span(user.len() + key.len(), body.len()),
        receipt: None,
    }
}

/// How often a start is tried.
const STARTS: usize = 200;

/// Forgets a user's messages.
pub(crate) fn trim(user: &str, upto: u64) -> Command {
    Command::Trim { product: 0, user: user.into(), upto }
}

impl Shard {
    /// Tries again where servers do not serve yet: replicas of a new cluster take their time.
    pub(crate) fn start(options: &Options) -> Self {
        for _ in 0..STARTS {
            match start(options, OneShard::new(), vec![Arc::new(Silent)]) {
                Ok(started) => {
                    return Self {
                        started,
                        token: 0,
                        state: None,
                        news: Vec::new(),
                        unsteered: None,
                        floor: 0,
                        last: HashMap::new(),
                    };
                }
                Err(OpenError::Unreachable(_)) => std::thread::sleep(Duration::from_millis(100)),
                Err(error) => panic!("{error}"),
            }
        }
        panic!("the servers do not serve");
    }

    fn port(&self) -> &Port {
        &self.started.ports[0]
    }

    /// The next event that is not about the state, which is remembered.
    fn hear(&mut self) -> Event {
        loop {
            match self.port().hear() {
                Some(Event::State(state)) => self.state = state,
                Some(Event::Unsteered(trouble)) => self.unsteered = Some(trouble),
                Some(event) if is_news(&event) => self.note(event),
                Some(event) => return event,
                // Not longer: whoever asks for thousands waits for each.
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// Keeps what the store said without being asked.
    fn note(&mut self, event: Event) {
        if let Event::Block(behind) = event {
            self.floor = behind;
        }
        self.news.push(event);
    }

    /// Says of each message that does not say it itself what it goes behind: what was sent before
    /// or, where that may not be what the store has, what the store says. Gives of each command
    /// that is answered whose message it is.
    fn link(&mut self, commands: &mut [Command]) -> Vec<Option<String>> {
        let mut answers = Vec::new();
        let mut before = HashMap::new();
        for command in commands {
            let append = match command {
                Command::Append(append) => append,
                Command::Broadcast(_) | Command::Move(_) => {
                    answers.push(None);
                    continue;
                }
                _ => continue,
            };
            let user = String::from_utf8(append.user.of(&append.bytes).to_vec()).unwrap();
            let name = format!("{}/{user}", append.product);
            if append.behind == UNSAID {
                append.behind = match self.last.get(&name) {
                    Some(last) => *last,
                    None => self.last_of(append.product, &user),
                };
                self.last.insert(name.clone(), append.sequence);
            }
            let before = before.insert(name.clone(), append.sequence);
            append.chained = before == Some(append.behind);
            answers.push(Some(name));
        }
        answers
    }

    /// Sends a batch without waiting; gives what [`Self::settle`] needs.
    pub(crate) fn post(&mut self, mut commands: Vec<Command>) -> Vec<Option<String>> {
        let answers = self.link(&mut commands);
        let batch = Batch { shard: 0, commands, freed: Vec::new() };
        assert!(self.port().send(batch), "the store ended");
        answers
    }

    /// Waits for what becomes of a batch.
    pub(crate) fn settle(&mut self, answers: &[Option<String>]) -> Result<Vec<Place>, Trouble> {
        let places = match self.hear() {
            Event::Written(places) => Ok(places),
            Event::Failed(trouble) => Err(trouble),
            other => panic!("{other:?} for a batch"),
        };
        for (at, name) in answers.iter().enumerate() {
            let kept = places.as_ref().is_ok_and(|places| places[at].is_one());
            if let Some(name) = name.as_ref().filter(|_| !kept) {
                self.last.remove(name);
            }
        }
        places
    }

    /// Sends a batch and waits for what becomes of it.
    pub(crate) fn send(&mut self, commands: Vec<Command>) -> Result<Vec<Place>, Trouble> {
        let answers = self.post(commands);
        self.settle(&answers)
    }

    /// What the store says is a user's greatest sequence; 0 where it cannot say.
    fn last_of(&mut self, product: u16, user: &str) -> u64 {
        match self.ask_of(product, user, Vec::new()) {
            Event::Opened { last, .. } => last,
            _ => 0,
        }
    }

    /// Sends until it works; says how often it failed.
    pub(crate) fn insist(&mut self, mut commands: impl FnMut() -> Vec<Command>) -> usize {
        let mut failed = 0;
        while self.send(commands()).is_err() {
            failed += 1;
            pause();
        }
        failed
    }

    /// Waits until the store says that it stands so.
    pub(crate) fn await_state(&mut self, wanted: Option<Trouble>) {
        while self.state != wanted {
            match self.port().hear() {
                Some(Event::State(state)) => self.state = state,
                Some(event) if is_news(&event) => self.note(event),
                Some(other) => panic!("{other:?} while waiting for {wanted:?}"),
                None => pause(),
            }
        }
    }

    /// The next that the store says without being asked.
    pub(crate) fn hear_news(&mut self) -> Event {
        while self.news.is_empty() {
            match self.port().hear() {
                Some(Event::State(state)) => self.state = state,
                Some(event) => self.note(event),
                None => pause(),
            }
        }
        self.news.remove(0)
    }

    fn ask(&mut self, user: &str, wanted: Vec<Wanted>) -> Event {
        self.ask_of(0, user, wanted)
    }

    fn ask_of(&mut self, product: u16, user: &str, wanted: Vec<Wanted>) -> Event {
        self.token += 1;
        let (token, user) = (self.token, CompactString::from(user));
        assert!(self.port().ask(Ask { shard: 0, token, product, user, wanted }));
        self.hear()
    }

    /// Opens a mailbox; asks again while the store cannot say.
    pub(crate) fn open(&mut self, user: &str) -> Opened {
        loop {
            match self.ask(user, Vec::new()) {
                Event::Opened { token, messages, last, keys, seen, mark } => {
                    assert_eq!(token, self.token);
                    return Opened { messages, last, keys, seen, mark };
                }
                Event::Unanswered { .. } => pause(),
                other => panic!("{other:?} for a question"),
            }
        }
    }

    /// Opens a mailbox, if the store can say now what it holds.
    pub(crate) fn try_open(&mut self, user: &str) -> Option<()> {
        match self.ask(user, Vec::new()) {
            Event::Opened { .. } => Some(()),
            Event::Unanswered { .. } => None,
            other => panic!("{other:?} for a question"),
        }
    }

    /// Loads bodies; asks again while the store cannot say.
    pub(crate) fn load(&mut self, user: &str, kept: &[Kept]) -> Vec<String> {
        let wanted = kept.iter().map(|one| Wanted {
            sequence: one.sequence,
            place: one.place,
            length: one.length,
        });
        let wanted: Vec<_> = wanted.collect();
        loop {
            match self.ask(user, wanted.clone()) {
                Event::Loaded { messages, .. } => return messages.iter().map(body).collect(),
                Event::Unanswered { .. } => pause(),
                other => panic!("{other:?} for bodies"),
            }
        }
    }
}

/// A message as an index has it.
pub(crate) fn kept(sequence: u64, length: u32) -> [Kept; 1] {
    let place = Place::default();
    [Kept { sequence, place, length, expires: 0, receipt: None }]
}

/// Whether a store says this without being asked.
fn is_news(event: &Event) -> bool {
    matches!(
        event,
        Event::Look { .. } | Event::Block(_) | Event::Broadcast(_) | Event::Steered { .. }
    )
}

fn body(loaded: &Loaded) -> String {
    String::from_utf8(loaded.body.of(&loaded.bytes).to_vec()).unwrap()
}
