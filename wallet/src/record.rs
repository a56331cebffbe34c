//! The records of the wallet file and their bytes: magic, length, borsh payload, CRC-32. A record is true from the
//! moment it is on disk; later ones refine earlier ones.

use std::io::{Error, ErrorKind, Read};

use borsh::{BorshDeserialize, BorshSerialize};
use rota_chain::codec::{bounded_bytes, decode, encoded_length};
use rota_chain::key::PublicKey;
use rota_chain::lock::{KeyHash, Lock};
use rota_chain::witness::MultisigKeys;
use zeroize::Zeroizing;

use crate::cipher::{Encryption, Sealed, Secret};

/// Most bytes of a label: a line of text.
pub const MAX_LABEL: u32 = 1_024;
/// Most bytes of a record: a label and 16 keys, with room.
pub const MAX_RECORD: u32 = 4_096;

const MAGIC: [u8; 4] = *b"RoWR";
/// Bytes around a payload: magic, length and checksum.
const FRAME: usize = 12;

/// A private key as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum StoredSecret {
    /// Readable: the wallet is not encrypted.
    Plain(Secret),
    /// Sealed under the master key.
    Sealed(Sealed),
}

/// A key of ours.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct KeyRecord {
    /// The public key.
    pub public_key: PublicKey,
    /// The private key.
    pub secret: StoredSecret,
    /// Unix seconds.
    pub created: u32,
    /// A spare key, not given out yet.
    pub spare: bool,
}

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Record {
    /// A private key.
    Key(KeyRecord),
    /// A spare key is given out.
    Taken {
        /// The key.
        key: KeyHash,
        /// Unix seconds.
        created: u32,
    },
    /// An address to watch.
    Watched {
        /// The address.
        lock: Lock,
        /// Unix seconds.
        created: u32,
    },
    /// A multisignature address.
    Multisig {
        /// Its keys.
        keys: MultisigKeys,
        /// Unix seconds.
        created: u32,
    },
    /// An address's label.
    Label {
        /// The address.
        lock: Lock,
        /// The text.
        #[borsh(deserialize_with = "bounded_text")]
        label: String,
    },
    /// From which block on an address's history is known; none for all of it.
    Start {
        /// The address.
        lock: Lock,
        /// The block.
        height: Option<u32>,
    },
    /// Secrets are sealed under the master key in here.
    Encryption(Encryption),
    /// A spare key is given out for change: known, not listed.
    Change {
        /// The key.
        key: KeyHash,
        /// Unix seconds.
        created: u32,
    },
}

fn bounded_text<R: Read>(reader: &mut R) -> Result<String, Error> {
    let bytes = bounded_bytes::<MAX_LABEL, R>(reader)?;
    String::from_utf8(bytes).map_err(|_| Error::new(ErrorKind::InvalidData, "label is not UTF-8"))
}

/// The bytes of records, wiped when dropped. Reserved in one piece, so that no copy of a secret is left behind.
pub fn frame(records: &[Record]) -> Zeroizing<Vec<u8>> {
    let room: usize = records.iter().map(|r| encoded_length(r) + FRAME).sum();
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    for record in records {
        let start = bytes.len();
        let length = u32::try_from(encoded_length(record)).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&length.to_le_bytes());
        record.serialize(&mut *bytes).expect("writing to memory does not fail");
        let sum = crc32fast::hash(bytes.get(start..).unwrap_or_default());
        bytes.extend_from_slice(&sum.to_le_bytes());
    }
    bytes
}

/// What stands at the start of some bytes.
#[derive(Debug)]
pub enum Framed {
    /// A record and its length with frame.
    Record(Box<Record>, usize),
    /// A sound frame around bytes that are no record of this version.
    Unknown(String),
    /// No sound frame: torn or damaged.
    Broken(&'static str),
}

/// Reads the record at the start of `bytes`.
pub fn read(bytes: &[u8]) -> Framed {
    let Some((head, rest)) = bytes.split_first_chunk::<8>() else {
        return Framed::Broken("ends inside a record's head");
    };
    let [a, b, c, d, length @ ..] = *head;
    if [a, b, c, d] != MAGIC {
        return Framed::Broken("no record begins here");
    }
    let length = u32::from_le_bytes(length);
    if length > MAX_RECORD {
        return Framed::Broken("a record is longer than any can be");
    }
    let length = length as usize;
    let Some((payload, rest)) = rest.split_at_checked(length) else {
        return Framed::Broken("ends inside a record");
    };
    let Some(sum) = rest.first_chunk::<4>() else {
        return Framed::Broken("ends inside a checksum");
    };
    let framed = bytes.get(..8 + length).unwrap_or_default();
    if crc32fast::hash(framed) != u32::from_le_bytes(*sum) {
        return Framed::Broken("a checksum does not match");
    }
    match decode::<Record>(payload) {
        Ok(record) => Framed::Record(Box::new(record), length + FRAME),
        Err(error) => Framed::Unknown(error.to_string()),
    }
}

/// Reads the record at the start of `bytes` and frames it again: the same bytes, if the form has one text a record.
///
/// # Errors
/// Why no record stands there.
pub fn reread(bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
    match read(bytes) {
        Framed::Record(record, _) => Ok(frame(&[*record])),
        Framed::Unknown(reason) => Err(reason),
        Framed::Broken(reason) => Err(reason.to_owned()),
    }
}

/// A framed record of each kind that holds no secret, to begin tests of the form from.
#[must_use]
pub fn samples() -> Vec<Vec<u8>> {
    let (key, lock, created) = (KeyHash([1; 20]), Lock::Key(KeyHash([2; 20])), 1_700_000_000);
    let records = [
        Record::Taken { key, created },
        Record::Watched { lock, created },
        Record::Label { lock, label: "label".to_owned() },
        Record::Start { lock, height: Some(3) },
        Record::Start { lock, height: None },
        Record::Change { key, created },
    ];
    records.into_iter().map(|record| frame(&[record]).to_vec()).collect()
}

/// Whether bytes that are no sound record have all of one, checksum included: a write that broke off leaves less, or
/// zeros at its end.
pub fn is_whole(bytes: &[u8]) -> bool {
    let length = bytes.strip_prefix(&MAGIC).and_then(|rest| rest.first_chunk::<4>());
    let Some(length) = length.map(|length| u32::from_le_bytes(*length)) else {
        return false;
    };
    let sum = (length <= MAX_RECORD).then(|| bytes.get(8 + length as usize..)).flatten();
    sum.and_then(|sum| sum.first_chunk::<4>()).is_some_and(|sum| *sum != [0; 4])
}

/// Whether a sound record stands anywhere in `bytes`: then what precedes it is damage, not a torn end.
pub fn any_record_in(bytes: &[u8]) -> bool {
    (0..bytes.len()).any(|at| {
        let tail = bytes.get(at..).unwrap_or_default();
        tail.starts_with(&MAGIC) && !matches!(read(tail), Framed::Broken(_))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn label(text: &str) -> Record {
        Record::Label { lock: Lock::Key(KeyHash([3; 20])), label: text.to_owned() }
    }

    #[test]
    fn framed_records_read_back() {
        let records = [label("a"), label(""), label(&"x".repeat(1_024))];
        let bytes = frame(&records);
        let mut rest = &bytes[..];
        for expected in records {
            let Framed::Record(record, length) = read(rest) else {
                unreachable!("a sound record");
            };
            assert_eq!(*record, expected);
            rest = &rest[length..];
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_noticed() {
        let bytes = frame(&[label("a label")]);
        for cut in 0..bytes.len() {
            assert!(matches!(read(&bytes[..cut]), Framed::Broken(_)), "{cut}");
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x40;
            assert!(matches!(read(&changed), Framed::Broken(_)), "{at}");
        }
    }

    #[test]
    fn the_longest_record_fits_the_limit() {
        let keys = MultisigKeys { required: 16, keys: vec![PublicKey([2; 33]); 16] };
        let multisig = Record::Multisig { keys, created: 0 };
        for record in [multisig, label(&"x".repeat(MAX_LABEL as usize))] {
            assert!(encoded_length(&record) <= MAX_RECORD as usize);
        }
    }
}
