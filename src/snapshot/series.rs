//! How something was over a time: points at equal steps, the latest last.

use std::time::Duration;

use crate::clock::Timestamp;

/// A consumer or a stream at one step. What was not read in a step is `NaN`, which no sum and no drawing mistakes for 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Of a consumer the most messages not delivered; of a stream the most messages.
    pub waiting: f32,
    /// Of a consumer the most messages in flight; of a stream the most bytes.
    pub held: f32,
    /// Of a consumer the greatest age of the oldest message that it has not processed, in seconds.
    pub age_seconds: f32,
    /// Of a consumer deliveries, of a stream messages stored, a second: the mean of the step.
    pub came_per_second: f32,
    /// Of a consumer deliveries by which the ack floor moved, a second: the mean of the step.
    pub went_per_second: f32,
}

impl Point {
    /// What is known of a step in which nothing was read.
    pub const UNKNOWN: Self = Self {
        waiting: f32::NAN,
        held: f32::NAN,
        age_seconds: f32::NAN,
        came_per_second: f32::NAN,
        went_per_second: f32::NAN,
    };
}

/// Points at equal steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The length of a step.
    pub step: Duration,
    /// The end of the last step.
    pub until: Timestamp,
    /// The points, the oldest first.
    pub points: Vec<Point>,
}

/// How far back a series goes, and how fine it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Span {
    /// Ten minutes in steps of ten seconds.
    #[default]
    Minutes,
    /// Two hours in steps of a minute.
    Hours,
    /// A day in steps of ten minutes.
    Day,
}

impl Span {
    /// All of them, the finest first.
    pub const ALL: [Self; 3] = [Self::Minutes, Self::Hours, Self::Day];

    /// The length of a step.
    pub fn step(self) -> Duration {
        match self {
            Self::Minutes => Duration::from_secs(10),
            Self::Hours => Duration::from_secs(60),
            Self::Day => Duration::from_secs(600),
        }
    }

    /// How far back all steps together go.
    pub fn reach(self) -> Duration {
        self.step() * u32::try_from(self.steps()).unwrap_or(u32::MAX)
    }

    /// Steps that are kept.
    pub fn steps(self) -> usize {
        match self {
            Self::Minutes => 60,
            Self::Hours => 120,
            Self::Day => 144,
        }
    }

    /// As it stands in an address.
    pub fn token(self) -> &'static str {
        match self {
            Self::Minutes => "10m",
            Self::Hours => "2h",
            Self::Day => "24h",
        }
    }

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Minutes => "10 minutes",
            Self::Hours => "2 hours",
            Self::Day => "24 hours",
        }
    }

    /// The span that stands so in an address.
    pub fn of_token(token: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|span| span.token() == token)
    }
}
