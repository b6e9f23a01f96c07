//! Pages as a reader gets them: asked for through the router, without a port, and read by CSS selector.

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode},
};
use scraper::{ElementRef, Html, Selector};
use tower::ServiceExt;

/// A page and what came with it.
#[derive(Debug, Clone)]
pub struct Page {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub html: String,
}

impl Page {
    /// Asks for a path.
    pub async fn of(router: &Router, path: &str) -> Self {
        Self::answering(router, Request::get(path).body(Body::empty()).expect("the path is one")).await
    }

    /// Sends any request.
    pub async fn answering(router: &Router, request: Request<Body>) -> Self {
        let Ok(answer) = router.clone().oneshot(request).await;
        let (parts, body) = answer.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("a page that is at hand is read to its end");
        let html = String::from_utf8(body.to_vec()).expect("a page is UTF-8");
        Self { status: parts.status, headers: parts.headers, html }
    }

    /// The text of every element that `css` selects, spaces squeezed as a browser shows them.
    pub fn texts(&self, css: &str) -> Vec<String> {
        self.each(css, |element| Some(squeezed(&element.text().collect::<String>())))
    }

    /// The text of the one element that `css` selects.
    #[track_caller]
    pub fn text(&self, css: &str) -> String {
        let mut texts = self.texts(css);
        assert_eq!(texts.len(), 1, "`{css}` should select one element of\n{}", self.html);
        texts.swap_remove(0)
    }

    /// The value of an attribute of every element that `css` selects and that has it.
    pub fn attributes(&self, css: &str, name: &str) -> Vec<String> {
        self.each(css, |element| element.attr(name).map(str::to_owned))
    }

    /// How many elements `css` selects.
    pub fn count(&self, css: &str) -> usize {
        self.each(css, |_| Some(())).len()
    }

    fn each<T>(&self, css: &str, read: impl Fn(ElementRef<'_>) -> Option<T>) -> Vec<T> {
        let selector = Selector::parse(css).unwrap_or_else(|error| panic!("`{css}` is no CSS selector: {error:?}"));
        Html::parse_document(&self.html).select(&selector).filter_map(read).collect()
    }
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use axum::{response::Html as Markup, routing::get};

    use super::*;

    const MARKUP: &str =
        "<main><h1>Two\n  streams</h1><ul><li class=ok>A</li><li class=bad title=stuck>B</li></ul></main>";

    #[tokio::test]
    async fn a_page_is_read_by_selector() {
        let router = Router::new().route("/", get(async || Markup(MARKUP)));
        let page = Page::of(&router, "/").await;
        assert_eq!(page.status, 200);
        assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
        assert_eq!(page.text("h1"), "Two streams");
        assert_eq!(page.texts("li"), ["A", "B"]);
        assert_eq!(page.attributes("li", "title"), ["stuck"]);
        assert_eq!(page.count("li.bad"), 1);
        assert_eq!(Page::of(&router, "/lost").await.status, 404);
    }
}
