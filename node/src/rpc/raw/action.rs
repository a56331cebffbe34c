//! What is done with a transaction built by hand: its text is shown, its inputs are locked, it is signed, or sent.

use std::sync::Arc;

use rota_api::error::{Code, ParameterRule, RpcError};
use rota_api::raw::Signed;
use rota_chain::codec::encode;
use rota_chain::hash::Txid;
use rota_chain::transaction::Transaction;
use serde_json::Value;

use super::sign::Signer;
use crate::coin::LOCKED_COINS;
use crate::context::Context;
use crate::offchain::Safe;
use crate::rpc::Answer;
use crate::rpc::resolve::{shape, submit, verify};

/// What a caller asks for besides the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Action {
    lock: bool,
    sign: bool,
    send: bool,
}

impl Action {
    /// Reads `""`, `lock`, `sign`, both, or `send`.
    ///
    /// # Errors
    /// -8 for anything else.
    pub fn read(text: &str) -> Result<Action, RpcError> {
        match text {
            "" => Ok(Action::default()),
            "lock" => Ok(Action { lock: true, ..Action::default() }),
            "sign" => Ok(Action { sign: true, ..Action::default() }),
            "lock,sign" | "sign,lock" => Ok(Action { lock: true, sign: true, send: false }),
            "send" => Ok(Action { send: true, ..Action::default() }),
            other => {
                let sentence = "Invalid action, should be lock, sign, \"lock,sign\" or send";
                let error = RpcError::parameter(ParameterRule::Word, sentence).got(other);
                Err(error.allowed(["", "lock", "sign", "lock,sign", "send"]))
            }
        }
    }
}

/// -8: no more outputs can be locked.
#[must_use]
pub fn many_locked() -> RpcError {
    let sentence = "Too many outputs are locked: see listlockunspent and lockunspent";
    RpcError::new(Code::InvalidParameter, sentence).rule("lock-count").allowed(LOCKED_COINS)
}

/// Does it. Chunks in `fresh` are forgotten if the transaction is refused.
pub async fn finish(ctx: &Arc<Context>, mut tx: Transaction, signer: Signer, action: Action, fresh: Safe) -> Answer {
    let held = ctx.offchain.hold(fresh);
    if action.lock && !ctx.coins.lock(tx.body.inputs.iter().map(|input| input.outpoint)) {
        held.forget();
        return Err(many_locked());
    }
    if !action.sign && !action.send {
        return Ok(text(&tx));
    }
    let worker = Arc::clone(ctx);
    let work = tokio::task::spawn_blocking(move || signer.sign(&worker, &mut tx).map(|complete| (tx, complete)));
    let signed = work.await.map_err(RpcError::internal)?;
    let sent = match signed {
        Ok((tx, complete)) if action.sign => return shape(&Signed { hex: hex::encode(encode(&tx)), complete }),
        Ok((tx, true)) => send(ctx, tx).await,
        Ok((_, false)) => {
            Err(RpcError::new(Code::Verify, "Transaction was not signed properly").rule("signature-missing"))
        }
        Err(error) => Err(error),
    };
    if sent.is_err() {
        held.forget();
    }
    sent.map(|txid| Value::from(txid.to_string()))
}

/// A transaction as text.
#[must_use]
pub fn text(tx: &Transaction) -> Value {
    Value::from(hex::encode(encode(tx)))
}

/// Submits a transaction that came as text or was built by hand.
///
/// # Errors
/// -26 if a rule refuses it, -27 if it is in a block already or its coins are gone.
pub async fn send(ctx: &Arc<Context>, tx: Transaction) -> Result<Txid, RpcError> {
    let worker = Arc::clone(ctx);
    let verified = tokio::task::spawn_blocking(move || verify(&worker, Arc::new(tx))).await;
    let verified = verified.map_err(RpcError::internal)?.map_err(rejected)?;
    submit(ctx, verified).await.map_err(rejected)
}

/// Whoever builds transactions by hand is told by one code that the rules refuse one; the text names the rule.
fn rejected(mut error: RpcError) -> RpcError {
    let rule = matches!(
        error.code,
        Code::InsufficientPermissions | Code::NotAllowed | Code::EntityNotFound | Code::DuplicateName
    );
    if rule {
        error.code = Code::VerifyRejected;
    }
    error
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn an_action_is_nothing_locking_signing_both_or_sending() {
        let read = |text| Action::read(text).map(|action| (action.lock, action.sign, action.send)).unwrap();
        assert_eq!((read(""), read("lock")), ((false, false, false), (true, false, false)));
        assert_eq!((read("sign,lock"), read("lock,sign")), ((true, true, false), (true, true, false)));
        assert_eq!((read("sign"), read("send")), ((false, true, false), (false, false, true)));
        for text in ["Send", "lock,send", "nonsense", "lock, sign"] {
            assert_eq!(Action::read(text).unwrap_err().code, Code::InvalidParameter, "{text}");
        }
    }

    #[test]
    fn what_a_rule_refuses_has_one_code() {
        let code = |error: RpcError| rejected(error).code;
        assert_eq!(code(RpcError::no_permission("x")), Code::VerifyRejected);
        assert_eq!(code(RpcError::name_taken()), Code::VerifyRejected);
        assert_eq!(code(RpcError::new(Code::AlreadyInChain, "x")), Code::AlreadyInChain);
        assert_eq!(code(RpcError::internal("x")), Code::InternalError);
    }
}
