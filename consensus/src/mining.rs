//! Who may mine a block: permission, and the spacing that mining diversity demands. See docs/protocol/mining.md.

use rota_chain::amount::Height;
use rota_chain::lock::{KeyHash, Lock};
use rota_chain::permission::Permission;

use crate::authority;
use crate::rule::ApplyError;
use crate::rule::BlockRule;
use crate::rules::Rules;
use crate::state::{StateError, StateView};

const MILLION: u64 = 1_000_000;

/// Blocks from one block of a miner to its next: the share `diversity` (millionths) of `miners`, rounded up,
/// at least 1 and at most `miners`.
#[must_use]
pub fn spacing(miners: u32, diversity: u32) -> u32 {
    let share = u64::from(miners).saturating_mul(u64::from(diversity)).div_ceil(MILLION);
    u32::try_from(share).unwrap_or(u32::MAX).min(miners).max(1)
}

/// Miners that take part at a time: all but those that the spacing bars, at least 1; during setup all.
#[must_use]
pub fn active_miners(miners: u32, rules: &Rules, height: Height) -> u32 {
    if height.0 < rules.setup_first_blocks {
        return miners.max(1);
    }
    miners.saturating_sub(spacing(miners, rules.mining_diversity).saturating_sub(1)).max(1)
}

/// Number of permitted miners for the block at `height`, by the state before it.
///
/// # Errors
/// [`StateError`] if storage fails.
pub fn permitted_miners<V: StateView + ?Sized>(view: &V, height: Height) -> Result<u32, StateError> {
    authority::count(view, Permission::Mine, height)
}

/// First height at which `miner` may mine by diversity, given the state before `height`; `height` if now.
///
/// # Errors
/// [`StateError`] if storage fails.
pub fn earliest<V: StateView + ?Sized>(
    view: &V,
    rules: &Rules,
    miner: KeyHash,
    height: Height,
) -> Result<Height, StateError> {
    if rules.anyone.mine || height.0 < rules.setup_first_blocks {
        return Ok(height);
    }
    let spacing = spacing(permitted_miners(view, height)?, rules.mining_diversity);
    let last = view.last_mined(miner)?;
    Ok(last.map_or(height, |last| Height(last.0.saturating_add(spacing)).max(height)))
}

/// Whether `miner` may make the block at `height`, by the state before it.
///
/// # Errors
/// [`BlockRule::Miner`], [`BlockRule::Spacing`], or storage.
pub fn check_miner<V: StateView + ?Sized>(
    view: &V,
    rules: &Rules,
    miner: KeyHash,
    height: Height,
) -> Result<(), ApplyError> {
    if rules.anyone.mine {
        return Ok(());
    }
    if !authority::holds(view, None, Permission::Mine, &Lock::Key(miner), height)? {
        return Err(BlockRule::Miner { miner }.into());
    }
    if height.0 < rules.setup_first_blocks {
        return Ok(());
    }
    let spacing = spacing(permitted_miners(view, height)?, rules.mining_diversity);
    match view.last_mined(miner)? {
        Some(last) if height.0 < last.0.saturating_add(spacing) => {
            Err(BlockRule::Spacing { miner, last, spacing }.into())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spacing_is_the_share_rounded_up() {
        let cases = [(1, 300_000, 1), (1, 1_000_000, 1), (4, 300_000, 2), (10, 300_000, 3), (10, 750_000, 8)];
        for (miners, diversity, expected) in cases {
            assert_eq!(spacing(miners, diversity), expected, "{miners} miners at {diversity}");
        }
        assert_eq!(spacing(7, 1_000_000), 7);
        assert_eq!(spacing(7, 0), 1);
        assert_eq!(spacing(0, 300_000), 1);
        assert_eq!(spacing(4_000_000, 1_000_000), 4_000_000);
    }
}
