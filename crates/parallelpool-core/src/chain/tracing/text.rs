//! JSON text in pieces, bounded.
//!
//! In: what tracers write. Out: pieces that can be sent and dropped one by one. What is beyond the bound is not
//! kept, and the text says that it is full.

use std::fmt;

use crate::primitives::{Address, B256, U256};

/// Bytes of a piece, about.
const PIECE: usize = 256 * 1024;

/// A text in the making.
#[derive(Debug)]
pub(crate) struct Text {
    pieces: Vec<Vec<u8>>,
    length: usize,
    limit: usize,
    is_full: bool,
}

impl Text {
    /// An empty text of at most so many bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { pieces: Vec::new(), length: 0, limit, is_full: false }
    }

    /// Whether something was left out.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// Adds some text.
    pub(super) fn push(&mut self, text: &str) {
        self.length += text.len();
        self.is_full |= self.length > self.limit;
        if self.is_full {
            return;
        }
        match self.pieces.last_mut() {
            Some(piece) if piece.len() + text.len() <= PIECE => piece.extend_from_slice(text.as_bytes()),
            _ => self.pieces.push(text.as_bytes().to_vec()),
        }
    }

    /// Adds another text, which was bounded by itself.
    pub(super) fn append(&mut self, other: Self) {
        self.length += other.length;
        self.is_full |= other.is_full || self.length > self.limit;
        if !self.is_full {
            self.pieces.extend(other.pieces);
        }
    }

    /// Adds bytes as hex in quotes.
    pub(super) fn data(&mut self, data: &[u8]) {
        if self.length + 2 * data.len() > self.limit {
            // Not even made.
            self.is_full = true;
            return;
        }
        self.push(&format!("\"0x{}\"", hex::encode(data)));
    }

    /// Adds a number as hex in quotes.
    pub(super) fn quantity(&mut self, value: U256) {
        self.push(&format!("\"{value:#x}\""));
    }

    /// Adds words in quotes.
    pub(super) fn words(&mut self, words: &str) {
        self.push(&serde_json::Value::from(words).to_string());
    }

    /// Adds items with commas between them.
    pub(super) fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        for (place, item) in items.into_iter().enumerate() {
            if place > 0 {
                self.push(",");
            }
            write(self, item);
        }
    }

    /// The pieces; whoever takes them has asked whether it is full.
    pub(super) fn into_pieces(self) -> Vec<Vec<u8>> {
        self.pieces
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        Ok(())
    }
}

/// An object in the making.
pub(super) struct Object<'a> {
    text: &'a mut Text,
    is_empty: bool,
}

impl<'a> Object<'a> {
    pub(super) fn begin(text: &'a mut Text) -> Self {
        text.push("{");
        Self { text, is_empty: true }
    }

    pub(super) fn end(self) {
        self.text.push("}");
    }

    /// Begins a member; its value is to follow.
    pub(super) fn member(&mut self, name: &str) -> &mut Text {
        let comma = if std::mem::take(&mut self.is_empty) { "" } else { "," };
        self.text.push(&format!("{comma}\"{name}\":"));
        self.text
    }

    pub(super) fn data(&mut self, name: &str, data: &[u8]) {
        self.member(name).data(data);
    }

    pub(super) fn address(&mut self, name: &str, address: &Address) {
        self.member(name).data(address.as_slice());
    }

    pub(super) fn hash(&mut self, name: &str, hash: Option<B256>) {
        match hash {
            Some(hash) => self.member(name).data(hash.as_slice()),
            None => self.member(name).push("null"),
        }
    }

    pub(super) fn quantity(&mut self, name: &str, value: U256) {
        self.member(name).quantity(value);
    }

    pub(super) fn number(&mut self, name: &str, value: u64) {
        self.member(name).push(&value.to_string());
    }

    pub(super) fn words(&mut self, name: &str, words: &str) {
        self.member(name).words(words);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(text: Text) -> String {
        String::from_utf8(text.into_pieces().concat()).expect("only text goes in")
    }

    #[test]
    fn a_text_is_its_pieces_joined() {
        let mut text = Text::new(usize::MAX);
        let mut expected = String::new();
        for number in 0..100_000 {
            let word = format!("{number},");
            text.push(&word);
            expected += &word;
        }
        assert_eq!(text.length, expected.len());
        assert!(text.pieces.len() > 1);
        assert_eq!(joined(text), expected);
    }

    #[test]
    fn what_is_beyond_the_bound_is_not_kept() {
        let mut text = Text::new(10);
        text.push("0123456789");
        assert!(!text.is_full());
        text.push("x");
        assert!(text.is_full());
        assert_eq!(text.pieces.concat().len(), 10);
        let mut hex = Text::new(10);
        hex.data(&[1; 100]);
        assert!(hex.is_full());
    }

    #[test]
    fn members_are_written_as_json() {
        let mut text = Text::new(usize::MAX);
        let mut object = Object::begin(&mut text);
        object.number("n", 1);
        object.quantity("q", U256::from(255));
        object.data("d", &[1, 2]);
        object.hash("h", None);
        object.words("w", "a \"b\"");
        object.end();
        assert_eq!(joined(text), r#"{"n":1,"q":"0xff","d":"0x0102","h":null,"w":"a \"b\""}"#);
    }
}
