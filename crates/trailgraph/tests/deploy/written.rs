//! What is written in the templates.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use trailgraph::operations::{MAKES_TABLES, OPERATIONS};

use crate::support::Sandbox;
use crate::template::Template;
use crate::{ALL, REQUIRED};

/// CloudFormation takes no longer one with the request itself; a longer one has to lie in a bucket.
const TEMPLATE_BYTES_MAX: u64 = 51_200;

/// Exit code and what was said.
fn lint(path: &Path) -> (Option<i32>, String) {
    let mut lint = Command::new(xtask::install::cfn_lint().unwrap());
    let output = lint.arg(path).env("AWS_DEFAULT_REGION", "us-east-1").output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

fn offered() -> Value {
    serde_json::from_str(&Sandbox::new().succeed(&["events", "--pattern"])).unwrap()
}

#[test]
fn the_linter_has_nothing_to_say() {
    for template in [Template::receiver(), Template::sender()] {
        assert_eq!(lint(&template.path), (Some(0), String::new()), "{}", template.path.display());
        assert!(std::fs::metadata(&template.path).unwrap().len() < TEMPLATE_BYTES_MAX);
    }
    // Not because it says nothing of anything.
    let sandbox = Sandbox::new();
    let text = std::fs::read_to_string(Template::receiver().path).unwrap();
    let broken = sandbox.path("broken.yaml");
    std::fs::write(&broken, text.replace("KeyType: HASH", "KeyType: HASHED")).unwrap();
    let (code, said) = lint(&broken);
    assert!(code == Some(2) && said.contains("HASHED"), "{code:?} {said}");
}

#[test]
fn the_rules_take_every_event_that_is_folded() {
    let sandbox = Sandbox::new();
    for template in [Template::receiver(), Template::sender()] {
        let path = template.path.to_str().unwrap();
        let output = sandbox.run(&["events", "--check", path]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(said.contains("matches all ") && !said.contains("error "), "{said}");
    }
}

#[test]
fn the_patterns_are_those_that_the_program_makes() {
    let offered = offered();
    let sender = Template::sender();
    let rule = &sender.resources(&[("BusArn", "arn:aws:events:eu-west-1:000000000000:event-bus/trailgraph")])["Rule"];
    assert_eq!(rule["Properties"]["EventPattern"], offered);

    let receiver = Template::receiver().resources(REQUIRED);
    for (id, exists) in [("BucketRule", true), ("AccountRule", false)] {
        let mut expected = offered.clone();
        expected["detail"]["requestParameters"] = json!({"bucketName": [{"exists": exists}]});
        assert_eq!(receiver[id]["Properties"]["EventPattern"], expected, "{id}");
    }
}

#[test]
fn a_sender_may_send_some_events_only() {
    let some = [
        ("BusArn", "arn:aws:events:eu-west-1:000000000000:event-bus/trailgraph"),
        ("Events", "CreateBucket,DeleteBucket"),
    ];
    let rule = &Template::sender().resources(&some)["Rule"]["Properties"];
    let expected = Sandbox::new().succeed(&["events", "--pattern", "--only", "CreateBucket,DeleteBucket"]);
    assert_eq!(rule["EventPattern"], serde_json::from_str::<Value>(&expected).unwrap());
}

#[test]
fn every_parameter_is_described_and_stands_in_one_group() {
    for template in [Template::receiver(), Template::sender()] {
        let declared = template.json["Parameters"].as_object().unwrap();
        for (name, parameter) in declared {
            assert!(parameter["Description"].as_str().is_some_and(|text| text.len() > 10), "{name}");
        }
        let groups = &template.json["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"];
        let mut grouped: Vec<_> =
            groups.as_array().unwrap().iter().flat_map(|group| group["Parameters"].as_array().unwrap()).collect();
        grouped.sort_by_key(|name| name.as_str());
        let mut names: Vec<_> = declared.keys().collect();
        names.sort();
        assert_eq!(grouped, names);
    }
}

/// The container, and what it is told.
fn container(resources: &BTreeMap<String, Value>) -> (Value, BTreeMap<String, String>) {
    let container = resources["TaskDefinition"]["Properties"]["ContainerDefinitions"][0].clone();
    let pairs = container["Environment"].as_array().unwrap().iter();
    let told =
        pairs.map(|pair| (pair["Name"].as_str().unwrap().to_owned(), pair["Value"].as_str().unwrap().to_owned()));
    let told = told.collect();
    (container, told)
}

#[test]
fn the_program_knows_every_setting_that_it_is_given() {
    let sandbox = Sandbox::new();
    let help = sandbox.succeed(&["run", "--help"]);
    for parameters in [REQUIRED, ALL] {
        let (container, told) = container(&Template::receiver().resources(parameters));
        let secrets = container["Secrets"].as_array().unwrap().iter().map(|secret| secret["Name"].as_str().unwrap());
        let names: BTreeSet<&str> = told.keys().map(String::as_str).chain(secrets).collect();
        for name in names.into_iter().filter(|name| *name != "AWS_REGION") {
            assert!(help.contains(name), "trailgraph run knows no {name}");
        }
    }
}

#[test]
fn the_permit_is_the_stacks_or_ones_own_or_the_buss() {
    let receiver = Template::receiver();
    let set = |changes: &[(&'static str, &'static str)]| {
        let others = REQUIRED.iter().filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
        let parameters: Vec<_> = others.chain(changes).copied().collect();
        let resources = receiver.resources(&parameters);
        let (_, told) = container(&resources);
        let statements = resources["TaskRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"].clone();
        let reads = statements.as_array().unwrap().iter().find(|statement| statement["Sid"] == "ReadThePermit");
        let reads =
            reads.map(|statement| statement["Resource"].as_str().unwrap().rsplit(':').next().unwrap().to_owned());
        (told.get("TRAILGRAPH_PERMIT").cloned(), told.get("TRAILGRAPH_PERMIT_ANY").cloned(), reads)
    };
    let some = |text: &str| Some(text.to_owned());
    let organization = ("OrganizationId", "o-a1b2c3d4e5");
    for (changes, expected) in [
        (&[][..], (some("ssm:/trailgraph/permit"), None, some("parameter/trailgraph/permit"))),
        (&[("PermitParameterName", "/a/b")], (some("ssm:/a/b"), None, some("parameter/a/b"))),
        (&[("PermitParameterName", "flat")], (some("ssm:flat"), None, some("parameter/flat"))),
        (&[organization], (some("ssm:/trailgraph/permit"), None, some("parameter/trailgraph/permit"))),
        (&[organization, ("PermittedAccounts", "")], (None, some("true"), None)),
    ] {
        assert_eq!(set(changes), expected, "{changes:?}");
    }
    let permit = &receiver.resources(REQUIRED)["Permit"]["Properties"]["Value"];
    assert_eq!(
        serde_json::from_str::<Value>(permit.as_str().unwrap()).unwrap(),
        json!({"accounts": {"111122223333": {}, "444455556666": {}}})
    );
}

#[test]
fn a_worker_can_write_nowhere_and_gain_nothing() {
    let (container, told) = container(&Template::receiver().resources(ALL));
    assert_eq!(container["ReadonlyRootFilesystem"], true);
    assert_eq!(container["User"], "65532:65532");
    assert_eq!(container["LinuxParameters"]["Capabilities"], json!({"Drop": ["ALL"]}));
    assert_eq!(container["HealthCheck"]["Command"], json!(["CMD", "/trailgraph", "health"]));
    assert_eq!(container["StopTimeout"], 30);
    let arn = |name: &str| format!("arn:aws:secretsmanager:eu-west-1:000000000000:secret:{name}-a1b2c3");
    assert_eq!(
        container["Secrets"],
        json!([
            {"Name": "TRAILGRAPH_JUPITERONE_API_KEY", "ValueFrom": arn("key")},
            {"Name": "TRAILGRAPH_BOLT_PASSWORD", "ValueFrom": arn("password")},
        ])
    );
    // Nothing is kept in a file.
    for setting in ["LEASES", "STATE", "DEAD_LETTERS", "GRAPH", "PERMIT"] {
        let value = &told[&format!("TRAILGRAPH_{setting}")];
        assert!(["dynamodb:", "sqs:", "ssm:", "jupiterone:"].iter().any(|kind| value.starts_with(kind)), "{value}");
    }
}

#[test]
fn the_roles_name_each_action_and_each_resource() {
    let (receiver, sender) = (Template::receiver(), Template::sender());
    let bus = [("BusArn", "arn:aws:events:eu-west-1:000000000000:event-bus/trailgraph")];
    let all = [receiver.resources(REQUIRED), receiver.resources(ALL), sender.resources(&bus)];
    let roles = all.iter().flatten().filter(|(_, resource)| resource["Type"] == "AWS::IAM::Role");
    let mut seen = 0;
    for (id, role) in roles {
        let policies = role["Properties"]["Policies"].as_array().unwrap();
        for statement in policies.iter().flat_map(|policy| policy["PolicyDocument"]["Statement"].as_array().unwrap()) {
            let list = |value: &Value| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
            let actions = list(&statement["Action"]);
            assert!(actions.iter().all(|action| !action.as_str().unwrap().contains('*')), "{id}: {statement}");
            let registry = actions == ["ecr:GetAuthorizationToken"];
            assert!(
                list(&statement["Resource"]).iter().all(|resource| (resource == "*") == registry),
                "{id}: {statement}"
            );
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn the_workers_role_allows_what_the_program_calls_and_leaves_making_tables_to_the_template() {
    let resources = Template::receiver().resources(ALL);
    let statements = resources["TaskRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"].clone();
    let mut allowed = BTreeSet::new();
    for statement in statements.as_array().unwrap() {
        // The keys of stream, secrets and the rest are named apart.
        let sid = statement["Sid"].as_str().unwrap();
        let sid = if sid.starts_with("UseThe") { "UseTheKeys" } else { sid };
        let actions = statement["Action"].as_array().cloned().unwrap_or_else(|| vec![statement["Action"].clone()]);
        allowed.extend(actions.iter().map(|action| format!("{sid} {}", action.as_str().unwrap())));
    }
    let table = OPERATIONS.iter().flat_map(|group| group.actions.iter().map(|(action, _)| (group.sid, *action)));
    let table = table.filter(|(_, action)| *action != MAKES_TABLES);
    assert_eq!(allowed, table.map(|(sid, action)| format!("{sid} {action}")).collect());
}

#[test]
fn every_alarm_tells_the_topic_and_is_in_the_runbook() {
    for (parameters, actions) in [(REQUIRED, json!([])), (ALL, json!(["arn:aws:sns:eu-west-1:000000000000:on-call"]))] {
        let resources = Template::receiver().resources(parameters);
        let alarms: Vec<_> = resources.iter().filter(|(_, made)| made["Type"] == "AWS::CloudWatch::Alarm").collect();
        assert_eq!(alarms.len(), 8);
        let runbook = std::fs::read_to_string(Template::receiver().path.with_file_name("runbook.md")).unwrap();
        for (id, alarm) in alarms {
            assert_eq!(alarm["Properties"]["AlarmActions"], actions, "{id}");
            assert_eq!(alarm["Properties"]["OKActions"], actions, "{id}");
            let name = alarm["Properties"]["AlarmName"].as_str().unwrap();
            let (_, name) = name.split_once('-').unwrap();
            assert!(runbook.contains(&format!("`{name}`")), "{name} is not in the runbook");
        }
    }
}

#[test]
fn the_documentation_has_every_parameter_and_its_default() {
    let docs = Template::receiver().path.parent().unwrap().join("../docs");
    for (template, document) in [(Template::receiver(), "deploy.md"), (Template::sender(), "onboarding.md")] {
        let text = std::fs::read_to_string(docs.join(document)).unwrap();
        for (name, parameter) in template.json["Parameters"].as_object().unwrap() {
            let default = match &parameter["Default"] {
                Value::Null => "required".to_owned(),
                Value::String(text) if text.is_empty() => "-".into(),
                Value::String(text) => format!("`{text}`"),
                number => format!("`{number}`"),
            };
            assert!(text.contains(&format!("| `{name}` | {default} |")), "{document}: {name}, {default}");
        }
    }
}
