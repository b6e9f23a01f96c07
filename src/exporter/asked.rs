//! Series of probes that the operator named.

use super::text::{Text, Value, labels};
use crate::{
    snapshot::Snapshot,
    telemetry::metrics::{Family, Kind},
};

const fn gauge(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, labels: &["probe"], help }
}

const PASSES: Family =
    gauge("streamgauge_probe_passes", "1 where a probe that was named with --probe passes, 0 where not.");
const TOOK: Family =
    gauge("streamgauge_probe_duration_seconds", "How long the probe took for its last answer, or was waited for.");

pub(super) fn families() -> Vec<Family> {
    vec![PASSES, TOOK]
}

pub(super) fn write(text: &mut Text, snapshot: &Snapshot) {
    let rows: Vec<_> = snapshot.asked_probes.iter().map(|probe| (labels(&[("probe", &probe.name)]), probe)).collect();
    let passes = rows.iter().map(|(labels, probe)| (labels, Value::from(u64::from(probe.passes()))));
    text.family(&PASSES, passes);
    text.family(&TOOK, rows.iter().map(|(labels, probe)| (labels, Value::from(probe.took.as_secs_f64()))));
}
