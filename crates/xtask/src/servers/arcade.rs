//! A graph server that speaks openCypher over Bolt.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::{Folder, Running, Server};
use crate::install::arcade_python;

/// Its HTTP port answers last, when the database stands and Bolt takes log-ins.
pub(super) const SERVER: Server = Server { name: "arcadedb", interpreter: "python", health: "/api/v1/ready" };

/// The server runs in the interpreter's own process, with the Java runtime that comes with the package, and ends when
/// standard input does. Then nobody is left who could start it again, and its folder goes too.
const LAUNCH: &str = r#"
import glob, os, shutil, sys, threading

def end_with_parent():
    sys.stdin.buffer.read()
    shutil.rmtree(os.environ["ARCADE_FOLDER"], ignore_errors=True)
    os._exit(0)

threading.Thread(target=end_with_parent, daemon=True).start()
import arcadedb_embedded, jpype

home = os.path.dirname(arcadedb_embedded.__file__)
settings = {
    "server.rootPath": os.environ["ARCADE_FOLDER"],
    "server.rootPassword": os.environ["ARCADE_PASSWORD"],
    "server.defaultDatabases": "neo4j[root]",
    "server.plugins": "Bolt:com.arcadedb.bolt.BoltProtocolPlugin",
    "server.httpIncomingHost": "127.0.0.1",
    "server.httpIncomingPort": os.environ["ARCADE_HTTP_PORT"],
    "bolt.host": "127.0.0.1",
    "bolt.port": os.environ["ARCADE_BOLT_PORT"],
}
jpype.startJVM(
    os.path.join(home, "jre", "lib", "server", "libjvm.so"),
    "-Xmx1g",
    "--add-modules=jdk.incubator.vector",
    *(f"-Darcadedb.{name}={value}" for name, value in settings.items()),
    classpath=glob.glob(os.path.join(home, "jars", "*.jar")),
    interrupt=False,
)
jpype.JClass("com.arcadedb.server.ArcadeDBServer").main([])
threading.Event().wait()
"#;

/// A running graph server with an empty database, `neo4j`. Its folder goes with it.
#[derive(Debug)]
pub struct ArcadeServer {
    running: Option<Running>,
    ports: [u16; 2],
    folder: Folder,
}

impl ArcadeServer {
    /// Who may log in.
    pub const USER: &str = "root";
    /// With what.
    pub const PASSWORD: &str = "correct-horse-battery";

    /// Starts a server of its own for the caller, and returns when it answers. Blocks.
    ///
    /// # Errors
    /// Fails when the server is not installed (saying how to install it), or when it does not answer in time.
    pub fn start() -> Result<Self> {
        let folder = Folder::new("arcade")?;
        let running = SERVER.start(|ports| command(&folder.0, ports))?;
        Ok(Self { ports: running.ports, running: Some(running), folder })
    }

    /// Takes it down at once, as a crash would. Its folder and its ports are kept for the next start.
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// Starts it again with what it held. Blocks.
    ///
    /// # Errors
    /// As [`start`](Self::start); also when somebody else has taken its ports.
    pub fn start_again(&mut self) -> Result<()> {
        self.running = Some(SERVER.start_again(self.ports, |ports| command(&self.folder.0, ports))?);
        Ok(())
    }

    /// Where clients find it: `bolt://127.0.0.1:PORT`.
    pub fn bolt_url(&self) -> String {
        format!("bolt://127.0.0.1:{}", self.bolt_port())
    }

    /// The port on which it speaks Bolt.
    pub fn bolt_port(&self) -> u16 {
        self.ports[1]
    }

    #[cfg(test)]
    pub(super) fn into_running(self) -> Option<Running> {
        self.running
    }
}

fn command(folder: &Path, [http_port, bolt_port]: [u16; 2]) -> Result<Command> {
    let mut python = Command::new(arcade_python()?);
    python.args(["-c", LAUNCH]).current_dir(folder).env("ARCADE_FOLDER", folder);
    python.env("ARCADE_PASSWORD", ArcadeServer::PASSWORD).env("ARCADE_HTTP_PORT", http_port.to_string());
    python.env("ARCADE_BOLT_PORT", bolt_port.to_string());
    Ok(python)
}
