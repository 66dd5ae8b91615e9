//! A page of a gateway's admin port, asked for in plain HTTP on a connection for itself.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Longest wait for the connection, and for each part of the answer.
const PATIENCE: Duration = Duration::from_millis(400);
/// Longest wait for all of it: who waits for a page has a run to end.
const ALL: Duration = Duration::from_secs(4);
/// Longest page that is read, bytes; the metrics of 64 shards have some hundred KiB.
const PAGE_BYTES: u64 = 8 << 20;

/// The text at `path`, asked for with the token where the gateway wants one.
///
/// # Errors
/// Nobody answers in time, or with anything but success.
pub(crate) fn get(address: SocketAddr, path: &str, token: Option<&str>) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let token = token.map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{token}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let answer = read(stream.take(PAGE_BYTES), Instant::now() + ALL)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
        Some((head, _)) => {
            let said = head.lines().next().unwrap_or_default().to_owned();
            Err(io::Error::new(io::ErrorKind::InvalidData, said))
        }
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// All that comes, if it ends by the deadline.
fn read(mut from: impl Read, deadline: Instant) -> io::Result<String> {
    let (mut answer, mut part) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        match from.read(&mut part) {
            Ok(0) => break,
            Ok(_) if Instant::now() > deadline => return Err(io::ErrorKind::TimedOut.into()),
            Ok(length) => answer.extend_from_slice(&part[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // So a socket says that its time is over.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let why = format!("it does not answer within {PATIENCE:?}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
            Err(error) => return Err(error),
        }
    }
    String::from_utf8(answer).map_err(|_| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_never_ends_is_given_up() {
        let passed = Instant::now();
        let endless = read(io::repeat(b'x').take(u64::MAX), passed);
        assert_eq!(endless.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let whole = read(&b"a page"[..], passed + ALL);
        assert_eq!(whole.unwrap(), "a page");
    }
}
