//! Operations: for each noun, what it must satisfy and what it changes.

pub mod asset;
pub mod entity;
pub mod permission;
pub mod stream;
pub mod upgrade;
pub mod variable;

use rota_chain::data::Data;
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::operation::Operation;
use rota_chain::permission::Permission;
use rota_chain::transaction::Output;

use crate::authority;
use crate::rule::{ApplyError, Rule, StreamRule};
use crate::rules::Rules;
use crate::state::{Overlay, StateError, StateView};
use crate::transaction::{Place, not_enabled};

/// Checks what needs no state.
///
/// # Errors
/// The first rule broken.
pub fn check_operation(operation: &Operation, output: &Output) -> Result<(), Rule> {
    if let Some(rule) = not_enabled(operation) {
        return Err(rule.into());
    }
    match operation {
        Operation::Grant(grant) => Ok(permission::check_grant(grant, output.recipient)?),
        Operation::CreateStream(create) => Ok(stream::check_create(create)?),
        Operation::Publish(publish) => Ok(stream::check_publish(publish)?),
        Operation::IssueAsset(issue) => asset::check_issue(issue),
        Operation::IssueMore(more) => Ok(asset::check_more(more)?),
        Operation::CreateVariable(create) => Ok(variable::check_create(create)?),
        Operation::CreateUpgrade(create) => upgrade::check_create(create),
        _ => Ok(()),
    }
}

/// Holds the sizes of an operation against the limits of a state.
///
/// # Errors
/// [`StreamRule::DataSize`], [`StreamRule::Chunks`].
pub fn apply_limits(operation: &Operation, rules: &Rules) -> Result<(), StreamRule> {
    match operation {
        Operation::Data(data) => data_limit(data, rules),
        Operation::Publish(publish) => stream::apply_limits(publish, rules),
        _ => Ok(()),
    }
}

/// Holds the size of data against the limit of a state.
fn data_limit(data: &Data, rules: &Rules) -> Result<(), StreamRule> {
    let (size, limit) = (data.bytes.len(), rules.maximum_data_size);
    if size > limit as usize { Err(StreamRule::DataSize { size, limit }) } else { Ok(()) }
}

/// One output's operations being applied: the state before the transaction, and who answers.
#[derive(Debug)]
pub struct Step<'a, V> {
    /// The state before the transaction.
    pub view: &'a V,
    /// The chain's rules.
    pub rules: &'a Rules,
    /// Where the transaction stands.
    pub place: Place,
    /// Its id.
    pub txid: Txid,
    /// The output.
    pub output: &'a Output,
    /// Who answers for its operations.
    pub answering: &'a [Lock],
}

impl<V: StateView> Step<'_, V> {
    /// Those who answer and hold a right of the whole chain, in the order in which they answer.
    ///
    /// # Errors
    /// [`StateError`] if storage fails.
    pub fn holding(&self, permission: Permission) -> Result<Vec<Lock>, StateError> {
        let mut holding = Vec::new();
        for lock in self.answering {
            if authority::may(self.view, self.rules, permission, lock, self.place.height)? {
                holding.push(*lock);
            }
        }
        Ok(holding)
    }

    /// Whether one of those who answer holds a right on an entity.
    ///
    /// # Errors
    /// [`StateError`] if storage fails.
    pub fn any_holds(&self, entity: Txid, permission: Permission) -> Result<bool, StateError> {
        for lock in self.answering {
            if authority::may_on(self.view, entity, permission, lock, self.place.height)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Applies one operation.
    ///
    /// # Errors
    /// The first rule broken, or storage.
    pub fn apply<B: StateView>(&self, operation: &Operation, overlay: &mut Overlay<B>) -> Result<(), ApplyError> {
        match operation {
            Operation::Grant(grant) => permission::apply_grant(self, grant, overlay),
            Operation::CreateStream(create) => stream::apply_create(self, create, overlay),
            Operation::Publish(publish) => stream::check_publish_state(self, publish),
            Operation::Data(_) => Ok(()),
            Operation::IssueAsset(issue) => asset::apply_issue(self, issue, overlay),
            Operation::IssueMore(more) => asset::apply_more(self, more, overlay),
            Operation::UpdateAsset(update) => asset::apply_update(self, update, overlay),
            Operation::CreateVariable(create) => variable::apply_create(self, create, overlay),
            Operation::SetVariable(set) => variable::apply_set(self, set, overlay),
            Operation::CreateUpgrade(create) => upgrade::apply_create(self, create, overlay),
            Operation::Approve(approve) => upgrade::apply_approve(self, approve, overlay),
            other => not_enabled(other).map_or(Ok(()), |rule| Err(rule.into())),
        }
    }
}
