//! What the project needs around its own code: the servers that tests talk to, and the commands that run everything.

pub mod install;
pub mod servers;
