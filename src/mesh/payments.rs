//! Payments: charges the customer at the provider, over HTTP.
//!
//! The provider keys each charge by the order's id and gives a repeated request its first answer, whatever it was. So a charge whose answer
//! was lost is simply asked for again, and no order can be both charged and refused.

use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use url::Url;

use super::{
    events::{PaymentCharged, PaymentRefused, StockReserved},
    http::send,
    service, worker,
};
use crate::{
    bus::Bus,
    config::PaymentsConfig,
    handler::{Context, with},
    resilience::Backoff,
};

/// How long a charge may take. Longer than the provider needs, far shorter than anyone's patience with a hanging one.
const CHARGE_LIMIT: Duration = Duration::from_secs(2);

/// Waits while the provider fails: five seconds at the most, since its outages are short and money waits behind them.
const RETRY: Backoff = Backoff { first: Duration::from_millis(250), most: Duration::from_secs(5) };

/// What the handler works with.
#[derive(Debug, Clone)]
struct Payments {
    bus: Bus,
    provider: Url,
    http: Client,
}

/// What the provider decided.
enum Answer {
    Charged { charge_id: String },
    Declined { reason: String },
}

/// Runs until the process is asked to end.
///
/// # Errors
/// When the service cannot start.
pub async fn run(config: PaymentsConfig) -> anyhow::Result<()> {
    let service = service("payments", config.service).start().await?;
    // The provider is named by its address; a proxy in the environment is for the way out, not for it.
    let http = Client::builder().timeout(CHARGE_LIMIT).no_proxy().build().context("setting up the HTTP client")?;
    let payments = Payments { bus: service.bus().clone(), provider: config.provider, http };
    let charge = worker("payments-charge").retry(RETRY).on(with(&payments, Payments::charge));
    Ok(service.worker(charge)?.run().await?)
}

impl Payments {
    async fn charge(self, context: Context, reserved: StockReserved) -> anyhow::Result<()> {
        let order_id = reserved.order_id.clone();
        match self.ask(&reserved).await? {
            Answer::Charged { charge_id } => {
                let charged = PaymentCharged { order_id, charge_id, cents: reserved.total_cents };
                self.bus.publish(&charged).because(context.cause()).once().await?;
                tracing::info!(cents = charged.cents, "payment charged");
            }
            Answer::Declined { reason } => {
                let refused = PaymentRefused { order_id, reason: format!("payment declined: {reason}") };
                self.bus.publish(&refused).because(context.cause()).once().await?;
                tracing::info!(reason, "payment refused");
            }
        }
        Ok(())
    }

    /// An answer that decides nothing, and no answer, are errors: the message is delivered again and the provider asked again.
    async fn ask(&self, reserved: &StockReserved) -> anyhow::Result<Answer> {
        let url = self.provider.join("charges").context("the provider's address")?;
        let charge =
            json!({ "order": reserved.order_id, "customer": reserved.customer, "cents": reserved.total_cents });
        let request = self.http.post(url).header("Idempotency-Key", &reserved.order_id).json(&charge);
        let answer = send(self.bus.telemetry(), "/charges", request).await.context("asking the payment provider")?;
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or_default();
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        match (status, text("id"), text("error")) {
            (StatusCode::CREATED | StatusCode::OK, Some(charge_id), _) => Ok(Answer::Charged { charge_id }),
            (StatusCode::PAYMENT_REQUIRED, _, Some(reason)) => Ok(Answer::Declined { reason }),
            (_, _, why) => bail!("the provider answers {status}: {}", why.unwrap_or_else(|| "no word why".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::{Json, Router, http::HeaderMap, routing::post};

    use super::*;
    use crate::{
        mesh::testing::{Server, delivered, kinds},
        message::header::TRACEPARENT,
    };

    /// A provider that gives this answer, and what it was asked.
    async fn provider(status: u16, body: Value) -> (Server, Arc<Mutex<Vec<(HeaderMap, Value)>>>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = asked.clone();
        let answer = move |headers: HeaderMap, Json(charge): Json<Value>| async move {
            heard.lock().unwrap().push((headers, charge));
            (StatusCode::from_u16(status).unwrap(), Json(body))
        };
        (Server::of(Router::new().route("/charges", post(answer))).await, asked)
    }

    fn payments(provider: &str) -> Payments {
        let http = Client::builder().no_proxy().build().unwrap();
        Payments { bus: Bus::in_memory(), provider: provider.parse().unwrap(), http }
    }

    async fn charge(payments: &Payments) -> anyhow::Result<()> {
        let reserved = StockReserved { order_id: "7".into(), customer: "ada".into(), total_cents: 1_290 };
        payments.clone().charge(delivered(&reserved).await, reserved).await
    }

    #[tokio::test]
    async fn the_provider_is_asked_under_the_orders_id_and_within_its_trace() {
        let (server, asked) = provider(201, json!({ "id": "ch_1" })).await;
        let payments = payments(&server.url());
        charge(&payments).await.unwrap();
        assert_eq!(kinds(&payments.bus), ["PaymentCharged"]);
        let (headers, charge) = asked.lock().unwrap().remove(0);
        assert_eq!(headers["idempotency-key"], "7");
        assert!(headers.contains_key(TRACEPARENT));
        assert_eq!(charge, json!({ "order": "7", "customer": "ada", "cents": 1_290 }));
    }

    #[tokio::test]
    async fn a_declined_payment_is_refused_with_its_reason() {
        let (server, _asked) = provider(402, json!({ "error": "no money" })).await;
        let payments = payments(&server.url());
        charge(&payments).await.unwrap();
        let said = String::from_utf8(payments.bus.published()[0].payload.to_vec()).unwrap();
        assert_eq!(said, r#"{"order_id":"7","reason":"payment declined: no money"}"#);
    }

    async fn check_undecided(status: u16, body: Value, expected: &str) {
        let (server, _asked) = provider(status, body).await;
        let payments = payments(&server.url());
        let error = format!("{:#}", charge(&payments).await.unwrap_err());
        assert!(error.contains(expected), "{error}");
        assert!(payments.bus.published().is_empty());
    }

    #[tokio::test]
    async fn an_answer_that_decides_nothing_is_an_error_and_nothing_is_told() {
        check_undecided(503, json!({ "error": "out of order" }), "answers 503 Service Unavailable: out of order").await;
        check_undecided(409, json!({ "error": "other amount" }), "answers 409 Conflict: other amount").await;
        check_undecided(201, json!({}), "answers 201 Created: no word why").await;
        let nobody = payments("http://127.0.0.1:9/");
        let error = format!("{:#}", charge(&nobody).await.unwrap_err());
        assert!(error.starts_with("asking the payment provider"), "{error}");
    }
}
