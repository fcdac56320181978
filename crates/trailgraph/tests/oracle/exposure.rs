//! Whether a bucket is public, in three-valued logic.

use std::collections::BTreeSet;

use super::block::Block;
use super::facets::Described;

const IGNORE_PUBLIC_ACLS: usize = 1;
const RESTRICT_PUBLIC_BUCKETS: usize = 3;

/// What a facet comes to, if that is known, and the facet and event that say so, if an event does.
pub(super) struct Finding<T> {
    pub(super) value: Option<T>,
    pub(super) reason: Option<String>,
}

impl<T> Finding<T> {
    pub(super) fn unknown() -> Self {
        Self { value: None, reason: None }
    }
}

impl Described<'_> {
    /// `account` is absent while no event has spoken of the account's block: AWS's default, nothing blocked, is assumed.
    pub(super) fn exposure(
        &mut self,
        acl: &Finding<bool>,
        policy: &Finding<bool>,
        block: &Finding<Block>,
        enforced: &Finding<bool>,
        account: Option<&Finding<Block>>,
    ) {
        let arms = |account: Option<Block>| {
            let blocked = |flag: usize| or(block.value.map(|block| block[flag]), account.map(|block| block[flag]));
            let by_acl = and(acl.value, and(not(enforced.value), not(blocked(IGNORE_PUBLIC_ACLS))));
            [by_acl, and(policy.value, not(blocked(RESTRICT_PUBLIC_BUCKETS)))]
        };
        let verdict = |[by_acl, by_policy]: [Option<bool>; 2]| or(by_acl, by_policy);

        let open = arms(account.map_or(Some([false; 4]), |account| account.value));
        let public = verdict(open);
        self.set_some("public", public);
        if account.is_none() && public != verdict(arms(None)) {
            self.set("publicAssumes", vec!["accountPublicAccessBlock"]);
        }
        if public != Some(true) {
            return;
        }
        let of_account = account.and_then(|account| account.reason.clone());
        let reasons = [
            vec![&acl.reason, &enforced.reason, &block.reason, &of_account],
            vec![&policy.reason, &block.reason, &of_account],
        ];
        let arms_open = open.into_iter().zip(reasons).filter(|(open, _)| *open == Some(true));
        let reasons: BTreeSet<String> = arms_open.flat_map(|(_, reasons)| reasons).flatten().cloned().collect();
        self.set("publicReasons", reasons.into_iter().collect::<Vec<_>>());
    }
}

fn not(a: Option<bool>) -> Option<bool> {
    a.map(|a| !a)
}

fn and(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn or(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    not(and(not(a), not(b)))
}
