//! What a dead letter says: its headers and the beginning of its payload as the page of a message shows them, secrets left out.

use super::{
    format, message,
    payload::{self, Form, Shown, tame},
};
use crate::{
    mask::{self, Masked},
    message::header,
    peek::Stored,
    snapshot::Letter,
};

/// Bytes at the end of a beginning that are looked at and not shown: a secret that is cut in two would be known no more. The longest card
/// number has as many with a blank between any two digits, and what stands behind `Bearer` is known by eight.
const LOOKED_PAST: usize = 64;

/// What a dead letter says, as it is shown.
pub(crate) struct Said {
    pub(crate) headers: Vec<(String, String)>,
    /// Nothing where the copy has no payload.
    pub(crate) payload: Shown,
    /// Bytes of the payload that are shown, where there are more.
    pub(super) beginning: Option<usize>,
    /// What was left out of both.
    pub(crate) masked: Masked,
}

/// What a dead letter says.
pub(crate) fn said(letter: &Letter) -> Said {
    let is_cut = letter.size > letter.head.len() as u64 && !letter.is_elsewhere;
    let shown = if is_cut { beginning(&letter.head) } else { letter.head.as_slice() };
    let mut message = Stored {
        sequence: letter.place.sequence,
        stored: letter.died,
        subject: letter.subject.clone(),
        headers: letter.headers.clone(),
        payload: if letter.is_elsewhere { bytes::Bytes::new() } else { shown.to_vec().into() },
    };
    let mut masked = Masked::default();
    let headers = message::headers(&message, &mut masked);
    let mut notes = Vec::new();
    if is_cut {
        // A beginning does not unpack, and is not what the whole of it is.
        notes.extend(packed_by(&message).map(|name| format!("It is packed by {name}, and not all of it is here.")));
        let is_of_whole = |name: &str| {
            [header::CONTENT_ENCODING, header::CONTENT_TYPE].iter().any(|known| known.eq_ignore_ascii_case(name))
        };
        message.headers.retain(|(name, _)| !is_of_whole(name));
    }
    let mut payload = payload::show(&message, None, usize::MAX);
    payload.notes.extend(notes);
    Said { headers, beginning: is_cut.then_some(shown.len()), masked: masked.and(&payload.masked), payload }
}

/// As much of the beginning of a payload as holds no part of a secret that goes on behind it.
fn beginning(head: &[u8]) -> &[u8] {
    let end = head.len().saturating_sub(LOOKED_PAST);
    let across = mask::secrets(&payload::letters(head)).into_iter().find(|(at, _)| at.start < end && end < at.end);
    let shown = &head[..across.map_or(end, |(at, _)| at.start)];
    match std::str::from_utf8(shown) {
        // A letter of several bytes was cut in two.
        Err(error) if error.error_len().is_none() => &shown[..error.valid_up_to()],
        _ => shown,
    }
}

fn packed_by(message: &Stored) -> Option<String> {
    let name = message.header(header::CONTENT_ENCODING).map(str::trim)?;
    let is_packed = !name.is_empty() && !name.eq_ignore_ascii_case("identity");
    is_packed.then(|| tame(&format::cut_at(name, 32)))
}

impl Said {
    /// As what the payload is shown, and how much of it.
    pub(super) fn told(&self, letter: &Letter) -> String {
        if letter.is_elsewhere {
            return "The copy had no room for the payload, which lies elsewhere; `dlq show` finds it.".to_owned();
        }
        let told = match (self.beginning, self.payload.form) {
            (Some(beginning), form) => {
                let (first, all) = (format::bytes(beginning as u64), format::bytes(letter.size));
                format!("The first {first} of {all}, as {}.", form.unwrap_or(Form::Text).words())
            }
            (None, _) => message::told(&self.payload),
        };
        std::iter::once(told).chain(self.payload.notes.iter().cloned()).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_is_cut_in_two_is_not_shown() {
        let check = |before: usize, secret: &str, expected: usize| {
            let text = format!("{}{secret}", "x ".repeat(before / 2));
            let head = format!("{text:<2048}").into_bytes()[..2_048].to_vec();
            assert_eq!(beginning(&head).len(), expected, "{before} {secret}");
        };
        check(100, "hello", 1_984);
        check(1_980, "4111111111111111", 1_980);
        check(1_980, "4111 1111 1111 1111 ", 1_980);
        check(1_976, "Bearer abcdefghijkl", 1_983);
        check(1_970, "password=hunter2-and-more", 1_979);
        check(1_984, "4111111111111111", 1_984);
        check(1_968, "4111111111111111", 1_984);
        assert_eq!(beginning(b"short"), b"");
        assert_eq!(beginning(format!("a{}", "é".repeat(1_024)).as_bytes()).len(), 1_985);
        assert_eq!(beginning("é".repeat(1_025).as_bytes()).len(), 1_986);
        assert_eq!(beginning(format!("ab{}x", "é".repeat(1_024)).as_bytes()).len(), 1_986);
    }
}
