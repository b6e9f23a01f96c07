//! What the demo shows its user: steps while it starts, one block of addresses, and what happens after that.

use std::{
    io::Write,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use super::plan::{Plan, Rank};
use crate::{
    clock::Age,
    config::{DemoConfig, ForwardUrl},
};

/// The terminal; clones write to the same one, line by line.
#[derive(Debug, Clone, Default)]
pub(super) struct Screen(Arc<Mutex<()>>);

impl Screen {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Writes a line. A reader that has gone away is no reason to end: the services run on.
    pub(super) fn say(&self, line: &str) {
        let _whole = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _written = writeln!(std::io::stdout(), "{line}");
    }

    pub(super) fn title(&self, nats_version: &str) {
        self.say(&format!("streamgauge {} with nats-server {nats_version}\n", env!("CARGO_PKG_VERSION")));
    }

    /// A step that is done, and how long after the start.
    pub(super) fn step(&self, began: Instant, what: &str) {
        self.say(&format!("  {:>6}  {what}", Age(began.elapsed()).to_string()));
    }

    /// Where everything is.
    pub(super) fn block(&self, plan: &Plan, folder: &Path, config: &DemoConfig) {
        let storefront = plan.url(Rank::Storefront);
        let provider = plan.url(Rank::Provider);
        let order = r#"{"customer":"ada","lines":[{"sku":"tea","quantity":2}]}"#;
        let login = |user: &str| plan.nats_url().replace("nats://", &format!("nats://{user}:{}@", plan.password));
        let (observer, operator) = (login("observer"), login("operator"));
        let program =
            std::env::current_exe().map_or_else(|_| "streamgauge".to_owned(), |path| path.display().to_string());
        let traces = traces(plan, config);
        self.say(&format!(
            "\n  Dashboard   {dashboard}\n\
             \n  Orders      {storefront}/orders\
             \n  Place one   curl -i {storefront}/orders -H 'content-type: application/json' -d '{order}'\
             \n  Slow down   curl -X PUT {provider}/settings -H 'content-type: application/json' -d '{{\"latency_ms\":2000}}'\
             \n  NATS        nats -s {observer} --inbox-prefix _INBOX_observer stream ls\
             \n  Given up    {program} dlq list --nats {operator} --inbox-prefix _INBOX_operator\
             \n  Break it    {program} fault payments outage --nats {operator} --inbox-prefix _INBOX_operator\
             \n  Mend it     the same with `clear` for `outage`; a fault ends by itself after five minutes\
             \n  Metrics     {storefront}/metrics, and so every process\
             \n  Traces      {traces}\
             \n  Logs        {logs}\
             \n\n  Kill a process and watch: it is started again. Ctrl-C ends everything.\n",
            dashboard = plan.url(Rank::Dashboard),
            logs = folder.join("logs").display(),
        ));
    }
}

/// Where traces go.
fn traces(plan: &Plan, config: &DemoConfig) -> String {
    let here = plan.otlp_url();
    match (plan.traces_go_to().map(ForwardUrl::url), config.tools.trace_names().as_str()) {
        (None, _) => format!("the dashboard takes them at {here} by OTLP, yours too"),
        (Some(to), "") => format!("taken at {here}, from there on to {to}; --trace-url links to them"),
        (Some(to), tools) => format!("taken at {here}, from there on to {to}; pages lead to {tools}"),
    }
}
