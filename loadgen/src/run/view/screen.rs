//! The thread that draws the view, and the terminal that it is drawn on.
//!
//! The terminal is as it was before whatever ends the view: the end of the run, an interrupt (the
//! rest of the run is shown in lines then), or a panic of any thread.

use super::draw::draw;
use super::{Second, Snapshot, Stage, Totals};
use crate::interrupt::Interrupt;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use std::io::{self, Stderr, stderr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Between two drawings, unless a key or a new size comes.
const DRAW: Duration = Duration::from_millis(250);

/// Whether the terminal is ours, in raw mode and on its other screen.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// What those who know tell the view. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slate(Arc<Mutex<Snapshot>>);

impl Slate {
    fn lock(&self) -> MutexGuard<'_, Snapshot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What runs.
    pub(crate) fn plan(&self, plan: String) {
        self.lock().plan = plan;
    }

    /// Where the run stands.
    pub(crate) fn stage(&self, stage: Stage) {
        self.lock().stage = stage;
    }

    /// Something that is to be seen at once, and stays.
    pub(crate) fn notice(&self, text: String) {
        self.lock().notices.push(text);
    }

    /// All of those.
    pub(crate) fn notices(&self) -> Vec<String> {
        self.lock().notices.clone()
    }

    /// A sample was taken.
    pub(crate) fn second(&self, second: Second, totals: Totals) {
        let mut shot = self.lock();
        shot.second(second);
        shot.totals = totals;
    }
}

/// The view while it is shown.
#[derive(Debug)]
pub(crate) struct Screen {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Screen {
    /// Takes the terminal and draws the slate on it; q and Ctrl-C raise the interrupt.
    ///
    /// # Errors
    /// The terminal cannot be taken; it is as it was.
    pub(crate) fn open(slate: &Slate, interrupt: &Interrupt) -> io::Result<Self> {
        restore_on_panic();
        TAKEN.store(true, Ordering::SeqCst);
        let terminal = enable_raw_mode()
            .and_then(|()| execute!(stderr(), EnterAlternateScreen))
            .and_then(|()| Terminal::new(CrosstermBackend::new(stderr())));
        let terminal = terminal.inspect_err(|_| restore())?;
        let (slate, interrupt) = (slate.clone(), interrupt.clone());
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let work = move || {
            show(terminal, &slate, &interrupt, &told);
            restore();
        };
        let thread = thread::Builder::new().name("view".to_owned()).spawn(work);
        let thread = Some(thread.inspect_err(|_| restore())?);
        Ok(Self { stop, thread })
    }

    /// Whether it is still shown.
    pub(crate) fn is_open(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Takes it away.
    pub(crate) fn close(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // If it panicked, the terminal was restored before that was said.
            let _ = thread.join();
        }
        restore();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.close();
    }
}

/// Draws until it is told to stop, the run is interrupted, or the terminal is taken away.
fn show(
    mut terminal: Terminal<CrosstermBackend<Stderr>>,
    slate: &Slate,
    interrupt: &Interrupt,
    stop: &AtomicBool,
) {
    let over = || stop.load(Ordering::Relaxed) || !TAKEN.load(Ordering::SeqCst);
    while !over() && !interrupt.came() {
        let shot = slate.lock().clone();
        if terminal.draw(|frame| draw(frame, &shot)).is_err() {
            return;
        }
        match event::poll(DRAW) {
            Ok(false) => {}
            Ok(true) => match event::read() {
                Ok(Event::Key(key)) if ends(key) => interrupt.raise(),
                Ok(_) => {}
                Err(_) => return,
            },
            Err(_) => return,
        }
    }
}

/// Whether a key ends the run.
fn ends(key: KeyEvent) -> bool {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let asked = key.code == KeyCode::Char('q') || key.code == KeyCode::Char('c') && control;
    asked && key.kind == KeyEventKind::Press
}

/// Gives the terminal back, if it is taken.
fn restore() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // Where the terminal is gone, there is nothing to restore.
        let _ = execute!(stderr(), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

/// Has the terminal given back before a panic of any thread is said; once for the process.
fn restore_on_panic() {
    static HOOKED: Once = Once::new();
    HOOKED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            before(panic);
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn q_and_control_c_end_a_run_and_no_other_key_does() {
        let key = |code, modifiers| ends(KeyEvent::new(code, modifiers));
        assert!(key(KeyCode::Char('q'), KeyModifiers::NONE));
        assert!(key(KeyCode::Char('c'), KeyModifiers::CONTROL));
        assert!(!key(KeyCode::Char('c'), KeyModifiers::NONE));
        assert!(!key(KeyCode::Enter, KeyModifiers::NONE));
    }

    #[test]
    fn a_panic_of_any_thread_gives_the_terminal_back_before_it_is_said() {
        let pair = nix::pty::openpty(None, None).unwrap();
        let before = nix::sys::termios::tcgetattr(&pair.slave).unwrap();
        let end = || pair.slave.try_clone().unwrap();
        let mut command = std::process::Command::new("setsid");
        command.args(["--ctty", "--wait"]).arg(std::env::current_exe().unwrap());
        let name = "run::view::screen::tests::a_panic_on_a_screen";
        command.args(["--ignored", "--exact", "--nocapture", name]);
        let mut run = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let mut screen = std::fs::File::from(pair.master);
        let reader = thread::spawn(move || {
            let mut all = Vec::new();
            // It ends with an error when nobody has the terminal open any more.
            let _ = screen.read_to_end(&mut all);
            String::from_utf8_lossy(&all).into_owned()
        });
        let code = run.wait().unwrap().code();
        assert_eq!(nix::sys::termios::tcgetattr(&pair.slave).unwrap(), before);
        drop((pair.slave, command));
        let text = reader.join().unwrap();
        let said = text.find("amid a run").unwrap();
        assert!(text.find("\u{1b}[?1049l").unwrap() < said, "{text}");
        assert_eq!(code, Some(7), "{text}");
    }

    /// Run by the test above, on a terminal of its own.
    #[test]
    #[ignore = "takes the terminal over, and panics"]
    fn a_panic_on_a_screen() {
        let _screen = Screen::open(&Slate::default(), &Interrupt::default()).unwrap();
        thread::sleep(2 * DRAW);
        let panicked = thread::spawn(|| panic!("amid a run")).join();
        assert!(panicked.is_err());
        // The screen is given back by the panic, not by what follows.
        std::process::exit(if TAKEN.load(Ordering::SeqCst) { 1 } else { 7 });
    }
}
