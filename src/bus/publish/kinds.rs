//! What all messages of one payload type have in common, made at the first of them.

use std::{
    any::TypeId,
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use crate::{
    bus::codec::{self, Payload},
    message::Schema,
    telemetry::{Telemetry, outlet::Outlet},
};

/// One payload type as it is published.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) schema: Schema,
    pub(super) outlet: Arc<Outlet>,
}

/// The payload types that a bus has published; a program has as many as it has types.
#[derive(Debug, Default)]
pub(crate) struct Kinds(RwLock<HashMap<TypeId, Arc<Kind>>>);

impl Kinds {
    pub(super) fn of<P: Payload>(&self, telemetry: &Telemetry) -> Arc<Kind> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&TypeId::of::<P>()).cloned();
        known.unwrap_or_else(|| {
            let outlet = telemetry.outlet("publish", &codec::pattern_of::<P>());
            let kind = Arc::new(Kind { schema: P::schema(), outlet });
            self.0.write().unwrap_or_else(PoisonError::into_inner).entry(TypeId::of::<P>()).or_insert(kind).clone()
        })
    }
}
