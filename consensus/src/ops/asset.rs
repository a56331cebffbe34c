//! Assets: issuing, issuing more, opening and closing, and the balance of quantities. See docs/protocol/asset.md.

use std::collections::BTreeMap;

use rota_chain::amount::Height;
use rota_chain::asset::{AssetQuantity, AssetReference, AssetRules, IssueAsset, IssueMore, UpdateAsset};
use rota_chain::hash::Txid;
use rota_chain::operation::Operation;
use rota_chain::permission::Permission;
use rota_chain::transaction::{Output, Transaction};

use crate::authority;
use crate::ops::Step;
use crate::ops::entity::{check_name, put_entity, take_name};
use crate::rule::{ApplyError, AssetRule, Rule};
use crate::state::{Coin, EntityKind, Overlay, StateKey, StateValue, StateView};

/// Most raw units a displayed unit: quantities are shown with at most that many decimals as numbers can hold.
pub const MAX_MULTIPLE: u64 = 2_147_483_647;
/// Most raw units of an asset ever issued: what a signed 64-bit number of callers holds.
pub const MAX_ISSUED: u64 = i64::MAX as u64;

/// A fungible asset, or one token of an asset that is not.
type Kind = (AssetReference, Option<Vec<u8>>);
type Sums = BTreeMap<Kind, u64>;

/// Checks what an output carries without state: who gets it, no nothing, nothing twice.
///
/// # Errors
/// [`AssetRule::NoRecipient`], [`AssetRule::Nothing`], [`AssetRule::Twice`].
pub fn check_quantities(output: &Output) -> Result<(), AssetRule> {
    if output.recipient.is_none() && !output.assets.is_empty() {
        return Err(AssetRule::NoRecipient);
    }
    let mut kinds = Vec::with_capacity(output.assets.len());
    for quantity in &output.assets {
        // An asset may begin with no units: a coin of none shows who got it.
        if quantity.quantity == 0 && quantity.asset != AssetReference::New {
            return Err(AssetRule::Nothing);
        }
        check_token(quantity.token.as_deref())?;
        kinds.push((quantity.asset, &quantity.token));
    }
    kinds.sort_unstable();
    let count = kinds.len();
    kinds.dedup();
    if kinds.len() == count { Ok(()) } else { Err(AssetRule::Twice) }
}

fn check_token(token: Option<&[u8]>) -> Result<(), AssetRule> {
    match token {
        Some(token) if token.is_empty() || std::str::from_utf8(token).is_err() => Err(AssetRule::TokenForm),
        _ => Ok(()),
    }
}

/// Checks that the units a transaction places of a new asset are those it issues.
///
/// # Errors
/// [`AssetRule::NotIssued`], [`AssetRule::Unbalanced`], [`AssetRule::Overflow`].
pub fn check_new(transaction: &Transaction) -> Result<(), AssetRule> {
    let issued = transaction.operations().find_map(|(_, operation)| match operation {
        Operation::IssueAsset(issue) => Some(issue.quantity),
        _ => None,
    });
    let mut placed: u64 = 0;
    for quantity in transaction.body.outputs.iter().flat_map(|output| &output.assets) {
        if quantity.asset == AssetReference::New {
            if issued.is_none() || quantity.token.is_some() {
                return Err(AssetRule::NotIssued);
            }
            if quantity.quantity == 0 && issued != Some(0) {
                return Err(AssetRule::Nothing);
            }
            placed = placed.checked_add(quantity.quantity).ok_or(AssetRule::Overflow)?;
        }
    }
    let issued = issued.unwrap_or(0);
    if placed == issued { Ok(()) } else { Err(AssetRule::Unbalanced { inputs: 0, issued, outputs: placed }) }
}

/// Checks the creation of an asset without state.
///
/// # Errors
/// [`EntityRule`](crate::rule::EntityRule), [`AssetRule`].
pub fn check_issue(issue: &IssueAsset) -> Result<(), Rule> {
    check_name(&issue.name)?;
    if issue.multiple == 0 || issue.multiple > MAX_MULTIPLE {
        return Err(AssetRule::Multiple { multiple: issue.multiple, limit: MAX_MULTIPLE }.into());
    }
    if !issue.rules.fungible && (issue.quantity != 0 || issue.multiple != 1) {
        return Err(AssetRule::TokenNeeded.into());
    }
    check_limits(&issue.rules, issue.quantity, 0)?;
    Ok(())
}

/// Checks a follow-on issuance without state.
///
/// # Errors
/// [`AssetRule::TokenForm`], [`AssetRule::Nothing`] for a token of no units.
pub fn check_more(more: &IssueMore) -> Result<(), AssetRule> {
    check_token(more.token.as_deref())?;
    if more.token.is_some() && more.quantity == 0 { Err(AssetRule::Nothing) } else { Ok(()) }
}

fn check_limits(rules: &AssetRules, quantity: u64, before: u64) -> Result<u64, AssetRule> {
    if let Some(limit) = rules.issue_limit.filter(|limit| quantity > *limit) {
        return Err(AssetRule::IssueLimit { quantity, limit });
    }
    let total = before.checked_add(quantity).filter(|total| *total <= MAX_ISSUED).ok_or(AssetRule::Overflow)?;
    match rules.total_limit.filter(|limit| total > *limit) {
        Some(limit) => Err(AssetRule::TotalLimit { total, limit }),
        None => Ok(total),
    }
}

/// Creates an asset; its issuers get all rights on it.
///
/// # Errors
/// [`AssetRule::Issue`], a name that is taken, or storage.
pub fn apply_issue<V: StateView, B: StateView>(
    step: &Step<'_, V>,
    issue: &IssueAsset,
    overlay: &mut Overlay<B>,
) -> Result<(), ApplyError> {
    let issuers = step.holding(Permission::Issue)?;
    if issuers.is_empty() {
        return Err(AssetRule::Issue.into());
    }
    take_name(step, &issue.name)?;
    let rights = [Permission::Admin, Permission::Activate, Permission::Issue, Permission::Send, Permission::Receive];
    let kind = EntityKind::Asset { multiple: issue.multiple, rules: issue.rules, issued: issue.quantity };
    put_entity(step, kind, &issue.name, issuers, &rights, overlay)
}

/// Issues more of an asset, or a token.
///
/// # Errors
/// [`AssetRule`], or storage.
pub fn apply_more<V: StateView, B: StateView>(
    step: &Step<'_, V>,
    more: &IssueMore,
    overlay: &mut Overlay<B>,
) -> Result<(), ApplyError> {
    let asset = more.asset;
    let before = step.view.entity(&asset)?.map(|entity| entity.kind);
    let Some(EntityKind::Asset { rules, .. }) = before else {
        return Err(AssetRule::Missing { asset }.into());
    };
    if !rules.open {
        return Err(AssetRule::Closed { asset }.into());
    }
    if rules.restrict_issue && !step.any_holds(asset, Permission::Issue)? {
        return Err(AssetRule::IssueMore { asset }.into());
    }
    match (&more.token, rules.fungible) {
        (Some(_), true) => return Err(AssetRule::Fungible { asset }.into()),
        (None, false) if more.quantity != 0 => return Err(AssetRule::TokenNeeded.into()),
        _ => {}
    }
    if let Some(token) = &more.token {
        let key = StateKey::Token(asset, token.clone());
        if overlay.get(&key)?.is_some() {
            return Err(AssetRule::TokenTaken { asset }.into());
        }
        overlay.put(key, Some(StateValue::Token(step.txid)))?;
    }
    change(overlay, asset, |rules, issued| {
        *issued = check_limits(rules, more.quantity, *issued)?;
        Ok(())
    })
}

/// Opens or closes an asset.
///
/// # Errors
/// [`AssetRule`], or storage.
pub fn apply_update<V: StateView, B: StateView>(
    step: &Step<'_, V>,
    update: &UpdateAsset,
    overlay: &mut Overlay<B>,
) -> Result<(), ApplyError> {
    let asset = update.asset;
    let kind = step.view.entity(&asset)?.map(|entity| entity.kind);
    let Some(EntityKind::Asset { rules, .. }) = kind else {
        return Err(AssetRule::Missing { asset }.into());
    };
    if !step.any_holds(asset, Permission::Admin)? {
        return Err(AssetRule::Update { asset }.into());
    }
    if !(if update.open { rules.can_open } else { rules.can_close }) {
        return Err(AssetRule::Fixed { asset }.into());
    }
    change(overlay, asset, |rules, _| {
        rules.open = update.open;
        Ok(())
    })
}

/// Changes an asset's rules or issued total on top of what this transaction changed of it already.
fn change<B: StateView>(
    overlay: &mut Overlay<B>,
    asset: Txid,
    change: impl FnOnce(&mut AssetRules, &mut u64) -> Result<(), AssetRule>,
) -> Result<(), ApplyError> {
    let Some(mut entity) = overlay.entity(&asset)? else {
        return Err(AssetRule::Missing { asset }.into());
    };
    if let EntityKind::Asset { rules, issued, .. } = &mut entity.kind {
        change(rules, issued)?;
    }
    overlay.put(StateKey::Entity(asset), Some(StateValue::Entity(entity)))?;
    Ok(())
}

/// Checks that of each asset and token as much comes out of a transaction as goes in and is issued, and that its
/// owners may send it and its recipients receive it. Units of a new asset are [`check_new`]'s.
///
/// # Errors
/// [`AssetRule`], or storage.
pub fn apply_transfer<V: StateView>(
    view: &V,
    transaction: &Transaction,
    coins: &[Coin],
    height: Height,
) -> Result<(), ApplyError> {
    let outputs = &transaction.body.outputs;
    let moves = coins.iter().any(|coin| !coin.assets.is_empty()) || outputs.iter().any(|o| !o.assets.is_empty());
    let mut issued = Sums::new();
    for (_, operation) in transaction.operations() {
        if let Operation::IssueMore(more) = operation
            && more.quantity > 0
        {
            add(&mut issued, AssetReference::Existing(more.asset), more.token.as_ref(), more.quantity)?;
        }
    }
    if !moves && issued.is_empty() {
        return Ok(());
    }
    let inputs = sums(coins.iter().flat_map(|coin| &coin.assets))?;
    let old = |quantity: &&AssetQuantity| quantity.asset != AssetReference::New;
    let placed = sums(outputs.iter().flat_map(|output| &output.assets).filter(old))?;
    check_balance(&inputs, &issued, &placed)?;
    check_rights(view, coins, outputs, height)
}

fn sums<'a>(quantities: impl Iterator<Item = &'a AssetQuantity>) -> Result<Sums, AssetRule> {
    let mut sums = Sums::new();
    for quantity in quantities {
        add(&mut sums, quantity.asset, quantity.token.as_ref(), quantity.quantity)?;
    }
    Ok(sums)
}

fn add(sums: &mut Sums, asset: AssetReference, token: Option<&Vec<u8>>, quantity: u64) -> Result<(), AssetRule> {
    let sum = sums.entry((asset, token.cloned())).or_insert(0);
    *sum = sum.checked_add(quantity).ok_or(AssetRule::Overflow)?;
    Ok(())
}

fn check_balance(inputs: &Sums, issued: &Sums, outputs: &Sums) -> Result<(), AssetRule> {
    for kind in inputs.keys().chain(issued.keys()).chain(outputs.keys()) {
        let of = |sums: &Sums| sums.get(kind).copied().unwrap_or(0);
        let (inputs, issued, outputs) = (of(inputs), of(issued), of(outputs));
        if inputs.checked_add(issued).ok_or(AssetRule::Overflow)? != outputs {
            return Err(AssetRule::Unbalanced { inputs, issued, outputs });
        }
    }
    Ok(())
}

fn check_rights<V: StateView>(view: &V, coins: &[Coin], outputs: &[Output], height: Height) -> Result<(), ApplyError> {
    let mut known: BTreeMap<Txid, AssetRules> = BTreeMap::new();
    let mut rules_of = |asset: Txid| -> Result<AssetRules, ApplyError> {
        if let Some(rules) = known.get(&asset) {
            return Ok(*rules);
        }
        match view.entity(&asset)?.map(|entity| entity.kind) {
            Some(EntityKind::Asset { rules, .. }) => {
                known.insert(asset, rules);
                Ok(rules)
            }
            _ => Err(AssetRule::Missing { asset }.into()),
        }
    };
    for coin in coins {
        for asset in coin.assets.iter().filter_map(existing) {
            let restricted = rules_of(asset)?.restrict_send;
            if restricted && !authority::may_on(view, asset, Permission::Send, &coin.owner, height)? {
                return Err(AssetRule::Send { asset, address: coin.owner }.into());
            }
        }
    }
    for output in outputs {
        let Some(address) = output.recipient else { continue };
        for asset in output.assets.iter().filter_map(existing) {
            let restricted = rules_of(asset)?.restrict_receive;
            if restricted && !authority::may_on(view, asset, Permission::Receive, &address, height)? {
                return Err(AssetRule::Receive { asset, address }.into());
            }
        }
    }
    Ok(())
}

const fn existing(quantity: &AssetQuantity) -> Option<Txid> {
    match quantity.asset {
        AssetReference::Existing(asset) => Some(asset),
        AssetReference::New => None,
    }
}

/// The quantities of an output as its coin holds them: a new asset has its id now.
#[must_use]
pub fn settled(assets: &[AssetQuantity], txid: Txid) -> Vec<AssetQuantity> {
    let mut settled = assets.to_vec();
    for quantity in &mut settled {
        if quantity.asset == AssetReference::New {
            quantity.asset = AssetReference::Existing(txid);
        }
    }
    settled
}
