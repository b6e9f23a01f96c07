//! The overview's first sentence: what matters most right now.

use askama::{Template, filters::HtmlSafe};

use super::{
    Look,
    consumers::{page_of, sorted},
    findings, format,
    page::Page,
    pieces::{Level, Moment, Sign, short},
    search::{Search, Sort},
    standing,
};
use crate::{
    presence::Presence,
    snapshot::{Consumer, Reading, Severity, Snapshot, Watched, Why},
};

/// One thing that is said at the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// The whole of it in one sentence.
    pub(super) sentence: String,
    /// Since when, where that is known.
    pub(super) since: Option<Moment>,
    /// Which things, and why.
    pub(super) details: Vec<Detail>,
}

impl Finding {
    fn sign(&self) -> Sign {
        Sign::new(self.level, word(self.level))
    }
}

/// One of the things that a sentence sums up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Detail {
    pub(super) name: String,
    pub(super) why: String,
    pub(super) href: String,
    /// Its own word, where the things differ.
    pub(super) sign: Option<Sign>,
    pub(super) since: Option<Moment>,
    /// How that is known.
    pub(super) evidence: String,
    /// What to do.
    pub(super) next_step: String,
}

impl Detail {
    fn new(name: impl Into<String>, why: impl Into<String>, href: impl Into<String>) -> Self {
        let (name, why, href) = (name.into(), why.into(), href.into());
        Self { name, why, href, sign: None, since: None, evidence: String::new(), next_step: String::new() }
    }
}

/// The headline: the worst finding as a sentence, the others below it.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "parts/headline.html")]
pub(super) struct Headline {
    pub(super) sign: Sign,
    pub(super) first: Finding,
    pub(super) others: Vec<Finding>,
}

impl HtmlSafe for Headline {}

/// Things named under one sentence; the pages name the rest.
const DETAILS_MOST: usize = 5;

impl Headline {
    pub(super) fn of(look: &Look<'_>) -> Self {
        let mut findings: Vec<Finding> =
            [away(look), unread_streams(look), consumers(look), instances(look), checks(look), unread_rest(look)]
                .into_iter()
                .flatten()
                .collect();
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
        if findings.is_empty() {
            findings.push(all_is_well(look.snapshot));
        }
        let first = findings.remove(0);
        Self { sign: first.sign(), first, others: findings }
    }

    /// The overview's title, which a tab in the background shows too.
    pub(super) fn title(&self) -> String {
        match self.first.level {
            Level::Ok | Level::Idle | Level::Busy => "Overview".to_owned(),
            _ => self.first.sentence.clone(),
        }
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Ok => "ok",
        Level::Idle => "idle",
        Level::Busy => "starting",
        Level::Unknown => "unknown",
        Level::Warning => "warning",
        Level::Critical => "critical",
    }
}

/// NATS does not answer. With it everything else is old, so nothing else is worth a sentence of its own.
fn away(look: &Look<'_>) -> Option<Finding> {
    if look.snapshot.is_connected() {
        return None;
    }
    let app = &look.snapshot.app.contact;
    let is_first = look.snapshot.round == 0;
    let sentence = match (is_first, app.server.is_some()) {
        (true, _) => format!("Connecting to NATS at {}", app.url),
        (_, true) => "NATS has not answered".to_owned(),
        (_, false) => format!("NATS at {} has not answered", app.url),
    };
    let plain = |why: &str| Detail::new("", why, "");
    let old = app.server.is_some().then(|| plain("What is shown below was read before, and is marked as old."));
    Some(Finding {
        level: if is_first { Level::Busy } else { Level::Critical },
        sentence,
        since: (!is_first).then(|| Moment::length(app.since, look)),
        details: [plain(&format::sentence(&app.reason))].into_iter().chain(old).collect(),
    })
}

fn unread_streams(look: &Look<'_>) -> Option<Finding> {
    let snapshot = look.snapshot;
    let reason = snapshot.streams.reason().filter(|_| snapshot.is_connected())?;
    let (level, sentence) = match &snapshot.streams {
        Reading::Unknown { why: Why::NotYet, .. } => (Level::Busy, "Looking at NATS for the first time"),
        Reading::Stale { .. } => (Level::Critical, "The streams could not be read again; what is shown is old"),
        _ => (Level::Critical, "The streams could not be read"),
    };
    let detail = Detail::new("", reason, "");
    Some(Finding { level, sentence: sentence.to_owned(), since: None, details: vec![detail] })
}

fn instances(look: &Look<'_>) -> Option<Finding> {
    let accounts = look.snapshot.watched().filter_map(|watched| Some((watched, watched.presence.fresh()?)));
    let count: usize = accounts.clone().map(|(watched, bucket)| bucket.entries.len() + watched.gone.len()).sum();
    let all = accounts.flat_map(|(watched, bucket)| {
        let here = bucket.entries.iter().map(|entry| (entry, standing::of_instance(entry, &watched.presence)));
        here.chain(watched.gone.iter().map(|entry| (entry, standing::of_gone())))
    });
    let troubled = all.filter_map(|(entry, standing)| {
        let why = format::cut(&format!("{}: {}", standing.sign.word, standing.why));
        let detail = Detail::new(full_name(&entry.value), why, look.link(&Page::Services));
        standing.is_trouble().then_some((standing.sign, detail))
    });
    let (signs, details): (Vec<Sign>, Vec<Detail>) = troubled.unzip();
    let worst = signs.iter().max_by_key(|sign| sign.level)?;
    let word = if signs.iter().all(|sign| sign.word == worst.word) { worst.word.as_str() } else { "in trouble" };
    let (all, troubled) = (format::counted(count, "instance"), details.len() as u64);
    let sentence = format!("{} of {all} {} {word}", format::count(troubled), format::agree(troubled, "is", "are"));
    let href = look.link(&Page::Services);
    Some(Finding { level: worst.level, sentence, since: None, details: cut(details, &href) })
}

/// Many instances are named after their service already.
fn full_name(presence: &Presence) -> String {
    let Presence { service, instance, .. } = presence;
    let short = short(instance);
    if instance.starts_with(service.as_str()) { short } else { format!("{service} {short}") }
}

/// The consumers that somebody should look at, the worst first.
fn consumers(look: &Look<'_>) -> Option<Finding> {
    look.snapshot.streams.fresh()?;
    let all = look.snapshot.known_consumers();
    let troubled: Vec<&Consumer> = all.filter(|row| standing::level_of(row) >= Level::Warning).collect();
    let troubled = sorted(troubled, Sort::Worst);
    let level = standing::worst_of(troubled.iter().copied());
    if troubled.is_empty() {
        return None;
    }
    let sentence = format::need_you(troubled.len(), "consumer");
    let details: Vec<Detail> = troubled.iter().take(DETAILS_MOST).map(|consumer| in_trouble(consumer, look)).collect();
    let more = troubled.len() - details.len();
    let list = look.link(&Page::Consumers(Search::default()));
    let rest = (more > 0).then(|| Detail::new(format!("and {} more", format::count(more as u64)), "", list));
    Some(Finding { level, sentence, since: None, details: details.into_iter().chain(rest).collect() })
}

fn in_trouble(consumer: &Consumer, look: &Look<'_>) -> Detail {
    let verdict = &consumer.verdict;
    Detail {
        sign: Some(standing::of_consumer(consumer).sign),
        since: Some(Moment::length(verdict.since, look)),
        evidence: format::cut(&verdict.evidence.join(", ")),
        next_step: or_nothing(&verdict.next_step),
        ..Detail::new(name_of(consumer, look), format::sentence(&verdict.sentence), look.link(&page_of(consumer)))
    }
}

/// What a consumer is called, with its account where there are several.
fn name_of(consumer: &Consumer, look: &Look<'_>) -> String {
    format!("{} on {}{}", consumer.name, consumer.stream, look.in_account(&consumer.account))
}

/// A step as a sentence, where there is one.
fn or_nothing(step: &str) -> String {
    if step.is_empty() { String::new() } else { format::sentence(&format::cut(step)) }
}

/// What else the checks found that somebody should look at.
fn checks(look: &Look<'_>) -> Option<Finding> {
    let findings = look.snapshot.findings.iter().filter(|finding| finding.severity >= Severity::Warning);
    let level = findings.clone().map(|finding| findings::level(finding.severity)).max()?;
    let sentence = format::need_you(findings.clone().count(), "finding");
    let details = findings::by_check(findings.map(AsRef::as_ref)).into_iter().map(|group| of_check(&group, look));
    let href = look.link(&Page::Findings(Search::default()));
    Some(Finding { level, sentence, since: None, details: cut(details.collect(), &href) })
}

/// What one check found, in one row however much it is, so that it does not hide what others found.
fn of_check(group: &[&crate::snapshot::Finding], look: &Look<'_>) -> Detail {
    let first = group[0];
    let of_all = Search { q: first.check.to_owned(), severity: Some(first.severity), ..Search::default() };
    let search = if group.len() == 1 { Search::default() } else { of_all };
    let (name, why, evidence) = match group {
        [_] => (findings::about(first, look), format::cut(&first.sentence), format::cut(&first.evidence)),
        many => {
            let sentence = format::cut(&first.sentence);
            let are_alike = many.iter().all(|finding| finding.sentence == first.sentence);
            let such_as =
                if are_alike { sentence } else { format!("Such as {}: {sentence}", findings::about(first, look)) };
            (format!("{}: {}", first.check, findings::counted(many)), such_as, named(many, look))
        }
    };
    Detail {
        evidence,
        next_step: or_nothing(&first.next_step),
        ..Detail::new(name, format::sentence(&why), look.link(&Page::Findings(search)))
    }
}

/// The first of what a check found, by name.
fn named(group: &[&crate::snapshot::Finding], look: &Look<'_>) -> String {
    const NAMED_MOST: usize = 3;
    let names: Vec<String> = group.iter().take(NAMED_MOST).map(|finding| findings::about(finding, look)).collect();
    match group.len().saturating_sub(NAMED_MOST) {
        0 => names.join(", "),
        more => format!("{} and {} more", names.join(", "), format::count(more as u64)),
    }
}

/// Parts of the snapshot that were asked for and not answered, beside the streams.
fn unread_rest(look: &Look<'_>) -> Option<Finding> {
    let snapshot = look.snapshot;
    snapshot.streams.fresh()?;
    let servers = failed(&snapshot.servers).map(|why| ("servers".to_owned(), why));
    let of_accounts = snapshot.watched().flat_map(|watched| of_account(watched, look));
    let of_consumers = snapshot.known_streams().iter().filter_map(|stream| {
        let reason = failed(&stream.consumers)?;
        Some((format!("consumers of {}{}", stream.name, look.in_account(&stream.account)), reason))
    });
    let rest = servers.into_iter().chain(of_accounts);
    let details: Vec<Detail> = rest.chain(of_consumers).map(|(name, why)| Detail::new(name, why, "")).collect();
    let sentence = match details.as_slice() {
        [] => return None,
        [one] => format!("The {} could not be read", one.name),
        many => format!("{} readings are missing or old", many.len()),
    };
    Some(Finding { level: Level::Warning, sentence, since: None, details: cut(details, "") })
}

/// What was not answered in an account. Where nothing was, a check tells of it.
fn of_account<'a>(watched: &'a Watched, look: &Look<'_>) -> Vec<(String, &'a str)> {
    let several = look.watches_several();
    if several && (!watched.contact.is_connected || watched.unlisted.is_some()) {
        return Vec::new();
    }
    let parts = [
        ("presence of services", failed(&watched.presence)),
        ("records", failed(&watched.records)),
        ("switches of faults", failed(&watched.faults)),
    ];
    let account = if several { format!(" in {watched}") } else { String::new() };
    parts.into_iter().filter_map(|(name, why)| Some((format!("{name}{account}"), why?))).collect()
}

fn failed<T>(reading: &Reading<T>) -> Option<&str> {
    match reading {
        Reading::Stale { reason, .. } | Reading::Unknown { why: Why::Failed, reason } => Some(reason),
        _ => None,
    }
}

/// The first of them; the page at `href` has the rest.
fn cut(mut details: Vec<Detail>, href: &str) -> Vec<Detail> {
    let more = details.len().saturating_sub(DETAILS_MOST);
    if more > 0 {
        details.truncate(DETAILS_MOST);
        details.push(Detail::new(format!("and {} more", format::count(more as u64)), "", href));
    }
    details
}

/// The sentence when nobody has to do anything.
fn all_is_well(snapshot: &Snapshot) -> Finding {
    let all = snapshot.known_consumers().count();
    let keep_up = snapshot.known_consumers().filter(|consumer| standing::is_well(consumer)).count();
    let unknown = snapshot.known_consumers().filter(|consumer| standing::level_of(consumer) == Level::Unknown).count();
    let (level, sentence) = match (snapshot.known_streams().len(), all) {
        (0, _) => (Level::Idle, "NATS answers and holds no stream yet".to_owned()),
        (streams, 0) => (Level::Idle, format!("{} and no consumer yet", format::counted(streams, "stream"))),
        (_, 1) if keep_up == 1 => (Level::Ok, "The one consumer keeps up".to_owned()),
        (_, all) if keep_up == all => (Level::Ok, format!("All {} keep up", format::counted(all, "consumer"))),
        (_, all) if unknown > 0 => {
            let stand = format::agree(unknown as u64, "stands", "stand");
            let of = if unknown == all { String::new() } else { format!("{} of ", format::count(unknown as u64)) };
            (Level::Unknown, format!("How {of}{} {stand} is not known", format::counted(all, "consumer")))
        }
        (_, all) => {
            let (count, all) = (format::count(keep_up as u64), format::counted(all, "consumer"));
            let keep = format::agree(keep_up as u64, "keeps", "keep");
            (Level::Ok, format!("{count} of {all} {keep} up, nothing is wrong with the others"))
        }
    };
    Finding { level, sentence, since: None, details: Vec::new() }
}
