//! The bare server's kernel where a ring is forbidden: edge-triggered epoll and plain calls.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{SendFlags, SocketFlags, accept_with, send};

use super::kernel::{Event, Kernel};

/// How many reports one wait takes.
const REPORTS: usize = 512;

pub(in crate::floor) struct Epoll {
    set: OwnedFd,
    listeners: Vec<(u32, OwnedFd)>,
    reports: Vec<epoll::Event>,
}

impl Epoll {
    pub(in crate::floor) fn new() -> io::Result<Self> {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { set, listeners: Vec::new(), reports: Vec::with_capacity(REPORTS) })
    }

    /// Waits until something happened, or for so long, and appends it.
    pub(in crate::floor) fn wait_for(
        &mut self,
        events: &mut Vec<Event>,
        most: Option<Duration>,
    ) -> io::Result<()> {
        let most = most.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
        self.reports.clear();
        match epoll::wait(&self.set, spare_capacity(&mut self.reports), most.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for report in &self.reports {
            let id = u32::try_from(report.data.u64()).map_err(io::Error::other)?;
            match self.listeners.iter().find(|(listener, _)| *listener == id) {
                Some((id, listener)) => Self::accept(*id, listener, events)?,
                None => events.push(Event::Ready(id)),
            }
        }
        Ok(())
    }

    fn accept(id: u32, listener: &OwnedFd, events: &mut Vec<Event>) -> io::Result<()> {
        loop {
            match accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(socket) => events.push(Event::Accepted(id, socket)),
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Kernel for Epoll {
    fn listen(&mut self, listener: &OwnedFd, id: u32) -> io::Result<()> {
        let listener = listener.try_clone()?;
        let data = epoll::EventData::new_u64(u64::from(id));
        epoll::add(&self.set, &listener, data, epoll::EventFlags::IN)?;
        self.listeners.push((id, listener));
        Ok(())
    }

    fn watch(&mut self, socket: &OwnedFd, id: u32) -> io::Result<()> {
        let flags = epoll::EventFlags::IN | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
        Ok(epoll::add(&self.set, socket, epoll::EventData::new_u64(u64::from(id)), flags)?)
    }

    fn forget(&mut self, _socket: &OwnedFd, _id: u32) -> io::Result<()> {
        Ok(())
    }

    fn send(&mut self, sockets: &[&OwnedFd], bytes: &'static [u8]) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let sent_in_full = |socket: &&&OwnedFd| send(socket, bytes, flags) == Ok(bytes.len());
        Ok(sockets.len() - sockets.iter().filter(sent_in_full).count())
    }

    fn wait(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        self.wait_for(events, None)
    }
}
