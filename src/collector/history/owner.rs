//! Whose past a folder holds: that of one NATS, and one observer at a time writes there.
//!
//! A NATS is known again by its streams: when each was made, in which account. Servers may be replaced, renamed and added meanwhile, and
//! streams come and go; as long as one is the same, it is the same NATS.

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{StoreError, store};
use crate::{clock::Timestamp, snapshot::Stream};

/// Streams of an account that are remembered, the oldest, which are likely to stay.
const MARKS_MOST: usize = 64;

/// The file that is locked while an observer runs.
const LOCK: &str = "lock";

/// The file that tells the NATS.
const MARKS: &str = "nats.json";

/// The folder, held by this observer.
#[derive(Debug)]
pub(super) struct Owner {
    folder: PathBuf,
    marks: Marks,
    /// Whether the NATS that is looked at was found to be the one of the folder.
    pub(super) is_settled: bool,
    /// The lock goes with it. `None` where the file system has none.
    _lock: Option<File>,
}

/// When streams were made, by account and name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Marks(BTreeMap<String, BTreeMap<String, Timestamp>>);

/// Whether a NATS is the one that is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kin {
    /// It is, or nothing speaks against it.
    Same,
    /// It has the same accounts, and none of the streams.
    Another,
    /// It has no streams by which it could be told.
    Untold,
}

impl Owner {
    /// Takes the folder, which exists.
    pub(super) fn of(folder: &Path) -> Result<Self, StoreError> {
        let lock = lock(folder)?;
        let path = folder.join(MARKS);
        let marks = match fs::read(&path) {
            // A file that was cut short tells as little as none.
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Marks::default(),
            Err(source) => return Err(StoreError::Disk { path, source }),
        };
        Ok(Self { folder: folder.to_owned(), marks, is_settled: false, _lock: lock })
    }

    pub(super) fn judge(&self, streams: &[Stream]) -> Kin {
        self.marks.judge(&Marks::of(streams, usize::MAX))
    }

    /// Moves what lies in the folder into one beside it, whose path this gives.
    pub(super) fn put_aside(&mut self, now: Timestamp) -> Result<PathBuf, StoreError> {
        let aside = self.folder.join(format!("another-nats-until-{}", now.0.unix_timestamp()));
        let failed = |source| StoreError::Disk { path: aside.clone(), source };
        fs::create_dir_all(&aside).map_err(failed)?;
        let mut files = store::all_files(&self.folder).map_err(failed)?;
        files.push(self.folder.join(MARKS));
        for file in files {
            let Some(name) = file.file_name() else { continue };
            fs::rename(&file, aside.join(name)).map_err(failed)?;
        }
        self.marks = Marks::default();
        Ok(aside)
    }

    /// Writes down by what the NATS is known again, where that has changed.
    pub(super) fn remember(&mut self, streams: &[Stream]) -> Result<(), StoreError> {
        let mut marks = self.marks.clone();
        marks.0.extend(Marks::of(streams, MARKS_MOST).0);
        if marks == self.marks {
            return Ok(());
        }
        let path = self.folder.join(MARKS);
        let write = || store::replace(&path, &serde_json::to_vec(&marks)?);
        write().map_err(|source| StoreError::Disk { path: path.clone(), source })?;
        self.marks = marks;
        Ok(())
    }
}

/// Locks the folder for as long as the file is open.
fn lock(folder: &Path) -> Result<Option<File>, StoreError> {
    let path = folder.join(LOCK);
    let failed = |source| StoreError::Disk { path: path.clone(), source };
    let file = File::create(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(StoreError::Taken { folder: folder.to_owned() }),
        // Some network file systems know no locks, and keep a history all the same.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(None),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

impl Marks {
    /// Of each account the `most` oldest streams.
    fn of(streams: &[Stream], most: usize) -> Self {
        let mut by_age: Vec<&Stream> = streams.iter().collect();
        by_age.sort_by_key(|stream| stream.created);
        let mut marks = Self::default();
        for stream in by_age {
            let account = marks.0.entry(stream.account.to_string()).or_default();
            if account.len() < most {
                account.insert(stream.name.to_string(), stream.created);
            }
        }
        marks
    }

    fn judge(&self, now: &Self) -> Kin {
        if now.0.is_empty() {
            return Kin::Untold;
        }
        let mut shared = self.0.iter().filter_map(|(account, before)| Some((before, now.0.get(account)?)));
        let mut is_same =
            shared.clone().any(|(before, now)| before.iter().any(|(stream, created)| now.get(stream) == Some(created)));
        // Pasts of other accounts are kept apart by their names.
        is_same |= shared.next().is_none();
        if is_same { Kin::Same } else { Kin::Another }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::{
        collector::History,
        snapshot::{Contact, Listing, Reading, Snapshot, Span, StreamState},
    };

    /// Streams as `account/name/day on which it was made`.
    fn marks(streams: &[&str]) -> Marks {
        let mut marks = Marks::default();
        for stream in streams {
            let [account, name, day] = stream.split('/').collect::<Vec<_>>()[..] else { panic!("{stream}") };
            let created = Timestamp::parse(&format!("2030-01-{day}T12:00:00Z")).unwrap();
            marks.0.entry(account.to_owned()).or_default().insert(name.to_owned(), created);
        }
        marks
    }

    fn check(before: &[&str], now: &[&str], expected: Kin) {
        assert_eq!(marks(before).judge(&marks(now)), expected, "{before:?} {now:?}");
    }

    #[test]
    fn a_nats_is_known_again_by_when_its_streams_were_made() {
        check(&[], &["A/ORDERS/01"], Kin::Same);
        check(&["A/ORDERS/01", "A/MAIL/02"], &["A/ORDERS/01", "A/MAIL/09"], Kin::Same);
        check(&["A/ORDERS/01"], &["A/ORDERS/02"], Kin::Another);
        check(&["A/ORDERS/01"], &["A/OTHER/01"], Kin::Another);
        check(&["A/ORDERS/01"], &["B/ORDERS/02"], Kin::Same);
        check(&["A/ORDERS/01", "B/ORDERS/02"], &["A/ORDERS/03", "B/ORDERS/02"], Kin::Same);
        check(&["A/ORDERS/01"], &[], Kin::Untold);
    }

    #[test]
    fn a_folder_has_one_observer_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let owner = Owner::of(folder.path()).unwrap();
        let said = Owner::of(folder.path()).unwrap_err().to_string();
        assert!(said.starts_with("another observer keeps its history in ") && said.contains("--data"), "{said}");
        drop(owner);
        Owner::of(folder.path()).unwrap();
    }

    fn stream(day: &str) -> Stream {
        let created = Timestamp::parse(&format!("2030-01-{day}T12:00:00Z")).unwrap();
        Stream {
            account: "A".into(),
            name: "ORDERS".parse().unwrap(),
            config: Arc::default(),
            created,
            state: Reading::known(StreamState { messages: 7, ..StreamState::default() }, "n1", created),
            trend: None,
            consumers: Reading::not_yet(),
        }
    }

    /// A run of an observer: three minutes at a NATS whose stream was made on `day`. Since when there is a history then?
    fn run(folder: &Path, day: &str, began: &str) -> Timestamp {
        let mut now = Timestamp::parse(began).unwrap();
        let history = History::in_folder(folder, now).unwrap();
        for _ in 0..4 {
            let mut snapshot = Snapshot::before_the_first(Contact::standing_since(now), Duration::from_secs(2), now);
            let rows = vec![stream(day)];
            snapshot.streams = Reading::known(Listing { rows, missing: Vec::new() }, "n1", now);
            history.note(&snapshot).unwrap();
            now = now.after(Duration::from_secs(60));
        }
        history.since(Span::Day, now).unwrap()
    }

    #[test]
    fn the_past_of_another_nats_is_put_aside_and_not_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let began = run(folder.path(), "01", "2030-01-31T12:00:00Z");
        assert_eq!(run(folder.path(), "01", "2030-01-31T12:05:00Z"), began, "the same goes on");
        let other = run(folder.path(), "02", "2030-01-31T12:10:00Z");
        assert_eq!(other, Timestamp::parse("2030-01-31T12:10:00Z").unwrap());
        let aside = folder.path().join(format!("another-nats-until-{}", other.0.unix_timestamp()));
        assert!(!store::all_files(&aside).unwrap().is_empty() && aside.join(MARKS).is_file());
        assert_eq!(run(folder.path(), "02", "2030-01-31T12:15:00Z"), other);
    }
}
