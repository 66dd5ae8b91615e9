//! A service manager such as systemd hears when the gateway serves, that it lives, and that it
//! leaves.

use crate::support::process::Process;
use crate::support::{PATIENCE, Which};
use rustix::process::Signal;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;

on_both! {
    readiness_life_and_leaving_are_told,
}

fn readiness_life_and_leaving_are_told(io: Which) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let next = || {
        let mut buffer = [0; 512];
        // A receive with a time limit ends with any signal, and other tests have some sent.
        let length = loop {
            match manager.recv(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                received => break received.expect("the gateway says how it stands"),
            }
        };
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let environment = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "400000")];
    let process = Process::serve_with_environment(io, &["drain.timeout=3s"], &environment);
    let ready = next();
    assert!(ready.starts_with("READY=1\nSTATUS=serving with "), "{ready}");
    // Again and again, as long as it is asked for.
    for _ in 0..3 {
        assert_eq!(next().trim(), "WATCHDOG=1");
    }
    process.signal(Signal::TERM);
    let leaving = std::iter::repeat_with(next).find(|said| said.trim() != "WATCHDOG=1").unwrap();
    assert!(leaving.contains("STOPPING=1") && leaving.contains("EXTEND_TIMEOUT_USEC=7000000"));
    let (status, said) = process.end();
    assert_eq!(status.code(), Some(0), "{said}");
}
