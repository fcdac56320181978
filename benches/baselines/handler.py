"""The job as a Lambda function on a Kinesis stream: python3 handler.py FILE [json|orjson]

FILE holds one record a line. calls.json beside it tells which calls change a bucket, and what of it.
Prints what came of it, and the processor time of the second pass: the first one is to warm up.
"""

import base64
import importlib
import json
import os
import sys
import time

RECORDS_IN_BATCH = 100

parser = importlib.import_module(sys.argv[2] if len(sys.argv) > 2 else "json")
with open(os.path.join(os.path.dirname(sys.argv[1]), "calls.json"), encoding="utf-8") as calls:
    CALLS = json.load(calls)

buckets = {}


def handler(event, context):
    for record in event["Records"]:
        detail = parser.loads(base64.b64decode(record["kinesis"]["data"]))["detail"]
        if detail["eventSource"] != "s3.amazonaws.com" or "errorCode" in detail:
            continue
        facet = CALLS.get(detail["eventName"])
        if facet is None:
            continue
        parameters = detail["requestParameters"]
        name = parameters.get("bucketName")
        if name is None:
            arn = parameters["resource"]
            if ":s3:::" not in arn:
                continue
            name = arn.split(":s3:::")[1]
        facets = buckets.setdefault(name, {})
        known = facets.get(facet)
        if known is None or known["eventTime"] <= detail["eventTime"]:
            facets[facet] = {"eventTime": detail["eventTime"], "parameters": parameters}


with open(sys.argv[1], "rb") as file:
    data = [base64.b64encode(line.rstrip(b"\n")).decode() for line in file]
events = [
    {"Records": [{"eventSource": "aws:kinesis", "kinesis": {"data": one}} for one in data[start : start + RECORDS_IN_BATCH]]}
    for start in range(0, len(data), RECORDS_IN_BATCH)
]
for _ in range(2):
    buckets.clear()
    begun = time.process_time()
    for event in events:
        handler(event, None)
    took = time.process_time() - begun
print(json.dumps({"events": len(data), "buckets": sorted(buckets), "cpu_seconds": took}))
