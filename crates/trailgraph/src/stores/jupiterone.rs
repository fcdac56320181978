//! TEMPORARY
use crate::cli::JupiterOneArgs;
use crate::failure::Failure;
use crate::permit::Permit;
use emitter::{GraphSink, Observe, SinkName};
use std::sync::Arc;
pub(super) async fn open(
    _name: SinkName,
    _patched: Option<&str>,
    _args: &JupiterOneArgs,
    _permit: &Permit,
    _worker: &str,
    _observe: Observe,
) -> Result<Vec<Arc<dyn GraphSink>>, Failure> {
    Err(Failure::Usage("not yet".into()))
}
