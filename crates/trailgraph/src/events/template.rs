//! CloudFormation templates, SAM's included.

use serde_json::{Map, Value};

use super::forms::Rule;

/// Every rule of a template's resources that has a pattern, by logical id; SAM's events as `Function.Event`.
pub(crate) fn rules(resources: &Map<String, Value>) -> Vec<Rule> {
    let mut rules = Vec::new();
    for (id, resource) in resources {
        let properties = &resource["Properties"];
        match resource["Type"].as_str() {
            Some("AWS::Events::Rule") => rules.extend(rule(id.clone(), properties, "EventPattern")),
            Some("AWS::Serverless::Function" | "AWS::Serverless::StateMachine") => {
                for (name, event) in properties["Events"].as_object().into_iter().flatten() {
                    if matches!(event["Type"].as_str(), Some("EventBridgeRule" | "CloudWatchEvent")) {
                        rules.extend(rule(format!("{id}.{name}"), &event["Properties"], "Pattern"));
                    }
                }
            }
            _ => {}
        }
    }
    rules
}

/// Rules without a pattern run on a schedule.
fn rule(name: String, properties: &Value, key: &str) -> Option<Rule> {
    let properties = properties.as_object()?;
    Some(Rule::new(Some(name), properties.get(key)?, properties))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::forms;

    #[test]
    fn every_rule_of_a_template_is_found_by_its_logical_id() {
        let template = r#"
AWSTemplateFormatVersion: 2010-09-09
Transform: AWS::Serverless-2016-10-31
Parameters:
  Names: {Type: CommaDelimitedList}
Resources:
  Nightly:
    Type: AWS::Events::Rule
    Properties: {ScheduleExpression: rate(1 day)}
  Watch:
    Type: AWS::Events::Rule
    Condition: Wanted
    Properties:
      Name: !Sub "${AWS::StackName}-watch"
      State: ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS
      EventPattern:
        source: [aws.s3]
        detail: {eventName: !Ref Names}
      Targets: [{Arn: !GetAtt Stream.Arn, Id: stream}]
  WatchAsText:
    Type: AWS::Events::Rule
    Properties:
      EventPattern: !Sub |
        {"source": ["aws.s3"], "account": ["${AWS::AccountId}"]}
  Handler:
    Type: AWS::Serverless::Function
    Properties:
      Policies: [!If [Wanted, a, !Ref "AWS::NoValue"]]
      Events:
        Bus: {Type: EventBridgeRule, Properties: {Pattern: {source: [aws.s3]}}}
        Old: {Type: CloudWatchEvent, Properties: {Pattern: {source: [aws.s3]}}}
        Tick: {Type: Schedule, Properties: {Schedule: rate(1 day)}}
  Stream: {Type: AWS::Kinesis::Stream}
"#;
        let rules = forms::rules(template).unwrap();
        let names: Vec<&str> = rules.iter().map(|rule| rule.name.as_deref().unwrap()).collect();
        assert_eq!(names, ["Handler.Bus", "Handler.Old", "Watch", "WatchAsText"]);
        assert_eq!(rules[2].pattern, Ok(json!({"source": ["aws.s3"], "detail": {"eventName": {"Ref": "Names"}}})));
        assert_eq!(rules[3].pattern, Ok(json!({"source": ["aws.s3"], "account": ["${AWS::AccountId}"]})));
        assert_eq!(rules.iter().map(|rule| rule.takes_reads).collect::<Vec<_>>(), [false, false, true, false]);
    }
}
