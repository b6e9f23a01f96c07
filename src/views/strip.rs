//! What an instance's probes said in the last rounds, as a strip: a bar for each round, whose height and colour say the same.

use askama::{Template, filters::HtmlSafe};

use super::{Look, format};
use crate::{clock::Timestamp, snapshot::Probed};

/// The strip of one instance.
#[derive(Debug, Template)]
#[template(path = "parts/strip.html")]
pub(super) struct Strip {
    /// The last so many rounds.
    rounds: usize,
    ready: String,
    trouble: String,
    unknown: String,
    /// What is drawn, in words.
    said: String,
}

impl HtmlSafe for Strip {}

/// The height of the drawing, in its own units.
const HEIGHT: usize = 12;

/// What is well is low, and what is unknown half as high as what is wrong: they are told apart without colours.
const LOW: usize = 3;
const HALF: usize = 7;

impl Strip {
    /// `None` where nothing is remembered.
    pub(super) fn of(account: &str, key: &str, look: &Look<'_>) -> Option<Self> {
        let past = &look.snapshot.probes;
        let told: Vec<(Timestamp, Probed)> = past.of(account, key).collect();
        let said: Vec<Probed> = told.iter().map(|(_, probed)| *probed).collect();
        (!said.is_empty()).then(|| Self {
            rounds: said.len(),
            ready: bars(&said, |probed| probed == Probed::Ready, LOW),
            trouble: bars(&said, |probed| matches!(probed, Probed::NotReady | Probed::NotLive), HEIGHT),
            unknown: bars(&said, |probed| probed == Probed::Unknown, HALF),
            said: in_words(&told, look),
        })
    }
}

/// Bars for the rounds of one kind, those side by side as one.
fn bars(said: &[Probed], is_it: fn(Probed) -> bool, height: usize) -> String {
    let mut path = String::new();
    let mut from = 0;
    for run in said.chunk_by(|a, b| is_it(*a) == is_it(*b)) {
        if is_it(run[0]) {
            path.push_str(&format!("M{from} {HEIGHT}v-{height}h{}v{height}z", run.len()));
        }
        from += run.len();
    }
    path
}

/// Such as `last 15 min: ready, but for 3 of 90 rounds not ready, the last 2 min ago`.
fn in_words(told: &[(Timestamp, Probed)], look: &Look<'_>) -> String {
    let first = told.first().map_or(look.now, |(at, _)| *at);
    let over = format::age(first.age(look.now).0.max(look.snapshot.interval));
    let kinds = [(Probed::NotLive, "not live"), (Probed::NotReady, "not ready"), (Probed::Unknown, "not heard")];
    let trouble = kinds.into_iter().filter_map(|(kind, words)| {
        let those = told.iter().filter(|(_, probed)| *probed == kind);
        let (last, _) = those.clone().next_back()?;
        Some(format!("{words} in {} of them, the last {}", those.count(), format::ago(*last, look.now)))
    });
    let trouble: Vec<String> = trouble.collect();
    let rounds = format::counted(told.len(), "round");
    match trouble.as_slice() {
        [] => format!("ready in all {rounds} of the last {over}"),
        some => format!("{rounds} in the last {over}: {}", some.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(said: &[Probed], is_it: fn(Probed) -> bool, expected: &str) {
        assert_eq!(bars(said, is_it, 6), expected, "{said:?}");
    }

    #[test]
    fn rounds_side_by_side_are_one_bar() {
        use Probed::{NotReady, Ready, Unknown};
        let said = [Ready, Ready, NotReady, Ready, Unknown];
        check(&said, |probed| probed == Ready, "M0 12v-6h2v6zM3 12v-6h1v6z");
        check(&said, |probed| probed == Unknown, "M4 12v-6h1v6z");
        check(&[], |_| true, "");
    }
}
