//! The ways from what a page is about to its traces, logs and metrics: ours first, then those to the operator's own tools.

use std::time::Duration;

use askama::{Template, filters::HtmlSafe};

use super::{Look, Page, format};
use crate::{
    clock::Timestamp,
    config::{About, ToolLink},
    snapshot::{Consumer, Span, Stream},
    trace::{SpanId, Trace, TraceId},
    traces::{Query, Wanted},
};

/// How far a window reaches on both sides of the moment that something was told: clocks differ, and what led to it came before.
const AROUND: Duration = Duration::from_secs(3_600);

/// How far a window reaches on both sides of a trace.
const AROUND_TRACE: Duration = Duration::from_secs(60);

/// Services that links are offered for: a consumer has one as a rule.
const SERVICES_MOST: usize = 3;

/// Bytes of the longest name of a service that is searched for.
const NAME_MOST: usize = 256;

/// Links of a page.
#[derive(Debug, Default, Template)]
#[template(path = "parts/elsewhere.html")]
pub(super) struct Elsewhere {
    links: Vec<Way>,
}

impl HtmlSafe for Elsewhere {}

#[derive(Debug)]
struct Way {
    text: String,
    href: String,
    is_outside: bool,
}

/// An hour before a moment and one after it.
pub(super) fn around(at: Timestamp) -> Option<(Timestamp, Timestamp)> {
    widened(at, at, AROUND)
}

/// Both moments, as far apart as calendars allow.
fn widened(from: Timestamp, to: Timestamp, by: Duration) -> Option<(Timestamp, Timestamp)> {
    let by = by.try_into().ok()?;
    Some((Timestamp(from.0.checked_sub(by)?), Timestamp(to.0.checked_add(by)?)))
}

impl Elsewhere {
    /// Those of a consumer, as far back as its past is shown.
    pub(super) fn of_consumer(consumer: &Consumer, span: Span, look: &Look<'_>) -> Self {
        let (account, stream, name) = (&*consumer.account, consumer.stream.as_str(), consumer.name.as_str());
        let query = Query { stream: stream.to_owned(), consumer: name.to_owned(), ..Query::default() };
        let mut all = Self::default();
        all.own("Traces", query.clone(), look);
        all.own("Failed traces", Query { status: Some(Wanted::Error), ..query.clone() }, look);
        let workers = Workers::of(consumer, look);
        if let Some(slow) = workers.slow {
            let text = format!("Traces of at least {}", format::took(slow.as_secs_f64()));
            all.own(&text, Query { least: Some(slow), ..query }, look);
        }
        let about = About {
            account: Some(account),
            stream: Some(stream),
            consumer: Some(name),
            window: past(span, look),
            ..About::default()
        };
        all.outside("Metrics", look.site.tools.metrics(&about));
        if workers.services.is_empty() {
            all.outside("Traces", look.site.tools.traces(&about));
        }
        for service in workers.services {
            let about = About { service: Some(service), ..about };
            all.outside("Traces", look.site.tools.traces(&about));
            all.outside(&format!("Logs of {}", format::cut(service)), look.site.tools.logs(&about));
        }
        all
    }

    /// Those of a stream.
    pub(super) fn of_stream(stream: &Stream, span: Span, look: &Look<'_>) -> Self {
        let (account, name) = (&*stream.account, stream.name.as_str());
        let about = About { account: Some(account), stream: Some(name), window: past(span, look), ..About::default() };
        let mut all = Self::default();
        all.own("Traces", Query { stream: name.to_owned(), ..Query::default() }, look);
        all.outside("Traces", look.site.tools.traces(&about));
        all.outside("Metrics", look.site.tools.metrics(&about));
        all
    }

    /// Those of a service.
    pub(super) fn of_service(service: &str, look: &Look<'_>) -> Self {
        let about = About { service: Some(service), window: past(Span::default(), look), ..About::default() };
        let mut all = Self::default();
        all.own("Traces", Query { service: service.to_owned(), ..Query::default() }, look);
        all.outside("Traces", look.site.tools.traces(&about));
        all.outside("Logs", look.site.tools.logs(&about));
        all.outside("Metrics", look.site.tools.metrics(&about));
        all
    }

    /// Those of a trace, kept here or not, and of the span of it that is looked at.
    pub(super) fn of_trace(id: TraceId, span: Option<SpanId>, trace: Option<&Trace>, look: &Look<'_>) -> Self {
        let about = About {
            trace: Some(id),
            span,
            window: trace.and_then(window).or_else(|| past(Span::Day, look)),
            ..About::default()
        };
        let mut all = Self::default();
        all.outside("Trace", look.site.tools.trace(&about));
        all.outside("Logs", look.site.tools.logs(&about));
        all
    }

    fn own(&mut self, text: &str, query: Query, look: &Look<'_>) {
        if look.site.shows_traces && query.service.len() <= NAME_MOST {
            let href = look.link(&Page::Traces(query));
            self.links.push(Way { text: text.to_owned(), href, is_outside: false });
        }
    }

    /// Links to tools. Several services share what does not depend on them.
    fn outside(&mut self, text: &str, links: Vec<ToolLink>) {
        for ToolLink { tool, href } in links {
            if self.links.iter().all(|known| known.href != href) {
                self.links.push(Way { text: format!("{text} in {tool}"), href, is_outside: true });
            }
        }
    }
}

/// As far back as a page shows the past.
fn past(span: Span, look: &Look<'_>) -> Option<(Timestamp, Timestamp)> {
    let from = look.now.0.checked_sub(span.reach().try_into().ok()?)?;
    Some((Timestamp(from), look.now))
}

/// When a trace was.
fn window(trace: &Trace) -> Option<(Timestamp, Timestamp)> {
    let from = Timestamp::of_nanos(trace.spans.iter().map(|span| span.start).min()?)?;
    widened(from, Timestamp::of_nanos(trace.spans.iter().map(|span| span.end).max()?)?, AROUND_TRACE)
}

/// Who pulls from a consumer, by what they say of themselves.
struct Workers<'a> {
    services: Vec<&'a str>,
    /// What the slowest handlers of the slowest of them take.
    slow: Option<Duration>,
}

impl<'a> Workers<'a> {
    fn of(consumer: &Consumer, look: &Look<'a>) -> Self {
        let presence = look.snapshot.account(&consumer.account).and_then(|watched| watched.presence.value());
        let mut found = Self { services: Vec::new(), slow: None };
        for entry in presence.into_iter().flat_map(|bucket| &bucket.entries) {
            let workers = entry.value.workers.iter();
            for worker in workers.filter(|worker| worker.consumer == consumer.name && worker.stream == consumer.stream)
            {
                let service = entry.value.service.as_str();
                if !found.services.contains(&service) && found.services.len() < SERVICES_MOST {
                    found.services.push(service);
                }
                let slow = worker.p99_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
                found.slow = found.slow.max(slow.and_then(in_millis));
            }
        }
        found
    }
}

/// In whole milliseconds, as it stands in an address; nothing is slow that takes less than one.
fn in_millis(duration: Duration) -> Option<Duration> {
    let millis = u64::try_from(duration.as_millis()).ok()?;
    (millis > 0).then(|| Duration::from_millis(millis))
}
