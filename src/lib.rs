//! Event-driven services on NATS JetStream that can be seen.
//!
//! Three things that stand alone: this **library** to build services from, the **order mesh** (`mesh`) as a running example of it, and
//! the **observer** (`web`), which watches any NATS system.
//!
//! # A complete service
//! It is told apart from its other instances, answers its probes, continues the trace of what it handles, retries what fails, and hands
//! back what it did not begin when it is asked to end.
//!
//! ```no_run
//! use serde::{Deserialize, Serialize};
//! use streamgauge::{bus::Payload, consumer::Worker, handler::Context, service::{Service, ServiceError}};
//!
//! #[derive(Serialize, Deserialize)]
//! struct OrderPlaced { order: String, email: String }
//!
//! impl Payload for OrderPlaced {
//!     const KIND: &'static str = "OrderPlaced";
//!     const STREAM: &'static str = "ORDERS";
//!     const SUBJECT: &'static str = "orders.placed.*";
//!     fn key(&self) -> String { self.order.clone() }
//! }
//!
//! async fn greet(_: Context, placed: OrderPlaced) -> Result<(), std::io::Error> {
//!     tracing::info!(order = placed.order, "thanked {}", placed.email);
//!     Ok(())
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), ServiceError> {
//!     let service = Service::builder("greeter").start().await?;
//!     service.worker(Worker::new("greeter").on(greet))?.run().await
//! }
//! ```
//!
//! # Map
//! Modules stand on floors and import only from floors below their own; `ARCHITECTURE.md` has the plan.
//!
//! | floor | modules |
//! |---|---|
//! | words | [`name`], [`clock`], [`words`], [`errors`] |
//! | facts | [`trace`], [`message`], [`presence`], [`advisory`], [`record`], [`dead_letter`], [`fault`], [`peek`], [`snapshot`] |
//! | platform | [`config`], [`tasks`], [`resilience`], [`telemetry`] |
//! | edge | [`nats`] |
//! | services | [`bus`], [`handler`], [`consumer`], [`rpc`], [`state`], [`service`] |

pub mod advisory;
#[cfg(feature = "dashboard")]
pub mod api;
#[cfg(feature = "dashboard")]
pub mod broker;
pub mod bus;
#[cfg(feature = "dashboard")]
pub mod checks;
#[cfg(all(feature = "dashboard", feature = "mesh"))]
pub mod cli;
pub mod clock;
#[cfg(feature = "dashboard")]
pub mod collector;
pub mod config;
pub mod consumer;
pub mod dead_letter;
pub mod errors;
#[cfg(feature = "dashboard")]
pub mod exporter;
pub mod fault;
pub mod handler;
#[cfg(feature = "dashboard")]
pub mod journey;
#[cfg(feature = "dashboard")]
mod mask;
#[cfg(feature = "mesh")]
pub mod mesh;
pub mod message;
pub mod name;
pub mod nats;
#[cfg(feature = "dashboard")]
pub mod peek;
pub mod presence;
#[cfg(feature = "dashboard")]
pub mod probing;
pub mod record;
pub mod resilience;
pub mod rpc;
pub mod service;
pub mod snapshot;
pub mod state;
pub mod tasks;
pub mod telemetry;
pub mod trace;
#[cfg(feature = "dashboard")]
pub mod traces;
mod unpack;
#[cfg(feature = "dashboard")]
pub mod views;
#[cfg(feature = "dashboard")]
pub mod web;
pub mod words;

/// The README's service compiles as it stands there.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
