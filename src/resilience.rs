//! What a program does when something else fails: pure state machines, the clock and the dice come in as arguments.

pub mod backoff;

pub use backoff::Backoff;
