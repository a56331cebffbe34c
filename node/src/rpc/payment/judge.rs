//! Whether the owner of a coin may move it: asked once an owner and once an owner and asset, for the next block with
//! the pool applied.

use std::collections::HashMap;

use rota_api::error::RpcError;
use rota_chain::amount::Height;
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::permission::Permission;
use rota_consensus::authority;
use rota_consensus::state::{EntityKind, StateView};

use super::Purse;
use crate::rpc::resolve::state_error;

/// What an asset asks of who moves it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verdict {
    /// Whether it asks for any permission.
    pub restricted: bool,
    /// Whether the owner has what it asks for.
    pub permitted: bool,
}

/// Remembers what it asked.
pub(super) struct Judge<'c> {
    purse: Purse<'c>,
    height: Height,
    owners: HashMap<Lock, bool>,
    assets: HashMap<(Lock, Txid), Verdict>,
}

impl<'c> Judge<'c> {
    pub fn new(purse: Purse<'c>, height: Height) -> Judge<'c> {
        Judge { purse, height, owners: HashMap::new(), assets: HashMap::new() }
    }

    /// Whether an address may send, and receive what comes back.
    pub fn owner(&mut self, lock: &Lock) -> Result<bool, RpcError> {
        if let Some(known) = self.owners.get(lock) {
            return Ok(*known);
        }
        let view = self.purse.view.read();
        let may = |permission| authority::may(view.pool.state(), self.purse.rules, permission, lock, self.height);
        let both = may(Permission::Send).map_err(state_error)? && may(Permission::Receive).map_err(state_error)?;
        self.owners.insert(*lock, both);
        Ok(both)
    }

    /// Whether an address may send an asset, and receive what comes back of it.
    pub fn asset(&mut self, lock: &Lock, asset: Txid) -> Result<Verdict, RpcError> {
        if let Some(known) = self.assets.get(&(*lock, asset)) {
            return Ok(*known);
        }
        let view = self.purse.view.read();
        let state = view.pool.state();
        let entity = state.entity(&asset).map_err(state_error)?;
        let rules = match entity.map(|entity| entity.kind) {
            Some(EntityKind::Asset { rules, .. }) => rules,
            _ => Default::default(),
        };
        let may = |asked: bool, permission| -> Result<bool, RpcError> {
            if !asked {
                return Ok(true);
            }
            authority::may_on(state, asset, permission, lock, self.height).map_err(state_error)
        };
        let verdict = Verdict {
            restricted: rules.restrict_send || rules.restrict_receive,
            permitted: may(rules.restrict_send, Permission::Send)? && may(rules.restrict_receive, Permission::Receive)?,
        };
        self.assets.insert((*lock, asset), verdict);
        Ok(verdict)
    }
}
