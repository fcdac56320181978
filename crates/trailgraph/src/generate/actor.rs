//! Who calls: roles, users and services, each with the tool that it uses.

use fastrand::Rng;

use super::text::{Second, put};
use super::world::{Account, any};

/// A caller; its account is told apart, since the same tools run in every account.
#[derive(Clone, Copy)]
pub(super) struct Actor(&'static Profile);

struct Profile {
    identity: Identity,
    user_agent: &'static str,
    /// Services call from inside AWS.
    from_inside: bool,
}

enum Identity {
    Role { role: &'static str, session: &'static str },
    User(&'static str),
    Root,
    Service(&'static str),
}

const TERRAFORM: Profile = Profile {
    identity: Identity::Role { role: "terraform-deploy", session: "aws-go-sdk-1772323000000000000" },
    user_agent: "[APN/1.0 HashiCorp/1.0 Terraform/1.11.2 (+https://www.terraform.io) terraform-provider-aws/5.91.0 \
                 (+https://registry.terraform.io/providers/hashicorp/aws) aws-sdk-go-v2/1.36.3 ua/2.1 os/linux \
                 lang/go#1.24.1 md/GOOS#linux md/GOARCH#amd64 api/s3#1.78.0]",
    from_inside: false,
};

const PEOPLE: &[Profile] = &[
    Profile {
        identity: Identity::Role {
            role: "AWSReservedSSO_AdministratorAccess_0123456789abcdef",
            session: "alex.doe@example.com",
        },
        user_agent: "[S3Console/0.4, aws-internal/3 aws-sdk-java/1.12.780 Linux/5.10 OpenJDK_64-Bit_Server_VM/25.442]",
        from_inside: false,
    },
    Profile {
        identity: Identity::User("ci-deployer"),
        user_agent: "[aws-cli/2.24.10 md/awscrt#0.23.8 ua/2.0 os/linux#6.1 md/arch#x86_64 lang/python#3.12.9 \
                     cfg/retry-mode#standard md/installer#exe md/prompt#off]",
        from_inside: false,
    },
    Profile {
        identity: Identity::Role { role: "platform-operations", session: "rotation" },
        user_agent: "[Boto3/1.37.4 md/Botocore#1.37.4 ua/2.0 os/linux#5.10 md/arch#aarch64 lang/python#3.12.9 \
                     exec-env/AWS_Lambda_python3.12 Botocore/1.37.4]",
        from_inside: false,
    },
    Profile {
        identity: Identity::Role { role: "cloudformation-execution", session: "AWSCloudFormation" },
        user_agent: "cloudformation.amazonaws.com",
        from_inside: true,
    },
    Profile {
        identity: Identity::Service("config.amazonaws.com"),
        user_agent: "config.amazonaws.com",
        from_inside: true,
    },
    Profile {
        identity: Identity::Root,
        user_agent: "[Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/134.0 Safari/537.36]",
        from_inside: false,
    },
];

impl Actor {
    /// The one that builds buckets.
    pub(super) fn terraform() -> Self {
        Self(&TERRAFORM)
    }

    /// The others, root and services rarely.
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let rare = rng.u8(..20) == 0;
        Self(if rare { &PEOPLE[4 + rng.usize(..2)] } else { &PEOPLE[rng.usize(..4)] })
    }

    /// One that may act in another account: a role.
    pub(super) fn visitor() -> Self {
        Self(&PEOPLE[2])
    }

    pub(super) fn user_agent(self) -> &'static str {
        self.0.user_agent
    }

    /// Documentation addresses, or the service's name.
    pub(super) fn put_source_address(self, text: &mut Vec<u8>, rng: &mut Rng) {
        if self.0.from_inside {
            put!(text, self.0.user_agent);
        } else {
            put!(text, any(&["192.0.2.", "198.51.100.", "203.0.113."], rng), rng.u64(1..255));
        }
    }

    /// The `userIdentity` as the caller's account sees it.
    pub(super) fn put_identity(self, text: &mut Vec<u8>, account: &Account, second: i64) {
        let Account { id, partition, .. } = *account;
        match self.0.identity {
            Identity::Role { role, session } => {
                put!(text, r#"{"type":"AssumedRole","principalId":"AROAEXAMPLE"#, id, ":", session);
                put!(text, r#"","arn":"arn:"#, partition, ":sts::", id, ":assumed-role/", role, "/", session);
                put!(text, r#"","accountId":""#, id, r#"","accessKeyId":"ASIAIOSFODNN7EXAMPLE","sessionContext":{"#);
                put!(text, r#""sessionIssuer":{"type":"Role","principalId":"AROAEXAMPLE"#, id, r#"","arn":"arn:"#);
                put!(text, partition, ":iam::", id, ":role/", role, r#"","accountId":""#, id);
                put!(text, r#"","userName":""#, role);
                // Sessions begin on the hour.
                let began = Second(second - second.rem_euclid(3_600));
                put!(text, r#""},"attributes":{"creationDate":""#, began, r#"","mfaAuthenticated":"false"}}}"#);
            }
            Identity::User(name) => {
                put!(text, r#"{"type":"IAMUser","principalId":"AIDAEXAMPLE"#, id, r#"","arn":"arn:"#, partition);
                put!(text, ":iam::", id, ":user/", name, r#"","accountId":""#, id);
                put!(text, r#"","accessKeyId":"AKIAIOSFODNN7EXAMPLE","userName":""#, name, r#""}"#);
            }
            Identity::Root => {
                put!(text, r#"{"type":"Root","principalId":""#, id, r#"","arn":"arn:"#, partition, ":iam::", id);
                put!(text, r#":root","accountId":""#, id, r#"","accessKeyId":"ASIAIOSFODNN7EXAMPLE"}"#);
            }
            Identity::Service(name) => put!(text, r#"{"type":"AWSService","invokedBy":""#, name, r#""}"#),
        }
    }

    /// The `userIdentity` as another account sees it: hardly more than where the call came from.
    pub(super) fn put_foreign_identity(self, text: &mut Vec<u8>, account: &Account) {
        let session = match self.0.identity {
            Identity::Role { session, .. } => session,
            _ => "session",
        };
        put!(text, r#"{"type":"AWSAccount","principalId":"AROAEXAMPLE"#, account.id, ":", session);
        put!(text, r#"","accountId":""#, account.id, r#""}"#);
    }
}
