//! Grants and revokes, and voting where several administrators must agree. See docs/protocol/permission.md.

use rota_chain::lock::Lock;
use rota_chain::permission::{Grant, Permission, PermissionSet};

use crate::authority;
use crate::ops::Step;
use crate::rule::{ApplyError, PermissionRule};
use crate::state::{EntityKind, Overlay, PermissionKey, StateError, StateKey, StateValue, StateView, Vote};

const MILLION: u64 = 1_000_000;

/// Rights that exist for the whole chain, in list order: all but those of entities alone.
pub fn global() -> impl Iterator<Item = Permission> {
    Permission::ALL.into_iter().filter(|permission| is_global(*permission))
}

const fn is_global(permission: Permission) -> bool {
    !matches!(permission, Permission::Write | Permission::Read)
}

/// Rights that exist for an entity, in list order.
#[must_use]
pub fn applicable(kind: &EntityKind) -> Vec<Permission> {
    let own: &[Permission] = match kind {
        EntityKind::Stream { .. } => &[Permission::Write, Permission::Read],
        EntityKind::Asset { .. } => &[Permission::Issue, Permission::Send, Permission::Receive],
        EntityKind::Variable { .. } => &[Permission::Write],
        EntityKind::Upgrade { .. } => return Vec::new(),
    };
    let custom = Permission::ALL.into_iter().filter(|p| p.number() >= Permission::Low1.number());
    own.iter().copied().chain([Permission::Activate, Permission::Admin]).chain(custom).collect()
}

/// Checks a grant without state.
///
/// # Errors
/// [`PermissionRule`].
pub fn check_grant(grant: &Grant, recipient: Option<Lock>) -> Result<(), PermissionRule> {
    let recipient = recipient.ok_or(PermissionRule::NoRecipient)?;
    if grant.permissions.is_empty() {
        return Err(PermissionRule::Empty);
    }
    if grant.entity.is_none() {
        if let Some(permission) = grant.permissions.iter().find(|p| !is_global(*p)) {
            return Err(PermissionRule::NotApplicable { permission });
        }
        if grant.permissions.contains(Permission::Mine) && recipient.key_hash().is_none() {
            return Err(PermissionRule::MineMultisig);
        }
    }
    Ok(())
}

/// Applies a grant: at once, or as votes.
///
/// # Errors
/// [`PermissionRule`], or storage.
pub fn apply_grant<V: StateView, B: StateView>(
    step: &Step<'_, V>,
    grant: &Grant,
    overlay: &mut Overlay<B>,
) -> Result<(), ApplyError> {
    let address = step.output.recipient.ok_or(PermissionRule::NoRecipient)?;
    check_applicable(step, grant)?;
    for permission in grant.permissions.iter() {
        let mut granters = Vec::new();
        for lock in step.answering {
            if authority::may_grant(step.view, step.rules, grant.entity, permission, lock, step.place.height)? {
                granters.push(*lock);
            }
        }
        if granters.is_empty() {
            return Err(PermissionRule::Denied { permission }.into());
        }
        let key = PermissionKey { entity: grant.entity, permission, address };
        set_range(step, grant, key, granters, overlay)?;
    }
    Ok(())
}

fn check_applicable<V: StateView>(step: &Step<'_, V>, grant: &Grant) -> Result<(), ApplyError> {
    let Some(entity) = grant.entity else {
        return Ok(());
    };
    let record = step.view.entity(&entity)?.ok_or(PermissionRule::NoEntity { entity })?;
    let allowed: PermissionSet = applicable(&record.kind).into_iter().collect();
    match grant.permissions.iter().find(|permission| !allowed.contains(*permission)) {
        Some(permission) => Err(PermissionRule::NotApplicable { permission }.into()),
        None => Ok(()),
    }
}

fn set_range<V: StateView, B: StateView>(
    step: &Step<'_, V>,
    grant: &Grant,
    key: PermissionKey,
    granters: Vec<Lock>,
    overlay: &mut Overlay<B>,
) -> Result<(), ApplyError> {
    let height = step.place.height;
    let mut record = overlay.permission(key)?.unwrap_or_default();
    let required = required_votes(step, key)?;
    for admin in granters.iter().copied() {
        record.votes.retain(|vote| vote.admin != admin);
        record.votes.push(Vote { admin, range: grant.range, timestamp: grant.timestamp, height });
    }
    let mut counted = Vec::new();
    for vote in record.votes.iter().filter(|vote| vote.range == grant.range) {
        if is_voter(step, key, &vote.admin)? {
            counted.push(vote.admin);
        }
    }
    if counted.len() >= required as usize {
        record.range = grant.range;
        record.granters = counted;
        record.votes.clear();
    }
    overlay.put(StateKey::Permission(key), Some(StateValue::Permission(record)))?;
    Ok(())
}

fn is_voter<V: StateView>(step: &Step<'_, V>, key: PermissionKey, voter: &Lock) -> Result<bool, StateError> {
    authority::may_grant(step.view, step.rules, key.entity, key.permission, voter, step.place.height)
}

fn required_votes<V: StateView>(step: &Step<'_, V>, key: PermissionKey) -> Result<u32, StateError> {
    if key.entity.is_some() || step.place.height.0 < step.rules.setup_first_blocks {
        return Ok(1);
    }
    match step.rules.consensus(key.permission) {
        None => Ok(1),
        Some(fraction) => {
            Ok(votes_needed(authority::count(step.view, Permission::Admin, step.place.height)?, fraction))
        }
    }
}

/// Votes needed of `admins` administrators where a fraction (millionths) must agree: rounded up, at least 1.
#[must_use]
pub fn votes_needed(admins: u32, fraction: u32) -> u32 {
    let share = u64::from(admins).saturating_mul(u64::from(fraction)).div_ceil(MILLION);
    u32::try_from(share).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn votes_needed_is_the_fraction_rounded_up() {
        let cases = [(1, 500_000, 1), (2, 500_000, 1), (3, 500_000, 2), (2, 600_000, 2), (5, 0, 1), (0, 500_000, 1)];
        for (admins, fraction, expected) in cases {
            assert_eq!(votes_needed(admins, fraction), expected, "{admins} at {fraction}");
        }
    }
}
