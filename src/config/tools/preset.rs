//! Tools that are known by name: `jaeger=http://localhost:16686` says enough.

use url::Url;

use super::template::Template;

/// What a tool shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Logs,
    Metrics,
}

/// A tool: what one writes, what it is called, and what follows its address. `DATASOURCE` stands for the one that Grafana is asked to read.
struct Preset {
    word: &'static str,
    name: &'static str,
    datasource: &'static str,
    paths: &'static [&'static str],
}

/// Convention: the addresses of Jaeger's pages, those of Zipkin, and `schemaVersion=1` of Grafana's Explore.
#[rustfmt::skip]
const TRACES: &[Preset] = &[
    Preset { word: "jaeger", name: "Jaeger", datasource: "", paths: &[
        "/trace/{trace_id}?uiFind={span_id}",
        "/trace/{trace_id}",
        r#"/search?service={service}&lookback=custom&start={from_us}&end={to_us}&tags=%7B%22messaging.nats.consumer%22%3A%22{consumer}%22%7D"#,
    ] },
    Preset { word: "tempo", name: "Tempo", datasource: "tempo", paths: &[
        r#"/explore?schemaVersion=1&orgId=1&panes={"a":{"datasource":"DATASOURCE","queries":[{"refId":"A","queryType":"traceql","query":"{trace_id}"}],"range":{"from":"{from}","to":"{to}"}}}"#,
        r#"/explore?schemaVersion=1&orgId=1&panes={"a":{"datasource":"DATASOURCE","queries":[{"refId":"A","queryType":"traceql","query":"{trace_id}"}],"range":{"from":"now-24h","to":"now"}}}"#,
        r#"/explore?schemaVersion=1&orgId=1&panes={"a":{"datasource":"DATASOURCE","queries":[{"refId":"A","queryType":"traceql","query":"{ span.messaging.nats.consumer = \"{consumer}\" }"}],"range":{"from":"{from}","to":"{to}"}}}"#,
    ] },
    Preset { word: "zipkin", name: "Zipkin", datasource: "", paths: &["/zipkin/traces/{trace_id}"] },
];

/// A log line of the library holds the trace's id as text.
#[rustfmt::skip]
const LOGS: &[Preset] = &[
    Preset { word: "loki", name: "Loki", datasource: "loki", paths: &[
        r#"/explore?schemaVersion=1&orgId=1&panes={"a":{"datasource":"DATASOURCE","queries":[{"refId":"A","expr":"{service_name=~\".%2B\"} |= \"{trace_id}\""}],"range":{"from":"{from}","to":"{to}"}}}"#,
        r#"/explore?schemaVersion=1&orgId=1&panes={"a":{"datasource":"DATASOURCE","queries":[{"refId":"A","expr":"{service_name=\"{service}\"}"}],"range":{"from":"{from}","to":"{to}"}}}"#,
    ] },
    Preset { word: "kibana", name: "Kibana", datasource: "", paths: &[
        "/app/discover#/?_g=(time:(from:'{from_iso}',to:'{to_iso}'))&_a=(query:(language:kuery,query:'%22{trace_id}%22'))",
        "/app/discover#/?_g=(time:(from:'{from_iso}',to:'{to_iso}'))&_a=(query:(language:kuery,query:'service.name:%22{service}%22'))",
    ] },
];

#[rustfmt::skip]
const METRICS: &[Preset] = &[
    Preset { word: "prometheus", name: "Prometheus", datasource: "", paths: &[
        "/graph?g0.tab=0&g0.range_input=1h&g0.expr=nats_consumer_num_pending%7Baccount%3D%22{account}%22%2Cstream_name%3D%22{stream}%22%2Cconsumer_name%3D%22{consumer}%22%7D",
        "/graph?g0.tab=0&g0.range_input=1h&g0.expr=nats_stream_total_messages%7Baccount%3D%22{account}%22%2Cstream_name%3D%22{stream}%22%7D",
    ] },
    Preset { word: "grafana", name: "Grafana", datasource: "prometheus", paths: &[
        r#"/explore?schemaVersion=1&orgId=1&panes={"a":{"datasource":"DATASOURCE","queries":[{"refId":"A","expr":"nats_consumer_num_pending{account=\"{account}\",stream_name=\"{stream}\",consumer_name=\"{consumer}\"}"}],"range":{"from":"{from}","to":"{to}"}}}"#,
        r#"/explore?schemaVersion=1&orgId=1&panes={"a":{"datasource":"DATASOURCE","queries":[{"refId":"A","expr":"nats_stream_total_messages{account=\"{account}\",stream_name=\"{stream}\"}"}],"range":{"from":"{from}","to":"{to}"}}}"#,
    ] },
];

fn of(signal: Signal) -> &'static [Preset] {
    match signal {
        Signal::Traces => TRACES,
        Signal::Logs => LOGS,
        Signal::Metrics => METRICS,
    }
}

/// The tools that are known for a signal, as one writes them.
pub(super) fn names(signal: Signal) -> Vec<&'static str> {
    of(signal).iter().map(|preset| preset.word).collect()
}

/// What the tool is called and its addresses, where `word` names one and `address` is the tool's own, without placeholders.
pub(super) fn templates(
    word: &str,
    address: &str,
    signal: Signal,
) -> Result<Option<(&'static str, Vec<Template>)>, String> {
    let known = of(signal).iter().find(|preset| preset.word.eq_ignore_ascii_case(word));
    let Some(preset) = known.filter(|_| !address.contains('{')) else { return Ok(None) };
    let (base, datasource) = base(address, preset.datasource)?;
    let templates =
        preset.paths.iter().map(|path| Template::parse(&format!("{base}{}", path.replace("DATASOURCE", &datasource))));
    Ok(Some((preset.name, templates.collect::<Result<_, _>>()?)))
}

/// The address of the tool, and which data source a Grafana is to read.
fn base(address: &str, usual: &str) -> Result<(String, String), String> {
    let mut url = Url::parse(address).map_err(|error| format!("it is not an address: {error}"))?;
    let datasource = url.query_pairs().find(|(name, _)| name == "datasource").map(|(_, uid)| uid.into_owned());
    let is_uid =
        |uid: &str| !uid.is_empty() && uid.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if datasource.as_deref().is_some_and(|uid| usual.is_empty() || !is_uid(uid)) {
        return Err(
            "its datasource is not the uid of one, as in loki=https://grafana.example?datasource=loki".to_owned()
        );
    }
    if url.fragment().is_some() || (url.query().is_some() && datasource.is_none()) {
        return Err("give the tool's own address alone, such as http://localhost:16686".to_owned());
    }
    url.set_query(None);
    Ok((url.as_str().trim_end_matches('/').to_owned(), datasource.unwrap_or_else(|| usual.to_owned())))
}
