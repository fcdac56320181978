//! The accounts, Regions and bucket names of the traffic: all invented, ids as AWS documentation invents them.

use fastrand::Rng;

/// An account that owns buckets.
pub(super) struct Account {
    pub(super) id: &'static str,
    pub(super) partition: &'static str,
    pub(super) regions: &'static [&'static str],
    /// The canonical user id of the owner, as access control lists name it.
    pub(super) canonical_id: &'static str,
}

const COMMERCIAL: &str = "aws";
const REGIONS: &[&str] = &["us-east-1", "us-east-1", "eu-west-1", "eu-central-1", "us-west-2", "ap-southeast-2"];

pub(super) const ACCOUNTS: &[Account] = &[
    Account {
        id: "111122223333",
        partition: COMMERCIAL,
        regions: REGIONS,
        canonical_id: "a1f0c3d2e4b5968778695a4b3c2d1e0ff0e1d2c3b4a5968778695a4b3c2d1e0f",
    },
    Account {
        id: "444455556666",
        partition: COMMERCIAL,
        regions: REGIONS,
        canonical_id: "b2e1d4c3f5a6879869784b5c2d3e0f1e1f0e3d2c5b4a7968697a4b5c2d3e0f1a",
    },
    Account {
        id: "777788889999",
        partition: COMMERCIAL,
        regions: REGIONS,
        canonical_id: "c3d2e5b4a6f798895a6b7c3d4e1f20302f1e4d3c6b5a89787a6b5c4d3e2f1a0b",
    },
    Account {
        id: "123456789012",
        partition: COMMERCIAL,
        regions: REGIONS,
        canonical_id: "d4c3f6a5b7e889906b7c8d4e5f203141302f5e4d7c6b9a898b7c6d5e4f302b1c",
    },
    Account {
        id: "222233334444",
        partition: "aws-us-gov",
        regions: &["us-gov-west-1"],
        canonical_id: "e5d4a7b6c8f99aa17c8d9e5f6a31425241306f5e8d7cab9a9c8d7e6f5a413c2d",
    },
];

/// Accounts of other companies: named in policies and lists, never a source of events.
pub(super) const PARTNERS: &[&str] = &["888877776666", "999900001111"];

/// What is remembered of a bucket's name.
#[derive(Clone, Copy)]
pub(super) struct Bucket {
    pub(super) owner: u8,
    pub(super) region: u8,
    /// Nothing while there is no such bucket.
    pub(super) life: Option<Life>,
}

/// What later calls depend on.
#[derive(Clone, Copy, Default)]
pub(super) struct Life {
    /// One bit for each access point.
    pub(super) points: u8,
    pub(super) suspended: bool,
    pub(super) locked: bool,
    pub(super) replicates: bool,
    pub(super) abac: bool,
}

impl Life {
    pub(super) fn has(self, point: u8) -> bool {
        self.points & (1 << point) != 0
    }
}

impl Bucket {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        // One in twenty-five is in the other partition.
        let owner = if rng.u8(..25) == 0 { ACCOUNTS.len() - 1 } else { rng.usize(..ACCOUNTS.len() - 1) };
        Self { owner: owner as u8, region: rng.u8(..ACCOUNTS[owner].regions.len() as u8), life: None }
    }

    /// The name is free again, and somebody else may take it: within the partition, where it is the same resource.
    pub(super) fn change_hands(&mut self, rng: &mut Rng) {
        if self.account().partition == COMMERCIAL {
            self.owner = rng.u8(..ACCOUNTS.len() as u8 - 1);
            self.region = rng.u8(..REGIONS.len() as u8);
        }
    }

    pub(super) fn account(&self) -> &'static Account {
        &ACCOUNTS[usize::from(self.owner)]
    }

    pub(super) fn region(&self) -> &'static str {
        self.account().regions[usize::from(self.region)]
    }
}

/// The name of the bucket with this number.
pub(super) fn bucket_name(number: u32) -> String {
    const COMPANIES: &[&str] = &["acme", "acme", "anycompany", "example-corp"];
    const TEAMS: &[&str] = &["payments", "billing", "search", "media", "platform", "analytics", "web", "identity"];
    const PURPOSES: &[&str] = &["logs", "assets", "backups", "exports", "artifacts", "raw", "uploads"];
    let pick = |of: &[&'static str], stride: u32| of[(number / stride) as usize % of.len()];
    let mut name = String::with_capacity(40);
    for part in [pick(COMPANIES, 3), pick(TEAMS, 1), pick(PURPOSES, 5)] {
        name.push_str(part);
        name.push('-');
    }
    if number < 1_000 {
        name.push_str(["000", "00", "0"][(number >= 10) as usize + (number >= 100) as usize]);
    }
    name + &number.to_string()
}

/// One of the values.
pub(super) fn any<T: Copy>(of: &[T], rng: &mut Rng) -> T {
    of[rng.usize(..of.len())]
}

/// True this many times in a hundred.
pub(super) fn percent(share: u32, rng: &mut Rng) -> bool {
    rng.u32(..100) < share
}
