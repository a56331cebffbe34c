//! Amounts as callers give them: a number of native currency, or an object of assets, tokens, native currency (under
//! the empty name) and inline data. Counted exactly, in raw units.

use std::collections::BTreeMap;

use rota_api::asset::AssetQuantity as ShownQuantity;
use rota_api::error::{Code, EntityKind as Wanted, ParameterRule, RpcError};
use rota_api::number::{amount_raw, amount_value, quantity_raw};
use rota_api::params::type_word;
use rota_chain::amount::Amount;
use rota_chain::asset::{AssetQuantity, AssetReference, MAX_TOKEN};
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::operation::Operation;
use rota_chain::transaction::{MAX_ASSETS, MAX_OPERATIONS, Output};
use rota_consensus::state::{EntityKind, StateKey, StateView};
use rota_wallet::select::{Holding, Unit};
use serde_json::{Map, Value};

use super::data;
use super::resolve::{entity_in, reference, short, state_error, unknown_field};
use crate::context::Context;
use crate::view::View;

/// What an output is to carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Native currency.
    pub amount: Amount,
    /// Assets and tokens, each once, none of 0.
    pub assets: Vec<AssetQuantity>,
    /// Data and whatever else goes along.
    pub operations: Vec<Operation>,
}

impl Amounts {
    /// The output that pays this.
    #[must_use]
    pub fn output(self, recipient: Lock) -> Output {
        Output { recipient: Some(recipient), amount: self.amount, assets: self.assets, operations: self.operations }
    }

    /// Adds a quantity to what there is of the same asset and token.
    ///
    /// # Errors
    /// -8 if the sum does not fit, or for too many assets.
    pub fn add(&mut self, asset: AssetReference, token: Option<Vec<u8>>, quantity: u64) -> Result<(), RpcError> {
        if quantity == 0 {
            return Ok(());
        }
        let known = self.assets.iter_mut().find(|known| known.asset == asset && known.token == token);
        if let Some(known) = known {
            known.quantity = known.quantity.checked_add(quantity).ok_or_else(out_of_range)?;
            return Ok(());
        }
        if self.assets.len() >= MAX_ASSETS as usize {
            let sentence = format!("An output carries at most {MAX_ASSETS} assets");
            return Err(RpcError::parameter(ParameterRule::Size, sentence)
                .got(self.assets.len() + 1)
                .allowed(MAX_ASSETS));
        }
        self.assets.push(AssetQuantity { asset, token, quantity });
        Ok(())
    }

    /// Adds data that goes along: one value or an array of them.
    ///
    /// # Errors
    /// As [`data::inline`], -8 for too many.
    pub fn add_data(&mut self, ctx: &Context, value: &Value) -> Result<(), RpcError> {
        let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        let count = self.operations.len() + values.len();
        if count > MAX_OPERATIONS as usize {
            let sentence = format!("An output carries at most {MAX_OPERATIONS} pieces of data");
            return Err(RpcError::parameter(ParameterRule::Size, sentence).got(count).allowed(MAX_OPERATIONS));
        }
        for value in values {
            self.operations.push(Operation::Data(data::inline(ctx, value)?));
        }
        Ok(())
    }

    /// Adds what a member of an amount object stands for: native currency, data or an asset.
    ///
    /// # Errors
    /// -1 for a wrong type, -8 for a wrong quantity, -708 for an unknown asset or token.
    pub fn add_member(&mut self, ctx: &Context, name: &str, value: &Value) -> Result<(), RpcError> {
        match name {
            "" => {
                let more = native(ctx, value)?;
                self.amount = self.amount.checked_add(more).ok_or_else(out_of_range)?;
                Ok(())
            }
            "data" => self.add_data(ctx, value),
            identifier => self.add_asset(ctx, identifier, value),
        }
    }

    fn add_asset(&mut self, ctx: &Context, identifier: &str, value: &Value) -> Result<(), RpcError> {
        let asset = asset(&ctx.view.read(), identifier)?;
        if asset.fungible {
            if value.is_object() || value.is_array() {
                return Err(RpcError::mistyped(value, "real", format!("Invalid object: {}", short(identifier))));
            }
            let quantity = asset.quantity(value)?;
            return self.add(AssetReference::Existing(asset.txid), None, quantity);
        }
        let tokens = match value {
            Value::Object(token) => vec![token],
            Value::Array(tokens) => {
                tokens.iter().map(Value::as_object).collect::<Option<_>>().ok_or_else(|| token_form(value))?
            }
            other => return Err(token_form(other)),
        };
        for members in tokens {
            let (token, quantity) = token(&asset, members)?;
            check_token(&ctx.view.read(), &asset, &token)?;
            self.add(AssetReference::Existing(asset.txid), Some(token), quantity)?;
        }
        Ok(())
    }
}

fn out_of_range() -> RpcError {
    RpcError::parameter(ParameterRule::Range, "Amount out of range").allowed(format!("0 to {} raw units", u64::MAX))
}

fn token_form(got: &Value) -> RpcError {
    RpcError::mistyped(got, "obj or array", "Invalid token quantity, should be object or array of objects")
}

/// Reads an amount: a number or an object.
///
/// # Errors
/// As [`Amounts::add_member`].
pub fn read(ctx: &Context, value: &Value) -> Result<Amounts, RpcError> {
    let mut amounts = Amounts::default();
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                amounts.add_member(ctx, name, value)?;
            }
        }
        number => amounts.amount = native(ctx, number)?,
    }
    Ok(amounts)
}

/// Native currency in the units that callers use.
///
/// # Errors
/// -1 for another type than a number, -8 if it is negative or does not fit.
pub fn native(ctx: &Context, value: &Value) -> Result<Amount, RpcError> {
    let raw = amount_raw(value, ctx.parameters.native_currency_multiple())?;
    let negative = |_| RpcError::parameter(ParameterRule::Range, "Invalid amount: it is negative");
    u64::try_from(raw).map(Amount).map_err(|error| negative(error).got(value.clone()).allowed("0 or more"))
}

/// An asset that a caller named.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Its issuing transaction.
    pub txid: Txid,
    /// Raw units a displayed unit.
    pub multiple: u64,
    /// Whether units are interchangeable.
    pub fungible: bool,
}

impl Asset {
    /// The raw units of a number of displayed ones.
    ///
    /// # Errors
    /// -1 for another type than a number, -8 if it is negative or does not fit.
    pub fn quantity(&self, value: &Value) -> Result<u64, RpcError> {
        let raw = quantity_raw(value, i64::try_from(self.multiple).unwrap_or(i64::MAX))?;
        let negative = |_| RpcError::parameter(ParameterRule::Range, "Negative asset quantity");
        u64::try_from(raw).map_err(|error| negative(error).got(value.clone()).allowed("0 or more"))
    }
}

/// The asset of an identifier, waiting ones included.
///
/// # Errors
/// -708 if there is none.
pub fn asset(view: &View, identifier: &str) -> Result<Asset, RpcError> {
    let (txid, entity) = entity_in(view, identifier, Wanted::Asset)?;
    match entity.kind {
        EntityKind::Asset { multiple, rules, .. } => Ok(Asset { txid, multiple, fungible: rules.fungible }),
        EntityKind::Stream { .. } | EntityKind::Variable { .. } | EntityKind::Upgrade { .. } => {
            Err(RpcError::internal("an asset is no asset"))
        }
    }
}

/// Reads `{"token": .., "qty": ..}`.
fn token(asset: &Asset, members: &Map<String, Value>) -> Result<(Vec<u8>, u64), RpcError> {
    let unknown = members.keys().find(|name| !matches!(name.as_str(), "token" | "qty"));
    if let Some(name) = unknown {
        return Err(unknown_field(name, &["token", "qty"]));
    }
    let token = token_name(members.get("token"))?;
    let quantity = members.get("qty").ok_or_else(|| RpcError::missing_field("qty"))?;
    Ok((token, asset.quantity(quantity)?))
}

/// Reads the identifier of a token.
///
/// # Errors
/// -8 for another type, an empty or too long one; -701 for `*`: which tokens are meant must be said.
pub fn token_name(value: Option<&Value>) -> Result<Vec<u8>, RpcError> {
    let text = value.ok_or_else(|| RpcError::missing_field("token"))?;
    let sentence = || format!("Invalid token: it is {}, should be string", type_word(text));
    let text = text.as_str().ok_or_else(|| RpcError::mistyped(text, "str", sentence()))?;
    if text == "*" {
        return Err(RpcError::not_allowed("Each token must be named, * is not taken here")
            .rule("asset-token-form")
            .got("*"));
    }
    if text.is_empty() || text.len() > MAX_TOKEN as usize {
        let sentence = format!("Invalid token: it has {} bytes, 1 to {MAX_TOKEN} are allowed", text.len());
        let error = RpcError::parameter(ParameterRule::Size, sentence).got(text.len());
        return Err(error.allowed(format!("1 to {MAX_TOKEN}")));
    }
    Ok(text.as_bytes().to_vec())
}

fn check_token(view: &View, asset: &Asset, token: &[u8]) -> Result<(), RpcError> {
    let key = StateKey::Token(asset.txid, token.to_vec());
    if view.pool.state().get(&key).map_err(state_error)?.is_some() {
        return Ok(());
    }
    let shown = String::from_utf8_lossy(token);
    let error = RpcError::new(Code::EntityNotFound, format!("Token {} not found in this asset", short(&shown)));
    Err(error.rule("token-missing").got(shown.as_ref()))
}

/// Native currency and assets with a sign: what comes in less what goes out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Native currency.
    pub amount: i128,
    /// Assets and tokens; none of 0.
    pub assets: BTreeMap<Unit, i128>,
}

impl Balance {
    /// Adds (`sign` 1) or takes away (-1).
    pub fn count(&mut self, sign: i128, amount: Amount, assets: &[AssetQuantity]) {
        self.amount += sign * i128::from(amount.0);
        for quantity in assets {
            if let AssetReference::Existing(asset) = quantity.asset {
                self.unit(Unit { asset, token: quantity.token.clone() }, sign * i128::from(quantity.quantity));
            }
        }
    }

    /// Takes away what outputs carry, and adds what their operations issue. Units of a new asset are issued as placed.
    pub fn pay(&mut self, outputs: &[Output]) {
        for output in outputs {
            self.count(-1, output.amount, &output.assets);
            for operation in &output.operations {
                if let Operation::IssueMore(more) = operation {
                    let unit = Unit { asset: more.asset, token: more.token.clone() };
                    self.unit(unit, i128::from(more.quantity));
                }
            }
        }
    }

    fn unit(&mut self, unit: Unit, by: i128) {
        let held = self.assets.entry(unit.clone()).or_default();
        *held += by;
        if *held == 0 {
            self.assets.remove(&unit);
        }
    }

    /// What is above 0 (`sign` 1) or below it (-1).
    ///
    /// # Errors
    /// -8 if it does not fit.
    pub fn side(&self, sign: i128) -> Result<Holding, RpcError> {
        let raw = |counted: i128| u64::try_from((counted * sign).max(0)).map_err(|_| out_of_range());
        let mut holding = Holding::native(Amount(raw(self.amount)?));
        for (unit, counted) in &self.assets {
            if !holding.add_asset(unit.clone(), raw(*counted)?) {
                return Err(out_of_range());
            }
        }
        holding.assets.retain(|_, quantity| *quantity > 0);
        Ok(holding)
    }
}

/// Assets as answers show them.
///
/// # Errors
/// -32603 if storage fails.
pub fn shown_assets(view: &View, holding: &Holding) -> Result<Vec<ShownQuantity>, RpcError> {
    let mut shown = Vec::with_capacity(holding.assets.len());
    for (unit, quantity) in &holding.assets {
        let Some(entity) = view.pool.state().entity(&unit.asset).map_err(state_error)? else { continue };
        let EntityKind::Asset { multiple, .. } = &entity.kind else { continue };
        let name = String::from_utf8_lossy(&entity.name).into_owned();
        let (raw, multiple) = (i64::try_from(*quantity), i64::try_from(*multiple));
        shown.push(ShownQuantity {
            name: (!name.is_empty()).then_some(name),
            assetref: reference(&unit.asset, &entity),
            token: unit.token.as_ref().map(|token| String::from_utf8_lossy(token).into_owned()),
            qty: amount_value(raw.unwrap_or(i64::MAX), multiple.unwrap_or(1)),
            raw: None,
        });
    }
    Ok(shown)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::json;

    use super::*;

    fn asset(multiple: u64) -> Asset {
        Asset { txid: Txid([1; 32]), multiple, fungible: true }
    }

    fn unit(seed: u8) -> Unit {
        Unit { asset: Txid([seed; 32]), token: None }
    }

    fn quantity(seed: u8, quantity: u64) -> AssetQuantity {
        AssetQuantity { asset: AssetReference::Existing(Txid([seed; 32])), token: None, quantity }
    }

    #[test]
    fn a_quantity_is_counted_in_raw_units_and_what_is_below_half_a_unit_is_none() {
        let raw = |value: Value| asset(100).quantity(&value).unwrap();
        assert_eq!((raw(json!(250.25)), raw(json!(0.29)), raw(json!(0.001)), raw(json!(7))), (25_025, 29, 0, 700));
        assert_eq!(asset(1).quantity(&json!(0.5)).unwrap(), 0);
        assert_eq!(asset(1).quantity(&json!(-1)).unwrap_err().code, Code::InvalidParameter);
        assert_eq!(asset(1).quantity(&json!("1")).unwrap_err().code, Code::Misc);
    }

    #[test]
    fn an_asset_named_twice_is_one_quantity_and_nothing_is_none() {
        let mut amounts = Amounts::default();
        let of = AssetReference::Existing(Txid([1; 32]));
        amounts.add(of, None, 5).unwrap();
        amounts.add(of, None, 0).unwrap();
        amounts.add(of, None, 6).unwrap();
        amounts.add(of, Some(b"t".to_vec()), 1).unwrap();
        assert_eq!(amounts.assets.iter().map(|known| known.quantity).collect::<Vec<_>>(), [11, 1]);
        assert_eq!(amounts.add(of, None, u64::MAX).unwrap_err().code, Code::InvalidParameter);
    }

    #[test]
    fn tokens_are_named_one_by_one() {
        assert_eq!(token_name(Some(&json!("mona"))).unwrap(), b"mona");
        for value in [None, Some(json!("")), Some(json!(5)), Some(json!("x".repeat(33)))] {
            assert_eq!(token_name(value.as_ref()).unwrap_err().code, Code::InvalidParameter);
        }
        assert_eq!(token_name(Some(&json!("*"))).unwrap_err().code, Code::NotAllowed);
    }

    #[test]
    fn a_balance_tells_what_is_left_from_what_is_missing() {
        let mut balance = Balance::default();
        balance.count(1, Amount(7), &[quantity(1, 10), quantity(2, 3)]);
        balance.count(-1, Amount(9), &[quantity(1, 4), quantity(2, 3), quantity(3, 1)]);
        let (left, missing) = (balance.side(1).unwrap(), balance.side(-1).unwrap());
        assert_eq!((left.amount, left.assets), (Amount(0), BTreeMap::from([(unit(1), 6)])));
        assert_eq!((missing.amount, missing.assets), (Amount(2), BTreeMap::from([(unit(3), 1)])));
    }
}
