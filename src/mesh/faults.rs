//! The switch of a service's faults: what a handler does while one is on. Only the mesh has such switches, the library has none.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    fault::{BUCKET, Fault, Kind},
    handler::{Context, Handler, Outcome},
    nats::Connection,
    service::Service,
    state::Documents,
};

/// How much longer each message takes while a fault makes it slow.
const SLOW: Duration = Duration::from_secs(2);

/// One message in so many is poison.
const POISONED: u64 = 10;

/// How often the switch is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// How long one look may take.
const LIMIT: Duration = Duration::from_secs(3);

/// How often a message that hangs looks whether its time is over.
const GLANCE: Duration = Duration::from_millis(200);

/// Which fault is on in a service; clones are the same switch.
#[derive(Debug, Clone)]
pub(super) struct Switch {
    fault: watch::Receiver<Option<Fault>>,
    clock: Clock,
}

impl Switch {
    /// Follows the switch of this service for as long as it runs.
    pub(super) fn of(service: Service, name: &'static str) -> (Service, Self) {
        let (sender, fault) = watch::channel(None);
        let connection = service.connection().clone();
        let service = service.task(|stop| follow(connection, name, sender, stop));
        (service, Self { fault, clock: Clock::system() })
    }

    /// Which fault is on now.
    pub(super) fn kind(&self) -> Option<Kind> {
        let now = self.clock.now();
        self.fault.borrow().as_ref().filter(|fault| fault.is_on(now)).map(|fault| fault.kind)
    }

    /// The handler with this switch before it.
    pub(super) fn over<T, H>(&self, handler: H) -> impl Handler<T> + use<T, H>
    where
        T: Send + 'static,
        H: Handler<T>,
    {
        let (switch, handler) = (self.clone(), Arc::new(handler));
        move |context, payload| {
            let (switch, handler) = (switch.clone(), handler.clone());
            async move { switch.run(context, payload, handler.as_ref()).await }
        }
    }

    async fn run<T: Send + 'static>(&self, context: Context, payload: T, handler: &impl Handler<T>) -> Outcome {
        match self.kind() {
            Some(Kind::Outage) => return on_purpose(Kind::Outage),
            Some(Kind::Poison) if is_poisoned(&context) => return on_purpose(Kind::Poison),
            Some(Kind::Slow) => sleep(SLOW).await,
            Some(Kind::Hang) => self.hang().await,
            Some(Kind::DropAcks) => {
                _ = handler.handle(context, payload).await;
                return on_purpose(Kind::DropAcks);
            }
            Some(Kind::Poison | Kind::Burst) | None => {}
        }
        handler.handle(context, payload).await
    }

    async fn hang(&self) {
        while self.kind() == Some(Kind::Hang) {
            sleep(GLANCE).await;
        }
    }
}

fn on_purpose(kind: Kind) -> Outcome {
    Outcome::retry(format!("the fault `{}` is switched on in this service", kind.token()))
}

fn is_poisoned(context: &Context) -> bool {
    context.delivery().is_some_and(|delivery| delivery.stream_sequence.is_multiple_of(POISONED))
}

/// Reads the switch again and again: a fault is rare, and a consumer of the bucket in every instance would be in the way of what is watched.
async fn follow(
    connection: Connection,
    name: &'static str,
    switch: watch::Sender<Option<Fault>>,
    stop: CancellationToken,
) {
    let (mut beat, mut bucket) = (tokio::time::interval(LOOK), None);
    loop {
        tokio::select! {
            _ = beat.tick() => {}
            () = stop.cancelled() => return,
        }
        let read = timeout(LIMIT, read(&connection, name, &mut bucket)).await;
        // While NATS is silent the switch stays as it was; its fault ends by itself.
        if let Ok(Some(fault)) = read {
            switch.send_if_modified(|last| is_news(last, fault));
        }
    }
}

/// What the switch says; `None` where there is no word of it. A mesh without the bucket has no faults.
async fn read(connection: &Connection, name: &str, bucket: &mut Option<Documents<Fault>>) -> Option<Option<Fault>> {
    if bucket.is_none() {
        *bucket = Documents::open(connection, BUCKET).await.ok();
    }
    Some(bucket.as_ref()?.read(name).await.ok()?.value)
}

fn is_news(last: &mut Option<Fault>, now: Option<Fault>) -> bool {
    let is_news = *last != now;
    if let Some(fault) = now.as_ref().filter(|_| is_news) {
        tracing::warn!(fault = fault.kind.token(), until = %fault.until, "a fault was switched in this service");
    }
    *last = now;
    is_news
}
