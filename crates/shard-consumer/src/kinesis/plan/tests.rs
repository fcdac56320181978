use super::*;

fn shard(id: &str, parents: &[&str]) -> Shard {
    let parents = parents.iter().map(|parent| ShardId::from(*parent)).collect();
    Shard { id: id.into(), parents, hash_keys: None, open: true }
}

fn row(id: &str, parents: &[&str], checkpoint: Position) -> Lease {
    new_lease(&shard(id, parents), checkpoint)
}

fn owned(id: &str, owner: &str, counter: u64) -> Lease {
    Lease { owner: Some(owner.into()), counter, ..row(id, &[], Position::TrimHorizon) }
}

fn names<'a>(leases: impl IntoIterator<Item = &'a Lease>) -> Vec<&'a str> {
    leases.into_iter().map(|lease| lease.shard.as_str()).collect()
}

fn takes(leases: &[Lease]) -> Vec<&str> {
    names(to_take(leases, |_| false, |_| true, |_| false))
}

const START: Position = Position::AtTimestamp(77);

#[test]
fn an_empty_table_gets_a_row_per_shard_at_the_start_parents_before_children() {
    let shards = [shard("1", &["7", "8"]), shard("8", &["9"]), shard("7", &[]), shard("9", &["gone"])];
    let rows = missing(&shards, &[], &START);
    assert_eq!(names(&rows), ["7", "9", "8", "1"]);
    assert!(rows.iter().all(|row| row.checkpoint == START && row.start_timestamp_ms == Some(77)));
}

#[test]
fn a_new_shard_begins_at_its_oldest_record_if_a_parent_or_its_parent_has_a_row() {
    let shards = [shard("0", &[]), shard("1", &["0"]), shard("2", &["1", "gone"]), shard("3", &[])];
    let rows = missing(&shards, &[row("0", &[], Position::ShardEnd)], &START);
    let positions: Vec<_> = rows.iter().map(|row| (row.shard.as_str(), &row.checkpoint)).collect();
    assert_eq!(positions, [("3", &START), ("1", &Position::TrimHorizon), ("2", &Position::TrimHorizon)]);
}

#[test]
fn a_listing_that_goes_round_in_circles_still_gives_every_shard_a_row() {
    assert_eq!(missing(&[shard("0", &["1"]), shard("1", &["0"])], &[], &START).len(), 2);
}

#[test]
fn a_child_waits_for_every_parent_that_has_a_row() {
    let mut rows = vec![
        row("0", &["gone"], Position::TrimHorizon),
        row("1", &[], Position::ShardEnd),
        row("2", &["0", "1"], Position::TrimHorizon),
    ];
    assert_eq!(takes(&rows), ["0"]);
    rows[0].checkpoint = Position::ShardEnd;
    assert_eq!(takes(&rows), ["2"]);
}

#[test]
fn a_child_starts_when_its_parent_was_read_to_the_end_though_not_checkpointed() {
    let rows = [row("0", &[], Position::TrimHorizon), row("1", &["0"], Position::TrimHorizon)];
    assert_eq!(names(to_take(&rows, |_| false, |_| true, |shard| shard.as_str() == "0")), ["1"]);
}

#[test]
fn what_is_being_read_or_is_not_free_is_not_taken() {
    let rows = [owned("0", "me", 1), owned("1", "other", 1), owned("2", "dead", 1)];
    let reading = |shard: &ShardId| shard.as_str() == "0";
    assert_eq!(names(to_take(&rows, reading, |lease| lease.owner.as_deref() == Some("dead"), |_| false)), ["2"]);
}

#[test]
fn only_rows_that_are_finished_and_absent_from_two_listings_are_removed() {
    let rows =
        [row("0", &[], Position::ShardEnd), row("1", &[], Position::ShardEnd), row("2", &[], Position::TrimHorizon)];
    let (with, without) = ([shard("0", &[]), shard("1", &[])], [shard("1", &[])]);
    assert_eq!(obsolete([&without, &without], &rows), [&ShardId::from("0")]);
    assert!(obsolete([&with, &without], &rows).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_lease_expires_when_its_counter_has_not_moved_for_the_failover_time_by_our_own_clock() {
    let failover = Duration::from_secs(10);
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut sightings = Sightings::default();
    let row = |counter| owned("0", "other", counter);

    assert!(!sightings.is_expired(&row(5), failover, at(100)), "never seen");
    sightings.observe(&[row(5)], at(0));
    sightings.observe(&[row(5)], at(9));
    assert!(!sightings.is_expired(&row(5), failover, at(9)));
    assert!(sightings.is_expired(&row(5), failover, at(10)));
    sightings.observe(&[row(6)], at(10));
    assert!(!sightings.is_expired(&row(6), failover, at(19)));
    assert!(sightings.is_expired(&row(6), failover, at(20)));
}

#[test]
fn an_unread_shard_is_named_with_the_reason() {
    let rows = [row("0", &[], START), row("1", &["0"], START), owned("2", "dead", 1)];
    let shards = ["0", "1", "2", "3"].map(ShardId::from);
    let said = why_unread(&shards.each_ref(), &rows, |_| false);
    assert_eq!(said, ["0: no owner", "1: waits for the end of 0", "2: not renewed by dead", "3: no lease yet"]);
    assert_eq!(why_unread(&[&shards[1]], &rows, |shard| shard.as_str() == "0"), ["1: no owner"]);
}
