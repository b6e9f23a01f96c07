//! Texts that come again and again, kept once: names of attributes and spans, and those values of an attribute of which there are few.
//!
//! Nothing leaves it, so it is held small: what finds no room is written out where it stands.

use std::{collections::HashMap, sync::Arc};

use super::size;

/// Bytes of the longest text that is worth a number.
const TEXT_MOST: usize = 128;

/// Values of one attribute that get numbers: there are fewer subjects, streams and versions than that, and of ids the first are no loss.
const VALUES_MOST: u16 = 256;

/// Names of attributes, spans and events that get numbers.
const NAMES_MOST: usize = 8_192;

/// Numbered texts.
#[derive(Debug)]
pub(super) struct Dictionary {
    texts: Vec<Numbered>,
    numbers: HashMap<Arc<str>, u32>,
    names: usize,
    /// A name found no room.
    is_short: bool,
    bytes: usize,
    most: usize,
}

#[derive(Debug)]
struct Numbered {
    text: Arc<str>,
    /// How many values have numbers because of the attribute of this name.
    values: u16,
}

impl Dictionary {
    /// One that takes at most so many bytes.
    pub(super) fn new(most: usize) -> Self {
        Self { texts: Vec::new(), numbers: HashMap::new(), names: 0, is_short: false, bytes: 0, most }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of a name.
    pub(super) fn name(&mut self, text: &str) -> Option<u32> {
        self.find(text).or_else(|| {
            let number = if self.names < NAMES_MOST { self.add(text) } else { None };
            self.names += 1;
            self.is_short |= number.is_none();
            number
        })
    }

    /// The number of a value of the attribute with this number.
    pub(super) fn value(&mut self, key: u32, text: &str) -> Option<u32> {
        self.find(text).or_else(|| {
            let values = self.texts.get(key as usize)?.values;
            let number = (values < VALUES_MOST).then(|| self.add(text))??;
            self.texts[key as usize].values = values + 1;
            Some(number)
        })
    }

    /// The number of a text that has one.
    pub(super) fn find(&self, text: &str) -> Option<u32> {
        self.numbers.get(text).copied()
    }

    pub(super) fn text(&self, number: u32) -> &str {
        self.texts.get(number as usize).map_or("", |numbered| &numbered.text)
    }

    /// Every text, by number.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(|numbered| &*numbered.text)
    }

    /// Whether every name that came has a number.
    pub(super) fn has_all_names(&self) -> bool {
        !self.is_short
    }

    fn add(&mut self, text: &str) -> Option<u32> {
        let bytes = size::of_numbered(text);
        if text.len() > TEXT_MOST || self.bytes + bytes > self.most {
            return None;
        }
        let number = u32::try_from(self.texts.len()).ok()?;
        let text: Arc<str> = text.into();
        self.texts.push(Numbered { text: text.clone(), values: 0 });
        self.numbers.insert(text, number);
        self.bytes += bytes;
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_number() {
        let mut dictionary = Dictionary::new(10_000);
        let key = dictionary.name("messaging.nats.stream").unwrap();
        let value = dictionary.value(key, "ORDERS").unwrap();
        assert_eq!(dictionary.name("ORDERS"), Some(value));
        assert_eq!(dictionary.text(value), "ORDERS");
        assert_eq!(dictionary.find("PAYMENTS"), None);
    }

    #[test]
    fn it_is_never_larger_than_it_may_be() {
        let mut dictionary = Dictionary::new(10_000);
        let key = dictionary.name("id").unwrap();
        let numbered = (0..1_000).filter(|id| dictionary.value(key, &format!("{id:08}")).is_some()).count();
        assert!(numbered > 20 && dictionary.bytes() <= 10_000, "{numbered} in {} bytes", dictionary.bytes());
        assert_eq!(dictionary.value(key, &"x".repeat(129)), None);

        let mut roomy = Dictionary::new(1 << 30);
        let key = roomy.name("id").unwrap();
        assert_eq!((0..1_000).filter(|id| roomy.value(key, &id.to_string()).is_some()).count(), 256);
    }
}
