//! Which handler a message goes to: by its subject, and where several handlers read that subject, by the version that it says it is.

use std::{borrow::Cow, fmt, future::Future, pin::Pin, sync::Arc};

use super::WorkerError;
use crate::{
    bus::{CodecError, Payload, codec},
    handler::{Context, Handler, Outcome, class},
    message::{Message, Schema},
    name::{Subject, SubjectPattern},
    telemetry::{Metrics, metrics::RouteMetrics},
};

type Handled = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// One handler, its payload's type taken away.
pub(super) struct Route {
    pub(super) pattern: SubjectPattern,
    schema: Schema,
    stream: &'static str,
    partitions: Option<u32>,
    run: Box<dyn Fn(Context) -> Handled + Send + Sync>,
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Route").field(&self.pattern).field(&self.schema).finish()
    }
}

fn unreadable(error: &CodecError) -> Outcome {
    let kind = if matches!(error, CodecError::Version { .. }) { class::VERSION } else { class::UNREADABLE };
    Outcome::reject(crate::errors::ErrorChain(error)).classed(kind)
}

impl Route {
    pub(super) fn handle(&self, context: Context) -> Handled {
        (self.run)(context)
    }
}

/// The handlers of a worker.
#[derive(Debug, Default)]
pub(super) struct Routes(Vec<Route>);

/// Where a message goes.
#[derive(Debug)]
pub(super) enum Choice<'a> {
    /// To this handler, the one at `index`.
    Route { route: &'a Route, index: usize },
    /// To none, for the reason that the outcome gives. The pattern is the one that the subject fits, if it fits any.
    Nobody { outcome: Outcome, pattern: Option<&'a SubjectPattern> },
}

impl<'a> Choice<'a> {
    /// The pattern that `subject`, the message's, is one of, or the subject itself where nobody reads it.
    pub(super) fn template(&self, subject: &Subject) -> Cow<'a, SubjectPattern> {
        match self {
            Self::Route { route, .. } => Cow::Borrowed(&route.pattern),
            Self::Nobody { pattern: Some(pattern), .. } => Cow::Borrowed(pattern),
            Self::Nobody { pattern: None, .. } => Cow::Owned(literal(subject)),
        }
    }
}

fn literal(subject: &Subject) -> SubjectPattern {
    SubjectPattern::try_from(subject.as_str()).expect("a subject is a pattern without wildcards")
}

impl Routes {
    pub(super) fn add<P: Payload>(&mut self, pattern: SubjectPattern, stream: &'static str, handler: impl Handler<P>) {
        let handler = Arc::new(handler);
        let run = move |context: Context| -> Handled {
            let handler = handler.clone();
            Box::pin(async move {
                match codec::decode::<P>(context.message()) {
                    Ok(payload) => handler.handle(context, payload).await,
                    Err(error) => unreadable(&error),
                }
            })
        };
        self.0.push(Route { pattern, schema: P::schema(), stream, partitions: P::PARTITIONS, run: Box::new(run) });
    }

    /// The pattern of the handler at `index`.
    pub(super) fn pattern(&self, index: usize) -> &SubjectPattern {
        &self.0[index].pattern
    }

    /// The stream that all handlers read.
    pub(super) fn stream(&self, durable: &str) -> Result<&'static str, WorkerError> {
        let durable = durable.to_owned();
        let mut streams = self.0.iter().map(|route| route.stream);
        let Some(one) = streams.next() else {
            return Err(WorkerError::NoHandler { durable });
        };
        match streams.find(|other| *other != one) {
            None => Ok(one),
            Some(other) => Err(WorkerError::TwoStreams { durable, one, other }),
        }
    }

    /// The subjects of all handlers, each once.
    pub(super) fn patterns(&self) -> Vec<String> {
        let mut patterns: Vec<String> = Vec::new();
        for route in &self.0 {
            if !patterns.iter().any(|known| known == route.pattern.as_str()) {
                patterns.push(route.pattern.to_string());
            }
        }
        patterns
    }

    /// How many partitions all that is handled has.
    pub(super) fn partitions(&self, durable: &str) -> Result<u32, WorkerError> {
        let mut partitions = self.0.iter().map(|route| route.partitions);
        let one = partitions.next().flatten().filter(|one| *one > 0 && partitions.all(|other| other == Some(*one)));
        one.ok_or_else(|| WorkerError::Partitions { durable: durable.to_owned() })
    }

    /// The patterns of what lies in one partition, whose number stands for the first wildcard.
    pub(super) fn patterns_in(&self, partition: u32) -> Vec<String> {
        self.patterns().iter().map(|pattern| in_partition(pattern, partition)).collect()
    }

    /// The metrics of each handler, looked up once instead of for every message.
    pub(super) fn metrics(&self, metrics: &Metrics, consumer: &str) -> Vec<RouteMetrics> {
        self.0.iter().map(|route| metrics.route(route.pattern.as_str(), consumer)).collect()
    }

    /// The handler of a message. One that does not say its version goes to the handler that was named first.
    pub(super) fn of(&self, message: &Message) -> Choice<'_> {
        let subject = message.subject.as_str();
        let mut first = None;
        for (index, route) in self.0.iter().enumerate().filter(|(_, route)| route.pattern.matches(subject)) {
            if message.schema.as_ref().is_none_or(|schema| *schema == route.schema) {
                return Choice::Route { route, index };
            }
            first.get_or_insert(route);
        }
        match (first, &message.schema) {
            (Some(route), Some(found)) => {
                let outcome =
                    Outcome::reject(format!("the message is {found}, this worker reads {}", self.read_on(subject)));
                Choice::Nobody { outcome: outcome.classed(class::VERSION), pattern: Some(&route.pattern) }
            }
            _ => {
                let outcome = Outcome::reject(format!("no handler for subject {subject}"));
                Choice::Nobody { outcome: outcome.classed(class::NO_HANDLER), pattern: None }
            }
        }
    }

    /// What is read from a subject, in words.
    fn read_on(&self, subject: &str) -> String {
        let read = self.0.iter().filter(|route| route.pattern.matches(subject));
        read.map(|route| route.schema.to_string()).collect::<Vec<_>>().join(" and ")
    }
}

fn in_partition(pattern: &str, partition: u32) -> String {
    let mut tokens: Vec<String> = pattern.split('.').map(str::to_owned).collect();
    if let Some(token) = tokens.iter_mut().find(|token| *token == "*") {
        *token = partition.to_string();
    }
    tokens.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_stands_for_the_first_wildcard() {
        assert_eq!(in_partition("readings.*.*", 3), "readings.3.*");
        assert_eq!(in_partition("a*b.*.>", 3), "a*b.3.>");
    }
}
