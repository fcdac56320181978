//! What the project needs around its own code: the servers that tests talk to, and the commands that run everything.

pub mod fuzz;
pub mod image;
pub mod install;
mod paths;
pub mod ports;
pub mod servers;
pub mod suite;
