//! The handlers that we are compared with do the same job.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use corpus::handlers::{Folder, buckets};

#[test]
fn handlers_in_python_and_node_find_the_buckets_that_we_find() {
    let records: Vec<_> = corpus::wide().take(200).collect();
    let events: Vec<_> = records.iter().filter_map(corpus::parse).collect();
    let ours = buckets(&events);
    assert!(ours.len() > 5, "{ours:?}");
    let folder = Folder::write(&records).unwrap();
    for (program, script) in [("python3", "handler.py"), ("node", "handler.mjs")] {
        let answer = folder.run(program.as_ref(), script, &[]).unwrap();
        assert_eq!((answer.events, &answer.buckets), (200, &ours), "{script}");
    }
}
