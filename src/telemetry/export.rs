//! Where spans go: to an OTLP collector over HTTP when the standard environment variables name one, else nowhere.
//!
//! Convention: <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>; the SDK itself reads the variables of a span's limits.

use std::{env, sync::Arc};

use opentelemetry::KeyValue;
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};

use super::{
    Metrics, TelemetryError,
    otlp::{self, Destination, Limits, Processor, Spool},
    sampling::Sampling,
};

/// What spans are made with, and where they go.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) provider: SdkTracerProvider,
    pub(super) sampling: Sampling,
    /// Where ended spans wait for the collector; `None` where there is none.
    pub(super) spool: Option<Arc<Spool>>,
}

/// What the environment asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Nothing,
    Otlp(Destination),
    Unknown(String),
}

impl Pipeline {
    /// One that ends here: spans have ids, and nobody sees them.
    pub(super) fn nowhere() -> Self {
        Self { provider: SdkTracerProvider::builder().build(), sampling: Sampling::read(var), spool: None }
    }

    /// What the environment asks for.
    pub(super) fn read(service: &str, instance: &str, metrics: &Metrics) -> Result<Self, TelemetryError> {
        let resource = resource(service, instance);
        match wanted(var) {
            Wanted::Nothing => Ok(Self::nowhere()),
            Wanted::Unknown(why) => Err(TelemetryError::Export { why }),
            Wanted::Otlp(destination) => Self::to(destination, Sampling::read(var), resource, metrics),
        }
    }

    /// What goes to `endpoint` whatever the environment says: `share` of the traces that begin here, and of others those that were
    /// sampled.
    pub(super) fn to_endpoint(endpoint: &str, share: f64, metrics: &Metrics) -> Result<Self, TelemetryError> {
        let destination = Destination::at(format!("{endpoint}/v1/traces"));
        Self::to(destination, Sampling::share(share), Resource::builder().build(), metrics)
    }

    fn to(
        destination: Destination,
        sampling: Sampling,
        resource: Resource,
        metrics: &Metrics,
    ) -> Result<Self, TelemetryError> {
        let spool = otlp::start(destination, Limits::read(var), &resource, metrics)?;
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(sampling.sampler())
            .with_span_processor(Processor::over(spool.clone()))
            .build();
        Ok(Self { provider, sampling, spool: Some(spool) })
    }
}

/// A variable that is set to nothing counts as not set.
fn var(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` win over what we would say ourselves.
fn resource(service: &str, instance: &str) -> Resource {
    let resource = Resource::builder().with_attributes([
        KeyValue::new("service.instance.id", instance.to_owned()),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
    ]);
    match env::var("OTEL_SERVICE_NAME") {
        Ok(name) if !name.is_empty() => resource.build(),
        _ => resource.with_service_name(service.to_owned()).build(),
    }
}

fn wanted(var: impl Fn(&str) -> Option<String>) -> Wanted {
    let is_disabled = var("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let Some(destination) = Destination::read(&var).filter(|_| !is_disabled) else {
        return Wanted::Nothing;
    };
    let endpoint = destination.endpoint();
    match var("OTEL_TRACES_EXPORTER").as_deref() {
        None | Some("otlp") => {}
        Some("none") => return Wanted::Nothing,
        Some(other) => return Wanted::Unknown(format!("OTEL_TRACES_EXPORTER is `{other}`; otlp and none are known")),
    }
    match var("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL").or_else(|| var("OTEL_EXPORTER_OTLP_PROTOCOL")).as_deref() {
        None | Some("http/protobuf") if endpoint.starts_with("http://") => unpacked(&var, destination),
        None | Some("http/protobuf") => Wanted::Unknown(format!(
            "`{endpoint}` does not begin with http://; a collector on this machine can forward over TLS"
        )),
        Some(other) => {
            Wanted::Unknown(format!("the OTLP protocol is `{other}`; http/protobuf is spoken, usually on port 4318"))
        }
    }
}

/// What is sent is not compressed: a collector is near, and publishers have better to do.
fn unpacked(var: impl Fn(&str) -> Option<String>, destination: Destination) -> Wanted {
    let compression = var("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION").or_else(|| var("OTEL_EXPORTER_OTLP_COMPRESSION"));
    match compression.as_deref() {
        None | Some("none") => Wanted::Otlp(destination),
        Some(other) => Wanted::Unknown(format!("the OTLP compression is `{other}`; only none is known")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)], expected: &Wanted) {
        let found = wanted(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()));
        assert_eq!(&found, expected, "{variables:?}");
    }

    #[test]
    fn the_standard_variables_decide() {
        const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
        check(&[], &Wanted::Nothing);
        let at = |endpoint: &str| Wanted::Otlp(Destination::at(endpoint.to_owned()));
        let found = at("http://127.0.0.1:4318/v1/traces");
        check(&[ENDPOINT], &found);
        check(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://a/v1/traces")], &at("http://a/v1/traces"));
        check(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_COMPRESSION", "none")], &found);
        let packed = wanted(|name| match name {
            "OTEL_EXPORTER_OTLP_COMPRESSION" => Some("gzip".to_owned()),
            name => (name == ENDPOINT.0).then(|| ENDPOINT.1.to_owned()),
        });
        assert!(matches!(packed, Wanted::Unknown(why) if why.contains("gzip")));
        let over_tls = wanted(|name| (name == ENDPOINT.0).then(|| "https://a".to_owned()));
        assert!(matches!(over_tls, Wanted::Unknown(why) if why.contains("https://a")));
        check(&[ENDPOINT, ("OTEL_SDK_DISABLED", "TRUE")], &Wanted::Nothing);
        check(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")], &Wanted::Nothing);
        check(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")], &found);
        let refused = wanted(|name| match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => Some("http://a".into()),
            "OTEL_EXPORTER_OTLP_PROTOCOL" => Some("grpc".into()),
            _ => None,
        });
        assert!(matches!(refused, Wanted::Unknown(why) if why.contains("grpc")));
    }
}
