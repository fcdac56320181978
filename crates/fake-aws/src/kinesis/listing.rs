//! Lists the shards of a stream.

use serde_json::{Value, json};

use super::iterator::{TOKEN_LIFE_MS, seal, unseal};
use super::shard::{Shard, shard_number};
use super::stream::Stream;
use super::{Kinesis, invalid_argument, unknown_stream};
use crate::clock::Now;
use crate::protocol::{Failure, Input};

const PAGE_MAX: i64 = 10_000;
const PAGE: i64 = 1000;

impl Kinesis {
    pub(super) fn list_shards(&self, input: Input<'_>, now: Now) -> Result<Value, Failure> {
        input.only(&["StreamName", "StreamARN", "NextToken", "MaxResults", "ExclusiveStartShardId", "ShardFilter"])?;
        let page = input.integer("MaxResults")?.unwrap_or(PAGE);
        if !(1..=PAGE_MAX).contains(&page) {
            return Err(Failure::invalid(format!("MaxResults is {page}: it has to be from 1 to 10,000")));
        }
        let (stream, after, filter) = match input.text("NextToken")? {
            Some(token) => self.next_page(input, token, now)?,
            None => {
                let stream = self.stream(input)?;
                let after = input.text("ExclusiveStartShardId")?.map(number).transpose()?;
                (stream, after, input.get("ShardFilter").cloned().unwrap_or_default())
            }
        };
        let wanted = wanted(&filter, stream)?;
        let from = after.map_or(0, |after| after + 1);
        let mut rest = stream.shards.range(from..).map(|(_, shard)| shard).filter(|shard| wanted(shard)).peekable();
        let shards: Vec<_> = rest.by_ref().take(page.unsigned_abs() as usize).collect();
        let mut answer = json!({ "Shards": shards.iter().map(|shard| shard.describe()).collect::<Value>() });
        if let (Some(last), Some(_)) = (shards.last(), rest.peek()) {
            answer["NextToken"] = seal(&json!([stream.name, last.number, filter, now.ms])).into();
        }
        Ok(answer)
    }

    fn next_page(&self, input: Input<'_>, token: &str, now: Now) -> Result<(&Stream, Option<u64>, Value), Failure> {
        let also = ["StreamName", "ExclusiveStartShardId", "ShardFilter"];
        if let Some(name) = also.into_iter().find(|name| input.get(name).is_some()) {
            return Err(invalid_argument(format!("NextToken and {name} cannot be provided together.")));
        }
        let token = unseal(token).unwrap_or_default();
        let (Some(name), Some(after), Some(filter), Some(issued_ms)) = (
            token.get(0).and_then(Value::as_str),
            token.get(1).and_then(Value::as_u64),
            token.get(2),
            token.get(3).and_then(Value::as_i64),
        ) else {
            return Err(invalid_argument("Invalid NextToken."));
        };
        if now.ms - issued_ms > TOKEN_LIFE_MS {
            return Err(Failure::new("ExpiredNextTokenException", "NextToken is good for 300 s: list again"));
        }
        let stream = self.streams.get(name).ok_or_else(|| unknown_stream(name))?;
        Ok((stream, Some(after), filter.clone()))
    }
}

fn number(id: &str) -> Result<u64, Failure> {
    shard_number(id).ok_or_else(|| invalid_argument(format!("{id} is no shard id")))
}

type Filter = Box<dyn Fn(&Shard) -> bool>;

/// Which shards a filter lets through.
fn wanted(filter: &Value, stream: &Stream) -> Result<Filter, Failure> {
    if filter.is_null() {
        return Ok(Box::new(|_| true));
    }
    let filter = Input::new("ShardFilter", filter)?;
    filter.only(&["Type", "ShardId", "Timestamp"])?;
    let at = || filter.needed("Timestamp", filter.time_ms("Timestamp")?);
    let created_ms = stream.created_ms;
    Ok(match filter.needed_text("Type")? {
        "AT_LATEST" => Box::new(Shard::is_open),
        // Nothing ages here: the horizon is the beginning of the stream.
        "AT_TRIM_HORIZON" => Box::new(move |shard| shard.lived_at(created_ms)),
        "FROM_TRIM_HORIZON" => Box::new(|_| true),
        "AFTER_SHARD_ID" => {
            let after = number(filter.needed_text("ShardId")?)?;
            Box::new(move |shard| shard.number > after)
        }
        "AT_TIMESTAMP" => {
            let at = at()?;
            Box::new(move |shard| shard.lived_at(at))
        }
        "FROM_TIMESTAMP" => {
            let at = at()?;
            Box::new(move |shard| shard.closed.as_ref().is_none_or(|closed| closed.at_ms >= at))
        }
        other => return Err(invalid_argument(format!("{other} is no type of shard filter"))),
    })
}

impl Shard {
    fn lived_at(&self, at_ms: i64) -> bool {
        let closed_before = self.closed.as_ref().is_some_and(|closed| closed.at_ms <= at_ms);
        self.created_ms <= at_ms && !closed_before
    }
}
