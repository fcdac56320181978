//! What is promised of stored states.

use bucket_state::{AccountLevel, ResourceId, ResourceState, project};

const RESOURCES: [&str; 3] =
    ["arn:aws:s3:::ledger", "arn:aws:iam::111122223333:root", "arn:aws:s3:eu-west-1:111122223333:accesspoint/readers"];

/// Reads `bytes` as a stored state; what can be read can be stored again, and shown, whatever resource it is of.
///
/// # Panics
/// Where it cannot.
pub fn check(bytes: &[u8]) {
    if let Ok(state) = ResourceState::decode(bytes) {
        round_trip(&state);
        for resource in RESOURCES.map(ResourceId::from) {
            let _shown = project(&resource, &state, AccountLevel::Told(&resource, &state)).digest();
        }
    }
}

/// The state after it was stored.
pub(crate) fn round_trip(state: &ResourceState) -> ResourceState {
    let stored = ResourceState::decode(&state.encode()).expect("what was just stored can be read");
    assert_eq!(stored, *state, "as it was stored");
    stored
}
