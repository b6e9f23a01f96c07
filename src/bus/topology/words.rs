//! Values of the API in words, exact: `24 h`, `256 MiB`, `no limit`.

use std::time::Duration;

use serde_json::Value;

/// A limit that is none.
pub(super) const NO_LIMIT: &str = "no limit";

/// A field's value in words.
pub(super) fn of(field: &str, value: &Value) -> String {
    match (field, value) {
        ("max_age" | "duplicate_window" | "ack_wait", Value::Number(number)) => {
            match (field, number.as_u64().unwrap_or_default()) {
                ("max_age", 0) => NO_LIMIT.to_owned(),
                (_, nanoseconds) => duration(Duration::from_nanos(nanoseconds)),
            }
        }
        (_, Value::Number(number)) if field.starts_with("max_") && number.as_i64().is_some_and(|limit| limit < 0) => {
            NO_LIMIT.to_owned()
        }
        ("max_bytes", Value::Number(number)) => bytes(number.as_u64().unwrap_or_default()),
        (_, Value::Array(list)) if list.is_empty() => "none".to_owned(),
        (_, Value::Array(list)) => list.iter().map(|one| of("", one)).collect::<Vec<_>>().join(", "),
        (_, Value::String(text)) if text.is_empty() => "none".to_owned(),
        (_, Value::String(text)) => text.clone(),
        (_, Value::Null) => "none".to_owned(),
        (_, Value::Bool(true)) => "yes".to_owned(),
        (_, Value::Bool(false)) => "no".to_owned(),
        (_, other) => other.to_string(),
    }
}

/// In the largest unit that leaves no rest.
pub(super) fn duration(value: Duration) -> String {
    let milliseconds = value.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];
    match units.into_iter().find(|(unit, _)| milliseconds > 0 && milliseconds.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{} {name}", milliseconds / unit),
        None => format!("{milliseconds} ms"),
    }
}

pub(super) fn bytes(value: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| value > 0 && value.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{} {name}", value / unit),
        None => format!("{value} B"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(field: &str, value: &Value, expected: &str) {
        assert_eq!(of(field, value), expected, "{field} {value}");
    }

    #[test]
    fn values_are_exact() {
        check("max_age", &json!(0), "no limit");
        check("max_age", &json!(86_400_000_000_000_u64), "1 d");
        check("max_age", &json!(90_000_000_000_u64), "90 s");
        check("ack_wait", &json!(1_500_000_000_u64), "1500 ms");
        check("max_bytes", &json!(-1), "no limit");
        check("max_bytes", &json!(268_435_456), "256 MiB");
        check("max_bytes", &json!(1_000), "1000 B");
        check("max_msgs", &json!(1_000), "1000");
        check("num_replicas", &json!(3), "3");
        check("subjects", &json!(["a.>", "b"]), "a.>, b");
        check("description", &Value::Null, "none");
        check("allow_direct", &json!(true), "yes");
    }
}
