//! Faults that are switched on.

use schemars::JsonSchema;
use serde::Serialize;

use super::known::{Known, Moment};
use crate::{
    clock::Timestamp,
    fault::{Fault, Kind},
    snapshot::Watched,
};

/// A fault that somebody switched on in a service, to see what becomes of it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Fault")]
pub(super) struct FaultAnswer {
    /// The service that it is in.
    service: String,
    /// What is wrong.
    #[schemars(with = "String", extend("enum" = Kind::ALL.map(Kind::token)))]
    fault: &'static str,
    since: Moment,
    /// When it ends by itself.
    until: Moment,
}

impl FaultAnswer {
    /// Those that are on in an account.
    pub(super) fn all(watched: &Watched, now: Timestamp) -> Known<Vec<Self>> {
        Known::of(&watched.faults, now, |bucket| {
            let on = bucket.entries.iter().map(|entry| &entry.value).filter(|fault| fault.is_on(now));
            on.map(Self::of).collect()
        })
    }

    fn of(fault: &Fault) -> Self {
        Self {
            service: fault.service.clone(),
            fault: fault.kind.token(),
            since: Moment(fault.since),
            until: Moment(fault.until),
        }
    }
}
