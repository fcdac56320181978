//! `bolt://HOST:PORT` and its kin.

/// What the driver understands. `neo4j` differs from `bolt` only in what the client says when it logs in: the
/// driver talks to the one server that is named, and does not look for others.
const SCHEMES: [&str; 6] = ["bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc"];

/// The port that servers listen on by default.
const PORT: u16 = 7687;

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BoltUrl {
    /// With the port written out.
    pub(super) text: String,
    /// Whether the server must show a certificate.
    pub(super) is_encrypted: bool,
}

impl BoltUrl {
    /// Reads `SCHEME://HOST[:PORT]`.
    ///
    /// # Errors
    /// One line that names the URL, without what may be a password in it, and the mend.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let form = "write SCHEME://HOST[:PORT], where SCHEME is bolt, bolt+s, bolt+ssc, neo4j, neo4j+s or neo4j+ssc";
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(format!("{}: not the URL of a graph server: {form}", without_credentials(url)));
        };
        if let Some((_, server)) = rest.rsplit_once('@') {
            return Err(format!(
                "{scheme}://…@{server}: a URL must not hold credentials: give the name with --bolt-user and the \
                 password in TRAILGRAPH_BOLT_PASSWORD"
            ));
        }
        if !SCHEMES.contains(&scheme) {
            return Err(format!("{url}: {scheme} is not a scheme of Bolt: {form}"));
        }
        let server = rest.strip_suffix('/').unwrap_or(rest);
        if server.contains(['/', '?', '#']) {
            return Err(format!("{url}: nothing may follow the port: name the database with --bolt-database"));
        }
        let (host, port) = match server.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, parse_port(url, port)?),
            _ => (server, PORT),
        };
        let is_bracketed = host.starts_with('[') && host.ends_with(']');
        if host.is_empty() || host.contains(char::is_whitespace) || (host.contains(':') && !is_bracketed) {
            return Err(format!("{url}: {host:?} is not a host: {form}; an IPv6 address stands in brackets"));
        }
        Ok(Self { text: format!("{scheme}://{host}:{port}"), is_encrypted: scheme.contains('+') })
    }
}

fn parse_port(url: &str, port: &str) -> Result<u16, String> {
    let number = port.parse().ok().filter(|port| *port != 0);
    number.ok_or_else(|| format!("{url}: {port:?} is not a port: write a number from 1 to 65535"))
}

fn without_credentials(text: &str) -> &str {
    text.rsplit_once('@').map_or(text, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_may_be_left_out_and_each_scheme_tells_whether_it_encrypts() {
        for (url, text, is_encrypted) in [
            ("bolt://graph", "bolt://graph:7687", false),
            ("bolt://127.0.0.1:17687/", "bolt://127.0.0.1:17687", false),
            ("neo4j+s://abc.databases.neo4j.io", "neo4j+s://abc.databases.neo4j.io:7687", true),
            ("bolt+ssc://[::1]:7688", "bolt+ssc://[::1]:7688", true),
            ("neo4j://[::1]", "neo4j://[::1]:7687", false),
        ] {
            assert_eq!(BoltUrl::parse(url).unwrap(), BoltUrl { text: text.to_owned(), is_encrypted });
        }
    }

    #[test]
    fn what_is_no_url_of_a_server_is_refused_with_the_mend() {
        for (url, mend) in [
            ("graph:7687", "SCHEME://HOST"),
            ("http://graph", "not a scheme of Bolt"),
            ("bolt://", "not a host"),
            ("bolt://:7687", "not a host"),
            ("bolt://::1", "brackets"),
            ("bolt://graph:0", "from 1 to 65535"),
            ("bolt://graph:99999", "from 1 to 65535"),
            ("bolt://graph/security", "--bolt-database"),
        ] {
            let error = BoltUrl::parse(url).unwrap_err();
            assert!(error.contains(mend) && error.contains(url) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_refused_and_not_repeated() {
        for url in ["bolt://neo4j:hunter2@graph:7687", "neo4j:hunter2@graph:7687"] {
            let error = BoltUrl::parse(url).unwrap_err();
            assert!(!error.contains("hunter2") && error.contains("graph:7687"), "{error}");
        }
        let error = BoltUrl::parse("bolt://neo4j:hunter2@graph:7687").unwrap_err();
        assert!(error.contains("TRAILGRAPH_BOLT_PASSWORD"), "{error}");
    }
}
