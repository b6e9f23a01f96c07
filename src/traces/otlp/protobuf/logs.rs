//! Requests with logs, framed as those with spans are.
//!
//! Convention: `opentelemetry/proto/logs/v1/logs.proto`, 1.x.

use std::borrow::Cow;

use super::{Fields, FramesAlone, Malformed, Parts, Visit, requests};
use crate::traces::given::{GivenLog, Pair, Take, Text};

/// Hands each entry to `take`. A request whose frame cannot be read is refused before anything of it is taken.
pub(in crate::traces::otlp) fn each_log<'a>(request: &'a [u8], take: &mut impl Take<'a>) -> Result<(), Malformed> {
    requests(request, &mut FramesAlone)?;
    requests(request, &mut Logs { take })
}

struct Logs<'s, T> {
    take: &'s mut T,
}

impl<'a, T: Take<'a>> Visit<'a> for Logs<'_, T> {
    fn resource(&mut self, attributes: Vec<Pair<'a>>) {
        self.take.resource(attributes);
    }

    fn scope(&mut self, name: Text<'a>, version: Text<'a>) {
        self.take.scope(name, version);
    }

    fn item(&mut self, bytes: &'a [u8]) {
        self.take.log(read_log(bytes).ok().as_ref());
    }
}

fn read_log(bytes: &[u8]) -> Result<GivenLog<'_>, Malformed> {
    let (mut log, mut parts) = (GivenLog::default(), Parts::default());
    Fields(bytes).each(|number, field| {
        match number {
            1 => log.at = field.fixed()?,
            2 => log.level = field.number()?,
            3 => log.level_name = field.text()?,
            5 => log.body = parts.value(field.bytes()?, 0)?,
            6 => parts.push(&mut log.attributes, |parts| parts.pair(field.bytes()?, 0))?,
            7 => parts.left_out = parts.left_out.saturating_add(field.number()?),
            9 => log.trace = Cow::Borrowed(field.bytes()?),
            10 => log.span = Cow::Borrowed(field.bytes()?),
            11 => log.seen = field.fixed()?,
            12 => log.event = field.text()?,
            _ => {}
        }
        Ok(())
    })?;
    log.left_out = parts.left_out;
    Ok(log)
}
