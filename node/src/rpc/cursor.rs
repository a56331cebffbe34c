//! Reading lists on by cursor: where a token stands in a list now, and the page that follows it. Every list that is read
//! by cursor goes through [`Cursor`]; which entries it has is its own business. See docs/protocol/rpc.md.

pub mod list;
pub mod token;

use std::ops::Range;

use rota_api::cursor::{After, CursorPage, Paging};
use rota_api::error::{ParameterRule, RpcError};
use rota_chain::amount::Height;
use rota_chain::hash::BlockHash;
use rota_storage::Snapshot;
use serde_json::Value;

use super::Answer;
use super::resolve::{shape, storage_error};
use list::{Basis, List, Stand};
use token::{BlockMark, ChainPlace, Reached, Token};

/// A list, and where a token stands in it.
pub struct Cursor<'l, 's> {
    snapshot: &'s Snapshot,
    list: List<'l>,
    /// The first position that was not read.
    start: u64,
    count: u64,
    reached: Reached,
    rewound: Option<Height>,
}

impl<'l, 's> Cursor<'l, 's> {
    /// Finds where a token stands now. `snapshot` is the moment at which the list was taken.
    ///
    /// # Errors
    /// -8 if the token is malformed, of another list, or stands on what this node does not know.
    pub fn open(snapshot: &'s Snapshot, list: List<'l>, after: &After) -> Result<Cursor<'l, 's>, RpcError> {
        let reached = if after.token.is_empty() { Reached::Beginning } else { read(&list, &after.token)? };
        let mut cursor = Cursor { snapshot, list, start: 0, count: after.count, reached, rewound: None };
        match (reached, &cursor.list.basis) {
            (Reached::Beginning, _) => {}
            (Reached::Chain { place, check, block, position }, Basis::Chain(_)) => {
                cursor.find_on_chain(Stand { place, check }, block, position.into())?;
            }
            (Reached::Arrival { origin, position, check }, Basis::Arrival(present, check_at)) => {
                let position = u64::from(position);
                let is_here = origin == *present && position <= cursor.list.size;
                // A token with an entry has its check; one without has position 0, which only made-up ones have.
                let last = position.checked_sub(1).filter(|_| is_here);
                if last.map(check_at).transpose()? != Some(check) {
                    return Err(unknown("the order of arrival that it belongs to is not here"));
                }
                cursor.start = position;
            }
            (Reached::Chain { .. } | Reached::Arrival { .. }, _) => return Err(foreign()),
        }
        Ok(cursor)
    }

    /// The positions of the next page.
    #[must_use]
    pub fn window(&self) -> Range<u64> {
        self.start..self.start.saturating_add(self.count).min(self.list.size)
    }

    /// At most so many entries are asked for.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Number of entries of the list.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.list.size
    }

    /// The answer with these entries, after which everything below the position `end` was read.
    ///
    /// # Errors
    /// -32603 if storage fails.
    pub fn answer(self, end: u64, entries: Vec<Value>) -> Answer {
        let reached = match (end.checked_sub(1), &self.list.basis) {
            (Some(last), Basis::Chain(stand)) if end > self.start => {
                let Stand { place, check } = stand(last)?;
                let hash = self.block(place.height)?.ok_or_else(|| storage_error("an index is ahead of its chain"))?;
                Reached::Chain { place, check, block: BlockMark::of(&hash), position: narrow(end) }
            }
            (Some(last), Basis::Arrival(origin, check)) if end > self.start => {
                Reached::Arrival { origin: *origin, position: narrow(end), check: check(last)? }
            }
            _ => self.reached,
        };
        shape(&CursorPage {
            entries,
            after: Token::new(self.list.name, reached).to_text(),
            more: end < self.list.size,
            rewound: self.rewound.map(|height| height.0.into()),
        })
    }

    fn find_on_chain(&mut self, stand: Stand, block: BlockMark, position: u64) -> Result<(), RpcError> {
        let height = Height(stand.place.height);
        if self.block(height.0)?.is_some_and(|hash| BlockMark::of(&hash) == block) {
            self.start = self.position_behind(stand, position)?;
            return Ok(());
        }
        let fork = self.fork(height, block)?;
        let hash = self.block(fork.0)?.ok_or_else(|| storage_error("a fork is not on the chain"))?;
        let place = ChainPlace::end_of(fork.0);
        self.rewound = Some(fork);
        self.start = self.position_behind(Stand { place, check: [0; 8] }, 0)?;
        let position = narrow(self.start);
        self.reached = Reached::Chain { place, check: [0; 8], block: BlockMark::of(&hash), position };
        Ok(())
    }

    /// The height of the last block below a lost one that is on the chain still.
    fn fork(&self, height: Height, block: BlockMark) -> Result<Height, RpcError> {
        let known = self.snapshot.blocks_at(height).map_err(storage_error)?;
        let lost = known.iter().find(|hash| BlockMark::of(hash) == block);
        let lost = lost.ok_or_else(|| unknown("the block that it stands on is not known here"))?;
        let fork = self.snapshot.fork_height(lost).map_err(storage_error)?;
        fork.ok_or_else(|| unknown("the branch that it stands on is not known here"))
    }

    /// The position behind an entry that is on the chain: where it was, if it is there still, else by halving.
    fn position_behind(&self, wanted: Stand, hint: u64) -> Result<u64, RpcError> {
        let Basis::Chain(stand) = &self.list.basis else { return Ok(0) };
        if let Some(last) = hint.checked_sub(1).filter(|_| hint <= self.list.size)
            && stand(last)? == wanted
        {
            return Ok(hint);
        }
        let (mut low, mut high) = (0, self.list.size);
        while low < high {
            let middle = low + (high - low) / 2;
            if stand(middle)?.place < wanted.place { low = middle + 1 } else { high = middle }
        }
        // Entries that one operation brought share a place. If none of them is the one, all of them come again.
        for position in low..self.list.size {
            let found = stand(position)?;
            if found.place != wanted.place {
                break;
            }
            if found.check == wanted.check {
                return Ok(position + 1);
            }
        }
        Ok(low)
    }

    fn block(&self, height: u32) -> Result<Option<BlockHash>, RpcError> {
        self.snapshot.block_hash(Height(height)).map_err(storage_error)
    }
}

/// Answers with a page of a list that is the same in both forms; `entries` makes those at given positions.
///
/// # Errors
/// -8 for a cursor that does not serve, and the errors of `entries`.
pub fn answer(
    snapshot: &Snapshot,
    list: List<'_>,
    paging: Paging,
    entries: impl FnOnce(Range<u64>) -> Result<Vec<Value>, RpcError>,
) -> Answer {
    match paging {
        Paging::Page(page) => entries(page.window(list.size)).map(Value::Array),
        Paging::After(after) => {
            let cursor = Cursor::open(snapshot, list, &after)?;
            let window = cursor.window();
            cursor.answer(window.end, entries(window)?)
        }
    }
}

fn read(list: &List<'_>, text: &str) -> Result<Reached, RpcError> {
    let broken = || RpcError::parameter(ParameterRule::Form, "Invalid cursor: no token of this version").got(text);
    let token = Token::from_text(text).ok_or_else(broken)?;
    if token.list == list.name { Ok(token.reached) } else { Err(foreign()) }
}

/// Positions of every list fit: the indexes number their entries in 32 bits.
fn narrow(position: u64) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

fn foreign() -> RpcError {
    RpcError::parameter(ParameterRule::Form, "Invalid cursor: it belongs to another list").rule("cursor-foreign")
}

fn unknown(why: &str) -> RpcError {
    let sentence = format!(r#"Invalid cursor: {why}; begin again with """#);
    RpcError::parameter(ParameterRule::Form, sentence).rule("cursor-unknown")
}

#[cfg(test)]
mod tests;
