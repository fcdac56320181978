//! DynamoDB, and more of AWS than the tests ask for.

use std::process::Command;

use anyhow::Result;

use super::{Running, Server};
use crate::install::ministack_python;

pub(super) const SERVER: Server = Server { name: "ministack", interpreter: "python", health: "/_ministack/health" };

/// The package's own command leaves a file behind for each port, and outlives its parent. Here its application is
/// served without, and ends when standard input does.
const LAUNCH: &str = r#"
import asyncio, os, sys, threading

def end_with_parent():
    sys.stdin.buffer.read()
    os._exit(0)

threading.Thread(target=end_with_parent, daemon=True).start()
from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack.app import app

config = Config()
config.bind = ["127.0.0.1:" + os.environ["GATEWAY_PORT"]]
config.loglevel = "ERROR"
asyncio.run(serve(app, config))
"#;

/// A running DynamoDB: it keeps tables in memory, and forgets them when dropped.
#[derive(Debug)]
pub struct MinistackServer(pub(super) Running);

impl MinistackServer {
    /// Starts a server of its own for the caller, and returns when it answers. Blocks.
    ///
    /// # Errors
    /// Fails when the server is not installed (saying how to install it), or when it does not answer in time.
    pub fn start() -> Result<Self> {
        let command = |[port, _]: [u16; 2]| {
            let mut python = Command::new(ministack_python()?);
            python.args(["-c", LAUNCH]).env("GATEWAY_PORT", port.to_string()).env("LOG_LEVEL", "ERROR");
            // Else it looks for containers of a former life, to end them, and may keep files of its own.
            python.env("DOCKER_HOST", "unix:///nowhere").env("PERSIST_STATE", "0");
            Ok(python)
        };
        SERVER.start(command).map(Self)
    }

    /// Where clients find it: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        self.0.endpoint()
    }
}
