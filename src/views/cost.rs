//! What looking costs: us, and the servers that are asked.

use askama::{Template, filters::HtmlSafe};

use super::{
    Look, format,
    pieces::{Gap, Moment},
};
use crate::snapshot::{RoundStats, Snapshot};

/// What the last round cost, as a panel.
#[derive(Template)]
#[template(path = "parts/cost.html")]
pub(super) struct CostPanel {
    gap: Option<Gap>,
    round: String,
    taken: Moment,
    lines: Vec<(&'static str, String)>,
}

impl HtmlSafe for CostPanel {}

impl CostPanel {
    pub(super) fn of(look: &Look<'_>) -> Self {
        let snapshot = look.snapshot;
        let is_first = snapshot.round == 0;
        Self {
            gap: is_first.then(|| Gap::of(&snapshot.streams, "costs of a round")).flatten(),
            round: format::count(snapshot.round),
            taken: Moment::ago(snapshot.taken, look),
            lines: if is_first { Vec::new() } else { lines(snapshot) },
        }
    }
}

fn lines(snapshot: &Snapshot) -> Vec<(&'static str, String)> {
    let stats = &snapshot.stats;
    let (took, waited) = (stats.duration.as_secs_f64(), stats.waited.as_secs_f64());
    vec![
        ("Took", format!("{}, of which {} waiting for answers", format::took(took), format::took(waited))),
        ("Asked", format!("{} sent", format::counted_u64(stats.requests, "message"))),
        ("Moved", format!("{} both ways, {}", format::bytes(stats.bytes), by_second(snapshot))),
        ("Servers", servers(stats)),
        ("Rows dropped", dropped(stats)),
        ("Rows missing", missing(stats)),
        ("Configurations", configs(stats).to_owned()),
    ]
}

/// What the broker pays on average: a round comes after each interval.
fn by_second(snapshot: &Snapshot) -> String {
    let every = snapshot.interval + snapshot.stats.duration;
    let a_second = u128::from(snapshot.stats.bytes) * 1_000 / every.as_millis().max(1);
    let a_second = format::bytes(u64::try_from(a_second).unwrap_or(u64::MAX));
    format!("{a_second}/s at a round every {}", format::age(snapshot.interval))
}

fn servers(stats: &RoundStats) -> String {
    match stats.servers_expected {
        Some(expected) => format!("{} of {expected} told what they hold", stats.servers_answered),
        None => {
            "one, for all that the account holds; all of them are asked with a user of the system account".to_owned()
        }
    }
}

fn dropped(stats: &RoundStats) -> String {
    match (stats.servers_expected, stats.rows_dropped) {
        (None, _) => "none: only leaders were asked".to_owned(),
        (Some(_), 0) => "none".to_owned(),
        (Some(_), rows) => format!("{}, told by servers that do not lead them", format::count(rows)),
    }
}

fn missing(stats: &RoundStats) -> String {
    match stats.rows_missing {
        0 => "none".to_owned(),
        rows => format!("{}: no leader gave an account of them", format::count(rows)),
    }
}

fn configs(stats: &RoundStats) -> &'static str {
    match (stats.servers_expected, stats.has_read_configs) {
        (None, _) => "come with every round",
        (Some(_), true) => "were read in this round",
        (Some(_), false) => "as an earlier round read them",
    }
}
