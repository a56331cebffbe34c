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

/// The spacing that holds for the block at `height` where `miners` are permitted: 1, which bars nobody, during setup
/// and where anyone may mine.
#[must_use]
pub fn spacing_at(miners: u32, rules: &Rules, height: Height) -> u32 {
    if rules.anyone.mine || height.0 < rules.setup_first_blocks { 1 } else { spacing(miners, rules.mining_diversity) }
}

/// First height at which a miner has its turn again whose last block on the branch is at `last`.
#[must_use]
pub fn next_turn(last: Option<Height>, spacing: u32) -> Height {
    last.map_or(Height(0), |last| Height(last.0.saturating_add(spacing)))
}

/// Miners that take part at a time: all but those that the spacing bars, at least 1.
#[must_use]
pub fn active_miners(miners: u32, spacing: u32) -> u32 {
    miners.saturating_sub(spacing.saturating_sub(1)).max(1)
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
    let spacing = spacing_at(permitted_miners(view, height)?, rules, height);
    Ok(next_turn(view.last_mined(miner)?, spacing).max(height))
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
    let spacing = spacing_at(permitted_miners(view, height)?, rules, height);
    match view.last_mined(miner)? {
        Some(last) if height < next_turn(Some(last), spacing) => {
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

    #[test]
    fn a_turn_returns_after_the_spacing_and_a_newcomer_waits_for_nothing() {
        assert_eq!(next_turn(Some(Height(10)), 3), Height(13));
        assert_eq!(next_turn(Some(Height(10)), 1), Height(11));
        assert_eq!(next_turn(None, 3), Height(0));
        assert_eq!(next_turn(Some(Height(u32::MAX)), 3), Height(u32::MAX));
    }

    #[test]
    fn all_but_the_barred_are_active() {
        for (miners, spacing, active) in [(1, 1, 1), (4, 2, 3), (4, 4, 1), (10, 8, 3), (0, 1, 1)] {
            assert_eq!(active_miners(miners, spacing), active, "{miners} miners with spacing {spacing}");
        }
    }
}
