//! `trailgraph health`: what a container's health check runs.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::cli::HealthArgs;
use crate::failure::Failure;

const PATIENCE: Duration = Duration::from_secs(3);

/// Asks `/healthz`.
///
/// # Errors
/// [`Failure::Running`] unless the answer is 200.
pub fn run(args: &HealthArgs) -> Result<(), Failure> {
    let addr = args.metrics_addr;
    let answer = ask(args).map_err(|error| {
        Failure::Running(anyhow::anyhow!("--metrics-addr {addr}: {error}; is `trailgraph run` up, with this address?"))
    })?;
    match answer.lines().next() {
        Some(status) if status.contains(" 200 ") => {
            println!("ok");
            Ok(())
        }
        status => Err(Failure::Running(anyhow::anyhow!(
            "--metrics-addr {addr}: unhealthy: {}",
            status.unwrap_or("no answer")
        ))),
    }
}

fn ask(args: &HealthArgs) -> std::io::Result<String> {
    let mut connection = TcpStream::connect_timeout(&reachable(args.metrics_addr), PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    write!(connection, "GET /healthz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", args.metrics_addr)?;
    let mut answer = String::new();
    connection.take(4_096).read_to_string(&mut answer)?;
    Ok(answer)
}

/// The service may listen on every address, which is none that can be asked.
fn reachable(mut addr: SocketAddr) -> SocketAddr {
    match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => addr.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => addr.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    addr
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_listens_everywhere_is_asked_on_loopback() {
        for (listens, asked) in
            [("0.0.0.0:9464", "127.0.0.1:9464"), ("[::]:9464", "[::1]:9464"), ("10.0.0.7:80", "10.0.0.7:80")]
        {
            assert_eq!(reachable(listens.parse().unwrap()), asked.parse().unwrap(), "{listens}");
        }
    }
}
