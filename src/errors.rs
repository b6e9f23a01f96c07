//! Errors in words: an error and its causes as one sentence, each said once, and a reason cut to a line that may travel with its message.

use std::{error::Error, fmt};

/// A reason may be this long, in characters. An error can quote a whole payload, and a reason goes where no payload fits: into the server's
/// advisory, into headers and into the log.
const REASON_MAX: usize = 500;

/// The text on one line of at most 500 characters.
pub(crate) fn brief(text: String) -> String {
    one_line(text, REASON_MAX)
}

/// The text on one line of at most so many characters; what is cut off is told by an ellipsis.
pub(crate) fn one_line(text: String, most: usize) -> String {
    let is_long = text.chars().nth(most).is_some();
    if !is_long && !text.contains(char::is_control) {
        return text;
    }
    let kept = if is_long { most.saturating_sub(1) } else { most };
    let line = text.chars().take(kept).map(|c| if c.is_control() { ' ' } else { c });
    line.chain(is_long.then_some('…')).collect()
}

/// The last cause: what the layers above it add is often that something was asked.
#[cfg(feature = "dashboard")]
pub(crate) fn innermost(error: &dyn Error) -> &dyn Error {
    std::iter::successors(Some(error), |error| (**error).source()).last().unwrap_or(error)
}

/// Shows an error followed by its causes, separated by colons; a cause that the text so far already says is left out.
#[derive(Debug)]
pub struct ErrorChain<'a>(pub &'a (dyn Error + 'a));

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        let mut next = self.0.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            if !said.contains(&text) {
                said.push_str(": ");
                said.push_str(&text);
            }
            next = cause.source();
        }
        f.write_str(&said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<Box<Layer>>,
    }

    fn check(texts: &[&'static str], expected: &str) {
        let error = texts.iter().rev().fold(None, |source, text| Some(Box::new(Layer { text, source }))).unwrap();
        assert_eq!(ErrorChain(error.as_ref()).to_string(), expected);
    }

    #[track_caller]
    fn check_brief(text: &str, expected: &str) {
        assert_eq!(brief(text.to_owned()), expected);
    }

    #[test]
    fn a_reason_is_one_line_and_not_long() {
        check_brief("no room", "no room");
        check_brief("no room:\r\n\tx", "no room:   x");
        check_brief(&"é".repeat(500), &"é".repeat(500));
        check_brief(&"é".repeat(501), &format!("{}…", "é".repeat(499)));
        check_brief(&"\n".repeat(900_000), &format!("{}…", " ".repeat(499)));
    }

    #[test]
    fn causes_follow_and_none_is_said_twice() {
        check(&["connecting to a:4222"], "connecting to a:4222");
        check(&["connecting to a:4222", "timed out"], "connecting to a:4222: timed out");
        check(&["publish: timed out", "timed out"], "publish: timed out");
    }
}
