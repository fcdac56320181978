// The job as a Lambda function on a Kinesis stream: node handler.mjs FILE
//
// FILE holds one record a line. calls.json beside it tells which calls change a bucket, and what of it.
// Prints what came of it, and the processor time of the second pass: the first one is to warm up.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const RECORDS_IN_BATCH = 100;

const path = process.argv[2];
const calls = new Map(Object.entries(JSON.parse(readFileSync(join(dirname(path), "calls.json"), "utf8"))));
const buckets = new Map();

async function handler(event) {
  for (const record of event.Records) {
    const { detail } = JSON.parse(Buffer.from(record.kinesis.data, "base64").toString("utf8"));
    if (detail.eventSource !== "s3.amazonaws.com" || detail.errorCode !== undefined) continue;
    const facet = calls.get(detail.eventName);
    if (facet === undefined) continue;
    const parameters = detail.requestParameters;
    let name = parameters.bucketName;
    if (name === undefined) {
      if (!parameters.resource.includes(":s3:::")) continue;
      name = parameters.resource.split(":s3:::")[1];
    }
    let facets = buckets.get(name);
    if (facets === undefined) buckets.set(name, (facets = new Map()));
    const known = facets.get(facet);
    if (known === undefined || known.eventTime <= detail.eventTime) {
      facets.set(facet, { eventTime: detail.eventTime, parameters });
    }
  }
}

const lines = readFileSync(path, "utf8").split("\n").filter((line) => line !== "");
const data = lines.map((line) => Buffer.from(line).toString("base64"));
const events = [];
for (let start = 0; start < data.length; start += RECORDS_IN_BATCH) {
  const batch = data.slice(start, start + RECORDS_IN_BATCH);
  events.push({ Records: batch.map((one) => ({ eventSource: "aws:kinesis", kinesis: { data: one } })) });
}
let took;
for (let pass = 0; pass < 2; pass++) {
  buckets.clear();
  const begun = process.cpuUsage();
  for (const event of events) await handler(event);
  const { user, system } = process.cpuUsage(begun);
  took = (user + system) / 1e6;
}
console.log(JSON.stringify({ events: data.length, buckets: [...buckets.keys()].sort(), cpu_seconds: took }));
