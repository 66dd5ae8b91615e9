//! What the client promises, a claim a file, shown against a scripted gateway on a real loopback
//! socket. No claim rests on how long something took: a script that waits in vain fails by itself.

mod answers_find_their_requests;
mod any_gateway_will_do;
mod every_request_makes_its_trip;
mod gateway_is_not_believed_blindly;
mod lost_connection_answers_everything_once;
mod receipts_reach_their_listener;
mod silence_has_an_end;
mod terminal_close_is_obeyed;
mod window_is_kept;

use holdfast_client::testing::{Gateway, Peer};
use holdfast_client::{Backend, Event, Options, Pending};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

/// Patient with answers, quick to come back.
fn options(gateway: &Gateway) -> Options {
    let mut options = Options::new([gateway.address()]);
    options.timeout = Duration::from_secs(10);
    options.backoff_min = Duration::from_millis(1);
    options.backoff_max = Duration::from_millis(10);
    options
}

/// A backend and its gateway's end of the connection.
fn connected(gateway: &Gateway, options: Options, window: u32) -> (Backend, Peer) {
    thread::scope(|scope| {
        let peer = scope.spawn(|| {
            let mut peer = gateway.accept();
            peer.welcome(window);
            peer
        });
        let backend = Backend::connect(options).expect("the script welcomes");
        (backend, peer.join().expect("the script welcomes"))
    })
}

/// The events of a client with these options.
fn listen(options: &mut Options) -> Receiver<Event> {
    let (sender, events) = mpsc::channel();
    options.on_event = Some(Arc::new(move |event: &Event| {
        let _ = sender.send(event.clone());
    }));
    events
}

/// The next event of which `wanted` is true.
fn expect_event(events: &Receiver<Event>, wanted: impl Fn(&Event) -> bool) -> Event {
    loop {
        let event = events.recv_timeout(Duration::from_secs(10)).expect("the event comes");
        if wanted(&event) {
            return event;
        }
    }
}

/// The answer, or a failed test instead of a hanging one.
fn answer<T>(pending: Pending<T>) -> Result<T, holdfast_client::Error> {
    pending.wait_timeout(Duration::from_secs(20))
}
