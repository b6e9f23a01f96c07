//! Which traces are seen: the decision of the sampler that the environment asks for, or of a share.
//!
//! Convention: <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>. The SDK keeps its own sampler to
//! itself, so it is given ours.

use opentelemetry::trace::{SpanKind, TraceId};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, ShouldSample};

use crate::trace::TraceParent;

/// Who decides.
#[derive(Debug, Clone)]
pub(super) struct Sampling {
    /// Whether it is left to whoever began a trace if the trace is seen.
    follows_parents: bool,
    root: Sampler,
}

impl Sampling {
    /// `share` (0 to 1) of the traces that begin here, and of others those that were sampled.
    pub(super) fn share(share: f64) -> Self {
        Self { follows_parents: true, root: Sampler::TraceIdRatioBased(share) }
    }

    /// What the standard variables say; all, where they say nothing or what is not known.
    pub(super) fn read(var: impl Fn(&str) -> Option<String>) -> Self {
        let name = var("OTEL_TRACES_SAMPLER").unwrap_or_default();
        let share = || var("OTEL_TRACES_SAMPLER_ARG").and_then(|share| share.parse().ok()).unwrap_or(1.0);
        let own = match name.as_str() {
            "always_on" => Some(Sampler::AlwaysOn),
            "always_off" => Some(Sampler::AlwaysOff),
            "traceidratio" => Some(Sampler::TraceIdRatioBased(share())),
            _ => None,
        };
        if let Some(root) = own {
            return Self { follows_parents: false, root };
        }
        let root = match name.as_str() {
            "parentbased_always_off" => Sampler::AlwaysOff,
            "parentbased_traceidratio" => Sampler::TraceIdRatioBased(share()),
            _ => Sampler::AlwaysOn,
        };
        Self { follows_parents: true, root }
    }

    /// The same for the SDK.
    pub(super) fn sampler(&self) -> Sampler {
        if self.follows_parents { Sampler::ParentBased(Box::new(self.root.clone())) } else { self.root.clone() }
    }

    pub(super) fn follows_parents(&self) -> bool {
        self.follows_parents
    }

    /// Whether a span is seen that is part of this trace, below `parent` if it does not begin it.
    pub(super) fn takes(&self, trace_id: [u8; 16], parent: Option<&TraceParent>) -> bool {
        match parent {
            Some(parent) if self.follows_parents => parent.is_sampled(),
            _ => {
                let trace_id = TraceId::from_bytes(trace_id);
                let result = self.root.should_sample(None, trace_id, "", &SpanKind::Producer, &[], &[]);
                result.decision == SamplingDecision::RecordAndSample
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::{
        Context,
        trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceState},
    };

    use super::*;

    /// The decisions for a low and a high trace id: where a trace begins, below a sampled parent, and below one that is not.
    fn check(variables: &[(&str, &str)], expected: [bool; 6]) {
        let var = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let sampling = Sampling::read(var);
        let ids = [1_u128.to_be_bytes(), u128::from(u64::MAX).to_be_bytes()];
        let parents = [None, Some(1), Some(0)];
        let cases = || parents.into_iter().flat_map(|flags| ids.map(|id| (id, flags)));
        let ours = cases().map(|(trace_id, flags)| {
            let parent = flags.map(|flags| TraceParent { trace_id, span_id: [1; 8], flags });
            sampling.takes(trace_id, parent.as_ref())
        });
        assert_eq!(ours.collect::<Vec<_>>(), expected, "{variables:?}");
        let of_sdk = cases().map(|(trace_id, flags)| {
            let trace_id = TraceId::from_bytes(trace_id);
            let parent = flags.map(|flags| {
                let (span_id, flags) = (SpanId::from(1), TraceFlags::new(flags));
                let parent = SpanContext::new(trace_id, span_id, flags, true, TraceState::NONE);
                Context::new().with_remote_span_context(parent)
            });
            let kind = SpanKind::Producer;
            sampling.sampler().should_sample(parent.as_ref(), trace_id, "", &kind, &[], &[]).decision
                == SamplingDecision::RecordAndSample
        });
        assert_eq!(of_sdk.collect::<Vec<_>>(), expected, "the SDK with {variables:?}");
    }

    #[test]
    fn we_decide_as_the_sdk_does() {
        const NAME: &str = "OTEL_TRACES_SAMPLER";
        const HALF: (&str, &str) = ("OTEL_TRACES_SAMPLER_ARG", "0.5");
        check(&[], [true, true, true, true, false, false]);
        check(&[(NAME, "unheard of")], [true, true, true, true, false, false]);
        check(&[(NAME, "always_on")], [true; 6]);
        check(&[(NAME, "always_off")], [false; 6]);
        check(&[(NAME, "traceidratio"), HALF], [true, false, true, false, true, false]);
        check(&[(NAME, "parentbased_always_off")], [false, false, true, true, false, false]);
        check(&[(NAME, "parentbased_traceidratio"), HALF], [true, false, true, true, false, false]);
        check(&[(NAME, "parentbased_traceidratio")], [true, true, true, true, false, false]);
    }
}
