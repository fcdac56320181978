//! What does it cost to understand a record, or to find that it does not matter?
//!
//! Beside it stands the limit, so that ratios are of one run: nobody understands bytes faster than `memchr` passes them.

use bucket_state::{Deltas, Parsed, Parser};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use trailgraph::generate::Generated;

/// JSON has no such byte.
const ABSENT: u8 = 0;

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

/// All that is done with a record before its window is sealed.
#[divan::bench]
fn all_traffic_into_deltas(bencher: Bencher<'_, '_>) {
    let records = corpus::all();
    counted(bencher, &records).with_inputs(Deltas::default).bench_local_values(|deltas| {
        let mut parser = Parser::default();
        for record in &records {
            parser.parse(&record.body, record.event_time_ms, &mut |parsed| {
                if let Parsed::Event(event) = parsed {
                    deltas.fold(event, record.event_time_ms);
                }
            });
        }
        deltas
    });
}

/// The limit: every byte is looked at, and nothing is made of it.
#[divan::bench]
fn limit_memchr(bencher: Bencher<'_, '_>) {
    let records = corpus::all();
    counted(bencher, &records).bench_local(|| {
        for record in &records {
            divan::black_box(memchr::memchr(ABSENT, &record.body));
        }
    });
}

fn parse(bencher: Bencher<'_, '_>, records: &[&Generated]) {
    counted(bencher, records).bench_local(|| {
        let mut parser = Parser::default();
        for record in records {
            parser.parse(&record.body, record.event_time_ms, &mut |parsed| drop(divan::black_box(parsed)));
        }
    });
}

fn counted<'a, 'b>(bencher: Bencher<'a, 'b>, records: &[&Generated]) -> Bencher<'a, 'b> {
    bencher.counter(ItemsCount::new(records.len())).counter(BytesCount::new(corpus::bytes(records)))
}
