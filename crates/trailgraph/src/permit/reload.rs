//! The permit list is taken up while the service runs.

use std::time::Duration;

use super::{Permit, PermitSource, Senders};
use crate::metrics::Metrics;

/// How often it is read again: sooner than a worker adopts the rows that another one has saved by a newer list, lest it shows
/// them by the routes of its own. A hundred workers keep within what Parameter Store answers in a second (40).
pub const RELOAD_EVERY: Duration = Duration::from_secs(5);

/// Reads the list again and again, for ever. `routed` is asked before a list with other JupiterOne routes than `permit` has
/// is taken up: a route that cannot be used must not stop the service. A list that is wrong changes nothing.
pub async fn keep_up_to_date(
    source: &mut PermitSource,
    mut permit: Permit,
    senders: &Senders,
    metrics: &Metrics,
    routed: impl AsyncFn(&Permit) -> Result<(), String>,
) {
    let mut said = None;
    loop {
        // Workers that started together need not ask together.
        tokio::time::sleep(RELOAD_EVERY.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
        let changed = async {
            let Some(next) = source.changed().await? else { return Ok(None) };
            if !next.jupiterone_routes().eq(permit.jupiterone_routes()) {
                routed(&next).await?;
            }
            Ok::<_, String>(Some(next))
        };
        match changed.await {
            Ok(next) => {
                metrics.permit_read(Ok(next.is_some()));
                said = None;
                if let Some(next) = next {
                    tracing::info!(permit = %source, permitted = %next, "the permit list has changed");
                    senders.permit(&next);
                    permit = next;
                }
            }
            Err(error) => {
                metrics.permit_read(Err(()));
                // Once for each fault, not at each look.
                if said.as_ref() != Some(&error) {
                    tracing::error!(permit = %source, error, "the permit list cannot be used; what was permitted stays so");
                    said = Some(error);
                }
            }
        }
    }
}
