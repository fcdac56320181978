use super::*;

fn shard(id: &str, parents: &[&str]) -> Shard {
    let parents = parents.iter().map(|parent| ShardId::from(*parent)).collect();
    Shard { id: id.into(), parents, hash_keys: None, open: true }
}

fn row(id: &str, parents: &[&str], checkpoint: Position) -> Lease {
    new_lease(&shard(id, parents), checkpoint)
}

fn keyed(id: &str, checkpoint: Position, first: u128, last: u128) -> Lease {
    Lease { hash_keys: Some((first.to_string(), last.to_string())), ..row(id, &[], checkpoint) }
}

fn after() -> Position {
    Position::After { sequence: "5".into(), sub_sequence: 0 }
}

fn names<'a>(leases: impl IntoIterator<Item = &'a Lease>) -> Vec<&'a str> {
    leases.into_iter().map(|lease| lease.shard.as_str()).collect()
}

const START: Position = Position::AtTimestamp(77);

#[test]
fn an_empty_table_gets_a_row_per_shard_at_the_start_parents_before_children() {
    let shards = [shard("1", &["7", "8"]), shard("8", &["9"]), shard("7", &[]), shard("9", &["gone"])];
    let rows = missing(&shards, &[], &[], &START);
    assert_eq!(names(&rows), ["7", "9", "8", "1"]);
    assert!(rows.iter().all(|row| row.checkpoint == START && row.start_timestamp_ms == Some(77)));
}

#[test]
fn a_new_shard_begins_at_its_oldest_record_if_a_parent_or_its_parent_has_a_row() {
    let shards = [shard("0", &[]), shard("1", &["0"]), shard("2", &["1", "gone"]), shard("3", &[])];
    let rows = missing(&shards, &[row("0", &[], Position::ShardEnd)], &[], &START);
    let positions: Vec<_> = rows.iter().map(|row| (row.shard.as_str(), &row.checkpoint)).collect();
    assert_eq!(positions, [("3", &START), ("1", &Position::TrimHorizon), ("2", &Position::TrimHorizon)]);
}

#[test]
fn a_listed_ancestor_of_a_shard_that_was_read_from_needs_no_row_any_more() {
    let shards = [shard("0", &[]), shard("1", &["0"]), shard("2", &["1"]), shard("3", &["1"])];
    assert_eq!(names(&missing(&shards, &[row("2", &["1"], after())], &[], &START)), ["3"]);
    assert_eq!(missing(&shards, &[row("2", &["1"], after())], &[], &START)[0].checkpoint, Position::TrimHorizon);
    let unread = [row("2", &["1"], Position::TrimHorizon)];
    assert_eq!(names(&missing(&shards, &unread, &[], &START)), ["0", "1", "3"], "nothing says that they were read");
}

#[test]
fn a_listing_that_goes_round_in_circles_still_gives_every_shard_a_row() {
    assert_eq!(missing(&[shard("0", &["1"]), shard("1", &["0"])], &[], &[], &START).len(), 2);
    let begun = [row("0", &["1"], after())];
    assert!(missing(&[shard("0", &["1"]), shard("1", &["0"])], &begun, &[], &START).is_empty());
}

#[test]
fn only_rows_that_are_finished_and_absent_from_two_listings_are_removed() {
    let rows =
        [row("0", &[], Position::ShardEnd), row("1", &[], Position::ShardEnd), row("2", &[], Position::TrimHorizon)];
    let (with, without) = ([shard("0", &[]), shard("1", &[])], [shard("1", &[])]);
    assert_eq!(names(obsolete([&without, &without], &rows)), ["0"]);
    assert!(obsolete([&with, &without], &rows).is_empty());
}

#[test]
fn keys_that_no_unfinished_lease_covers_are_holes() {
    const MAX: u128 = u128::MAX;
    let rows = |ends: [(u128, u128); 3]| {
        let [a, b, c] = ends;
        [keyed("0", after(), a.0, a.1), keyed("1", Position::TrimHorizon, b.0, b.1), keyed("2", after(), c.0, c.1)]
    };
    assert_eq!(holes(&[], &rows([(0, 9), (10, 99), (100, MAX)])), []);
    assert_eq!(holes(&[], &rows([(100, MAX), (0, 50), (20, 110)])), [], "parents and children overlap");
    assert_eq!(holes(&[], &rows([(5, 9), (20, 99), (100, MAX - 1)])), [(0, 4), (10, 19), (MAX, MAX)]);
    let mut finished = rows([(0, 9), (10, 99), (100, MAX)]);
    finished[1].checkpoint = Position::ShardEnd;
    assert_eq!(holes(&[], &finished), [(10, 99)]);
    assert_eq!(holes(&[], &[]), [(0, MAX)]);
}

#[test]
fn a_lease_without_keys_has_those_that_its_shard_is_listed_with_or_stops_the_search() {
    let lease = row("0", &[], after());
    assert_eq!(holes(&[], std::slice::from_ref(&lease)), []);
    let listed = Shard { hash_keys: Some(("0".into(), "9".into())), ..shard("0", &[]) };
    assert_eq!(holes(&[listed], &[lease]), [(10, u128::MAX)]);
}

#[test]
fn a_child_of_a_parent_that_waits_to_be_read_from_a_time_begins_at_that_time() {
    let shards = [shard("0", &[]), shard("1", &["0"]), shard("2", &["1"])];
    // The making of the rows was cut short after the first.
    let rows = missing(&shards, &[row("0", &[], START)], &[], &Position::AtTimestamp(99));
    let positions: Vec<_> = rows.iter().map(|row| (row.shard.as_str(), &row.checkpoint)).collect();
    assert_eq!(positions, [("1", &START), ("2", &START)]);
}

#[test]
fn a_row_at_the_latest_wants_nothing_of_its_ancestors() {
    let shards = [shard("0", &[]), shard("1", &["0"])];
    assert!(missing(&shards, &[row("1", &["0"], Position::Latest)], &[], &START).is_empty());
}

#[test]
fn a_row_that_cannot_be_read_is_a_row() {
    let unreadable = [UnreadableLease { shard: "0".into(), why: "garbage".into() }];
    let rows = missing(&[shard("0", &[]), shard("1", &["0"])], &[], &unreadable, &START);
    assert_eq!((names(&rows), &rows[0].checkpoint), (vec!["1"], &Position::TrimHorizon));
}
