//! The OpenAPI document: the routes, and the shapes of their answers as the structs have them.
//!
//! Convention: OpenAPI 3.1, whose schemas are JSON Schema 2020-12.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::{FailureAnswer, Parameter, ROUTES, Route};
use crate::views::API_PREFIX;

/// The document, for an API that is served below `base`.
pub fn document(base: &str) -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let failure = generator.subschema_for::<FailureAnswer<'_>>();
    let paths: Map<String, Value> = ROUTES
        .iter()
        .map(|route| {
            let answer = (route.schema)(&mut generator);
            (format!("{API_PREFIX}{}", route.path), path_item(route, &answer.into(), &failure.clone().into()))
        })
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Streamgauge",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What the observer shows, as JSON. It only reads. What is not known is null or a 503, never 0.",
        },
        "servers": [{ "url": if base.is_empty() { "/" } else { base } }],
        "security": [{}, { "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": generator.take_definitions(true),
        },
    })
}

fn path_item(route: &Route, answer: &Value, failure: &Value) -> Value {
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path =
        in_path.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
    let in_query = route.query.iter().map(|parameter| {
        let Parameter { name, about, .. } = parameter;
        json!({ "name": name, "in": "query", "required": false, "description": about, "schema": parameter.schema() })
    });
    let content = |schema: &Value| json!({ "application/json": { "schema": schema } });
    json!({
        "get": {
            "summary": route.summary,
            "parameters": in_path.chain(in_query).collect::<Vec<_>>(),
            "responses": {
                "200": { "description": "What is known.", "content": content(answer) },
                "default": { "description": "Why there is no answer.", "content": content(failure) },
            },
        },
    })
}
