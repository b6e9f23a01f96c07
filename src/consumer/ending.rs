//! The ordinary end of a message: acked, and nobody waits for the server's word. What hears it does the rest.

use std::time::Instant;

use super::{held::Held, pull::Shared};
use crate::{
    bus::settle::{self, Settlement, Unconfirmed},
    errors::ErrorChain,
    telemetry::{
        Span,
        events::{self, Settled},
    },
};

/// A message that is done and acked. It is held, and its spans are open, until the server has confirmed that or failed to.
#[derive(Debug)]
pub(super) struct Ending {
    held: Held,
    /// The handler's.
    span: Span,
    /// The settlement's, inside it; `None` where nobody will see it.
    settling: Option<Span>,
    /// Which of the worker's routes it went.
    route: usize,
    began: Instant,
}

impl Ending {
    pub(super) fn new(held: Held, span: Span, route: usize) -> Self {
        let shared = held.shared();
        // No message follows from this span, so its ids are of no use in a trace that nobody will see.
        let settling = span.is_recording().then(|| span.inside(|| settling(shared, route)));
        Self { held, span, settling, route, began: Instant::now() }
    }

    /// Acks the message whose reply subject is `reply`. Both are given back if the server's word would not be heard.
    pub(super) async fn ack(self, shared: &Shared, reply: &async_nats::Subject) -> Result<(), (Held, Span)> {
        let began = self.began;
        let gone = shared.settler.settle_and_go_on(reply, &Settlement::Ack, self, began).await;
        gone.map_err(|ending| (ending.held, ending.span))
    }
}

fn settling(shared: &Shared, route: usize) -> Span {
    let template = shared.worker.routes.pattern(route);
    shared.bus.telemetry().settling(Settlement::Ack.operation(), template, shared.status.consumer.as_str())
}

impl settle::Ending for Ending {
    fn heard(self, word: Result<(), Unconfirmed>, now: Instant) {
        let took = now.saturating_duration_since(self.began);
        let shared = self.held.shared();
        match word {
            Ok(()) => events::acked(took, &shared.route_metrics[self.route]),
            Err(error) => {
                let failure = ErrorChain(&error).to_string();
                if let Some(span) = &self.settling {
                    span.fail("unconfirmed", failure.clone());
                }
                let (operation, consumer) = (Settlement::Ack.operation(), shared.status.consumer.as_str());
                let template = shared.worker.routes.pattern(self.route).as_str();
                let settled = Settled { consumer, template, operation, took, failure };
                self.span.inside(|| settled.emit(shared.bus.telemetry().metrics()));
            }
        }
        if let Some(span) = &self.settling {
            span.end();
            self.span.end();
        }
    }
}
