//! An error and its causes as one sentence, each said once.

use std::{error::Error, fmt};

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

    #[test]
    fn causes_follow_and_none_is_said_twice() {
        check(&["connecting to a:4222"], "connecting to a:4222");
        check(&["connecting to a:4222", "timed out"], "connecting to a:4222: timed out");
        check(&["publish: timed out", "timed out"], "publish: timed out");
    }
}
