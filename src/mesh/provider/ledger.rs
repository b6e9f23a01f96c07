//! The provider's book: one line of JSON for each decision, on disk before anyone hears of it.
//!
//! A crash can tear the last line only; it was never confirmed, so it is cut off at the next start.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::{Clock, Timestamp};

/// What is asked for.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) key: String,
    pub(super) order: String,
    pub(super) cents: u64,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) order: String,
    pub(super) cents: u64,
    #[serde(flatten)]
    pub(super) decision: Decision,
    pub(super) at: Timestamp,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub(super) enum Decision {
    Charged { id: String },
    Declined { reason: String },
}

/// An entry, and whether it was made just now.
#[derive(Debug, PartialEq)]
pub(super) struct Decided {
    pub(super) entry: Entry,
    pub(super) is_new: bool,
}

/// The book as a whole.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
pub(super) struct Summary {
    charged: u64,
    declined: u64,
    total_cents: u64,
    charged_more_than_once: Vec<String>,
}

/// The book, open for writing at its end.
#[derive(Debug)]
pub(super) struct Ledger {
    file: File,
    end: u64,
    entries: HashMap<String, Entry>,
    summary: Summary,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum LedgerError {
    #[error("line {line} is not an entry; mend or move the file")]
    Line {
        line: usize,
        #[source]
        source: serde_json::Error,
    },
    #[error("the file cannot be read or written")]
    File(#[from] io::Error),
    #[error("this key was used for {first} cents, not for {now}")]
    OtherAmount { first: u64, now: u64 },
}

impl Ledger {
    pub(super) fn open(path: &Path) -> Result<Self, LedgerError> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let mut ledger = Self { file, end: whole as u64, entries: HashMap::new(), summary: Summary::default() };
        for (at, line) in text[..whole].split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
            let entry = serde_json::from_slice(line).map_err(|source| LedgerError::Line { line: at + 1, source })?;
            ledger.note(entry);
        }
        ledger.cut()?;
        Ok(ledger)
    }

    /// Decides a request, or says what was decided under its key.
    pub(super) fn decide(&mut self, request: Request, decline: Option<&str>) -> Result<Decided, LedgerError> {
        if let Some(entry) = self.entries.get(&request.key) {
            if entry.cents != request.cents {
                return Err(LedgerError::OtherAmount { first: entry.cents, now: request.cents });
            }
            return Ok(Decided { entry: entry.clone(), is_new: false });
        }
        let decision = match decline {
            Some(reason) => Decision::Declined { reason: reason.to_owned() },
            None => Decision::Charged { id: format!("ch_{}", Uuid::now_v7().simple()) },
        };
        let Request { key, order, cents } = request;
        let entry = Entry { key, order, cents, decision, at: Clock::system().now() };
        self.write(&entry)?;
        self.note(entry.clone());
        Ok(Decided { entry, is_new: true })
    }

    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    pub(super) fn summary(&self) -> Summary {
        self.summary.clone()
    }

    /// What was written in part is cut off again, so that the next line does not continue it.
    fn write(&mut self, entry: &Entry) -> Result<(), LedgerError> {
        let mut line = serde_json::to_vec(entry).map_err(io::Error::from)?;
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            self.cut()?;
            return Err(error.into());
        }
        self.end += line.len() as u64;
        Ok(())
    }

    fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(self.end)?;
        self.file.seek(SeekFrom::Start(self.end)).map(drop)
    }

    fn note(&mut self, entry: Entry) {
        match &entry.decision {
            Decision::Declined { .. } => self.summary.declined += 1,
            Decision::Charged { .. } => {
                self.summary.charged += 1;
                self.summary.total_cents += entry.cents;
                if self.entries.get(&entry.key).is_some_and(|first| matches!(first.decision, Decision::Charged { .. }))
                {
                    self.summary.charged_more_than_once.push(entry.key.clone());
                }
            }
        }
        self.entries.insert(entry.key.clone(), entry);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn request(key: &str) -> Request {
        Request { key: key.into(), order: "7".into(), cents: 100 }
    }

    #[test]
    fn the_book_outlives_its_writer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let mut ledger = Ledger::open(&path).unwrap();
        let first = ledger.decide(request("a"), None).unwrap();
        ledger.decide(request("b"), Some("no")).unwrap();
        let summary = ledger.summary();
        drop(ledger);
        let mut ledger = Ledger::open(&path).unwrap();
        assert_eq!(ledger.summary(), summary);
        assert_eq!(ledger.decide(request("a"), Some("no")).unwrap(), Decided { is_new: false, ..first });
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
    }

    #[test]
    fn a_torn_last_line_is_cut_off_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        Ledger::open(&path).unwrap().decide(request("a"), None).unwrap();
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{whole}{}", &whole[..20])).unwrap();
        let mut ledger = Ledger::open(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), whole);
        assert!(ledger.decide(request("b"), None).unwrap().is_new);
        assert_eq!(Ledger::open(&path).unwrap().summary().charged, 2);
    }

    #[test]
    fn a_bad_line_is_named_and_nothing_is_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        Ledger::open(&path).unwrap().decide(request("a"), None).unwrap();
        let text = format!("{}nonsense\n{{\"torn", fs::read_to_string(&path).unwrap());
        fs::write(&path, &text).unwrap();
        assert!(Ledger::open(&path).unwrap_err().to_string().starts_with("line 2 is not an entry"));
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn a_key_that_was_charged_twice_would_be_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        Ledger::open(&path).unwrap().decide(request("a"), None).unwrap();
        fs::write(&path, fs::read_to_string(&path).unwrap().repeat(2)).unwrap();
        assert_eq!(Ledger::open(&path).unwrap().summary().charged_more_than_once, ["a"]);
    }
}
