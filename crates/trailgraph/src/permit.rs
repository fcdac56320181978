//! Whose events are folded.

mod list;
mod reload;
mod senders;
mod source;

use list::is_account;
pub use list::{Account, JupiterOneRoute, Permit};
pub use reload::{RELOAD_EVERY, keep_up_to_date};
pub use senders::{Admitted, Senders};
pub use source::{PermitSource, open};
