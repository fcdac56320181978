//! Kinesis, with resharding and enhanced fan-out.

use std::process::Command;

use anyhow::Result;

use super::{Running, Server};
use crate::install::kinesis_dir;

pub(super) const SERVER: Server = Server { name: "kinesis-local", interpreter: "node", health: "/healthcheck" };

/// The server itself listens on every interface and outlives its parent: here it is held to loopback, and ends when
/// its standard input does.
const LAUNCH: &str = r#"
const { Server } = require("node:net");
const listen = Server.prototype.listen;
Server.prototype.listen = function (first, ...rest) {
  const options = typeof first === "object" ? first : { port: first };
  const callback = rest.filter((argument) => typeof argument === "function");
  return listen.call(this, { ...options, host: "127.0.0.1" }, ...callback);
};
process.stdin.on("end", () => process.exit()).on("error", () => process.exit()).resume();
require("./main.js");
"#;

/// A running Kinesis: it keeps streams, shards and consumers in memory, and forgets them when dropped.
#[derive(Debug)]
pub struct KinesisServer(pub(super) Running);

impl KinesisServer {
    /// Starts a server of its own for the caller, and returns when it answers. Blocks.
    ///
    /// # Errors
    /// Fails when the server is not installed (saying how to install it), when node is missing, or when it does not
    /// answer in time.
    pub fn start() -> Result<Self> {
        let command = |[port, tls_port]: [u16; 2]| {
            let mut node = Command::new("node");
            node.args(["-e", LAUNCH]).current_dir(kinesis_dir()?).env("LOG_LEVEL", "ERROR");
            node.env("KINESIS_MOCK_PLAIN_PORT", port.to_string()).env("KINESIS_MOCK_TLS_PORT", tls_port.to_string());
            Ok(node)
        };
        SERVER.start(command).map(Self)
    }

    /// Where clients find it: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        self.0.endpoint()
    }

    /// Stops it in its tracks: connections stay, and nothing answers.
    ///
    /// # Errors
    /// Fails when it has ended.
    pub fn freeze(&self) -> Result<()> {
        self.0.signal("-STOP")
    }

    /// Lets it go on with all that it held.
    ///
    /// # Errors
    /// Fails when it has ended.
    pub fn thaw(&self) -> Result<()> {
        self.0.signal("-CONT")
    }
}
