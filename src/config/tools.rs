//! Other tools that pages lead to: where the operator's own traces, logs and metrics are shown.

mod preset;
mod template;

use preset::Signal;
use template::Template;

pub use template::About;

/// Addresses of other tools, which stand beside our own links.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Links to other tools")]
pub struct ToolsConfig {
    /// Where traces are shown: jaeger=URL, tempo=URL of a Grafana or zipkin=URL, or an address with {trace_id} or other placeholders in it; may be given more than once, or with blanks between
    #[arg(long, env = "STREAMGAUGE_TRACE_URL", value_name = "URL", value_delimiter = ' ', value_parser = ToolUrl::of_traces)]
    pub trace_url: Vec<ToolUrl>,

    /// Where logs are shown: loki=URL of a Grafana or kibana=URL, or an address with {trace_id}, {service} or other placeholders in it
    #[arg(long, env = "STREAMGAUGE_LOG_URL", value_name = "URL", value_delimiter = ' ', value_parser = ToolUrl::of_logs)]
    pub log_url: Vec<ToolUrl>,

    /// Where metrics are shown: prometheus=URL or grafana=URL, or an address with {stream}, {consumer} or other placeholders in it
    #[arg(long, env = "STREAMGAUGE_METRIC_URL", value_name = "URL", value_delimiter = ' ', value_parser = ToolUrl::of_metrics)]
    pub metric_url: Vec<ToolUrl>,
}

/// A tool with its addresses, of which the first that can be filled is the one that a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolUrl {
    /// As it was given.
    text: String,
    name: String,
    templates: Vec<Template>,
}

/// A link to a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolLink {
    /// What the tool is called.
    pub tool: String,
    /// Where the link leads.
    pub href: String,
}

impl ToolsConfig {
    /// The same as arguments of another process.
    pub fn arguments(&self) -> Vec<String> {
        let flags =
            [("--trace-url", &self.trace_url), ("--log-url", &self.log_url), ("--metric-url", &self.metric_url)];
        let pairs = flags.into_iter().flat_map(|(flag, urls)| urls.iter().map(move |url| [flag, &url.text]));
        pairs.flatten().map(str::to_owned).collect()
    }

    /// What the tools that show traces are called.
    pub fn trace_names(&self) -> String {
        self.trace_url.iter().map(|url| url.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Links to this very trace.
    pub fn trace(&self, about: &About<'_>) -> Vec<ToolLink> {
        links(&self.trace_url, about, Template::is_of_trace)
    }

    /// Links to searches for traces.
    pub fn traces(&self, about: &About<'_>) -> Vec<ToolLink> {
        links(&self.trace_url, about, |template| !template.is_of_trace())
    }

    /// Links to logs: to those of the trace, where it is about one.
    pub fn logs(&self, about: &About<'_>) -> Vec<ToolLink> {
        links(&self.log_url, about, |template| template.is_of_trace() == about.trace.is_some())
    }

    /// Links to metrics.
    pub fn metrics(&self, about: &About<'_>) -> Vec<ToolLink> {
        links(&self.metric_url, about, |_| true)
    }
}

/// One link for each tool.
fn links(urls: &[ToolUrl], about: &About<'_>, is_meant: impl Fn(&Template) -> bool) -> Vec<ToolLink> {
    let mut links: Vec<ToolLink> = Vec::new();
    for url in urls {
        let filled =
            || url.templates.iter().filter(|template| is_meant(template)).find_map(|template| template.fill(about));
        if links.iter().all(|link| link.tool != url.name)
            && let Some(href) = filled()
        {
            links.push(ToolLink { tool: url.name.clone(), href });
        }
    }
    links
}

impl ToolUrl {
    /// Reads an address of traces.
    ///
    /// # Errors
    /// In words, when it is none.
    pub fn of_traces(text: &str) -> Result<Self, String> {
        Self::of(text, Signal::Traces)
    }

    /// Reads an address of logs.
    ///
    /// # Errors
    /// In words, when it is none.
    pub fn of_logs(text: &str) -> Result<Self, String> {
        Self::of(text, Signal::Logs)
    }

    /// Reads an address of metrics.
    ///
    /// # Errors
    /// In words, when it is none.
    pub fn of_metrics(text: &str) -> Result<Self, String> {
        Self::of(text, Signal::Metrics)
    }

    fn of(text: &str, signal: Signal) -> Result<Self, String> {
        let (name, address) = named(text);
        let template = match preset::templates(name, address, signal)? {
            Some((name, templates)) => return Ok(Self { text: text.to_owned(), name: name.to_owned(), templates }),
            None => Template::parse(address)?,
        };
        if !template.has_places() {
            let known: Vec<String> = preset::names(signal).into_iter().map(|name| format!("{name}=URL")).collect();
            let known = known.join(", ");
            return Err(format!("it has none of {}, and is none of {known}", template::places()));
        }
        let name = if name.is_empty() { template.host() } else { name.to_owned() };
        Ok(Self { text: text.to_owned(), name, templates: vec![template] })
    }
}

/// The name before an address, such as that of `jaeger=http://localhost:16686`; empty where none stands there.
fn named(text: &str) -> (&str, &str) {
    let is_name = |name: &str| name.len() <= 32 && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    text.split_once('=').filter(|(name, _)| is_name(name)).unwrap_or(("", text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn tools(traces: &[&str], logs: &[&str], metrics: &[&str]) -> ToolsConfig {
        ToolsConfig {
            trace_url: traces.iter().map(|url| ToolUrl::of_traces(url).unwrap()).collect(),
            log_url: logs.iter().map(|url| ToolUrl::of_logs(url).unwrap()).collect(),
            metric_url: metrics.iter().map(|url| ToolUrl::of_metrics(url).unwrap()).collect(),
        }
    }

    fn of_trace() -> About<'static> {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        About {
            trace: TRACE.parse().ok(),
            window: Some((at("2030-01-31T12:00:00Z"), at("2030-01-31T12:10:00Z"))),
            ..About::default()
        }
    }

    fn of_consumer() -> About<'static> {
        let (account, stream, consumer) = (Some("$G"), Some("ORDERS"), Some("mail"));
        About { trace: None, account, stream, consumer, service: Some("notifications"), ..of_trace() }
    }

    #[track_caller]
    fn check(links: &[ToolLink], expected: &[(&str, &str)]) {
        let links: Vec<(&str, &str)> = links.iter().map(|link| (link.tool.as_str(), link.href.as_str())).collect();
        assert_eq!(links, expected);
    }

    #[test]
    fn a_tool_of_ones_own_is_called_by_its_host_or_as_one_likes() {
        let ours = tools(
            &["https://traces.example:8443/t/{trace_id}", "Lens=http://lens/{trace_id}?span={span_id}"],
            &[],
            &[],
        );
        check(&ours.trace(&of_trace()), &[("traces.example:8443", &format!("https://traces.example:8443/t/{TRACE}"))]);
        let of_span = About { span: "00f067aa0ba902b7".parse().ok(), ..of_trace() };
        check(&ours.trace(&of_span)[1..], &[("Lens", &format!("http://lens/{TRACE}?span=00f067aa0ba902b7"))]);
        check(&ours.traces(&of_consumer()), &[]);
    }

    #[test]
    fn the_first_address_that_can_be_filled_is_taken() {
        let ours =
            tools(&["x=http://a/{trace_id}/{span_id}", "x=http://a/{trace_id}", "x=http://a/?q={consumer}"], &[], &[]);
        check(&ours.trace(&of_trace()), &[("x", &format!("http://a/{TRACE}"))]);
        check(&ours.traces(&of_consumer()), &[("x", "http://a/?q=mail")]);
    }

    #[test]
    fn known_tools_are_named() {
        let known = tools(
            &["jaeger=http://localhost:16686/", "zipkin=http://z:9411"],
            &["kibana=https://k/s/ops"],
            &["prometheus=http://p:9090"],
        );
        let expected = [
            ("Jaeger", format!("http://localhost:16686/trace/{TRACE}")),
            ("Zipkin", format!("http://z:9411/zipkin/traces/{TRACE}")),
        ];
        check(&known.trace(&of_trace()), &expected.each_ref().map(|(name, href)| (*name, href.as_str())));
        let search = "http://localhost:16686/search?service=notifications&lookback=custom&start=1896091200000000&end=1896091800000000\
                      &tags=%7B%22messaging.nats.consumer%22%3A%22mail%22%7D";
        check(&known.traces(&of_consumer()), &[("Jaeger", search)]);
        let kibana = format!(
            "https://k/s/ops/app/discover#/?_g=(time:(from:'2030-01-31T12%3A00%3A00.000Z',to:'2030-01-31T12%3A10%3A00.000Z'))\
             &_a=(query:(language:kuery,query:'%22{TRACE}%22'))"
        );
        check(&known.logs(&of_trace()), &[("Kibana", &kibana)]);
        let pending = "http://p:9090/graph?g0.tab=0&g0.range_input=1h&g0.expr=\
                       nats_consumer_num_pending%7Baccount%3D%22%24G%22%2Cstream_name%3D%22ORDERS%22%2Cconsumer_name%3D%22mail%22%7D";
        check(&known.metrics(&of_consumer()), &[("Prometheus", pending)]);
    }

    #[test]
    fn grafana_is_asked_in_the_json_of_its_panes() {
        let ours = tools(
            &["tempo=https://g/grafana?datasource=tempo-1"],
            &["loki=https://g"],
            &["grafana=https://g?datasource=p"],
        );
        let about = [of_trace(), of_consumer(), About { window: None, ..of_trace() }];
        let all: Vec<ToolLink> = about
            .iter()
            .flat_map(|about| [ours.trace(about), ours.traces(about), ours.logs(about), ours.metrics(about)].concat())
            .collect();
        assert_eq!(
            all.iter().map(|link| link.tool.as_str()).collect::<Vec<_>>(),
            ["Tempo", "Loki", "Tempo", "Loki", "Grafana", "Tempo"]
        );
        for link in &all {
            let url = url::Url::parse(&link.href).unwrap();
            assert!(url.path().ends_with("/explore"), "{url}");
            let panes = url.query_pairs().find(|(name, _)| name == "panes").unwrap().1;
            let panes: serde_json::Value =
                serde_json::from_str(&panes).unwrap_or_else(|error| panic!("{error}: {panes}"));
            assert!(panes["a"]["datasource"].is_string() && panes["a"]["range"]["from"].is_string(), "{panes}");
        }
        assert!(all[0].href.contains("tempo-1"), "{}", all[0].href);
        let query = url::Url::parse(&all[2].href).unwrap().query_pairs().last().unwrap().1.into_owned();
        assert!(query.contains(r#"{ span.messaging.nats.consumer = \"mail\" }"#), "{query}");
    }

    #[test]
    fn what_is_no_address_of_the_signal_is_refused_in_words() {
        let check = |read: Result<ToolUrl, String>, expected: &str| {
            let error = read.unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check(ToolUrl::of_traces("loki=http://g"), "none of jaeger=URL, tempo=URL, zipkin=URL");
        check(ToolUrl::of_traces("nope"), "{trace_id}");
        check(ToolUrl::of_traces("http://a/trace"), "{trace_id}");
        check(ToolUrl::of_traces("http://a/{id}"), "{id} is not known");
        check(ToolUrl::of_traces("jaeger=javascript:alert(1)"), "http://");
        check(ToolUrl::of_traces("jaeger=http://u:secret@a"), "login");
        check(ToolUrl::of_logs("loki=http://a?datasource=\"}"), "datasource");
        check(ToolUrl::of_metrics("prometheus=http://a#b"), "http://localhost");
    }
}
