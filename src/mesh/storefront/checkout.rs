//! Taking one order: know it again, ask for its price, publish it.
//!
//! A request that is repeated under its key finds the order id of the first one and does all of it once more; publishing the same order
//! twice changes nothing. So a storefront that is killed at any point here leaves nothing that a repeated request does not finish.

use std::{io, time::Duration};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{not_now, request::NewOrder};
use crate::{
    bus::Bus,
    mesh::{
        events::OrderPlaced,
        http::Fault,
        pricing::{Quote, Quoted},
    },
    message::{Cause, CorrelationId, MessageId},
    nats::Connection,
    rpc::{CallError, Client},
    state::Documents,
    telemetry::{Ids, Remote},
};

/// How long a quote may take; told to pricing, so that it does not work on what nobody waits for.
const QUOTE_LIMIT: Duration = Duration::from_secs(2);

/// How long a customer is kept waiting for a yes or no. Publishing tries for a while before it gives up.
const LIMIT: Duration = Duration::from_secs(8);

/// Takes orders.
#[derive(Debug)]
pub(super) struct Checkout {
    pub(super) connection: Connection,
    pub(super) bus: Bus,
    pub(super) client: Client,
    pub(super) keys: Documents<Taken>,
}

/// What a key was first used for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Taken {
    order_id: String,
    fingerprint: String,
}

impl Checkout {
    /// Returns once the order is safe on its stream.
    pub(super) async fn place(&self, order: NewOrder, key: Option<&str>) -> Result<OrderPlaced, Fault> {
        let link = self.connection.link.state();
        if !link.is_connected {
            return Err(not_now(&io::Error::other(format!("NATS at {}: {}", self.connection.url, link.reason))));
        }
        let placing = async {
            let claim = key.map(|key| Claim::of(key, &order));
            let known = match &claim {
                Some(claim) => self.known(claim).await?,
                None => None,
            };
            let order_id = known.unwrap_or_else(|| Uuid::now_v7().to_string());
            Ids::default().with("order_id", &order_id).around(self.place_as(order_id.clone(), order, claim)).await
        };
        let too_late = |_| {
            let silence =
                format!("NATS did not confirm it within {} s; is its disk full, or a leader missing?", LIMIT.as_secs());
            not_now(&io::Error::other(silence))
        };
        tokio::time::timeout(LIMIT, placing).await.map_err(too_late)?
    }

    /// The key is claimed when the order has a price: one that is refused before leaves its key free.
    async fn place_as(&self, order_id: String, order: NewOrder, claim: Option<Claim>) -> Result<OrderPlaced, Fault> {
        let trace = Remote::current().map(|remote| remote.parent);
        let cause = |order_id: &str| Cause::outside(CorrelationId(order_id.to_owned()), trace);
        let Quoted { lines, total_cents } = self.quote(&order, &cause(&order_id)).await?;
        let order_id = match claim {
            Some(claim) => self.claim(&claim, order_id).await?,
            None => order_id,
        };
        let cause = cause(&order_id);
        let placed = OrderPlaced { order_id, customer: order.customer, lines, total_cents };
        let id = MessageId(placed.order_id.clone()).derived("OrderPlaced");
        let published = self.bus.publish(&placed).because(cause).with_id(id).once().await;
        let receipt = published.map_err(|error| not_now(&error))?;
        tracing::info!(message_id = receipt.id.0, lines = placed.lines.len(), total_cents, "order placed");
        Ok(placed)
    }

    async fn quote(&self, order: &NewOrder, cause: &Cause) -> Result<Quoted, Fault> {
        let quote = Quote { lines: order.lines.clone() };
        match self.client.call(&quote).because(cause.clone()).within(QUOTE_LIMIT).await {
            Ok(quoted) => Ok(quoted),
            Err(CallError::Refused { error, .. }) => Err(Fault::senseless(error)),
            Err(error) => Err(not_now(&error)),
        }
    }

    /// The id of the order that the key was used for already.
    async fn known(&self, claim: &Claim) -> Result<Option<String>, Fault> {
        let found = self.keys.read(&claim.key).await.map_err(|error| not_now(&error))?.value;
        found.map(|first| claim.same_order(first)).transpose()
    }

    /// Makes the key that of this order; of two requests at once only the first does, and the other one's order is the first's.
    async fn claim(&self, claim: &Claim, order_id: String) -> Result<String, Fault> {
        let taken = Taken { order_id, fingerprint: claim.fingerprint.clone() };
        // Revision 0: only the first of two requests writes.
        if self.keys.write(&claim.key, &taken, 0).await.map_err(|error| not_now(&error))? {
            return Ok(taken.order_id);
        }
        let expired = || not_now(&io::Error::other("the Idempotency-Key has just expired"));
        self.known(claim).await?.ok_or_else(expired)
    }
}

/// A key and the order that it is to stand for.
#[derive(Debug)]
struct Claim {
    key: String,
    fingerprint: String,
}

impl Claim {
    fn of(key: &str, order: &NewOrder) -> Self {
        let fingerprint = digest(&serde_json::to_vec(order).unwrap_or_default());
        Self { key: digest(key.as_bytes()), fingerprint }
    }

    fn same_order(&self, first: Taken) -> Result<String, Fault> {
        if first.fingerprint == self.fingerprint {
            return Ok(first.order_id);
        }
        Err(Fault::senseless("this Idempotency-Key was used for another order; use a new one"))
    }
}

/// A short name for a text that may hold what no NATS key may (UUID version 5, RFC 9562).
fn digest(text: &[u8]) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, text).to_string()
}
