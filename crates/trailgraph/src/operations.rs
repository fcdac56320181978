//! Every operation of AWS that the program may call, and why: what the role of a task must allow, and nothing else.
//!
//! `deploy/worker-policy.json` and the task's role in `deploy/receiver.yaml` have one statement for each group, under its
//! name; tests hold them to this table, and the calls that the program is seen to make.

/// Operations on one kind of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// The `Sid` of the statement.
    pub sid: &'static str,
    /// What it takes to be needed at all.
    pub needed: &'static str,
    /// Actions, as IAM names them, and what each is for.
    pub actions: &'static [(&'static str, &'static str)],
}

/// The action that a role may go without where the tables are there already.
pub const MAKES_TABLES: &str = "dynamodb:CreateTable";

/// All of them.
pub const OPERATIONS: [Group; 9] = [
    Group {
        sid: "ReadTheStream",
        needed: "always",
        actions: &[
            ("kinesis:ListShards", "which shards there are"),
            ("kinesis:DescribeStreamSummary", "how long records are kept, and whether keys decide their shards"),
            ("kinesis:GetShardIterator", "where reading begins"),
            ("kinesis:GetRecords", "reading by polling, and what `check` looks at"),
        ],
    },
    Group {
        sid: "ReadByFanOut",
        needed: "--fan-out",
        actions: &[
            ("kinesis:RegisterStreamConsumer", "the consumer is made once"),
            ("kinesis:DescribeStreamConsumer", "and waited for"),
            ("kinesis:SubscribeToShard", "reading"),
        ],
    },
    Group {
        sid: "KeepLeases",
        needed: "--leases dynamodb:TABLE",
        actions: &[
            ("dynamodb:DescribeTable", "whether the table is there"),
            (MAKES_TABLES, "making it, where it is missing"),
            ("dynamodb:Scan", "all leases"),
            ("dynamodb:GetItem", "a lease again, after a refused write"),
            ("dynamodb:PutItem", "the lease of a new shard"),
            ("dynamodb:UpdateItem", "taking, renewing, checkpointing, handing over, releasing"),
            ("dynamodb:DeleteItem", "the lease of a shard that the stream has forgotten"),
        ],
    },
    Group {
        sid: "SeeAnotherLibrarysLeader",
        needed: "a table that a fleet of the Kinesis Client Library had, or has",
        actions: &[("dynamodb:GetItem", "whether its leader lives")],
    },
    Group {
        sid: "KeepStates",
        needed: "--state dynamodb:TABLE",
        actions: &[
            ("dynamodb:DescribeTable", "whether the table is there"),
            (MAKES_TABLES, "making it, where it is missing"),
            ("dynamodb:BatchGetItem", "rows of a window"),
            ("dynamodb:GetItem", "the list of graphs, claims"),
            ("dynamodb:PutItem", "memberships of accounts"),
            ("dynamodb:UpdateItem", "saving and settling rows, alone or in a transaction"),
            ("dynamodb:DeleteItem", "marks of account changes that are done"),
            ("dynamodb:Query", "pending rows, members of an account, parts of a large row"),
            ("dynamodb:Scan", "marking every row, for a new graph or `republish`"),
        ],
    },
    Group {
        sid: "ReadApiKeys",
        needed: "--jupiterone-api-key-secret, or apiKeySecret in the permit list",
        actions: &[("secretsmanager:GetSecretValue", "the keys, at the start")],
    },
    Group {
        sid: "ReadThePermit",
        needed: "--permit ssm:NAME",
        actions: &[("ssm:GetParameter", "the permit list, every five seconds")],
    },
    Group {
        sid: "WriteDeadLetters",
        needed: "--dead-letters sqs:QUEUE_URL",
        actions: &[
            ("sqs:SendMessage", "dead letters"),
            ("sqs:GetQueueAttributes", "whether the queue is there, at the start"),
        ],
    },
    Group {
        sid: "UseTheKeys",
        needed: "a stream, queue, parameter or secret that is encrypted with a key of your own",
        actions: &[
            ("kms:Decrypt", "reading; the services ask for it, the program does not"),
            ("kms:GenerateDataKey", "writing to a queue; likewise"),
        ],
    },
];
