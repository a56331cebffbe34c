//! What a transaction built by hand is to do, collected from its addresses and its data, before it becomes outputs.

use std::collections::BTreeMap;

use rota_api::error::{ParameterRule, RpcError};
use rota_chain::amount::Amount;
use rota_chain::asset::{AssetReference, IssueMore};
use rota_chain::hash::Txid;
use rota_chain::key::PublicKey;
use rota_chain::lock::Lock;
use rota_chain::operation::Operation;
use rota_chain::permission::Grant;
use rota_chain::transaction::{MAX_OUTPUTS, Output};
use serde_json::{Map, Value};

use crate::context::Context;
use crate::offchain::{Claim, Safe};
use crate::rpc::amount::{self, Amounts};
use crate::rpc::attachment;
use crate::rpc::data;
use crate::rpc::permission::built;
use crate::rpc::publish::offchain_error;
use crate::rpc::resolve::{entity, short, unknown_field};

/// What a transaction is to do.
#[derive(Debug, Default)]
pub struct Draft {
    /// Payments and grants, in order.
    paid: Vec<Output>,
    /// Outputs of data, in order.
    data: Vec<Output>,
    claims: Vec<Claim>,
    /// Chunks of its items that are new here.
    pub fresh: Safe,
    /// Streams of its items in which writing needs permission.
    pub streams: Vec<Txid>,
    /// Its grants.
    pub grants: Vec<Grant>,
}

impl Draft {
    /// Reads addresses and data. It may touch files.
    ///
    /// # Errors
    /// -8 for a wrong form, -1 for a wrong type or an unknown address, -708 for an unknown entity.
    pub fn read(ctx: &Context, addresses: &Value, data: &[Value]) -> Result<Draft, RpcError> {
        let mut draft = Draft::default();
        match draft.fill(ctx, addresses, data) {
            Ok(()) => {
                if !draft.claims.is_empty() {
                    let claims = std::mem::take(&mut draft.claims);
                    draft.fresh = ctx.offchain.make_safe(claims).map_err(offchain_error)?;
                }
                Ok(draft)
            }
            Err(error) => {
                ctx.offchain.give_up(draft.claims);
                Err(error)
            }
        }
    }

    fn fill(&mut self, ctx: &Context, addresses: &Value, data: &[Value]) -> Result<(), RpcError> {
        let sentence = "Invalid addresses, should be object or array of objects";
        match addresses {
            Value::Null => {}
            Value::Object(members) => self.addresses(ctx, members)?,
            Value::Array(list) => {
                for members in list {
                    let refused = || RpcError::mistyped(members, "obj", sentence);
                    self.addresses(ctx, members.as_object().ok_or_else(refused)?)?;
                }
            }
            other => return Err(RpcError::mistyped(other, "obj or array", sentence)),
        }
        for value in data {
            self.data(ctx, value)?;
        }
        Ok(())
    }

    /// Whether it does nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.paid.is_empty() && self.data.is_empty()
    }

    fn room(&self) -> Result<(), RpcError> {
        let count = self.paid.len() + self.data.len();
        if count >= MAX_OUTPUTS as usize {
            let sentence = format!("A transaction has at most {MAX_OUTPUTS} outputs");
            return Err(RpcError::parameter(ParameterRule::Size, sentence).got(count + 1).allowed(MAX_OUTPUTS));
        }
        Ok(())
    }

    fn addresses(&mut self, ctx: &Context, members: &Map<String, Value>) -> Result<(), RpcError> {
        for (name, value) in members {
            self.room()?;
            let to = recipient(ctx, name)?;
            let mut amounts = Amounts::default();
            match value {
                Value::Object(parts) => {
                    for (part, value) in parts {
                        self.part(ctx, part, value, &mut amounts)?;
                    }
                }
                number => amounts.amount = amount::native(ctx, number)?,
            }
            self.paid.push(amounts.output(to));
        }
        Ok(())
    }

    /// One member of what an address gets.
    fn part(&mut self, ctx: &Context, name: &str, value: &Value, amounts: &mut Amounts) -> Result<(), RpcError> {
        match name {
            "issue" => {
                let raw = raw_units(object(name, value, &["raw"])?)?;
                amounts.add(AssetReference::New, None, raw)
            }
            "issuemore" => {
                let members = object(name, value, &["asset", "raw", "qty"])?;
                let asset = named_asset(ctx, members)?;
                let quantity = quantity(&asset, members)?;
                let more = IssueMore { asset: asset.txid, token: None, quantity, details: Vec::new() };
                amounts.operations.push(Operation::IssueMore(more));
                amounts.add(AssetReference::Existing(asset.txid), None, quantity)
            }
            "issuetoken" => {
                let members = object(name, value, &["asset", "token", "raw", "qty", "details"])?;
                let asset = named_asset(ctx, members)?;
                let quantity = quantity(&asset, members)?;
                let token = Some(amount::token_name(members.get("token"))?);
                let details = super::entity::details(members.get("details"))?;
                let more = IssueMore { asset: asset.txid, token: token.clone(), quantity, details };
                amounts.operations.push(Operation::IssueMore(more));
                amounts.add(AssetReference::Existing(asset.txid), token, quantity)
            }
            "permissions" => {
                let grant = built::read(ctx, value)?;
                self.grants.push(grant.clone());
                amounts.operations.push(Operation::Grant(grant));
                Ok(())
            }
            member => amounts.add_member(ctx, member, value),
        }
    }

    fn data(&mut self, ctx: &Context, value: &Value) -> Result<(), RpcError> {
        self.room()?;
        let operations = match value {
            Value::String(_) => vec![Operation::Data(data::inline(ctx, value)?)],
            Value::Object(members) => self.object(ctx, members, value)?,
            other => {
                let sentence = "Invalid parameter type, should be object or string";
                return Err(RpcError::mistyped(other, "obj or str", sentence));
            }
        };
        if !operations.is_empty() {
            let output = Output { recipient: None, amount: Amount::ZERO, assets: Vec::new(), operations };
            self.data.push(output);
        }
        Ok(())
    }

    fn object(
        &mut self,
        ctx: &Context,
        members: &Map<String, Value>,
        value: &Value,
    ) -> Result<Vec<Operation>, RpcError> {
        if members.contains_key("create") {
            return super::entity::create(members).map(|operation| vec![operation]);
        }
        if members.contains_key("update") {
            return super::entity::update(ctx, members);
        }
        if members.contains_key("approve") {
            if let Some(identifier) = members.get("for").and_then(Value::as_str) {
                entity(ctx, identifier)?;
            }
            let error = RpcError::not_supported("Filters and upgrades are not available in this version");
            return Err(error.rule("not-available").got("approve"));
        }
        // What other nodes keep of previous outputs is in the ledger here.
        if members.contains_key("inputcache") {
            return Ok(Vec::new());
        }
        let (attached, claims) = attachment::read_now(ctx, value)?;
        self.claims.extend(claims);
        self.streams.extend(attached.stream);
        Ok(vec![attached.operation])
    }

    /// Its outputs: payments, then data.
    #[must_use]
    pub fn outputs(mut self) -> Vec<Output> {
        self.paid.append(&mut self.data);
        self.paid
    }
}

/// Settles what outputs issue: a new asset issues the units that they place of it, and each follow-on issuance is one
/// operation, which stands where its details do.
pub fn settle(outputs: &mut [Output]) {
    let mut placed: u64 = 0;
    for quantity in outputs.iter().flat_map(|output| &output.assets) {
        if quantity.asset == AssetReference::New {
            placed = placed.saturating_add(quantity.quantity);
        }
    }
    // By asset: all that is issued of it, and at which of its operations the last details stand.
    let mut issuances: BTreeMap<Txid, (IssueMore, usize)> = BTreeMap::new();
    for (at, operation) in outputs.iter_mut().flat_map(|output| &mut output.operations).enumerate() {
        match operation {
            Operation::IssueAsset(issue) => issue.quantity = placed,
            Operation::IssueMore(more) if more.token.is_none() => {
                let none = || (IssueMore { quantity: 0, ..more.clone() }, at);
                let (whole, place) = issuances.entry(more.asset).or_insert_with(none);
                whole.quantity = whole.quantity.saturating_add(more.quantity);
                if !more.details.is_empty() {
                    whole.details.clone_from(&more.details);
                    *place = at;
                }
            }
            _ => {}
        }
    }
    let mut at = 0_usize;
    for output in outputs {
        output.operations.retain_mut(|operation| {
            let here = at;
            at += 1;
            let Operation::IssueMore(more) = operation else { return true };
            match issuances.get(&more.asset) {
                Some((whole, place)) if more.token.is_none() => {
                    more.clone_from(whole);
                    *place == here
                }
                _ => true,
            }
        });
    }
}

/// Who gets an output: an address, or a public key.
fn recipient(ctx: &Context, text: &str) -> Result<Lock, RpcError> {
    if let Ok(lock) = ctx.scheme.decode(text) {
        return Ok(lock);
    }
    let key = hex::decode(text).ok().and_then(|bytes| PublicKey::from_slice(&bytes).ok());
    let refused = || {
        let error = RpcError::new(rota_api::Code::Misc, format!("Invalid address or public key: {}", short(text)));
        error.rule("address-form").got(text)
    };
    key.map(|key| Lock::Key(key.key_hash())).ok_or_else(refused)
}

fn object<'v>(name: &str, value: &'v Value, known: &[&str]) -> Result<&'v Map<String, Value>, RpcError> {
    let refused = || RpcError::mistyped(value, "obj", format!("Invalid {name}, should be object"));
    let members = value.as_object().ok_or_else(refused)?;
    match members.keys().find(|member| !known.contains(&member.as_str())) {
        Some(member) => Err(unknown_field(member, known)),
        None => Ok(members),
    }
}

fn named_asset(ctx: &Context, members: &Map<String, Value>) -> Result<amount::Asset, RpcError> {
    let text = members.get("asset").and_then(Value::as_str);
    amount::asset(&ctx.view.read(), text.ok_or_else(|| RpcError::missing_field("asset"))?)
}

fn quantity(asset: &amount::Asset, members: &Map<String, Value>) -> Result<u64, RpcError> {
    match members.get("qty") {
        Some(value) if !members.contains_key("raw") => asset.quantity(value),
        _ => raw_units(members),
    }
}

fn raw_units(members: &Map<String, Value>) -> Result<u64, RpcError> {
    let raw = members.get("raw").ok_or_else(|| RpcError::missing_field("raw"))?;
    let sentence = "Invalid raw value, should be a whole number of raw units";
    raw.as_u64().ok_or_else(|| RpcError::not_whole(raw, "0 or more", sentence))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use rota_chain::asset::{AssetQuantity, AssetRules, IssueAsset};
    use rota_chain::lock::KeyHash;
    use serde_json::json;

    use super::*;

    fn issue() -> Operation {
        let rules = AssetRules::default();
        Operation::IssueAsset(IssueAsset { name: Vec::new(), multiple: 1, rules, quantity: 0, details: Vec::new() })
    }

    fn more(quantity: u64, details: &[u8]) -> Operation {
        let details = details.to_vec();
        Operation::IssueMore(IssueMore { asset: Txid([1; 32]), token: None, quantity, details })
    }

    fn paid(operations: Vec<Operation>, quantity: u64) -> Output {
        let assets = vec![AssetQuantity { asset: AssetReference::New, token: None, quantity }];
        Output { assets, operations, ..Output::payment(Lock::Key(KeyHash([1; 20])), Amount::ZERO) }
    }

    #[test]
    fn units_that_are_placed_are_what_the_new_asset_issues() {
        let mut outputs = vec![paid(vec![], 50), paid(vec![], 7), Output::operation(issue())];
        settle(&mut outputs);
        assert!(matches!(&outputs[2].operations[0], Operation::IssueAsset(issue) if issue.quantity == 57));
    }

    #[test]
    fn details_of_a_follow_on_issuance_stand_with_its_quantity() {
        let mut outputs =
            vec![paid(vec![more(20, b"")], 1), paid(vec![more(5, b"")], 1), Output::operation(more(0, b"{}"))];
        settle(&mut outputs);
        assert!(outputs[0].operations.is_empty() && outputs[1].operations.is_empty());
        assert_eq!(outputs[2].operations, [more(25, b"{}")]);
        let again = outputs.clone();
        settle(&mut outputs);
        assert_eq!(outputs, again, "settling what is settled changes nothing");
    }

    #[test]
    fn several_payments_of_a_follow_on_issuance_are_one_issuance() {
        let mut outputs = vec![paid(vec![more(5, b"")], 1), paid(vec![more(7, b"")], 1)];
        settle(&mut outputs);
        assert_eq!((outputs[0].operations.as_slice(), outputs[1].operations.len()), (&[more(12, b"")][..], 0));
    }

    #[test]
    fn raw_units_are_whole_and_not_negative() {
        let raw = |value: Value| raw_units(json!({"raw": value}).as_object().unwrap());
        assert_eq!(raw(json!(5)).unwrap(), 5);
        for value in [json!(-1), json!(1.5), json!("5"), json!(null)] {
            assert!(raw(value).is_err());
        }
    }
}
