//! The time in which a breaker or a kill switch lets nothing through.

use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::{
    gate,
    pull::{Shared, TICK},
};
use crate::{resilience::Phase, telemetry::events::Tripped};

/// Waits while a breaker or a kill switch lets nothing through; `false` if it was asked to stop.
pub(super) async fn gate_opens(shared: &Shared, stop: &CancellationToken) -> bool {
    let mut was_paused = false;
    loop {
        let now = Instant::now();
        show_gate(shared, now);
        let Phase::Open { until } = shared.gate.phase(now) else {
            if was_paused {
                tracing::info!(consumer = %shared.status.consumer, "worker tries one message");
            }
            return true;
        };
        was_paused = true;
        if let Some(why) = shared.gate.why(now) {
            shared.status.paused(&why);
        }
        shared.status.ticked();
        tokio::select! {
            () = tokio::time::sleep(until.saturating_duration_since(now).min(TICK)) => {}
            () = stop.cancelled() => return false,
        }
    }
}

/// Shows what each guard lets through.
pub(super) fn show_gate(shared: &Shared, now: Instant) {
    for (kind, phase) in shared.gate.phases(now) {
        let (kind, phase) = (kind.name(), gate::phase_name(phase));
        let tripped = Tripped { consumer: shared.status.consumer.as_str(), kind, phase };
        tripped.set(shared.bus.telemetry().metrics());
    }
}
