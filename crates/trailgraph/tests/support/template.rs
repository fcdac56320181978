//! A template of the deploy folder, filled in as CloudFormation would.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// The account and the Region in which templates are filled in.
pub(crate) const ACCOUNT: &str = "000000000000";
pub(crate) const REGION: &str = "eu-west-1";

/// A template as it is written.
pub(crate) struct Template {
    pub(crate) path: PathBuf,
    pub(crate) json: Value,
}

/// Parameters by name.
pub(crate) type Parameters<'a> = &'a [(&'a str, &'a str)];

impl Template {
    pub(crate) fn receiver() -> Self {
        Self::read("receiver.yaml")
    }

    pub(crate) fn sender() -> Self {
        Self::read("sender.yaml")
    }

    fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(name);
        let text = std::fs::read_to_string(&path).expect("the template is there");
        let yaml: yaml_serde::Value = yaml_serde::from_str(&text).expect("YAML");
        Self { path, json: to_json(yaml) }
    }

    /// What it makes of these parameters, by logical id, with every function resolved. An ARN is `arn:LOGICAL-ID`.
    pub(crate) fn resources(&self, parameters: Parameters) -> BTreeMap<String, Value> {
        let filler = Filler { template: &self.json, parameters };
        let all = self.json["Resources"].as_object().expect("resources").iter();
        let made = all.filter(|(_, resource)| resource["Condition"].as_str().is_none_or(|name| filler.condition(name)));
        made.map(|(id, resource)| (id.clone(), filler.fill(resource).expect("a resource"))).collect()
    }
}

/// `!Sub x` becomes `{"Fn::Sub": "x"}`.
fn to_json(yaml: yaml_serde::Value) -> Value {
    match yaml {
        yaml_serde::Value::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let name = match tag.trim_start_matches('!') {
                plain @ ("Ref" | "Condition") => plain.to_owned(),
                function => format!("Fn::{function}"),
            };
            Value::Object(Map::from_iter([(name, to_json(tagged.value))]))
        }
        yaml_serde::Value::Sequence(list) => list.into_iter().map(to_json).collect(),
        yaml_serde::Value::Mapping(pairs) => {
            let pairs = pairs.into_iter().map(|(name, value)| (text_of(&to_json(name)), to_json(value)));
            Value::Object(pairs.collect())
        }
        plain => serde_json::to_value(plain).expect("a plain value"),
    }
}

/// CloudFormation's parameters are texts, whatever their type.
fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

struct Filler<'a> {
    template: &'a Value,
    parameters: Parameters<'a>,
}

impl Filler<'_> {
    /// Nothing for `AWS::NoValue`.
    fn fill(&self, value: &Value) -> Option<Value> {
        match value {
            Value::Array(list) => Some(list.iter().filter_map(|value| self.fill(value)).collect()),
            Value::Object(object) => match object.iter().next() {
                Some((name, argument)) if object.len() == 1 && (name == "Ref" || name.starts_with("Fn::")) => {
                    self.call(name, argument)
                }
                _ => {
                    let filled = object.iter().filter_map(|(name, value)| Some((name.clone(), self.fill(value)?)));
                    Some(Value::Object(filled.collect()))
                }
            },
            plain => Some(plain.clone()),
        }
    }

    fn call(&self, function: &str, argument: &Value) -> Option<Value> {
        let text = |value: &Value| text_of(&self.fill(value).expect("a value"));
        let list = |value: &Value| match self.fill(value) {
            Some(Value::Array(list)) => list.iter().map(text_of).collect::<Vec<_>>(),
            other => panic!("no list: {other:?}"),
        };
        match function {
            "Ref" => self.reference(argument.as_str().expect("a name")),
            "Fn::GetAtt" => Some(self.attribute(argument.as_str().expect("a name"))),
            "Fn::If" => {
                let chosen = if self.condition(argument[0].as_str().expect("a condition")) { 1 } else { 2 };
                self.fill(&argument[chosen])
            }
            "Fn::Join" => Some(list(&argument[1]).join(&text(&argument[0])).into()),
            "Fn::Split" => Some(text(&argument[1]).split(&text(&argument[0])).collect()),
            "Fn::Sub" if argument.is_array() => Some(self.substitute(&text_of(&argument[0]), &argument[1]).into()),
            "Fn::Sub" => Some(self.substitute(&text_of(argument), &json!({})).into()),
            other => panic!("{other} is not filled in here"),
        }
    }

    fn reference(&self, name: &str) -> Option<Value> {
        match name {
            "AWS::NoValue" => return None,
            "AWS::AccountId" => return Some(ACCOUNT.into()),
            "AWS::Region" => return Some(REGION.into()),
            "AWS::Partition" => return Some("aws".into()),
            _ => {}
        }
        let declared = &self.template["Parameters"][name];
        if declared.is_null() {
            return Some(self.physical(name));
        }
        let given = self.parameters.iter().find(|(given, _)| *given == name).map(|(_, value)| (*value).to_owned());
        let value = given.unwrap_or_else(|| {
            assert!(!declared["Default"].is_null(), "{name} has no default and is not given");
            text_of(&declared["Default"])
        });
        match declared["Type"].as_str() {
            Some(kind) if kind.contains("List") => Some(value.split(',').map(str::trim).collect()),
            _ => Some(value.into()),
        }
    }

    /// The name of a resource, or its logical id where it has none.
    fn physical(&self, id: &str) -> Value {
        let properties = &self.template["Resources"][id]["Properties"];
        assert!(!properties.is_null(), "{id} is neither a parameter nor a resource");
        let name = ["Name", "TableName", "ClusterName", "ServiceName", "LogGroupName"].into_iter();
        let name = name.map(|name| &properties[name]).find(|name| !name.is_null());
        name.and_then(|name| self.fill(name)).unwrap_or_else(|| id.into())
    }

    fn attribute(&self, of: &str) -> Value {
        let (id, attribute) = of.split_once('.').expect("a resource and its attribute");
        match attribute {
            "Arn" => format!("arn:{id}").into(),
            _ => self.physical(id),
        }
    }

    fn substitute(&self, text: &str, more: &Value) -> String {
        let mut parts = text.split("${");
        let mut filled = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').expect("a closing brace");
            let value = match (&more[name], name.contains('.')) {
                (Value::Null, true) => Some(self.attribute(name)),
                (Value::Null, false) => self.reference(name),
                (given, _) => self.fill(given),
            };
            filled += &text_of(&value.expect("a value"));
            filled += rest;
        }
        filled
    }

    fn condition(&self, name: &str) -> bool {
        self.holds(&self.template["Conditions"][name])
    }

    fn holds(&self, condition: &Value) -> bool {
        let (name, argument) = condition.as_object().and_then(|object| object.iter().next()).expect("a condition");
        let all = || argument.as_array().expect("a list").iter();
        match name.as_str() {
            "Condition" => self.condition(argument.as_str().expect("a name")),
            "Fn::Not" => !self.holds(&argument[0]),
            "Fn::And" => all().all(|one| self.holds(one)),
            "Fn::Or" => all().any(|one| self.holds(one)),
            "Fn::Equals" => self.fill(&argument[0]).map(|one| text_of(&one)) == Some(text_of(&argument[1])),
            other => panic!("{other} is no condition"),
        }
    }
}
