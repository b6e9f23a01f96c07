//! Checks the source itself against the plan of the house; every failure names the file, the line and what to do.

mod house;
mod rules;
mod source;

use std::{
    fs,
    path::{Path, PathBuf},
};

use rules::File;

type Rule = fn(&File<'_>) -> Vec<String>;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn modules_import_only_from_floors_below_in_their_own_tower() {
    house_keeps(rules::imports);
}

#[test]
fn outside_crates_stay_at_their_edges() {
    house_keeps(rules::edges);
    house_keeps(rules::second_names);
}

#[test]
fn every_module_has_a_floor() {
    house_keeps(rules::placed);
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    for folder in ["src", "tests", "benches", "examples"].iter().filter(|folder| Path::new(ROOT).join(folder).is_dir())
    {
        keeps(folder, rules::shape);
    }
}

fn house_keeps(rule: Rule) {
    keeps("src", rule);
}

fn keeps(folder: &str, rule: Rule) {
    let folder = Path::new(ROOT).join(folder);
    let mut faults = Vec::new();
    for path in rust_files(&folder) {
        let text = fs::read_to_string(&path).unwrap();
        let file = File { path: path.strip_prefix(&folder).unwrap(), text: &text };
        faults.extend(rule(&file).iter().map(|fault| format!("{}: {fault}", path.display())));
    }
    // Two names imported by one line are one fault to mend.
    faults.dedup();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut todo = vec![folder.to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The rule finds in `text`, lying at `path`, one fault that says `expected`, or none if that is empty.
#[track_caller]
fn check(rule: Rule, path: &str, text: &str, expected: &str) {
    let faults = rule(&File { path: Path::new(path), text });
    match expected {
        "" => assert!(faults.is_empty(), "{faults:?}"),
        expected => assert!(faults.len() == 1 && faults[0].contains(expected), "{faults:?} should say {expected:?}"),
    }
}

#[test]
fn imports_up_and_sideways_are_found() {
    check(rules::imports, "bus/publish.rs", "use crate::{name::Subject, nats};", "");
    check(rules::imports, "bus/publish.rs", "use crate::bus::codec;", "");
    check(rules::imports, "bus/publish.rs", "use crate::{name, consumer::Worker};", "not on a floor below `bus`");
    check(rules::imports, "bus.rs", "\nfn f(h: &crate::handler::Handler) {}", "line 2 imports `handler`");
    check(rules::imports, "views.rs", "use crate::lost::Thing;", "stands on no floor");
    check(rules::imports, "views.rs", "use crate::*;", "stands on no floor");
    check(rules::imports, "cli/demo.rs", "use crate::{web, mesh};", "");
    check(rules::imports, "lib.rs", "use crate::web;", "");
    check(rules::imports, "record.rs", "use crate::message::MessageId;", "");
    check(rules::imports, "message.rs", "use crate::record::Record;", "not on a floor below `message`");
}

#[test]
fn a_meeting_of_the_towers_is_found() {
    check(rules::imports, "web/pages.rs", "use crate::bus::Bus;", "another tower");
    check(rules::imports, "service.rs", "use crate::checks::Finding;", "another tower");
    check(rules::imports, "mesh/orders.rs", "fn f() { crate::web::serve() }", "another tower");
    check(rules::imports, "nats.rs", "use crate::cli;", "another tower");
}

#[test]
fn a_way_out_by_super_is_found() {
    check(rules::imports, "name.rs", "use super::clock::Clock;", "leaves `name` by `super::`");
    check(rules::imports, "views/overview.rs", "use super::super::web;", "leaves `views` by `super::`");
    check(rules::imports, "views/overview.rs", "use super::format;", "");
    check(rules::imports, "name.rs", "mod tests { use super::*; }", "");
    check(rules::imports, "name.rs", "mod tests { use super::super::clock; }", "leaves `name` by `super::`");
}

#[test]
fn a_crate_away_from_its_edge_is_found() {
    check(rules::edges, "views.rs", "use askama::Template;", "");
    check(rules::edges, "views.rs", "fn f(_: axum::Router) {}", "names `axum`");
    check(rules::edges, "checks/stuck.rs", "use async_nats as n;", "names `async_nats`");
    check(rules::edges, "bus.rs", "use ::{opentelemetry_sdk::trace, time};", "names `opentelemetry_sdk`");
    check(rules::edges, "main.rs", "use clap::Parser;", "");
    check(rules::edges, "name.rs", "// axum::Router\nconst A: &str = \"axum::Router\";", "");
    check(rules::edges, "service.rs", "use crate::telemetry::prometheus::text;", "");
}

#[test]
fn a_second_name_for_an_edge_is_found() {
    check(rules::second_names, "nats.rs", "pub use async_nats::Client;", "public second name");
    check(rules::second_names, "nats.rs", "pub(crate) use async_nats::{Client as Connection};", "public second name");
    check(rules::second_names, "nats.rs", "pub type Client = async_nats::Client;", "public second name");
    check(rules::second_names, "nats.rs", "use async_nats::Client;", "");
    check(rules::second_names, "bus.rs", "pub use publish::Publisher;", "");
}

#[test]
fn a_module_without_a_floor_is_found() {
    check(rules::placed, "views/overview.rs", "", "");
    check(rules::placed, "lib.rs", "", "");
    check(rules::placed, "util.rs", "", "`util` stands on no floor");
    check(rules::placed, "util/strings.rs", "", "`util` stands on no floor");
}

#[test]
fn a_file_in_bad_shape_is_found() {
    check(rules::shape, "name.rs", "//! Names.\n", "");
    check(rules::shape, "name.rs", "use x;\n//! Names.\n", "does not open with `//!`");
    check(rules::shape, "views/mod.rs", "//! Pages.\n", "beside `name/`");
    let code = format!("//! Names.\n{}", "fn f() {}\n".repeat(house::LINES_MAX));
    check(rules::shape, "name.rs", &code, "has 401 lines");
    let tests = format!("//! Names.\n#[cfg(test)]\nmod tests {{\n{}}}\n", "fn f() {}\n".repeat(house::LINES_MAX));
    check(rules::shape, "name.rs", &tests, "");
}
