//! Following the active chain from a point that was handled: one step after the other, blocks that left first. Whoever
//! carries out the steps holds the active chain; a point is all there is to remember. Knows nothing of who listens.

use rota_chain::amount::Height;
use rota_chain::hash::BlockHash;
use rota_storage::{Snapshot, StorageError};

/// A block by height and hash: as far as a listener has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Its height.
    pub height: Height,
    /// Its hash.
    pub hash: BlockHash,
}

impl Point {
    /// The block of the active chain at a height, none above the tip.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn at(snapshot: &Snapshot, height: Height) -> Result<Option<Point>, StorageError> {
        Ok(snapshot.block_hash(height)?.map(|hash| Point { height, hash }))
    }

    /// A block on whatever branch, none if it is not known here.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn known(snapshot: &Snapshot, hash: BlockHash) -> Result<Option<Point>, StorageError> {
        Ok(snapshot.block_entry(&hash)?.map(|entry| Point { height: entry.height, hash }))
    }

    /// Whether it is on the active chain.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn is_active(&self, snapshot: &Snapshot) -> Result<bool, StorageError> {
        Ok(snapshot.block_hash(self.height)? == Some(self.hash))
    }

    /// The block before it, none before genesis.
    fn parent(&self, snapshot: &Snapshot) -> Result<Option<Point>, StorageError> {
        let Some(below) = self.height.0.checked_sub(1) else { return Ok(None) };
        let entry = snapshot.block_entry(&self.hash)?;
        let entry = entry.ok_or_else(|| StorageError::Missing(format!("the entry of block {}", self.hash)))?;
        Ok(Some(Point { height: Height(below), hash: entry.header.header.previous }))
    }
}

/// What changed for a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// This block joined, above the last one.
    Connected(Point),
    /// The last block left.
    Disconnected(Point),
}

/// A walk along the active chain.
#[derive(Clone, Copy, Debug)]
pub struct Follower {
    last: Option<Point>,
}

impl Follower {
    /// A walk that goes on after `last`, on whatever branch that is; from genesis on if it is none.
    #[must_use]
    pub const fn after(last: Option<Point>) -> Follower {
        Follower { last }
    }

    /// The last block of the listener: from here the walk can go on another time.
    #[must_use]
    pub const fn last(&self) -> Option<Point> {
        self.last
    }

    /// Takes the next step, none while there is none. `wanted` gives the first height from one on, up to the tip, that
    /// the listener cares for: those between are passed over without a step.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn step(
        &mut self,
        snapshot: &Snapshot,
        wanted: impl FnOnce(Height) -> Result<Option<Height>, StorageError>,
    ) -> Result<Option<Step>, StorageError> {
        let from = match self.last {
            Some(last) if !last.is_active(snapshot)? => {
                self.last = last.parent(snapshot)?;
                return Ok(Some(Step::Disconnected(last)));
            }
            Some(last) => last.height.next(),
            None => Height(0),
        };
        let Some(height) = wanted(from)? else { return Ok(None) };
        let Some(point) = Point::at(snapshot, height)? else { return Ok(None) };
        self.last = Some(point);
        Ok(Some(Step::Connected(point)))
    }
}

#[cfg(test)]
mod tests;
