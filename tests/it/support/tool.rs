//! Programs that only some tests need: a test without its tool is skipped aloud, and fails where all tools must be there.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
};

/// `make test` clears this file first and prints it last.
const SKIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/skipped.txt");

/// The program of that name, or `None` after noting that `test` is skipped for want of it.
///
/// # Panics
/// If it is absent under `CI=true`.
pub fn tool(name: &str, test: &str) -> Option<PathBuf> {
    let found = on_path(name);
    if found.is_none() {
        skip(&format!("{test}: `{name}` is not installed"));
    }
    found
}

/// Notes that a test is skipped, and why.
///
/// # Panics
/// Under `CI=true`, where a skipped test would be a hole that nobody sees.
pub fn skip(reason: &str) {
    assert!(env::var("CI").as_deref() != Ok("true"), "{reason}; `make ci-tools`, as root, brings what is missing");
    do_without(reason);
}

/// Notes that a test is skipped for want of what `make ci-tools` brings where it can, and could not bring here.
pub fn do_without(reason: &str) {
    note(Path::new(SKIPPED), reason);
}

/// The first program of that name on PATH.
pub fn on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn note(file: &Path, line: &str) {
    println!("skipped: {line}");
    fs::create_dir_all(file.parent().expect("the file lies in a folder")).expect("target can be written");
    let mut file = fs::OpenOptions::new().create(true).append(true).open(file).expect("target can be written");
    // One write a line, so that tests that run at once do not mix theirs.
    file.write_all(format!("{line}\n").as_bytes()).expect("target can be written");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_by_its_name() {
        assert!(on_path("sh").is_some());
        assert_eq!(on_path("no-program-has-this-name"), None);
    }

    #[test]
    fn skipped_tests_are_listed_line_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("target/skipped.txt");
        note(&file, "rules: `promtool` is not installed");
        note(&file, "pages: `chromium` is not installed");
        let expected = "rules: `promtool` is not installed\npages: `chromium` is not installed\n";
        assert_eq!(fs::read_to_string(&file).unwrap(), expected);
    }
}
