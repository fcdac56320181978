//! What happens, in the order in which it happens: deployments, changes, rivalries, deletions, failures and noise.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use fastrand::Rng;

use super::Generated;
use super::actor::Actor;
use super::bodies::Subject;
use super::call::{CREATE, Call, DELETE, DEPLOYED, POLICY, RIVALS, TAGGING};
use super::noise;
use super::record::{Done, Failure, Moment, visitor_of};
use super::world::{Bucket, any, bucket_name, percent};

const NOISE_PER_MILLE: u32 = 205;
const FAILED_PER_MILLE: u32 = 80;
/// When this many calls are under way, the next ones run ahead of the clock.
const PLANNED_MAX: usize = 512;

/// One call, or one event of no interest.
pub(super) enum Happening {
    Call(Done),
    Noise(Generated),
}

/// The buckets that there have been, and the calls under way.
pub(super) struct History {
    names: u32,
    buckets: Vec<Bucket>,
    planned: BinaryHeap<Reverse<Planned>>,
    plans: u64,
}

/// A call to come; those of one moment in the order of their planning.
struct Planned {
    at_ms: i64,
    plan: u64,
    number: u32,
    call: &'static Call,
    by_deployment: bool,
    with_ms: bool,
}

impl History {
    pub(super) fn new(names: u32) -> Self {
        Self { names, buckets: Vec::new(), planned: BinaryHeap::new(), plans: 0 }
    }

    /// What happens next, about `now_ms`.
    pub(super) fn next(&mut self, now_ms: i64, rng: &mut Rng) -> Happening {
        let drawn = rng.u32(..1_000);
        if let Some(number) = self.any_bucket(rng) {
            if drawn < NOISE_PER_MILLE {
                return Happening::Noise(noise::draw(self.buckets[number as usize], number, now_ms, rng));
            }
            if drawn < NOISE_PER_MILLE + FAILED_PER_MILLE {
                return Happening::Call(self.fail(number, now_ms, rng));
            }
        }
        loop {
            let due = self.planned.peek().is_some_and(|Reverse(first)| first.at_ms <= now_ms);
            if (due || self.planned.len() >= PLANNED_MAX)
                && let Some(Reverse(first)) = self.planned.pop()
            {
                return Happening::Call(self.perform(&first, rng));
            }
            self.plan(now_ms, rng);
        }
    }

    fn any_bucket(&self, rng: &mut Rng) -> Option<u32> {
        match self.buckets.len() {
            0 => None,
            known => Some(rng.u32(..known as u32)),
        }
    }

    fn plan(&mut self, now_ms: i64, rng: &mut Rng) {
        let all_used = self.buckets.len() as u32 == self.names;
        let number = match self.any_bucket(rng) {
            Some(number) if all_used || percent(55, rng) => number,
            _ => {
                self.buckets.push(Bucket::draw(rng));
                return self.plan_deployment(self.buckets.len() as u32 - 1, now_ms, rng);
            }
        };
        let bucket = &mut self.buckets[number as usize];
        if !bucket.exists {
            if percent(30, rng) {
                bucket.change_hands(rng);
            }
            return self.plan_deployment(number, now_ms, rng);
        }
        match rng.u8(..100) {
            0..70 => self.plan_call(number, Call::change(rng), now_ms, rng),
            70..82 => self.plan_changes(number, now_ms, rng),
            82..94 => self.plan_rivals(number, now_ms, rng),
            94..97 => self.plan_deletion(number, now_ms, rng),
            // Creating one's own bucket again succeeds in us-east-1 only.
            _ if bucket.region() == "us-east-1" => self.plan_call(number, &CREATE, now_ms, rng),
            _ => self.plan_call(number, &TAGGING, now_ms, rng),
        }
    }

    /// A new bucket and all that is set on it: 8 to 14 calls in a few seconds.
    fn plan_deployment(&mut self, number: u32, now_ms: i64, rng: &mut Rng) {
        let mut at_ms = now_ms;
        self.plan_at(number, &CREATE, at_ms, true, self.tells_ms(number, rng));
        let mut calls = DEPLOYED.to_vec();
        rng.shuffle(&mut calls);
        calls.truncate(rng.usize(7..=13));
        for call in calls {
            at_ms += rng.i64(40..700);
            self.plan_at(number, call, at_ms, true, self.tells_ms(number, rng));
        }
    }

    /// A few settings of one bucket, almost at once.
    fn plan_changes(&mut self, number: u32, now_ms: i64, rng: &mut Rng) {
        for _ in 0..rng.u32(3..=6) {
            self.plan_call(number, Call::change(rng), now_ms + rng.i64(0..1_500), rng);
        }
    }

    /// Calls that overwrite each other within one second, which their records may or may not put in order.
    fn plan_rivals(&mut self, number: u32, now_ms: i64, rng: &mut Rng) {
        let second_ms = now_ms - now_ms.rem_euclid(1_000);
        let (mut one, mut other) = (second_ms + rng.i64(0..990), second_ms + rng.i64(0..990));
        let (mut one_tells, mut other_tells) = (true, true);
        match rng.u8(..10) {
            0..4 => (one_tells, other_tells) = (false, false),
            4..6 => one_tells = false,
            6 => other = one,
            _ => (one, other) = (one.min(other), one.max(other)),
        }
        if percent(50, rng) {
            std::mem::swap(&mut one_tells, &mut other_tells);
        }
        let [first, second] = any(RIVALS, rng);
        self.plan_at(number, first, one, false, one_tells);
        self.plan_at(number, second, other, false, other_tells);
    }

    /// The bucket goes; sometimes a change or a new bucket of the name falls into the same second.
    fn plan_deletion(&mut self, number: u32, now_ms: i64, rng: &mut Rng) {
        let at_ms = now_ms - now_ms.rem_euclid(1_000) + rng.i64(300..600);
        if percent(20, rng) {
            self.plan_call(number, &POLICY, at_ms - 200, rng);
        }
        self.plan_call(number, &DELETE, at_ms, rng);
        match rng.u8(..10) {
            0..2 => self.plan_deployment(number, at_ms + 250, rng),
            2..6 => self.plan_deployment(number, at_ms + rng.i64(5_000..300_000), rng),
            _ => {}
        }
    }

    fn plan_call(&mut self, number: u32, call: &'static Call, at_ms: i64, rng: &mut Rng) {
        self.plan_at(number, call, at_ms, false, self.tells_ms(number, rng));
    }

    fn plan_at(&mut self, number: u32, call: &'static Call, at_ms: i64, by_deployment: bool, with_ms: bool) {
        self.plans += 1;
        self.planned.push(Reverse(Planned { at_ms, plan: self.plans, number, call, by_deployment, with_ms }));
    }

    /// Two buckets in five are where the older records come from, mostly.
    fn tells_ms(&self, number: u32, rng: &mut Rng) -> bool {
        (number % 5 >= 2) != percent(8, rng)
    }

    fn perform(&mut self, planned: &Planned, rng: &mut Rng) -> Done {
        let bucket = &mut self.buckets[planned.number as usize];
        let creates = planned.call.creates();
        let error = match bucket.exists {
            false if !creates => Some(NO_SUCH_BUCKET),
            true if creates && bucket.region() != "us-east-1" => Some(ALREADY_OWNED),
            _ => None,
        };
        if error.is_none() {
            bucket.exists = !std::ptr::eq(planned.call, &DELETE);
        }
        let moment = Moment { end_ms: planned.at_ms, with_ms: planned.with_ms };
        let actor = if planned.by_deployment { Actor::terraform() } else { Actor::draw(rng) };
        self.done(planned.number, planned.call, actor, error, moment, rng)
    }

    fn fail(&self, number: u32, now_ms: i64, rng: &mut Rng) -> Done {
        let (call, error) = match (self.buckets[number as usize].exists, rng.u8(..10)) {
            (false, _) => (Call::change(rng), NO_SUCH_BUCKET),
            (true, 0) => (&CREATE, ALREADY_OWNED),
            (true, 1) => (&DELETE, NOT_EMPTY),
            (true, 2) => (&POLICY, MALFORMED_POLICY),
            (true, 3) => (Call::change(rng), CONFLICT),
            (true, _) => (Call::change(rng), ACCESS_DENIED),
        };
        let moment = Moment { end_ms: now_ms, with_ms: self.tells_ms(number, rng) };
        self.done(number, call, Actor::draw(rng), Some(error), moment, rng)
    }

    fn done(
        &self,
        number: u32,
        call: &'static Call,
        actor: Actor,
        error: Option<Failure>,
        moment: Moment,
        rng: &mut Rng,
    ) -> Done {
        let bucket = self.buckets[number as usize];
        let visitor = if call.creates() { None } else { visitor_of(bucket.account(), rng) };
        let neighbour = rng.u32(..self.names);
        let subject = Subject { name: bucket_name(number), bucket, neighbour };
        let mut parameters = Vec::with_capacity(1_024);
        call.put_parameters(&mut parameters, &subject, rng);
        let (actor, caller) = match visitor {
            Some(account) => (Actor::visitor(), account),
            None => (actor, bucket.account()),
        };
        Done { call, subject, actor, caller, error, moment, parameters }
    }
}

const ACCESS_DENIED: Failure = Failure("AccessDenied", "Access Denied");
const NO_SUCH_BUCKET: Failure = Failure("NoSuchBucket", "The specified bucket does not exist");
const NOT_EMPTY: Failure = Failure("BucketNotEmpty", "The bucket you tried to delete is not empty");
const MALFORMED_POLICY: Failure = Failure("MalformedPolicy", "Invalid principal in policy");
const ALREADY_OWNED: Failure =
    Failure("BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you own it.");
const CONFLICT: Failure = Failure(
    "OperationAborted",
    "A conflicting conditional operation is currently in progress against this resource. Please try again.",
);

impl Ord for Planned {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at_ms, self.plan).cmp(&(other.at_ms, other.plan))
    }
}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        self.plan == other.plan
    }
}

impl Eq for Planned {}
