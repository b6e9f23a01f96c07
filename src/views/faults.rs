//! The banner that stands on every page while somebody has switched a fault on: what is seen then is meant to be so.

use askama::{Template, filters::HtmlSafe};

use super::{Look, equivalent::shell, format, pieces::Moment};
use crate::{clock::Age, fault::Fault};

/// Faults that the banner names; it says how many more there are.
const NAMED_MOST: usize = 10;

/// The faults that are on.
#[derive(Template)]
#[template(path = "parts/faults.html")]
pub(super) struct FaultBanner {
    rows: Vec<FaultRow>,
    more: usize,
    /// Why the switches could not be read again.
    stale: Option<String>,
}

impl HtmlSafe for FaultBanner {}

struct FaultRow {
    service: String,
    fault: &'static str,
    words: &'static str,
    since: Moment,
    left: String,
    clear: String,
}

impl FaultBanner {
    /// The banner; `None` while no fault is on.
    pub(super) fn of(look: &Look<'_>) -> Option<Self> {
        let faults = &look.snapshot.faults;
        let switches = faults.value()?.entries.iter().map(|entry| &entry.value);
        let on: Vec<&Fault> = switches.filter(|fault| fault.is_on(look.now)).collect();
        (!on.is_empty()).then(|| Self {
            rows: on.iter().take(NAMED_MOST).map(|fault| FaultRow::of(fault, look)).collect(),
            more: on.len().saturating_sub(NAMED_MOST),
            stale: faults.reason().map(format::sentence),
        })
    }
}

impl FaultRow {
    fn of(fault: &Fault, look: &Look<'_>) -> Self {
        let service = format::cut(&fault.service);
        Self {
            clear: format!("streamgauge fault {} clear", shell(&service)),
            service,
            fault: fault.kind.token(),
            words: fault.kind.words(),
            since: Moment::length(fault.since, look),
            left: Age(look.now.age(fault.until).0).to_string(),
        }
    }
}
