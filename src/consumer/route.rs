//! Which handler a message goes to, by its subject.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use super::WorkerError;
use crate::{
    bus::{CodecError, Payload, codec},
    handler::{Context, Handler, Outcome, class},
    name::SubjectPattern,
};

type Handled = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// One handler, its payload's type taken away.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) pattern: SubjectPattern,
    stream: &'static str,
    run: Arc<dyn Fn(Context) -> Handled + Send + Sync>,
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Route").field(&self.pattern).finish()
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
        self.0.push(Route { pattern, stream, run: Arc::new(run) });
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

    pub(super) fn patterns(&self) -> Vec<String> {
        self.0.iter().map(|route| route.pattern.to_string()).collect()
    }

    pub(super) fn of(&self, subject: &str) -> Option<&Route> {
        self.0.iter().find(|route| route.pattern.matches(subject))
    }
}
