//! Requests with logs.

use std::borrow::Cow;

use serde::{Deserialize, de::Error};
use serde_json::value::RawValue;

use super::{Hex, JsonPair, JsonValue, Parts, Resource, Scope, Several, Whole};
use crate::traces::given::{GivenLog, Take, Text};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(borrow, default)]
    resource_logs: Vec<ResourceLogs<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceLogs<'a> {
    #[serde(borrow, default)]
    resource: Resource<'a>,
    #[serde(borrow, default)]
    scope_logs: Vec<ScopeLogs<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScopeLogs<'a> {
    #[serde(borrow, default)]
    scope: Scope<'a>,
    /// Each is read when its turn comes.
    #[serde(borrow, default)]
    log_records: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonLog<'a> {
    #[serde(default)]
    time_unix_nano: Whole<u64>,
    #[serde(default)]
    observed_time_unix_nano: Whole<u64>,
    #[serde(default)]
    severity_number: u64,
    #[serde(borrow, default)]
    severity_text: Text<'a>,
    #[serde(borrow, default)]
    event_name: Text<'a>,
    #[serde(borrow, default)]
    body: JsonValue<'a>,
    #[serde(borrow, default)]
    attributes: Several<JsonPair<'a>>,
    #[serde(default)]
    dropped_attributes_count: u64,
    #[serde(default)]
    trace_id: Hex,
    #[serde(default)]
    span_id: Hex,
}

/// Hands each entry to `take`.
pub(in crate::traces::otlp) fn each_log<'a>(
    request: &'a [u8],
    take: &mut impl Take<'a>,
) -> Result<(), serde_json::Error> {
    if !request.trim_ascii_start().starts_with(b"{") {
        return Err(serde_json::Error::custom("it is not an object"));
    }
    let request: Request<'a> = serde_json::from_slice(request)?;
    for made in request.resource_logs {
        take.resource(Parts::default().pairs(made.resource.attributes));
        for scope in made.scope_logs {
            take.scope(scope.scope.name, scope.scope.version);
            for log in scope.log_records {
                let read = serde_json::from_str::<JsonLog<'a>>(log.get());
                take.log(read.ok().map(given).as_ref());
            }
        }
    }
    Ok(())
}

fn given(log: JsonLog<'_>) -> GivenLog<'_> {
    let mut parts = Parts::default();
    let (body, attributes) = (parts.value(log.body), parts.pairs(log.attributes));
    GivenLog {
        trace: Cow::Owned(log.trace_id.0),
        span: Cow::Owned(log.span_id.0),
        at: log.time_unix_nano.0,
        seen: log.observed_time_unix_nano.0,
        level: log.severity_number,
        level_name: log.severity_text,
        event: log.event_name,
        body,
        attributes,
        left_out: parts.left_out.saturating_add(log.dropped_attributes_count),
    }
}
