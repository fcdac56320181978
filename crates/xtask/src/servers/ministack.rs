//! DynamoDB, and more of AWS than the tests ask for.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{Folder, Running, Server};
use crate::install::ministack_python;

pub(super) const SERVER: Server = Server { name: "ministack", interpreter: "python", health: "/_ministack/health" };

/// The package's own command leaves a file behind for each port, and outlives its parent. Here its application is
/// served without, and ends when standard input does. A byte there tells it to keep what it holds before that: between
/// two steps of its loop, so no write is half done, and some are done that nobody was told of.
const LAUNCH: &str = r#"
import asyncio, os, sys, threading

def end_with_parent(loop):
    if sys.stdin.buffer.read(1):
        loop.call_soon_threadsafe(keep_and_end)
    else:
        os._exit(0)

def keep_and_end():
    persistence.save_all(app._build_persistence_save_dict())
    os._exit(0)

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack import app
from ministack.core import persistence

async def main():
    threading.Thread(target=end_with_parent, args=[asyncio.get_running_loop()], daemon=True).start()
    config = Config()
    config.bind = ["127.0.0.1:" + os.environ["GATEWAY_PORT"]]
    config.loglevel = "ERROR"
    await serve(app.app, config)

asyncio.run(main())
"#;

/// A running DynamoDB: it keeps tables in memory, and forgets them when dropped.
#[derive(Debug)]
pub struct MinistackServer {
    pub(super) running: Running,
    folder: Folder,
}

impl MinistackServer {
    /// Starts a server of its own for the caller, and returns when it answers. Blocks.
    ///
    /// # Errors
    /// Fails when the server is not installed (saying how to install it), or when it does not answer in time.
    pub fn start() -> Result<Self> {
        let folder = Folder::new("ministack")?;
        Ok(Self { running: SERVER.start(|ports| command(&folder.0, ports))?, folder })
    }

    /// Takes it down at once, as a crash would: nobody who waits for an answer gets one. What it held is there when it is
    /// started again, on the same port, after `down`. Blocks.
    ///
    /// # Errors
    /// As [`start`](Self::start); also when it has ended before, or somebody else has taken its port.
    pub fn restart(&mut self, down: Duration) -> Result<()> {
        let process = &mut self.running.process;
        let input = process.stdin.as_mut().context("its standard input is ours")?;
        input.write_all(b"k").context("tell the server to end")?;
        process.wait().context("wait for the server")?;
        std::thread::sleep(down);
        self.running = SERVER.start_again(self.running.ports, |ports| command(&self.folder.0, ports))?;
        Ok(())
    }

    /// Where clients find it: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        self.running.endpoint()
    }
}

fn command(folder: &Path, [port, _]: [u16; 2]) -> Result<Command> {
    let mut python = Command::new(ministack_python()?);
    python.args(["-c", LAUNCH]).env("GATEWAY_PORT", port.to_string()).env("LOG_LEVEL", "ERROR");
    // Else it looks for containers of a former life, to end them. It writes its state only when it ends.
    python.env("DOCKER_HOST", "unix:///nowhere").env("PERSIST_STATE", "1").env("STATE_DIR", folder);
    Ok(python)
}
