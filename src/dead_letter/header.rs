//! Names of the headers of a copy.

/// The stream that holds the message.
pub const STREAM: &str = "dead-letter-stream";
/// The durable consumer whose worker gave the message up.
pub const CONSUMER: &str = "dead-letter-consumer";
/// The message's sequence in its stream.
pub const SEQUENCE: &str = "dead-letter-sequence";
/// The message's subject.
pub const SUBJECT: &str = "dead-letter-subject";
/// The message's id, if it had one.
pub const MESSAGE_ID: &str = "dead-letter-message-id";
/// Why, in words.
pub const REASON: &str = "dead-letter-reason";
/// What kind of failure, one of few.
pub const CLASS: &str = "dead-letter-class";
/// How often a handler was started on it.
pub const ATTEMPTS: &str = "dead-letter-attempts";
/// How often the server delivered it.
pub const DELIVERIES: &str = "dead-letter-deliveries";
/// When its stream took it.
pub const PUBLISHED: &str = "dead-letter-published";
/// When it was given up.
pub const TIME: &str = "dead-letter-time";
/// The message's own `traceparent`; that of the copy is the span that buried it.
pub const TRACEPARENT: &str = "dead-letter-traceparent";
/// Bytes of a payload that had no room in the copy. It lies where the copy's claim check says; without one in the message's own stream.
pub const LEFT_OUT: &str = "dead-letter-left-out";
/// Put before the name of a header that would tell the server to do something with the copy.
pub const SET_ASIDE: &str = "dead-letter-header-";
/// What all of them begin with.
pub const PREFIX: &str = "dead-letter-";
/// On a replayed message: the dead letter that was replayed first, such as `ORDERS.mailer.42`.
pub const REPLAY_LETTER: &str = "replay-letter";
/// On a replayed message: the how many-th replay of that dead letter it is, from 1 on.
pub const REPLAY_GENERATION: &str = "replay-generation";
