//! Provider: a small payment provider as others run them, which knows nothing of NATS or of the mesh.
//!
//! ```text
//! POST /charges        {"order": "…", "customer": "ada", "cents": 1290} with an Idempotency-Key
//!                      201 charged · 200 charged before under this key · 402 declined · 409 the key was used for another amount
//! GET  /charges        counts, the sum, and the keys that were charged more than once (there must be none)
//! GET  /charges/{key}  what was decided under a key
//! GET  /settings       how it misbehaves; PUT sets it: {"latency_ms": 0, "error_rate": 0.0, "decline_rate": 0.0, "outage": false}
//! ```
//! It declines more than 5000.00, and customers whose name begins with `declined`. What it has decided under a key it decides again,
//! declines too. Its ledger is a file of its own, so that it counts effects independently of every store of the mesh.

mod ledger;
mod settings;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::http::{Body, Fault, guarded};
use crate::{config::ProviderConfig, service::Standalone, telemetry::Ids};
use ledger::{Decision, Ledger, LedgerError, Request, Summary};
use settings::Settings;

/// More than this is declined.
const CENTS_MAX: u64 = 500_000;

/// What the routes work with.
#[derive(Debug, Clone)]
struct Provider {
    ledger: Arc<Mutex<Ledger>>,
    settings: watch::Sender<Settings>,
}

/// A charge as it is asked for.
#[derive(Debug, Deserialize)]
struct NewCharge {
    order: String,
    customer: String,
    cents: u64,
}

/// Runs until the process is asked to end.
///
/// # Errors
/// When its address is taken, or the ledger cannot be opened or does not read.
pub async fn run(config: ProviderConfig) -> anyhow::Result<()> {
    let process = Standalone::start("provider", config.instance.as_deref(), config.listen, &config.telemetry)?;
    let opened = Ledger::open(&config.ledger);
    let ledger = opened.with_context(|| format!("cannot use the ledger {}", config.ledger.display()))?;
    process.run(routes(Provider::over(ledger))).await?;
    Ok(())
}

fn routes(provider: Provider) -> Router {
    let routes = Router::new()
        .route("/charges", post(charge).get(summary))
        .route("/charges/{key}", get(decided))
        .route("/settings", get(settings).put(set))
        .with_state(provider);
    guarded(routes)
}

async fn charge(
    State(provider): State<Provider>,
    headers: HeaderMap,
    Body(charge): Body<NewCharge>,
) -> Result<Response, Fault> {
    let key =
        headers.get("idempotency-key").and_then(|key| key.to_str().ok()).filter(|key| (1..=255).contains(&key.len()));
    let key = key.ok_or_else(|| Fault::senseless("an Idempotency-Key of 1 to 255 visible characters is needed"))?;
    if charge.cents == 0 || charge.order.is_empty() || charge.customer.trim().is_empty() {
        return Err(Fault::senseless("`order` and `customer` must not be empty, `cents` must be more than 0"));
    }
    let ids = Ids::default().with("order_id", charge.order.clone());
    ids.around(provider.charge(key.to_owned(), charge)).await
}

async fn summary(State(provider): State<Provider>) -> Json<Summary> {
    Json(provider.ledger().summary())
}

async fn decided(State(provider): State<Provider>, Path(key): Path<String>) -> Result<Json<Value>, Fault> {
    let ledger = provider.ledger();
    let entry = ledger.entry(&key).ok_or_else(|| Fault::absent("nothing was decided under this key"))?;
    Ok(Json(json!(entry)))
}

async fn settings(State(provider): State<Provider>) -> Json<Settings> {
    Json(*provider.settings.borrow())
}

async fn set(State(provider): State<Provider>, Body(settings): Body<Settings>) -> Result<Json<Settings>, Fault> {
    let settings = settings.checked()?;
    tracing::info!(?settings, "settings changed");
    provider.settings.send_replace(settings);
    Ok(Json(settings))
}

impl Provider {
    fn over(ledger: Ledger) -> Self {
        Self { ledger: Arc::new(Mutex::new(ledger)), settings: watch::Sender::default() }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn charge(self, key: String, charge: NewCharge) -> Result<Response, Fault> {
        let settings = *self.settings.borrow();
        settings.delay().await?;
        let decline = reason_to_decline(&charge, &settings);
        let request = Request { key, order: charge.order, cents: charge.cents };
        // Writing waits for the disk, so it has a thread of its own.
        let written = tokio::task::spawn_blocking(move || self.ledger().decide(request, decline)).await;
        let decided =
            written.map_err(|_| Fault::unavailable("the provider failed"))?.map_err(|error| fault_of(&error))?;
        settings.late_error()?;
        let entry = decided.entry;
        match entry.decision {
            Decision::Charged { id } => {
                let status = if decided.is_new { StatusCode::CREATED } else { StatusCode::OK };
                tracing::info!(cents = entry.cents, is_new = decided.is_new, "charged");
                Ok((status, Json(json!({ "id": id, "cents": entry.cents }))).into_response())
            }
            Decision::Declined { reason } => {
                tracing::info!(reason, is_new = decided.is_new, "declined");
                Err(Fault(StatusCode::PAYMENT_REQUIRED, reason))
            }
        }
    }
}

fn reason_to_decline(charge: &NewCharge, settings: &Settings) -> Option<&'static str> {
    if charge.cents > CENTS_MAX {
        return Some("over the limit of 5000.00");
    }
    if charge.customer.starts_with("declined") {
        return Some("the bank says no");
    }
    (fastrand::f64() < settings.decline_rate).then_some("not enough money")
}

fn fault_of(error: &LedgerError) -> Fault {
    match error {
        LedgerError::OtherAmount { .. } => Fault(StatusCode::CONFLICT, error.to_string()),
        _ => {
            tracing::error!(error = %crate::errors::ErrorChain(error), "a charge cannot be written down");
            Fault::unavailable("the provider cannot write the charge down; nothing was charged")
        }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::RequestBuilder;

    use super::*;
    use crate::mesh::testing::{Server, answer};

    async fn provider() -> (Server, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("ledger")).unwrap();
        (Server::of(routes(Provider::over(ledger))).await, folder)
    }

    fn charge(server: &Server, key: &str, customer: &str, cents: i64) -> RequestBuilder {
        let charge = json!({ "order": "7", "customer": customer, "cents": cents });
        server.post("/charges").header("Idempotency-Key", key).json(&charge)
    }

    async fn set(server: &Server, settings: Value) -> u16 {
        answer(server.put("/settings").json(&settings)).await.0
    }

    #[tokio::test]
    async fn a_key_is_charged_once() {
        let (server, _folder) = provider().await;
        let (status, first) = answer(charge(&server, "k", "ada", 100)).await;
        assert_eq!(status, 201);
        assert_eq!(answer(charge(&server, "k", "ada", 100)).await, (200, first));
        assert_eq!(answer(charge(&server, "k", "ada", 101)).await.0, 409);
        let (_, summary) = server.get("/charges").await;
        assert_eq!(summary, json!({ "charged": 1, "declined": 0, "total_cents": 100, "charged_more_than_once": [] }));
        assert_eq!(server.get("/charges/k").await.1["decision"], "charged");
        assert_eq!(server.get("/charges/other").await.0, 404);
    }

    #[tokio::test]
    async fn what_was_declined_under_a_key_stays_declined() {
        let (server, _folder) = provider().await;
        assert_eq!(answer(charge(&server, "a", "ada", 500_000)).await.0, 201);
        assert_eq!(answer(charge(&server, "b", "ada", 500_001)).await.0, 402);
        let no = (402, json!({ "error": "the bank says no" }));
        assert_eq!(answer(charge(&server, "c", "declined-ada", 100)).await, no);
        assert_eq!(answer(charge(&server, "c", "ada", 100)).await, no);
        assert_eq!(set(&server, json!({ "decline_rate": 1 })).await, 200);
        assert_eq!(answer(charge(&server, "d", "ada", 100)).await.0, 402);
        assert_eq!(set(&server, json!({})).await, 200);
        assert_eq!(answer(charge(&server, "d", "ada", 100)).await.0, 402);
    }

    #[tokio::test]
    async fn an_outage_charges_nothing_and_an_error_may_hide_a_charge() {
        let (server, _folder) = provider().await;
        assert_eq!(set(&server, json!({ "outage": true })).await, 200);
        assert_eq!(answer(charge(&server, "k", "ada", 100)).await.0, 503);
        assert_eq!(server.get("/charges").await.1["charged"], 0);
        assert_eq!(set(&server, json!({ "error_rate": 1 })).await, 200);
        for at in 0..50 {
            answer(charge(&server, &at.to_string(), "ada", 100)).await;
        }
        let hidden = server.get("/charges").await.1["charged"].as_u64().unwrap();
        assert!((1..50).contains(&hidden), "half of the errors come before the charge, half after: {hidden}");
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_refused() {
        let (server, _folder) = provider().await;
        assert_eq!(answer(charge(&server, "", "ada", 100)).await.0, 422);
        assert_eq!(answer(charge(&server, "k", "", 100)).await.0, 422);
        assert_eq!(answer(charge(&server, "k", "ada", 0)).await.0, 422);
        assert_eq!(answer(charge(&server, "k", "ada", -1)).await.0, 422);
        let json = |body: &'static str| server.post("/charges").header("content-type", "application/json").body(body);
        assert_eq!(answer(json("{")).await.0, 400);
        assert_eq!(answer(server.post("/charges").body("{}")).await.0, 415);
        assert_eq!(answer(charge(&server, "k", &"x".repeat(270_000), 100)).await.0, 413);
        assert_eq!(set(&server, json!({ "latency_ms": 60_001 })).await, 422);
        assert_eq!(set(&server, json!({ "decline_rate": 1.5 })).await, 422);
        assert_eq!(set(&server, json!({ "latency": 1 })).await, 422);
        assert_eq!(server.get("/lost").await, (404, json!({ "error": "there is nothing at /lost" })));
        let (status, said) = answer(server.put("/charges")).await;
        assert_eq!((status, said), (405, json!({ "error": "PUT is not answered at /charges" })));
    }
}
