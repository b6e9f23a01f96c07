//! What the checks found: all of it on a page, and what is about one thing beside that thing.

use std::collections::HashMap;

use askama::Template;

use super::{
    Look, format,
    lists::{Choice, Pager},
    page::Page,
    pieces::{Gap, Level, Moment, Sign},
    search::Search,
};
use crate::snapshot::{Finding, Severity};

/// Findings shown of one thing.
const MOST: usize = 20;

/// A finding as it is shown.
pub(super) struct FindingRow {
    pub(super) sign: Sign,
    pub(super) check: &'static str,
    pub(super) about: String,
    pub(super) sentence: String,
    pub(super) evidence: String,
    pub(super) next_step: String,
    /// Since when it is found in every round.
    pub(super) since: Option<Moment>,
}

/// The page of all findings.
#[derive(Template)]
#[template(path = "pages/findings.html")]
pub(super) struct FindingsPage {
    gap: Option<Gap>,
    choices: Vec<Choice>,
    findings: Vec<FindingRow>,
    search: Search,
    action: String,
    pager: Pager,
}

impl FindingsPage {
    pub(super) fn of(search: &Search, look: &Look<'_>) -> Self {
        let all = &look.snapshot.findings;
        let is_found = |finding: &&Finding| search.finds(&[&finding.about, &finding.sentence, finding.check]);
        let found: Vec<&Finding> = all.iter().map(AsRef::as_ref).filter(is_found).collect();
        let choices = choices(&found, search, look);
        let is_wanted = |finding: &&Finding| search.severity.is_none_or(|severity| finding.severity == severity);
        let shown: Vec<&Finding> = found.into_iter().filter(is_wanted).collect();
        let (pager, range) = Pager::of(shown.len(), search, look, Page::Findings, "finding");
        let rows: Vec<FindingRow> = shown[range].iter().map(|finding| FindingRow::of(finding, look)).collect();
        let empty = if search.is_narrow() { "No finding is like that." } else { "The checks found nothing." };
        Self {
            gap: if look.snapshot.round == 0 {
                Gap::of(&look.snapshot.streams, "findings")
            } else {
                rows.is_empty().then(|| Gap::empty(empty))
            },
            choices,
            findings: rows,
            action: look.link(&Page::Findings(Search::default())),
            search: search.clone(),
            pager,
        }
    }
}

/// How many there are of each severity, each a link to those.
pub(super) fn choices(found: &[&Finding], search: &Search, look: &Look<'_>) -> Vec<Choice> {
    let severities = [None, Some(Severity::Critical), Some(Severity::Warning), Some(Severity::Notice)];
    let choice = |severity: Option<Severity>| {
        let those = found.iter().filter(|finding| severity.is_none_or(|severity| finding.severity == severity));
        let sign = severity
            .map_or_else(|| Sign::new(Level::Idle, "all"), |severity| Sign::new(level(severity), severity.word()));
        Choice {
            sign,
            href: look.link(&Page::Findings(search.with_severity(severity))),
            count: format::count(those.count() as u64),
            is_chosen: search.severity == severity,
        }
    };
    severities.into_iter().map(choice).collect()
}

impl FindingRow {
    /// What was found of one thing of an account, which is called as the checks call it.
    pub(super) fn about(what: &str, account: &str, look: &Look<'_>) -> Vec<Self> {
        let is_of_it =
            |finding: &&Finding| finding.about == what && finding.account.as_deref().is_none_or(|of| of == account);
        let findings = look.snapshot.findings.iter().map(AsRef::as_ref).filter(is_of_it);
        findings.take(MOST).map(|finding| Self::of(finding, look)).collect()
    }

    fn of(finding: &Finding, look: &Look<'_>) -> Self {
        Self {
            sign: Sign::new(level(finding.severity), finding.severity.word()),
            check: finding.check,
            about: about(finding, look),
            sentence: format::cut(&finding.sentence),
            evidence: format::cut(&finding.evidence),
            next_step: format::capital(&format::cut(&finding.next_step)),
            since: finding.since.map(|since| Moment::length(since, look)),
        }
    }
}

/// The same findings, those of one check and one severity together, in the order of the first of each.
pub(super) fn by_check<'a>(findings: impl Iterator<Item = &'a Finding>) -> Vec<Vec<&'a Finding>> {
    let mut groups: Vec<Vec<&Finding>> = Vec::new();
    let mut places = HashMap::new();
    for finding in findings {
        let place = *places.entry((finding.check, finding.severity.word())).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(finding),
            None => groups.push(vec![finding]),
        }
    }
    groups
}

/// How many they are of what: `20 streams` where all are about streams.
pub(super) fn counted(group: &[&Finding]) -> String {
    const KINDS: [&str; 5] = ["stream", "consumer", "bucket", "server", "account"];
    let kind = |finding: &Finding| {
        finding.about.split(' ').next().and_then(|word| KINDS.into_iter().find(|kind| *kind == word))
    };
    let first = group.first().and_then(|first| kind(first));
    let are_alike = group.iter().all(|finding| kind(finding) == first);
    format::counted(group.len(), first.filter(|_| are_alike).unwrap_or("finding"))
}

/// What it is about, with its account where there are several.
pub(super) fn about(finding: &Finding, look: &Look<'_>) -> String {
    let account = finding.account.as_deref().filter(|_| look.has_accounts());
    format::cut(&account.map_or_else(|| finding.about.clone(), |of| format!("{} of account {of}", finding.about)))
}

/// How bad a finding looks.
pub(super) fn level(severity: Severity) -> Level {
    match severity {
        Severity::Ok => Level::Ok,
        Severity::Notice => Level::Idle,
        Severity::Warning => Level::Warning,
        Severity::Critical => Level::Critical,
    }
}
