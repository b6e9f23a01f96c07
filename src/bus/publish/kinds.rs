//! What all messages of one payload type have in common, made at the first of them.

use std::{
    any::TypeId,
    collections::HashMap,
    sync::{Arc, OnceLock, PoisonError, RwLock},
};

use async_nats::{HeaderMap, header};

use crate::{
    bus::{
        codec::{self, CodecError, Payload},
        headers,
    },
    message::{Message, Schema},
    name::{Subject, SubjectPattern},
    telemetry::{Telemetry, outlet::Outlet},
};

/// One payload type as it is published.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) schema: Schema,
    pub(super) outlet: Arc<Outlet>,
    headers: OnceLock<Arc<HeaderMap>>,
    /// What stands before and after the key; `None` where the key is not all that is filled in.
    around_key: Option<(String, String)>,
}

impl Kind {
    fn new<P: Payload>(telemetry: &Telemetry) -> Self {
        let pattern = codec::pattern_of::<P>();
        let outlet = telemetry.outlet("publish", &pattern, P::STREAM);
        Self { schema: P::schema(), outlet, headers: OnceLock::new(), around_key: around_key(&pattern) }
    }

    /// The headers of the first message, without those that another may not have: what all others are written over.
    pub(super) fn headers<P: Payload>(&self, message: &Message) -> Arc<HeaderMap> {
        let first = || {
            let headers = codec::headers_of::<P>();
            let plain = Message { causation: None, trace_state: None, headers, ..message.clone() };
            let mut headers = headers::write(&plain);
            headers.insert(header::NATS_EXPECTED_STREAM, P::STREAM);
            Arc::new(headers)
        };
        self.headers.get_or_init(first).clone()
    }

    /// As [`codec::subject_of`], without reading the pattern anew.
    pub(super) fn subject<P: Payload>(&self, key: &str) -> Result<Subject, CodecError> {
        match &self.around_key {
            Some((before, after)) => Subject::try_from([before, key, after].concat())
                .map_err(|source| CodecError::Key { kind: P::KIND, key: key.to_owned(), source }),
            None => codec::subject_of::<P>(key),
        }
    }
}

fn around_key(pattern: &SubjectPattern) -> Option<(String, String)> {
    let is_wildcard = |c| matches!(c, '*' | '>');
    let (before, after) = pattern.as_str().split_once(is_wildcard)?;
    let is_token = (before.is_empty() || before.ends_with('.')) && (after.is_empty() || after.starts_with('.'));
    (is_token && !after.contains(is_wildcard)).then(|| (before.to_owned(), after.to_owned()))
}

/// The payload types that a bus has published; a program has as many as it has types.
#[derive(Debug, Default)]
pub(crate) struct Kinds(RwLock<HashMap<TypeId, Arc<Kind>>>);

impl Kinds {
    pub(super) fn of<P: Payload>(&self, telemetry: &Telemetry) -> Arc<Kind> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&TypeId::of::<P>()).cloned();
        known.unwrap_or_else(|| {
            let kind = Arc::new(Kind::new::<P>(telemetry));
            self.0.write().unwrap_or_else(PoisonError::into_inner).entry(TypeId::of::<P>()).or_insert(kind).clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, expected: Option<(&str, &str)>) {
        let found = around_key(&pattern.try_into().unwrap());
        let found = found.as_ref().map(|(before, after)| (before.as_str(), after.as_str()));
        assert_eq!(found, expected, "{pattern}");
    }

    #[test]
    fn a_key_alone_is_put_between_what_stands_around_it() {
        check("orders.placed.*", Some(("orders.placed.", "")));
        check("orders.*.placed", Some(("orders.", ".placed")));
        check("orders.>", Some(("orders.", "")));
        check("readings.*.*", None);
        check("orders", None);
        check("orders.a*", None);
    }
}
