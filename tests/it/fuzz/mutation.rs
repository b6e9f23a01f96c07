//! Inputs made of valid ones: bytes changed, left out, put in, repeated, and parts of one in another.

use fastrand::Rng;

/// Bytes of the longest input that is made.
const LENGTH_MOST: usize = 64 * 1_024;

/// Values that programs get wrong: ends of ranges, ends of texts, and beginnings of what nests.
const TRICKY: [&[u8]; 24] = [
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\xc3",
    b"\xed\xa0\x80",
    "\u{202e}".as_bytes(),
    "é€🎉".as_bytes(),
    b"18446744073709551616",
    b"-9223372036854775808",
    b"1e400",
    b"NaN",
    b"[[[[[[[[[[[[[[[[[[[[",
    b"{\"a\":{\"a\":{\"a\":{\"a\":",
    b"\"",
    b"\\",
    b"\\ud800",
    b"((((((((((((((((",
    b"{",
    b"%",
];

/// Makes inputs; the same ones from the same seed.
#[derive(Debug)]
pub struct Mutator {
    corpus: Vec<Vec<u8>>,
    dice: Rng,
}

impl Mutator {
    pub fn new(corpus: Vec<Vec<u8>>, seed: u64) -> Self {
        assert!(!corpus.is_empty());
        Self { corpus, dice: Rng::with_seed(seed) }
    }

    /// A number below `end`; 0 where that is 0.
    fn below(&mut self, end: usize) -> usize {
        self.dice.usize(..end.max(1))
    }

    fn one(&mut self) -> Vec<u8> {
        let index = self.below(self.corpus.len());
        self.corpus[index].clone()
    }

    /// The next input.
    pub fn next(&mut self) -> Vec<u8> {
        let mut bytes = self.one();
        for _ in 0..=self.below(6) {
            self.change(&mut bytes);
        }
        bytes.truncate(LENGTH_MOST);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len() + 1);
        let length = self.below(bytes.len() - at + 1).min(1 << self.below(12));
        match self.below(9) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            1 if at < bytes.len() => bytes[at] = self.dice.u8(..),
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..at + length)),
            4 => {
                let part = bytes[at..at + length].repeat(1 + self.below(8));
                drop(bytes.splice(at..at, part));
            }
            5 => {
                let other = self.one();
                let from = self.below(other.len() + 1);
                drop(bytes.splice(at..at + length, other[from..].iter().copied()));
            }
            6 | 7 => {
                let tricky = TRICKY[self.below(TRICKY.len())].repeat(1 << self.below(8));
                drop(bytes.splice(at..at + length.min(8), tricky));
            }
            _ => bytes.push(self.dice.u8(..)),
        }
    }
}

#[test]
fn inputs_follow_from_their_seed_and_differ() {
    let corpus = vec![b"{\"a\":1}".to_vec(), b"valid".to_vec()];
    let of = |seed| {
        let mut mutator = Mutator::new(corpus.clone(), seed);
        (0..1_000).map(|_| mutator.next()).collect::<Vec<_>>()
    };
    assert_eq!(of(7), of(7));
    let different: std::collections::HashSet<_> = of(7).into_iter().collect();
    assert!(different.len() > 900, "{}", different.len());
}
