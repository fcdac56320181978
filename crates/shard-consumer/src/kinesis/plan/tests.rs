//! What one worker decides, and (in `fleet`) what comes of the decisions of many.

mod fleet;

use super::*;
use crate::leases::{Change, Checkpoint, Leader};
use crate::record::Position;

const FAILOVER: Duration = Duration::from_secs(10);

fn lease(shard: &str, owner: Option<&str>) -> Lease {
    let mut lease = Lease::unowned(shard.into(), Position::TrimHorizon, Vec::new());
    lease.owner = owner.map(Into::into);
    lease
}

fn child(shard: &str, parents: &[&str]) -> Lease {
    Lease { parents: parents.iter().map(|parent| ShardId::from(*parent)).collect(), ..lease(shard, None) }
}

fn going_to(shard: &str, owner: &str, giver: &str) -> Lease {
    Lease { checkpoint_owner: Some(giver.into()), ..lease(shard, Some(owner)) }
}

/// One worker, "me", and what it has seen.
struct Worker {
    sightings: Sightings,
    here: HashMap<ShardId, Here>,
    earlier: Option<&'static str>,
    unknown: HashSet<ShardId>,
    begun: Instant,
    now: Instant,
}

impl Worker {
    fn new() -> Self {
        let now = Instant::now();
        let (here, unknown) = (HashMap::new(), HashSet::new());
        Self { sightings: Sightings::default(), here, earlier: None, unknown, begun: now, now }
    }

    /// Looks at the table at so many milliseconds, and says what it does.
    fn at(&mut self, ms: u64, leases: &[Lease]) -> Vec<String> {
        self.look(ms, leases, None)
    }

    fn look(&mut self, ms: u64, leases: &[Lease], leader: Option<&Leader>) -> Vec<String> {
        self.now = self.begun + Duration::from_millis(ms);
        self.sightings.observe(leases, leader, ("me/2", PATIENCE), self.now);
        let said = |action: &Action<'_>| match action {
            Action::Take(lease, TakenFrom::Nobody) => format!("take {}", lease.shard),
            Action::Take(lease, from) => format!("take {} {from:?}", lease.shard),
            Action::Ask(lease) => format!("ask for {}", lease.shard),
            Action::Withdraw(lease) => format!("withdraw from {}", lease.shard),
        };
        let mut said: Vec<String> = self.view(leases).plan().actions.iter().map(said).collect();
        said.sort();
        said
    }

    fn view<'a>(&'a self, leases: &'a [Lease]) -> View<'a, 'a> {
        let Self { sightings, here, earlier, unknown, now, .. } = self;
        let (now, earlier) = (*now, *earlier);
        View { me: "me/2", earlier, now, failover_after: FAILOVER, leases, sightings, here, unknown }
    }
}

#[test]
fn a_lone_worker_takes_everything_that_nobody_owns_at_once() {
    assert_eq!(Worker::new().at(0, &[lease("0", None), lease("1", None)]), ["take 0", "take 1"]);
}

#[test]
fn a_live_lease_is_left_alone_and_taken_when_it_has_not_moved_for_the_failover_time() {
    let mut worker = Worker::new();
    let seen = [lease("0", Some("other"))];
    for ms in [0, 5_000, 9_999] {
        assert!(worker.at(ms, &seen).is_empty(), "{ms}");
    }
    assert_eq!(worker.view(&seen).plan().look_again, Some(Duration::from_millis(1)));
    let moved = [Lease { counter: 1, ..seen[0].clone() }];
    assert!(worker.at(10_000, &moved).is_empty());
    assert!(worker.at(19_999, &moved).is_empty());
    assert_eq!(worker.at(20_000, &moved), ["take 0 Expired"]);
}

#[test]
fn more_than_a_fair_share_of_what_is_free_is_taken_only_if_the_others_leave_it() {
    let mut worker = Worker::new();
    let leases = [lease("0", Some("other")), lease("1", Some("me/2")), lease("2", None), lease("3", None)];
    worker.here.insert("1".into(), Here::Reading);
    let first = worker.at(0, &leases);
    assert_eq!(first.len(), 1, "two of four: {first:?}");
    let look_again = worker.view(&leases).plan().look_again;
    assert_eq!(look_again, Some(SPARE_AFTER));
    assert_eq!(worker.at(250, &leases), ["take 2", "take 3"]);
}

#[test]
fn a_child_waits_for_every_parent_that_has_a_row_and_is_not_read_to_its_end() {
    let mut worker = Worker::new();
    let mut leases = [child("0", &["gone"]), child("1", &[]), child("2", &["0", "1"])];
    leases[1].checkpoint = Position::ShardEnd;
    assert_eq!(worker.at(0, &leases), ["take 0"]);
    worker.here.insert("0".into(), Here::Reading);
    assert!(worker.at(0, &leases).is_empty());
    worker.here.insert("0".into(), Here::ReadToEnd);
    assert_eq!(worker.at(0, &leases), ["take 2"], "not checkpointed, but read");
    let here = worker.here.remove(&ShardId::from("0"));
    assert_eq!(here, Some(Here::ReadToEnd));
    leases[0].checkpoint = Position::ShardEnd;
    assert_eq!(worker.at(0, &leases), ["take 2"]);
}

#[test]
fn a_worker_asks_the_most_loaded_one_until_it_has_one_less_or_as_many() {
    let owned = |owner, shards: &[&str]| -> Vec<Lease> { shards.iter().map(|s| lease(s, Some(owner))).collect() };
    let mut worker = Worker::new();
    let leases = [owned("a", &["0", "1", "2"]), owned("b", &["3", "4", "5", "6", "7"])].concat();
    assert_eq!(worker.at(0, &leases), ["ask for 3", "ask for 4"], "then three, three and two");
    let leases = [owned("a", &["0"]), owned("b", &["1", "2"]), owned("me/2", &["3"])].concat();
    worker.here.insert("3".into(), Here::Reading);
    assert!(worker.at(0, &leases).is_empty(), "within one");
}

#[test]
fn what_is_on_its_way_counts_as_arrived_and_is_not_asked_for_twice() {
    let mut worker = Worker::new();
    let leases =
        [going_to("0", "me/2", "a"), lease("1", Some("a")), lease("2", Some("a")), going_to("3", "other", "a")];
    assert!(worker.at(0, &leases).is_empty());
    assert_eq!(worker.view(&leases).plan().look_again, Some(ASKED_LOOK));
}

#[test]
fn no_more_than_eight_leases_are_on_their_way_at_once() {
    let leases: Vec<Lease> = (0..40).map(|n| lease(&format!("{n:02}"), Some("a"))).collect();
    let asked = Worker::new().at(0, &leases);
    assert_eq!((asked.len(), asked[0].as_str()), (ASKED_MOST, "ask for 00"));
}

#[test]
fn nothing_is_asked_for_while_a_leader_lives_and_it_lives_until_its_beat_has_stood_still() {
    let mut worker = Worker::new();
    let leases = [lease("0", Some("a")), lease("1", Some("a"))];
    let beat = |beat: &str| Leader { name: "kcl".into(), beat: beat.into(), lasts: Duration::from_secs(120) };
    let renewed = |ms: u64| [0, 1].map(|n: usize| Lease { counter: ms, ..leases[n].clone() });
    assert!(worker.look(0, &renewed(0), Some(&beat("x"))).is_empty());
    assert!(worker.look(119_000, &renewed(1), Some(&beat("y"))).is_empty());
    assert!(worker.look(238_000, &renewed(2), Some(&beat("y"))).is_empty());
    assert_eq!(worker.look(239_000, &renewed(3), Some(&beat("y"))), ["ask for 0"]);
    assert_eq!(worker.look(240_000, &renewed(4), None), ["ask for 0"]);
}

#[test]
fn a_lease_that_was_asked_for_is_taken_when_its_giver_has_let_go_or_is_dead() {
    let mut worker = Worker::new();
    assert!(worker.at(0, &[going_to("0", "me/2", "a")]).is_empty());
    let handed_over = Lease { counter: 1, ..lease("0", Some("me/2")) };
    assert_eq!(worker.at(500, &[handed_over]), ["take 0 HandOver"]);
    let asked_for_at_once = Lease { counter: 1, ..going_to("0", "b", "me/2") };
    assert_eq!(worker.at(500, &[asked_for_at_once]), ["take 0 HandOver"], "nobody else would renew it");
    let silent = [going_to("1", "me/2", "a")];
    assert!(worker.at(600, &silent).is_empty());
    assert_eq!(worker.at(10_600, &silent), ["take 1 Expired"]);
}

#[test]
fn what_earlier_runs_of_this_worker_left_is_taken_at_the_first_look_and_is_another_processs_later() {
    let mut worker = Worker::new();
    let leases = [
        lease("0", Some("me/00000001")),
        going_to("1", "other", "me/00000001"),
        lease("2", Some("meow/00000001")),
        lease("3", Some("me/too/00000001")),
    ];
    assert!(worker.at(0, &leases).is_empty());
    worker.earlier = Some("me/");
    assert_eq!(worker.at(0, &leases), ["take 0", "take 1"], "more than its share: they need no balance");
}

#[test]
fn a_lease_of_its_own_that_it_does_not_read_is_taken_whatever_became_of_the_write() {
    let mut worker = Worker::new();
    let others = [lease("1", Some("a")), lease("2", Some("a"))];
    let leases = [vec![lease("0", Some("me/2"))], others.to_vec()].concat();
    assert_eq!(worker.at(0, &leases), ["take 0 HandOver"]);
    worker.here.insert("0".into(), Here::ReadToEnd);
    assert!(worker.at(0, &leases)[..].iter().all(|action| !action.starts_with("take")));
}

#[test]
fn a_holder_that_does_not_know_of_hand_overs_keeps_its_leases_and_is_not_asked_again_for_ten_minutes() {
    let mut worker = Worker::new();
    let renewed = |ms: u64| [0, 1, 2].map(|n: u64| Lease { counter: ms, ..lease(&n.to_string(), Some("a")) });
    assert_eq!(worker.at(0, &renewed(0)), ["ask for 0"]);
    let asked = |ms: u64| {
        let mut leases = renewed(ms);
        leases[0].apply(&Change::Ask { owner: "me/2".into() });
        leases
    };
    assert!(worker.at(1_000, &asked(1)).is_empty());
    assert!(worker.at(60_000, &asked(2)).is_empty());
    assert_eq!(worker.at(61_000, &asked(3)), ["withdraw from 0"]);
    assert!(worker.at(62_000, &renewed(4)).is_empty());
    assert!(worker.at(660_000, &renewed(5)).is_empty());
    assert_eq!(worker.at(661_000, &renewed(6)), ["ask for 0"]);
}

#[test]
fn a_child_waits_for_a_parent_of_which_nothing_is_known_unless_it_has_been_read_from() {
    let mut worker = Worker::new();
    worker.unknown.insert("0".into());
    let mut leases = [child("1", &["0"])];
    assert!(worker.at(0, &leases).is_empty());
    leases[0].checkpoint = Position::After { sequence: "5".into(), sub_sequence: 0 };
    assert_eq!(worker.at(0, &leases), ["take 1"]);
}

#[test]
fn an_unread_shard_is_named_with_the_reason() {
    let mut finished = lease("4", None);
    finished.checkpoint = Position::ShardEnd;
    let leases = [lease("0", None), child("1", &["0"]), lease("2", Some("dead")), finished];
    let shards = ["0", "1", "2", "3", "4"].map(ShardId::from);
    let worker = Worker::new();
    let said = worker.view(&leases).why_unread(&shards.each_ref());
    let finished = "4: its lease says that it is finished, though the shard is open";
    assert_eq!(
        said,
        ["0: no owner", "1: waits for the end of 0", "2: not renewed by dead", "3: no lease yet", finished]
    );
}
