//! Spans as they are kept: written tightly once, read again only when somebody looks.
//!
//! A record is: id, a byte of flags, parent, start against the trace's, duration, who made it, name, then attributes, events and links.
//! Numbers are varints; a text is a number of the dictionary or stands there in full. Records are never given to anybody else, so their
//! form may change with any version.

pub(super) mod log;
pub(super) mod read;
mod write;

pub(super) use write::{Place, Writer};

const HAS_PARENT: u8 = 0b0010_0000;
/// It has a message of its status, a state, or parts that were left out.
const HAS_MORE: u8 = 0b0100_0000;
const HAS_EVENTS_OR_LINKS: u8 = 0b1000_0000;

/// What stands before a value.
mod tag {
    pub(super) const EMPTY: u8 = 0;
    pub(super) const TEXT: u8 = 1;
    pub(super) const FALSE: u8 = 2;
    pub(super) const TRUE: u8 = 3;
    pub(super) const NUMBER: u8 = 4;
    pub(super) const REAL: u8 = 5;
    pub(super) const BYTES: u8 = 6;
    pub(super) const LIST: u8 = 7;
    pub(super) const MAP: u8 = 8;
}
