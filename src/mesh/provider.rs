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
