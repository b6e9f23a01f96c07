//! Pricing: says what an order would cost. Its instances share the requests; it publishes nothing and remembers nothing.

use serde::{Deserialize, Serialize};

use super::{
    catalogue::article,
    events::{Line, PricedLine},
    service,
};
use crate::{
    config::ServiceConfig,
    handler::Context,
    rpc::{Call, Refusal},
    service::ServiceError,
};

/// Asks what these lines cost.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Quote {
    /// What is wanted.
    pub lines: Vec<Line>,
}

/// What they cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quoted {
    /// The same lines with the price of one each.
    pub lines: Vec<PricedLine>,
    /// What all of it costs, in cents.
    pub total_cents: u64,
}

/// Why there is no price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum NoQuote {
    /// An article is not sold here.
    #[error("there is no article `{sku}`")]
    NoArticle {
        /// The article.
        sku: String,
    },
    /// The sum is no number.
    #[error("nobody can pay that much")]
    TooMuch,
}

impl Call for Quote {
    type Reply = Quoted;
    type Error = NoQuote;
    const SUBJECT: &'static str = "pricing.quote";
    const ENDPOINT: &'static str = "quote";
}

/// Runs until the process is asked to end.
///
/// # Errors
/// When the service cannot start.
pub async fn run(config: ServiceConfig) -> Result<(), ServiceError> {
    service("pricing", config).start().await?.answers(quote).await?.run().await
}

async fn quote(_: Context, wanted: Quote) -> Result<Quoted, Refusal<NoQuote>> {
    let lines: Vec<PricedLine> = wanted.lines.into_iter().map(priced).collect::<Result<_, _>>()?;
    let cost = |line: &PricedLine| u64::from(line.quantity).checked_mul(line.unit_cents);
    let total = lines.iter().try_fold(0_u64, |sum, line| sum.checked_add(cost(line)?));
    let total_cents = total.ok_or_else(|| refusal(NoQuote::TooMuch))?;
    tracing::info!(lines = lines.len(), total_cents, "quoted");
    Ok(Quoted { lines, total_cents })
}

fn priced(line: Line) -> Result<PricedLine, Refusal<NoQuote>> {
    match article(&line.sku) {
        Some(article) => Ok(PricedLine { sku: line.sku, quantity: line.quantity, unit_cents: article.unit_cents }),
        None => Err(refusal(NoQuote::NoArticle { sku: line.sku })),
    }
}

/// Read like the HTTP status 422: the request is understood and cannot be met.
fn refusal(error: NoQuote) -> Refusal<NoQuote> {
    Refusal { code: 422, error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh::{events::OrderCompleted, testing::delivered};

    async fn check(lines: &[(&str, u32)], expected: Result<u64, NoQuote>) {
        let line = |(sku, quantity): &(&str, u32)| Line { sku: (*sku).into(), quantity: *quantity };
        let wanted = Quote { lines: lines.iter().map(line).collect() };
        let context = delivered(&OrderCompleted { order_id: "7".into(), cents: 100 }).await;
        let quoted = quote(context, wanted).await;
        let found = quoted.as_ref().map(|quoted| quoted.total_cents).map_err(|refusal| refusal.error.clone());
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn lines_have_a_price_or_the_article_is_named() {
        check(&[("tea", 2), ("pencil", 1)], Ok(1_020)).await;
        check(&[], Ok(0)).await;
        check(&[("tea", u32::MAX); 2], Ok(2 * 450 * u64::from(u32::MAX))).await;
        check(&[("tea", 2), ("te", 1)], Err(NoQuote::NoArticle { sku: "te".into() })).await;
    }
}
