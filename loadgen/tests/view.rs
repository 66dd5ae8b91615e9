//! On a terminal a run is drawn, and whatever ends the view, the terminal is as it was before.
//!
//! Shown on a pseudoterminal that is the program's own, as a person's would be.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/gateway.rs"]
#[allow(dead_code, reason = "other tests ask more of it")]
mod gateway;

use gateway::{Gateway, Script};
use nix::pty::{Winsize, openpty};
use nix::sys::termios::{LocalFlags, Termios, tcgetattr};
use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// To the other screen and back.
const ENTER: &str = "\u{1b}[?1049h";
const LEAVE: &str = "\u{1b}[?1049l";

/// A terminal, what was written to it so far, and what it shows now.
struct Terminal {
    keyboard: File,
    ours: OwnedFd,
    written: Arc<Mutex<String>>,
    shown: Arc<Mutex<vt100::Parser>>,
}

/// The length of a side of a terminal.
fn side(cells: u16) -> NonZeroU16 {
    NonZeroU16::new(cells).unwrap()
}

impl Terminal {
    fn open(columns: u16, rows: u16) -> Self {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(Some(&size), None).unwrap();
        // Copies that no child inherits: a terminal whose other end a child holds never hangs up.
        let [keyboard, ours] = [&pair.master, &pair.slave].map(|end| end.try_clone().unwrap());
        let keyboard = File::from(keyboard);
        let mut screen = keyboard.try_clone().unwrap();
        let written = Arc::new(Mutex::new(String::new()));
        let shown = Arc::new(Mutex::new(vt100::Parser::new(side(rows), side(columns), 0)));
        let (all, now) = (Arc::clone(&written), Arc::clone(&shown));
        thread::spawn(move || {
            let mut some = [0; 4096];
            while let Ok(length @ 1..) = screen.read(&mut some) {
                all.lock().unwrap().push_str(&String::from_utf8_lossy(&some[..length]));
                now.lock().unwrap().process(&some[..length]);
            }
        });
        Self { keyboard, ours, written, shown }
    }

    /// Changes its size, as dragging the corner of its window does: the kernel tells the program.
    fn resize(&self, columns: u16, rows: u16) {
        let mut shown = self.shown.lock().unwrap();
        shown.screen_mut().set_size(side(rows), side(columns));
        let size =
            rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&self.keyboard, size).unwrap();
    }

    /// The lines that it shows now.
    fn lines(&self) -> Vec<String> {
        let shown = self.shown.lock().unwrap();
        let (_, columns) = shown.screen().size();
        shown.screen().rows(0, columns.get()).collect()
    }

    /// Runs a program whose controlling terminal this is.
    fn run(&self, program: &str, arguments: &[&str]) -> Child {
        let end = || self.ours.try_clone().unwrap();
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait", program]).args(arguments).env("TERM", "xterm-256color");
        command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap()
    }

    fn settings(&self) -> Termios {
        tcgetattr(&self.ours).unwrap()
    }

    fn is_raw(&self) -> bool {
        !self.settings().local_flags.contains(LocalFlags::ICANON)
    }

    fn text(&self) -> String {
        self.written.lock().unwrap().clone()
    }

    /// Waits until `words` were written.
    fn shows(&self, words: &str) {
        while !self.text().contains(words) {
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn press(&mut self, key: &[u8]) {
        self.keyboard.write_all(key).unwrap();
    }
}

/// A long run on a terminal of this size, ended by this key.
fn ended_by(key: &[u8], columns: u16) -> (Option<i32>, String) {
    let gateway = Gateway::start(Script::default());
    let mut terminal = Terminal::open(columns, 40);
    let before = terminal.settings();
    let (clients, api) = (gateway.clients.to_string(), gateway.api.to_string());
    let program = env!("CARGO_BIN_EXE_holdfast-loadgen");
    let where_to = ["run", "--gateway", &clients, "--api", &api, "--connections", "40"];
    let load = ["--rate", "400", "--duration", "600", "--settle", "0"];
    let mut run = terminal.run(program, &[&where_to[..], &load].concat());
    terminal.shows(ENTER);
    terminal.shows("end the run with its report");
    while gateway.seen().pushes < 800 {
        thread::sleep(Duration::from_millis(10));
    }
    assert!(terminal.is_raw(), "keys are read as they are pressed");
    terminal.press(key);
    let code = run.wait().unwrap().code();
    terminal.shows("INTERRUPTED after");
    let after = terminal.settings();
    assert_eq!(after, before, "the terminal is as it was");
    (code, terminal.text())
}

#[test]
fn q_ends_a_run_with_its_report_and_the_terminal_as_it_was() {
    let (code, text) = ended_by(b"q", 120);
    assert_eq!(code, Some(3));
    let report = text.split(LEAVE).nth(1).unwrap();
    assert!(report.contains("all is accounted for") && report.contains("ends early"), "{report}");
    assert!(!report.contains(ENTER));
}

#[test]
fn control_c_does_too_on_a_narrow_terminal() {
    let (code, text) = ended_by(&[3], 40);
    assert_eq!(code, Some(3));
    assert!(text.split(LEAVE).nth(1).unwrap().contains("all is accounted for"));
}

#[test]
fn a_run_fits_its_terminal_whatever_size_that_gets() {
    let gateway = Gateway::start(Script::default());
    let mut terminal = Terminal::open(120, 40);
    let before = terminal.settings();
    let (clients, api) = (gateway.clients.to_string(), gateway.api.to_string());
    let where_to = ["run", "--gateway", &clients, "--api", &api, "--connections", "40"];
    let load = ["--rate", "400", "--duration", "600", "--settle", "0"];
    let program = env!("CARGO_BIN_EXE_holdfast-loadgen");
    let mut run = terminal.run(program, &[&where_to[..], &load].concat());
    terminal.shows("end the run with its report");
    let begins =
        |line: Option<&String>, words: &str| line.is_some_and(|line| line.starts_with(words));
    for (columns, rows) in [(20, 5), (300, 80), (1, 1), (80, 24), (12, 2), (100, 30)] {
        terminal.resize(columns, rows);
        // What is left of an older size stands beside what is new until all is drawn again.
        let fits = |lines: &[String]| {
            let accounts = lines.iter().filter(|line| line.starts_with("clients 40 ")).count();
            let plots = lines.iter().filter(|line| line.starts_with('┌')).count();
            let wide = lines.iter().any(|line| line.chars().count() == usize::from(columns));
            match rows {
                1 => begins(lines.first(), "p"),
                2..8 => {
                    begins(lines.first(), "push")
                        && begins(lines.get(1), "clients 40 ")
                        && plots == 0
                }
                _ => begins(lines.last(), "q or Ctrl-C") && accounts == 1 && plots > 0 && wide,
            }
        };
        while !fits(&terminal.lines()) {
            assert!(run.try_wait().unwrap().is_none(), "it ended: {:?}", terminal.lines());
            thread::sleep(Duration::from_millis(10));
        }
    }
    terminal.press(b"q");
    assert_eq!(run.wait().unwrap().code(), Some(3));
    terminal.shows("INTERRUPTED after");
    assert_eq!(terminal.settings(), before, "the terminal is as it was");
}

#[test]
fn with_plain_a_terminal_gets_lines() {
    let gateway = Gateway::start(Script::default());
    let terminal = Terminal::open(120, 40);
    let (clients, api) = (gateway.clients.to_string(), gateway.api.to_string());
    let where_to = ["run", "--plain", "--gateway", &clients, "--api", &api, "--connections", "40"];
    let load = ["--rate", "400", "--duration", "2", "--settle", "0"];
    let program = env!("CARGO_BIN_EXE_holdfast-loadgen");
    let mut run = terminal.run(program, &[&where_to[..], &load].concat());
    assert_eq!(run.wait().unwrap().code(), Some(0));
    terminal.shows("all is accounted for");
    let text = terminal.text();
    assert!(!text.contains(ENTER) && text.contains("pushes/s"), "{text}");
}
