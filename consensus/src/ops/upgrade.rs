//! Upgrades: proposing changes of parameters, approving them, and what they do when they apply. See
//! docs/protocol/upgrade.md.

use std::collections::HashSet;

use borsh::{BorshDeserialize, BorshSerialize};
use rota_chain::amount::Height;
use rota_chain::filter::Approve;
use rota_chain::permission::Permission;
use rota_chain::upgrade::{CreateUpgrade, ParameterChange};
use rota_params::Parameter;

use crate::authority;
use crate::ops::Step;
use crate::ops::entity::{check_name, creators, put_entity, take_name};
use crate::ops::permission::votes_needed;
use crate::rule::{ApplyError, Rule, UpgradeRule};
use crate::rules::Rules;
use crate::state::{Approval, EntityKind, Overlay, StateError, StateKey, StateValue, StateView, UpgradedParameter};

/// Why an approved upgrade leaves a parameter as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Skip {
    /// There is no such parameter, or it never changes.
    NotUpgradable,
    /// The value is not one that the parameter may have.
    Range,
    /// The value is below half or above twice the one before.
    Factor,
    /// Too few blocks after the last change of a parameter of time.
    Gap,
}

/// Checks the proposal of an upgrade without state.
///
/// # Errors
/// [`EntityRule`](crate::rule::EntityRule), [`UpgradeRule::Empty`], [`UpgradeRule::Twice`].
pub fn check_create(create: &CreateUpgrade) -> Result<(), Rule> {
    check_name(&create.name)?;
    if create.changes.is_empty() {
        return Err(UpgradeRule::Empty.into());
    }
    let mut names = HashSet::new();
    if create.changes.iter().all(|change| names.insert(&change.name)) { Ok(()) } else { Err(UpgradeRule::Twice.into()) }
}

/// Proposes an upgrade.
///
/// # Errors
/// [`UpgradeRule::Admin`], [`EntityRule`](crate::rule::EntityRule), or storage.
pub fn apply_create<V: StateView, B: StateView>(
    step: &Step<'_, V>,
    create: &CreateUpgrade,
    overlay: &mut Overlay<B>,
) -> Result<(), ApplyError> {
    let creators = creators(step)?;
    if step.holding(Permission::Admin)?.is_empty() {
        return Err(UpgradeRule::Admin.into());
    }
    take_name(step, &create.name)?;
    let kind = EntityKind::Upgrade { start: create.start, changes: create.changes.clone() };
    put_entity(step, kind, &create.name, creators, &[], overlay)
}

/// Votes for or against an upgrade.
///
/// # Errors
/// [`UpgradeRule`], or storage.
pub fn apply_approve<V: StateView, B: StateView>(
    step: &Step<'_, V>,
    approve: &Approve,
    overlay: &mut Overlay<B>,
) -> Result<(), ApplyError> {
    let upgrade = approve.entity;
    if !matches!(step.view.entity(&upgrade)?.map(|entity| entity.kind), Some(EntityKind::Upgrade { .. })) {
        return Err(UpgradeRule::Missing { upgrade }.into());
    }
    let admins = step.holding(Permission::Admin)?;
    if admins.is_empty() {
        return Err(UpgradeRule::Vote { upgrade }.into());
    }
    let mut approval = overlay.approval(&upgrade)?.unwrap_or_default();
    if approval.approved.is_some() {
        return Err(UpgradeRule::Approved { upgrade }.into());
    }
    approval.votes.retain(|voter| !admins.contains(voter));
    if approve.approve {
        approval.votes.extend(admins);
    }
    let missing = votes_missing(step.view, step.rules, &approval, step.place.height)?;
    if approve.approve && missing == 0 {
        approval.approved = Some(step.place.height);
        let mut pending = overlay.pending_upgrades()?;
        pending.push(upgrade);
        overlay.put(StateKey::PendingUpgrades, Some(StateValue::PendingUpgrades(pending)))?;
    }
    overlay.put(StateKey::Approval(upgrade), Some(StateValue::Approval(approval)))?;
    Ok(())
}

/// Votes that an upgrade still needs: of the administrators at `height`, those of others do not count.
///
/// # Errors
/// [`StateError`] if storage fails.
pub fn votes_missing<V: StateView>(
    view: &V,
    rules: &Rules,
    approval: &Approval,
    height: Height,
) -> Result<u32, StateError> {
    if approval.approved.is_some() {
        return Ok(0);
    }
    let required = if height.0 < rules.setup_first_blocks {
        1
    } else {
        votes_needed(authority::count(view, Permission::Admin, height)?, rules.consensus_upgrade)
    };
    let mut counted: u32 = 0;
    for voter in &approval.votes {
        counted = counted.saturating_add(u32::from(authority::may(view, rules, Permission::Admin, voter, height)?));
    }
    Ok(required.saturating_sub(counted))
}

/// Applies the upgrades that are approved and due, at the end of the block at `height`: they hold from the next block
/// on. `base` are the rules that the chain began with.
///
/// # Errors
/// Storage alone.
pub fn apply_due<V: StateView>(overlay: &mut Overlay<V>, base: &Rules, height: Height) -> Result<(), StateError> {
    let pending = overlay.pending_upgrades()?;
    if pending.is_empty() {
        return Ok(());
    }
    let mut later = Vec::new();
    for upgrade in pending {
        match overlay.entity(&upgrade)?.map(|entity| entity.kind) {
            Some(EntityKind::Upgrade { start, .. }) if start > height.0 => later.push(upgrade),
            Some(EntityKind::Upgrade { changes, .. }) => {
                let skipped = change_parameters(overlay, base, &changes, height)?;
                let mut approval = overlay.approval(&upgrade)?.unwrap_or_default();
                approval.applied = Some(height);
                approval.skipped = skipped;
                overlay.put(StateKey::Approval(upgrade), Some(StateValue::Approval(approval)))?;
            }
            _ => {}
        }
    }
    let later = (!later.is_empty()).then_some(StateValue::PendingUpgrades(later));
    overlay.put(StateKey::PendingUpgrades, later)
}

fn change_parameters<V: StateView>(
    overlay: &mut Overlay<V>,
    base: &Rules,
    changes: &[ParameterChange],
    height: Height,
) -> Result<Vec<(u32, Skip)>, StateError> {
    let mut upgraded = overlay.upgraded_parameters()?;
    let mut skipped = Vec::new();
    for (index, change) in (0u32..).zip(changes) {
        let rules = base.with(&upgraded);
        match may_change(&rules, &upgraded, change, height) {
            Ok(parameter) => {
                let number = parameter as u8;
                upgraded.retain(|other| other.parameter != number);
                upgraded.push(UpgradedParameter { parameter: number, value: change.value, height });
            }
            Err(skip) => skipped.push((index, skip)),
        }
    }
    upgraded.sort_by_key(|upgraded| upgraded.parameter);
    let value = (!upgraded.is_empty()).then_some(StateValue::Parameters(upgraded));
    overlay.put(StateKey::Parameters, value)?;
    Ok(skipped)
}

/// The parameter that a change is about, or why it does not change.
fn may_change(
    rules: &Rules,
    upgraded: &[UpgradedParameter],
    change: &ParameterChange,
    height: Height,
) -> Result<Parameter, Skip> {
    let name = std::str::from_utf8(&change.name).map_err(|_| Skip::NotUpgradable)?;
    let known = rota_params::table::all().find(|parameter| parameter.name() == name);
    let parameter = known.filter(|p| p.upgradable_since().is_some()).ok_or(Skip::NotUpgradable)?;
    let is_time = parameter == Parameter::TargetBlockTime;
    if is_time && rules.target_time_is_fixed {
        return Err(Skip::NotUpgradable);
    }
    let before = rules.upgradable(parameter).ok_or(Skip::NotUpgradable)?;
    if !parameter.row().kind.admits(change.value) {
        return Err(Skip::Range);
    }
    let is_number = !matches!(parameter.row().kind, rota_params::kind::Kind::Bool);
    let near = change.value.saturating_mul(2) >= before && change.value <= before.saturating_mul(2);
    if is_number && !near {
        return Err(Skip::Factor);
    }
    let last = upgraded.iter().find(|other| other.parameter == parameter as u8).map(|other| other.height.0);
    if is_time && last.is_some_and(|last| height.0 < last.saturating_add(rules.upgrade_gap)) {
        return Err(Skip::Gap);
    }
    Ok(parameter)
}
