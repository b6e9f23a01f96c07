//! Probes that the operator names for the observer to ask.

use std::str::FromStr;

use url::Url;

/// An address that answers whether a service is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeTarget {
    /// What it is called.
    pub name: String,
    /// What is asked.
    pub url: Url,
}

/// The longest name.
const NAME_MOST: usize = 64;

/// Reads `name=http://host:port/readyz`.
impl FromStr for ProbeTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, url) =
            text.split_once('=').ok_or("give a name and an address, such as mail=http://10.0.0.3/readyz")?;
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
        if name.is_empty() || name.len() > NAME_MOST || !name.chars().all(is_plain) {
            return Err(format!("`{name}` is no name: 1 to {NAME_MOST} letters, digits, `-`, `_` and `.`"));
        }
        let url = Url::parse(url).map_err(|error| format!("it is not an address: {error}"))?;
        if url.scheme() != "http" || !url.has_host() {
            return Err("it does not begin with http:// and a host: probes are asked in clear text".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it holds a login, and addresses of probes are shown".to_owned());
        }
        Ok(Self { name: name.to_owned(), url })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(&str, &str)>) {
        let read = text.parse::<ProbeTarget>().ok();
        let read = read.as_ref().map(|target| (target.name.as_str(), target.url.as_str()));
        assert_eq!(read, expected, "{text}");
    }

    #[test]
    fn a_probe_is_a_name_and_an_address_without_secrets() {
        check("mail=http://10.0.0.3:8080/readyz", Some(("mail", "http://10.0.0.3:8080/readyz")));
        check("a-1.b_c=http://[::1]/ready?x=1", Some(("a-1.b_c", "http://[::1]/ready?x=1")));
        let wrong = ["http://10.0.0.3/readyz", "=http://a/", "a b=http://a/", "a=https://a/", "a=file:///etc/passwd"];
        for text in wrong.into_iter().chain(["a=http://user:word@a/", "a=http://user@a/", "a=", "a=b"]) {
            check(text, None);
        }
    }
}
