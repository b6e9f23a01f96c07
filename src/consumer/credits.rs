//! How many messages a worker may hold: a fixed number, or one that follows how long handlers take.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::resilience::{Adaptive, AdaptiveState};

/// The rule for the number of credits.
#[derive(Debug)]
pub(super) enum Credits {
    Fixed(u32),
    Adaptive(Mutex<AdaptiveState>),
}

impl Credits {
    pub(super) fn new(fixed: u32, adaptive: Option<Adaptive>) -> Self {
        match adaptive {
            None => Self::Fixed(fixed),
            Some(settings) => Self::Adaptive(Mutex::new(AdaptiveState::new(settings))),
        }
    }

    /// How many there are now.
    pub(super) fn now(&self) -> u32 {
        match self {
            Self::Fixed(fixed) => *fixed,
            Self::Adaptive(state) => state.lock().unwrap_or_else(PoisonError::into_inner).limit(),
        }
    }

    /// Learns from a handler that ran beside `running`, itself included; returns the new number if there is a rule to find one.
    pub(super) fn observe(&self, took: Duration, running: u32, is_overloaded: bool) -> Option<u32> {
        match self {
            Self::Fixed(_) => None,
            Self::Adaptive(state) => {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                Some(state.observe(took, running, is_overloaded))
            }
        }
    }
}
