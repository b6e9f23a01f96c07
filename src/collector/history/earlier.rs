//! Since when consumers are what they are, and since when each finding is found, kept from one run of the observer to the next.
//!
//! A run that begins takes some rounds to find again what the run before had found, and minutes for what shows over minutes. As long as
//! that may take, what it finds goes on from there; afterwards it goes by what it saw itself.

use std::{collections::HashMap, fs, io, path::PathBuf, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{SERIES_MOST, StoreError, Whose, store};
use crate::{
    checks::consumer::is_same,
    clock::Timestamp,
    snapshot::{Consumer, Finding, Label, Snapshot, Verdict},
};

/// What was noted longer ago tells nothing of what goes on: a service that stood still may have been mended and stand still anew.
const GAP: Duration = Duration::from_secs(3_600);

/// How long a run may take to find again what was found before: the rules look back over two minutes at the most.
const FOUND_AGAIN: Duration = Duration::from_secs(150);

/// The same in rounds, where these are long: the rules look at four.
const ROUNDS: u32 = 6;

/// Findings that are kept at the most; there may be one for each of thousands of consumers.
const FINDINGS_MOST: usize = 20_000;

/// The file, beside those of the history.
pub(super) const FILE: &str = "since.lz4";

/// What the run before had found.
#[derive(Debug, Default)]
pub(in crate::collector) struct Earlier {
    verdicts: HashMap<Whose, (Label, Timestamp)>,
    findings: HashMap<Found, Timestamp>,
}

/// What tells findings apart: the check, the account and what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
struct Found(String, Option<String>, String);

/// What is kept between runs, and what was kept by the run before.
#[derive(Debug)]
pub(super) struct Keeper {
    folder: PathBuf,
    earlier: Option<Arc<Earlier>>,
    /// When the run before wrote that down.
    noted: Option<Timestamp>,
    /// Until when it counts; `None` before the first round that asks.
    until: Option<Timestamp>,
}

/// As it is read, with times in seconds since 1970.
#[derive(Deserialize)]
struct Wire {
    at: i64,
    verdicts: Vec<(Whose, Label, i64)>,
    findings: Vec<(Found, i64)>,
}

/// The same as it is written: the names of ten thousand consumers are not copied for that.
#[derive(Serialize)]
struct Noted<'a> {
    at: i64,
    verdicts: Vec<(WhoseName<'a>, Label, i64)>,
    findings: Vec<(FoundName<'a>, i64)>,
}

/// [`Found`] of a finding.
type FoundName<'a> = (&'a str, Option<&'a str>, &'a str);

/// [`Whose`] of a consumer.
#[derive(Serialize)]
struct WhoseName<'a> {
    #[serde(rename = "a")]
    account: &'a str,
    #[serde(rename = "s")]
    stream: &'a str,
    #[serde(rename = "c")]
    consumer: &'a str,
}

impl Earlier {
    /// The verdict as one that goes on where it is the same as before.
    pub(in crate::collector) fn go_on(&self, consumer: &Consumer, verdict: Verdict) -> Verdict {
        if self.verdicts.is_empty() {
            return verdict;
        }
        match self.verdicts.get(&Whose::of(consumer)) {
            Some((label, since)) if is_same(*label, verdict.label) => {
                Verdict { since: verdict.since.min(*since), ..verdict }
            }
            _ => verdict,
        }
    }

    /// Since when this was found before, if it was.
    pub(in crate::collector) fn found(&self, finding: &Finding) -> Option<Timestamp> {
        if self.findings.is_empty() { None } else { self.findings.get(&found(finding)).copied() }
    }
}

impl Keeper {
    /// Reads what the run before left in `folder`. What makes no sense counts as nothing.
    pub(super) fn of(folder: PathBuf) -> Result<Self, StoreError> {
        let path = folder.join(FILE);
        let wire: Option<Wire> = match fs::read(&path) {
            Ok(bytes) => store::unpack(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(StoreError::Disk { path, source }),
        };
        let noted = wire.as_ref().and_then(|wire| moment(wire.at));
        Ok(Self { folder, earlier: wire.map(|wire| Arc::new(wire.into())), noted, until: None })
    }

    /// Lets go of what is of another NATS.
    pub(super) fn forget(&mut self) {
        self.earlier = None;
    }

    /// What was found before, as long as it counts.
    pub(super) fn earlier(&mut self, snapshot: &Snapshot) -> Arc<Earlier> {
        let now = snapshot.taken;
        let is_recent = self.noted.is_some_and(|noted| noted.age(now).0 <= GAP);
        let is_first = self.until.is_none();
        let until = *self.until.get_or_insert_with(|| now.after(found_again(snapshot.interval)));
        if now > until || (is_first && !is_recent) {
            self.earlier = None;
        }
        self.earlier.clone().unwrap_or_default()
    }

    /// Writes down what was found. While what was found before still counts, it is what a next run should go on from.
    pub(super) fn write(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        if self.earlier.is_some() {
            return Ok(());
        }
        let path = self.folder.join(FILE);
        let write = || store::replace(&path, &store::pack(&Noted::of(snapshot))?);
        write().map_err(|source| StoreError::Disk { path: path.clone(), source })
    }
}

/// How long it may take to find again what was found before.
fn found_again(interval: Duration) -> Duration {
    FOUND_AGAIN.max(interval.saturating_mul(ROUNDS)).min(GAP)
}

impl<'a> Noted<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        let seconds = |at: Timestamp| at.0.unix_timestamp();
        let verdict = |consumer: &'a Consumer| {
            let (account, stream) = (&*consumer.account, consumer.stream.as_str());
            let whose = WhoseName { account, stream, consumer: consumer.name.as_str() };
            (whose, consumer.verdict.label, seconds(consumer.verdict.since))
        };
        let dated = snapshot.findings.iter().filter_map(|finding| {
            let found = (finding.check, finding.account.as_deref(), finding.about.as_str());
            Some((found, seconds(finding.since?)))
        });
        Self {
            at: seconds(snapshot.taken),
            verdicts: snapshot.known_consumers().take(SERIES_MOST).map(verdict).collect(),
            findings: dated.take(FINDINGS_MOST).collect(),
        }
    }
}

impl From<Wire> for Earlier {
    fn from(wire: Wire) -> Self {
        let verdicts = wire.verdicts.into_iter().take(SERIES_MOST);
        let verdicts = verdicts.filter_map(|(whose, label, since)| Some((whose, (label, moment(since)?))));
        let findings = wire.findings.into_iter().take(FINDINGS_MOST);
        let findings = findings.filter_map(|(found, since)| Some((found, moment(since)?)));
        Self { verdicts: verdicts.collect(), findings: findings.collect() }
    }
}

fn moment(seconds: i64) -> Option<Timestamp> {
    OffsetDateTime::from_unix_timestamp(seconds).ok().map(Timestamp)
}

fn found(finding: &Finding) -> Found {
    Found(finding.check.to_owned(), finding.account.clone(), finding.about.clone())
}

#[cfg(test)]
mod tests {
    use std::{ops::Range, path::Path};

    use super::*;
    use crate::{
        collector::{
            History,
            findings::Findings,
            judge::Judge,
            world::{at, listed, round},
        },
        config::Thresholds,
    };

    /// Since when it is said that nobody asks for messages, and that the stream has no limits, after a run over these seconds at a NATS
    /// whose stream was made at `made`. It ends as a process does that is killed.
    fn run(folder: &Path, seconds: Range<u64>, made: u64) -> [Option<Timestamp>; 2] {
        let history = History::in_folder(folder, at(seconds.start)).unwrap();
        let (mut judge, mut findings) = (Judge::default(), Findings::new(Thresholds::default()));
        let mut said = [None; 2];
        for second in seconds.step_by(10) {
            let mut snapshot = round(second, listed(second, made));
            let earlier = history.earlier(&snapshot);
            judge.judge(&mut snapshot, &earlier);
            findings.look(&mut snapshot, &earlier);
            history.note(&snapshot).unwrap();
            let verdict = &snapshot.known_consumers().next().unwrap().verdict;
            let no_limits = snapshot.findings.iter().find(|finding| finding.check == "no_limits");
            said = [
                Some(verdict.since).filter(|_| verdict.label == Label::NoWorkers),
                no_limits.and_then(|finding| finding.since),
            ];
        }
        said
    }

    #[test]
    fn a_run_goes_on_from_what_the_run_before_had_found() {
        let folder = tempfile::tempdir().unwrap();
        let began = [Some(at(20)), Some(at(0))];
        assert_eq!(run(folder.path(), 0..90, 0), began);
        assert_eq!(run(folder.path(), 200..210, 0), [None, Some(at(0))], "one round tells of no standstill");
        assert_eq!(run(folder.path(), 300..330, 0), began);
        assert_eq!(run(folder.path(), 400..700, 0), began, "and writes it down again");
        assert_eq!(run(folder.path(), 4_200..4_230, 0), began);
    }

    #[test]
    fn what_was_long_ago_or_of_another_nats_is_not_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), 0..90, 0);
        assert_eq!(run(folder.path(), 4_000..4_030, 0), [Some(at(4_020)), Some(at(4_000))]);
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), 0..90, 0);
        assert_eq!(run(folder.path(), 200..230, 7), [Some(at(220)), Some(at(200))]);
        let aside = folder.path().join(format!("another-nats-until-{}", at(200).0.unix_timestamp()));
        assert!(aside.join(FILE).is_file() && !folder.path().join(FILE).exists());
    }

    #[test]
    fn what_a_run_finds_only_once_it_could_have_long_before_is_new() {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), 0..90, 0);
        let mut keeper = Keeper::of(folder.path().to_owned()).unwrap();
        let mut since = |second| {
            let snapshot = round(second, listed(second, 0));
            let consumer = snapshot.known_consumers().next().unwrap();
            let verdict = Verdict { label: Label::Stopped, ..consumer.verdict.clone() };
            keeper.earlier(&snapshot).go_on(consumer, verdict).since
        };
        let [first, last, after] = [200, 350, 360].map(&mut since);
        assert_eq!([first, last, after], [at(20), at(20), at(360)], "stopped is what no workers was");
    }

    #[test]
    fn noise_is_nothing_found() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), b"noise").unwrap();
        assert_eq!(run(folder.path(), 0..30, 0), [Some(at(20)), Some(at(0))]);
    }
}
