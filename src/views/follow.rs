//! Which journey a page shows: a part of its address, so that what somebody found can be sent to somebody else.

use std::fmt;

use url::form_urlencoded;

use super::search::write_query;

/// Letters of the longest id that is looked for; what is longer is cut.
const ID_MOST: usize = 256;

/// An id to follow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Follow {
    /// The id of a message, of what messages belong to, or of a trace; empty before somebody gave one.
    pub id: String,
    /// Whether streams are searched from their newest message on, whatever is known of the time.
    pub is_from_newest: bool,
}

impl Follow {
    /// Follows an id.
    pub fn of(id: &str) -> Self {
        let id = id.trim().chars().filter(|letter| !letter.is_control()).take(ID_MOST).collect();
        Self { id, is_from_newest: false }
    }

    /// Reads the query of an address. What makes no sense in it is left out.
    pub fn of_query(query: &str) -> Self {
        let mut follow = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "id" => follow.id = Self::of(&value).id,
                "from" => follow.is_from_newest = value.trim() == "newest",
                _ => {}
            }
        }
        follow
    }

    /// The same with streams searched from their newest message on.
    pub(super) fn newest_first(&self) -> Self {
        Self { is_from_newest: true, ..self.clone() }
    }
}

/// The query with its question mark; nothing where nothing is followed.
impl fmt::Display for Follow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = if self.is_from_newest && !self.id.is_empty() { "newest" } else { "" };
        write_query(&[("id", &self.id), ("from", from)], f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, expected: &str) {
        let follow = Follow::of_query(query);
        assert_eq!(follow.to_string(), expected, "{query}");
        assert_eq!(Follow::of_query(expected.trim_start_matches('?')).to_string(), expected);
    }

    #[test]
    fn what_is_followed_is_written_in_one_way() {
        check("", "");
        check("id=", "");
        check("from=newest", "");
        check("from=newest&id=+a%26b%00+", "?id=a%26b&from=newest");
        check("from=oldest&id=a&x=y", "?id=a");
        check(&format!("id={}", "é".repeat(300)), &format!("?id={}", "%C3%A9".repeat(256)));
    }
}
