//! What stands below the flags: what to type, and what comes of it.

pub(super) const PROGRAM: &str = "\
Begin with `trailgraph demo`: it needs nothing, and ends with what to look at.

Every flag has an environment variable, named in its help: --flush-after is TRAILGRAPH_FLUSH_AFTER. Credentials, Region and endpoints of AWS are those of its SDKs (AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL_KINESIS, …).

Exit codes: 0 done or drained; 1 failed, or findings; 2 wrong usage or configuration: nothing was read.";

pub(super) const DEMO: &str = "\
Examples:
  trailgraph demo                                       as fast as it goes, then a summary
  trailgraph demo --events 60000 --rate 1000            a minute of traffic, to watch at http://127.0.0.1:9464/metrics
  trailgraph graph list --public --graph sqlite:trailgraph-demo.db";

pub(super) const RUN: &str = "\
Examples:
  trailgraph run --stream cloudtrail-s3 --permit permit.json
      all in ./trailgraph.db: nothing else is needed
  trailgraph run --stream cloudtrail-s3 --permit ssm:/trailgraph/permit \\
      --leases dynamodb:trailgraph-leases --state dynamodb:trailgraph-state \\
      --graph jupiterone: --jupiterone-account ID --dead-letters sqs:https://QUEUE
      one worker of a fleet: start as many as there are shards, at the most
  trailgraph run --stream cloudtrail-s3 --permit-any --dry-run
      tells what it would save and emit, and writes nothing

Passwords and keys are no flags: TRAILGRAPH_JUPITERONE_API_KEY, TRAILGRAPH_BOLT_PASSWORD.
SIGTERM drains: what was read is saved and checkpointed within seconds, and the exit code is 0. /metrics, /healthz and /readyz are served at --metrics-addr. `trailgraph check` with the same flags tells what is missing.";

pub(super) const REPLAY: &str = "\
Examples:
  trailgraph replay trail/2026/03/ --graph sqlite:march.db --state sqlite:march.db
  trailgraph replay trail/ --until 2026-03-01T12:00:00Z --graph sqlite:noon.db --state sqlite:noon.db
  aws s3 cp s3://trail/file.json.gz - | trailgraph replay -
  trailgraph replay dead-letters.jsonl --dead-letters file:still-bad.jsonl

Replaying what is known already changes nothing. Exit code 0: every graph has acknowledged all that was saved; 1: one rejected something, or accepted nothing for five minutes. Dead letters do not change the exit code.";

pub(super) const GRAPH: &str = "\
Examples:
  trailgraph graph list --public
  trailgraph graph show acme-payments-logs
  trailgraph graph export --format html > graph.html";

pub(super) const EVENTS: &str = "\
Examples:
  trailgraph events                                     what is folded, by CloudTrail's names
  trailgraph events --pattern                           the pattern of a rule for all of them
  trailgraph events --check template.yaml               what a rule misses, or has wrong";

pub(super) const LEASES: &str = "\
Examples:
  trailgraph leases show --stream cloudtrail-s3 --leases dynamodb:trailgraph-leases
  trailgraph leases rewind --stream cloudtrail-s3 --leases dynamodb:trailgraph-leases --to trim-horizon

Reading again changes nothing that is right.";

pub(super) const REPUBLISH: &str = "\
Examples:
  trailgraph republish --state dynamodb:trailgraph-state                      every graph is shown everything anew
  trailgraph republish --state dynamodb:trailgraph-state --forget sqlite:/old.db   a graph that is gone

Running workers emit what is marked; this command emits nothing.";

pub(super) const CHECK: &str = "\
Example:
  trailgraph check --stream cloudtrail-s3 --permit permit.json --leases dynamodb:trailgraph-leases …

Takes the flags of `run`, makes and writes nothing, and prints a line each: ok, note, or FAILED with what mends it.";

pub(super) const HEALTH: &str = "\
Example:
  trailgraph health                                     in a container: HEALTHCHECK CMD [\"/trailgraph\", \"health\"]";

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    fn piped(line: &str) -> Option<&str> {
        line.split_once("| trailgraph ").map(|(_, rest)| rest)
    }

    #[test]
    fn every_example_is_a_command_that_can_be_given() {
        let mut examples = 0;
        for text in [DEMO, RUN, REPLAY, GRAPH, EVENTS, LEASES, REPUBLISH, CHECK, HEALTH] {
            let text = text.replace("\\\n", " ");
            let indented = text.lines().filter(|line| line.starts_with("  "));
            let given = |line| str::strip_prefix(str::trim_start(line), "trailgraph ").or(piped(line));
            for line in indented.filter_map(given) {
                // What follows wide space tells what comes of it; a shell has the rest of a redirection.
                let command = line.split("   ").next().unwrap_or(line).split(['>', '…']).next().unwrap_or(line);
                let words = std::iter::once("trailgraph").chain(command.split_whitespace());
                let parsed = Cli::try_parse_from(words);
                assert!(
                    parsed.is_ok(),
                    "{command}: {}",
                    parsed.err().map(|error| error.to_string()).unwrap_or_default()
                );
                examples += 1;
            }
        }
        assert!(examples >= 20, "{examples}");
    }
}
