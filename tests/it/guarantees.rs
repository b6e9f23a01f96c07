//! `docs/guarantees.md` promises nothing without a test: each row of its tables names tests, and each test that it names is there.

use std::{
    fs,
    path::{Path, PathBuf},
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A row of a table: what is promised, and the tests that show it.
#[derive(Debug, PartialEq, Eq)]
struct Promise<'a> {
    words: &'a str,
    tests: Vec<&'a str>,
}

#[test]
fn every_promise_names_tests_that_exist() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/guarantees.md")).unwrap();
    let promises = promises(&page);
    assert!(!promises.is_empty(), "the page promises something");
    let faults: Vec<_> = promises.iter().flat_map(faults).collect();
    assert!(faults.is_empty(), "docs/guarantees.md:\n{}\n", faults.join("\n"));
}

/// The rows of the page's tables; the last column names the tests.
fn promises(page: &str) -> Vec<Promise<'_>> {
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| Promise "));
    rows.filter_map(promise).collect()
}

fn promise(row: &str) -> Option<Promise<'_>> {
    let mut cells = row.trim_matches('|').split(" | ");
    let words = cells.next()?.trim();
    let tests = cells.last()?.split('`').skip(1).step_by(2).collect();
    Some(Promise { words, tests })
}

fn faults(promise: &Promise<'_>) -> Vec<String> {
    let words = promise.words;
    if promise.tests.is_empty() {
        return vec![format!("`{words}` names no test")];
    }
    let missing = promise.tests.iter().filter(|test| !exists(test));
    missing.map(|test| format!("`{words}` names {test}, which is no test that runs")).collect()
}

/// Whether a path as the test harness prints it is that of a test of this binary or of the library.
fn exists(test: &str) -> bool {
    let Some((module, name)) = test.rsplit_once("::") else { return false };
    files(module).iter().filter_map(|file| fs::read_to_string(file).ok()).any(|text| has_test(&text, name))
}

/// Where a module may stand: `library::worker` among these tests, `consumer::lease::tests` in the library.
fn files(module: &str) -> [PathBuf; 2] {
    let under =
        |folder: &str, module: &str| Path::new(ROOT).join(folder).join(module.replace("::", "/")).with_extension("rs");
    [under("tests/it", module), under("src", module.strip_suffix("::tests").unwrap_or(module))]
}

/// Whether the text has a test of that name that is not ignored.
fn has_test(text: &str, name: &str) -> bool {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let is_it = |line: &str| {
        line.trim_start_matches("async ")
            .strip_prefix("fn ")
            .and_then(|rest| rest.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with('('))
    };
    let Some(at) = lines.iter().position(|line| is_it(line)) else { return false };
    let attributes = || lines[..at].iter().rev().take_while(|line| line.starts_with('#'));
    let is_test = attributes().any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"));
    is_test && !attributes().any(|line| line.starts_with("#[ignore"))
}

#[test]
fn rows_are_read_with_the_tests_that_they_name() {
    let page =
        "# Title\n\n| Promise | How | Test |\n|---|---|---|\n| A | by b | `x::y` `x::z` |\n| B | somehow | later |\n";
    let expected = [Promise { words: "A", tests: vec!["x::y", "x::z"] }, Promise { words: "B", tests: vec![] }];
    assert_eq!(promises(page), expected);
    assert_eq!(faults(&expected[1]), ["`B` names no test"]);
    assert_eq!(faults(&expected[0]).len(), 2);
}

#[test]
fn a_test_is_known_by_its_attribute() {
    let check = |text: &str, expected: bool| assert_eq!(has_test(text, "it_holds"), expected, "{text}");
    check("#[test]\nfn it_holds() {}", true);
    check("    #[tokio::test(start_paused = true)]\n    async fn it_holds() {}", true);
    check("#[test]\n#[should_panic(expected = \"x\")]\nfn it_holds() {}", true);
    check("fn it_holds() {}", false);
    check("#[test]\nfn it_holds_too() {}", false);
    check("#[test]\n#[ignore = \"slow\"]\nfn it_holds() {}", false);
    check("#[test]\nfn other() {}\n\nfn it_holds() {}", false);
    assert!(exists("guarantees::a_test_is_known_by_its_attribute"));
    assert!(exists(
        "consumer::lease::tests::a_held_message_is_due_thrice_within_its_ack_wait_and_never_after_it_was_dropped"
    ));
}
