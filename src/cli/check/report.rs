//! What a check found, in one list: verdicts and findings alike, the worst first.

use std::cmp::Reverse;

use serde::Serialize;

use crate::{
    checks::consumer::ROUNDS,
    snapshot::{Consumer, Finding, Label, Severity, Snapshot},
    words,
};

/// What a check found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The worst of all that was found.
    pub(super) status: Severity,
    /// From which severity on the check fails.
    pub(super) fail_on: Severity,
    /// How often it looked.
    pub(super) rounds: u64,
    /// What was looked at.
    pub(super) streams: usize,
    /// What was looked at.
    pub(super) consumers: Vec<Seen>,
    /// Of these, those that had something to do, and were looked at in too few rounds to be judged.
    pub(super) unjudged: usize,
    /// `None` where our user may not see them.
    pub(super) servers: Option<usize>,
    /// Why servers are not seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) servers_unseen: Option<String>,
    /// Notices and worse.
    pub(super) items: Vec<Item>,
}

/// A consumer and its verdict.
#[derive(Debug, Serialize)]
pub(super) struct Seen {
    pub(super) account: String,
    pub(super) stream: String,
    pub(super) consumer: String,
    pub(super) label: Label,
    pub(super) severity: Severity,
    /// Why it was not judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unjudged: Option<String>,
}

/// One thing that was found.
#[derive(Debug, Serialize)]
pub(super) struct Item {
    pub(super) severity: Severity,
    /// The name of the check, or the label of the verdict.
    pub(super) check: &'static str,
    pub(super) account: Option<String>,
    /// Of a verdict: the stream and the consumer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) consumer: Option<(String, String)>,
    pub(super) about: String,
    pub(super) sentence: String,
    pub(super) evidence: Vec<String>,
    pub(super) next_step: String,
}

impl Report {
    pub(super) fn of(snapshot: &Snapshot, rounds: u64, fail_on: Severity) -> Self {
        let is_found = |one: &&Consumer| one.verdict.severity >= Severity::Notice && !one.is_unjudged();
        let verdicts = snapshot.known_consumers().filter(is_found).map(Item::of_verdict);
        let findings = snapshot.findings.iter().map(|finding| Item::of_finding(finding));
        let mut items: Vec<Item> = verdicts.chain(findings).collect();
        items.sort_by_key(|item| Reverse(item.severity));
        Self {
            status: items.first().map_or(Severity::Ok, |item| item.severity),
            fail_on,
            rounds,
            streams: snapshot.known_streams().len(),
            consumers: snapshot.known_consumers().map(Seen::of).collect(),
            unjudged: snapshot.known_consumers().filter(|one| one.is_unjudged()).count(),
            servers: snapshot.servers.fresh().map(Vec::len),
            servers_unseen: snapshot.servers.reason().map(str::to_owned),
            items,
        }
    }

    /// What makes the check fail.
    pub(super) fn failing(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| item.severity >= self.fail_on)
    }

    /// How many were found of one severity.
    pub(super) fn count(&self, severity: Severity) -> usize {
        self.items.iter().filter(|item| item.severity == severity).count()
    }

    /// Such as `2 critical, 1 warning`; `nothing found` where nothing was. What is not known is none of it.
    pub(super) fn counts(&self) -> String {
        let severities = [Severity::Critical, Severity::Warning, Severity::Notice];
        let counts = severities.map(|severity| (self.count(severity), severity.word()));
        let said: Vec<String> = counts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
        let said = if said.is_empty() { "nothing found".to_owned() } else { said.join(", ") };
        match self.unjudged {
            0 => said,
            some => format!("{said}, {} not judged in fewer than {ROUNDS} rounds", counted(some, "consumer")),
        }
    }

    /// Such as `3 streams, 7 consumers, servers not seen`.
    pub(super) fn looked_at(&self) -> String {
        let servers = self.servers.map_or("servers not seen".to_owned(), |count| counted(count, "server"));
        format!("{}, {}, {servers}", counted(self.streams, "stream"), counted(self.consumers.len(), "consumer"))
    }
}

fn counted(count: usize, word: &str) -> String {
    words::counted(count as u64, word)
}

impl Seen {
    fn of(consumer: &Consumer) -> Self {
        Self {
            account: consumer.account.to_string(),
            stream: consumer.stream.to_string(),
            consumer: consumer.name.to_string(),
            label: consumer.verdict.label,
            severity: consumer.verdict.severity,
            unjudged: consumer.is_unjudged().then(|| consumer.verdict.sentence.to_string()),
        }
    }
}

impl Item {
    fn of_verdict(consumer: &Consumer) -> Self {
        let verdict = &consumer.verdict;
        Self {
            severity: verdict.severity,
            check: verdict.label.token(),
            account: Some(consumer.account.to_string()),
            consumer: Some((consumer.stream.to_string(), consumer.name.to_string())),
            about: format!("consumer {} of stream {}", consumer.name, consumer.stream),
            sentence: verdict.sentence.to_string(),
            evidence: verdict.evidence.clone(),
            next_step: verdict.next_step.to_string(),
        }
    }

    fn of_finding(finding: &Finding) -> Self {
        Self {
            severity: finding.severity,
            check: finding.check,
            account: finding.account.clone(),
            consumer: None,
            about: finding.about.clone(),
            sentence: finding.sentence.clone(),
            evidence: vec![finding.evidence.clone()],
            next_step: finding.next_step.clone(),
        }
    }

    /// What it is about, with its account where that is known.
    pub(super) fn whose(&self) -> String {
        match &self.account {
            Some(account) => format!("{} in account {account}", self.about),
            None => self.about.clone(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn item(severity: Severity, check: &'static str, consumer: Option<&str>) -> Item {
        Item {
            severity,
            check,
            account: Some("A".to_owned()),
            consumer: consumer.map(|name| ("ORDERS".to_owned(), name.to_owned())),
            about: consumer.map_or("stream ORDERS".to_owned(), |name| format!("consumer {name} of stream ORDERS")),
            sentence: "It is <late> & \"lost\".".to_owned(),
            evidence: vec!["one".to_owned(), "two".to_owned()],
            next_step: "wait".to_owned(),
        }
    }

    /// One consumer without workers, one that keeps up, one stream without limits.
    pub(in crate::cli::check) fn report(fail_on: Severity) -> Report {
        let seen = |name: &str, label, severity| Seen {
            account: "A".to_owned(),
            stream: "ORDERS".to_owned(),
            consumer: name.to_owned(),
            label,
            severity,
            unjudged: None,
        };
        Report {
            status: Severity::Critical,
            fail_on,
            rounds: 3,
            streams: 1,
            consumers: vec![
                seen("reserve", Label::NoWorkers, Severity::Critical),
                seen("mail", Label::Ok, Severity::Ok),
            ],
            unjudged: 0,
            servers: None,
            servers_unseen: Some("only a user of the system account sees the servers".to_owned()),
            items: vec![
                item(Severity::Critical, "no_workers", Some("reserve")),
                item(Severity::Warning, "no_limits", None),
            ],
        }
    }

    /// The same after one round, in which the consumer that may keep up had something to do.
    pub(in crate::cli::check) fn early_report() -> Report {
        let mut early = Report { rounds: 1, unjudged: 1, ..report(Severity::Notice) };
        early.consumers[1].label = Label::Unknown;
        early.consumers[1].severity = Severity::Notice;
        early.consumers[1].unjudged = Some("It was looked at in 1 round so far.".to_owned());
        early
    }

    #[test]
    fn what_was_not_judged_is_counted_apart() {
        assert_eq!(early_report().counts(), "1 critical, 1 warning, 1 consumer not judged in fewer than 3 rounds");
        let nothing = Report { items: Vec::new(), ..early_report() };
        assert_eq!(nothing.counts(), "nothing found, 1 consumer not judged in fewer than 3 rounds");
    }

    #[test]
    fn what_fails_is_what_is_bad_enough() {
        assert_eq!(report(Severity::Notice).failing().count(), 2);
        assert_eq!(report(Severity::Critical).failing().count(), 1);
        assert_eq!(report(Severity::Warning).counts(), "1 critical, 1 warning");
        assert_eq!(report(Severity::Warning).looked_at(), "1 stream, 2 consumers, servers not seen");
    }
}
