//! The block of public access that an account puts on all its buckets.

use super::block::Block;
use super::event::Event;
use super::export::Graph;
use super::exposure::Finding;
use super::facets::Described;

/// Adds the account to the graph, and tells what it says.
pub(super) fn describe(key: &str, events: &[Event], graph: &mut Graph) -> Finding<Block> {
    let id = key.split(':').nth(4).unwrap_or_default();
    let mut account = Described::new(key, id, events, graph);
    let calls = ["PutAccountPublicAccessBlock", "DeleteAccountPublicAccessBlock"];
    let block = account.block("accountPublicAccessBlock", calls, None);
    account.finish("aws_account", &["Account"]);
    block
}
