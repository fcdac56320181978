//! Whether a policy denies plain HTTP.

use serde_json::Value;

use super::{Condition, conditions, principals, texts};
use crate::body::text;

/// Whether a statement that denies turns away every request without TLS for an object of `bucket`. One that leaves
/// anybody, any action or any object out, or asks for more than that TLS be lacking, promises nothing.
pub(super) fn denies_plain_http(statement: &Value, bucket: &str) -> bool {
    let everybody = principals(&statement["Principal"]).iter().any(|(kind, name)| kind == "AWS" && name == "*");
    let everything = texts(&statement["Action"]).any(|action| action == "*" || action.eq_ignore_ascii_case("s3:*"));
    let everywhere = texts(&statement["Resource"]).any(|resource| covers_all_objects(&resource, bucket));
    everybody && everything && everywhere && asks_only_for_plain_http(statement)
}

/// Whether a resource ends in a wildcard that begins before the keys of the objects: `*`, `BUCKET*` or `BUCKET/*`.
fn covers_all_objects(resource: &str, bucket: &str) -> bool {
    let keys = format!("{bucket}/");
    resource.strip_suffix('*').is_some_and(|stem| keys.starts_with(stem))
}

/// Whether lacking TLS is the only condition. `BoolIfExists` also holds where the request does not tell.
fn asks_only_for_plain_http(statement: &Value) -> bool {
    let operators = statement["Condition"].as_object().map_or(0, serde_json::Map::len);
    let mut conditions = conditions(statement);
    let (Some(Condition { operator, key, values }), None) = (conditions.next(), conditions.next()) else {
        return false;
    };
    operators == 1
        && ["bool", "boolifexists"].contains(&operator.as_str())
        && key == "aws:securetransport"
        && values.iter().filter_map(text).any(|value| value == "false")
}
