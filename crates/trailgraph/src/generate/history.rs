//! What happens, in the order in which it happens: deployments, changes, rivalries, deletions, failures and noise.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use fastrand::Rng;

use super::Generated;
use super::actor::Actor;
use super::answer::{
    ACCESS_DENIED, ALREADY_OWNED, CONFLICT, Failure, MALFORMED_POLICY, NO_SUCH_BUCKET, NOT_EMPTY, accept, refusal,
};
use super::call::{ACCOUNT_BLOCK_OFF, CREATE, CREATE_POINT, Call, DELETE, DELETE_POINT, POLICY, TAGGING};
use super::mix::{ACCOUNT_CHANGES, DEPLOYED, POINT_CHANGES, POINT_CREATIONS, RIVALS, SPECIAL, any_change};
use super::noise;
use super::record::{Done, Version, visitor_of};
use super::subject::{Subject, Target};
use super::world::{Bucket, any, bucket_name, percent};

const NOISE_PER_MILLE: u32 = 205;
const FAILED_PER_MILLE: u32 = 80;
/// Of 1,000 plans, how many are an account's.
const ACCOUNT_PER_MILLE: u32 = 10;
/// How many access points a bucket may have.
const POINTS: u8 = 3;
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
    step: Step,
}

/// A call, and who makes it on what.
#[derive(Clone, Copy)]
struct Step {
    number: u32,
    /// Which access point of the bucket, where it is about one.
    point: u8,
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
        if rng.u32(..1_000) < ACCOUNT_PER_MILLE {
            return self.plan_call(number, any(ACCOUNT_CHANGES, rng), now_ms, rng);
        }
        let bucket = &mut self.buckets[number as usize];
        if bucket.life.is_none() {
            if percent(30, rng) {
                bucket.change_hands(rng);
            }
            return self.plan_deployment(number, now_ms, rng);
        }
        match rng.u8(..100) {
            0..66 => self.plan_call(number, any_change(rng), now_ms, rng),
            66..78 => self.plan_changes(number, now_ms, rng),
            78..90 => self.plan_rivals(number, now_ms, rng),
            90..95 => self.plan_access_point(number, now_ms, rng),
            95..98 => self.plan_deletion(number, now_ms, rng),
            // Creating one's own bucket again succeeds in us-east-1 only.
            _ if bucket.region() == "us-east-1" => self.plan_call(number, &CREATE, now_ms, rng),
            _ => self.plan_call(number, &TAGGING, now_ms, rng),
        }
    }

    /// A new bucket and all that is set on it: 8 to 15 calls in a few seconds.
    fn plan_deployment(&mut self, number: u32, now_ms: i64, rng: &mut Rng) {
        let mut calls = DEPLOYED.to_vec();
        rng.shuffle(&mut calls);
        calls.truncate(rng.usize(7..=12));
        // What a bucket is for comes after what all have, since some of it needs that.
        calls.extend((0..any(&[0, 0, 1, 1, 2], rng)).map(|_| any(SPECIAL, rng)));
        let mut at_ms = now_ms;
        for call in std::iter::once(&CREATE).chain(calls) {
            self.plan_at(at_ms, Step { by_deployment: true, ..self.step(number, call, rng) });
            at_ms += rng.i64(40..700);
        }
    }

    /// A few settings of one bucket, almost at once.
    fn plan_changes(&mut self, number: u32, now_ms: i64, rng: &mut Rng) {
        for _ in 0..rng.u32(3..=6) {
            self.plan_call(number, any_change(rng), now_ms + rng.i64(0..1_500), rng);
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
        self.plan_at(one, Step { with_ms: one_tells, ..self.step(number, first, rng) });
        self.plan_at(other, Step { with_ms: other_tells, ..self.step(number, second, rng) });
    }

    /// An access point is made, changed, goes, or is made anew.
    fn plan_access_point(&mut self, number: u32, now_ms: i64, rng: &mut Rng) {
        let life = self.buckets[number as usize].life.unwrap_or_default();
        let point = match (0..POINTS).find(|point| life.has(*point)) {
            Some(known) if percent(60, rng) => known,
            _ => rng.u8(..POINTS),
        };
        let mut at_ms = now_ms;
        for call in any(if life.has(point) { POINT_CHANGES } else { POINT_CREATIONS }, rng) {
            self.plan_at(at_ms, Step { point, ..self.step(number, call, rng) });
            at_ms += rng.i64(80..900);
        }
    }

    /// The bucket goes; sometimes a change or a new bucket of the name falls into the same second.
    fn plan_deletion(&mut self, number: u32, now_ms: i64, rng: &mut Rng) {
        let at_ms = now_ms - now_ms.rem_euclid(1_000) + rng.i64(300..600);
        if percent(20, rng) {
            self.plan_call(number, &POLICY, at_ms - 200, rng);
        }
        let life = self.buckets[number as usize].life.unwrap_or_default();
        // S3 keeps a bucket whose access points were forgotten.
        for point in (0..POINTS).filter(|point| life.has(*point)) {
            if percent(85, rng) {
                self.plan_at(at_ms - 250, Step { point, ..self.step(number, &DELETE_POINT, rng) });
            }
        }
        self.plan_call(number, &DELETE, at_ms, rng);
        match rng.u8(..10) {
            0..2 => self.plan_deployment(number, at_ms + 250, rng),
            2..6 => self.plan_deployment(number, at_ms + rng.i64(5_000..300_000), rng),
            _ => {}
        }
    }

    fn plan_call(&mut self, number: u32, call: &'static Call, at_ms: i64, rng: &mut Rng) {
        self.plan_at(at_ms, self.step(number, call, rng));
    }

    fn plan_at(&mut self, at_ms: i64, step: Step) {
        self.plans += 1;
        self.planned.push(Reverse(Planned { at_ms, plan: self.plans, step }));
    }

    fn step(&self, number: u32, call: &'static Call, rng: &mut Rng) -> Step {
        Step { number, point: 0, call, by_deployment: false, with_ms: self.tells_ms(number, rng) }
    }

    /// Two buckets in five are where the older records come from, mostly.
    fn tells_ms(&self, number: u32, rng: &mut Rng) -> bool {
        (number % 5 >= 2) != percent(8, rng)
    }

    fn perform(&mut self, planned: &Planned, rng: &mut Rng) -> Done {
        let Planned { at_ms, step, .. } = *planned;
        let bucket = &mut self.buckets[step.number as usize];
        let error = refusal(step.call, bucket, step.point);
        if error.is_none() {
            accept(step.call, bucket, step.point);
        }
        let actor = if step.by_deployment { Actor::terraform() } else { Actor::draw(rng) };
        self.done(step, at_ms, actor, error, rng)
    }

    fn fail(&self, number: u32, now_ms: i64, rng: &mut Rng) -> Done {
        let (call, error) = match (self.buckets[number as usize].life.is_some(), rng.u8(..40)) {
            (false, _) => (any_change(rng), NO_SUCH_BUCKET),
            (true, 0..4) => (&CREATE, ALREADY_OWNED),
            (true, 4..8) => (&DELETE, NOT_EMPTY),
            (true, 8..12) => (&POLICY, MALFORMED_POLICY),
            (true, 12..16) => (any_change(rng), CONFLICT),
            (true, 16) => (any(&[&ACCOUNT_BLOCK_OFF, &CREATE_POINT], rng), ACCESS_DENIED),
            (true, _) => (any_change(rng), ACCESS_DENIED),
        };
        self.done(self.step(number, call, rng), now_ms, Actor::draw(rng), Some(error), rng)
    }

    fn done(&self, step: Step, end_ms: i64, actor: Actor, error: Option<Failure>, rng: &mut Rng) -> Done {
        let Step { number, point, call, with_ms, .. } = step;
        let bucket = self.buckets[number as usize];
        let version = match with_ms {
            true => Version::Milliseconds,
            false if call.has_older_form() && percent(12, rng) => Version::Older,
            false => Version::Seconds,
        };
        let older = version == Version::Older;
        // Who creates is the owner; and a record without resources does not tell the owner from a visitor.
        let visits = call.target == Target::Bucket && !call.is(&CREATE) && !older;
        let visitor = if visits { visitor_of(bucket.account(), rng) } else { None };
        let neighbour = rng.u32(..self.names);
        let name = bucket_name(number);
        let subject = Subject { target: call.target, name, number, bucket, point, neighbour, older };
        let mut parameters = Vec::with_capacity(1_024);
        call.put_parameters(&mut parameters, &subject, rng);
        let (actor, caller) = match visitor {
            Some(account) => (Actor::visitor(), account),
            None => (actor, bucket.account()),
        };
        Done { call, subject, actor, caller, error, end_ms, version, parameters }
    }
}

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
