//! What a span can be found by, in a few bits: most spans that are not looked for are passed over without being read.

use crate::traces::given::{Given, Pair};

/// A set of texts and of pairs that may say yes where it should say no, and never the other way round.
///
/// Convention: a Bloom filter of 128 bits and three hashes (Bloom, 1970). A span of ours has some twenty texts and pairs: one in twenty of
/// what it has not seems to be there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sign(u128);

impl Sign {
    /// The sign of what has this text among its values, or for a name.
    pub(super) fn of_text(text: &str) -> Self {
        Self::of_hash(hash(text.as_bytes(), 0))
    }

    /// The sign of what has this attribute, its value as text.
    pub(super) fn of_pair(key: &str, value: &str) -> Self {
        Self::of_hash(hash(value.as_bytes(), hash(key.as_bytes(), 1)))
    }

    /// Whether all of `wanted` may be in it.
    pub(super) fn may_have(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    pub(super) fn text(&mut self, text: &str) {
        self.add(Self::of_text(text));
    }

    pub(super) fn pair(&mut self, pair: &Pair<'_>) {
        match &pair.value {
            Given::Text(text) => {
                self.text(text);
                self.add(Self::of_pair(&pair.key, text));
            }
            Given::Bool(value) => self.add(Self::of_pair(&pair.key, if *value { "true" } else { "false" })),
            Given::Number(number) => self.add(Self::of_pair(&pair.key, itoa::Buffer::new().format(*number))),
            Given::Real(number) => self.add(Self::of_pair(&pair.key, &number.to_string())),
            Given::Empty | Given::Bytes(_) | Given::List(_) | Given::Map(_) => {}
        }
    }

    fn of_hash(hash: u64) -> Self {
        let bits = [57, 50, 43].into_iter().fold(0_u128, |bits, at| bits | 1 << (hash >> at & 127));
        Self(bits)
    }

    pub(super) fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// Convention: the multiplying hash of the Rust compiler (FxHash), eight bytes at a time. Whoever makes two texts meet makes one search slow.
fn hash(bytes: &[u8], seed: u64) -> u64 {
    const FACTOR: u64 = 0x517c_c1b7_2722_0a95;
    let mix = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(FACTOR);
    let mut words = bytes.chunks_exact(8);
    let mut hash = words
        .by_ref()
        .fold(mix(seed, bytes.len() as u64), |hash, word| mix(hash, word.try_into().map_or(0, u64::from_le_bytes)));
    for byte in words.remainder() {
        hash = mix(hash, u64::from(*byte));
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_may_be_there() {
        let mut sign = Sign::default();
        let pair = |key: &'static str, value| Pair { key: key.into(), value };
        sign.pair(&pair("messaging.nats.stream", Given::Text("ORDERS".into())));
        sign.pair(&pair("messaging.nats.delivery_count", Given::Number(-2)));
        for wanted in [
            Sign::of_text("ORDERS"),
            Sign::of_pair("messaging.nats.stream", "ORDERS"),
            Sign::of_pair("messaging.nats.delivery_count", "-2"),
            Sign::default(),
        ] {
            assert!(sign.may_have(wanted));
        }
    }

    #[test]
    fn ids_are_told_apart_well_enough() {
        let mut sign = Sign::default();
        (0..20).for_each(|id| sign.text(&format!("019ab-{id:04}")));
        let wrong = (100..1_100).filter(|id| sign.may_have(Sign::of_text(&format!("019ab-{id:04}")))).count();
        assert!(wrong < 100, "{wrong} of 1000");
    }
}
