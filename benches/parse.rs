//! What does it cost to understand a record, or to find that it does not matter?

use bucket_state::Parser;
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use trailgraph::generate::Generated;

fn main() {
    divan::main();
}

#[divan::bench]
fn all_traffic(bencher: Bencher<'_, '_>) {
    parse(bencher, &corpus::all());
}

#[divan::bench]
fn noise_only(bencher: Bencher<'_, '_>) {
    parse(bencher, &corpus::noise());
}

#[divan::bench]
fn mutations_only(bencher: Bencher<'_, '_>) {
    parse(bencher, &corpus::mutations());
}

fn parse(bencher: Bencher<'_, '_>, records: &[&Generated]) {
    let counted = bencher.counter(ItemsCount::new(records.len())).counter(BytesCount::new(corpus::bytes(records)));
    counted.bench_local(|| {
        let mut parser = Parser::default();
        for record in records {
            parser.parse(&record.body, record.event_time_ms, &mut |parsed| drop(divan::black_box(parsed)));
        }
    });
}
