//! What a cursor's token holds, and its text. Whoever makes one up learns nothing and breaks nothing: every field is
//! checked against the list before it is used.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use borsh::{BorshDeserialize, BorshSerialize};
use rota_chain::codec::{decode, encode};
use rota_chain::hash::{BlockHash, sha256};

/// First byte of a token: another layout gets another number.
const VERSION: u8 = 1;
/// Bytes of a block's hash in a token: two blocks that agree in so many cannot be made on purpose.
const HASH_BYTES: usize = 16;

/// Names a list: method, and whatever chooses its entries and their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ListName([u8; 8]);

impl ListName {
    /// The list of a method that these parts choose.
    #[must_use]
    pub fn new(method: &str, parts: &[&[u8]]) -> ListName {
        ListName(short_hash(&encode(&(
            method.as_bytes().to_vec(),
            parts.iter().map(|part| part.to_vec()).collect::<Vec<_>>(),
        ))))
    }
}

/// First bytes of a hash that tells entries of one place, or lists, from each other.
#[must_use]
pub fn short_hash(bytes: &[u8]) -> [u8; 8] {
    sha256(bytes).first_chunk::<8>().copied().unwrap_or_default()
}

/// Where an entry stands on the chain. Lists in chain order ascend by it; entries that one operation brought share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct ChainPlace {
    /// Height of the block.
    pub height: u32,
    /// Index of the transaction in the block, or its first byte where a list ascends by that.
    pub index: u32,
    /// Index of the output.
    pub vout: u32,
    /// Index of the operation in the output.
    pub ordinal: u16,
}

impl ChainPlace {
    /// Behind everything in the block at a height.
    #[must_use]
    pub const fn end_of(height: u32) -> ChainPlace {
        ChainPlace { height, index: u32::MAX, vout: u32::MAX, ordinal: u16::MAX }
    }
}

/// First bytes of a block's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BlockMark([u8; HASH_BYTES]);

impl BlockMark {
    /// Of this block.
    #[must_use]
    pub fn of(hash: &BlockHash) -> BlockMark {
        BlockMark(hash.as_bytes().first_chunk::<HASH_BYTES>().copied().unwrap_or_default())
    }
}

/// Which order of arrival positions belong to: one database's, one subscription's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Origin {
    /// The mark of the database.
    pub database: u64,
    /// The number of the subscription.
    pub subscription: u32,
}

/// How far a list was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Reached {
    /// Nothing of it.
    Beginning,
    /// Up to an entry that stands on the chain.
    Chain {
        /// Where.
        place: ChainPlace,
        /// What tells it from others of the same place.
        check: [u8; 8],
        /// Its block.
        block: BlockMark,
        /// The position behind it, as it was then.
        position: u32,
    },
    /// Up to a position in an order that only grows.
    Arrival {
        /// Which order.
        origin: Origin,
        /// The position behind the last entry.
        position: u32,
        /// What tells the last entry from others.
        check: [u8; 8],
    },
}

/// A token, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Token {
    version: u8,
    /// The list it belongs to.
    pub list: ListName,
    /// How far.
    pub reached: Reached,
}

impl Token {
    /// A token of a list.
    #[must_use]
    pub const fn new(list: ListName, reached: Reached) -> Token {
        Token { version: VERSION, list, reached }
    }

    /// Its text: letters, digits, `-` and `_`.
    #[must_use]
    pub fn to_text(self) -> String {
        URL_SAFE_NO_PAD.encode(encode(&self))
    }

    /// Reads a text; none for whatever this version did not write.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Token> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        decode::<Token>(&bytes).ok().filter(|token| token.version == VERSION)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use rota_api::cursor::MAX_TOKEN;

    use super::*;

    fn tokens() -> Vec<Token> {
        let list = ListName::new("liststreamitems", &[b"stream", b"chain"]);
        let place = ChainPlace { height: 7, index: u32::MAX, vout: 3, ordinal: u16::MAX };
        let block = BlockMark::of(&BlockHash([9; 32]));
        let origin = Origin { database: u64::MAX, subscription: 4 };
        [
            Reached::Beginning,
            Reached::Chain { place, check: [5; 8], block, position: u32::MAX },
            Reached::Arrival { origin, position: 1, check: [1; 8] },
        ]
        .map(|reached| Token::new(list, reached))
        .to_vec()
    }

    #[test]
    fn a_token_is_read_as_it_was_written_and_fits_into_an_address_line() {
        for token in tokens() {
            let text = token.to_text();
            assert_eq!(Token::from_text(&text), Some(token));
            assert!(text.len() <= MAX_TOKEN / 2, "{} characters", text.len());
            assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{text}");
        }
    }

    #[test]
    fn the_text_of_a_token_does_not_change_from_version_to_version() {
        let texts: Vec<String> = tokens().into_iter().map(Token::to_text).collect();
        assert_eq!(
            texts,
            [
                "ASMUJinw6ov8AA",
                "ASMUJinw6ov8AQcAAAD_____AwAAAP__BQUFBQUFBQUJCQkJCQkJCQkJCQkJCQkJ_____w",
                "ASMUJinw6ov8Av__________BAAAAAEAAAABAQEBAQEBAQ",
            ]
        );
    }

    #[test]
    fn a_text_that_is_cut_longer_or_of_another_version_is_none() {
        for token in tokens() {
            let text = token.to_text();
            for cut in 0..text.len() {
                assert_eq!(Token::from_text(&text[..cut]), None, "{cut} characters");
            }
            assert_eq!(Token::from_text(&format!("{text}AAAA")), None);
            assert_eq!(Token::from_text(&format!("{text}=")), None);
            assert_eq!(Token::from_text(&format!(" {text}")), None);
            let other = Token { version: VERSION + 1, ..token };
            assert_eq!(Token::from_text(&other.to_text()), None);
        }
    }

    #[test]
    fn any_bytes_are_a_token_that_writes_itself_or_none() {
        use rand::{RngExt, SeedableRng};
        let mut chance = rand::rngs::StdRng::seed_from_u64(1);
        let mut read = 0;
        for round in 0..100_000usize {
            let mut bytes = encode(&tokens()[round % 3]);
            for _ in 0..chance.random_range(1..4) {
                let at = chance.random_range(0..bytes.len());
                bytes[at] = chance.random();
            }
            let text = URL_SAFE_NO_PAD.encode(&bytes);
            if let Some(token) = Token::from_text(&text) {
                assert_eq!(token.to_text(), text);
                read += 1;
            }
        }
        assert!(read > 1_000, "{read}");
    }

    #[test]
    fn lists_differ_by_method_and_by_every_part_wherever_it_is_cut() {
        let names = [
            ListName::new("a", &[]),
            ListName::new("b", &[]),
            ListName::new("a", &[b""]),
            ListName::new("a", &[b"xy"]),
            ListName::new("a", &[b"x", b"y"]),
            ListName::new("a", &[b"y", b"x"]),
            ListName::new("ax", &[b"y"]),
        ];
        for (at, one) in names.iter().enumerate() {
            assert!(names[..at].iter().all(|other| other != one), "{at}");
        }
    }
}
