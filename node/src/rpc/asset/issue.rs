//! Issuing assets, more of them and tokens, and opening and closing them. The units go to an address that may receive;
//! who issues gives authority and spends nothing.

use std::sync::Arc;

use futures::future::BoxFuture;
use rota_api::error::{Code, EntityKind as Wanted, ParameterRule, RpcError};
use rota_api::number::amount_raw;
use rota_api::params::Params;
use rota_chain::amount::Amount;
use rota_chain::asset::{AssetQuantity, AssetReference, IssueAsset, IssueMore, MAX_TOKEN, UpdateAsset};
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::operation::Operation;
use rota_chain::permission::Permission;
use rota_chain::transaction::Output;
use rota_consensus::authority;
use rota_consensus::state::{EntityKind, StateError};
use serde_json::Value;

use super::Asset;
use super::terms::{self, Terms};
use crate::context::Context;
use crate::rpc::balance::has_currency;
use crate::rpc::publish::from_address;
use crate::rpc::{Answer, create, resolve};
use crate::view::View;

/// Answers issue.
pub(super) fn issue(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move { make(ctx, &params, None, 0).await })
}

/// Answers issuefrom.
pub(super) fn issue_from(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let from = from_address(&ctx, params.text(0)?)?;
        make(ctx, &params, from, 1).await
    })
}

async fn make(ctx: Arc<Context>, params: &Params, from: Option<Lock>, at: usize) -> Answer {
    let to = resolve::address(&ctx, params.text(at)?)?;
    let multiple = terms::multiple(params.given(at + 3))?;
    let Terms { name, rules } = Terms::read(params.value(at + 1), multiple)?;
    let quantity = terms::first_quantity(params.value(at + 2), multiple)?;
    if !rules.fungible && (quantity != 0 || multiple != 1) {
        let cause = "An asset of tokens is issued with quantity 0 and smallest unit 1: its units are issued by token";
        return Err(RpcError::not_supported(cause).rule("asset-token-needed"));
    }
    let amount = native_amount(&ctx, params.given(at + 4))?;
    let details = create::details(params.given(at + 5))?;
    let author = {
        let view = ctx.view.read();
        create::check_free(&view, &name)?;
        check_recipient(&ctx, &view, &to)?;
        create::author(&ctx, &view, from, Permission::Issue)?
    };
    let issue = IssueAsset { name, multiple: multiple.unsigned_abs(), rules, quantity, details };
    let units = AssetQuantity { asset: AssetReference::New, token: None, quantity };
    send(ctx, author, output(to, amount, units, Some(Operation::IssueAsset(issue)))).await
}

/// Answers issuemore.
pub(super) fn more(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move { make_more(ctx, &params, None, 0).await })
}

/// Answers issuemorefrom.
pub(super) fn more_from(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let from = from_address(&ctx, params.text(0)?)?;
        make_more(ctx, &params, from, 1).await
    })
}

async fn make_more(ctx: Arc<Context>, params: &Params, from: Option<Lock>, at: usize) -> Answer {
    let to = resolve::address(&ctx, params.text(at)?)?;
    let (txid, asset) = named(&ctx, params.text(at + 1)?)?;
    let quantity = terms::more_quantity(params.value(at + 2), asset.multiple())?;
    let amount = native_amount(&ctx, params.given(at + 3))?;
    let details = create::details(params.given(at + 4))?;
    if !asset.rules.fungible && quantity != 0 {
        let cause = "Units of an asset of tokens are issued by issuetoken; quantity 0 adds custom fields";
        return Err(RpcError::not_supported(cause).rule("asset-token-needed"));
    }
    let author = issuer(&ctx, from, txid, asset, &to)?;
    // Nothing issued and nothing told is no issuance: a payment of nothing remains.
    let told = quantity > 0 || !details.is_empty();
    let issue = told.then_some(Operation::IssueMore(IssueMore { asset: txid, token: None, quantity, details }));
    let units = AssetQuantity { asset: AssetReference::Existing(txid), token: None, quantity };
    send(ctx, author, output(to, amount, units, issue)).await
}

/// Answers issuetoken.
pub(super) fn token(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move { make_token(ctx, &params, None, 0).await })
}

/// Answers issuetokenfrom.
pub(super) fn token_from(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let from = from_address(&ctx, params.text(0)?)?;
        make_token(ctx, &params, from, 1).await
    })
}

async fn make_token(ctx: Arc<Context>, params: &Params, from: Option<Lock>, at: usize) -> Answer {
    let to = resolve::address(&ctx, params.text(at)?)?;
    let (txid, asset) = named(&ctx, params.text(at + 1)?)?;
    if asset.rules.fungible {
        return Err(RpcError::not_allowed("A fungible asset has no tokens").rule("asset-fungible"));
    }
    let text = token_text(params.value(at + 2))?;
    let quantity = terms::token_quantity(params.value(at + 3))?;
    let amount = native_amount(&ctx, params.given(at + 4))?;
    let details = create::details(params.given(at + 5))?;
    if super::token_issuance(&ctx, txid, text)?.is_some() {
        let error = RpcError::not_allowed(format!("This asset has a token {} already", resolve::short(text)));
        return Err(error.rule("asset-token-taken").got(text));
    }
    let author = issuer(&ctx, from, txid, asset, &to)?;
    let token = Some(text.as_bytes().to_vec());
    let issue = IssueMore { asset: txid, token: token.clone(), quantity, details };
    let units = AssetQuantity { asset: AssetReference::Existing(txid), token, quantity };
    send(ctx, author, output(to, amount, units, Some(Operation::IssueMore(issue)))).await
}

fn token_text(value: &Value) -> Result<&str, RpcError> {
    let text = value.as_str().ok_or_else(|| RpcError::mistyped(value, "str", "Invalid token, should be string"))?;
    if text.is_empty() || text.len() > MAX_TOKEN as usize {
        let sentence = format!("Invalid token: {} bytes, should be 1 to {MAX_TOKEN}", text.len());
        let error = RpcError::parameter(ParameterRule::Size, sentence).got(text.len());
        return Err(error.allowed(format!("1 to {MAX_TOKEN}")));
    }
    Ok(text)
}

/// The asset a caller names, of which more may be issued now.
fn named(ctx: &Context, identifier: &str) -> Result<(Txid, Asset), RpcError> {
    let (txid, entity) = resolve::entity_in(&ctx.view.read(), identifier, Wanted::Asset)?;
    let asset = Asset::of(&entity)?;
    if !asset.rules.open {
        let shown = resolve::short(identifier);
        let error = RpcError::not_allowed(format!("The asset {shown} is closed: no more of it can be issued"));
        return Err(error.rule("asset-closed").got(txid.to_string()));
    }
    Ok((txid, asset))
}

/// The address that issues more of an asset to `to`: one that may issue it and send.
fn issuer(ctx: &Context, from: Option<Lock>, txid: Txid, asset: Asset, to: &Lock) -> Result<Lock, RpcError> {
    let view = ctx.view.read();
    check_recipient(ctx, &view, to)?;
    let right = asset.rules.restrict_issue.then_some(Permission::Issue);
    author(ctx, &view, from, txid, right, "issue more of this asset")
}

/// The address that acts on an asset: one that holds its `right`, if one is needed, and may send.
fn author(
    ctx: &Context,
    view: &View,
    from: Option<Lock>,
    txid: Txid,
    right: Option<Permission>,
    deed: &str,
) -> Result<Lock, RpcError> {
    let (state, height) = (view.pool.state(), view.pool.place().height);
    let may = |lock: &Lock| -> Result<bool, StateError> {
        let holds = match right {
            Some(right) => authority::may_on(state, txid, right, lock, height)?,
            None => true,
        };
        Ok(holds && authority::may(state, &ctx.rules, Permission::Send, lock, height)?)
    };
    let (rule, permissions) = match right {
        Some(Permission::Admin) => ("asset-update", "admin, send"),
        Some(_) => ("asset-issue-more", "issue, send"),
        None => ("tx-send", "send"),
    };
    let denied = |sentence: String| RpcError::no_permission(sentence).rule(rule).allowed(permissions);
    resolve::own_author(ctx, from, may).map_err(|error| match (error.code, from) {
        (Code::InsufficientPermissions, Some(from)) => {
            denied(format!("from-address doesn't have permission to {deed}")).got(ctx.scheme.encode(&from))
        }
        (Code::InsufficientPermissions, None) => {
            denied(format!("This wallet contains no address with permission to {deed}"))
        }
        _ => error,
    })
}

fn check_recipient(ctx: &Context, view: &View, to: &Lock) -> Result<(), RpcError> {
    let (state, height) = (view.pool.state(), view.pool.place().height);
    let may = authority::may(state, &ctx.rules, Permission::Receive, to, height).map_err(resolve::state_error)?;
    if may { Ok(()) } else { Err(resolve::cannot_receive(ctx, to)) }
}

/// Native currency that goes along with the units.
fn native_amount(ctx: &Context, value: Option<&Value>) -> Result<Amount, RpcError> {
    let Some(value) = value else { return Ok(Amount::ZERO) };
    let raw = amount_raw(value, ctx.parameters.native_currency_multiple())?;
    let negative = |_| RpcError::parameter(ParameterRule::Range, "Invalid native amount, should be positive");
    let amount = u64::try_from(raw).map_err(|error| negative(error).got(value.clone()).allowed("0 or more"))?;
    if amount > 0 && !has_currency(ctx) {
        let error = RpcError::new(Code::InsufficientFunds, "Insufficient funds: this chain has no native currency");
        return Err(error.got(value.clone()).allowed(0));
    }
    Ok(Amount(amount))
}

/// The output that units go to, with the operation that issues them.
fn output(to: Lock, amount: Amount, units: AssetQuantity, operation: Option<Operation>) -> Output {
    Output {
        recipient: Some(to),
        amount,
        assets: if units.quantity > 0 || units.asset == AssetReference::New { vec![units] } else { Vec::new() },
        operations: operation.into_iter().collect(),
    }
}

async fn send(ctx: Arc<Context>, author: Lock, output: Output) -> Answer {
    resolve::submit_outputs(ctx, vec![author], vec![output]).await.map(|txid| txid.to_string().into())
}

/// Answers update.
pub(super) fn update(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move { change(ctx, &params, None, 0).await })
}

/// Answers updatefrom.
pub(super) fn update_from(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let from = from_address(&ctx, params.text(0)?)?;
        change(ctx, &params, from, 1).await
    })
}

async fn change(ctx: Arc<Context>, params: &Params, from: Option<Lock>, at: usize) -> Answer {
    let identifier = params.text(at)?;
    let (asset, open, author) = {
        let view = ctx.view.read();
        let (txid, entity) = resolve::entity_in(&view, identifier, Wanted::Any)?;
        let EntityKind::Asset { rules, .. } = entity.kind else {
            let error = RpcError::new(Code::NotSubscribed, "This entity is no asset: only assets are updated");
            return Err(error.rule("entity-kind").got(txid.to_string()).allowed("asset"));
        };
        let open = opening(params.value(at + 1))?;
        if !(if open { rules.can_open } else { rules.can_close }) {
            let deed = if open { "opened" } else { "closed" };
            let error = RpcError::not_allowed(format!("This asset cannot be {deed}")).rule("asset-fixed");
            return Err(error.got(txid.to_string()));
        }
        (txid, open, author(&ctx, &view, from, txid, Some(Permission::Admin), "update this asset, admin")?)
    };
    let output = Output::operation(Operation::UpdateAsset(UpdateAsset { asset, open }));
    resolve::submit_outputs(ctx, vec![author], vec![output]).await.map(|txid| txid.to_string().into())
}

/// The new state: exactly `{"open": true or false}`.
fn opening(value: &Value) -> Result<bool, RpcError> {
    let mut members = value.as_object().into_iter().flatten();
    match (members.next(), members.next()) {
        (Some((name, Value::Bool(open))), None) if name == "open" => Ok(*open),
        _ => {
            let sentence = r#"Invalid update, should be {"open":true} or {"open":false}"#;
            Err(RpcError::parameter(ParameterRule::Form, sentence).got(value.clone()).allowed(r#"{"open":bool}"#))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use rota_chain::lock::KeyHash;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_update_opens_or_closes_and_nothing_else() {
        assert!(opening(&json!({"open": true})).unwrap() && !opening(&json!({"open": false})).unwrap());
        for value in [json!({}), json!({"open": 1}), json!({"open": true, "x": 1}), json!({"x": true}), json!(true)] {
            assert_eq!(opening(&value).unwrap_err().code.number(), -8, "{value}");
        }
    }

    #[test]
    fn a_token_has_a_text_of_at_most_32_bytes() {
        assert_eq!(token_text(&json!("mona")).unwrap(), "mona");
        assert_eq!(token_text(&json!("x".repeat(32))).unwrap().len(), 32);
        for value in [json!(""), json!(5), json!(null), json!("x".repeat(33))] {
            assert_eq!(token_text(&value).unwrap_err().code.number(), -8, "{value}");
        }
    }

    #[test]
    fn an_output_of_no_units_names_the_asset_only_if_it_is_new() {
        let to = Lock::Key(KeyHash([1; 20]));
        let units = |asset, quantity| AssetQuantity { asset, token: None, quantity };
        let old = AssetReference::Existing(Txid([1; 32]));
        assert!(output(to, Amount::ZERO, units(old, 0), None).assets.is_empty());
        for (asset, quantity) in [(AssetReference::New, 0), (AssetReference::New, 5), (old, 5)] {
            assert_eq!(output(to, Amount::ZERO, units(asset, quantity), None).assets, [units(asset, quantity)]);
        }
    }
}
