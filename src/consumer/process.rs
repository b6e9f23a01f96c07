//! One message from delivery to settlement.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use async_nats::{Message as Delivered, jetstream};
use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{dead_letter, pull::Shared, route::Route, status::Status};
use crate::{
    bus::{
        self,
        settle::{self, Settlement},
    },
    clock::Timestamp,
    dead_letter::Death,
    errors::ErrorChain,
    handler::{Context, Outcome, class},
    message::{Delivery, Message},
    name::{NameError, Subject, SubjectPattern},
    telemetry::{
        Span,
        events::{Processed, Settled},
        messaging::Processing,
    },
};

/// How soon a message comes back whose copy in the stream of dead letters was not confirmed.
const BURY_AGAIN: Duration = Duration::from_secs(5);

/// A message in work. Dropping it, however the handler ended, gives the credit back and tells the pull loop.
struct Credit {
    status: Arc<Status>,
    freed: Arc<Notify>,
}

impl Drop for Credit {
    fn drop(&mut self) {
        self.status.freed();
        self.freed.notify_one();
    }
}

/// Starts a handler on a delivered message. The message is held from here on.
pub(super) fn start(shared: &Shared, delivered: Delivered, freed: Arc<Notify>) {
    let Some(reply) = delivered.reply.clone() else {
        tracing::warn!(subject = %delivered.subject, "ignored a message that did not come from a stream");
        return;
    };
    let lease = shared.leases.hold(reply.clone());
    let shared = shared.clone();
    shared.status.started();
    shared.handlers.clone().spawn(move |stop| async move {
        let credit = Credit { status: shared.status.clone(), freed };
        process(&shared, delivered, &reply, &stop).await;
        drop(lease);
        drop(credit);
    });
}

async fn process(shared: &Shared, delivered: Delivered, reply: &async_nats::Subject, stop: &CancellationToken) {
    let (message, delivery) = match read(shared, delivered) {
        Ok(read) => read,
        Err(why) => {
            shared.status.ended(Duration::ZERO, false);
            tracing::error!(consumer = %shared.status.consumer, why, "a delivery cannot be read; it is rejected");
            let settled = settle::settle(&shared.connection.client, reply, &Settlement::Term(why)).await;
            drop(settled);
            return;
        }
    };
    let route = shared.worker.routes.of(message.subject.as_str()).cloned();
    let template = route.as_ref().map_or_else(|| literal(&message.subject), |route| route.pattern.clone());
    let consumer = shared.status.consumer.as_str();
    let telemetry = shared.bus.telemetry();
    telemetry.metrics().count_delivery(template.as_str(), consumer);
    let span = telemetry.processing(Processing {
        message: &message,
        template: &template,
        group: consumer,
        delivery: Some(&delivery),
    });
    let span = span.with_ids(telemetry.ids_of(&message));
    let delivered_times = delivery.delivered;
    span.around(async {
        let began = Instant::now();
        let context = Context::new(message, Some(delivery));
        let outcome = handle(route, context.clone(), stop).await;
        let took = began.elapsed();
        shared.status.ended(took, outcome == Outcome::Done);
        tell(shared, &span, &template, &outcome, took, delivered_times);
        let settlement = match &outcome {
            Outcome::Reject { .. } => bury(shared, &context, &outcome).await,
            _ => settlement(shared, &outcome, delivered_times),
        };
        settle_outcome(shared, reply, &template, settlement).await;
    })
    .await;
    span.end();
}

/// Runs the handler. One that panics has failed like any other; one that outlives the grace is given up.
async fn handle(route: Option<Route>, context: Context, stop: &CancellationToken) -> Outcome {
    let Some(route) = route else {
        return Outcome::reject(format!("no handler for subject {}", context.message().subject))
            .classed(class::NO_HANDLER);
    };
    let handled = AssertUnwindSafe(async move { route.handle(context).await }).catch_unwind();
    tokio::select! {
        ended = handled => ended.unwrap_or_else(|panic| panicked(&*panic)),
        () = stop.cancelled() => Outcome::Retry {
            reason: "the service ended before the handler did".to_owned(),
            class: class::SHUTDOWN,
            after: Some(Duration::ZERO),
        },
    }
}

fn tell(shared: &Shared, span: &Span, template: &SubjectPattern, outcome: &Outcome, took: Duration, delivered: u64) {
    let name = outcome.name();
    span.set("messaging.nats.outcome", name);
    if *outcome != Outcome::Done {
        span.fail(name, outcome.reason().to_owned());
    }
    let consumer = shared.status.consumer.as_str();
    let processed =
        Processed { consumer, template: template.as_str(), outcome: name, reason: outcome.reason(), took, delivered };
    processed.emit(shared.bus.telemetry().metrics());
}

fn settlement(shared: &Shared, outcome: &Outcome, delivered: u64) -> Settlement {
    match outcome {
        Outcome::Done => Settlement::Ack,
        Outcome::Reject { reason, .. } => Settlement::Term(reason.clone()),
        Outcome::Retry { after: Some(after), .. } => Settlement::Nak((!after.is_zero()).then_some(*after)),
        Outcome::Retry { after: None, .. } => {
            let failures = u32::try_from(delivered).unwrap_or(u32::MAX);
            Settlement::Nak(Some(shared.worker.retry.wait(failures, fastrand::f64())))
        }
    }
}

/// A message is terminated only once its copy is kept; otherwise it comes back.
async fn bury(shared: &Shared, context: &Context, outcome: &Outcome) -> Settlement {
    let delivery = context.delivery().expect("a worker's context has its delivery");
    let death = Death {
        reason: outcome.reason().to_owned(),
        class: outcome.class().to_owned(),
        attempts: u32::try_from(delivery.delivered).ok(),
        time: shared.bus.clock().now(),
    };
    match dead_letter::bury(&shared.bus, &shared.connection, context.message(), delivery, &death).await {
        Ok(()) => Settlement::Term(death.reason),
        Err(error) => {
            let (consumer, error) = (&shared.status.consumer, ErrorChain(&error));
            tracing::error!(%consumer, %error, "a dead letter has no copy yet; its message comes back");
            Settlement::Nak(Some(BURY_AGAIN))
        }
    }
}

async fn settle_outcome(
    shared: &Shared,
    reply: &async_nats::Subject,
    template: &SubjectPattern,
    settlement: Settlement,
) {
    let consumer = shared.status.consumer.as_str();
    let telemetry = shared.bus.telemetry();
    let span = telemetry.settling(settlement.operation(), template, consumer);
    let began = Instant::now();
    let result = settle::settle(&shared.connection.client, reply, &settlement).await;
    let failure = result.err().map(|error| ErrorChain(&error).to_string()).unwrap_or_default();
    if !failure.is_empty() {
        span.fail("unconfirmed", failure.clone());
    }
    span.end();
    let operation = settlement.operation();
    let settled = Settled { consumer, template: template.as_str(), operation, took: began.elapsed(), failure };
    settled.emit(telemetry.metrics());
}

/// What was delivered as plain data.
fn read(shared: &Shared, message: Delivered) -> Result<(Message, Delivery), String> {
    let delivered = jetstream::Message { message, context: shared.connection.jetstream.clone() };
    let delivery = delivery(&delivered)?;
    let Delivered { subject, headers, payload, .. } = delivered.message;
    let subject = Subject::try_from(subject.as_str()).map_err(|error| error.to_string())?;
    Ok((bus::read_message(subject, headers.as_ref(), payload), delivery))
}

fn delivery(delivered: &jetstream::Message) -> Result<Delivery, String> {
    let info = delivered.info().map_err(|error| error.to_string())?;
    Ok(Delivery {
        stream: info.stream.try_into().map_err(|error: NameError| error.to_string())?,
        consumer: info.consumer.try_into().map_err(|error: NameError| error.to_string())?,
        stream_sequence: info.stream_sequence,
        consumer_sequence: info.consumer_sequence,
        delivered: info.delivered.try_into().unwrap_or(1),
        pending: info.pending,
        published: Timestamp(info.published),
    })
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Outcome {
    Outcome::retry(format!("the handler panicked: {}", words(panic))).classed(class::PANIC)
}

fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no words")
}

fn literal(subject: &Subject) -> SubjectPattern {
    SubjectPattern::try_from(subject.as_str()).expect("a subject is a pattern without wildcards")
}
