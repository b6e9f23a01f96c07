//! The outbox: one line of JSON for each mail that was sent, as the log of a mail server.

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};

/// Orders whose mail may be asked for again: far more than a worker has under way.
const REMEMBERED: usize = 1_000;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Mail {
    pub(super) order_id: String,
    pub(super) to: String,
    pub(super) text: String,
}

/// The file, open for writing at its end.
#[derive(Debug)]
pub(super) struct Outbox {
    file: File,
    sent: VecDeque<String>,
}

impl Outbox {
    /// Opens the file, or makes it. A crash can tear the last line only; it is cut off, so that its mail is sent again.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        file.set_len(whole as u64)?;
        let mut outbox = Self { file, sent: VecDeque::new() };
        for line in text[..whole].lines() {
            outbox.remember(serde_json::from_str::<Mail>(line)?.order_id);
        }
        Ok(outbox)
    }

    /// Sends a mail, unless that of its order was sent; `true` if it was sent now.
    pub(super) fn send(&mut self, mail: &Mail) -> io::Result<bool> {
        if self.sent.contains(&mail.order_id) {
            return Ok(false);
        }
        let mut line = serde_json::to_vec(mail)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.remember(mail.order_id.clone());
        Ok(true)
    }

    fn remember(&mut self, order_id: String) {
        self.sent.push_back(order_id);
        if self.sent.len() > REMEMBERED {
            self.sent.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(order_id: &str) -> Mail {
        Mail { order_id: order_id.to_owned(), to: "ada".to_owned(), text: "done".to_owned() }
    }

    #[test]
    fn an_order_is_mailed_once_by_this_process_and_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox");
        let mut first = Outbox::open(&path).unwrap();
        assert!(first.send(&mail("1")).unwrap());
        assert!(!first.send(&mail("1")).unwrap());
        drop(first);
        let mut second = Outbox::open(&path).unwrap();
        assert!(!second.send(&mail("1")).unwrap());
        assert!(second.send(&mail("2")).unwrap());
    }

    #[test]
    fn a_torn_line_is_a_mail_that_was_not_sent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox");
        std::fs::write(&path, format!("{}\n{{\"order_id\":\"2\",\"t", serde_json::to_string(&mail("1")).unwrap()))
            .unwrap();
        let mut outbox = Outbox::open(&path).unwrap();
        assert!(!outbox.send(&mail("1")).unwrap());
        assert!(outbox.send(&mail("2")).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
    }
}
