//! The lag of one consumer, as autoscalers ask for it.

use schemars::JsonSchema;
use serde::Serialize;
use url::form_urlencoded;

use super::{Ask, Failure, Parameter, Route, consumer::gone, json, known::Moment};
use crate::snapshot::{Consumer, Snapshot};

/// The lag of one consumer.
pub(super) const ROUTE: Route = Route {
    path: "/lag/{stream}/{consumer}",
    summary: "The true lag of one consumer, by the word of its leader; 503 while that is unknown, never 0 instead.",
    query: &[Parameter::text("account", "The account, where several have such a consumer.")],
    schema: |generator| generator.subschema_for::<Lag>(),
    answer: |ask| {
        let consumer = found(ask)?;
        let fact = match (consumer.state.fact(), consumer.state.reason()) {
            (Some(fact), None) => fact,
            (_, reason) => {
                let reason = reason.unwrap_or("nobody has told of it");
                return Err(Failure::unknown(format!("its lag is not known: {reason}")));
            }
        };
        let state = &fact.value;
        json(&Lag {
            lag: state.lag(),
            pending: state.pending,
            ack_pending: state.ack_pending,
            verdict: consumer.verdict.label.token(),
            at: Moment(fact.at),
            age_seconds: fact.at.age(ask.now).0.as_secs_f64(),
        })
    },
};

/// The lag of a consumer.
#[derive(Serialize, JsonSchema)]
struct Lag {
    /// Messages not processed: those not delivered and those in flight.
    lag: u64,
    /// Messages not yet delivered.
    pending: u64,
    /// Messages delivered and not yet acked.
    ack_pending: u64,
    /// The label of the consumer's verdict.
    verdict: &'static str,
    /// When that was heard.
    at: Moment,
    /// How long ago that was.
    age_seconds: f64,
}

fn found<'a>(ask: &Ask<'a>) -> Result<&'a Consumer, Failure> {
    let snapshot: &'a Snapshot = ask.snapshot;
    let [stream, name] = ask.parts.as_slice() else { return Err(gone(snapshot)) };
    let account = form_urlencoded::parse(ask.query.as_bytes()).find(|(name, _)| name == "account");
    let is_it = |consumer: &&Consumer| {
        let is_there = account.as_ref().is_none_or(|(_, account)| *consumer.account == **account);
        is_there && consumer.stream.as_str() == stream && consumer.name.as_str() == name
    };
    let mut found = snapshot.known_consumers().filter(is_it);
    let first = found.next().ok_or_else(|| gone(snapshot))?;
    if found.next().is_some() {
        return Err(Failure::ambiguous("several accounts have such a consumer: say which with ?account="));
    }
    Ok(first)
}
