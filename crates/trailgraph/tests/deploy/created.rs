//! What CloudFormation makes of the receiver's template, as the AWS CLI shows it.
//!
//! A protocol server makes it. It knows no policies of buses, no scaling and no metric math in alarms, so these are cut
//! out; of what it makes it does not show everything.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use xtask::servers::MinistackServer;

use crate::support::{Sandbox, TRAILGRAPH};
use crate::template::{Parameters, REGION, Template};
use crate::{ALL, REQUIRED};

const PATIENCE: Duration = Duration::from_secs(60);
/// Logical ids of what the server cannot make.
const CUT_OUT: [&str; 6] =
    ["BusAdmitsAccounts", "BusAdmitsOrganization", "FailedInvocations", "ScaleByLag", "ScaleByShards", "Scaling"];
const CUT_OUT_TYPES: [&str; 3] = [
    "AWS::ApplicationAutoScaling::ScalableTarget",
    "AWS::ApplicationAutoScaling::ScalingPolicy",
    "AWS::Events::EventBusPolicy",
];

/// An account with a server for everything in it.
pub(crate) struct Account {
    server: MinistackServer,
    sandbox: Sandbox,
}

impl Account {
    pub(crate) fn new() -> Self {
        Self { server: MinistackServer::start().unwrap(), sandbox: Sandbox::new() }
    }

    pub(crate) fn endpoint(&self) -> String {
        self.server.endpoint()
    }

    /// What the AWS CLI prints.
    pub(crate) fn aws(&self, command: &str) -> Value {
        let mut aws = Command::new(xtask::install::aws_cli().unwrap());
        aws.args(["--endpoint-url", &self.endpoint(), "--region", REGION, "--output", "json"]);
        aws.args(command.split(' '));
        let aws = self.with_credentials(&mut aws).current_dir(self.sandbox.path(""));
        let output = aws.env("AWS_PAGER", "").output().unwrap();
        assert!(output.status.success(), "aws {command}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    fn with_credentials<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        command.env("AWS_EC2_METADATA_DISABLED", "true")
    }

    /// Makes a stack of the template without what the server cannot make, and waits until it stands.
    fn create(&self, name: &str, given: Parameters) {
        assert_eq!(self.make("create-stack", name, Template::receiver(), given), CUT_OUT);
        self.wait(name, "CREATE");
    }

    /// Asks for it, and returns what was cut out.
    fn make(&self, how: &str, name: &str, template: Template, given: Parameters) -> Vec<String> {
        let mut template = template.json;
        let resources = template["Resources"].as_object_mut().unwrap();
        let mut skipped = Vec::new();
        resources.retain(|id, resource| {
            let kind = resource["Type"].as_str().unwrap();
            let math = kind == "AWS::CloudWatch::Alarm" && !resource["Properties"]["Metrics"].is_null();
            let cut = math || CUT_OUT_TYPES.contains(&kind);
            if cut {
                println!("{name}: {id} ({kind}) is not made");
                skipped.push(id.clone());
            }
            !cut
        });
        skipped.sort();
        std::fs::write(self.sandbox.path("cut.json"), template.to_string()).unwrap();
        let parameters = given.iter().map(|(key, value)| json!({"ParameterKey": key, "ParameterValue": value}));
        std::fs::write(self.sandbox.path("parameters.json"), parameters.collect::<Value>().to_string()).unwrap();
        let files = "--template-body file://cut.json --parameters file://parameters.json";
        self.aws(&format!("cloudformation {how} --stack-name {name} {files} --capabilities CAPABILITY_IAM"));
        skipped
    }

    fn wait(&self, name: &str, operation: &str) {
        let begun = Instant::now();
        loop {
            let stack = self.aws(&format!("cloudformation describe-stacks --stack-name {name}"))["Stacks"][0].clone();
            match stack["StackStatus"].as_str().unwrap().strip_prefix(operation) {
                Some("_COMPLETE") => return,
                Some(going) if going.ends_with("_IN_PROGRESS") => assert!(begun.elapsed() < PATIENCE, "{stack}"),
                _ => panic!("{}", self.aws(&format!("cloudformation describe-stack-events --stack-name {name}"))),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn permit(&self) -> Value {
        let parameter = self.aws("ssm get-parameter --name /trailgraph/permit");
        serde_json::from_str(parameter["Parameter"]["Value"].as_str().unwrap()).unwrap()
    }

    fn environment(&self, family: &str) -> Value {
        let task = self.aws(&format!("ecs describe-task-definition --task-definition {family}"));
        let pairs = task["taskDefinition"]["containerDefinitions"][0]["environment"].as_array().unwrap().clone();
        pairs.into_iter().map(|pair| (pair["name"].as_str().unwrap().to_owned(), pair["value"].clone())).collect()
    }

    fn stack_resource(&self, stack: &str, id: &str) -> String {
        let of = format!("--stack-name {stack} --logical-resource-id {id}");
        let found = self.aws(&format!("cloudformation describe-stack-resource {of}"));
        found["StackResourceDetail"]["PhysicalResourceId"].as_str().unwrap().to_owned()
    }
}

fn only(object: &Value, fields: &[&str]) -> Value {
    fields.iter().map(|field| ((*field).to_owned(), object[*field].clone())).collect()
}

#[test]
fn the_template_makes_what_the_service_needs() {
    let account = Account::new();
    account.create("first", REQUIRED);
    the_stream_and_the_bus(&account);
    the_tables(&account);
    the_service(&account);
    an_update_permits_another_account(&account);
    account.create("second", ALL);
    everything_of_ones_own(&account);
    a_sender(&account);
}

fn the_stream_and_the_bus(account: &Account) {
    let stream = &account.aws("kinesis describe-stream --stream-name trailgraph")["StreamDescription"];
    assert_eq!((&stream["StreamStatus"], &stream["RetentionPeriodHours"]), (&json!("ACTIVE"), &json!(168)));

    let queue = account.stack_resource("first", "Undelivered");
    let undelivered =
        account.aws(&format!("sqs get-queue-attributes --queue-url {queue} --attribute-names QueueArn Policy"));
    let undelivered = &undelivered["Attributes"];
    let mut arns = Vec::new();
    let written = Template::receiver().resources(REQUIRED);
    for (rule, id, key) in [
        ("trailgraph-accounts", "AccountRule", "$.detail.recipientAccountId"),
        ("trailgraph-buckets", "BucketRule", "$.detail.requestParameters.bucketName"),
    ] {
        let found = account.aws(&format!("events describe-rule --name {rule} --event-bus-name trailgraph"));
        assert_eq!(found["State"], "ENABLED");
        let pattern: Value = serde_json::from_str(found["EventPattern"].as_str().unwrap()).unwrap();
        assert_eq!(pattern, written[id]["Properties"]["EventPattern"]);
        let targets =
            account.aws(&format!("events list-targets-by-rule --rule {rule} --event-bus-name trailgraph"))["Targets"]
                .clone();
        assert_eq!(targets.as_array().unwrap().len(), 1);
        let target = &targets[0];
        assert_eq!(target["Arn"], stream["StreamARN"]);
        assert_eq!(target["KinesisParameters"], json!({"PartitionKeyPath": key}));
        assert_eq!(target["RetryPolicy"], json!({"MaximumEventAgeInSeconds": 86_400, "MaximumRetryAttempts": 185}));
        assert_eq!(target["DeadLetterConfig"]["Arn"], undelivered["QueueArn"]);
        arns.push(found["Arn"].clone());
    }
    let policy: Value = serde_json::from_str(undelivered["Policy"].as_str().unwrap()).unwrap();
    let mut allowed = policy["Statement"][0]["Condition"]["ArnEquals"]["aws:SourceArn"].as_array().unwrap().clone();
    allowed.sort_by_key(Value::to_string);
    assert_eq!(allowed, arns);
}

fn the_tables(account: &Account) {
    let described = |table: &str| {
        let table = account.aws(&format!("dynamodb describe-table --table-name {table}"))["Table"].clone();
        let mut keys = only(&table, &["AttributeDefinitions", "KeySchema", "BillingModeSummary"]);
        keys["AttributeDefinitions"].as_array_mut().unwrap().sort_by_key(|one| one["AttributeName"].to_string());
        let indexes = table["GlobalSecondaryIndexes"].as_array().cloned().unwrap_or_default();
        let indexes = indexes.iter().map(|index| only(index, &["IndexName", "KeySchema", "Projection"]));
        keys["Indexes"] = indexes.collect();
        keys
    };
    // What the program makes of itself, where there is no table.
    let endpoint = account.endpoint();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(TRAILGRAPH);
        command.args(arguments).env("AWS_ENDPOINT_URL_DYNAMODB", &endpoint).env("AWS_REGION", REGION);
        let output = account.with_credentials(&mut command).current_dir(account.sandbox.path("")).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    std::fs::write(account.sandbox.path("none.jsonl"), "").unwrap();
    for table in ["own-state", "trailgraph-state"] {
        run(&["replay", "none.jsonl", "--state", &format!("dynamodb:{table}"), "--graph", "sqlite:graph.db"]);
    }
    assert_eq!(described("trailgraph-state"), described("own-state"));
    assert_eq!(
        described("trailgraph-leases"),
        json!({
            "AttributeDefinitions": [{"AttributeName": "leaseKey", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "leaseKey", "KeyType": "HASH"}],
            "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
            "Indexes": [],
        })
    );
    run(&["leases", "show", "--stream", "trailgraph", "--leases", "dynamodb:trailgraph-leases"]);
    // The server does not show them.
    let written = Template::receiver();
    for table in ["LeaseTable", "StateTable"] {
        let resource = &written.json["Resources"][table];
        assert_eq!(resource["DeletionPolicy"], "RetainExceptOnCreate");
        assert_eq!(resource["UpdateReplacePolicy"], "Retain");
        assert_eq!(
            resource["Properties"]["PointInTimeRecoverySpecification"],
            json!({"PointInTimeRecoveryEnabled": true})
        );
    }
}

fn the_service(account: &Account) {
    assert_eq!(account.permit(), json!({"accounts": {"111122223333": {}, "444455556666": {}}}));

    let task = account.aws("ecs describe-task-definition --task-definition trailgraph");
    let task = &task["taskDefinition"];
    assert_eq!(
        only(task, &["networkMode", "requiresCompatibilities", "cpu", "memory"]),
        json!({"networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "512", "memory": "1024"})
    );
    let container = &task["containerDefinitions"][0];
    assert_eq!(
        only(container, &["image", "entryPoint", "command", "user", "readonlyRootFilesystem", "stopTimeout"]),
        json!({"image": "trailgraph:1", "entryPoint": ["/trailgraph"], "command": ["run"], "user": "65532:65532",
               "readonlyRootFilesystem": true, "stopTimeout": 30})
    );
    assert_eq!(container["logConfiguration"]["options"]["awslogs-group"], "/ecs/trailgraph");
    let queue = account.stack_resource("first", "DeadLetters");
    assert_eq!(
        account.environment("trailgraph"),
        json!({
            "AWS_REGION": REGION, "TRAILGRAPH_APP_NAME": "trailgraph", "TRAILGRAPH_STREAM": "trailgraph",
            "TRAILGRAPH_LEASES": "dynamodb:trailgraph-leases", "TRAILGRAPH_STATE": "dynamodb:trailgraph-state",
            "TRAILGRAPH_DEAD_LETTERS": format!("sqs:{queue}"), "TRAILGRAPH_GRAPH": "jupiterone:",
            "TRAILGRAPH_START": "trim-horizon", "TRAILGRAPH_FLUSH_AFTER": "5s", "TRAILGRAPH_FAILOVER_AFTER": "10s",
            "TRAILGRAPH_LOG": "json",
            "TRAILGRAPH_METRICS_ADDR": "127.0.0.1:9464", "TRAILGRAPH_PERMIT": "ssm:/trailgraph/permit",
            "TRAILGRAPH_JUPITERONE_SCOPE": "account", "TRAILGRAPH_JUPITERONE_REQUESTS_PER_MINUTE": "30",
            "TRAILGRAPH_BOLT_USER": "neo4j", "TRAILGRAPH_BOLT_DATABASE": "neo4j",
        })
    );
    let service = account.aws("ecs describe-services --cluster trailgraph --services trailgraph");
    let deployment = &service["services"][0]["deploymentConfiguration"];
    assert_eq!(
        *deployment,
        json!({"deploymentCircuitBreaker": {"enable": true, "rollback": true}, "maximumPercent": 200,
               "minimumHealthyPercent": 100})
    );
    let group = account.stack_resource("first", "SecurityGroup");
    let group = account.aws(&format!("ec2 describe-security-groups --group-ids {group}"))["SecurityGroups"][0].clone();
    let ports = group["IpPermissionsEgress"].as_array().unwrap().iter().map(|rule| rule["FromPort"].clone());
    assert_eq!((ports.collect::<Vec<_>>(), &group["IpPermissions"]), (vec![json!(443)], &json!([])));
}

fn an_update_permits_another_account(account: &Account) {
    let mut given = REQUIRED.to_vec();
    given[0] = ("PermittedAccounts", "111122223333,444455556666,777788889999");
    assert_eq!(account.make("update-stack", "first", Template::receiver(), &given), CUT_OUT);
    account.wait("first", "UPDATE");
    assert_eq!(account.permit(), json!({"accounts": {"111122223333": {}, "444455556666": {}, "777788889999": {}}}));
}

/// Stream, cluster, tables, security group, permit and keys are there already.
fn everything_of_ones_own(account: &Account) {
    let made = account.aws("cloudformation list-stack-resources --stack-name second");
    let made = made["StackResourceSummaries"].as_array().unwrap().iter();
    let mut kinds: Vec<_> = made.map(|resource| resource["ResourceType"].as_str().unwrap().to_owned()).collect();
    kinds.sort();
    kinds.dedup();
    assert_eq!(
        kinds,
        [
            "AWS::CloudWatch::Alarm",
            "AWS::ECS::Service",
            "AWS::ECS::TaskDefinition",
            "AWS::Events::EventBus",
            "AWS::Events::Rule",
            "AWS::IAM::Role",
            "AWS::Logs::LogGroup",
            "AWS::SQS::Queue",
            "AWS::SQS::QueuePolicy"
        ]
    );
    let told = account.environment("second");
    for (setting, value) in [
        ("STREAM", "trailgraph"),
        ("LEASES", "dynamodb:acme-consumer"),
        ("STATE", "dynamodb:trailgraph-state"),
        ("PERMIT", "ssm:/security/permit"),
        ("FAN_OUT", "true"),
        ("METRICS_ADDR", "0.0.0.0:9464"),
        ("GRAPH", "jupiterone:,neo4j+s://graph.internal"),
        ("JUPITERONE_ACCOUNT", "acme"),
        ("JUPITERONE_URL", "https://api.eu.jupiterone.io"),
    ] {
        assert_eq!(told[format!("TRAILGRAPH_{setting}")], value, "{setting}");
    }
    let service = account.aws("ecs describe-services --cluster trailgraph --services second");
    let network = &service["services"][0]["networkConfiguration"]["awsvpcConfiguration"];
    assert_eq!(network["securityGroups"], json!(["sg-12345678"]));
    let role = account.stack_resource("second", "TaskRole");
    let policy = account.aws(&format!("iam get-role-policy --role-name {role} --policy-name worker"));
    let statements = policy["PolicyDocument"]["Statement"].as_array().unwrap();
    let sids: Vec<_> = statements.iter().map(|statement| statement["Sid"].as_str().unwrap()).collect();
    assert_eq!(
        sids,
        [
            "ReadTheStream",
            "ReadByFanOut",
            "KeepLeases",
            "SeeAnotherLibrarysLeader",
            "KeepStates",
            "WriteDeadLetters",
            "ReadThePermit",
            "ReadApiKeys",
            "UseTheKeys",
        ]
    );
}

/// Its rule is on the default bus, and sends to the other one.
fn a_sender(account: &Account) {
    let bus = account.aws("events describe-event-bus --name trailgraph")["Arn"].as_str().unwrap().to_owned();
    let none: [&str; 0] = [];
    assert_eq!(account.make("create-stack", "sender", Template::sender(), &[("BusArn", &bus)]), none);
    account.wait("sender", "CREATE");
    let rules = account.aws("events list-rules")["Rules"].as_array().unwrap().clone();
    assert_eq!(rules.len(), 1);
    let rule = rules[0]["Name"].as_str().unwrap();
    let pattern: Value = serde_json::from_str(rules[0]["EventPattern"].as_str().unwrap()).unwrap();
    assert_eq!(pattern, Template::sender().resources(&[("BusArn", &bus)])["Rule"]["Properties"]["EventPattern"]);
    let targets = account.aws(&format!("events list-targets-by-rule --rule {rule}"))["Targets"].clone();
    assert_eq!((targets.as_array().unwrap().len(), &targets[0]["Arn"]), (1, &json!(bus)));
    let role = account.stack_resource("sender", "Role");
    assert!(targets[0]["RoleArn"].as_str().unwrap().ends_with(&format!(":role/{role}")));
    let policy = account.aws(&format!("iam get-role-policy --role-name {role} --policy-name bus"));
    let allowed = &policy["PolicyDocument"]["Statement"];
    assert_eq!(*allowed, json!([{"Effect": "Allow", "Action": "events:PutEvents", "Resource": bus}]));
}
