//! The decoders under test, each with what holds whatever it is given. A check that fails panics; the trial catches it.

mod file;
mod object;
mod peer;
mod rpc;

pub(crate) use file::CHAIN;

use std::hash::{DefaultHasher, Hash, Hasher as _};

use borsh::{BorshDeserialize, BorshSerialize};
use rota_chain::codec::{decode, encode};

/// What kind of answer a decoder gave: inputs that get the same kind are taken for alike.
pub type Kind = u64;

/// One decoder.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, and that of its folder of inputs.
    pub name: &'static str,
    /// Words of its language, to be put into inputs.
    pub words: &'static [&'static str],
    /// Gives it an input.
    pub run: fn(&[u8]) -> Kind,
}

impl Target {
    const fn new(name: &'static str, run: fn(&[u8]) -> Kind) -> Target {
        Target { name, words: &[], run }
    }

    const fn speaking(self, words: &'static [&'static str]) -> Target {
        Target { words, ..self }
    }
}

/// Every target.
pub fn targets() -> impl Iterator<Item = &'static Target> {
    [object::TARGETS, peer::TARGETS, file::TARGETS, rpc::TARGETS].into_iter().flatten()
}

/// The target of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Target> {
    targets().find(|target| target.name == name)
}

fn kind(of: impl Hash) -> Kind {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// The kind of what was read from `length` bytes: about how many there were.
fn read(length: usize) -> Kind {
    kind(("read", length.checked_ilog2()))
}

/// The kind of a refusal: its sentence without numbers and quoted text, and about where it was made.
fn refused(sentence: &str, place: usize) -> Kind {
    let mut shape = String::with_capacity(sentence.len());
    let mut quoted = false;
    for letter in sentence.chars() {
        match letter {
            '"' => quoted = !quoted,
            letter if quoted || letter.is_ascii_digit() => {}
            letter => shape.push(letter),
        }
    }
    let place = if place < 32 { place } else { 32 + place.ilog2() as usize };
    kind(("refused", shape.chars().take(60).collect::<String>(), place))
}

/// Canonical bytes: what decodes encodes to the same bytes, and nothing may follow.
fn canonical<T: BorshSerialize + BorshDeserialize>(bytes: &[u8]) -> Kind {
    match decode::<T>(bytes) {
        Ok(value) => {
            assert!(encode(&value) == bytes, "decoded and encoded again, the bytes are others");
            read(bytes.len())
        }
        Err(error) => {
            let mut rest = bytes;
            // How far it came before it failed guides the search into the depth of the value.
            let _ = T::deserialize(&mut rest);
            refused(&error.0, (bytes.len() - rest.len()) / 8)
        }
    }
}

/// The input as text, what is no UTF-8 replaced: text reaches these decoders as such.
fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
