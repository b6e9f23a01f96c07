//! Where spans go: to an OTLP collector over HTTP when the standard environment variables name one, else nowhere.
//!
//! Convention: <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>; the SDK itself reads the sampler's, the limits' and the
//! batch processor's variables.

use std::env;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider},
};

use super::{Metrics, TelemetryError, spans::Counted};

/// What the environment asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Nothing,
    Otlp,
    Unknown(String),
}

pub(super) fn provider(service: &str, instance: &str, metrics: &Metrics) -> Result<SdkTracerProvider, TelemetryError> {
    let resource = resource(service, instance);
    let builder = SdkTracerProvider::builder().with_resource(resource);
    match wanted(|name| env::var(name).ok().filter(|value| !value.is_empty())) {
        Wanted::Nothing => Ok(builder.build()),
        Wanted::Unknown(why) => Err(TelemetryError::Export { why }),
        Wanted::Otlp => {
            let exporter = SpanExporter::builder().with_http().build().map_err(unusable)?;
            Ok(builder.with_span_processor(Counted::over(exporter, metrics)).build())
        }
    }
}

/// What goes to `endpoint` whatever the environment says: `share` of the traces that begin here, and of others those that were sampled.
pub(super) fn to_endpoint(endpoint: &str, share: f64, metrics: &Metrics) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = SpanExporter::builder().with_http().with_endpoint(format!("{endpoint}/v1/traces")).build();
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(share)));
    let processor = Counted::over(exporter.map_err(unusable)?, metrics);
    Ok(SdkTracerProvider::builder().with_sampler(sampler).with_span_processor(processor).build())
}

/// Whether the sampler that the environment asks for follows whoever began a trace, as the default one does.
pub(super) fn is_parent_based() -> bool {
    env::var("OTEL_TRACES_SAMPLER").map_or(true, |sampler| sampler.is_empty() || sampler.starts_with("parentbased_"))
}

fn unusable(error: opentelemetry_otlp::ExporterBuildError) -> TelemetryError {
    TelemetryError::Export { why: error.to_string() }
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
    let endpoint = var("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or_else(|| var("OTEL_EXPORTER_OTLP_ENDPOINT"));
    let Some(endpoint) = endpoint.filter(|_| !is_disabled) else {
        return Wanted::Nothing;
    };
    match var("OTEL_TRACES_EXPORTER").as_deref() {
        None | Some("otlp") => {}
        Some("none") => return Wanted::Nothing,
        Some(other) => return Wanted::Unknown(format!("OTEL_TRACES_EXPORTER is `{other}`; otlp and none are known")),
    }
    match var("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL").or_else(|| var("OTEL_EXPORTER_OTLP_PROTOCOL")).as_deref() {
        None | Some("http/protobuf") if endpoint.starts_with("http://") => Wanted::Otlp,
        None | Some("http/protobuf") => Wanted::Unknown(format!(
            "`{endpoint}` does not begin with http://; a collector on this machine can forward over TLS"
        )),
        Some(other) => {
            Wanted::Unknown(format!("the OTLP protocol is `{other}`; http/protobuf is spoken, usually on port 4318"))
        }
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
        check(&[ENDPOINT], &Wanted::Otlp);
        check(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://a/v1/traces")], &Wanted::Otlp);
        let over_tls = wanted(|name| (name == ENDPOINT.0).then(|| "https://a".to_owned()));
        assert!(matches!(over_tls, Wanted::Unknown(why) if why.contains("https://a")));
        check(&[ENDPOINT, ("OTEL_SDK_DISABLED", "TRUE")], &Wanted::Nothing);
        check(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")], &Wanted::Nothing);
        check(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")], &Wanted::Otlp);
        let refused = wanted(|name| match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => Some("http://a".into()),
            "OTEL_EXPORTER_OTLP_PROTOCOL" => Some("grpc".into()),
            _ => None,
        });
        assert!(matches!(refused, Wanted::Unknown(why) if why.contains("grpc")));
    }
}
