//! Bytes in and bytes out, for the scripted gateway.

use holdfast_protocol::frame::{self, Frame};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// Reads frames and hands each to `each`, until that says no or the stream ends.
pub(crate) fn frames(mut stream: &TcpStream, max: usize, mut each: impl FnMut(Frame<'_>) -> bool) {
    let mut bytes = Vec::new();
    let mut piece = [0; 16384];
    while let Ok(length @ 1..) = stream.read(&mut piece) {
        bytes.extend_from_slice(&piece[..length]);
        let mut at = 0;
        while let Some((frame, taken)) = frame::split(&bytes[at..], max).unwrap() {
            if !each(frame) {
                return;
            }
            at += taken;
        }
        bytes.drain(..at);
    }
}

/// Writes all; false if the peer has left, which is its own affair.
pub(crate) fn write(mut stream: &TcpStream, bytes: &[u8]) -> bool {
    stream.write_all(bytes).is_ok()
}

/// A line to the clients with a delay of its own: what goes in comes out in order, so much later.
pub(crate) struct Line {
    delay: Duration,
    queue: Sender<(Instant, TcpStream, Vec<u8>, bool)>,
}

impl Line {
    pub(crate) fn start(delay: Duration) -> Self {
        let (queue, out) = mpsc::channel::<(Instant, TcpStream, Vec<u8>, bool)>();
        thread::spawn(move || {
            for (due, stream, bytes, close) in out {
                thread::sleep(due.saturating_duration_since(Instant::now()));
                send_now(&stream, &bytes, close);
            }
        });
        Self { delay, queue }
    }

    pub(crate) fn send(&self, stream: &TcpStream, bytes: Vec<u8>, close: bool) {
        if self.delay.is_zero() {
            send_now(stream, &bytes, close);
            return;
        }
        let stream = stream.try_clone().unwrap();
        self.queue.send((Instant::now() + self.delay, stream, bytes, close)).unwrap();
    }
}

fn send_now(stream: &TcpStream, bytes: &[u8], close: bool) {
    write(stream, bytes);
    if close {
        let _ = stream.shutdown(Shutdown::Both);
    }
}
