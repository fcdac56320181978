#!/usr/bin/env python3
"""Makes aggregates.jsonl: what another encoder packs, and what it was given.

    pip install aws-kinesis-agg==1.2.3 protobuf==7.36.2
    python3 make.py > aggregates.jsonl
"""

import json

from aws_kinesis_agg.aggregator import RecordAggregator

HASH_KEY_LAST = 2**128 - 1

# Name, and user records: partition key, data, explicit hash key.
CASES = {
    "one record": [("ledger", b"hello", None)],
    "empty data": [("ledger", b"", None), ("ledger", b"x", None)],
    "a key of its own for each": [(f"bucket-{n}", b"data %d" % n, None) for n in range(5)],
    "keys that are shared": [(f"bucket-{n % 2}", b"data %d" % n, None) for n in range(7)],
    "explicit hash keys": [
        ("a", b"first", "0"),
        ("a", b"last", str(HASH_KEY_LAST)),
        ("b", b"middle", str(2**127)),
        ("b", b"the same", "0"),
    ],
    "some with an explicit hash key": [("a", b"1", None), ("b", b"2", "7"), ("c", b"3", None)],
    "keys beyond ASCII": [("Schlüssel", b"1", None), ("鍵", b"2", None), ("\U0001f511", b"3", None)],
    "any bytes": [("bytes", bytes(range(256)), None), ("bytes", b"\xf3\x89\x9a\xc2", None)],
    "a large record": [("large", b"0123456789abcdef" * 256, None), ("large", b"after it", None)],
    "many records": [(f"bucket-{n % 10}", b"%d" % n, None) for n in range(300)],
}


def pack(records):
    aggregator = RecordAggregator()
    for partition_key, data, explicit_hash_key in records:
        full = aggregator.add_user_record(partition_key, data, explicit_hash_key)
        assert full is None, "a case fits into one aggregate"
    _, _, data = aggregator.clear_and_get().get_contents()
    return data


for name, records in CASES.items():
    given = [{"key": key, "explicit": explicit, "data": data.hex()} for key, data, explicit in records]
    print(json.dumps({"name": name, "aggregate": pack(records).hex(), "records": given}))
