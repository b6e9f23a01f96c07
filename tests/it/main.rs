//! Every integration test, in one binary: it links once, and all of it shares `support`.
#![expect(unreachable_pub, reason = "no other crate sees a test; `pub` means seen by the files beside")]
#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "a test fails and speaks by these")]

mod access;
mod api;
mod benches;
mod browser;
mod check_command;
mod conventions;
mod demo;
mod deploy;
mod dlq_command;
mod examples;
mod exporter;
mod faults;
mod fuzz;
mod grafana;
mod guarantees;
mod library;
mod logins;
mod mesh;
mod messages;
mod observer;
mod pages;
mod probing;
mod reference;
mod scenarios;
mod support;
mod tidy;
mod tools;
mod topology_command;
mod traces;
