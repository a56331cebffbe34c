//! Signing of transactions that travel as text: with this wallet's keys or given ones, in full or in part.

use std::collections::HashMap;

use rota_api::error::{Code, ParameterRule, RpcError};
use rota_api::params::{Params, as_text};
use rota_chain::digest::full_digest;
use rota_chain::key::PrivateKey;
use rota_chain::lock::Lock;
use rota_chain::script::{read_payment_script, read_redeem_script};
use rota_chain::transaction::{Coverage, OutPoint, Transaction};
use rota_chain::witness::{MultisigKeys, Witness};
use rota_wallet::sign::{Completeness, Extra, sign_with_keys};
use serde_json::{Map, Value};

use crate::context::Context;
use crate::rpc::resolve::{coin_owner, short, wallet_error};

/// Most witnesses looked at for a signature over the whole body: each is a verification, and 256 take 10 ms.
const MAX_LOOKED_AT: usize = 256;

/// What a signature covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The whole body: ALL.
    Full,
    /// The input and the output at its index: SINGLE|ANYONECANPAY.
    Part,
}

impl Mode {
    /// Reads a signature mode.
    ///
    /// # Errors
    /// -8 for one that is not taken.
    pub fn read(text: &str) -> Result<Mode, RpcError> {
        match text {
            "ALL" => Ok(Mode::Full),
            "SINGLE|ANYONECANPAY" => Ok(Mode::Part),
            other => {
                let sentence = format!("Invalid sighash param: {}, ALL or SINGLE|ANYONECANPAY is taken", short(other));
                let error = RpcError::parameter(ParameterRule::Word, sentence).got(other);
                Err(error.allowed(["ALL", "SINGLE|ANYONECANPAY"]))
            }
        }
    }
}

/// Who owns the coins of inputs, as a caller tells it.
#[derive(Clone, Debug, Default)]
pub struct Previous {
    owners: HashMap<OutPoint, Lock>,
    /// Keys of addresses of several.
    multisig: Vec<MultisigKeys>,
}

impl Previous {
    /// Takes in what one input or previous output says of its owner.
    ///
    /// # Errors
    /// -8 for a wrong form, -712 if it contradicts the ledger.
    pub fn learn(&mut self, ctx: &Context, outpoint: OutPoint, members: &Map<String, Value>) -> Result<(), RpcError> {
        let script = members.get("scriptPubKey").map(lock_of).transpose()?;
        let keys = members.get("redeemScript").filter(|value| value.as_str() != Some(""));
        let keys = keys.map(keys_of).transpose()?;
        let told = keys.as_ref().map(MultisigKeys::lock);
        if let (Some(script), Some(told)) = (script, told)
            && script != told
        {
            let error = RpcError::new(Code::InvalidParameter, "redeemScript does not belong to scriptPubKey");
            return Err(error
                .rule("script-mismatch")
                .got(ctx.scheme.encode(&told))
                .allowed(ctx.scheme.encode(&script)));
        }
        if let Some(lock) = script.or(told) {
            if coin_owner(ctx, outpoint).is_some_and(|known| known != lock) {
                let OutPoint { txid, index } = outpoint;
                let sentence = format!("Previous output scriptPubKey mismatch: output {index} of {txid} has another");
                let error = RpcError::new(Code::OutputNotFound, sentence).rule("script-mismatch");
                return Err(error.got(outpoint.to_string()));
            }
            self.owners.insert(outpoint, lock);
        }
        self.multisig.extend(keys);
        Ok(())
    }

    /// The owner of a coin, none if neither the ledger nor the caller knows it.
    #[must_use]
    pub fn owner(&self, ctx: &Context, outpoint: OutPoint) -> Option<Lock> {
        coin_owner(ctx, outpoint).or_else(|| self.owners.get(&outpoint).copied())
    }
}

/// The owner that a payment script names.
fn lock_of(value: &Value) -> Result<Lock, RpcError> {
    let script = script(value, "scriptPubKey")?;
    let refused =
        || RpcError::parameter(ParameterRule::Form, "scriptPubKey is no payment to an address").got(value.clone());
    read_payment_script(&script).ok_or_else(refused)
}

fn keys_of(value: &Value) -> Result<MultisigKeys, RpcError> {
    let script = script(value, "redeemScript")?;
    let refused =
        || RpcError::parameter(ParameterRule::Form, "redeemScript is no script of several keys").got(value.clone());
    read_redeem_script(&script).ok_or_else(refused)
}

fn script(value: &Value, name: &str) -> Result<Vec<u8>, RpcError> {
    let text = value.as_str().filter(|text| text.len() <= super::SCRIPT_DIGITS);
    let refused = || {
        let error = RpcError::parameter(ParameterRule::Form, format!("{name} must be hexadecimal string"));
        error.got(value.clone()).allowed(format!("at most {} hexadecimal digits", super::SCRIPT_DIGITS))
    };
    hex::decode(text.ok_or_else(refused)?).map_err(|_| refused())
}

/// With what a transaction is signed, and how.
#[derive(Debug)]
pub struct Signer {
    /// Given keys; none for those of this wallet.
    keys: Option<Vec<PrivateKey>>,
    mode: Mode,
    /// What the caller tells of coins.
    pub previous: Previous,
}

impl Signer {
    /// Reads keys and mode from two parameters.
    ///
    /// # Errors
    /// -5 for a malformed key, -8 for a mode that is not taken.
    pub fn read(ctx: &Context, params: &Params, keys_at: usize, previous: Previous) -> Result<Signer, RpcError> {
        let keys = given_keys(ctx, params, keys_at)?;
        Ok(Signer { keys, mode: Mode::read(params.text_or(keys_at + 1, "ALL")?)?, previous })
    }

    /// Signs what can be signed; true if nothing is missing.
    ///
    /// # Errors
    /// -701 if coverage had to change below a signature over the whole body, -8 if an input to be covered in part has
    /// no output at its index, -13 if the wallet is locked.
    pub fn sign(&self, ctx: &Context, tx: &mut Transaction) -> Result<bool, RpcError> {
        if self.mode == Mode::Part {
            self.cover_in_part(ctx, tx)?;
        }
        let owner = |outpoint| self.previous.owner(ctx, outpoint);
        let genesis = &ctx.rules.genesis;
        let done = match &self.keys {
            None => {
                let extra = Extra { keys: &[], multisig: &self.previous.multisig };
                ctx.wallet.sign_with(tx, genesis, owner, extra).map_err(wallet_error)?
            }
            Some(keys) => {
                let multisig = self.multisig(ctx, tx);
                sign_with_keys(tx, genesis, owner, Extra { keys, multisig: &multisig })
            }
        };
        Ok(done.is_complete())
    }

    /// Keys of the addresses of several that must sign: those told, and those this wallet knows.
    fn multisig(&self, ctx: &Context, tx: &Transaction) -> Vec<MultisigKeys> {
        let owners = tx.body.inputs.iter().filter_map(|input| self.previous.owner(ctx, input.outpoint));
        let known = tx.body.authors.iter().copied().chain(owners).filter_map(|lock| ctx.wallet.multisig_keys(&lock));
        self.previous.multisig.iter().cloned().chain(known).collect()
    }

    fn cover_in_part(&self, ctx: &Context, tx: &mut Transaction) -> Result<(), RpcError> {
        let outputs = tx.body.outputs.len();
        let mut covered = Vec::new();
        for (index, input) in tx.body.inputs.iter().enumerate() {
            let owner = self.previous.owner(ctx, input.outpoint);
            if input.coverage == Coverage::Part || !owner.is_some_and(|owner| self.is_ours(ctx, &owner)) {
                continue;
            }
            if index >= outputs {
                let sentence = format!("Input {index} has no output at its index: nothing to be covered along with it");
                let error = RpcError::new(Code::InvalidParameter, sentence).rule("tx-part-no-output");
                return Err(error.got(index).allowed(format!("below {outputs}")));
            }
            covered.push(index);
        }
        if covered.is_empty() {
            return Ok(());
        }
        check_not_signed(ctx, tx)?;
        for index in covered {
            if let Some(input) = tx.body.inputs.get_mut(index) {
                input.coverage = Coverage::Part;
            }
        }
        Ok(())
    }

    /// Whether one of the keys at hand signs for an address.
    fn is_ours(&self, ctx: &Context, owner: &Lock) -> bool {
        let told = self.previous.multisig.iter().find(|keys| keys.lock() == *owner).cloned();
        let several = told.or_else(|| ctx.wallet.multisig_keys(owner));
        let locks: Vec<Lock> = match several {
            Some(keys) => keys.keys.iter().map(|key| Lock::Key(key.key_hash())).collect(),
            None => vec![*owner],
        };
        match &self.keys {
            None => locks.iter().any(|lock| ctx.wallet.can_sign(lock)),
            Some(keys) => keys.iter().any(|key| locks.contains(&Lock::Key(key.public_key().key_hash()))),
        }
    }
}

/// The keys that a caller gives along, none if there is no such parameter.
fn given_keys(ctx: &Context, params: &Params, index: usize) -> Result<Option<Vec<PrivateKey>>, RpcError> {
    if params.given(index).is_none() {
        return Ok(None);
    }
    let key = |value: &Value| {
        let refused = |_| RpcError::new(Code::InvalidAddressOrKey, "Invalid private key").rule("key-form");
        ctx.scheme.decode_private_key(as_text(value)?).map_err(refused)
    };
    params.array(index)?.iter().map(key).collect::<Result<Vec<_>, _>>().map(Some)
}

/// -701 if somebody has signed the whole body: changing it would take the signature away.
///
/// # Errors
/// -701.
pub fn check_not_signed(ctx: &Context, tx: &Transaction) -> Result<(), RpcError> {
    let txid = tx.txid();
    let holds = |witness: &Witness| {
        if let Witness::Multisig { signatures, .. } = witness
            && signatures.is_empty()
        {
            return false;
        }
        let lock = witness.lock();
        lock.is_some_and(|lock| witness.verify(&full_digest(&ctx.rules.genesis, &txid, &lock)).is_ok())
    };
    if tx.witnesses.iter().take(MAX_LOOKED_AT).any(holds) {
        let sentence = "This transaction is signed in full: changing it would take the signatures away";
        return Err(RpcError::not_allowed(sentence).rule("tx-signed").got(txid.to_string()));
    }
    Ok(())
}

/// Puts the witnesses that hold into the places they have after inputs or outputs were added; what is not signed stays
/// without witnesses.
#[must_use]
pub fn arrange(ctx: &Context, tx: &mut Transaction, previous: &Previous) -> Completeness {
    let bare = tx.witnesses.iter().all(|witness| *witness == Witness::Absent);
    let owner = |outpoint| previous.owner(ctx, outpoint);
    let done = sign_with_keys(tx, &ctx.rules.genesis, owner, Extra::default());
    if bare {
        tx.witnesses.clear();
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_of_the_six_signature_modes_are_taken() {
        assert_eq!(Mode::read("ALL"), Ok(Mode::Full));
        assert_eq!(Mode::read("SINGLE|ANYONECANPAY"), Ok(Mode::Part));
        for text in ["", "all", "NONE", "SINGLE", "ALL|ANYONECANPAY", "NONE|ANYONECANPAY"] {
            assert_eq!(Mode::read(text).map_err(|error| error.code), Err(Code::InvalidParameter), "{text}");
        }
    }

    #[test]
    fn a_script_names_an_owner_or_is_refused() {
        let payment = format!("76a914{}88ac", "11".repeat(20));
        assert!(lock_of(&Value::from(payment.clone())).is_ok_and(|lock| lock.key_hash().is_some()));
        for text in ["", "zz", "6a", &format!("{payment}00"), &"00".repeat(super::super::SCRIPT_DIGITS)] {
            assert_eq!(lock_of(&Value::from(text)).map_err(|error| error.code), Err(Code::InvalidParameter), "{text}");
        }
        assert!(keys_of(&Value::from("51ae")).is_err() && keys_of(&Value::from(5)).is_err());
    }
}
