//! A browser without a window: Debian's chromium, told what to do through a pipe.
//!
//! It speaks the `DevTools` protocol: messages in JSON, each with a zero byte at its end.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use tempfile::TempDir;

/// Names the browser, and demands that there is one.
const DEMANDED: &str = "HOLDFAST_BROWSER";
/// It is often run as root, where its sandbox does not work; nothing but our own page is shown.
/// What it would do by itself, it does not: no update, no report, no look-up.
const OPTIONS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
];
/// The browser reads from 3 and writes to 4.
const ON_PIPES: &str = "exec \"$0\" \"$@\" 3<&0 4>&1 0</dev/null 1>&2";

/// How a page is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) width: u32,
    pub(crate) dark: bool,
    pub(crate) paper: bool,
}

/// A browser with one page.
pub(crate) struct Browser {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    asked: u64,
    session: Value,
    /// What it said unasked.
    events: Vec<Value>,
    home: TempDir,
}

/// The program; `None` where there is none and none is demanded.
fn program() -> Option<String> {
    if let Ok(demanded) = std::env::var(DEMANDED) {
        return Some(demanded);
    }
    let there = Command::new("chromium").arg("--version").output();
    there.is_ok_and(|output| output.status.success()).then(|| "chromium".to_owned())
}

impl Browser {
    /// Starts one; says it where there is none.
    pub(crate) fn start() -> Option<Self> {
        let Some(program) = program() else {
            eprintln!("no chromium here: the pages are not looked at");
            return None;
        };
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", ON_PIPES, &program]).args(OPTIONS);
        command.arg(format!("--user-data-dir={}", home.path().display()));
        // What it says for people is said where it ends too early.
        let log = std::fs::File::create(home.path().join("log")).unwrap();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let from = BufReader::new(from);
        let (session, events) = (Value::Null, Vec::new());
        let mut browser = Self { child, to, from, asked: 0, session, events, home };
        let target = browser.ask("Target.createTarget", &json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        browser.session = browser.ask("Target.attachToTarget", &attach)["sessionId"].take();
        for domain in ["Page", "Network", "Log"] {
            browser.ask(&format!("{domain}.enable"), &json!({}));
        }
        Some(browser)
    }

    /// The next message.
    fn hear(&mut self) -> Value {
        let mut message = Vec::new();
        self.from.read_until(0, &mut message).unwrap();
        if message.pop() != Some(0) {
            let log = std::fs::read(self.home.path().join("log")).unwrap_or_default();
            panic!("the browser ended: {}", String::from_utf8_lossy(&log));
        }
        serde_json::from_slice(&message).unwrap()
    }

    /// What a command gives.
    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.asked += 1;
        let mut message = json!({ "id": self.asked, "method": method, "params": params });
        if self.session.is_string() {
            message["sessionId"] = self.session.clone();
        }
        write!(self.to, "{message}\0").unwrap();
        loop {
            let mut heard = self.hear();
            if heard["id"] == self.asked {
                assert!(heard["error"].is_null(), "{method}: {}", heard["error"]);
                return heard["result"].take();
            }
            self.events.push(heard);
        }
    }

    /// Shows a file; gives what the browser loaded and what it complained of.
    pub(crate) fn open(&mut self, page: &Path) -> (Vec<String>, Vec<String>) {
        self.events.clear();
        let url = format!("file://{}", page.display());
        self.ask("Page.navigate", &json!({ "url": url }));
        let is = |event: &Value, method: &str| event["method"] == method;
        while !self.events.iter().any(|event| is(event, "Page.loadEventFired")) {
            let heard = self.hear();
            self.events.push(heard);
        }
        let said = |method: &str, what: &str| -> Vec<String> {
            let events = self.events.iter().filter(|event| is(event, method));
            events.map(|event| event["params"].pointer(what).unwrap().to_string()).collect()
        };
        (said("Network.requestWillBeSent", "/request/url"), said("Log.entryAdded", "/entry/text"))
    }

    /// Shows the page so from now on.
    pub(crate) fn shape(&mut self, shape: Shape) {
        let size = json!({ "width": shape.width, "height": 900, "deviceScaleFactor": 1,
            "mobile": false });
        self.ask("Emulation.setDeviceMetricsOverride", &size);
        let scheme = if shape.dark { "dark" } else { "light" };
        let media = json!({ "media": if shape.paper { "print" } else { "screen" },
            "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.ask("Emulation.setEmulatedMedia", &media);
    }

    /// What an expression gives on the page.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "returnByValue": true });
        let mut given = self.ask("Runtime.evaluate", &asked);
        assert!(given["exceptionDetails"].is_null(), "{}", given["exceptionDetails"]);
        given["result"]["value"].take()
    }

    /// A part of the page as a PNG.
    pub(crate) fn picture(&mut self, [x, y, width, height]: [f64; 4]) -> Vec<u8> {
        let clip = json!({ "x": x, "y": y, "width": width, "height": height, "scale": 1 });
        let asked = json!({ "format": "png", "clip": clip, "captureBeyondViewport": true,
            "optimizeForSpeed": true });
        let given = self.ask("Page.captureScreenshot", &asked);
        BASE64_STANDARD.decode(given["data"].as_str().unwrap()).unwrap()
    }

    /// The page as a PDF, for A4.
    pub(crate) fn print(&mut self) -> Vec<u8> {
        let asked = json!({ "paperWidth": 8.27, "paperHeight": 11.69, "preferCSSPageSize": true });
        let given = self.ask("Page.printToPDF", &asked);
        BASE64_STANDARD.decode(given["data"].as_str().unwrap()).unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends by itself, with all its processes; where it is gone, that is as good.
        let message = json!({ "id": 0, "method": "Browser.close" });
        let _ = write!(self.to, "{message}\0");
        let _ = self.child.wait();
    }
}
