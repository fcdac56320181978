//! The wall clock, read only here.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Tells the time, in milliseconds since 1970: [`now_ms`] in a service, anything else in a simulation.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The clock of this machine.
#[must_use]
pub fn wall() -> Clock {
    Arc::new(now_ms)
}

/// Milliseconds since 1970.
#[must_use]
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A time as RFC 3339, to the second.
#[must_use]
pub fn rfc3339(ms: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(ms.div_euclid(1_000)).ok();
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_else(|| ms.to_string())
}

/// Reads an RFC 3339 time, to the millisecond.
///
/// # Errors
/// A sentence with an example.
pub fn parse_rfc3339(text: &str) -> Result<i64, String> {
    let time =
        OffsetDateTime::parse(text, &Rfc3339).map_err(|_| "not a time such as 2026-03-01T12:00:00Z".to_owned())?;
    Ok(i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX))
}
