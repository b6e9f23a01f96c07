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
    worker,
};
use crate::{
    bus::Bus,
    config::PaymentsConfig,
    handler::{Context, with},
    message::header::TRACEPARENT,
    resilience::Backoff,
    service::Service,
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
    let service = Service::builder("payments").config(config.service).start().await?;
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
        let host = self.provider.host_str().unwrap_or_default();
        let span = self.bus.telemetry().requesting_http("POST", host, "/charges");
        let asked = span.around(self.post(reserved, span.trace_parent().map(|parent| parent.to_string()))).await;
        match &asked {
            Ok((status, _)) => span.set("http.response.status_code", i64::from(status.as_u16())),
            Err(error) => span.fail("unavailable", error.to_string()),
        }
        span.end();
        let (status, body) = asked?;
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        match (status, text("id"), text("error")) {
            (StatusCode::CREATED | StatusCode::OK, Some(charge_id), _) => Ok(Answer::Charged { charge_id }),
            (StatusCode::PAYMENT_REQUIRED, _, Some(reason)) => Ok(Answer::Declined { reason }),
            (_, _, why) => bail!("the provider answers {status}: {}", why.unwrap_or_else(|| "no word why".to_owned())),
        }
    }

    async fn post(
        &self,
        reserved: &StockReserved,
        trace_parent: Option<String>,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let url = self.provider.join("charges").context("the provider's address")?;
        let charge =
            json!({ "order": reserved.order_id, "customer": reserved.customer, "cents": reserved.total_cents });
        let request = self.http.post(url).header("Idempotency-Key", &reserved.order_id).json(&charge);
        let request = trace_parent.into_iter().fold(request, |request, parent| request.header(TRACEPARENT, parent));
        let response = request.send().await.context("asking the payment provider")?;
        let status = response.status();
        Ok((status, response.json().await.context("reading the payment provider's answer")?))
    }
}
