//! What a state store promises, on every store; and what only the one on DynamoDB must withstand.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

#[path = "../support/mod.rs"]
mod support;

mod big;
mod cache;
mod claims;
mod compared;
mod fan_outs;
mod faults;
mod marks;
mod members;
mod outboxes;
mod pace;
mod races;
mod rows;
mod sinks;
mod table;
mod wire;
mod world;

use world::World;

/// Each check as a test of each store.
macro_rules! on_every_store {
    ($($module:ident::$check:ident,)*) => {
        on_every_store! { on_sqlite, super::World::sqlite(), $($module::$check,)* }
        on_every_store! { on_dynamodb, super::World::table().await, $($module::$check,)* }
    };
    ($name:ident, $world:expr, $($module:ident::$check:ident,)*) => {
        mod $name {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                super::$module::$check(&$world).await;
            })*
        }
    };
}

on_every_store! {
    rows::a_row_is_saved_only_on_the_version_that_was_loaded,
    rows::rows_are_loaded_in_the_order_asked_for_however_often,
    rows::a_store_tells_when_it_was_made_and_whether_it_holds_a_row,
    rows::a_damaged_row_is_told_and_kept_aside_by_the_next_save,
    rows::a_row_of_a_newer_build_is_refused_by_name,
    rows::a_save_without_a_mark_leaves_all_marks,
    marks::a_save_marks_for_every_sink_and_keeps_the_oldest_news_while_it_waits,
    marks::a_mark_is_cleared_on_its_version_and_leaves_the_digest,
    marks::a_row_that_has_moved_stays_pending_with_its_last_news_only,
    marks::a_rejected_version_is_counted_until_the_row_is_saved_again,
    marks::a_superseded_row_is_cleared_and_its_digest_forgotten,
    marks::each_sink_settles_for_itself,
    marks::two_workers_settle_one_row_for_their_sinks_at_once,
    marks::rows_of_others_are_pending_once_they_have_waited_and_ones_own_at_once,
    marks::the_longest_waiting_come_first_and_no_more_than_asked_for,
    marks::marking_counts_the_version_up_and_passes_over_what_is_not_there,
    marks::marking_all_forgets_what_the_sinks_have_acknowledged,
    sinks::a_new_sink_and_one_that_was_made_anew_get_every_row_as_a_new_version,
    sinks::a_forgotten_sink_takes_its_marks_with_it_and_may_come_again,
    sinks::an_instance_that_is_not_known_yet_is_no_news_nor_is_its_becoming_known,
    sinks::a_sink_that_joins_while_rows_are_saved_gets_all_of_them,
    members::members_are_listed_in_order_page_by_page_and_stay,
    members::the_former_account_is_marked_or_made_with_the_save,
    fan_outs::a_saved_account_is_handed_to_its_worker_until_it_is_ended,
    fan_outs::another_worker_adopts_a_fan_out_that_has_waited,
    fan_outs::a_fan_out_is_ended_only_for_the_news_that_it_was_claimed_with,
    fan_outs::an_account_that_is_only_marked_does_not_fan_out,
    claims::a_claim_is_set_only_by_who_has_seen_the_last_one,
    claims::of_twenty_that_claim_at_once_one_wins,
    big::a_state_of_megabytes_is_saved_loaded_marked_and_made_small_again,
    races::what_eight_workers_save_at_once_is_all_in_the_final_states,
}
