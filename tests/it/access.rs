//! Who may read the observer: nobody without the token where there is one, nobody by a name that is not ours, and probes always.

use std::{fs, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
};
use streamgauge::{
    clock::Clock,
    collector::History,
    config::AccessConfig,
    service::{Health, probes},
    telemetry::Metrics,
    traces::Traces,
    web::{self, Settings, Web, access::Access},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    pages::facts::{now, snapshot},
    support::{
        http,
        page::Page,
        port::ReservedPort,
        process::{Process, streamgauge},
    },
};

const TOKEN: &str = "hush+0123456789/abcdef==";

/// The same in an address.
const TOKEN_ENCODED: &str = "hush%2B0123456789%2Fabcdef%3D%3D";

/// Everything that `serve` serves, by these settings.
fn observer(config: AccessConfig, base: &str) -> Router {
    let clock = Clock::standing_at(now());
    let (_, snapshots) = watch::channel(Arc::new(snapshot()));
    let access = Access::new(&config, 7070).unwrap();
    let settings = Settings { access: access.clone(), base_path: base.parse().unwrap(), ..Settings::default() };
    let (metrics, traces) = (Metrics::default(), Traces::default());
    let sources = web::metrics::Sources { snapshots: snapshots.clone(), metrics, traces };
    let metrics = web::metrics::router(sources, clock.clone(), 10, access);
    let health = Arc::new(Health::new(clock.clone()));
    let probes = probes::without_metrics(health);
    web::router(
        Web::new(snapshots, History::default(), settings, clock, CancellationToken::new()),
        probes.merge(metrics),
    )
}

fn locked() -> Router {
    observer(AccessConfig { token: TOKEN.parse().ok(), ..AccessConfig::default() }, "")
}

async fn ask(router: &Router, path: &str, headers: &[(&str, &str)]) -> Page {
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
    Page::answering(router, request.body(Body::empty()).unwrap()).await
}

const GUARDED: [&str; 6] = ["/", "/consumers?q=a", "/nowhere", "/live?page=/", "/metrics", "/streams/A/ORDERS"];

#[tokio::test]
async fn without_the_token_nothing_is_seen() {
    let router = locked();
    for path in GUARDED {
        for headers in [&[][..], &[("authorization", "Bearer hush")], &[("cookie", "streamgauge_7070=hush")]] {
            let page = ask(&router, path, headers).await;
            assert_eq!(page.status, StatusCode::UNAUTHORIZED, "{path} {headers:?}");
            assert_eq!(page.headers["www-authenticate"], "Bearer realm=\"streamgauge\"", "{path}");
            assert!(!page.html.contains("ORDERS") && !page.html.contains(TOKEN), "{path}: {}", page.html);
            assert!(page.html.contains("login link"), "{path} says what to do: {}", page.html);
        }
    }
}

#[tokio::test]
async fn with_the_token_all_is_seen_by_programs_and_by_browsers() {
    let router = locked();
    let bearer = format!("Bearer {TOKEN}");
    let cookie = format!("other=1; streamgauge_7070={TOKEN}");
    for headers in [[("authorization", bearer.as_str())], [("cookie", cookie.as_str())]] {
        assert!(ask(&router, "/streams", &headers).await.html.contains("ORDERS"));
        assert!(ask(&router, "/metrics", &headers).await.html.contains("nats_stream_total_messages{"));
        assert_eq!(ask(&router, "/nowhere", &headers).await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn the_login_link_gives_a_cookie_that_opens_the_pages() {
    for base in ["", "/gauge"] {
        let router = observer(AccessConfig { token: TOKEN.parse().ok(), ..AccessConfig::default() }, base);
        let home = format!("{base}/");
        let page = ask(&router, &format!("{home}login?token={TOKEN_ENCODED}"), &[]).await;
        assert_eq!((page.status, page.headers["location"].to_str().unwrap()), (StatusCode::SEE_OTHER, home.as_str()));
        let cookie = page.headers["set-cookie"].to_str().unwrap().to_owned();
        for word in ["HttpOnly", "SameSite=Strict", &format!("Path={home}")] {
            assert!(cookie.split("; ").any(|part| part == word), "{cookie} has no {word}");
        }
        let pair = cookie.split(';').next().unwrap();
        assert_eq!(ask(&router, &home, &[("cookie", pair)]).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn what_programs_ask_for_answers_below_the_path_and_at_the_root() {
    let router = observer(AccessConfig { token: TOKEN.parse().ok(), ..AccessConfig::default() }, "/gauge");
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("authorization", bearer.as_str())];
    for base in ["", "/gauge"] {
        for path in ["/metrics", "/api/v1/overview", "/api/openapi.json"] {
            let path = format!("{base}{path}");
            assert_eq!(ask(&router, &path, &headers).await.status, StatusCode::OK, "{path}");
            assert_eq!(ask(&router, &path, &[]).await.status, StatusCode::UNAUTHORIZED, "{path}");
        }
        assert_eq!(ask(&router, &format!("{base}/livez"), &[]).await.status, StatusCode::OK, "{base}");
    }
}

#[tokio::test]
async fn the_form_does_the_same_and_a_wrong_token_does_not() {
    let router = locked();
    let page = ask(&router, "/", &[]).await;
    assert_eq!(
        (page.attributes("form.login", "action"), page.count("form.login input")),
        (vec!["/login".to_owned()], 1)
    );
    let form = |body: String| Request::post("/login").body(Body::from(body)).unwrap();
    let page = Page::answering(&router, form(format!("token={TOKEN_ENCODED}"))).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    assert!(page.headers.contains_key("set-cookie"));
    for body in ["token=hush", "token=", "", "other=1"] {
        let page = Page::answering(&router, form(body.to_owned())).await;
        assert_eq!(page.status, StatusCode::UNAUTHORIZED, "{body}");
        assert!(!page.headers.contains_key("set-cookie"), "{body}");
    }
    let page = Page::answering(&router, form("x".repeat(5_000))).await;
    assert_eq!(page.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn what_the_login_page_needs_is_open_and_so_are_the_probes() {
    let router = locked();
    let page = ask(&router, "/", &[]).await;
    for styles in page.attributes("link[rel=stylesheet]", "href") {
        assert_eq!(ask(&router, &styles, &[]).await.status, StatusCode::OK, "{styles}");
    }
    for probe in ["/livez", "/readyz", "/startupz"] {
        let status = ask(&router, probe, &[("host", "10-0-0-7.pod")]).await.status;
        assert!(!matches!(status.as_u16(), 401 | 421), "{probe}: {status}");
    }
}

#[tokio::test]
async fn a_name_that_is_not_ours_is_refused_with_or_without_a_token() {
    let named = AccessConfig { allow_hosts: vec!["gauge.example.org".to_owned()], ..AccessConfig::default() };
    let open = observer(named, "");
    for path in GUARDED {
        let page = ask(&open, path, &[("host", "rebound.example.org:7070")]).await;
        assert_eq!(page.status, StatusCode::MISDIRECTED_REQUEST, "{path}");
        assert!(page.html.contains("--allow-host") && !page.html.contains("ORDERS"), "{path}: {}", page.html);
    }
    for host in ["gauge.example.org", "localhost:7070", "127.0.0.1:7070", "[::1]:7070"] {
        assert_eq!(ask(&open, "/metrics", &[("host", host)]).await.status, StatusCode::OK, "{host}");
    }
    let bearer = format!("Bearer {TOKEN}");
    let page = ask(&locked(), "/", &[("host", "rebound.example.org"), ("authorization", &bearer)]).await;
    assert_eq!(page.status, StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn where_there_is_no_token_the_login_leads_to_the_pages() {
    let page = ask(&observer(AccessConfig::default(), ""), "/login?token=whatever", &[]).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    assert!(!page.headers.contains_key("set-cookie"));
}

/// A start takes a fraction of a second; this is for a machine that does much else.
const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn the_token_is_in_no_line_and_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, format!("{TOKEN}\n")).unwrap();
    // Nobody listens there: the pages are served all the same.
    let nats = ReservedPort::new();
    let nats = format!("nats://{}", nats.address());
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--nats", &nats, "--token-file", file.to_str().unwrap()];
    let observer = Process::start(&mut streamgauge(&arguments));
    let line = observer.line(LIMIT, "where the pages are", |line| line.contains("the pages are at")).await;
    let home = line.split("pages are at ").nth(1).unwrap().split(',').next().unwrap();
    let refused = http::get(home).await.unwrap();
    assert_eq!(refused.status, 401);
    assert_eq!(http::get(&format!("{home}livez")).await.unwrap().status, 200);
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("authorization", bearer.as_str())];
    for path in ["", "metrics", "api/v1/overview", "nowhere", "login?token=hush"] {
        let answer = http::get_with(&format!("{home}{path}"), &headers).await.unwrap();
        assert!(!answer.body.contains(TOKEN), "{path}: {}", answer.body);
    }
    let by_name = http::get_with(home, &[("host", "rebound.example.org"), headers[0]]).await.unwrap();
    assert_eq!(by_name.status, 421);
    let said = [observer.stdout(), observer.stderr()].concat();
    let lines = said.iter().filter(|line| line.contains(TOKEN) || line.contains(TOKEN_ENCODED)).count();
    assert_eq!(lines, 0, "{said:#?}");
}

#[test]
fn an_unfit_token_and_an_open_address_are_told_in_a_sentence() {
    let refusal = |arguments: &[&str]| {
        let output = streamgauge(&[&["serve"], arguments].concat()).output().unwrap();
        assert!(!output.status.success(), "{output:?}");
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let said = refusal(&["--listen", "127.0.0.1:0", "--token", "hush"]);
    assert!(said.contains("openssl rand") && !said.contains("hush"), "{said}");
    let said = refusal(&["--listen", "0.0.0.0:0"]);
    assert!(said.contains("--token-file") && said.contains("--insecure"), "{said}");
    let said = refusal(&["--token", "hush", "--token-file", "/nowhere"]);
    assert!(said.contains("cannot be used with") && !said.contains("hush"), "{said}");
}
