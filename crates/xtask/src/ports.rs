//! Ports for the servers of tests, many of which start at once.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::BuildHasher;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

/// Below those that the system gives to whoever takes any port, for a server or for its end of a connection
/// (<https://docs.kernel.org/networking/ip-sysctl.html>: from 32,768 on).
const RANGE: Range<u16> = 12_000..32_000;

/// A port that nobody listens on, and that no other process is given which asks here, as long as this one lives: a server
/// takes its port some time after it was chosen, and until then another would be taken for it that was quicker.
///
/// # Errors
/// Fails when the folder for temporary files cannot be written, or when all ports are taken.
pub fn reserve() -> Result<u16> {
    static HELD: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let folder = std::env::temp_dir().join("trailgraph-ports");
    std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let start = RandomState::new().hash_one(std::process::id()) % RANGE.len() as u64;
    for port in RANGE.cycle().skip(usize::try_from(start)?).take(RANGE.len()) {
        let path = folder.join(port.to_string());
        let held = File::create(&path).with_context(|| format!("create {}", path.display()))?;
        if held.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            HELD.lock().unwrap_or_else(PoisonError::into_inner).push(held);
            return Ok(port);
        }
    }
    bail!("all ports from {} to {} are taken", RANGE.start, RANGE.end - 1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_port_is_given_once_and_none_of_those_that_connections_take() {
        let given: Vec<u16> = (0..200).map(|_| reserve().unwrap()).collect();
        assert_eq!(given.iter().collect::<BTreeSet<_>>().len(), 200);
        assert!(given.iter().all(|port| RANGE.contains(port)));
    }
}
