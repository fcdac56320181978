//! Protocol servers for tests, each on free loopback ports, gone with the value that started it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::install::kinesis_dir;

/// A cold start takes about a second on a quiet machine; tests start many servers on a busy one.
const READY_WITHIN: Duration = Duration::from_secs(60);
const ATTEMPTS: usize = 5;

/// The server itself listens on every interface and outlives its parent: here it is held to loopback, and ends when
/// its standard input does, which the operating system closes however the parent dies.
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
pub struct KinesisServer {
    process: Child,
    port: u16,
}

impl KinesisServer {
    /// Starts a server of its own for the caller, and returns when it answers. Blocks.
    ///
    /// # Errors
    /// Fails when the server is not installed (saying how to install it), when node is missing, or when it does not
    /// answer in time.
    pub fn start() -> Result<Self> {
        let mut failure = None;
        // A port that was free may be taken before the server binds it: then it exits, and other ports may do.
        for _ in 0..ATTEMPTS {
            match Self::start_once() {
                Ok(Start::Ready(server)) => return Ok(server),
                Ok(Start::Exited(reason)) => failure = Some(reason),
                Err(error) => return Err(error),
            }
        }
        bail!("kinesis-local ended at each of {ATTEMPTS} starts: {}", failure.unwrap_or_default())
    }

    /// Where clients find it: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn start_once() -> Result<Start> {
        let [port, tls_port] = free_ports()?;
        let process = Command::new("node")
            .args(["-e", LAUNCH])
            .current_dir(kinesis_dir()?)
            .env("KINESIS_MOCK_PLAIN_PORT", port.to_string())
            .env("KINESIS_MOCK_TLS_PORT", tls_port.to_string())
            .env("LOG_LEVEL", "ERROR")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start node: it is needed to run the Kinesis server of the tests")?;
        let mut server = Self { process, port };
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if let Some(status) = server.process.try_wait()? {
                return Ok(Start::Exited(status.to_string()));
            }
            if answers(port) {
                return Ok(Start::Ready(server));
            }
            if Instant::now() > deadline {
                bail!("kinesis-local did not answer on port {port} within {READY_WITHIN:?}");
            }
            std::thread::sleep(Duration::from_millis(30));
        }
    }
}

impl Drop for KinesisServer {
    fn drop(&mut self) {
        // Both fail only if it has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

enum Start {
    Ready(KinesisServer),
    Exited(String),
}

/// Two different ports that nobody listens on at this moment.
fn free_ports() -> Result<[u16; 2]> {
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port");
    let (one, other) = (bind()?, bind()?);
    Ok([one.local_addr()?.port(), other.local_addr()?.port()])
}

/// Whether an HTTP server answers on the port.
fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let wait = Duration::from_secs(2);
        let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), wait)?;
        stream.set_read_timeout(Some(wait))?;
        stream.write_all(b"GET /healthcheck HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        Ok(head == *b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_answers_until_it_is_dropped_and_two_do_not_collide() {
        let one = KinesisServer::start().unwrap();
        let other = KinesisServer::start().unwrap();
        assert_ne!(one.endpoint(), other.endpoint());
        let port = one.port;
        assert!(answers(port) && answers(other.port));
        drop(one);
        assert!(!answers(port));
        assert!(answers(other.port));
    }
}
