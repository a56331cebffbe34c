//! Private notes of this wallet's transactions: the comments of calls that take some. Never on the chain.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use rota_chain::hash::Txid;
use serde_json::{Value, json};

use crate::context::Context;

/// Most bytes of one note.
const NOTE_BYTES: usize = 4_096;
/// Bytes of all notes: about a hundred thousand short ones, read whole by the calls that show them.
const NOTES_BYTES: u64 = 16 << 20;

/// The notes of a transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// What it is for; may be empty.
    pub comment: String,
    /// Whom it is for; may be empty.
    pub to: String,
}

fn path(ctx: &Context) -> PathBuf {
    ctx.directory.wallet().join("notes.jsonl")
}

/// Keeps the notes of a transaction, if there are any. The transaction is on its way already: a note that cannot be
/// kept is a line in the log, no error.
pub async fn keep(ctx: &Context, txid: &Txid, comment: &str, to: &str) {
    if comment.is_empty() && to.is_empty() {
        return;
    }
    if comment.len().max(to.len()) > NOTE_BYTES {
        tracing::warn!(%txid, "a note of more than {NOTE_BYTES} bytes is not kept");
        return;
    }
    let path = path(ctx);
    let line = format!("{}\n", json!({"txid": txid.to_string(), "comment": comment, "to": to}));
    let kept = match tokio::task::spawn_blocking(move || append(&path, &line)).await {
        Ok(kept) => kept,
        Err(error) => Err(io::Error::other(error)),
    };
    if let Err(error) = kept {
        tracing::warn!(%txid, %error, "a note cannot be kept");
    }
}

fn append(path: &std::path::Path, line: &str) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|file| file.len() >= NOTES_BYTES) {
        return Err(io::Error::other(format!("{} has reached {NOTES_BYTES} bytes", path.display())));
    }
    OpenOptions::new().create(true).append(true).open(path)?.write_all(line.as_bytes())
}

/// All notes. A line that cannot be read, such as one cut short, is passed over.
#[must_use]
pub fn all(ctx: &Context) -> HashMap<Txid, Note> {
    fs::read_to_string(path(ctx)).map_or_else(|_| HashMap::new(), |text| text.lines().filter_map(read).collect())
}

fn read(line: &str) -> Option<(Txid, Note)> {
    let value: Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Some((text("txid").parse().ok()?, Note { comment: text("comment"), to: text("to") }))
}

/// Puts a transaction's notes into its wallet form, behind the time of receipt.
pub fn show(notes: &HashMap<Txid, Note>, txid: &Txid, shown: &mut Value) {
    let (Some(note), Value::Object(members)) = (notes.get(txid), shown) else { return };
    let at = members.keys().position(|name| name == "timereceived").map_or(members.len(), |at| at + 1);
    if !note.to.is_empty() {
        members.shift_insert(at, "to".to_owned(), Value::from(note.to.as_str()));
    }
    if !note.comment.is_empty() {
        members.shift_insert(at, "comment".to_owned(), Value::from(note.comment.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_shown_behind_the_time_of_receipt() {
        let txid = Txid([7; 32]);
        let note = Note { comment: "rent".to_owned(), to: "Ada".to_owned() };
        let mut shown = json!({"txid": "x", "timereceived": 5, "hex": "00"});
        show(&HashMap::from([(txid, note)]), &txid, &mut shown);
        let expected = r#"{"txid":"x","timereceived":5,"comment":"rent","to":"Ada","hex":"00"}"#;
        assert_eq!(shown.to_string(), expected);
    }

    #[test]
    fn a_line_cut_short_is_passed_over() {
        let line = json!({"txid": "07".repeat(32), "comment": "a\nb", "to": ""}).to_string();
        assert_eq!(read(&line).map(|(_, note)| note.comment), Some("a\nb".to_owned()));
        assert_eq!(read(line.get(..30).unwrap_or_default()), None);
    }
}
