//! Who made spans, each told once for all of his spans.

use std::{collections::HashMap, sync::Arc};

use super::{
    dictionary::Dictionary,
    record::{Writer, read::Reader},
    sign::Sign,
    size,
};
use crate::{
    trace::{Origin, Value},
    traces::given::Pair,
};

/// The attribute that names the service.
const SERVICE: &str = "service.name";

/// Bytes of what a process may say of itself; what goes beyond that is left out.
const RESOURCE_MOST: usize = 8 * 1_024;

/// Bytes of the name of a library and of its version.
const SCOPE_MOST: usize = 256;

/// Makers of spans by what they say of themselves.
#[derive(Debug, Default)]
pub(super) struct Origins {
    known: HashMap<Box<[u8]>, Arc<Origin>>,
    bytes: usize,
}

/// What a process says of itself, as a key.
#[derive(Debug, Clone, Default)]
pub(super) struct Resource(Vec<u8>);

impl Resource {
    /// Written without the dictionary, so that it is the same whatever that holds.
    pub(super) fn of(attributes: &[Pair<'_>]) -> Self {
        let mut nothing = Dictionary::new(0);
        let mut key = Vec::new();
        for several in (0..=attributes.len()).rev() {
            key.clear();
            Writer { bytes: &mut key, dictionary: &mut nothing, sign: Sign::default() }.pairs(&attributes[..several]);
            if key.len() <= RESOURCE_MOST {
                break;
            }
        }
        Self(key)
    }
}

impl Origins {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The maker who says this of himself.
    pub(super) fn of(&mut self, resource: &Resource, scope: &str, version: &str) -> Arc<Origin> {
        let (scope, version) = (cut(scope), cut(version));
        let mut key = resource.0.clone();
        for text in [scope, version] {
            key.push(0);
            key.extend_from_slice(text.as_bytes());
        }
        if let Some(known) = self.known.get(key.as_slice()) {
            return known.clone();
        }
        let origin = Arc::new(origin(resource, scope, version));
        self.bytes += bytes_of(&key);
        self.known.insert(key.into(), origin.clone());
        origin
    }

    /// Forgets those who made nothing that is kept.
    pub(super) fn sweep(&mut self) {
        let mut bytes = 0;
        self.known.retain(|key, origin| {
            let is_used = Arc::strong_count(origin) > 1;
            bytes += if is_used { bytes_of(key) } else { 0 };
            is_used
        });
        self.bytes = bytes;
    }

    /// The services, each as often as there are makers of it; brokers are none.
    pub(super) fn services(&self) -> impl Iterator<Item = &str> {
        self.known.values().filter(|origin| !origin.is_broker()).map(|origin| origin.service.as_str())
    }
}

/// The place of a maker in a list of them, at whose end he is put if he is not in it, and the bytes by which it grew.
pub(super) fn place(list: &mut Vec<Arc<Origin>>, origin: &Arc<Origin>) -> (usize, usize) {
    if let Some(place) = list.iter().position(|known| Arc::ptr_eq(known, origin)) {
        return (place, 0);
    }
    let before = list.capacity();
    list.push(origin.clone());
    (list.len() - 1, (list.capacity() - before) * size_of::<Arc<Origin>>())
}

fn cut(text: &str) -> &str {
    let mut length = text.len().min(SCOPE_MOST);
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    &text[..length]
}

/// The key, and the same as texts: an attribute of two short ones takes some hundred bytes.
fn bytes_of(key: &[u8]) -> usize {
    size::of_piece(key.len()) + 6 * key.len() + size::of_piece(256)
}

fn origin(resource: &Resource, scope: &str, version: &str) -> Origin {
    let attributes = Reader::new(&resource.0).pairs(&Dictionary::new(0)).unwrap_or_default();
    let service = attributes.iter().find(|attribute| attribute.key == SERVICE);
    Origin {
        service: match service.map(|service| &service.value) {
            Some(Value::Text(name)) => name.clone(),
            _ => String::new(),
        },
        attributes,
        scope: scope.to_owned(),
        scope_version: version.to_owned(),
    }
}
