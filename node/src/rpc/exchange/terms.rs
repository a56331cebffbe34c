//! The terms of an exchange that exists as text: who offers what for what, whether every signature holds, and what is
//! still missing.

use rota_api::error::{Code, RpcError};
use rota_chain::amount::Amount;
use rota_chain::codec::encoded_length;
use rota_chain::lock::Lock;
use rota_chain::transaction::{Coverage, Output, Transaction};
use rota_consensus::state::Coin;
use rota_wallet::Completeness;
use rota_wallet::select::Holding;
use serde_json::{Map, Value};

use super::{coin, exchange_error};
use crate::context::Context;
use crate::rpc::Answer;
use crate::rpc::amount::{Balance, shown_assets};
use crate::rpc::payment::{self, Choosing, Source, WITNESS_BYTES};
use crate::rpc::raw::sign::{Previous, arrange};
use crate::rpc::resolve::shape;

/// What one side of a party gives, as answers show it.
type Shown = Map<String, Value>;

/// One party: the coin it puts in and the output it gets.
#[derive(Debug)]
struct Party {
    coin: Coin,
    output: Output,
}

/// The terms of an exchange.
#[derive(Debug)]
pub struct Terms<'t> {
    tx: &'t Transaction,
    parties: Vec<Party>,
    balance: Balance,
    /// The least fee of a transaction of this size.
    fee: Amount,
}

impl<'t> Terms<'t> {
    /// Reads an exchange.
    ///
    /// # Errors
    /// -707 if it is none, a coin is spent, or a signature does not hold what is written now.
    pub fn read(ctx: &Context, tx: &'t Transaction) -> Result<Terms<'t>, RpcError> {
        check_form(tx)?;
        let mut parties = Vec::with_capacity(tx.body.inputs.len());
        for (index, (input, output)) in tx.body.inputs.iter().zip(&tx.body.outputs).enumerate() {
            let outpoint = input.outpoint;
            let coin = coin(ctx, outpoint)?.ok_or_else(|| {
                let sentence =
                    format!("Input already spent; Input: {index}, txid: {}, vout: {}", outpoint.txid, outpoint.index);
                exchange_error(sentence).rule("exchange-spent").got(outpoint.to_string())
            })?;
            parties.push(Party { coin, output: output.clone() });
        }
        let mut copy = tx.clone();
        if let Completeness::Incomplete { .. } = arrange(ctx, &mut copy, &Previous::default()) {
            let sentence = "A signature is missing or does not hold: the exchange was changed after it was signed";
            return Err(exchange_error(sentence).rule("exchange-signature"));
        }
        if copy.witnesses != tx.witnesses {
            let sentence = "The signatures of this exchange are not in their places";
            return Err(exchange_error(sentence).rule("exchange-signature"));
        }
        let mut balance = Balance::default();
        for party in &parties {
            balance.count(1, party.coin.amount, &party.coin.assets);
        }
        balance.pay(&tx.body.outputs);
        let fee = payment::fee_of(ctx, encoded_length(tx));
        Ok(Terms { tx, parties, balance, fee })
    }

    /// Whether everything offered is asked for, and the other way round, and the fee is there.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.balance.assets.is_empty() && self.balance.amount >= i128::from(self.fee.0)
    }

    /// The terms as decoderawexchange shows them.
    ///
    /// # Errors
    /// -32603 if storage fails.
    pub fn shown(&self, ctx: &Context, verbose: bool) -> Answer {
        let complete = self.is_balanced();
        let (mut offer, ask) = (self.balance.side(1)?, self.balance.side(-1)?);
        let left = offer.amount;
        if complete {
            offer.amount = Amount::ZERO;
        }
        let own = self.parties.iter().any(|party| ctx.wallet.can_sign(&party.coin.owner));
        let mut map = Map::new();
        map.insert("offer".into(), Value::Object(holding(ctx, &offer)?));
        map.insert("ask".into(), Value::Object(holding(ctx, &ask)?));
        if complete {
            map.insert("completedfee".into(), native(ctx, left));
        }
        map.insert("requiredfee".into(), native(ctx, self.fee));
        map.insert("candisable".into(), own.into());
        map.insert("cancomplete".into(), can_pay(ctx, ask, encoded_length(self.tx)).into());
        map.insert("complete".into(), complete.into());
        if verbose {
            let parties = self.parties.iter().zip(&self.tx.body.inputs);
            let list: Result<Vec<Value>, RpcError> = parties
                .map(|(party, input)| {
                    let (mut offer, mut ask) = party.shown(ctx)?;
                    offer.insert("txid".into(), input.outpoint.txid.to_string().into());
                    offer.insert("vout".into(), input.outpoint.index.into());
                    offer.shift_insert(2, "address".into(), ctx.scheme.encode(&party.coin.owner).into());
                    let to = party.output.recipient.as_ref().map(|lock: &Lock| ctx.scheme.encode(lock));
                    ask.insert("address".into(), to.into());
                    let mut map = Map::new();
                    map.insert("offer".into(), Value::Object(offer));
                    map.insert("ask".into(), Value::Object(ask));
                    Ok(Value::Object(map))
                })
                .collect();
            map.insert("exchanges".into(), Value::Array(list?));
        }
        Ok(Value::Object(map))
    }
}

impl Party {
    fn shown(&self, ctx: &Context) -> Result<(Shown, Shown), RpcError> {
        let (mut given, mut taken) = (Balance::default(), Balance::default());
        given.count(1, self.coin.amount, &self.coin.assets);
        taken.count(1, self.output.amount, &self.output.assets);
        Ok((holding(ctx, &given.side(1)?)?, holding(ctx, &taken.side(1)?)?))
    }
}

/// What an exchange looks like: an output to somebody at the index of each input; inputs covered in part, but for the
/// last, whose owner may cover all of it; no authors.
fn check_form(tx: &Transaction) -> Result<(), RpcError> {
    let body = &tx.body;
    if body.inputs.is_empty() || !body.authors.is_empty() || body.outputs.len() < body.inputs.len() {
        let sentence = "This transaction is no exchange: each input needs an output, and nobody is author";
        return Err(exchange_error(sentence).rule("exchange-form"));
    }
    let last = body.inputs.len().saturating_sub(1);
    for (index, (input, output)) in body.inputs.iter().zip(&body.outputs).enumerate() {
        if output.recipient.is_none() {
            let sentence = format!("Output {index} of this exchange is paid to nobody");
            return Err(exchange_error(sentence).rule("exchange-form"));
        }
        if input.coverage == Coverage::Full && (index != last || last == 0) {
            let sentence = format!("Input {index} of this exchange is not covered in part");
            return Err(exchange_error(sentence).rule("exchange-form"));
        }
    }
    Ok(())
}

fn native(ctx: &Context, amount: Amount) -> Value {
    let raw = i64::try_from(amount.0).unwrap_or(i64::MAX);
    rota_api::number::amount_value(raw, ctx.parameters.native_currency_multiple())
}

fn holding(ctx: &Context, holding: &Holding) -> Result<Shown, RpcError> {
    let mut map = Map::new();
    map.insert("amount".into(), native(ctx, holding.amount));
    map.insert("assets".into(), shape(&shown_assets(&ctx.view.read(), holding)?)?);
    Ok(map)
}

/// Whether the coins of this wallet would do for what is asked.
fn can_pay(ctx: &Context, ask: Holding, bytes: usize) -> bool {
    if ask.is_empty() {
        return true;
    }
    let choosing = Choosing { bytes: bytes.saturating_add(WITNESS_BYTES), ..Choosing::default() };
    match payment::choose_now(ctx, &Source::Wallet, &ask, choosing) {
        Ok(_) => true,
        Err(error) => {
            let funds = matches!(error.code, Code::InsufficientFunds | Code::InsufficientPermissions);
            tracing::debug!(%error, funds, "this wallet cannot complete an exchange");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use rota_chain::hash::Txid;
    use rota_chain::lock::KeyHash;
    use rota_chain::transaction::{Input, OutPoint};

    use super::*;

    fn input(index: u32, coverage: Coverage) -> Input {
        Input { outpoint: OutPoint { txid: Txid([1; 32]), index }, coverage }
    }

    fn exchange(inputs: &[Coverage], outputs: usize) -> Transaction {
        let mut tx = Transaction::coinbase(rota_chain::amount::Height(0), Vec::new());
        tx.body.inputs = (0..).zip(inputs).map(|(index, coverage)| input(index, *coverage)).collect();
        tx.body.outputs = vec![Output::payment(Lock::Key(KeyHash([1; 20])), Amount::ZERO); outputs];
        tx
    }

    #[test]
    fn an_exchange_is_covered_in_part_but_for_who_completes_it() {
        const PART: Coverage = Coverage::Part;
        const FULL: Coverage = Coverage::Full;
        for (inputs, outputs) in [(&[PART][..], 1), (&[PART, PART], 2), (&[PART, PART, FULL], 3), (&[PART, FULL], 4)] {
            assert_eq!(check_form(&exchange(inputs, outputs)), Ok(()), "{inputs:?} {outputs}");
        }
        for (inputs, outputs) in [(&[][..], 1), (&[FULL], 1), (&[FULL, PART], 2), (&[PART, PART], 1)] {
            let refused = check_form(&exchange(inputs, outputs)).map_err(|error| error.code);
            assert_eq!(refused, Err(Code::Exchange), "{inputs:?} {outputs}");
        }
    }

    #[test]
    fn an_exchange_with_authors_or_a_leg_for_nobody_is_none() {
        let mut authored = exchange(&[Coverage::Part], 1);
        authored.body.authors.push(Lock::Key(KeyHash([2; 20])));
        assert!(check_form(&authored).is_err());
        let mut nobody = exchange(&[Coverage::Part], 1);
        nobody.body.outputs.iter_mut().for_each(|output| output.recipient = None);
        assert!(check_form(&nobody).is_err());
    }
}
