//! A worker by partitions: instances share them, and each partition has a consumer that lets one message be under way.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    Status, Worker, WorkerError,
    attempts::Attempts,
    credits::Credits,
    declare::Asked,
    gate::Gate,
    lease::Leases,
    pull::{self, Shared},
    runners::Runners,
    turns::Turns,
};
use crate::{
    bus::{
        Bus,
        ownership::{self, Group, Held, Holder, Standing},
        settle::Settler,
    },
    name::{ConsumerName, StreamName, token_of},
    nats::Connection,
    tasks::Tasks,
};

/// One message under way: the next is delivered when it is settled, so a message that waits to be tried again is not overtaken.
const MAX_ACK_PENDING: i64 = 1;

/// How long a partition may take to begin to pull before it counts as trouble.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long handlers of a lost partition may take to end. They are dropped where they stand.
const DROP_LIMIT: Duration = Duration::from_secs(1);

/// What the handlers of a partition need to know of it.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// See [`Held::fence`].
    pub(super) fence: u64,
    lost: CancellationToken,
}

impl Part {
    /// Drops `work` where it stands when the partition is lost: whatever it would settle may be another's by then.
    pub(super) async fn unless_lost(&self, work: impl Future<Output = ()>) {
        tokio::select! {
            biased;
            () = self.lost.cancelled() => {}
            () = work => {}
        }
    }
}

/// A partitioned worker: begins to pull from a partition when it is held.
struct Partitioned {
    worker: Arc<Worker>,
    bus: Bus,
    connection: Connection,
    grace: Duration,
    status: Arc<Status>,
    consumers: Vec<ConsumerName>,
}

/// Starts a partitioned worker.
pub(super) fn start(
    worker: Worker,
    (stream, durable): (StreamName, ConsumerName),
    bus: &Bus,
    connection: &Connection,
    tasks: &Tasks,
    grace: Duration,
) -> Result<Arc<Status>, WorkerError> {
    let partitions = worker.routes.partitions(&worker.durable)?;
    let consumer = |partition| ConsumerName::try_from(format!("{durable}-{partition}"));
    let consumers: Result<_, _> = (0..partitions).map(consumer).collect();
    let consumers = consumers.map_err(|source| WorkerError::Name { durable: durable.to_string(), source })?;
    let group = Group {
        name: format!("{}.{}.of{partitions}", token_of(stream.as_str()), token_of(durable.as_str())),
        parts: partitions,
        hold: worker.hold,
    };
    let status =
        Arc::new(Status::new(stream, durable, partitions, bus.clock().clone(), Gate::new(None, None)).partitioned());
    let partitioned = Partitioned {
        worker: Arc::new(worker),
        bus: bus.clone(),
        connection: connection.clone(),
        grace,
        status: status.clone(),
        consumers,
    };
    tasks.spawn(move |stop| async move {
        let member = token_of(partitioned.bus.source());
        ownership::share(&partitioned.connection, group, &member, &partitioned, stop).await;
        partitioned.status.pulled(false, "drained");
    });
    Ok(status)
}

impl Holder for Partitioned {
    fn hold(&self, held: Held) -> impl Future<Output = ()> + Send + 'static {
        let shared = self.shared(&held);
        async move {
            tokio::select! {
                biased;
                () = held.lost.cancelled() => drop(shared.handlers.ended(DROP_LIMIT).await),
                () = pull::run(shared.clone(), held.give_up) => {}
            }
        }
    }

    fn stands(&self, standing: Standing) {
        self.status.ticked();
        let trouble = if standing.is_member { self.trouble() } else { Some(standing.trouble) };
        let holding = words(&standing.parts, self.consumers.len());
        match trouble {
            None => self.status.pulled(true, &holding),
            Some(trouble) if trouble.is_empty() => self.status.pulled(false, &holding),
            Some(trouble) => self.status.pulled(false, &format!("{holding}; {trouble}")),
        };
    }
}

impl Partitioned {
    fn shared(&self, held: &Held) -> Arc<Shared> {
        let consumer = self.consumers[held.part as usize].clone();
        // Whoever takes over after our end is not to wait longer for our message than for our partition.
        let ack_wait = self.worker.ack_wait.min(self.worker.hold);
        let filters = self.worker.routes.patterns_in(held.part);
        let gate = Gate::new(self.worker.breaker.clone(), self.worker.kill_switch.clone());
        let metrics = self.bus.telemetry().metrics();
        Arc::new(Shared {
            connection: self.connection.clone(),
            bus: self.bus.clone(),
            worker: self.worker.clone(),
            asked: Asked { filters, ack_wait, max_ack_pending: MAX_ACK_PENDING },
            part: Some(Part { fence: held.fence, lost: held.lost.clone() }),
            // A message that waited elsewhere would be overtaken.
            later: None,
            leases: Leases::new(ack_wait),
            settler: Settler::new(&self.connection.client),
            attempts: Attempts::new(self.connection.clone()),
            turns: Turns::default(),
            credits: Credits::Fixed(1),
            route_metrics: self.worker.routes.metrics(metrics, consumer.as_str()),
            status: self.status.part(consumer, gate.clone()),
            gate,
            runners: Runners::default(),
            handlers: Tasks::default(),
            grace: self.grace,
        })
    }

    /// The first partition that cannot be pulled from, and why.
    fn trouble(&self) -> Option<String> {
        let now = self.bus.clock().now();
        let parts = self.status.parts().unwrap_or_default();
        parts.iter().find_map(|part| {
            let pull = part.pull();
            let is_trouble = !pull.is_pulling && !pull.is_paused && pull.since.age(now).0 > PATIENCE;
            is_trouble.then(|| format!("{}: {}", part.consumer, pull.reason))
        })
    }
}

fn words(held: &BTreeSet<u32>, of: usize) -> String {
    let count = held.len();
    if count == 0 {
        return format!("holds none of {of} partitions and stands by");
    }
    let numbers: Vec<String> = held.iter().map(u32::to_string).collect();
    format!("holds {count} of {of} partitions: {}", numbers.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_said_in_words() {
        assert_eq!(words(&BTreeSet::from([0, 3, 5]), 8), "holds 3 of 8 partitions: 0, 3, 5");
        assert_eq!(words(&BTreeSet::new(), 8), "holds none of 8 partitions and stands by");
    }
}
