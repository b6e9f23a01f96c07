//! What the observer shows, as JSON for programs: pure functions of the facts, and the OpenAPI document made from the same structs.
//!
//! Every route is one entry of [`ROUTES`]: its path, what it is for, what it answers and how.

mod account;
mod advisory;
mod consumer;
mod dead_letter;
mod fault;
mod finding;
mod forecast;
mod journey;
mod known;
mod lag;
mod list;
mod map;
mod message;
mod openapi;
mod overview;
mod parameter;
mod past;
mod record;
mod round;
mod server;
mod service;
mod stream;
mod trace;

use percent_encoding::percent_decode_str;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use crate::{
    clock::Timestamp,
    snapshot::{Snapshot, Watched},
    traces::Store,
    views::{Page, Past, Read, Search},
};

pub use journey::followed;
pub use message::{Wanted, wanted};
pub use openapi::document;
pub use parameter::Parameter;
pub use record::recorded;

/// A question that can be asked.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// Its path below [`crate::views::API_PREFIX`]; a part in braces stands for any text.
    pub path: &'static str,
    /// What it is for.
    pub summary: &'static str,
    /// What may be asked for in the query.
    pub query: &'static [Parameter],
    schema: fn(&mut SchemaGenerator) -> Schema,
    answer: fn(&Ask<'_>) -> Result<String, Failure>,
}

/// A question as it was asked.
struct Ask<'a> {
    /// What stands in the path for its parts in braces.
    parts: Vec<String>,
    query: &'a str,
    search: Search,
    snapshot: &'a Snapshot,
    /// What was kept of the past of what a page is about.
    past: &'a dyn Fn(&Page) -> Past,
    traces: &'a Store,
    read: &'a Read,
    now: Timestamp,
}

impl<'a> Ask<'a> {
    /// The watched accounts that are asked for: that which is named, or all.
    fn accounts(&self) -> impl Iterator<Item = &'a Watched> + Clone {
        let (snapshot, wanted) = (self.snapshot, self.search.account.clone());
        snapshot.watched().filter(move |watched| wanted.is_empty() || watched.is(&wanted))
    }

    /// Why not all of them are fresh, by what is first of them that is not.
    fn reason(&self, of: fn(&'a Watched) -> Option<&'a str>) -> Option<&'a str> {
        self.accounts().find_map(of)
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The status of the answer.
    pub status: u16,
    /// Which kind of failure, as one token.
    pub code: &'static str,
    /// What is wrong and what would help.
    pub message: String,
}

/// A failure as it is answered.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Error")]
struct FailureAnswer<'a> {
    error: FailureBody<'a>,
}

/// Why there is no answer.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ErrorBody")]
struct FailureBody<'a> {
    /// Which kind of failure, as one token.
    code: &'a str,
    /// What is wrong and what would help.
    message: &'a str,
}

/// All questions.
pub const ROUTES: &[Route] = &[
    overview::ROUTE,
    map::ROUTE,
    stream::LIST,
    stream::ONE,
    past::STREAM,
    message::LIST,
    consumer::LIST,
    consumer::ONE,
    past::CONSUMER,
    server::ROUTE,
    account::ROUTE,
    service::ROUTE,
    record::ALL,
    record::OF_KIND,
    record::ONE,
    finding::ROUTE,
    dead_letter::LIST,
    dead_letter::ONE,
    advisory::ROUTE,
    lag::ROUTE,
    trace::LIST,
    trace::ONE,
    journey::ROUTE,
];

/// What answers are taken from.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// What was seen in the last round.
    pub snapshot: &'a Snapshot,
    /// What was kept of the past of what a page is about.
    pub past: &'a dyn Fn(&Page) -> Past,
    /// The traces.
    pub traces: &'a Store,
    /// What was read because [`wanted`] says that it is needed.
    pub read: &'a Read,
}

/// The answer to a question at `path`, below [`crate::views::API_PREFIX`], as JSON, from what is `known`.
///
/// # Errors
/// When there is no such question, something in its query makes no sense, there is nothing of that name, or no word of it.
pub fn answer(path: &str, query: &str, known: Known<'_>, now: Timestamp) -> Result<String, Failure> {
    let found = ROUTES.iter().find_map(|route| Some((route, parts(route.path, path)?)));
    let (route, parts) =
        found.ok_or_else(|| Failure::not_found("nothing is answered at this path; /api/openapi.json says what is"))?;
    parameter::check(route.query, query)?;
    let Known { snapshot, past, traces, read } = known;
    (route.answer)(&Ask { parts, query, search: Search::of_query(query), snapshot, past, traces, read, now })
}

/// What stands for the parts in braces, if the path is of this form.
fn parts(form: &str, path: &str) -> Option<Vec<String>> {
    let (mut wanted, mut given, mut parts) = (form.split('/'), path.split('/'), Vec::new());
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(parts),
            (Some(wanted), Some(given)) if wanted.starts_with('{') => {
                let part = percent_decode_str(given).decode_utf8().ok().filter(|part| !part.is_empty())?;
                parts.push(part.into_owned());
            }
            (Some(wanted), Some(given)) if wanted == given => {}
            _ => return None,
        }
    }
}

impl Failure {
    fn not_found(message: impl Into<String>) -> Self {
        Self { status: 404, code: "not_found", message: message.into() }
    }

    fn unknown(message: impl Into<String>) -> Self {
        Self { status: 503, code: "unknown", message: message.into() }
    }

    fn ambiguous(message: impl Into<String>) -> Self {
        Self { status: 409, code: "ambiguous", message: message.into() }
    }

    /// As JSON.
    pub fn json(&self) -> String {
        let error = FailureBody { code: self.code, message: &self.message };
        json(&FailureAnswer { error }).unwrap_or_else(|failure| failure.message)
    }
}

/// Writes an answer.
fn json(answer: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(answer).map_err(|error| Failure {
        status: 500,
        code: "defect",
        message: format!("the answer could not be written, which is a defect of Streamgauge: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(form: &str, path: &str, expected: Option<&[&str]>) {
        assert_eq!(
            parts(form, path).as_deref(),
            expected.map(|parts| parts.iter().map(ToString::to_string).collect::<Vec<_>>()).as_deref(),
            "{form} {path}"
        );
    }

    #[test]
    fn a_path_has_its_form() {
        check("/streams", "/streams", Some(&[]));
        check("/streams", "/streams/", None);
        check("/streams/{account}/{stream}", "/streams/%24G/A%2FB", Some(&["$G", "A/B"]));
        check("/streams/{account}/{stream}", "/streams/A", None);
        check("/streams/{account}/{stream}", "/streams//ORDERS", None);
        check("/records/{kind}", "/records/%ff", None);
    }
}
