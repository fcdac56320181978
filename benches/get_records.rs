//! What does an answer to GetRecords cost, from the socket to folded deltas? And with the SDK's own decoder?
//!
//! The real client asks over loopback HTTP; who answers is a process of its own, so that only the client is counted.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use aws_sdk_kinesis::{Client, Config};
use bucket_state::{Deltas, Parsed, Parser};
use corpus::bodies::Bodies;
use corpus::measure::{Begun, median, per};
use shard_consumer::Wire;

/// About 10 MB, the most that one answer holds.
const RECORDS: usize = 4_600;
const ROUNDS: usize = 31;
const SERVE: &str = "serve";

type Fallible<T> = Result<T, Box<dyn Error>>;

fn main() -> Fallible<()> {
    if std::env::args().nth(1).as_deref() == Some(SERVE) {
        return serve();
    }
    let server = Server::start()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let clients = [("the SDK's decoder", server.client(false)), ("ours", server.client(true))];
    let (mut answers, mut deltas) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    let (mut records, mut bytes) = (0, 0);
    for _ in 0..=ROUNDS {
        let mut folded = Vec::new();
        for (arm, (_, client)) in clients.iter().enumerate() {
            let begun = Begun::now();
            let answer = runtime.block_on(client.get_records().shard_iterator("x").send())?;
            answers[arm].push(begun.took().cpu);
            records = answer.records.len();
            bytes = answer.records.iter().map(|record| record.data.as_ref().len()).sum();
            folded.push(fold(answer).len());
            deltas[arm].push(begun.took().cpu);
        }
        assert!(folded[0] == folded[1] && folded[0] > 0, "the decoders differ: {folded:?}");
    }
    println!(
        "{records} records, {:.1} MB, over loopback HTTP; medians of {ROUNDS} rounds in turns",
        bytes as f64 / 1e6
    );
    println!(
        "{:<20} {:>20} {:>8} {:>20} {:>8}",
        "CPU of the client", "to records", "ratio", "to folded deltas", "ratio"
    );
    // The first of each makes the connection.
    let middle = |took: &[Vec<f64>; 2]| [0, 1].map(|arm| median(took[arm][1..].to_vec()));
    let (to_records, to_deltas) = (middle(&answers), middle(&deltas));
    for (arm, (name, _)) in clients.iter().enumerate() {
        let each = |seconds: f64| format!("{:.1} ms, {:.2} µs", seconds * 1e3, seconds * 1e6 / per(records));
        let ratio = |took: [f64; 2]| took[0] / took[arm];
        println!(
            "{name:<20} {:>20} {:>8.1} {:>20} {:>8.1}",
            each(to_records[arm]),
            ratio(to_records),
            each(to_deltas[arm]),
            ratio(to_deltas)
        );
    }
    Ok(())
}

fn fold(answer: GetRecordsOutput) -> Deltas {
    let (mut parser, deltas) = (Parser::default(), Deltas::default());
    for record in answer.records {
        let arrived_ms = record.approximate_arrival_timestamp.and_then(|at| at.to_millis().ok()).unwrap_or(0);
        parser.parse(record.data.as_ref(), arrived_ms, &mut |parsed| {
            if let Parsed::Event(event) = parsed {
                deltas.fold(event, arrived_ms);
            }
        });
    }
    deltas
}

/// Another process of this same program, which answers whatever it is asked.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start() -> Fallible<Self> {
        let mut process = Command::new(std::env::current_exe()?).arg(SERVE).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().ok_or("its output is a pipe")?).read_line(&mut line)?;
        Ok(Self { process, port: line.trim().parse()? })
    }

    fn client(&self, ours: bool) -> Client {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .retry_config(RetryConfig::disabled())
            .endpoint_url(format!("http://127.0.0.1:{}", self.port))
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("x", "x", None, None, "bench"));
        Client::from_conf(if ours { config.protocol(Wire::default()) } else { config }.build())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().and_then(|()| self.process.wait()).map(drop).unwrap_or_default();
    }
}

fn serve() -> Fallible<()> {
    let body = Bodies::one(corpus::wide().take(RECORDS));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", listener.local_addr()?.port());
    std::thread::scope(|scope| {
        for connection in listener.incoming().map_while(Result::ok) {
            // It ends when the client hangs up.
            scope.spawn(|| answer(connection, &body).unwrap_or_default());
        }
    });
    Ok(())
}

fn answer(connection: TcpStream, body: &[u8]) -> std::io::Result<()> {
    let (mut asked, mut answers) = (BufReader::new(connection.try_clone()?), connection);
    loop {
        let (mut line, mut length) = (String::new(), 0);
        while asked.read_line(&mut line)? > 2 {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            line.clear();
        }
        if line.is_empty() {
            return Ok(());
        }
        std::io::copy(&mut asked.by_ref().take(length), &mut std::io::sink())?;
        let kind = "application/x-amz-json-1.1";
        write!(answers, "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", body.len())?;
        answers.write_all(body)?;
    }
}
