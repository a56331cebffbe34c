//! How inputs are changed: bits, numbers, lengths, cuts, joins, words of the target's language.

use crate::random::Random;

/// Longest input, in bytes: what is larger than this only takes longer.
pub const MAX_INPUT: usize = 16 << 10;
/// Most changes to one input.
const MOST_CHANGES: usize = 6;
/// Numbers at which programs err.
const EDGES: [u64; 14] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX,
];

/// A changed copy of `input`; pieces may come from `other`, words from `words`.
#[must_use]
pub fn changed(input: &[u8], other: &[u8], words: &[&str], random: &mut Random) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.index(MOST_CHANGES) {
        change(&mut bytes, other, words, random);
    }
    bytes.truncate(MAX_INPUT);
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], words: &[&str], random: &mut Random) {
    let at = random.index(bytes.len() + 1);
    match random.index(12) {
        0 | 1 => {
            let bit = random.index(8);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
        2 => {
            let new = random.byte();
            if let Some(byte) = bytes.get_mut(at) {
                *byte = new;
            }
        }
        3 => put_number(bytes, at, random),
        4 => add_to_number(bytes, at, random),
        5 => bytes.truncate(at),
        6 => {
            let end = at + random.index(bytes.len() - at + 1);
            bytes.drain(at..end);
        }
        7 => {
            let end = at + random.index(bytes.len() - at + 1).min(256);
            let piece = bytes[at..end].to_vec();
            bytes.splice(at..at, piece);
        }
        8 => {
            let from = random.index(other.len() + 1);
            let end = from + random.index(other.len() - from + 1);
            bytes.splice(at..at, other[from..end].iter().copied());
        }
        9 => {
            let from = random.index(other.len() + 1);
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
        10 => {
            let count = 1 << random.index(8);
            let byte = random.byte();
            bytes.splice(at..at, std::iter::repeat_n(byte, count));
        }
        _ => {
            let word = random.pick(words).map_or(&[][..], |word| word.as_bytes());
            let over = if random.index(2) == 0 { word.len().min(bytes.len() - at) } else { 0 };
            bytes.splice(at..at + over, word.iter().copied());
        }
    }
}

/// Writes a number at which programs err over one, two, four or eight bytes: lengths and counts are such numbers.
fn put_number(bytes: &mut [u8], at: usize, random: &mut Random) {
    let width = 1 << random.index(4);
    let number = random.pick(&EDGES).copied().unwrap_or(0);
    if let Some(place) = bytes.get_mut(at..at + width) {
        place.copy_from_slice(&number.to_le_bytes()[..width]);
    }
}

/// Adds or takes a little from the number in four bytes: a length that is off by some.
fn add_to_number(bytes: &mut [u8], at: usize, random: &mut Random) {
    let difference = u32::from(random.byte() % 16).wrapping_sub(8);
    if let Some(place) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<4>()) {
        *place = u32::from_le_bytes(*place).wrapping_add(difference).to_le_bytes();
    }
}
