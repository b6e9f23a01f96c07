//! The gate before the pull: while a breaker or a kill switch is open the worker asks for nothing, so that nothing spins and no attempt
//! is burnt; half-open it asks for one message, and that one decides.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::{Notify, watch};

use crate::resilience::{Breaker, BreakerState, KillSwitch, Phase};

/// What watches over a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Opened by failures.
    Breaker,
    /// Opened by dead letters.
    KillSwitch,
}

/// Where the worker's messages come from at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intake {
    /// A subscription, or soon a new one.
    Flows,
    /// Nowhere, for a while or for good: what was not started can go back and will not come straight to us again.
    Shut,
}

/// The gate of one worker; clones are the same gate.
#[derive(Debug, Clone)]
pub(super) struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    guards: Mutex<Vec<(Kind, BreakerState)>>,
    is_guarded: bool,
    intake: watch::Sender<Intake>,
    tripped: Notify,
}

impl Kind {
    /// Its name in metrics, logs and words.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Breaker => "breaker",
            Self::KillSwitch => "kill_switch",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Breaker => "breaker",
            Self::KillSwitch => "kill switch",
        }
    }
}

/// A phase in one word.
pub(super) fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Closed => "closed",
        Phase::HalfOpen => "half-open",
        Phase::Open { .. } => "open",
    }
}

impl Gate {
    pub(super) fn new(breaker: Option<Breaker>, kill_switch: Option<KillSwitch>) -> Self {
        let breaker = breaker.map(|breaker| (Kind::Breaker, BreakerState::new(breaker)));
        let kill_switch = kill_switch.map(|switch| (Kind::KillSwitch, BreakerState::new(switch.into())));
        let guards: Vec<_> = breaker.into_iter().chain(kill_switch).collect();
        Self(Arc::new(Inner {
            is_guarded: !guards.is_empty(),
            guards: Mutex::new(guards),
            intake: watch::Sender::new(Intake::Flows),
            tripped: Notify::new(),
        }))
    }

    /// Whether anything may ever close it.
    pub(super) fn is_guarded(&self) -> bool {
        self.0.is_guarded
    }

    /// What the strictest of the guards lets through.
    pub(super) fn phase(&self, now: Instant) -> Phase {
        if !self.0.is_guarded {
            return Phase::Closed;
        }
        let phases = self.phases(now).into_iter().map(|(_, phase)| phase);
        phases.max_by_key(|phase| strictness(*phase)).unwrap_or(Phase::Closed)
    }

    /// Each guard and what it lets through.
    pub(super) fn phases(&self, now: Instant) -> Vec<(Kind, Phase)> {
        if !self.0.is_guarded {
            return Vec::new();
        }
        self.guards().iter().map(|(kind, state)| (*kind, state.phase(now))).collect()
    }

    /// Which guard is open, in words; `None` while none is.
    pub(super) fn why(&self, now: Instant) -> Option<String> {
        let is_open = |(_, phase): &(Kind, Phase)| matches!(phase, Phase::Open { .. });
        let (kind, _) = self.phases(now).into_iter().find(is_open)?;
        Some(format!("paused: {} open", kind.words()))
    }

    /// Tells the guards of kind `kind` how something ended; `class` is that of a failure, `None` where there was none. Returns the new
    /// phase if the guard changed by it.
    pub(super) fn record(&self, kind: Kind, now: Instant, class: Option<&str>) -> Option<Phase> {
        if !self.0.is_guarded {
            return None;
        }
        let mut guards = self.guards();
        let (_, state) = guards.iter_mut().find(|(found, _)| *found == kind)?;
        if class.is_some_and(|class| !state.settings().counts(class)) {
            return None;
        }
        let changed = state.record(now, class.is_none());
        drop(guards);
        if changed.is_some() {
            self.0.tripped.notify_one();
        }
        changed
    }

    /// Resolves when a guard has changed its phase by a result.
    pub(super) async fn tripped(&self) {
        self.0.tripped.notified().await;
    }

    /// Says where messages come from.
    pub(super) fn set_intake(&self, intake: Intake) {
        self.0.intake.send_replace(intake);
    }

    /// Resolves when what was not started can go back.
    pub(super) async fn shut(&self) {
        let mut intake = self.0.intake.subscribe();
        // The sender lives as long as the gate, so this cannot fail while anyone can ask.
        let shut = intake.wait_for(|intake| *intake == Intake::Shut).await;
        drop(shut);
    }

    /// Whether what was not started is to go back.
    pub(super) fn is_shut(&self) -> bool {
        *self.0.intake.borrow() == Intake::Shut
    }

    fn guards(&self) -> MutexGuard<'_, Vec<(Kind, BreakerState)>> {
        self.0.guards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn strictness(phase: Phase) -> (u8, Option<Instant>) {
    match phase {
        Phase::Closed => (0, None),
        Phase::HalfOpen => (1, None),
        Phase::Open { until } => (2, Some(until)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_strictest_guard_decides_and_failures_of_other_kinds_do_not_count() {
        let short = Breaker::new().of(1).open_for(Duration::from_secs(1)).classes(&["down"]);
        let long = KillSwitch::new().of(1).pause_for(Duration::from_secs(5));
        let gate = Gate::new(Some(short), Some(long));
        let now = Instant::now();
        assert_eq!(gate.record(Kind::Breaker, now, Some("other")), None);
        assert_eq!(gate.phase(now), Phase::Closed);
        assert!(gate.record(Kind::Breaker, now, Some("down")).is_some());
        assert_eq!(gate.why(now).as_deref(), Some("paused: breaker open"));
        assert!(gate.record(Kind::KillSwitch, now, Some("down")).is_some());
        assert_eq!(gate.phase(now), Phase::Open { until: now + Duration::from_secs(5) });
        let later = now + Duration::from_secs(2);
        assert_eq!(gate.why(later).as_deref(), Some("paused: kill switch open"));
        assert_eq!(gate.record(Kind::Breaker, later, None), Some(Phase::Closed));
        assert_eq!(gate.phase(now + Duration::from_secs(6)), Phase::HalfOpen);
    }

    #[test]
    fn a_worker_without_guards_is_never_held_up() {
        let gate = Gate::new(None, None);
        assert_eq!(gate.record(Kind::Breaker, Instant::now(), Some("down")), None);
        assert_eq!(gate.phase(Instant::now()), Phase::Closed);
    }
}
