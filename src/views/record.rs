//! One record by its key, as its bucket holds it now, however long ago it was written.

use askama::Template;

use super::{
    Look, Page, Read,
    consumer::Crumb,
    format,
    messages::may_be_there,
    payload::tame,
    pieces::{Gap, Stamp},
    records::RecordList,
};
use crate::{
    record::BUCKET,
    snapshot::{Reading, UnderKey},
};

/// The page of a record.
#[derive(Template)]
#[template(path = "pages/record.html")]
pub(super) struct RecordPage {
    pub(super) title: String,
    pub(super) is_there: bool,
    account: Option<String>,
    crumbs: Vec<Crumb>,
    stamp: Option<Stamp>,
    gap: Option<Gap>,
    record: Option<RecordList>,
}

impl RecordPage {
    pub(super) fn of(account: &str, key: &str, look: &Look<'_>) -> Self {
        let not_yet = Reading::not_yet();
        let reading = match look.read {
            Read::Record(reading) => reading,
            _ => &not_yet,
        };
        let watched = look.snapshot.account(account).unwrap_or(&look.snapshot.app);
        let under = reading.value().map(|found| found.as_ref().map(UnderKey::of));
        let gap = Gap::of(reading, "records").or_else(|| none(under.as_ref()?.as_ref(), key, look));
        let record = under.flatten().and_then(UnderKey::record);
        Self {
            title: tame(&format::cut(key)),
            is_there: may_be_there(reading) && (record.is_some() || reading.value().is_none()),
            account: look.account_of(watched),
            crumbs: crumbs(key, look),
            stamp: Stamp::of(reading, look),
            gap,
            record: record.map(|entry| RecordList::one(&entry, watched, look)),
        }
    }
}

/// Why there is no record to show under a key that could be read.
fn none(under: Option<&UnderKey>, key: &str, look: &Look<'_>) -> Option<Gap> {
    let key = tame(&format::cut(key));
    let sentence = match under {
        Some(UnderKey::Record(_)) => return None,
        Some(UnderKey::Deleted(at)) => {
            format!("The record under the key `{key}` was deleted {}.", format::ago(*at, look.now))
        }
        Some(UnderKey::NoRecord) => {
            format!("What the bucket `{BUCKET}` holds under the key `{key}` is no record, or too large for one.")
        }
        None => format!(
            "The bucket `{BUCKET}` holds nothing under the key `{key}`: it was never written, or has outlived its time there."
        ),
    };
    Some(Gap::empty(&sentence))
}

/// The way to the records of its kind.
fn crumbs(key: &str, look: &Look<'_>) -> Vec<Crumb> {
    let crumb = |kind: Option<&str>, text: String| Crumb {
        text,
        href: look.link(&Page::Records(kind.map(str::to_owned), String::new())),
    };
    let all = crumb(None, "Records".to_owned());
    let kind = key.split_once('.').map(|(kind, _)| crumb(Some(kind), tame(&format::capital(&format::kinds(kind)))));
    std::iter::once(all).chain(kind).collect()
}
