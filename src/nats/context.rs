//! Contexts of the `nats` command line: named connection settings in the user's configuration folder.
//!
//! Convention: natscli keeps them as JSON in `$XDG_CONFIG_HOME/nats/context/<name>.json` (<https://github.com/nats-io/natscli>).

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::ConnectError;

/// What such a file says, as far as we use it. An empty text means that nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Context {
    #[serde(deserialize_with = "text")]
    pub(super) url: Option<String>,
    #[serde(deserialize_with = "text")]
    pub(super) user: Option<String>,
    #[serde(deserialize_with = "text")]
    pub(super) password: Option<String>,
    #[serde(deserialize_with = "text")]
    pub(super) token: Option<String>,
    #[serde(deserialize_with = "file")]
    pub(super) creds: Option<PathBuf>,
    #[serde(deserialize_with = "file")]
    pub(super) nkey: Option<PathBuf>,
    #[serde(deserialize_with = "file")]
    pub(super) ca: Option<PathBuf>,
    #[serde(deserialize_with = "file")]
    pub(super) cert: Option<PathBuf>,
    #[serde(deserialize_with = "file")]
    pub(super) key: Option<PathBuf>,
    #[serde(deserialize_with = "text")]
    pub(super) inbox_prefix: Option<String>,
}

impl Context {
    /// Reads the context called `name`.
    pub(super) fn read(name: &str) -> Result<Self, ConnectError> {
        let path = folder().join(format!("{name}.json"));
        let fail = |source| ConnectError::File { what: "the nats context", path: path.clone(), source };
        if Path::new(name).components().count() != 1 {
            return Err(fail(io::Error::new(io::ErrorKind::InvalidInput, "a context's name is not a path")));
        }
        let text = fs::read_to_string(&path).map_err(fail)?;
        serde_json::from_str(&text).map_err(|error| fail(error.into()))
    }
}

fn folder() -> PathBuf {
    let home = || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".config");
    env::var_os("XDG_CONFIG_HOME").map_or_else(home, PathBuf::from).join("nats/context")
}

fn text<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.filter(|text| !text.is_empty()))
}

fn file<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
    Ok(text(from)?.map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_context_leaves_empty_is_not_said() {
        let context: Context =
            serde_json::from_str(r#"{"description":"x","url":"nats://a","user":"","creds":"a.creds","nsc":""}"#)
                .unwrap();
        let expected = Context { url: Some("nats://a".into()), creds: Some("a.creds".into()), ..Context::default() };
        assert_eq!(context, expected);
    }

    #[test]
    fn a_context_that_does_not_exist_is_named_with_its_path() {
        let error = Context::read("no-such-context").unwrap_err().to_string();
        assert!(error.contains("nats/context/no-such-context.json"), "{error}");
        assert!(Context::read("../x").is_err());
    }
}
