//! The templates of the deploy folder: judged, created, carrying events, and scaling.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod support;
#[path = "support/template.rs"]
mod template;

#[path = "deploy/bus.rs"]
mod bus;
#[path = "deploy/carried.rs"]
mod carried;
#[path = "deploy/created.rs"]
mod created;
#[path = "deploy/metric_math.rs"]
mod metric_math;
#[path = "deploy/scaling.rs"]
mod scaling;
#[path = "deploy/written.rs"]
mod written;

/// What has to be given, and nothing else.
const REQUIRED: template::Parameters = &[
    ("PermittedAccounts", "111122223333,444455556666"),
    ("GraphUrls", "jupiterone:"),
    ("Image", "trailgraph:1"),
    ("VpcId", "vpc-12345678"),
    ("SubnetIds", "subnet-12345678,subnet-22345678"),
];

/// Everything that can be given, with what there is already.
const ALL: template::Parameters = &[
    ("PermittedAccounts", "111122223333"),
    ("OrganizationId", "o-a1b2c3d4e5"),
    ("PermitParameterName", "/security/permit"),
    ("RouteSecretsArn", "arn:aws:secretsmanager:eu-west-1:000000000000:secret:route-*"),
    ("GraphUrls", "jupiterone:,neo4j+s://graph.internal"),
    ("JupiterOneAccount", "acme"),
    ("JupiterOneUrl", "https://api.eu.jupiterone.io"),
    ("JupiterOneApiKeySecretArn", "arn:aws:secretsmanager:eu-west-1:000000000000:secret:key-a1b2c3"),
    ("BoltPasswordSecretArn", "arn:aws:secretsmanager:eu-west-1:000000000000:secret:password-a1b2c3"),
    ("AppName", "second"),
    ("Image", "000000000000.dkr.ecr.eu-west-1.amazonaws.com/trailgraph:1"),
    ("ImageRepositoryArn", "arn:aws:ecr:eu-west-1:000000000000:repository/trailgraph"),
    ("Architecture", "X86_64"),
    ("FanOut", "true"),
    ("ClusterName", "trailgraph"),
    ("VpcId", "vpc-12345678"),
    ("SubnetIds", "subnet-12345678,subnet-22345678"),
    ("SecurityGroupId", "sg-12345678"),
    ("GraphPort", "7687"),
    ("MetricsCidr", "10.0.0.0/8"),
    ("StreamName", "trailgraph"),
    ("LeaseTableName", "acme-consumer"),
    ("StateTableName", "trailgraph-state"),
    ("KmsKeyArn", "arn:aws:kms:eu-west-1:000000000000:key/of-tables"),
    ("StreamKmsKeyArn", "arn:aws:kms:eu-west-1:000000000000:key/of-the-stream"),
    ("SecretsKmsKeyArn", "arn:aws:kms:eu-west-1:000000000000:key/of-secrets"),
    ("AlarmTopicArn", "arn:aws:sns:eu-west-1:000000000000:on-call"),
];
