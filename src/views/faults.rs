//! The banner that stands on every page while somebody has switched a fault on: what is seen then is meant to be so.

use askama::{Template, filters::HtmlSafe};

use super::{Look, format, pieces::Moment};
use crate::{fault::Fault, snapshot::Watched, words::shell};

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
    /// The account, where there are several.
    account: Option<String>,
    fault: &'static str,
    words: &'static str,
    since: Moment,
    left: String,
    clear: String,
}

impl FaultBanner {
    /// The banner; `None` while no fault is on.
    pub(super) fn of(look: &Look<'_>) -> Option<Self> {
        let on: Vec<(&Watched, &Fault)> = look.snapshot.watched().flat_map(|watched| on(watched, look)).collect();
        (!on.is_empty()).then(|| Self {
            rows: on.iter().take(NAMED_MOST).map(|(watched, fault)| FaultRow::of(fault, watched, look)).collect(),
            more: on.len().saturating_sub(NAMED_MOST),
            stale: on.iter().find_map(|(watched, _)| watched.faults.reason()).map(format::sentence),
        })
    }
}

/// The faults that are on in an account.
fn on<'a>(watched: &'a Watched, look: &Look<'_>) -> Vec<(&'a Watched, &'a Fault)> {
    let switches = watched.faults.value().into_iter().flat_map(|bucket| &bucket.entries).map(|entry| &entry.value);
    switches.filter(|fault| fault.is_on(look.now)).map(|fault| (watched, fault)).collect()
}

impl FaultRow {
    fn of(fault: &Fault, watched: &Watched, look: &Look<'_>) -> Self {
        let service = format::cut(&fault.service);
        Self {
            clear: format!("streamgauge fault {} clear", shell(&service)),
            service,
            account: look.account_of(watched),
            fault: fault.kind.token(),
            words: fault.kind.words(),
            since: Moment::length(fault.since, look),
            left: format::age(look.now.age(fault.until).0),
        }
    }
}
