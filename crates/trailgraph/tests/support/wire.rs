//! A wire between the program and a server, which troubles the bytes on it: some come late, some in part, some never.
//! Where on a connection, a seed decides; the kinds take turns.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use fastrand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// The next trouble comes after so many bytes at the most: some answers are troubled twice, some connections never.
const BYTES_BETWEEN_LOG2: u32 = 18;
const DELAY_MS: Range<u64> = 20..1_000;
/// Longer than a client waits for an answer, or shorter.
const FREEZE_MS: Range<u64> = 1_000..12_000;

/// What befalls a piece of what is said.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// It comes late.
    Delay,
    /// It is lost, and both ends are told that the other is gone.
    Cut,
    /// It ends early, as if whoever sent it had nothing more to say.
    Truncate,
    /// It comes so late that who waits for it has perhaps given up.
    Freeze,
}

impl Trouble {
    const ALL: [Self; 4] = [Self::Delay, Self::Cut, Self::Truncate, Self::Freeze];
}

/// Carries connections to one server, until the runtime ends.
pub(crate) struct Wire {
    endpoint: String,
    shared: Arc<Shared>,
}

struct Shared {
    server: String,
    seed: u64,
    is_calm: AtomicBool,
    struck: AtomicUsize,
}

/// The troubles of one direction of a connection.
struct Fate {
    rng: Rng,
    /// How many bytes pass before the next.
    until_next: usize,
    shared: Arc<Shared>,
}

impl Wire {
    /// `server` is an endpoint: `http://HOST:PORT`.
    pub(crate) async fn before(server: &str, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = server.strip_prefix("http://").unwrap().to_owned();
        let shared = Arc::new(Shared { server, seed, is_calm: AtomicBool::default(), struck: AtomicUsize::default() });
        tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { endpoint, shared }
    }

    pub(crate) fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// From now on, everything is carried as it came.
    pub(crate) fn calm(&self) {
        self.shared.is_calm.store(true, Ordering::Relaxed);
    }

    /// How many pieces have been troubled.
    pub(crate) fn struck(&self) -> usize {
        self.shared.struck.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    for number in 0.. {
        let (client, _) = listener.accept().await.unwrap();
        tokio::spawn(carry(client, number, Arc::clone(&shared)));
    }
}

async fn carry(client: TcpStream, number: u64, shared: Arc<Shared>) {
    // A server that is down refuses, and so does the wire, by closing.
    let Ok(server) = TcpStream::connect(&shared.server).await else { return };
    let mut rng = Rng::with_seed(shared.seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    let mut fate = || Fate::new(rng.fork(), Arc::clone(&shared));
    let (of_requests, of_answers) = (fate(), fate());
    // A connection that is cut is reset, not closed in order.
    let _best_effort = client.set_zero_linger();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let _cut = tokio::try_join!(pump(from_client, to_server, of_requests), pump(from_server, to_client, of_answers));
}

struct Cut;

/// Carries one direction to its end.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut fate: Fate) -> Result<(), Cut> {
    let mut buffer = [0; 4_096];
    loop {
        let count = from.read(&mut buffer).await.map_err(|_| Cut)?;
        let mut piece = &buffer[..count];
        match fate.of(count) {
            Some(Trouble::Delay) => fate.wait(DELAY_MS).await,
            Some(Trouble::Freeze) => fate.wait(FREEZE_MS).await,
            Some(Trouble::Truncate) => piece = &piece[..fate.rng.usize(..count)],
            Some(Trouble::Cut) => return Err(Cut),
            None => {}
        }
        to.write_all(piece).await.map_err(|_| Cut)?;
        if piece.len() < count || count == 0 {
            return to.shutdown().await.map_err(|_| Cut);
        }
    }
}

impl Fate {
    fn new(rng: Rng, shared: Arc<Shared>) -> Self {
        let mut fate = Self { rng, until_next: 0, shared };
        fate.draw();
        fate
    }

    fn draw(&mut self) {
        let scale = self.rng.u32(..=BYTES_BETWEEN_LOG2);
        self.until_next = self.rng.usize(..1 << scale);
    }

    /// What befalls the next `count` bytes.
    fn of(&mut self, count: usize) -> Option<Trouble> {
        if count <= self.until_next || self.shared.is_calm.load(Ordering::Relaxed) {
            self.until_next = self.until_next.saturating_sub(count);
            return None;
        }
        self.draw();
        let number = self.shared.struck.fetch_add(1, Ordering::Relaxed);
        Some(Trouble::ALL[number % Trouble::ALL.len()])
    }

    async fn wait(&mut self, range: Range<u64>) {
        sleep(Duration::from_millis(self.rng.u64(range))).await;
    }
}
