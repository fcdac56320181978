//! What is set for all buckets of an account.

use crate::blocks::Blocks;
use crate::catalogue::Facet;
use crate::facets::Parts;
use crate::graph::Entity;
use crate::living::{Known, Living};
use crate::resource::{Kind, ResourceId};
use crate::stamp::Origin;
use crate::state::ResourceState;

/// What is stored of the account that owns a bucket.
#[derive(Clone, Copy, Debug)]
pub enum AccountLevel<'a> {
    /// Nothing: no event has spoken of the account, or its bucket's owner is not known. AWS's default is assumed,
    /// which blocks nothing.
    Silent,
    /// The account and its state.
    Told(&'a ResourceId, &'a ResourceState),
    /// Something that cannot be read.
    Unreadable,
}

/// The account that a bucket's state names as its owner, as a resource of its own.
#[must_use]
pub fn account_of(id: &ResourceId, state: &ResourceState) -> Option<ResourceId> {
    let owner = state.owner.as_ref().filter(|_| id.kind() == Kind::Bucket)?;
    Some(id.account_beside(&owner.value.account))
}

/// The account that a resource belongs to: a bucket's owner, the account that an access point's ARN names.
#[must_use]
pub fn belongs_to(id: &ResourceId, state: &ResourceState) -> Option<ResourceId> {
    match id.kind() {
        Kind::Bucket => account_of(id, state),
        Kind::AccessPoint => id.account_id().map(|account| id.account_beside(account)),
        Kind::Account => None,
    }
}

/// The account's public access block, as its buckets see it.
pub(crate) struct Level<'a> {
    /// The switches; nothing where they are not known.
    pub(crate) blocks: Option<Blocks>,
    /// No event has spoken of them.
    pub(crate) assumed: bool,
    /// The event that set or cleared them.
    pub(crate) origin: Option<&'a Origin>,
    /// The last write cannot be told.
    pub(crate) contested: bool,
}

impl<'a> Level<'a> {
    pub(crate) fn of(account: AccountLevel<'a>) -> Self {
        let facet = Facet::AccountPublicAccessBlock;
        let living = match account {
            AccountLevel::Told(id, state) => Living::existing(id, state),
            AccountLevel::Silent => None,
            AccountLevel::Unreadable => return Self { blocks: None, assumed: false, origin: None, contested: false },
        };
        let Some(living) = living else {
            return Self { blocks: Some(Blocks::all(false)), assumed: true, origin: None, contested: false };
        };
        let blocks = blocks(&living);
        let origin = living.origin(facet).filter(|_| blocks.is_some());
        Self { blocks, assumed: false, origin, contested: living.contested().contains(&facet.as_str()) }
    }
}

fn blocks(account: &Living<'_>) -> Option<Blocks> {
    match account.known(Facet::AccountPublicAccessBlock) {
        Known::Set(body) => Some(Blocks::read(&body.value()["PublicAccessBlockConfiguration"])),
        Known::Cleared => Some(Blocks::all(false)),
        Known::Default | Known::Unknown(_) => None,
    }
}

/// The account's part of the graph.
pub(crate) fn project(account: &Living<'_>) -> Parts {
    let name = account.id.name();
    let mut entity = Entity::new(account.id.as_str(), "aws_account", &["Account"], name);
    entity.set("accountId", name);
    account.describe_life(&mut entity);
    if let Some(blocks) = blocks(account) {
        blocks.describe(&mut entity);
    }
    Parts::new(entity)
}
