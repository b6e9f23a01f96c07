//! The history on disk: one file for each hour or day, to which each complete step is appended as a block.
//!
//! A block is its length (four bytes, little-endian) and an LZ4 frame of JSON with a checksum. A process that is killed leaves at most one
//! torn block at the end of a file; reading stops there. A file is never changed but at its end, and removed when all in it is too old.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use lz4_flex::frame::{FrameDecoder, FrameEncoder, FrameInfo};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use time::OffsetDateTime;

use super::{
    Whose, earlier,
    ring::{start_of, step_of},
};
use crate::{
    clock::Timestamp,
    snapshot::{Point, Span},
};

/// What the history keeps on disk cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk does not do what it should.
    #[error("the history in {}: give another folder with --data, or make room there", .path.display())]
    Disk {
        /// What could not be read or written.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Somebody else writes there.
    #[error(
        "another observer keeps its history in {}: stop it, or give each a folder of its own with --data",
        .folder.display()
    )]
    Taken {
        /// The folder.
        folder: PathBuf,
    },
}

/// A block larger than this is no block of ours: a million series make less.
const BLOCK_MOST: u64 = 256 << 20;

/// Where the history is kept.
#[derive(Debug)]
pub(super) struct Store {
    folder: PathBuf,
    /// The last step that was written, minutes and tens of minutes.
    written: [i64; 2],
}

/// One step of everything.
#[derive(Debug, PartialEq)]
pub(super) struct Block {
    pub(super) span: Span,
    pub(super) at: Timestamp,
    /// When what it tells of begins: later than the step where the history began within it.
    pub(super) begins: Timestamp,
    pub(super) points: Vec<(Whose, Point)>,
}

/// A block as it is written; a point is five numbers, `null` for what is unknown.
#[derive(Serialize, Deserialize)]
struct Wire<W> {
    step: i64,
    /// When the history began, in seconds since 1970, where it began within this step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    begins: Option<i64>,
    points: Vec<(W, [Option<f32>; 5])>,
}

impl Store {
    /// Opens the folder, and hands what of it is not too old to `take`, the oldest first: a block at a time, since a day of many is large.
    pub(super) fn open(folder: &Path, now: Timestamp, mut take: impl FnMut(Block)) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Disk { path: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(failed)?;
        let mut take = |block: Block| {
            if block.at <= now && block.at.age(now).0 <= block.span.reach() {
                take(block);
            }
        };
        let mut written = [0; 2];
        for (place, span) in [Span::Hours, Span::Day].into_iter().enumerate() {
            for path in files(folder, span).map_err(failed)? {
                read(&path, span, &mut take).map_err(|source| StoreError::Disk { path, source })?;
            }
            // What was complete before we began is not ours to write.
            written[place] = step_of(span, now) - 1;
        }
        Ok(Self { folder: folder.to_owned(), written })
    }

    /// The start of the last complete step of `span`, if it is still to be written.
    pub(super) fn due(&self, span: Span, now: Timestamp) -> Option<Timestamp> {
        let complete = step_of(span, now) - 1;
        (complete > self.written[slot(span)]).then(|| start_of(span, complete))
    }

    /// Appends a step, and removes what is too old. `since` is when the history began, which may be within the step.
    pub(super) fn write<'a>(
        &mut self,
        span: Span,
        (at, since): (Timestamp, Option<Timestamp>),
        points: impl Iterator<Item = (&'a Whose, Point)>,
    ) -> Result<(), StoreError> {
        let path = self.folder.join(file_name(span, at));
        let points = points.map(|(whose, point)| (whose, numbers(point))).collect();
        let step = step_of(span, at);
        let begins = since.filter(|since| step_of(span, *since) == step).map(|since| since.0.unix_timestamp());
        let block = Wire { step, begins, points };
        append(&path, &block).map_err(|source| StoreError::Disk { path, source })?;
        self.written[slot(span)] = step;
        self.forget(span, at).map_err(|source| StoreError::Disk { path: self.folder.clone(), source })
    }

    fn forget(&self, span: Span, now: Timestamp) -> io::Result<()> {
        for path in files(&self.folder, span)? {
            let is_old = first_of(&path, span).is_some_and(|first| first.age(now).0 > span.reach() + file_length(span));
            if is_old {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

fn slot(span: Span) -> usize {
    usize::from(span == Span::Day)
}

/// What goes into one file: minutes by the hour, tens of minutes by the day.
fn file_length(span: Span) -> Duration {
    if span == Span::Day { Duration::from_secs(86_400) } else { Duration::from_secs(3_600) }
}

/// Such as `history-2h-475214.lz4`: the hours or days since 1970.
fn file_name(span: Span, at: Timestamp) -> String {
    let number = at.0.unix_timestamp().div_euclid(file_length(span).as_secs().cast_signed());
    format!("{}{number}.lz4", prefix(span))
}

fn prefix(span: Span) -> String {
    format!("history-{}-", span.token())
}

fn first_of(path: &Path, span: Span) -> Option<Timestamp> {
    let name = path.file_name()?.to_str()?;
    let number: i64 = name.strip_prefix(&prefix(span))?.strip_suffix(".lz4")?.parse().ok()?;
    let seconds = number.checked_mul(file_length(span).as_secs().cast_signed())?;
    OffsetDateTime::from_unix_timestamp(seconds).ok().map(Timestamp)
}

/// The files of `span`, the oldest first.
fn files(folder: &Path, span: Span) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        found.extend(first_of(&path, span).map(|first| (first, path)));
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// The files of all that is kept, of whatever age.
pub(super) fn all_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut all = files(folder, Span::Hours)?;
    all.extend(files(folder, Span::Day)?);
    all.extend(Some(folder.join(earlier::FILE)).filter(|path| path.exists()));
    Ok(all)
}

/// As an LZ4 frame of JSON with a checksum.
pub(super) fn pack(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut packed = FrameEncoder::with_frame_info(FrameInfo::new().content_checksum(true), Vec::new());
    serde_json::to_writer(&mut packed, value)?;
    packed.finish().map_err(io::Error::other)
}

/// What was packed so; `None` where it makes no sense.
pub(super) fn unpack<T: DeserializeOwned>(packed: &[u8]) -> Option<T> {
    let mut text = Vec::new();
    FrameDecoder::new(packed).take(BLOCK_MOST).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Puts `bytes` in the place of what stands in a file: whoever is killed meanwhile leaves one or the other.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    fs::write(&new, bytes)?;
    fs::rename(&new, path)
}

fn append(path: &Path, block: &impl Serialize) -> io::Result<()> {
    let packed = pack(block)?;
    let length = u32::try_from(packed.len()).map_err(io::Error::other)?;
    let mut whole = length.to_le_bytes().to_vec();
    whole.extend(packed);
    OpenOptions::new().create(true).append(true).open(path)?.write_all(&whole)
}

/// Reads the blocks of a file up to the first that is not whole. Where one was torn by the end of a process, the file ends before it from
/// now on, so that what is appended can be read.
fn read(path: &Path, span: Span, take: &mut impl FnMut(Block)) -> io::Result<()> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    let mut rest = bytes.as_slice();
    while let Some((block, after)) = next(rest, span) {
        take(block);
        rest = after;
    }
    if !rest.is_empty() {
        let whole = bytes.len() - rest.len();
        tracing::warn!(path = %path.display(), lost_bytes = rest.len(), "the history ends in a torn block, which is removed");
        OpenOptions::new().write(true).open(path)?.set_len(whole as u64)?;
    }
    Ok(())
}

fn next(bytes: &[u8], span: Span) -> Option<(Block, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (packed, after) = rest.split_at_checked(length)?;
    let Wire { step, begins, points } = unpack::<Wire<Whose>>(packed)?;
    let points = points.into_iter().map(|(whose, numbers)| (whose, point(numbers))).collect();
    let at = start_of(span, step);
    let begins = begins.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok()).map_or(at, Timestamp);
    Some((Block { span, at, begins: begins.max(at), points }, after))
}

fn numbers(point: Point) -> [Option<f32>; 5] {
    let Point { waiting, held, age_seconds, came_per_second, went_per_second } = point;
    [waiting, held, age_seconds, came_per_second, went_per_second]
        .map(|number| Some(number).filter(|number| !number.is_nan()))
}

fn point(numbers: [Option<f32>; 5]) -> Point {
    let [waiting, held, age_seconds, came_per_second, went_per_second] =
        numbers.map(|number| number.unwrap_or(f32::NAN));
    Point { waiting, held, age_seconds, came_per_second, went_per_second }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Timestamp {
        Timestamp::parse("2030-01-31T12:00:00Z").unwrap().after(Duration::from_secs(second))
    }

    fn whose() -> Whose {
        Whose { account: "A".into(), stream: "ORDERS".to_owned(), consumer: Some("reserve".to_owned()) }
    }

    fn written(folder: &Path) -> Store {
        let mut store = Store::open(folder, at(0), |block| panic!("{block:?}")).unwrap();
        assert_eq!(store.due(Span::Hours, at(59)), None);
        for minute in 1..=3 {
            let due = store.due(Span::Hours, at(60 * minute)).unwrap();
            assert_eq!(due, at(60 * (minute - 1)));
            let point = Point { waiting: minute as f32, ..Point::UNKNOWN };
            store.write(Span::Hours, (due, None), [(&whose(), point)].into_iter()).unwrap();
            assert_eq!(store.due(Span::Hours, at(60 * minute)), None, "a step is written once");
        }
        store
    }

    fn found(folder: &Path, now: u64) -> Vec<f32> {
        let mut found = Vec::new();
        let take = |block: Block| found.extend(block.points.iter().map(|(_, point)| point.waiting));
        Store::open(folder, at(now), take).unwrap();
        found
    }

    #[test]
    fn what_was_written_is_read_again_and_what_is_too_old_is_not() {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path());
        assert_eq!(found(folder.path(), 200), [1.0, 2.0, 3.0]);
        assert_eq!(found(folder.path(), 7_200 + 70), [3.0]);
        assert!(found(folder.path(), 86_400).is_empty());
    }

    #[test]
    fn a_torn_block_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = written(folder.path());
        let path = files(folder.path(), Span::Hours).unwrap().remove(0);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        assert_eq!(found(folder.path(), 200), [1.0, 2.0]);
        let point = Point { waiting: 9.0, ..Point::UNKNOWN };
        store.write(Span::Hours, (at(240), None), [(&whose(), point)].into_iter()).unwrap();
        assert_eq!(found(folder.path(), 300), [1.0, 2.0, 9.0], "what follows a torn block is read");
    }

    #[test]
    fn noise_is_no_history() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(file_name(Span::Hours, at(0))), b"\xff\xff\xff\x7fnoise").unwrap();
        fs::write(folder.path().join("notes.txt"), b"mine").unwrap();
        assert!(found(folder.path(), 10).is_empty());
        assert_eq!(fs::read(folder.path().join("notes.txt")).unwrap(), b"mine");
    }

    #[test]
    fn old_files_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = written(folder.path());
        let point = Point { waiting: 9.0, ..Point::UNKNOWN };
        store.write(Span::Hours, (at(4 * 3_600), None), [(&whose(), point)].into_iter()).unwrap();
        assert_eq!(files(folder.path(), Span::Hours).unwrap().len(), 1);
    }
}
