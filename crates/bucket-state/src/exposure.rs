//! Whether anybody can reach a bucket, as AWS defines "public", and through what.
//!
//! Two ways lead in: a public grant of the ACL, and a public statement of the policy. Each is open only if nothing
//! closes it. `BlockPublicAcls` and `BlockPublicPolicy` are not among what closes: they refuse new writes and leave
//! an existing hole as it is.

use std::collections::BTreeSet;

use crate::account::Level;
use crate::blocks::Blocks;
use crate::catalogue::Facet;
use crate::graph::Entity;
use crate::living::{Known, Living};

/// What the bucket's own facets say; nothing where they are not known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Findings {
    pub(crate) acl_public: Option<bool>,
    /// Bucket owner enforced: ACLs do not count.
    pub(crate) acls_disabled: Option<bool>,
    pub(crate) policy_public: Option<bool>,
    pub(crate) blocks: Option<Blocks>,
}

/// Whether each way in is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ways {
    acl: Option<bool>,
    policy: Option<bool>,
}

impl Findings {
    fn ways(self, account: Option<Blocks>) -> Ways {
        let closed = |switch: fn(Blocks) -> bool| or(self.blocks.map(switch), account.map(switch));
        let ignored = closed(|blocks| blocks.ignore_public_acls);
        let restricted = closed(|blocks| blocks.restrict_public_buckets);
        Ways {
            acl: and(self.acl_public, not(or(self.acls_disabled, ignored))),
            policy: and(self.policy_public, not(restricted)),
        }
    }
}

impl Ways {
    /// Open if one way certainly is, closed if both certainly are, else not known.
    fn public(self) -> Option<bool> {
        or(self.acl, self.policy)
    }
}

fn and(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    not(or(not(a), not(b)))
}

fn or(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    if a == Some(true) || b == Some(true) { Some(true) } else { a.zip(b).map(|_| false) }
}

fn not(a: Option<bool>) -> Option<bool> {
    a.map(|a| !a)
}

/// Sets `public`, with the events that made it so and what is assumed.
pub(crate) fn describe(bucket: &Living<'_>, findings: Findings, account: &Level<'_>, entity: &mut Entity) {
    let ways = findings.ways(account.blocks);
    let public = ways.public();
    entity.set_some("public", public);
    if account.assumed && findings.ways(None).public() != public {
        entity.set("publicAssumes", vec![Facet::AccountPublicAccessBlock.as_str()]);
    }
    if public == Some(true) {
        entity.set("publicReasons", reasons(bucket, ways, account));
    }
}

/// For each open way, every facet on it that an event has written: what opens it, and what might have closed it.
fn reasons(bucket: &Living<'_>, ways: Ways, account: &Level<'_>) -> Vec<String> {
    let mut facets = BTreeSet::new();
    if ways.acl == Some(true) {
        facets.extend([Facet::Acl, Facet::Ownership, Facet::PublicAccessBlock]);
    }
    if ways.policy == Some(true) {
        facets.extend([Facet::Policy, Facet::PublicAccessBlock]);
    }
    let written = |facet: &Facet| matches!(bucket.known(*facet), Known::Set(_) | Known::Cleared);
    let own = facets.into_iter().filter(written).filter_map(|facet| Some((facet, bucket.origin(facet)?)));
    let all = own.chain(account.origin.map(|origin| (Facet::AccountPublicAccessBlock, origin)));
    let mut reasons: Vec<String> =
        all.map(|(facet, origin)| format!("{}:{}", facet.as_str(), origin.event_id)).collect();
    reasons.sort_unstable();
    reasons
}
