//! What a program does when something else fails: pure state machines, the clock and the dice come in as arguments.

mod backoff;
mod breaker;
mod kill_switch;
mod limits;
mod retry;

pub use backoff::Backoff;
pub use breaker::{Breaker, BreakerState, Phase};
pub use kill_switch::KillSwitch;
pub use limits::{Adaptive, AdaptiveState};
pub use retry::{Decision, Delays, Failure, RetryPolicy};
