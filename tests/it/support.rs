//! What the tests share: real servers and processes, each ended with its test, and waiting for a state instead of for time.

pub mod chaos_proxy;
pub mod checker;
pub mod child;
pub mod cluster;
pub mod given_up;
pub mod http;
pub mod ledger;
pub mod nats_server;
pub mod nats_wire;
pub mod observing;
pub mod otlp;
pub mod page;
pub mod port;
pub mod process;
pub mod process_tree;
pub mod spans;
pub mod tool;
mod waiting;
pub mod watch;

pub use waiting::eventually;
