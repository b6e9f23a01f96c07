//! A [`tower::Service`] as a handler, so that tower's layers (timeout, rate limit, load shed and the rest) work on messages.

use std::{error::Error, future::poll_fn, sync::Arc};

use tokio::sync::Mutex;
use tower::{Service, load_shed::error::Overloaded, timeout::error::Elapsed};

use super::{Context, Handler, IntoOutcome, Outcome, class};
use crate::errors::ErrorChain;

/// A message as a [`tower::Service`] is given it.
#[derive(Debug, Clone)]
pub struct Request<T> {
    /// What a handler is told beside the payload.
    pub context: Context,
    /// The payload.
    pub payload: T,
}

/// Any [`tower::Service`] as a handler. A message waits until the service is ready for it; an error means that the message is tried
/// again, of class [`class::TIMEOUT`] where tower's timeout passed and [`class::OVERLOADED`] where tower shed the load.
///
/// One service takes the calls of all messages, so it need not be `Clone`. The answers run side by side.
pub fn service<T, S>(service: S) -> impl Handler<T> + use<T, S>
where
    T: Send + 'static,
    S: Service<Request<T>, Response: IntoOutcome, Error: Into<BoxError>, Future: Send> + Send + 'static,
{
    Served(Arc::new(Mutex::new(service)))
}

type BoxError = Box<dyn Error + Send + Sync>;

/// The lock is the queue of messages that wait for the service to be ready; it is never held while one is answered. A service tells only
/// the last one that asked whether it is ready, so two may not ask at once.
struct Served<S>(Arc<Mutex<S>>);

impl<T, S> Handler<T> for Served<S>
where
    T: Send + 'static,
    S: Service<Request<T>, Response: IntoOutcome, Error: Into<BoxError>, Future: Send> + Send + 'static,
{
    async fn handle(&self, context: Context, payload: T) -> Outcome {
        let called = {
            let mut service = self.0.lock().await;
            match poll_fn(|task| service.poll_ready(task)).await {
                Ok(()) => service.call(Request { context, payload }),
                Err(error) => return failed(error.into().as_ref()),
            }
        };
        match called.await {
            Ok(ended) => ended.into_outcome(),
            Err(error) => failed(error.into().as_ref()),
        }
    }
}

fn failed(error: &(dyn Error + 'static)) -> Outcome {
    Outcome::retry(ErrorChain(error)).classed(class_of(error))
}

fn class_of(error: &(dyn Error + 'static)) -> &'static str {
    let mut causes = std::iter::successors(Some(error), |&error| error.source());
    let known = causes.find_map(|cause| match cause {
        cause if cause.is::<Elapsed>() => Some(class::TIMEOUT),
        cause if cause.is::<Overloaded>() => Some(class::OVERLOADED),
        _ => None,
    });
    known.unwrap_or(class::ERROR)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        time::Duration,
    };

    use futures_util::future::{join, join_all};
    use tower::{ServiceBuilder, service_fn};

    use super::*;
    use crate::handler::testing::context;

    /// Runs a handler on one message, and names its outcome and class.
    async fn run(handler: &impl Handler<u32>, payload: u32) -> (&'static str, &'static str) {
        let outcome = handler.handle(context(), payload).await;
        (outcome.name(), outcome.class())
    }

    #[tokio::test(start_paused = true)]
    async fn the_errors_of_tower_have_their_classes() {
        let slow = |request: Request<u32>| async move {
            tokio::time::sleep(Duration::from_secs(request.payload.into())).await;
            if request.payload == 1 { Err(std::io::Error::other("no room")) } else { Ok(()) }
        };
        let timed = ServiceBuilder::new().timeout(Duration::from_secs(5)).service(service_fn(slow));
        let timed = service(timed);
        assert_eq!(run(&timed, 0).await, ("done", ""));
        assert_eq!(run(&timed, 1).await, ("retry", class::ERROR));
        assert_eq!(run(&timed, 9).await, ("retry", class::TIMEOUT));

        let shed = ServiceBuilder::new().load_shed().concurrency_limit(1).service(service_fn(slow));
        let shed = service(shed);
        let both = join(run(&shed, 2), run(&shed, 0)).await;
        assert_eq!(both, (("done", ""), ("retry", class::OVERLOADED)));
    }

    #[tokio::test(start_paused = true)]
    async fn messages_wait_until_the_service_is_ready() {
        let began = tokio::time::Instant::now();
        let done = |_: Request<u32>| async { Ok::<_, std::io::Error>(()) };
        let limited = ServiceBuilder::new().rate_limit(1, Duration::from_secs(10)).service(service_fn(done));
        let limited = service(limited);
        let outcomes = join_all((0..4).map(|number| run(&limited, number))).await;
        assert_eq!((outcomes, began.elapsed().as_secs()), (vec![("done", ""); 4], 30));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_messages_run_at_once_than_the_service_takes() {
        let (running, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let (counted, seen) = (running.clone(), most.clone());
        let work = move |_: Request<u32>| {
            let (running, most) = (counted.clone(), seen.clone());
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_secs(1)).await;
                running.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, std::io::Error>(Outcome::Done)
            }
        };
        let limited = service(ServiceBuilder::new().concurrency_limit(3).service(service_fn(work)));
        join_all((0..10).map(|number| run(&limited, number))).await;
        assert_eq!(most.load(Ordering::SeqCst), 3);
    }
}
