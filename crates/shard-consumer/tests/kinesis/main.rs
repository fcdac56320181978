//! What a source promises: each promise on a protocol server that others have written, and on the fake, which is so
//! held to what a real server passes.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod promises;
mod support;
mod worker;

/// Each promise as a test of each server.
macro_rules! on_both_servers {
    ($($promise:ident,)*) => {
        on_both_servers! { kinesis_mock on KinesisMock: $($promise,)* }
        on_both_servers! { fake on Fake: $($promise,)* }
    };
    ($name:ident on $server:ident: $($promise:ident,)*) => {
        mod $name {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $promise() {
                super::promises::$promise(super::support::Server::$server).await;
            })*
        }
    };
}

on_both_servers! {
    every_record_is_delivered_once_and_in_shard_order,
    parents_are_read_to_their_end_before_the_children_of_a_split_and_of_a_merge,
    the_children_have_rows_before_the_end_of_their_parent_is_checkpointed_and_it_is_not_read_again,
    a_restart_resumes_exactly_after_the_checkpoint,
    a_worker_that_joins_takes_over_half_of_the_shards_where_the_other_stopped,
    from_the_latest_nothing_is_lost_by_a_restart_before_the_first_checkpoint,
    a_stream_that_is_not_there_is_named_in_one_line_with_the_mend,
}
