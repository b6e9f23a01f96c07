//! Storefront: takes orders over HTTP and shows what became of them.
//!
//! ```text
//! POST /orders                    {"customer": "ada", "lines": [{"sku": "tea", "quantity": 2}]}    202, or why not
//! GET  /orders/{id}               the order and what happened to it
//! GET  /orders/{id}/packing-list  what is in its parcel
//! GET  /orders                    the newest fifty
//! ```

mod checkout;
mod newest;
mod request;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, StatusCode, header::LOCATION},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    events::{OrderPlaced, PackingListPrinted},
    http::{Body, Fault, guarded},
    orders, service, topology,
};
use crate::{
    bus::codec,
    config::ServiceConfig,
    errors::ErrorChain,
    message::header::TRACEPARENT,
    record::{self, Record},
    service::ServiceError,
    state::Documents,
    telemetry::Remote,
};
use checkout::Checkout;
use newest::Newest;
use request::{NewOrder, idempotency_key};

/// Orders of more bytes than this are compressed, those of some fifty lines and more; smaller ones have little to gain.
const COMPRESSED_ABOVE: usize = 4 * 1024;

/// What the routes work with.
#[derive(Debug)]
struct Shop {
    checkout: Checkout,
    records: Documents<Record>,
    newest: Newest,
}

/// Runs until the process is asked to end.
///
/// # Errors
/// When the service cannot start.
pub async fn run(config: ServiceConfig) -> Result<(), ServiceError> {
    let service = service("storefront", config).start().await?;
    let checkout = Checkout {
        connection: service.connection().clone(),
        bus: service.bus().clone().compressing_above(COMPRESSED_ABOVE),
        client: service.client(),
        keys: service.documents(topology::IDEMPOTENCY).await?,
    };
    let records: Documents<Record> = service.documents(record::BUCKET).await?;
    let (newest, link) = (Newest::default(), service.connection().link.clone());
    let shop = Shop { checkout, records: records.clone(), newest: newest.clone() };
    service.routes(routes(shop)).task(|stop| newest.follow_until(records, link, stop)).run().await
}

fn routes(shop: Shop) -> Router {
    let routes = Router::new()
        .route("/", get(welcome))
        .route("/orders", post(place).get(list))
        .route("/orders/{id}", get(show))
        .route("/orders/{id}/packing-list", get(packing_list))
        .with_state(Arc::new(shop));
    guarded(routes)
}

async fn welcome() -> Json<Value> {
    Json(json!({
        "POST /orders": "place an order: {\"customer\": \"ada\", \"lines\": [{\"sku\": \"tea\", \"quantity\": 2}]}",
        "GET /orders": "the newest orders",
        "GET /orders/{id}": "one order",
        "GET /orders/{id}/packing-list": "what is in its parcel",
    }))
}

async fn place(
    State(shop): State<Arc<Shop>>,
    headers: HeaderMap,
    Body(order): Body<NewOrder>,
) -> Result<Response, Fault> {
    let key = idempotency_key(&headers)?;
    let order = order.checked()?;
    let placed = shop.checkout.place(order, key.as_deref()).await?;
    let location = [(LOCATION, format!("/orders/{}", placed.order_id))];
    let trace = Remote::current().map(|remote| [(HeaderName::from_static(TRACEPARENT), remote.parent.to_string())]);
    let body = json!({ "id": placed.order_id, "total_cents": placed.total_cents });
    Ok((StatusCode::ACCEPTED, location, trace, Json(body)).into_response())
}

async fn list(State(shop): State<Arc<Shop>>) -> Json<Value> {
    Json(json!({ "orders": shop.newest.list() }))
}

async fn show(State(shop): State<Arc<Shop>>, Path(id): Path<String>) -> Result<Json<Record>, Fault> {
    let absent = || Fault::absent("there is no such order, or it is more than a day old");
    let id = Uuid::parse_str(&id).map_err(|_| absent())?.to_string();
    let found = shop.records.read(&orders::record_key(&id)).await.map_err(|error| not_now(&error))?.value;
    match found {
        Some(record) => Ok(Json(record)),
        None => shop.just_placed(&id).await?.map(Json).ok_or_else(absent),
    }
}

/// The list of a large order lies in the object store, and only its claim check on the stream.
async fn packing_list(State(shop): State<Arc<Shop>>, Path(id): Path<String>) -> Result<String, Fault> {
    let absent = || Fault::absent("this order has no parcel yet, or it was sent more than a day ago");
    let id = Uuid::parse_str(&id).map_err(|_| absent())?.to_string();
    let bus = &shop.checkout.bus;
    let printed = bus.last::<PackingListPrinted>(&id).await.map_err(|error| not_now(&error))?;
    let mut printed = printed.ok_or_else(absent)?;
    bus.redeem(&mut printed).await.map_err(|error| not_now(&error))?;
    let list = codec::decode::<PackingListPrinted>(&printed).map_err(|error| not_now(&error))?;
    Ok(list.text)
}

impl Shop {
    /// An order is on its stream for a moment, or for as long as nobody runs `orders`, before it has a record.
    async fn just_placed(&self, id: &str) -> Result<Option<Record>, Fault> {
        let message = self.checkout.bus.last::<OrderPlaced>(id).await.map_err(|error| not_now(&error))?;
        Ok(message.and_then(|message| {
            let order = codec::decode::<OrderPlaced>(&message).ok()?;
            orders::with_fact(None, &order, &message, message.time?)
        }))
    }
}

/// What cannot be answered now is logged here, and told to whoever asked.
fn not_now(error: &dyn std::error::Error) -> Fault {
    let why = ErrorChain(error).to_string();
    tracing::warn!(error = why, "a request cannot be answered now");
    Fault::unavailable(format!("not possible now: {why}; try again, with the same Idempotency-Key if it had one"))
}
