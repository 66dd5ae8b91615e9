//! What is said across a connection: received bytes in, answers out.

use std::rc::Rc;

use holdfast_protocol::backend::answer::{self, Job, JobState, Outcome};
use holdfast_protocol::backend::request::{Broadcast, Request};
use holdfast_protocol::client::from_server;
use holdfast_protocol::client::{Class, FromClient, Push, Welcome};
use holdfast_protocol::error::Violation;
use holdfast_protocol::frame;
use holdfast_protocol::limits::{
    BACKEND_PAYLOAD, BODY_BYTES_DEFAULT, CLIENT_PAYLOAD, HEARTBEAT_SECONDS_MAX,
};
use holdfast_protocol::session::{self, Action, State};

use crate::office::{Office, Outlet, Spawn};

/// Targets that a backend may have unanswered.
const WINDOW: u32 = 65_536;

/// One client's conversation.
pub(crate) struct Client<S: Spawn> {
    office: Rc<Office<S>>,
    outlet: Rc<Outlet<S::Writer>>,
    state: State,
    session: usize,
    /// The beginning of a frame whose end has not come.
    held: Vec<u8>,
}

impl<S: Spawn> Client<S> {
    pub(crate) fn new(office: Rc<Office<S>>, outlet: Rc<Outlet<S::Writer>>) -> Self {
        Self { office, outlet, state: State::Opening, session: usize::MAX, held: Vec::new() }
    }

    /// Takes what was received; false when the conversation is over.
    pub(crate) async fn receive(&mut self, bytes: &[u8]) -> bool {
        let mut answers = Vec::new();
        let good = if self.held.is_empty() {
            match self.take(bytes, &mut answers) {
                Ok(taken) => {
                    self.held = bytes[taken..].to_vec();
                    true
                }
                Err(_) => false,
            }
        } else {
            let mut held = std::mem::take(&mut self.held);
            held.extend_from_slice(bytes);
            let taken = self.take(&held, &mut answers);
            self.held = held.split_off(taken.unwrap_or(0));
            taken.is_ok()
        };
        let sent = answers.is_empty() || self.outlet.send(Rc::new(answers)).await;
        good && sent && self.state != State::Closing
    }

    fn take(&mut self, bytes: &[u8], answers: &mut Vec<u8>) -> Result<usize, Violation> {
        let mut taken = 0;
        while let Some((frame, length)) = frame::split(&bytes[taken..], CLIENT_PAYLOAD)? {
            taken += length;
            let frame = FromClient::decode(frame)?;
            match session::receive(self.state, &frame, u64::MAX)? {
                Action::LogIn => self.welcome(&frame, answers),
                Action::Pong => from_server::put_pong(answers),
                Action::Leave => self.state = State::Closing,
                Action::Acknowledge(_) | Action::Ignore => {}
            }
        }
        Ok(taken)
    }

    fn welcome(&mut self, frame: &FromClient<'_>, answers: &mut Vec<u8>) {
        let FromClient::Hello(hello) = frame else { return };
        self.session = self.office.log_in(hello.user, &self.outlet);
        self.state = State::Online;
        let welcome = Welcome {
            session: [0; 16],
            heartbeat: hello.heartbeat.min(HEARTBEAT_SECONDS_MAX),
            server_time: 0,
            next_sequence: 1,
            resumed: false,
            body_max: u32::try_from(BODY_BYTES_DEFAULT).unwrap_or(u32::MAX),
        };
        from_server::put_welcome(&welcome, answers);
    }
}

impl<S: Spawn> Drop for Client<S> {
    fn drop(&mut self) {
        self.office.log_out(self.session);
    }
}

/// One backend's conversation.
pub(crate) struct Backend<S: Spawn> {
    office: Rc<Office<S>>,
    held: Vec<u8>,
}

impl<S: Spawn> Backend<S> {
    pub(crate) const fn new(office: Rc<Office<S>>) -> Self {
        Self { office, held: Vec::new() }
    }

    /// Takes what was received and carries it out; gives the answers, or `None` when it is no
    /// request.
    pub(crate) async fn receive(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(bytes);
        let (mut taken, mut answers) = (0, Vec::new());
        while let Some((frame, length)) = frame::split(&held[taken..], BACKEND_PAYLOAD).ok()? {
            taken += length;
            self.carry_out(&Request::decode(frame).ok()?, &mut answers).await;
        }
        self.held = held.split_off(taken);
        Some(answers)
    }

    async fn carry_out(&self, request: &Request<'_>, answers: &mut Vec<u8>) {
        match request {
            Request::Hello { .. } => {
                let body_max = u32::try_from(BODY_BYTES_DEFAULT).unwrap_or(u32::MAX);
                let welcome = answer::Welcome { window: WINDOW, body_max, host: 0, incarnation: 1 };
                answer::put_welcome(&welcome, answers);
            }
            Request::Ping => answer::put_pong(answers),
            Request::Push(id, push) => {
                let mut outcomes = Vec::with_capacity(push.targets.len());
                for target in &push.targets {
                    let sequence = self.office.next_sequence();
                    let there =
                        self.office.send_to(target.user, frame_of(sequence, target.body)).await;
                    outcomes.push(if there {
                        Outcome::Delivered(sequence)
                    } else {
                        Outcome::Offline
                    });
                }
                answer::put_outcomes(*id, &outcomes, answers);
            }
            Request::Broadcast(id, broadcast) => {
                answer::put_job(*id, &self.broadcast(broadcast).await, answers);
            }
            _ => {}
        }
    }

    async fn broadcast(&self, broadcast: &Broadcast<'_>) -> Job {
        let sequence = self.office.next_sequence();
        let delivered = self.office.send_to_all(frame_of(sequence, broadcast.body)).await as u64;
        let (id, state) = (sequence, JobState::Done);
        Job { id, state, sequence, total: delivered, delivered, dropped: 0 }
    }
}

fn frame_of(sequence: u64, body: &[u8]) -> Vec<u8> {
    let push = Push { class: Class::Online, broadcast: false, redelivered: false, sequence, body };
    let mut bytes = Vec::with_capacity(body.len() + holdfast_protocol::limits::PUSH_OVERHEAD);
    from_server::put_push(&push, &mut bytes);
    bytes
}
