//! One reading: step by step through the messages of a stream, until enough are found or enough was read.

use std::ops::Range;

use async_nats::Client;
use tokio::time::{Instant, timeout_at};

use super::{Facts, ReadError, stored::stored, wanted::Wanted, windows::Windows};
use crate::{
    broker::{
        AskError,
        get::{Batch, Messages},
    },
    clock::Timestamp,
    name::StreamName,
    peek::{End, Found, Held, One, Question, Stored},
};

/// Bytes of payloads that one reading brings here at the most; the batch that goes over still comes.
const BYTES_MOST: u64 = 16 << 20;

/// Bytes that one window should not have more of, so that several have room.
const WINDOW_BYTES: u64 = 4 << 20;

/// Messages that one reading looks into at the most, where only what is in them tells whether they are wanted.
const LOOKED_MOST: u64 = 20_000;

/// Messages of a window at the most: where more are in it than a page shows, the newest of them are wanted alone.
const WINDOW_MOST: u64 = 512;

/// The same where messages are looked into, of which many may not be wanted.
const WINDOW_LOOKED: u64 = 2_048;

/// The same where each message takes a request.
const WINDOW_SINGLE: u64 = 128;

/// Messages that are looked into before others have their turn.
const TURN: usize = 32;

/// All subjects.
const ANY: &str = ">";

/// How messages are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Direct get, many at once.
    Batches,
    /// Direct get, one by one: the server knows no batches.
    Direct,
    /// By the API, one by one: the stream allows no direct get.
    Api,
}

impl Way {
    /// Whether the server tells of a message in headers that it adds to those of the message.
    pub(super) fn adds_headers(self) -> bool {
        self != Self::Api
    }
}

/// A reading.
pub(super) struct Search<'a> {
    pub(super) client: Client,
    pub(super) stream: &'a StreamName,
    pattern: String,
    wanted: Wanted,
    rows: usize,
    pub(super) way: Way,
    held: Held,
    /// What a message of the stream has in bytes, on average.
    size: u64,
    pub(super) until: Instant,
    bytes: u64,
    looked: u64,
    was_heard: bool,
}

/// What one request brought.
struct Step {
    messages: Vec<Stored>,
    /// How many more there are; `None` where nobody says.
    behind: Option<u64>,
}

/// Why a reading does not go on.
enum Stop {
    End(End),
    Failed(ReadError),
}

/// What a window holds.
enum Window {
    /// Its messages, the oldest first, and how many there are from its beginning to the end of the stream, if that is known.
    Whole(Vec<Stored>, Option<u64>),
    /// More messages than can be read, so many if that is known.
    Crowded(Option<u64>),
}

impl<'a> Search<'a> {
    pub(super) fn new(client: Client, stream: &'a StreamName, facts: &Facts, until: Instant) -> Self {
        Self {
            client,
            stream,
            pattern: ANY.to_owned(),
            wanted: Wanted::default(),
            rows: 1,
            way: if facts.is_direct { Way::Batches } else { Way::Api },
            held: facts.held,
            size: facts.bytes / facts.held.messages.max(1),
            until,
            bytes: 0,
            looked: 0,
            was_heard: false,
        }
    }

    /// Looks for what is asked from now on.
    pub(super) fn ask_for(&mut self, question: &Question) {
        question.pattern.as_ref().map_or(ANY, |pattern| pattern.as_str()).clone_into(&mut self.pattern);
        self.wanted = Wanted::of(question);
        self.rows = question.rows;
    }

    /// The newest messages below a sequence.
    pub(super) async fn older(&mut self, below: u64) -> Result<Found, ReadError> {
        let top = below.min(self.held.last.saturating_add(1));
        let first = if self.held.messages == 0 { top } else { self.held.first.max(1) };
        let mut windows = Windows::new(top, first, self.width(), self.widest());
        let (mut rows, mut above) = (Vec::new(), None);
        let end = loop {
            let Some(window) = windows.next() else { break End::All };
            if self.wanted.looks_inside() && self.looked >= LOOKED_MOST {
                break End::Looked;
            }
            match self.window(window, above).await {
                Ok(Window::Whole(found, total)) => {
                    above = total;
                    let read = found.len() as u64;
                    let Some(wanted) = self.wanted_of(found).await else { break End::Time };
                    rows.extend(wanted);
                    windows.read(read, self.rows.saturating_sub(rows.len()) as u64);
                }
                Ok(Window::Crowded(held)) => windows.narrow(held, self.room()),
                Err(Stop::End(end)) => break end,
                Err(Stop::Failed(error)) => return Err(error),
            }
            if rows.len() >= self.rows {
                break End::Rows;
            }
        };
        rows.truncate(self.rows);
        let reached = rows.last().filter(|_| end == End::Rows).map_or(windows.below(), |row: &Stored| row.sequence);
        Ok(Found {
            rows,
            searched: top.saturating_sub(reached),
            held: self.held,
            end,
            unclear: self.wanted.unclear(),
            older: (reached > first).then_some(reached),
            newer: (below <= self.held.last).then_some(below),
        })
    }

    /// The oldest messages from a sequence on, told the newest first.
    pub(super) async fn newer(&mut self, from: u64) -> Result<Found, ReadError> {
        let first = self.held.first.max(1);
        let start = from.max(first);
        let (mut rows, mut at) = (Vec::new(), start);
        let (end, is_more) = 'reading: loop {
            if self.wanted.looks_inside() && self.looked >= LOOKED_MOST {
                break (End::Looked, true);
            }
            let most = if self.wanted.looks_inside() { WINDOW_MOST } else { (self.rows - rows.len()) as u64 };
            let step = match self.forward(at, most).await {
                Ok(step) => step,
                Err(Stop::End(end)) => break (end, true),
                Err(Stop::Failed(error)) => return Err(error),
            };
            let is_last = step.messages.is_empty() || step.behind == Some(0);
            let mut messages = step.messages.into_iter();
            for (number, message) in messages.by_ref().enumerate() {
                if self.is_late(number).await {
                    break 'reading (End::Time, true);
                }
                if self.wanted.is_past(&message) {
                    break 'reading (End::All, true);
                }
                at = message.sequence + 1;
                if self.wanted.is(&message) {
                    rows.push(message);
                }
                if rows.len() >= self.rows {
                    break;
                }
            }
            let is_last = is_last && messages.next().is_none();
            match (is_last, rows.len() >= self.rows) {
                (true, _) => break (End::All, false),
                (false, true) => break (End::Rows, true),
                (false, false) => {}
            }
        };
        let reached = if is_more { at } else { at.max(self.held.last.saturating_add(1)) };
        rows.reverse();
        Ok(Found {
            rows,
            searched: reached.saturating_sub(start),
            held: self.held,
            end,
            unclear: self.wanted.unclear(),
            older: (start > first && self.held.messages > 0).then_some(start),
            newer: is_more.then_some(at),
        })
    }

    /// The oldest messages that were stored at `time` or later, told the newest first.
    pub(super) async fn since(&mut self, time: Timestamp) -> Result<Found, ReadError> {
        let (mut low, mut high) = (self.held.first.max(1), self.held.last.saturating_add(1));
        while low < high {
            let middle = low + (high - low) / 2;
            match self.first_from(middle).await {
                Ok(Some(message)) if message.stored < time => low = message.sequence + 1,
                Ok(_) => high = middle,
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::End(end)) => return Ok(Found { held: self.held, end, ..Found::default() }),
            }
        }
        self.newer(low).await
    }

    /// The message at a sequence, and where its neighbours are.
    pub(super) async fn one(&mut self, sequence: u64) -> Result<One, ReadError> {
        let mut found = self.at(sequence).await?;
        if found.is_none() && self.way != Way::Api {
            // Any replica answers a direct get, one that lags too: that there is none is believed of the leader alone.
            let way = std::mem::replace(&mut self.way, Way::Api);
            found = self.at(sequence).await?;
            self.way = way;
        }
        let newer = match self.first_from(sequence.saturating_add(1)).await {
            Ok(message) => message.map(|message| message.sequence),
            Err(Stop::End(_)) => None,
            Err(Stop::Failed(error)) => return Err(error),
        };
        let before = self.older(sequence).await?;
        let older = before.rows.first().map(|row| row.sequence);
        Ok(One { message: found, held: self.held, older, newer })
    }

    /// Those of the messages at these sequences that the stream holds, as far as there is time and room for them.
    pub(super) async fn several(&mut self, sequences: &[u64]) -> Result<Vec<Stored>, ReadError> {
        let mut found = Vec::new();
        for sequence in sequences {
            match self.first_from(*sequence).await {
                Ok(message) => found.extend(message.filter(|message| message.sequence == *sequence)),
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::End(_)) => break,
            }
        }
        Ok(found)
    }

    async fn at(&mut self, sequence: u64) -> Result<Option<Stored>, ReadError> {
        match self.first_from(sequence).await {
            Ok(found) => Ok(found.filter(|message| message.sequence == sequence)),
            Err(Stop::Failed(error)) => Err(error),
            Err(Stop::End(_)) => Err(ReadError::Silence(self.stream.clone())),
        }
    }

    /// Those that are wanted, the newest first; `None` if time is up before all were looked into.
    async fn wanted_of(&mut self, messages: Vec<Stored>) -> Option<Vec<Stored>> {
        let mut wanted = Vec::new();
        for (number, message) in messages.into_iter().rev().enumerate() {
            if self.is_late(number).await {
                return None;
            }
            if self.wanted.is(&message) {
                wanted.push(message);
            }
        }
        Some(wanted)
    }

    /// Whether time is up, where messages are looked into; others have their turn meanwhile.
    async fn is_late(&self, number: usize) -> bool {
        if number % TURN != TURN - 1 || !self.wanted.looks_inside() {
            return false;
        }
        tokio::task::yield_now().await;
        Instant::now() >= self.until
    }

    /// How many messages of a window are read at the most.
    fn room(&self) -> u64 {
        let most = match (self.way, self.wanted.looks_inside()) {
            (Way::Batches, false) => WINDOW_MOST,
            (Way::Batches, true) => WINDOW_LOOKED,
            (Way::Direct | Way::Api, _) => WINDOW_SINGLE,
        };
        most.min(WINDOW_BYTES / self.size.max(1)).max(1)
    }

    /// How wide the first window is.
    fn width(&self) -> u64 {
        let wanted = if self.wanted.looks_inside() { WINDOW_LOOKED } else { self.rows as u64 * 2 };
        wanted.min(self.room())
    }

    /// How wide a window may get: what is looked into is not skipped, and holes are none to fear.
    fn widest(&self) -> u64 {
        if self.wanted.looks_inside() && self.pattern == ANY { WINDOW_LOOKED.min(self.room()) } else { u64::MAX }
    }

    /// The messages of a window, if they are not too many. `above` says how many lie from its end on, if that is known.
    async fn window(&mut self, window: Range<u64>, above: Option<u64>) -> Result<Window, Stop> {
        let may_be_crowded = window.end - window.start > self.room();
        let (mut found, mut total) = (Vec::new(), None);
        let mut at = window.start;
        loop {
            let step = self.forward(at, self.room().min(window.end - at)).await?;
            let count = step.messages.len() as u64;
            total = total.or(step.behind.map(|behind| behind + count));
            let is_end = count == 0 || step.behind == Some(0);
            let is_over = step.messages.last().is_some_and(|last| last.sequence + 1 >= window.end);
            at = step.messages.last().map_or(window.end, |last| last.sequence + 1);
            found.extend(step.messages.into_iter().filter(|message| message.sequence < window.end));
            if is_end || is_over {
                return Ok(Window::Whole(found, total));
            }
            let here = total.zip(above).map(|(total, above)| total.saturating_sub(above));
            let is_crowded = here.unwrap_or(found.len() as u64) >= self.room();
            if may_be_crowded && is_crowded {
                return Ok(Window::Crowded(here));
            }
        }
    }

    /// The first message from a sequence on, whatever its subject.
    async fn first_from(&mut self, from: u64) -> Result<Option<Stored>, Stop> {
        let pattern = std::mem::replace(&mut self.pattern, ANY.to_owned());
        let step = self.forward(from, 1).await;
        self.pattern = pattern;
        Ok(step?.messages.into_iter().next())
    }

    /// Up to `most` messages from a sequence on.
    async fn forward(&mut self, from: u64, most: u64) -> Result<Step, Stop> {
        if self.bytes >= BYTES_MOST {
            return Err(Stop::End(End::Bytes));
        }
        let asked = timeout_at(self.until, self.ask(from, usize::try_from(most).unwrap_or(usize::MAX))).await;
        let step = match asked {
            Ok(Ok(step)) => step,
            Ok(Err(error)) => return Err(Stop::Failed(error.into())),
            Err(_) if self.was_heard => return Err(Stop::End(End::Time)),
            Err(_) => return Err(Stop::Failed(ReadError::Silence(self.stream.clone()))),
        };
        self.was_heard = true;
        self.looked += step.messages.len() as u64;
        self.bytes += step.messages.iter().map(|message| message.payload.len() as u64).sum::<u64>();
        Ok(step)
    }

    async fn ask(&mut self, from: u64, most: usize) -> Result<Step, AskError> {
        let messages = Messages { client: &self.client, stream: self.stream.as_str(), pattern: &self.pattern };
        if self.way == Way::Batches {
            match messages.batch(from, most).await? {
                Batch::Of(messages, behind) => {
                    let messages =
                        messages.into_iter().map(|message| stored(message, self.way.adds_headers())).collect();
                    return Ok(Step { messages, behind: Some(behind) });
                }
                Batch::NotKnown => self.way = Way::Direct,
            }
        }
        let message = match self.way {
            Way::Direct => messages.next_direct(from).await?,
            Way::Batches | Way::Api => messages.next_stored(from).await?,
        };
        let way = self.way;
        Ok(Step {
            messages: message.into_iter().map(|message| stored(message, way.adds_headers())).collect(),
            behind: None,
        })
    }
}
