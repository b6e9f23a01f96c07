//! Rust source as far as the rules of the house need it: the names that a file mentions, and which of its lines are tests.
//!
//! It reads tokens and no grammar, so it knows nothing of types; comments, strings and lifetimes are out of its way first.

use std::ops::RangeInclusive;

/// A word, `::`, or any other single character that is not space; text in quotes is left out.
#[derive(Debug, Clone, PartialEq)]
struct Token {
    text: String,
    line: usize,
}

/// A path of at least one name as the file writes it, a group in braces taken apart: `use a::{b, c::d}` is two.
#[derive(Debug, Clone, PartialEq)]
pub struct Mention {
    /// The names from the crate's root on, or from an outside crate on.
    pub names: Vec<String>,
    /// How the path begins.
    pub start: Start,
    /// Whether others can reach it by this file's name for it: `pub use`, `pub type`.
    pub is_public: bool,
    /// The line that it begins on.
    pub line: usize,
}

/// How a path begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the crate's root, by `crate::`.
    Root,
    /// At the crate's root, by more `super::` than there are modules around.
    Above,
    /// In this module or in one that is around it.
    Here,
    /// With any other name: an outside crate, an import, a type.
    Name,
}

/// Every path that `text` mentions; `module` is where the file stands, such as `["views", "overview"]`.
pub fn mentions(module: &[&str], text: &str) -> Vec<Mention> {
    let tokens = tokens(text);
    let mut reader = Reader { tokens: &tokens, at: 0, around: Vec::new(), depth: 0, base: module, found: Vec::new() };
    while reader.at < tokens.len() {
        reader.step();
    }
    reader.found
}

/// How many lines of `text` are not inside a module of tests.
pub fn code_lines(text: &str) -> usize {
    let tokens = tokens(text);
    let tests: usize = (0..tokens.len()).filter_map(|at| tests_at(&tokens, at)).map(|lines| lines.count()).sum();
    text.lines().count() - tests
}

/// The lines of the module whose `mod` stands at `at`, if it is compiled for tests only.
fn tests_at(tokens: &[Token], at: usize) -> Option<RangeInclusive<usize>> {
    let begins = tokens[at].text == "mod" && tokens.get(at + 2)?.text == "{";
    let ends_item = |token: &Token| matches!(token.text.as_str(), ";" | "{" | "}");
    let start = tokens[..at].iter().rposition(ends_item).map_or(0, |end| end + 1);
    let says = |word: &str| tokens[start..at].iter().any(|token| token.text == word);
    (begins && says("cfg") && says("test")).then(|| tokens[start].line..=closing_line(&tokens[at + 2..]))
}

/// The line of the brace that closes the one that `tokens` begin with.
fn closing_line(tokens: &[Token]) -> usize {
    let mut depth = 0;
    for token in tokens {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return token.line;
        }
    }
    tokens.last().map_or(0, |token| token.line)
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    /// The inline modules around this place, each with the depth of braces outside it.
    around: Vec<(&'a str, usize)>,
    depth: usize,
    base: &'a [&'a str],
    found: Vec<Mention>,
}

impl<'a> Reader<'a> {
    fn text(&self, at: usize) -> &'a str {
        self.tokens.get(at).map_or("", |token| token.text.as_str())
    }

    fn before(&self, by: usize) -> &'a str {
        self.at.checked_sub(by).map_or("", |at| self.text(at))
    }

    fn step(&mut self) {
        match self.text(self.at) {
            "{" => self.depth += 1,
            "}" => self.close(),
            "mod" if self.text(self.at + 2) == "{" => self.around.push((self.text(self.at + 1), self.depth)),
            // `use<'a>` says which lifetimes a returned type holds and imports nothing.
            "use" if self.text(self.at + 1) != "<" => return self.import(),
            "type" if self.before(1) == "pub" || self.before(1) == ")" => return self.alias(),
            name if is_name(name) && self.begins_path() => return self.path(false),
            _ => {}
        }
        self.at += 1;
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if self.around.last().is_some_and(|(_, outside)| *outside == self.depth) {
            self.around.pop();
        }
    }

    /// A name that `::` follows, and that continues no path itself.
    fn begins_path(&self) -> bool {
        let continues = self.before(1) == "::" && (is_name(self.before(2)) || self.before(2) == ">");
        self.text(self.at + 1) == "::" && !continues
    }

    /// `pub type X = a::b;` gives what it stands for a second name, as `pub use` does.
    fn alias(&mut self) {
        while !matches!(self.text(self.at), "=" | ";" | "") {
            self.at += 1;
        }
        while !matches!(self.text(self.at), ";" | "") {
            if is_name(self.text(self.at)) && self.begins_path() {
                self.path(true);
            } else {
                self.at += 1;
            }
        }
    }

    fn path(&mut self, is_public: bool) {
        let line = self.tokens[self.at].line;
        let mut names = vec![self.text(self.at)];
        self.at += 1;
        while self.text(self.at) == "::" && is_name(self.text(self.at + 1)) {
            names.push(self.text(self.at + 1));
            self.at += 2;
        }
        self.record(&names, is_public, line);
    }

    fn import(&mut self) {
        let is_public = matches!(self.before(1), "pub" | ")");
        self.at += 1;
        self.tree(&mut Vec::new(), is_public);
    }

    /// Reads `a::b`, `a::{b, c}`, `a::*` or `a as b` after what `prefix` already says.
    fn tree(&mut self, prefix: &mut Vec<&'a str>, is_public: bool) {
        let known = prefix.len();
        let line = self.tokens.get(self.at).map_or(0, |token| token.line);
        loop {
            match self.text(self.at) {
                "::" => {}
                "{" => {
                    self.group(prefix, is_public);
                    break;
                }
                "as" => self.at += 1,
                // The `self` of a group means what stands before the group.
                "self" if !prefix.is_empty() => {}
                name if is_name(name) || name == "*" => prefix.push(name),
                _ => {
                    self.record(prefix, is_public, line);
                    break;
                }
            }
            self.at += 1;
        }
        prefix.truncate(known);
    }

    fn group(&mut self, prefix: &mut Vec<&'a str>, is_public: bool) {
        self.at += 1;
        while !matches!(self.text(self.at), "}" | "") {
            match self.text(self.at) {
                "," => self.at += 1,
                _ => self.tree(prefix, is_public),
            }
        }
        self.at += 1;
    }

    fn record(&mut self, names: &[&str], is_public: bool, line: usize) {
        let module: Vec<&str> = self.base.iter().copied().chain(self.around.iter().map(|(name, _)| *name)).collect();
        let supers = names.iter().skip_while(|name| **name == "self").take_while(|name| **name == "super").count();
        let (start, kept) = match names.first() {
            None => return,
            Some(&"crate") => (Start::Root, Vec::new()),
            Some(&("self" | "super")) if supers >= module.len().max(1) => (Start::Above, Vec::new()),
            Some(&("self" | "super")) => (Start::Here, module[..module.len() - supers].to_vec()),
            Some(_) => (Start::Name, Vec::new()),
        };
        let rest = names.iter().copied().skip_while(|name| matches!(*name, "crate" | "self" | "super"));
        let names = kept.into_iter().chain(rest).map(str::to_owned).collect();
        self.found.push(Mention { names, start, is_public, line });
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn tokens(text: &str) -> Vec<Token> {
    let mut rest = text;
    let mut line = 1;
    let mut found = Vec::new();
    while let Some(first) = rest.chars().next() {
        let (length, is_kept) = match first {
            _ if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), false),
            _ if rest.starts_with("/*") => (comment_length(rest), false),
            _ if rest.starts_with("::") => (2, true),
            '"' => (quoted_length(rest), false),
            '\'' => (quote_length(rest), false),
            c if c.is_alphanumeric() || c == '_' => word_length(rest),
            c => (c.len_utf8(), !c.is_whitespace()),
        };
        if is_kept {
            found.push(Token { text: rest[..length].trim_start_matches("r#").to_owned(), line });
        }
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    found
}

/// Comments of this kind nest.
fn comment_length(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// A text in double quotes, in which a backslash takes the next character with it.
fn quoted_length(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => _ = chars.next(),
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// A character in quotes, or the tick of a lifetime.
fn quote_length(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((escaped, _))) => {
            let after = escaped + text[escaped..].chars().next().map_or(0, char::len_utf8);
            text[after..].find('\'').map_or(text.len(), |end| after + end + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

/// A word, or the text in quotes that a prefix such as `b` or `r#` begins.
fn word_length(text: &str) -> (usize, bool) {
    let name = |text: &str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let word = name(text);
    let hashes = text[word..].bytes().take_while(|byte| *byte == b'#').count();
    let after = &text[word + hashes..];
    match &text[..word] {
        "r" | "br" | "cr" if after.starts_with('"') => {
            let end = format!("\"{}", "#".repeat(hashes));
            let inside = after[1..].find(&end).map_or(after.len(), |at| 1 + at + end.len());
            (word + hashes + inside, false)
        }
        "r" if hashes == 1 => (word + 1 + name(after), true),
        "b" | "c" if hashes == 0 && after.starts_with('"') => (word + quoted_length(after), false),
        "b" if hashes == 0 && after.starts_with('\'') => (word + quote_length(after), false),
        _ => (word, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<String> = mentions(&["views", "overview"], text).iter().map(shown).collect();
        assert_eq!(found, expected, "{text}");
    }

    fn shown(mention: &Mention) -> String {
        let start = match mention.start {
            Start::Root => "crate::",
            Start::Above => "above::",
            Start::Here => "here::",
            Start::Name => "",
        };
        let public = if mention.is_public { "pub " } else { "" };
        format!("{public}{start}{}", mention.names.join("::"))
    }

    #[test]
    fn an_import_is_taken_apart() {
        check("use crate::web;", &["crate::web"]);
        check(
            "use crate::{web, bus::{self, settle as s}, name::*};",
            &["crate::web", "crate::bus", "crate::bus::settle", "crate::name::*"],
        );
        check("pub use axum::Router;", &["pub axum::Router"]);
        check("pub(crate) use axum as web;", &["pub axum"]);
        check("use ::axum::Router;", &["axum::Router"]);
        check("use {axum::Router, crate::web::{Page}};", &["axum::Router", "crate::web::Page"]);
        check("fn f() -> impl Sized + use<'a, T> { web() }", &[]);
    }

    #[test]
    fn a_path_in_code_counts_as_well() {
        check("fn f(x: crate::web::Page) -> axum::Router { x.y() }", &["crate::web::Page", "axum::Router"]);
        check("let x = <crate::web::Page as Trait>::new();", &["crate::web::Page"]);
        check("#[derive(clap::Parser)] struct A;", &["clap::Parser"]);
        check("pub type Client = async_nats::Client;", &["pub async_nats::Client"]);
        check("macro_rules! m { () => { $crate::web::f() } }", &["crate::web::f"]);
        check("let x = ::axum::serve();", &["axum::serve"]);
    }

    #[test]
    fn super_is_followed_through_the_modules_around() {
        check("use super::format;", &["here::views::format"]);
        check("use super::super::web;", &["above::web"]);
        check("use self::parts::x;", &["here::views::overview::parts::x"]);
        check(
            "mod tests { use super::*; mod deep { fn f() { super::super::g() } } }",
            &["here::views::overview::*", "here::views::overview::g"],
        );
        check("mod a { fn f() {} } use super::super::web;", &["above::web"]);
    }

    #[test]
    fn comments_and_texts_mention_nothing() {
        check("// crate::web\n/* crate::web /* axum::x */ crate::bus */ //! axum::y", &[]);
        check(r##"f("crate::web \" axum::x", r#"axum::"y" "#, b"axum::z", r"\", '"', b'"', '\'', '\u{41}')"##, &[]);
        check("fn f<'a>(x: &'a str) -> crate::web::P<'a> {}", &["crate::web::P"]);
    }

    #[test]
    fn lines_inside_a_module_of_tests_are_not_code() {
        assert_eq!(code_lines("//! x\nfn f() {}\n\n#[cfg(test)]\nmod tests {\n    fn g() { }\n}\n"), 3);
        assert_eq!(code_lines("#[cfg(test)]\nmod a {\n}\nfn f() {}\n#[cfg(test)]\nmod b {\n}\nfn g() {}\n"), 2);
        assert_eq!(code_lines("#[cfg(all(test, feature = \"mesh\"))]\n#[expect(x)]\nmod a {\n}\n"), 0);
        assert_eq!(code_lines("#[cfg(test)]\nfn helper() {}\nmod a {\n}\n"), 4);
    }
}
