//! A headless Chromium, driven as a person would: real key strokes and clicks, over its debugging pipe.
//!
//! The pipe carries one JSON object per message, each ended by a zero byte, and needs no port; the browser ends with it.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// A busy machine starts it slowly; whatever it is asked takes a moment only.
const ANSWERS_WITHIN: Duration = Duration::from_secs(120);
/// What distributions call it.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// The browser reads from descriptor 3 and writes to 4.
const LAUNCH: &str = r#"exec "$0" "$@" 3<&0 4>&1 >/dev/null"#;
/// Its standard error, in its profile.
const LOG: &str = "stderr.log";
const LOG_LINES_SHOWN: usize = 20;

/// One tab.
pub(crate) struct Browser {
    process: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    last_id: u64,
    session: Option<String>,
    /// What the tab has told without being asked: requests, console messages, exceptions.
    pub(crate) events: Vec<Value>,
    profile: tempfile::TempDir,
}

impl Browser {
    /// A window of 1,440 by 900 pixels with an empty tab.
    pub(crate) fn start() -> Self {
        let name = NAMES.into_iter().find(|name| is_installed(name)).expect(
            "no chromium, chromium-browser or google-chrome: install one (Debian: `apt-get install -y chromium`)",
        );
        let profile = tempfile::tempdir().expect("a temporary folder");
        let log = File::create(profile.path().join(LOG)).expect("a new file");
        let mut process = Command::new("sh")
            .args(["-c", LAUNCH, name, "--remote-debugging-pipe", "--headless", "--no-sandbox", "--disable-gpu"])
            .args(["--disable-quic", "--no-first-run", "--disable-background-networking"])
            .args(["--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"])
            .args(["--hide-scrollbars", "--window-size=1440,900"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("sh starts");
        let input = process.stdin.take().expect("piped");
        let output = BufReader::new(process.stdout.take().expect("piped"));
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for message in output.split(0).map_while(Result::ok) {
                let message = serde_json::from_slice(&message).expect("the browser speaks JSON");
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let (last_id, session, events) = (0, None, Vec::new());
        let mut browser = Self { process, input, messages, last_id, session, events, profile };
        let target = browser.call("Target.createTarget", &json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        browser.session = browser.call("Target.attachToTarget", &attach)["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        browser
    }

    /// Asks the browser, and waits for the answer.
    pub(crate) fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.last_id += 1;
        let mut message = json!({"id": self.last_id, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let sent = self.input.write_all(format!("{message}\0").as_bytes());
        sent.unwrap_or_else(|error| panic!("{method}: {error}; {}", self.last_words()));
        loop {
            let answer = self.next(method);
            if answer["id"] == self.last_id {
                assert!(answer.get("error").is_none(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
            self.events.push(answer);
        }
    }

    /// Opens a file, and waits until it is loaded.
    pub(crate) fn open(&mut self, file: &Path) {
        self.call("Page.navigate", &json!({"url": format!("file://{}", file.display())}));
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.next("loading the page");
            self.events.push(event);
        }
    }

    /// The value of an expression, or of its promise.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", &asked);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {}", answer["exceptionDetails"]["exception"]);
        answer["result"]["value"].clone()
    }

    /// The text of the first element that `selector` selects.
    pub(crate) fn text(&mut self, selector: &str) -> String {
        let text = self.evaluate(&format!("document.querySelector({selector:?})?.innerText ?? null"));
        text.as_str().unwrap_or_else(|| panic!("the page has no {selector}")).to_owned()
    }

    /// Clicks into the middle of the first element that `selector` selects.
    pub(crate) fn click(&mut self, selector: &str) {
        let script = format!(
            "(() => {{ const box = document.querySelector({selector:?}).getBoundingClientRect();
               return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        );
        let at = self.evaluate(&script);
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            self.mouse(kind, at[0].as_f64().expect("a place"), at[1].as_f64().expect("a place"));
        }
    }

    /// Moves, presses or releases the mouse.
    pub(crate) fn mouse(&mut self, kind: &str, x: f64, y: f64) {
        let button = json!({"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1});
        self.call("Input.dispatchMouseEvent", &button);
    }

    /// Types text into what has the focus.
    pub(crate) fn write(&mut self, text: &str) {
        self.call("Input.insertText", &json!({"text": text}));
    }

    /// Presses a key.
    pub(crate) fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Enter" => (13, "\r"),
            "Tab" => (9, ""),
            "Backspace" => (8, ""),
            _ => (0, if key.chars().count() == 1 { key } else { "" }),
        };
        for kind in ["keyDown", "keyUp"] {
            let stroke = json!({"type": kind, "key": key, "text": text, "windowsVirtualKeyCode": code});
            self.call("Input.dispatchKeyEvent", &stroke);
        }
    }

    /// Resizes the window.
    pub(crate) fn resize(&mut self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Keeps a picture of the tab.
    pub(crate) fn screenshot(&mut self, file: &Path) {
        let shot = self.call("Page.captureScreenshot", &json!({}));
        let bytes = STANDARD.decode(shot["data"].as_str().expect("a picture")).expect("base64");
        std::fs::write(file, bytes).expect("the target directory can be written");
    }

    fn next(&mut self, what: &str) -> Value {
        let message = self.messages.recv_timeout(ANSWERS_WITHIN);
        message.unwrap_or_else(|error| panic!("{what}: {error}; {}", self.last_words()))
    }

    /// The end of its standard error: why it did not start, or crashed.
    fn last_words(&self) -> String {
        let log = std::fs::read(self.profile.path().join(LOG)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        format!("the browser said:\n{}", lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n"))
    }
}

fn is_installed(name: &str) -> bool {
    let asked = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Both fail only if it has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
