//! What a lease store promises, on every store: and on DynamoDB, that workers of the Kinesis Client Library and ours
//! may go on from each other's rows.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod checks;
mod dynamodb;
mod kcl;
mod mixed_fleet;
mod races;
mod recorded;
mod sqlite;
mod table;
mod wire;
mod world;

use world::{Server, World};

/// Each check as a test of each store.
macro_rules! on_every_store {
    ($($module:ident::$check:ident,)*) => {
        on_every_store! { on_sqlite, super::World::sqlite(), $($module::$check,)* }
        on_every_store! { on_ministack, super::World::table(super::Server::Ministack).await, $($module::$check,)* }
        on_every_store! { on_fake, super::World::table(super::Server::Fake).await, $($module::$check,)* }
    };
    ($name:ident, $world:expr, $($module:ident::$check:ident,)*) => {
        mod $name {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $check() {
                super::$module::$check(&$world).await;
            })*
        }
    };
}

/// Each check as a test of each server that speaks DynamoDB's protocol.
macro_rules! on_every_server {
    ($($module:ident::$check:ident,)*) => {
        on_every_server! { dynamodb_on_ministack, Ministack, $($module::$check,)* }
        on_every_server! { dynamodb_on_fake, Fake, $($module::$check,)* }
    };
    ($name:ident, $server:ident, $($module:ident::$check:ident,)*) => {
        mod $name {
            $(#[tokio::test]
            async fn $check() {
                super::$module::$check(super::Server::$server).await;
            })*
        }
    };
}

on_every_store! {
    checks::a_row_is_read_as_it_was_written_and_created_only_once,
    checks::every_change_leaves_the_row_that_apply_says,
    checks::every_change_of_any_other_row_is_refused_and_told_the_one_that_is_there,
    checks::a_change_of_a_row_that_is_gone_is_refused_and_makes_none,
    checks::a_row_is_deleted_only_as_it_was_seen,
    checks::asking_leaves_the_counter_and_only_the_holder_renews,
    checks::a_release_while_handing_over_gives_the_lease_to_the_worker_that_asked,
    checks::a_checkpoint_keeps_the_children_until_it_names_others,
    checks::every_position_comes_back,
    races::of_eight_workers_that_race_for_a_lease_one_wins_each_round,
    races::of_eight_workers_that_create_a_row_one_does,
}

on_every_server! {
    dynamodb::workers_that_start_at_once_make_the_table_once_and_it_is_paid_for_by_request,
    dynamodb::a_table_that_is_no_lease_table_is_refused_with_the_mend,
    dynamodb::a_table_of_another_stream_is_refused_and_one_without_a_name_is_claimed_by_the_first_take,
    dynamodb::a_table_of_several_streams_is_refused_unless_it_has_leases_of_one,
    dynamodb::what_else_lies_in_the_table_is_passed_over,
    dynamodb::a_row_that_cannot_be_read_is_named_with_the_mend_and_holds_back_no_other,
    dynamodb::a_row_without_counters_reads_as_one_that_was_never_written,
    dynamodb::a_leader_is_seen_in_the_table_or_the_one_beside_it_until_it_steps_down,
    dynamodb::a_leader_is_believed_in_while_its_table_does_not_answer,
    dynamodb::without_the_permission_to_look_for_a_leader_there_is_none,
    dynamodb::a_denied_access_names_the_permission_and_the_table,
    dynamodb::a_throttled_write_fails_at_once_and_the_caller_decides,
    dynamodb::a_lost_answer_is_an_error_and_the_repeat_shows_that_the_write_had_landed,
    dynamodb::a_server_that_does_not_tell_the_row_of_a_refusal_is_asked_for_it,
    dynamodb::a_call_that_is_not_answered_ends_a_write_after_two_seconds_and_a_read_after_five,
}

// The fake knows nothing of the library's older form of requests, of bytes in a page, and of names that are none.
on_every_server! {
    dynamodb_on_ministack_alone, Ministack,
    dynamodb::a_table_name_that_is_none_is_refused_with_the_mend,
    dynamodb::a_table_of_many_pages_is_read_to_its_end,
    mixed_fleet::we_go_on_from_a_row_of_version_2_and_the_library_goes_on_from_ours,
    mixed_fleet::we_go_on_from_rows_of_version_3,
    mixed_fleet::the_library_reads_each_row_that_we_write,
    mixed_fleet::a_lease_that_the_library_takes_is_lost_at_the_next_renewal,
    mixed_fleet::we_hand_over_when_the_leader_of_the_library_asks_for_it,
    mixed_fleet::the_library_hands_over_what_we_ask_for,
    mixed_fleet::we_take_over_what_the_leader_of_the_library_evicts_or_assigns_again,
    mixed_fleet::what_others_add_to_a_row_survives_every_change,
}
