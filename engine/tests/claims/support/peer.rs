//! A TCP connection that sends any bytes and cuts what comes into frames.

use super::PATIENCE;
use holdfast_protocol::frame::split;
use holdfast_protocol::limits::BACKEND_PAYLOAD;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

/// What a peer heard.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A frame: its kind and its payload.
    Frame(u8, Vec<u8>),
    /// The end of the stream.
    End,
    /// The connection was reset.
    Reset,
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    received: Vec<u8>,
    taken: usize,
}

impl Peer {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address);
        Self::new(stream.unwrap_or_else(|error| panic!("cannot connect to {address}: {error}")))
    }

    /// A peer whose kernel takes little before the gateway has to wait.
    pub(crate) fn with_small_buffer(address: SocketAddr) -> Self {
        use rustix::net::{self, AddressFamily, SocketType, sockopt};
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = net::socket(family, SocketType::STREAM, None).unwrap();
        sockopt::set_socket_recv_buffer_size(&socket, 4096).unwrap();
        net::connect(&socket, &address).unwrap();
        Self::new(TcpStream::from(socket))
    }

    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, received: Vec::new(), taken: 0 }
    }

    /// Sends bytes that the gateway must take.
    #[track_caller]
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the gateway takes the bytes");
    }

    /// Sends bytes that the gateway may refuse by closing; says whether it took them.
    pub(crate) fn offer(&mut self, bytes: &[u8]) -> bool {
        match self.stream.write_all(bytes) {
            Ok(()) => true,
            Err(error) => {
                let timed_out = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                assert!(!timed_out, "the gateway neither reads nor closes");
                false
            }
        }
    }

    /// Whether something has come that was not heard yet.
    pub(crate) fn has_heard(&self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        !self.received[self.taken..].is_empty() || peeked.is_ok()
    }

    /// The next frame, or the end.
    #[track_caller]
    pub(crate) fn hear(&mut self) -> Heard {
        loop {
            let rest = &self.received[self.taken..];
            if let Some((frame, taken)) = split(rest, BACKEND_PAYLOAD).expect("a good frame") {
                let heard = Heard::Frame(frame.kind, frame.payload.to_vec());
                self.taken += taken;
                return heard;
            }
            if let Some(end) = self.read() {
                let rest = self.received.len() - self.taken;
                assert!(end == Heard::Reset || rest == 0, "the stream ends within a frame");
                return end;
            }
        }
    }

    /// Reads once; gives the end, if that is what came.
    #[track_caller]
    fn read(&mut self) -> Option<Heard> {
        self.received.drain(..std::mem::take(&mut self.taken));
        let mut buffer = [0; 16 << 10];
        match self.stream.read(&mut buffer) {
            Ok(0) => Some(Heard::End),
            Ok(length) => {
                self.received.extend_from_slice(&buffer[..length]);
                None
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Some(Heard::Reset),
            // With a timeout set the kernel does not start a read again by itself.
            Err(error) if error.kind() == ErrorKind::Interrupted => None,
            Err(error) => panic!("nothing came: {error}"),
        }
    }

    /// Ends this direction and leaves the other open.
    pub(crate) fn finish(&self) {
        // It fails where the gateway has closed already.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Ends the connection with a reset instead of an end.
    pub(crate) fn reset(self) {
        let linger = Some(std::time::Duration::ZERO);
        rustix::net::sockopt::set_socket_linger(&self.stream, linger).unwrap();
    }
}
