//! Variables: creating one, and setting its value. See docs/protocol/variable.md.

use rota_chain::permission::Permission;
use rota_chain::variable::{CreateVariable, SetVariable};

use crate::ops::Step;
use crate::ops::entity::{check_name, creators, put_entity, take_name};
use crate::rule::{ApplyError, EntityRule, VariableRule};
use crate::state::{EntityKind, Overlay, StateKey, StateValue, StateView};

/// Checks the creation of a variable without state.
///
/// # Errors
/// [`EntityRule`].
pub fn check_create(create: &CreateVariable) -> Result<(), EntityRule> {
    check_name(&create.name)
}

/// Creates a variable; its creators get all rights on it.
///
/// # Errors
/// [`EntityRule`], or storage.
pub fn apply_create<V: StateView, B: StateView>(
    step: &Step<'_, V>,
    create: &CreateVariable,
    overlay: &mut Overlay<B>,
) -> Result<(), ApplyError> {
    let creators = creators(step)?;
    take_name(step, &create.name)?;
    let kind = EntityKind::Variable { restrict_write: create.restrict_write, last: step.txid };
    let rights = [Permission::Admin, Permission::Activate, Permission::Write];
    put_entity(step, kind, &create.name, creators, &rights, overlay)
}

/// Sets a variable: the transaction becomes the one that holds its value.
///
/// # Errors
/// [`VariableRule`], or storage.
pub fn apply_set<V: StateView, B: StateView>(
    step: &Step<'_, V>,
    set: &SetVariable,
    overlay: &mut Overlay<B>,
) -> Result<(), ApplyError> {
    let variable = set.variable;
    let Some(mut entity) = step.view.entity(&variable)? else {
        return Err(VariableRule::Missing { variable }.into());
    };
    let EntityKind::Variable { restrict_write, last } = &mut entity.kind else {
        return Err(VariableRule::Missing { variable }.into());
    };
    let anybody = !*restrict_write && !step.answering.is_empty();
    if !anybody && !step.any_holds(variable, Permission::Write)? {
        return Err(VariableRule::Write { variable }.into());
    }
    *last = step.txid;
    overlay.put(StateKey::Entity(variable), Some(StateValue::Entity(entity)))?;
    Ok(())
}
