//! What traces are looked for: by the words of an address, and back to them.

use std::{fmt, time::Duration};

use url::form_urlencoded;

use crate::{name::SubjectPattern, words::not_taken};

/// Bytes of the longest text that is looked for.
const TEXT_MOST: usize = 500;

/// Attributes that may be asked for at once.
const ATTRIBUTES_MOST: usize = 8;

/// What has to hold of a trace. Everything but the durations has to hold of one and the same span of it. What is empty is not asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Query {
    /// A part of a span's name, or a whole value of any of its attributes, such as an id; or the id of a trace.
    pub text: String,
    /// The service that made it.
    pub service: String,
    /// The subject of the message that it is about, or a pattern.
    pub subject: String,
    /// The stream that held the message.
    pub stream: String,
    /// The consumer that delivered it, or its queue group.
    pub consumer: String,
    /// The message's id.
    pub message: String,
    /// What the message belongs to, such as the id of an order.
    pub correlation: String,
    /// How the span ended.
    pub status: Option<Wanted>,
    /// How long the whole trace took at least.
    pub least: Option<Duration>,
    /// How long the whole trace took at most.
    pub most: Option<Duration>,
    /// Attributes by name and value.
    pub attributes: Vec<(String, String)>,
    /// Only traces that came before the one of this number.
    pub before: Option<u64>,
    /// What was asked for and not understood.
    pub unclear: Vec<Unclear>,
}

/// Something that was asked for and not understood.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Unclear {
    name: String,
    value: String,
    /// What is wrong with it.
    pub why: String,
}

/// How a span ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// It failed.
    Error,
    /// It did not.
    NoError,
}

impl Wanted {
    /// As it stands in an address.
    pub fn token(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::NoError => "ok",
        }
    }
}

impl Query {
    /// What the query of an address asks for.
    pub fn of_query(query: &str) -> Self {
        let mut wanted = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value: String = value.chars().filter(|letter| !letter.is_control()).collect();
            let value = value.trim().to_owned();
            if value.is_empty() {
                continue;
            }
            if value.len() > TEXT_MOST {
                let why = format!("{name} is longer than {TEXT_MOST} bytes");
                wanted.unclear.push(Unclear { name: name.into_owned(), value, why });
                continue;
            }
            let why = wanted.read(&name, value.clone());
            wanted.unclear.extend(why.map(|why| Unclear { name: name.into_owned(), value, why }));
        }
        wanted
    }

    /// Takes one wish; says why where it cannot.
    fn read(&mut self, name: &str, value: String) -> Option<String> {
        match name {
            "q" => self.text(|query| &mut query.text, value),
            "service" => self.text(|query| &mut query.service, value),
            "subject" if value.parse::<SubjectPattern>().is_err() => {
                Some(format!("`{value}` is not a subject or a pattern of subjects"))
            }
            "subject" => self.text(|query| &mut query.subject, value),
            "stream" => self.text(|query| &mut query.stream, value),
            "consumer" => self.text(|query| &mut query.consumer, value),
            "message" => self.text(|query| &mut query.message, value),
            "correlation" => self.text(|query| &mut query.correlation, value),
            "status" => {
                let read = [Wanted::Error, Wanted::NoError].into_iter().find(|status| status.token() == value);
                self.status = read.or(self.status);
                read.is_none().then(|| format!("status is `{value}`: error and ok are known"))
            }
            "min" => {
                let read = duration(&value);
                self.least = read.or(self.least);
                read.is_none().then(|| not_a_duration(&value))
            }
            "max" => {
                let read = duration(&value);
                self.most = read.or(self.most);
                read.is_none().then(|| not_a_duration(&value))
            }
            "attribute" => self.attribute(&value),
            "before" => {
                self.before = value.parse().ok().or(self.before);
                value.parse::<u64>().is_err().then(|| not_taken(name, &value, "the number at which a list goes on"))
            }
            _ => None,
        }
    }

    fn text(&mut self, field: impl Fn(&mut Self) -> &mut String, value: String) -> Option<String> {
        *field(self) = value;
        None
    }

    fn attribute(&mut self, pair: &str) -> Option<String> {
        match pair.split_once('=') {
            Some((key, value)) if self.attributes.len() < ATTRIBUTES_MOST && !key.trim().is_empty() => {
                self.attributes.push((key.trim().to_owned(), value.trim().to_owned()));
                None
            }
            Some(_) => Some(format!("`{pair}`: at most {ATTRIBUTES_MOST} attributes with names can be asked for")),
            None => Some(format!("`{pair}` is not of the form name=value")),
        }
    }

    /// Whether nothing is asked for: every trace will do.
    pub fn is_empty(&self) -> bool {
        let rest = Self { before: None, unclear: Vec::new(), ..self.clone() };
        rest == Self::default()
    }

    /// The same, of traces that came before the one with this number.
    #[must_use]
    pub fn before(&self, number: Option<u64>) -> Self {
        Self { before: number, ..self.clone() }
    }
}

/// The query of an address; empty where nothing is asked for.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let texts = [
            ("q", &self.text),
            ("service", &self.service),
            ("subject", &self.subject),
            ("stream", &self.stream),
            ("consumer", &self.consumer),
            ("message", &self.message),
            ("correlation", &self.correlation),
        ];
        query.extend_pairs(texts.iter().filter(|(_, text)| !text.is_empty()));
        if let Some(status) = self.status {
            query.append_pair("status", status.token());
        }
        for (name, wanted) in [("min", self.least), ("max", self.most)] {
            if let Some(wanted) = wanted {
                query.append_pair(name, &in_words(wanted));
            }
        }
        for (key, value) in &self.attributes {
            query.append_pair("attribute", &format!("{key}={value}"));
        }
        if let Some(before) = self.before {
            query.append_pair("before", &before.to_string());
        }
        query.extend_pairs(self.unclear.iter().map(|unclear| (&unclear.name, &unclear.value)));
        f.write_str(&query.finish())
    }
}

fn not_a_duration(text: &str) -> String {
    format!("`{text}` is not a duration such as 250ms, 1.5s or 2m")
}

/// Reads `250ms`, `1.5s`, `2m`; a number alone is of milliseconds.
fn duration(text: &str) -> Option<Duration> {
    let text = text.replace(' ', "");
    let split = text.find(|letter: char| letter.is_ascii_alphabetic() || letter == 'µ').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "us" | "µs" => 1e-6,
        "" | "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    Duration::try_from_secs_f64(number * seconds).ok()
}

/// As `duration` reads it.
pub fn in_words(duration: Duration) -> String {
    match duration.as_secs_f64() {
        seconds if seconds >= 1.0 => format!("{seconds}s"),
        seconds if seconds >= 1e-3 => format!("{}ms", seconds * 1e3),
        seconds => format!("{}us", seconds * 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_survives_its_address() {
        let address = "q=a+b&service=payments&subject=orders.%3E&stream=ORDERS&consumer=payments-charge&message=m1&correlation=o1\
                       &status=error&min=1.5s&max=250ms&attribute=http.route%3D%2Forders&attribute=a%3Db%3Dc&before=7";
        let query = Query::of_query(address);
        assert!(query.unclear.is_empty(), "{query:?}");
        assert_eq!(query.least, Some(Duration::from_millis(1_500)));
        assert_eq!(query.attributes[1], ("a".to_owned(), "b=c".to_owned()));
        assert_eq!(query.to_string(), address);
        assert!(!query.is_empty());
        assert!(Query::of_query("before=7&q=+&min=").is_empty());
    }

    #[test]
    fn what_is_not_understood_is_said() {
        let query = Query::of_query("min=soon&status=odd&attribute=x&subject=a..b&max=-1s&before=x");
        assert_eq!(query.unclear.len(), 6, "{query:?}");
        assert!(query.is_empty());
        assert_eq!(Query::of_query(&query.to_string()), query);
        assert_eq!(Query::of_query(&format!("q={}", "x".repeat(501))).unclear.len(), 1);
        let twice = Query::of_query("min=soon&min=1.5s&status=odd&status=error&max=2s&max=late");
        assert_eq!((twice.least, twice.most), (Some(Duration::from_millis(1_500)), Some(Duration::from_secs(2))));
        assert_eq!(Query::of_query(&twice.to_string()), twice);
        assert_eq!(Query::of_query("q=a+%0e").text, "a");
    }

    #[test]
    fn a_duration_has_a_unit() {
        let check = |text: &str, micros: Option<u64>| {
            assert_eq!(duration(text), micros.map(Duration::from_micros), "{text}");
        };
        check("250", Some(250_000));
        check("250 ms", Some(250_000));
        check("20us", Some(20));
        check("2m", Some(120_000_000));
        for bad in ["", "ms", "1d", "1e400s", "NaN", "inf s"] {
            check(bad, None);
        }
    }
}
