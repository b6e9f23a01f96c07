//! Probes that the operator named: what each answers now, and in the last rounds.

use askama::{Template, filters::HtmlSafe};

use super::{
    Look, format,
    pieces::{Level, Moment, Sign},
    strip::Strip,
};
use crate::snapshot::AskedProbe;

/// The probes as a panel.
#[derive(Template)]
#[template(path = "parts/asked.html")]
pub(super) struct AskedPanel {
    rows: Vec<Row>,
}

impl HtmlSafe for AskedPanel {}

struct Row {
    name: String,
    url: String,
    sign: Sign,
    said: String,
    took: String,
    at: Moment,
    past: Option<Strip>,
}

impl AskedPanel {
    /// `None` where nobody named a probe.
    pub(super) fn of(look: &Look<'_>) -> Option<Self> {
        let probes = &look.snapshot.asked_probes;
        (!probes.is_empty()).then(|| Self { rows: probes.iter().map(|probe| Row::of(probe, look)).collect() })
    }
}

impl Row {
    fn of(probe: &AskedProbe, look: &Look<'_>) -> Self {
        let sign = match &probe.answer {
            _ if probe.passes() => Sign::new(Level::Ok, "passes"),
            Ok(_) => Sign::new(Level::Critical, "fails"),
            Err(_) => Sign::new(Level::Critical, "no answer"),
        };
        Self {
            name: probe.name.clone(),
            url: format::cut(&probe.url),
            sign,
            said: format::cut(&probe.said()),
            took: format::took(probe.took.as_secs_f64()),
            at: Moment::ago(probe.at, look),
            past: Strip::of("", &probe.key(), look),
        }
    }
}
