//! The demo's storefront, as its customers see it.

use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use streamgauge::record::Record;

/// A storefront answers in milliseconds, or is not there.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// A storefront and the way to it.
#[derive(Debug, Clone)]
pub struct Shop {
    http: Client,
    orders: String,
}

#[derive(Deserialize)]
struct Accepted {
    id: String,
}

#[derive(Deserialize)]
struct Newest {
    orders: Vec<Record>,
}

impl Shop {
    /// The storefront at this address.
    ///
    /// # Errors
    /// When the HTTP client cannot be set up.
    pub fn at(storefront: &str) -> anyhow::Result<Self> {
        let http = Client::builder().no_proxy().timeout(ANSWER_LIMIT).build()?;
        Ok(Self { http, orders: format!("{storefront}/orders") })
    }

    /// Places an order; its id, or `None` where the storefront is away or asks to come back. The same key may be sent again.
    ///
    /// # Errors
    /// When the storefront refuses the order itself.
    pub async fn place(&self, key: &str, order: &Value) -> anyhow::Result<Option<String>> {
        let request = self.http.post(&self.orders).header("idempotency-key", key).json(order);
        let Ok(answer) = request.send().await else { return Ok(None) };
        match answer.status() {
            StatusCode::ACCEPTED => Ok(answer.json::<Accepted>().await.ok().map(|accepted| accepted.id)),
            status if status.is_server_error() => Ok(None),
            status => bail!("order {key} was refused ({status}): {}", answer.text().await.unwrap_or_default()),
        }
    }

    /// What became of an order.
    ///
    /// # Errors
    /// When the storefront is away or knows no such order.
    pub async fn order(&self, id: &str) -> anyhow::Result<Record> {
        let answer = self.http.get(format!("{}/{id}", self.orders)).send().await?.error_for_status()?;
        answer.json().await.context("an order reads as a record")
    }

    /// The newest orders.
    ///
    /// # Errors
    /// When the storefront is away.
    pub async fn newest(&self) -> anyhow::Result<Vec<Record>> {
        let answer = self.http.get(&self.orders).send().await?.error_for_status()?;
        Ok(answer.json::<Newest>().await.context("the list of orders reads as records")?.orders)
    }
}
