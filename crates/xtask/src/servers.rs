//! Protocol servers for tests, each on free loopback ports, gone with the value that started it.

mod arcade;
mod kinesis;
mod ministack;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::ports;

pub use arcade::ArcadeServer;
pub use kinesis::KinesisServer;
pub use ministack::MinistackServer;

/// A cold start takes about a second on a quiet machine; tests start many servers on a busy one.
const READY_WITHIN: Duration = Duration::from_secs(60);
const ATTEMPTS: usize = 5;

/// How a server is run.
struct Server {
    /// What people know it by.
    name: &'static str,
    /// What runs it.
    interpreter: &'static str,
    /// Answered with success as soon as it serves.
    health: &'static str,
}

/// A server's process. It ends with its standard input, which the operating system closes however the parent dies, and
/// with this value.
#[derive(Debug)]
struct Running {
    process: Child,
    /// Of which the first is the one that is asked for.
    ports: [u16; 2],
}

impl Server {
    /// Starts it by the command that `command` makes for two free ports, of which the first is the one that is asked
    /// for, and returns when it answers. Blocks.
    fn start(&self, command: impl Fn([u16; 2]) -> Result<Command>) -> Result<Running> {
        let mut failure = None;
        // A program that does not ask for its port may take this one: then the server exits, and other ports may do.
        for _ in 0..ATTEMPTS {
            match self.start_on([ports::reserve()?, ports::reserve()?], &command)? {
                Start::Ready(running) => return Ok(running),
                Start::Exited(reason) => failure = Some(reason),
            }
        }
        bail!("{} ended at each of {ATTEMPTS} starts: {}", self.name, failure.unwrap_or_default())
    }

    /// Starts it on the ports that it had.
    fn start_again(&self, ports: [u16; 2], command: impl Fn([u16; 2]) -> Result<Command>) -> Result<Running> {
        match self.start_on(ports, &command)? {
            Start::Ready(running) => Ok(running),
            Start::Exited(reason) => bail!("{} did not start again: {reason}", self.name),
        }
    }

    fn start_on(&self, ports: [u16; 2], command: impl Fn([u16; 2]) -> Result<Command>) -> Result<Start> {
        let mut command = command(ports)?;
        let quiet = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let needed = || format!("start {}: it is needed to run {} for the tests", self.interpreter, self.name);
        let mut running = Running { process: quiet.spawn().with_context(needed)?, ports };
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if let Some(status) = running.process.try_wait()? {
                return Ok(Start::Exited(status.to_string()));
            }
            if answers(running.ports[0], self.health) {
                return Ok(Start::Ready(running));
            }
            if Instant::now() > deadline {
                bail!("{} did not answer on port {} within {READY_WITHIN:?}", self.name, ports[0]);
            }
            std::thread::sleep(Duration::from_millis(30));
        }
    }
}

impl Running {
    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[0])
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let status =
            Command::new("kill").args([signal, &self.process.id().to_string()]).status().context("run kill")?;
        if !status.success() {
            bail!("the server with process id {} takes no signal: it has ended", self.process.id());
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if it has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

enum Start {
    Ready(Running),
    Exited(String),
}

/// A folder of one's own, gone with its value.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn new(of: &str) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("xtask-{of}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A file that the server is still letting go of is left to the system.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Whether an HTTP server answers on the port, with success.
fn answers(port: u16, path: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let wait = Duration::from_secs(2);
        let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), wait)?;
        stream.set_read_timeout(Some(wait))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut head = [0; 10];
        stream.read_exact(&mut head)?;
        Ok(head == *b"HTTP/1.1 2")
    };
    ask().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each server answers, apart from the other of its kind, until it is dropped.
    fn check(start: impl Fn() -> Running, health: &str) {
        let (one, other) = (start(), start());
        assert_ne!(one.endpoint(), other.endpoint());
        let port = one.ports[0];
        assert!(answers(port, health) && answers(other.ports[0], health));
        drop(one);
        assert!(!answers(port, health));
        assert!(answers(other.ports[0], health));
    }

    #[test]
    fn a_kinesis_answers_until_it_is_dropped_and_two_do_not_collide() {
        check(|| KinesisServer::start().unwrap().0, kinesis::SERVER.health);
    }

    #[test]
    fn a_dynamodb_answers_until_it_is_dropped_and_two_do_not_collide() {
        check(|| MinistackServer::start().unwrap().running, ministack::SERVER.health);
    }

    /// Whether it takes a call of DynamoDB, and what it answers.
    fn dynamodb(server: &MinistackServer, operation: &str, body: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.running.ports[0])).unwrap();
        let credential = "AWS4-HMAC-SHA256 Credential=test/20260301/us-east-1/dynamodb/aws4_request";
        write!(stream, "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: {credential}\r\n")
            .unwrap();
        write!(stream, "X-Amz-Target: DynamoDB_20120810.{operation}\r\n").unwrap();
        write!(stream, "Content-Type: application/x-amz-json-1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn a_dynamodb_that_is_started_again_has_its_port_and_its_tables() {
        let mut server = MinistackServer::start().unwrap();
        let table = r#"{"TableName": "kept", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]}"#;
        let made = dynamodb(&server, "CreateTable", table);
        assert!(made.starts_with("HTTP/1.1 200"), "{made}");
        let endpoint = server.endpoint();
        server.restart(Duration::ZERO).unwrap();
        assert_eq!(server.endpoint(), endpoint);
        let listed = dynamodb(&server, "ListTables", "{}");
        assert!(listed.contains("\"kept\""), "{listed}");
    }

    #[test]
    fn a_kinesis_that_is_frozen_answers_when_it_thaws() {
        let server = KinesisServer::start().unwrap();
        server.freeze().unwrap();
        assert!(!answers(server.0.ports[0], kinesis::SERVER.health));
        server.thaw().unwrap();
        assert!(answers(server.0.ports[0], kinesis::SERVER.health));
    }

    #[test]
    fn a_graph_keeps_its_ports_when_it_is_stopped_and_started_again() {
        let mut one = ArcadeServer::start().unwrap();
        let other = ArcadeServer::start().unwrap();
        assert_ne!(one.bolt_url(), other.bolt_url());
        let (url, port) = (one.bolt_url(), one.bolt_port());
        let listens = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        assert!(listens());
        one.stop();
        assert!(!listens());
        one.start_again().unwrap();
        assert!(listens());
        assert_eq!(one.bolt_url(), url);
    }

    #[test]
    fn a_server_ends_when_its_parent_is_gone() {
        let arcade = ArcadeServer::start().unwrap();
        let servers = [KinesisServer::start().unwrap().0, MinistackServer::start().unwrap().running];
        for mut running in servers.into_iter().chain(arcade.into_running()) {
            drop(running.process.stdin.take());
            let deadline = Instant::now() + READY_WITHIN;
            while running.process.try_wait().unwrap().is_none() {
                assert!(Instant::now() < deadline, "{running:?} lives on");
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}
