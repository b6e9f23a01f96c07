//! One start of a handler on a message, and what becomes of the message after it.

use std::{
    borrow::Cow,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;

use super::{
    arrival::Arrived,
    attempts::Record,
    dead_letter,
    ending::Ending,
    fate::{Fate, fate, outlived, panicked, unredeemed},
    gate::{self, Kind},
    held::Held,
    pull::Shared,
    route::{Choice, Route},
    tally::{Exhausted, Tally},
};
use crate::{
    bus::{ClaimError, settle::Settlement},
    dead_letter::Death,
    errors::ErrorChain,
    handler::{Context, Outcome, class},
    message::{Delivery, Message, header},
    name::SubjectPattern,
    telemetry::{
        Span,
        events::{self, Done, GivenUp, Processed, Settled, Tripped},
        messaging::Processing,
        metrics::RouteMetrics,
    },
};

/// How long a message waits whose dead letter could not be stored.
const BURY_AGAIN: Duration = Duration::from_secs(10);

/// A message that is held.
pub(super) struct Work<'a> {
    pub(super) shared: &'a Shared,
    pub(super) reply: &'a async_nats::Subject,
    pub(super) message: Arc<Message>,
    pub(super) delivery: Arc<Delivery>,
    /// What is known of one that came back after a long wait; its place is the original's.
    pub(super) returned: Option<Record>,
    /// `None` once the message was let go.
    held: Option<Held>,
    choice: Choice<'a>,
    stop: &'a CancellationToken,
}

/// What follows an attempt.
pub(super) enum Next {
    /// Nothing: the message is settled, or its settlement was lost and it will be delivered again.
    Settled,
    /// Another attempt, after so long.
    Again(Duration),
}

impl<'a> Work<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        reply: &'a async_nats::Subject,
        (message, delivery, returned): Arrived,
        held: Held,
        stop: &'a CancellationToken,
    ) -> Self {
        let choice = shared.worker.routes.of(&message);
        match &choice {
            Choice::Route { index, .. } => shared.route_metrics[*index].count_delivery(),
            Choice::Nobody { .. } => {
                let template = choice.template(&message.subject);
                let metrics = shared.bus.telemetry().metrics();
                metrics.count_delivery(template.as_str(), shared.status.consumer.as_str());
            }
        }
        Self { shared, reply, message, delivery, returned, held: Some(held), choice, stop }
    }

    /// Settles a message that another durable is to process.
    pub(super) async fn settle_unrun(&self) {
        let span = self.span();
        span.set("messaging.nats.outcome", "skipped");
        span.around(self.settle(&span, Settlement::Ack)).await;
        span.end();
    }

    /// Starts the handler once and settles what it returns, unless the message is to be tried again here.
    pub(super) async fn attempt(&mut self, tally: &mut Tally) -> Next {
        if let Some(exhausted) = tally.exhausted(&self.shared.worker.retry) {
            return Box::pin(self.give_up(tally, &exhausted)).await;
        }
        let number = match self.choice {
            Choice::Route { .. } => {
                tally.start(&self.shared.attempts, &self.delivery, self.shared.bus.clock().now()).await
            }
            Choice::Nobody { .. } => 0,
        };
        let span = self.span();
        span.set("streamgauge.attempt", i64::from(number));
        let outcome = span.around(self.run(&span, number)).await;
        let (span, outcome) = match self.let_go(span, tally, outcome).await {
            Ok(()) => return Next::Settled,
            Err(kept) => kept,
        };
        // What is rare is boxed here and elsewhere: the work on every message would be as large as the largest of its ways.
        let next = Box::pin(span.around(self.conclude(&span, tally, &outcome))).await;
        span.end();
        next
    }

    /// Acks the message and waits for nothing, if nothing is to happen after it: what is known of its attempts is nowhere but here, and
    /// no other message waits for its end.
    async fn let_go(&mut self, span: Span, tally: &Tally, outcome: Outcome) -> Result<(), (Span, Outcome)> {
        let Shared { worker, part, .. } = self.shared;
        let waits = tally.is_stored() || worker.serial.is_some() || part.is_some() || self.returned.is_some();
        let (Outcome::Done, false, &Choice::Route { index, .. }) = (&outcome, waits, &self.choice) else {
            return Err((span, outcome));
        };
        let Some(held) = self.held.take() else { return Err((span, outcome)) };
        let unheard = Ending::new(held, span, index).ack(self.shared, self.reply).await;
        unheard.map_err(|(held, span)| {
            self.held = Some(held);
            (span, outcome)
        })
    }

    async fn give_up(&self, tally: &mut Tally, exhausted: &Exhausted) -> Next {
        let span = self.span();
        span.set("streamgauge.attempt", i64::from(tally.attempts()));
        let kind = if exhausted.class == class::LOST { class::LOST } else { class::ERROR };
        span.fail(kind, exhausted.reason.clone());
        let next = span.around(self.bury(&span, tally, &exhausted.class, &exhausted.reason)).await;
        span.end();
        next
    }

    fn span(&self) -> Span {
        let telemetry = self.shared.bus.telemetry();
        let span = telemetry.processing(Processing {
            message: &self.message,
            template: &self.template(),
            group: self.shared.status.consumer.as_str(),
            delivery: Some(&self.delivery),
        });
        span.with_ids(telemetry.ids_of(&self.message))
    }

    async fn run(&self, span: &Span, number: u32) -> Outcome {
        let status = &self.shared.status;
        let running = status.started();
        let began = Instant::now();
        let outcome = match &self.choice {
            Choice::Route { route, .. } => self.handled(route, number).await.brief(),
            Choice::Nobody { outcome, .. } => outcome.clone().brief(),
        };
        let took = began.elapsed();
        status.ended(took, outcome == Outcome::Done);
        self.shared.runners.took(took);
        self.tell(span, &outcome, took, number);
        self.learn(span, &outcome, took, running);
        outcome
    }

    /// Runs the handler. One that panics has failed like any other, as has one that outlives its limit; one that outlives the grace is
    /// given up.
    async fn handled(&self, route: &Route, number: u32) -> Outcome {
        let message = match self.message.header(header::CLAIM_CHECK) {
            None => self.message.clone(),
            Some(_) => match Box::pin(self.redeemed()).await {
                Ok(message) => message,
                Err(error) => return unredeemed(&error),
            },
        };
        let context = Context::of(message, Some(self.delivery.clone())).at_attempt(number);
        let context = match &self.shared.part {
            None => context,
            Some(part) => context.fenced(part.fence),
        };
        let handled = AssertUnwindSafe(route.handle(context)).catch_unwind();
        let limited = async {
            match self.shared.worker.handler_limit {
                None => Ok(handled.await),
                Some(limit) => Box::pin(tokio::time::timeout(limit, handled)).await.map_err(|_| limit),
            }
        };
        tokio::select! {
            // A handler that ends at once leaves no trace of having waited for the end of the service.
            biased;
            ended = limited => match ended {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(panic)) => panicked(&*panic),
                Err(limit) => outlived(limit),
            },
            () = self.stop.cancelled() => {
                Outcome::retry("the service ended before the handler did").classed(class::SHUTDOWN)
            }
        }
    }

    /// The message with its payload, which lies in the object store.
    async fn redeemed(&self) -> Result<Arc<Message>, ClaimError> {
        let mut message = Message::clone(&self.message);
        self.shared.bus.redeem(&mut message).await?;
        Ok(Arc::new(message))
    }

    fn tell(&self, span: &Span, outcome: &Outcome, took: Duration, attempt: u32) {
        let name = outcome.name();
        span.set("messaging.nats.outcome", name);
        let (consumer, delivered) = (self.shared.status.consumer.as_str(), self.delivery.delivered);
        if let (Outcome::Done, Some(metrics)) = (outcome, self.route_metrics()) {
            return Done { consumer, took, delivered, attempt }.emit(metrics);
        }
        span.fail(outcome.class(), outcome.reason().to_owned());
        let template = self.template();
        let (reason, class) = (outcome.reason(), outcome.class());
        let processed =
            Processed { consumer, template: template.as_str(), outcome: name, reason, took, delivered, attempt, class };
        processed.emit(self.shared.bus.telemetry().metrics());
    }

    /// The pattern that the message's subject is one of, or the subject itself where nobody reads it.
    fn template(&self) -> Cow<'_, SubjectPattern> {
        self.choice.template(&self.message.subject)
    }

    fn route_metrics(&self) -> Option<&RouteMetrics> {
        match self.choice {
            Choice::Route { index, .. } => self.shared.route_metrics.get(index),
            Choice::Nobody { .. } => None,
        }
    }

    /// Tells the breaker and the credits how the handler ended.
    fn learn(&self, span: &Span, outcome: &Outcome, took: Duration, running: u32) {
        if matches!(outcome.class(), class::SHUTDOWN | class::CLAIMED) {
            return;
        }
        let is_overloaded = matches!(outcome.class(), class::TIMEOUT | class::OVERLOADED);
        if let Some(credits) = self.shared.credits.observe(took, running, is_overloaded) {
            self.shared.status.set_concurrency(credits);
        }
        match outcome {
            Outcome::Done => {
                self.watch(span, Kind::Breaker, None);
                self.watch(span, Kind::KillSwitch, None);
            }
            Outcome::Retry { class, .. } => self.watch(span, Kind::Breaker, Some(class)),
            Outcome::Reject { .. } => {}
        }
    }

    fn watch(&self, span: &Span, kind: Kind, failed: Option<&str>) {
        if !self.shared.gate.is_guarded() {
            return;
        }
        let Some(phase) = self.shared.gate.record(kind, Instant::now(), failed) else {
            return;
        };
        let phase = gate::phase_name(phase);
        span.event(match (kind, phase) {
            (Kind::Breaker, "open") => "breaker opened",
            (Kind::Breaker, _) => "breaker closed",
            (Kind::KillSwitch, "open") => "kill switch opened",
            (Kind::KillSwitch, _) => "kill switch closed",
        });
        let consumer = self.shared.status.consumer.as_str();
        Tripped { consumer, kind: kind.name(), phase }.emit(self.shared.bus.telemetry().metrics());
    }

    async fn conclude(&self, span: &Span, tally: &mut Tally, outcome: &Outcome) -> Next {
        let Shared { attempts, worker, bus, .. } = self.shared;
        let since_first = tally.first_started().map(|at| at.age(bus.clock().now()).0).unwrap_or_default();
        match fate(&worker.retry, outcome, tally.attempts(), since_first, fastrand::f64()) {
            Fate::Done => {
                if self.settle(span, Settlement::Ack).await {
                    tally.forget(attempts, &self.delivery).await;
                }
                Next::Settled
            }
            Fate::HandedBack(after) => {
                tally.take_back(attempts, &self.delivery).await;
                // What a worker keeps in order waits here: handed back, those behind it would overtake it.
                if let Some(wait) = after.filter(|_| worker.serial.is_some()) {
                    return Next::Again(wait);
                }
                self.settle(span, Settlement::Nak(after)).await;
                Next::Settled
            }
            Fate::Again(wait) => {
                tally.failed(outcome.class(), outcome.reason());
                self.again(span, tally, wait).await
            }
            Fate::Dead(reason) => self.bury(span, tally, outcome.class(), &reason).await,
        }
    }

    /// At once here; later by way of the server, unless the message blocks its key.
    async fn again(&self, span: &Span, tally: &mut Tally, wait: Duration) -> Next {
        if wait.is_zero() {
            return Next::Again(wait);
        }
        tally.save(&self.shared.attempts, &self.delivery).await;
        if self.shared.worker.serial.is_some() {
            return Next::Again(wait);
        }
        if !self.scheduled(span, tally, wait).await {
            self.settle(span, Settlement::Nak(Some(wait))).await;
        }
        Next::Settled
    }

    /// Has the message wait in the stream of retries, if it is to wait long; `false` if it has to wait where it is.
    async fn scheduled(&self, span: &Span, tally: &mut Tally, wait: Duration) -> bool {
        let Shared { later, worker, bus, attempts, status, .. } = self.shared;
        let (Some(later), Some(record)) = (later, tally.record()) else { return false };
        if wait < worker.scheduling_from {
            return false;
        }
        let scheduled = later.schedule(bus, &self.message, &self.delivery, record, wait).await;
        if scheduled.is_err() {
            return false;
        }
        if self.settle(span, Settlement::Ack).await {
            tally.forget(attempts, &self.delivery).await;
        } else {
            let (consumer, sequence) = (&status.consumer, self.delivery.stream_sequence);
            tracing::warn!(%consumer, sequence, "a message that was scheduled is not known to be let go; it may be tried once more than was meant");
        }
        true
    }

    /// Copies the message to the dead letters, and lets go of it only when the copy is there.
    async fn bury(&self, span: &Span, tally: &mut Tally, class: &str, reason: &str) -> Next {
        let Shared { bus, connection, .. } = self.shared;
        let (attempts, time) = (tally.attempts(), bus.clock().now());
        let death = Death { reason: reason.to_owned(), class: class.to_owned(), attempts: Some(attempts), time };
        let buried = dead_letter::bury(bus, connection, &self.message, &self.delivery, &death).await;
        let failure = buried.err().map(|error| ErrorChain(&error).to_string()).unwrap_or_default();
        let is_buried = failure.is_empty();
        let consumer = self.shared.status.consumer.as_str();
        GivenUp { consumer, attempts, class, reason, failure }.emit();
        if !is_buried {
            tally.failed(class, reason);
            return self.again(span, tally, BURY_AGAIN).await;
        }
        self.watch(span, Kind::KillSwitch, Some(class));
        let settlement = match self.returned {
            None => Settlement::Term(reason.to_owned()),
            // The server would tell of a dead letter in the stream of retries, where nobody is to look for it.
            Some(_) => Settlement::Ack,
        };
        if self.settle(span, settlement).await {
            tally.forget(&self.shared.attempts, &self.delivery).await;
        }
        Next::Settled
    }

    /// Settles the message, inside the span of its handler; `false` if the server did not confirm it.
    async fn settle(&self, within: &Span, settlement: Settlement) -> bool {
        let consumer = self.shared.status.consumer.as_str();
        let telemetry = self.shared.bus.telemetry();
        let operation = settlement.operation();
        // No message follows from this span, so its ids are of no use in a trace that nobody will see.
        let is_seen = within.is_recording();
        let span = is_seen.then(|| telemetry.settling(operation, &self.template(), consumer));
        let began = Instant::now();
        let result = self.shared.settler.settle(self.reply, &settlement).await;
        let took = began.elapsed();
        if let (Ok(()), Settlement::Ack, Some(metrics)) = (&result, &settlement, self.route_metrics()) {
            events::acked(took, metrics);
            if let Some(span) = span {
                span.end();
            }
            return true;
        }
        let failure = result.err().map(|error| ErrorChain(&error).to_string()).unwrap_or_default();
        let is_confirmed = failure.is_empty();
        if let Some(span) = span {
            if !is_confirmed {
                span.fail("unconfirmed", failure.clone());
            }
            span.end();
        }
        let template = self.template();
        let settled = Settled { consumer, template: template.as_str(), operation, took, failure };
        settled.emit(telemetry.metrics());
        is_confirmed
    }
}
