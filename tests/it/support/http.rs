//! Asking over HTTP as a plain client does.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, header::HeaderMap};
use serde_json::Value;

/// Nothing that the tests ask takes longer, unless it hangs.
const LIMIT: Duration = Duration::from_secs(10);

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    /// The value of a header, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON; `null` if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// Asks for `url`.
pub async fn get(url: &str) -> Result<Answer, String> {
    get_with(url, &[]).await
}

/// Asks for `url` with these headers.
pub async fn get_with(url: &str, headers: &[(&str, &str)]) -> Result<Answer, String> {
    send(client().get(url), headers).await
}

/// Posts JSON with these headers.
pub async fn post(url: &str, headers: &[(&str, &str)], body: &Value) -> Result<Answer, String> {
    send(client().post(url).json(body), headers).await
}

/// Posts a body that need not be JSON, as JSON.
pub async fn post_text(url: &str, body: &str) -> Result<Answer, String> {
    send(client().post(url).body(body.to_owned()), &[("content-type", "application/json")]).await
}

async fn send(request: RequestBuilder, headers: &[(&str, &str)]) -> Result<Answer, String> {
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body = answer.text().await.map_err(|error| format!("{error:?}"))?;
    Ok(Answer { status, headers, body })
}

/// A fresh client each time: every test has a runtime of its own, and a connection must not outlive the one it began on.
fn client() -> Client {
    Client::builder().no_proxy().timeout(LIMIT).build().expect("a client without TLS needs nothing")
}

#[cfg(test)]
mod tests {
    use axum::{Json, Router, http::HeaderMap, routing::any};
    use serde_json::json;
    use tokio::{net::TcpListener, task::JoinSet};

    use super::*;

    /// Says what it was sent.
    async fn echo(headers: HeaderMap, body: String) -> Json<Value> {
        let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
        Json(json!({ "key": key, "body": body }))
    }

    #[tokio::test]
    async fn headers_and_bodies_arrive() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, Router::new().route("/", any(echo))).await });

        let answer = get(&url).await.unwrap();
        assert_eq!((answer.status, answer.json()), (200, json!({ "key": null, "body": "" })));
        let answer = post(&url, &[("Idempotency-Key", "7")], &json!([1])).await.unwrap();
        assert_eq!(answer.json(), json!({ "key": "7", "body": "[1]" }));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let answer = post_text(&url, "{").await.unwrap();
        assert_eq!(answer.json(), json!({ "key": null, "body": "{" }));
        assert_eq!(get(&format!("{url}/lost")).await.unwrap().status, 404);
    }
}
