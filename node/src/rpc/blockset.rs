//! Sets of blocks as callers name them: heights, ranges, hashes, the last ones, or a span of header times.

use rota_api::error::{Code, ParameterRule, RpcError};
use rota_api::params::{Params, as_integer};
use rota_chain::amount::Height;
use rota_chain::hash::BlockHash;
use rota_storage::Snapshot;
use serde_json::{Map, Value};

use super::resolve::{short, storage_error, unknown_field};

/// Digits of a block hash.
pub const HASH_DIGITS: usize = 64;

/// Heights of the active chain, as ascending ranges that neither touch nor overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockSet {
    ranges: Vec<(u32, u32)>,
}

impl BlockSet {
    fn new(mut ranges: Vec<(u32, u32)>) -> BlockSet {
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        BlockSet { ranges: merged }
    }

    /// Every block up to a height.
    #[must_use]
    pub fn up_to(tip: Height) -> BlockSet {
        BlockSet { ranges: vec![(0, tip.0)] }
    }

    /// First and last height of each run of blocks, ascending.
    #[must_use]
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }

    /// Number of blocks.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(|(first, last)| u64::from(last - first) + 1).sum()
    }

    /// Whether no block is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether a height is in it.
    #[must_use]
    pub fn contains(&self, height: Height) -> bool {
        let at = self.ranges.partition_point(|(_, last)| *last < height.0);
        self.ranges.get(at).is_some_and(|(first, _)| *first <= height.0)
    }

    /// The heights, ascending.
    pub fn heights(&self) -> impl Iterator<Item = Height> {
        self.ranges.iter().flat_map(|(first, last)| *first..=*last).map(Height)
    }
}

/// Reads a set of blocks from a parameter. Heights beyond the tip are left out; a hash that is not on the active chain
/// is -711; what cannot be read is -8. A span of time looks at every header: not for an asynchronous thread.
pub fn block_set(snapshot: &Snapshot, tip: Height, params: &Params, index: usize) -> Result<BlockSet, RpcError> {
    let value = params.value(index);
    if let Value::Object(members) = value {
        return by_time(snapshot, tip, members);
    }
    let words = match value {
        Value::Number(_) => vec![as_integer(value)?.to_string()],
        _ => params.list(index)?,
    };
    let mut ranges = Vec::with_capacity(words.len());
    for word in words.iter().map(|word| word.trim()) {
        let range = if word.len() == HASH_DIGITS { Some(by_hash(snapshot, word)?) } else { by_height(tip, word)? };
        ranges.extend(range);
    }
    Ok(BlockSet::new(ranges))
}

fn by_height(tip: Height, word: &str) -> Result<Option<(u32, u32)>, RpcError> {
    let malformed = || {
        let sentence = format!("Block hash must be hexadecimal string (not '{}')", short(word));
        RpcError::parameter(ParameterRule::Form, sentence).got(word).allowed("a hash, a height, or first-last")
    };
    let within = |first: i64, last: i64| {
        let clamp = |height: i64| u32::try_from(height).unwrap_or(u32::MAX);
        (first <= i64::from(tip.0)).then(|| (clamp(first), clamp(last.min(i64::from(tip.0)))))
    };
    if let Some(height) = c_integer(word) {
        if height >= 0 {
            return Ok(within(height, height));
        }
        return Ok(within(i64::from(tip.0).saturating_add(height).saturating_add(1).max(0), i64::from(tip.0)));
    }
    let (first, last) = word.split_once('-').ok_or_else(malformed)?;
    let (first, last) = c_integer(first).zip(c_integer(last)).ok_or_else(malformed)?;
    if first < 0 || last < 0 || first > last {
        let error = RpcError::parameter(ParameterRule::Range, format!("Invalid range {}", short(word)));
        return Err(error.got(word).allowed("0 <= first <= last"));
    }
    Ok(within(first, last))
}

fn by_hash(snapshot: &Snapshot, word: &str) -> Result<(u32, u32), RpcError> {
    let malformed = |_| {
        let sentence = format!("Block hash must be hexadecimal string (not '{word}')");
        RpcError::parameter(ParameterRule::Form, sentence)
            .got(word)
            .allowed(format!("{HASH_DIGITS} hexadecimal digits"))
    };
    let hash: BlockHash = word.parse().map_err(malformed)?;
    let missing = || RpcError::new(Code::BlockNotFound, format!("Block {word} not found")).got(word);
    let entry = snapshot.block_entry(&hash).map_err(storage_error)?.ok_or_else(missing)?;
    let active = snapshot.block_hash(entry.height).map_err(storage_error)?;
    if active == Some(hash) { Ok((entry.height.0, entry.height.0)) } else { Err(missing()) }
}

fn by_time(snapshot: &Snapshot, tip: Height, members: &Map<String, Value>) -> Result<BlockSet, RpcError> {
    let time = |name: &str| {
        let missing = || RpcError::parameter(ParameterRule::Missing, format!("Missing {name}")).allowed(name);
        let value = members.get(name).ok_or_else(missing)?;
        value.as_i64().ok_or_else(|| RpcError::mistyped(value, "int", format!("{name} should be integer")))
    };
    let (start, end) = (time("starttime")?, time("endtime")?);
    if let Some(name) = members.keys().find(|name| !matches!(name.as_str(), "starttime" | "endtime")) {
        return Err(unknown_field(name, &["starttime", "endtime"]));
    }
    let mut ranges = Vec::new();
    for height in (0..=tip.0).map(Height) {
        let Some(hash) = snapshot.block_hash(height).map_err(storage_error)? else { break };
        let Some(entry) = snapshot.block_entry(&hash).map_err(storage_error)? else { break };
        if (start..=end).contains(&i64::from(entry.header.header.time.0)) {
            ranges.push((height.0, height.0));
        }
    }
    Ok(BlockSet::new(ranges))
}

/// A whole number as C reads it: `0x` for hexadecimal, a leading 0 for octal digits; none for anything else.
#[must_use]
pub fn c_integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (digits, radix) = if let Some(rest) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        (rest, 16)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (digits, 8)
    } else {
        (digits, 10)
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = i64::from_str_radix(digits, radix).ok()?;
    Some(if negative { -magnitude } else { magnitude })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn set(tip: u32, words: &[&str]) -> BlockSet {
        BlockSet::new(words.iter().filter_map(|word| by_height(Height(tip), word).unwrap()).collect())
    }

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        let cases = [("0", 0), ("17", 17), ("-3", -3), ("0x1F", 31), ("010", 8), ("-0x10", -16)];
        for (text, number) in cases {
            assert_eq!(c_integer(text), Some(number), "{text}");
        }
        for text in ["", "-", "+1", "--1", "08", "0x", "1.5", "a", "1-2", " 1"] {
            assert_eq!(c_integer(text), None, "{text}");
        }
    }

    #[test]
    fn heights_and_ranges_are_clamped_to_the_tip_sorted_and_merged() {
        assert_eq!(set(5, &["2-3", "0", "0-1"]).ranges(), [(0, 3)]);
        assert_eq!(set(5, &["5", "0", "2"]).ranges(), [(0, 0), (2, 2), (5, 5)]);
        assert_eq!(set(5, &["-2"]).ranges(), [(4, 5)]);
        assert_eq!(set(5, &["-100"]).ranges(), [(0, 5)]);
        assert_eq!(set(5, &["4-9"]).ranges(), [(4, 5)]);
        assert!(set(5, &["100", "7-9"]).is_empty());
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for word in ["2-1", "0-", "a", "1-2-3", "", "1--2"] {
            assert_eq!(by_height(Height(5), word).unwrap_err().code, Code::InvalidParameter, "{word}");
        }
    }

    #[test]
    fn a_set_knows_its_members() {
        let set = set(20, &["3-5", "9"]);
        assert_eq!(set.len(), 4);
        assert_eq!(set.heights().map(|height| height.0).collect::<Vec<_>>(), [3, 4, 5, 9]);
        assert!(set.contains(Height(4)) && set.contains(Height(9)));
        assert!(!set.contains(Height(6)) && !set.contains(Height(10)) && !set.contains(Height(0)));
    }
}
