//! Why a message was not confirmed.

use std::{borrow::Cow, time::Duration};

use crate::{
    bus::{ClaimError, ReadError, codec::CodecError},
    name::Subject,
};

/// Why a message was not confirmed.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The payload does not write, or its key makes no subject.
    #[error("publishing {kind}")]
    Payload {
        /// The kind of payload.
        kind: &'static str,
        /// What is wrong.
        #[source]
        source: CodecError,
    },
    /// The server takes no message this large.
    #[error(
        "publishing on {subject}: {size} bytes are more than the server takes ({most}); send less, or raise max_payload"
    )]
    TooLarge {
        /// The subject.
        subject: Subject,
        /// Bytes of payload.
        size: usize,
        /// Bytes that the server takes.
        most: usize,
    },
    /// The payload is for the object store, which did not take it.
    #[error("publishing on {subject}: its payload cannot be checked in")]
    Claim {
        /// The subject.
        subject: Subject,
        /// Why not.
        #[source]
        source: ClaimError,
    },
    /// No stream answered: none listens on the subject, or its leader is away.
    #[error("publishing on {subject}: no stream took it; is stream {stream} declared and NATS reachable?")]
    Unavailable {
        /// The subject.
        subject: Subject,
        /// The stream that should have taken it.
        stream: Cow<'static, str>,
        /// What the last attempt met.
        #[source]
        source: async_nats::RequestError,
    },
    /// No stream answered, and meanwhile NATS refused to let our user publish: on the subject itself, or, where the message is sampled,
    /// on another, which may be the one on which the account's message tracing tells. NATS does not say which message it refused.
    #[error("publishing on {subject}: no stream took it, and NATS lets our user not publish on {on}{}", advice(.subject, .on))]
    NotAllowed {
        /// The subject.
        subject: Subject,
        /// Where our user may not publish.
        on: String,
        /// What the last attempt met.
        #[source]
        source: async_nats::RequestError,
    },
    /// As many messages as may wait for their confirmation do wait already.
    #[error(
        "publishing on {subject}: no room for {} s in a window of {window}; is the stream reachable, and is the window large enough?",
        .waited.as_secs()
    )]
    WindowFull {
        /// The subject.
        subject: Subject,
        /// How many may wait.
        window: usize,
        /// How long this one waited for its turn.
        waited: Duration,
    },
    /// The runtime in which it waited for company has ended.
    #[error("publishing in a batch: the runtime ended before it was sent")]
    Forgotten,
    /// The stream answered no.
    #[error("publishing on {subject}: the stream refuses it ({code}: {why})")]
    Refused {
        /// The subject.
        subject: Subject,
        /// The server's error code.
        code: u64,
        /// The server's words.
        why: String,
    },
    /// The stream has no room, and is set up to refuse what is new.
    #[error(
        "publishing on {subject}: stream {stream} is full ({why}) and refuses what is new; remove what nobody needs (`nats stream purge \
         {stream}`), or let it keep more, then publish again"
    )]
    Full {
        /// The subject.
        subject: Subject,
        /// The stream.
        stream: Cow<'static, str>,
        /// The server's words, such as `maximum bytes exceeded`.
        why: String,
    },
    /// The stream's answer makes no sense.
    #[error("publishing on {subject}: the answer is not that of a stream; does something else listen there?")]
    Answer {
        /// The subject.
        subject: Subject,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// Asked for once, and another message stands on the subject already.
    #[error("publishing on {subject}: message {holder} stands there already, and it may hold only one")]
    Conflict {
        /// The subject.
        subject: Subject,
        /// The id of the message that stands there.
        holder: String,
    },
    /// It could not be found out whether an earlier attempt had succeeded.
    #[error("publishing on {subject}")]
    Unclear {
        /// The subject.
        subject: Subject,
        /// Why not.
        #[source]
        source: ReadError,
    },
}

impl PublishError {
    /// A refusal, as a stream answers it.
    pub(in crate::bus) fn refused(subject: Subject, stream: Cow<'static, str>, code: u64, why: String) -> Self {
        if is_full(code, &why) { Self::Full { subject, stream, why } } else { Self::Refused { subject, code, why } }
    }

    /// Whether it may pass while somebody waits. A stream that is full stays so until somebody or something makes room.
    pub(in crate::bus) fn may_pass_soon(&self) -> bool {
        let is_certain = matches!(self, Self::NotAllowed { subject, on, .. } if on == subject.as_str());
        self.is_transient() && !is_certain && !matches!(self, Self::Full { .. })
    }

    /// Whether the same message may be taken later with nothing changed on our side.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable { .. }
            | Self::NotAllowed { .. }
            | Self::Full { .. }
            | Self::WindowFull { .. }
            | Self::Unclear { .. }
            | Self::Forgotten => true,
            Self::Claim { source, .. } => source.is_transient(),
            // 503 with a code of its own: no leader, no room on the disk.
            Self::Refused { code, .. } => matches!(code, 10008 | 10023 | 10047 | 10074 | 10077),
            Self::Payload { .. } | Self::TooLarge { .. } | Self::Answer { .. } | Self::Conflict { .. } => false,
        }
    }

    /// One of few words, for spans and metrics.
    pub(in crate::bus) fn kind(&self) -> &'static str {
        match self {
            Self::Payload { .. } => "payload",
            Self::TooLarge { .. } => "too_large",
            Self::Claim { .. } => "claim",
            Self::Unavailable { .. } | Self::Unclear { .. } | Self::Forgotten => "unavailable",
            Self::WindowFull { .. } => "window_full",
            Self::Full { .. } => "full",
            Self::NotAllowed { .. } | Self::Refused { .. } | Self::Answer { .. } => "refused",
            Self::Conflict { .. } => "conflict",
        }
    }
}

/// What to do where our user may not publish `on` a subject.
fn advice(subject: &Subject, on: &str) -> &'static str {
    if on == subject.as_str() {
        "; allow it"
    } else {
        "; if the account's message tracing (`msg_trace`) tells there, allow it: sampled messages of users that may not are refused"
    }
}

/// The server's code for "this message cannot be stored".
const NOT_STORED: u64 = 10_077;

/// Whether the stream refuses for want of room by its own limits: `maximum bytes exceeded`, `maximum messages exceeded`, `maximum messages
/// per subject exceeded`. With other words the same code says that the disk is full, or away.
pub(in crate::bus) fn is_full(code: u64, why: &str) -> bool {
    code == NOT_STORED && why.starts_with("maximum ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: u64, why: &str, is_full: bool, may_pass_soon: bool) {
        let error = PublishError::refused("a.1".parse().unwrap(), "A".into(), code, why.to_owned());
        let found = (matches!(error, PublishError::Full { .. }), error.may_pass_soon(), error.is_transient());
        assert_eq!(found, (is_full, may_pass_soon, is_full || may_pass_soon), "{code} {why}");
    }

    #[test]
    fn a_stream_that_is_full_is_not_waited_for_and_may_be_tried_later() {
        check(10_077, "maximum bytes exceeded", true, false);
        check(10_077, "maximum messages per subject exceeded", true, false);
        check(10_077, "no space left on device", false, true);
        check(10_008, "system temporarily unavailable", false, true);
        check(10_060, "expected stream does not match", false, false);
    }
}
