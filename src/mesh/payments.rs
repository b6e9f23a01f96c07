//! Payments: charges the customer at the provider, over HTTP.
//!
//! The provider keys each charge by the order's id and gives a repeated request its first answer, whatever it was. So a charge whose answer
//! was lost is simply asked for again, and no order can be both charged and refused. That key is stronger than an inbox of ours would be:
//! it is kept where the effect is, so nothing can come between the charge and the note that it was made.
//!
//! An outage of the provider is nobody's fault: its orders wait for as long as it lasts, and after a few failures the worker stops pulling
//! and tries one now and then. An answer that makes no sense for an order never will; that order goes to the dead letters.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use url::Url;

use super::{
    events::{PaymentCharged, PaymentRefused, StockReserved},
    faults::Switch,
    http::send,
    service, worker,
};
use crate::{
    bus::Bus,
    config::PaymentsConfig,
    consumer::Worker,
    errors::ErrorChain,
    handler::{Context, Outcome, class, with},
    resilience::{Backoff, Breaker, KillSwitch, RetryPolicy},
};

/// How long a charge may take. Longer than the provider needs, far shorter than anyone's patience with a hanging one.
const CHARGE_LIMIT: Duration = Duration::from_secs(2);

/// How long an order's handler may take: a charge, and a fact that the stream confirms at its second or third try.
const HANDLER_LIMIT: Duration = Duration::from_secs(15);

/// The kind of failure that says nothing of the order: the provider is out, or too busy.
const PROVIDER_DOWN: &str = "provider_down";

/// Waits while the provider fails: five seconds at the most, since its outages are short and money waits behind them.
const OUTAGE: Backoff = Backoff { first: Duration::from_millis(250), most: Duration::from_secs(5) };

/// What fails otherwise is NATS, which comes back within the hour, or a mistake of ours, which somebody should look at.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// Failures within ten seconds that may be chance, and how long the worker then waits before it lets one order try the provider.
const CHANCE: u32 = 10;
const PAUSE: Duration = Duration::from_secs(3);

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
    Senseless { why: String },
    Down { why: String },
}

/// Runs until the process is asked to end.
///
/// # Errors
/// When the service cannot start.
pub async fn run(config: PaymentsConfig) -> anyhow::Result<()> {
    let (service, switch) = Switch::of(service("payments", config.service).start().await?, "payments");
    // The provider is named by its address; a proxy in the environment is for the way out, not for it.
    let http = Client::builder().timeout(CHARGE_LIMIT).no_proxy().build().context("setting up the HTTP client")?;
    let payments = Payments { bus: service.bus().clone(), provider: config.provider, http };
    Ok(service.worker(charging(&payments, &switch))?.run().await?)
}

fn charging(payments: &Payments, switch: &Switch) -> Worker {
    let retry = RetryPolicy::from(OUTAGE).within(PATIENCE).class(PROVIDER_DOWN, OUTAGE.into());
    let breaker = Breaker::new().classes(&[PROVIDER_DOWN, class::TIMEOUT]).of(CHANCE).open_for(PAUSE);
    worker("payments-charge")
        .handler_limit(HANDLER_LIMIT)
        .retry(retry)
        .breaker(breaker)
        .kill_switch(KillSwitch::new())
        .on(switch.over(with(payments, Payments::charge)))
}

impl Payments {
    async fn charge(self, context: Context, reserved: StockReserved) -> anyhow::Result<Outcome> {
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
            Answer::Senseless { why } => return Ok(Outcome::reject(why)),
            Answer::Down { why } => return Ok(Outcome::retry(why).classed(PROVIDER_DOWN)),
        }
        Ok(Outcome::Done)
    }

    /// No answer, and an answer that decides nothing, mean that the provider is to be asked again; a refusal that is no decision about the
    /// money means that it never needs to be.
    async fn ask(&self, reserved: &StockReserved) -> anyhow::Result<Answer> {
        let url = self.provider.join("charges").context("the provider's address")?;
        let charge =
            json!({ "order": reserved.order_id, "customer": reserved.customer, "cents": reserved.total_cents });
        let request = self.http.post(url).header("Idempotency-Key", &reserved.order_id).json(&charge);
        let answer = match send(self.bus.telemetry(), "/charges", request).await {
            Ok(answer) => answer,
            Err(error) => {
                return Ok(Answer::Down { why: format!("asking the payment provider: {}", ErrorChain(&error)) });
            }
        };
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or_default();
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        let why =
            || format!("the provider answers {status}: {}", text("error").unwrap_or_else(|| "no word why".to_owned()));
        Ok(match (status, text("id"), text("error")) {
            (StatusCode::CREATED | StatusCode::OK, Some(charge_id), _) => Answer::Charged { charge_id },
            (StatusCode::PAYMENT_REQUIRED, _, Some(reason)) => Answer::Declined { reason },
            (StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS, ..) => Answer::Down { why: why() },
            _ if status.is_client_error() => Answer::Senseless { why: why() },
            _ => Answer::Down { why: why() },
        })
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

    async fn charge(payments: &Payments) -> Outcome {
        let reserved = StockReserved { order_id: "7".into(), customer: "ada".into(), total_cents: 1_290 };
        payments.clone().charge(delivered(&reserved).await, reserved).await.unwrap()
    }

    #[tokio::test]
    async fn the_provider_is_asked_under_the_orders_id_and_within_its_trace() {
        let (server, asked) = provider(201, json!({ "id": "ch_1" })).await;
        let payments = payments(&server.url());
        assert_eq!(charge(&payments).await, Outcome::Done);
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
        assert_eq!(charge(&payments).await, Outcome::Done);
        let said = String::from_utf8(payments.bus.published()[0].payload.to_vec()).unwrap();
        assert_eq!(said, r#"{"order_id":"7","reason":"payment declined: no money"}"#);
    }

    async fn check_undecided(status: u16, body: Value, expected: (&str, &str, &str)) {
        let (server, _asked) = provider(status, body).await;
        let payments = payments(&server.url());
        let outcome = charge(&payments).await;
        assert_eq!((outcome.name(), outcome.class(), outcome.reason()), expected);
        assert!(payments.bus.published().is_empty());
    }

    #[tokio::test]
    async fn a_provider_that_is_out_is_asked_again_and_nothing_is_told() {
        let out = "the provider answers 503 Service Unavailable: out of order";
        check_undecided(503, json!({ "error": "out of order" }), ("retry", PROVIDER_DOWN, out)).await;
        let busy = "the provider answers 429 Too Many Requests: no word why";
        check_undecided(429, json!({}), ("retry", PROVIDER_DOWN, busy)).await;
        let silent = "the provider answers 201 Created: no word why";
        check_undecided(201, json!({}), ("retry", PROVIDER_DOWN, silent)).await;
        let nobody = charge(&payments("http://127.0.0.1:9/")).await;
        assert_eq!((nobody.name(), nobody.class()), ("retry", PROVIDER_DOWN));
        assert!(nobody.reason().starts_with("asking the payment provider"), "{}", nobody.reason());
    }

    #[tokio::test]
    async fn a_refusal_that_decides_nothing_is_never_asked_again() {
        let other = "the provider answers 409 Conflict: other amount";
        check_undecided(409, json!({ "error": "other amount" }), ("reject", class::REJECTED, other)).await;
    }
}
