//! What time AWS has.

use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::clock::now_ms;

/// How far this clock and that of a service are apart, as its answers tell.
#[derive(Clone, Debug, Default)]
pub(super) struct ServerClock(Arc<Mutex<Option<i64>>>);

impl ServerClock {
    /// By how much this clock is ahead, in milliseconds, to about a second; nothing before an answer told the time.
    pub(super) fn ahead_ms(&self) -> Option<i64> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[dyn_dispatch_hint]
impl Intercept for ServerClock {
    fn name(&self) -> &'static str {
        "ServerClock"
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| OffsetDateTime::parse(date, &Rfc2822).ok());
        if let Some(date) = date {
            let ahead_ms = now_ms() - date.unix_timestamp() * 1_000;
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead_ms);
        }
        Ok(())
    }
}
