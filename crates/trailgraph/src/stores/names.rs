//! What a graph is called: its URL, spelled in one way and without credentials. Another name is another graph, to which
//! everything is emitted anew.

use std::path::Path;

use emitter::SinkName;

use crate::cli::{GraphUrl, JupiterOneScope, StateArgs};

/// Bolt's own port: <https://neo4j.com/docs/operations-manual/current/configuration/ports/>.
const BOLT_PORT: u16 = 7687;

/// The name of the graph at `url`.
#[must_use]
pub fn sink_name(url: &GraphUrl, args: &StateArgs) -> SinkName {
    let name = match url {
        GraphUrl::Sqlite(path) => return of_file(&path.0),
        GraphUrl::JupiterOne(patched) => {
            let args = &args.jupiterone;
            let host = host_of(&args.jupiterone_url);
            let account = args.jupiterone_account.as_deref().unwrap_or("routed");
            let scope = match (patched, args.jupiterone_scope) {
                (Some(scope), _) => format!("patch/{scope}"),
                (None, JupiterOneScope::Account) => "account".into(),
                (None, JupiterOneScope::Bucket) => "bucket".into(),
            };
            format!("jupiterone:{host}/{account}/{scope}")
        }
        // However it is reached and encrypted, it is the same graph.
        GraphUrl::Bolt(url) => {
            let host = host_of(url).trim_end_matches('/');
            let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
            let port = if has_port { String::new() } else { format!(":{BOLT_PORT}") };
            format!("bolt:{}{port}/{}", host.to_ascii_lowercase(), args.bolt.bolt_database)
        }
    };
    SinkName::from(name.as_str())
}

/// A URL without its scheme.
pub(super) fn host_of(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, host)| host)
}

/// One name for one file, however its path is spelled.
#[must_use]
pub fn of_file(path: &Path) -> SinkName {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
    SinkName::from(format!("sqlite:{}", path.display()).as_str())
}

/// What the server behind a graph of this name may answer, for metrics.
#[must_use]
pub fn statuses(name: &str) -> &'static [&'static str] {
    match name.split_once(':') {
        Some(("jupiterone", _)) => &emitter::JUPITERONE_STATUSES,
        Some(("bolt", _)) => &emitter::BOLT_STATUSES,
        // A file has no server; so that its series is there, and stays 0.
        _ => &["ok"],
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn names(arguments: &str) -> Vec<String> {
        let line = format!("trailgraph run --stream s --permit-any {arguments}");
        let Command::Run(args) = Cli::parse_from(line.split(' ')).command else { panic!("{line}") };
        args.stores.graph.iter().map(|url| sink_name(url, &args.stores.state).to_string()).collect()
    }

    #[test]
    fn a_graph_has_one_name_however_it_is_spelled_and_another_graph_has_another() {
        assert_eq!(names("--graph bolt://Graph.internal"), ["bolt:graph.internal:7687/neo4j"]);
        assert_eq!(names("--graph bolt+s://graph.internal:7687/"), ["bolt:graph.internal:7687/neo4j"]);
        assert_eq!(names("--graph bolt://[::1] --bolt-database s3"), ["bolt:[::1]:7687/s3"]);
        let jupiterone = "--graph jupiterone: --jupiterone-account acme";
        assert_eq!(names(jupiterone), ["jupiterone:api.us.jupiterone.io/acme/account"]);
        assert_eq!(
            names(&format!("{jupiterone} --jupiterone-scope bucket")),
            ["jupiterone:api.us.jupiterone.io/acme/bucket"]
        );
    }
}
