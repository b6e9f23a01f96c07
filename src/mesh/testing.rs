//! What the tests of the services share: a fact as it is delivered, and a router that is asked over HTTP.

use std::net::SocketAddr;

use axum::Router;
use reqwest::RequestBuilder;
use serde_json::Value;
use tokio_util::sync::DropGuard;

use crate::{
    bus::{Bus, Payload},
    handler::Context,
    message::{Cause, CorrelationId},
    tasks::Tasks,
};

/// What a handler is told beside `fact`. Clones are the same message delivered again.
pub(super) async fn delivered<P: Payload>(fact: &P) -> Context {
    let stream = Bus::in_memory();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().ok();
    stream.publish(fact).because(Cause::outside(CorrelationId(fact.key()), trace)).await.unwrap();
    Context::new(stream.published().remove(0), None)
}

/// The kinds of what was published, in order.
pub(super) fn kinds(bus: &Bus) -> Vec<String> {
    bus.published().into_iter().filter_map(|message| message.schema).map(|schema| schema.kind).collect()
}

/// A router on a port of its own, until it is dropped.
pub(super) struct Server {
    address: SocketAddr,
    http: reqwest::Client,
    _running: DropGuard,
}

impl Server {
    pub(super) async fn of(routes: Router) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tasks = Tasks::default();
        tasks.spawn(|stop| async move {
            axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await.unwrap();
        });
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { address, http, _running: tasks.cancel_on_drop() }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(super) fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(format!("http://{}{path}", self.address))
    }

    pub(super) fn put(&self, path: &str) -> RequestBuilder {
        self.http.put(format!("http://{}{path}", self.address))
    }

    pub(super) async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.http.get(format!("http://{}{path}", self.address))).await
    }
}

/// The status and the body, `null` if it is no JSON.
pub(super) async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap_or_default())
}
