//! Log lines: one JSON object a line, or a readable form for a terminal. Both carry the ids of the message they belong to.

use std::fmt;

use serde_json::{Map, Value};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use super::ids;
use crate::clock::Clock;

/// Writes events as lines.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    pub(super) is_json: bool,
    pub(super) service: String,
    pub(super) instance: String,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        if self.is_json {
            return writeln!(writer, "{}", Value::Object(self.object(event, fields)));
        }
        readable(&mut writer, event, &fields)
    }
}

impl Lines {
    fn object(&self, event: &Event<'_>, fields: Fields) -> Map<String, Value> {
        let mut object = Map::new();
        let mut put = |key: &str, value: &str| {
            object.insert(key.to_owned(), Value::from(value));
        };
        put("time", &Clock::system().now().to_string());
        put("level", event.metadata().level().as_str());
        put("service", &self.service);
        put("instance", &self.instance);
        put("target", event.metadata().target());
        put("message", &fields.message);
        ids::each_current(&mut put);
        object.extend(fields.rest);
        object
    }
}

fn readable(writer: &mut Writer<'_>, event: &Event<'_>, fields: &Fields) -> fmt::Result {
    let now = Clock::system().now().to_string();
    let (dim, colour, plain) = match (writer.has_ansi_escapes(), *event.metadata().level()) {
        (false, _) => ("", "", ""),
        (true, Level::ERROR) => ("\x1b[2m", "\x1b[31m", "\x1b[0m"),
        (true, Level::WARN) => ("\x1b[2m", "\x1b[33m", "\x1b[0m"),
        (true, _) => ("\x1b[2m", "", "\x1b[0m"),
    };
    let level = event.metadata().level();
    write!(writer, "{dim}{}{plain} {colour}{level:5}{plain} {}{dim}", &now[11..23], fields.message)?;
    for (name, value) in &fields.rest {
        match value {
            Value::String(text) => write!(writer, " {name}={text:?}")?,
            other => write!(writer, " {name}={other}")?,
        }
    }
    let mut outcome = Ok(());
    ids::each_current(|name, value| {
        if outcome.is_ok() && name != "span_id" {
            outcome = write!(writer, " {name}={value}");
        }
    });
    outcome?;
    writeln!(writer, "{plain}")
}

#[derive(Default)]
struct Fields {
    message: String,
    rest: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.rest.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            _ => self.put(field, format!("{value:?}")),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            _ => self.put(field, value),
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }
}
