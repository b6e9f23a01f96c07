//! Load: customers who order at the storefront, at a rate. A customer who is told to come back later does, with the same key.

mod basket;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::Context;
use reqwest::{Client, Response, StatusCode, header::RETRY_AFTER};
use tokio::{
    sync::Semaphore,
    time::{Instant, interval_at, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use url::Url;
use uuid::Uuid;

use super::{faults::Switch, http::send, service};
use crate::{config::LoadConfig, errors::ErrorChain, fault::Kind, tasks::Tasks, telemetry::Telemetry};
use basket::Basket;

/// Customers at the counter at once; while it is full, others go by.
const COUNTER: usize = 64;

/// How long a customer waits for an answer; the storefront gives one sooner.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// How often a customer comes back.
const TRIES: u32 = 10;

/// When a customer comes back who was told nothing, and at the latest.
const COME_BACK: Duration = Duration::from_secs(1);
const COME_BACK_MAX: Duration = Duration::from_secs(30);

/// How many times as many customers come while a burst is switched on.
const BURST: f64 = 10.0;

/// How often progress is told.
const PROGRESS: Duration = Duration::from_secs(10);

/// What became of the customers.
#[derive(Debug, Default)]
struct Tally {
    placed: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    went_by: AtomicU64,
}

#[derive(Debug, Clone)]
struct Load {
    http: Client,
    orders: Url,
    rate: f64,
    switch: Switch,
    telemetry: Telemetry,
    tally: Arc<Tally>,
}

/// Runs until the process is asked to end.
///
/// # Errors
/// When the service cannot start.
pub async fn run(config: LoadConfig) -> anyhow::Result<()> {
    let (service, switch) = Switch::of(service("load", config.service).start().await?, "load");
    let load = Load {
        // The storefront is named by its address; a proxy in the environment is for the way out, not for it.
        http: Client::builder().timeout(ANSWER_LIMIT).no_proxy().build().context("setting up the HTTP client")?,
        orders: config.storefront.join("orders").context("the storefront's address")?,
        rate: config.rate,
        switch,
        telemetry: service.bus().telemetry().clone(),
        tally: Arc::default(),
    };
    Ok(service.task(|stop| load.run_until(stop)).run().await?)
}

impl Load {
    /// Customers come by chance, so many a second on average (a Poisson process).
    async fn run_until(self, stop: CancellationToken) {
        let (customers, counter) = (Tasks::default(), Arc::new(Semaphore::new(COUNTER)));
        let mut dice = fastrand::Rng::new();
        let mut next = Instant::now();
        let mut progress = interval_at(next + PROGRESS, PROGRESS);
        loop {
            tokio::select! {
                () = sleep_until(next) => {}
                _ = progress.tick() => { self.tally.tell(); continue }
                () = stop.cancelled() => break,
            }
            next += Duration::from_secs_f64(-(1.0 - dice.f64()).ln() / self.rate());
            let Ok(place) = counter.clone().try_acquire_owned() else {
                self.tally.went_by.fetch_add(1, Relaxed);
                continue;
            };
            let (load, basket) = (self.clone(), Basket::filled(&mut dice));
            customers.spawn(move |leave| async move {
                tokio::select! {
                    () = load.order(&basket) => {}
                    () = leave.cancelled() => {}
                }
                drop(place);
            });
        }
        customers.stop(ANSWER_LIMIT).await;
        self.tally.tell();
    }

    fn rate(&self) -> f64 {
        if self.switch.kind() == Some(Kind::Burst) { self.rate * BURST } else { self.rate }
    }

    /// One customer, however often it takes.
    async fn order(&self, basket: &Basket) {
        let key = Uuid::new_v4().to_string();
        for _ in 0..TRIES {
            let request = self.http.post(self.orders.clone()).header("Idempotency-Key", &key).json(basket);
            let again_after = match send(&self.telemetry, "/orders", request).await {
                Ok(answer) if answer.status() == StatusCode::ACCEPTED => return count(&self.tally.placed),
                Ok(answer) if answer.status().is_client_error() => return count(&self.tally.refused),
                Ok(answer) => come_back(&answer),
                Err(error) => {
                    tracing::debug!(error = %ErrorChain(&error), "the storefront does not answer");
                    COME_BACK
                }
            };
            sleep(again_after).await;
        }
        count(&self.tally.failed);
    }
}

impl Tally {
    fn tell(&self) {
        let [placed, refused, failed, went_by] =
            [&self.placed, &self.refused, &self.failed, &self.went_by].map(|count| count.load(Relaxed));
        tracing::info!(placed, refused, failed, went_by, "orders so far");
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

fn come_back(answer: &Response) -> Duration {
    let said = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    said.map_or(COME_BACK, |seconds| Duration::from_secs(seconds).min(COME_BACK_MAX))
}
