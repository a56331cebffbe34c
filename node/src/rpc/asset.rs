//! Assets and tokens: describing them and their issuances. Making them is in `issue`, what callers ask of a new one in
//! `terms`. Balances, sending and transactions of assets are not here.

mod issue;
pub mod terms;

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use rota_api::asset::{AssetEntry, AssetIssue, AssetRestrict};
use rota_api::error::{Code, RpcError};
use rota_api::number::amount_value;
use rota_api::params::{ALL_ENTRIES, Page, Params};
use rota_chain::asset::AssetRules;
use rota_chain::hash::Txid;
use rota_chain::operation::Operation;
use rota_consensus::state::{Entity, EntityKind, StateKey, StateValue, StateView};
use rota_storage::EntityList;
use rota_storage::index::{Order, Selector, party};
use serde_json::Value;

use crate::context::Context;
use crate::rpc::cache::blocking;
use crate::rpc::decode::{Known, Moment};
use crate::rpc::entity::{Catalogue, Step};
use crate::rpc::entries::Entries;
use crate::rpc::{Answer, Answerer, data, resolve};

/// The methods answered here.
pub const ANSWERS: &[(&str, Answerer)] = &[
    ("issue", Answerer::Later(issue::issue)),
    ("issuefrom", Answerer::Later(issue::issue_from)),
    ("issuemore", Answerer::Later(issue::more)),
    ("issuemorefrom", Answerer::Later(issue::more_from)),
    ("issuetoken", Answerer::Later(issue::token)),
    ("issuetokenfrom", Answerer::Later(issue::token_from)),
    ("update", Answerer::Later(issue::update)),
    ("updatefrom", Answerer::Later(issue::update_from)),
    ("listassets", Answerer::Later(list)),
    ("getassetinfo", Answerer::Later(info)),
    ("listassetissues", Answerer::Later(issues)),
    ("gettokeninfo", Answerer::Now(token)),
];

/// An asset as the state has it.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Raw units a displayed unit.
    pub multiple: u64,
    /// What is allowed now.
    pub rules: AssetRules,
    /// Raw units issued so far.
    pub issued: u64,
}

impl Asset {
    /// An entity that was looked up as an asset.
    ///
    /// # Errors
    /// -32603 if it is none.
    pub fn of(entity: &Entity) -> Result<Asset, RpcError> {
        match entity.kind {
            EntityKind::Asset { multiple, rules, issued } => Ok(Asset { multiple, rules, issued }),
            _ => Err(RpcError::internal("an asset is no asset")),
        }
    }

    /// Raw units as they are displayed.
    #[must_use]
    pub fn shown(&self, raw: u64) -> Value {
        amount_value(number(raw), self.multiple())
    }

    /// Raw units a displayed unit, as the API counts.
    #[must_use]
    pub fn multiple(&self) -> i64 {
        number(self.multiple)
    }
}

/// Consensus keeps quantities and multiples within 63 bits.
fn number(raw: u64) -> i64 {
    i64::try_from(raw).unwrap_or(i64::MAX)
}

fn list(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    blocking(move || {
        let verbose = params.verbose(1)?;
        Catalogue::answer(&ctx, (EntityList::Assets, "listassets"), &params, 2, |catalogue, assets| {
            let followed = Followed::now(&ctx)?;
            let mut entries = Entries::new();
            for txid in assets {
                let Some(entity) = catalogue.entity(&txid)? else { continue };
                let mut entry = described(catalogue, &txid, &entity)?;
                followed.write(&txid, &mut entry)?;
                entries.push(shown(catalogue, &txid, &entity, &entry, verbose)?)?;
            }
            Ok(entries.finish())
        })
    })
}

fn info(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    blocking(move || {
        let verbose = params.verbose(1)?;
        let (catalogue, txid, entity) = Catalogue::named(&ctx, EntityList::Assets, params.value(0))?;
        let entry = described(&catalogue, &txid, &entity)?;
        shown(&catalogue, &txid, &entity, &entry, verbose)
    })
}

/// What this node follows now, and how many transactions of each asset wait: counted once it is asked for.
struct Followed<'c> {
    moment: Moment<'c>,
    waiting: OnceCell<HashMap<Txid, i64>>,
}

impl<'c> Followed<'c> {
    fn now(ctx: &'c Context) -> Result<Followed<'c>, RpcError> {
        Ok(Followed { moment: Moment::fresh(ctx)?, waiting: OnceCell::new() })
    }

    fn waiting(&self, asset: &Txid) -> Result<i64, RpcError> {
        let counts = match self.waiting.get() {
            Some(counts) => counts,
            None => {
                let counts = self.count()?;
                self.waiting.get_or_init(|| counts)
            }
        };
        Ok(counts.get(asset).copied().unwrap_or(0))
    }

    fn count(&self) -> Result<HashMap<Txid, i64>, RpcError> {
        let (entries, settled) = {
            let view = self.moment.ctx.view.read();
            (view.pool.entries().cloned().collect::<Vec<_>>(), view.tip.hash == self.moment.tip.hash)
        };
        let mut counts = HashMap::new();
        for entry in entries {
            // The index may have a block that the pool does not know of yet: what it confirmed waits no longer.
            let place = || self.moment.snapshot.transaction_location(&entry.tx.txid()).map_err(resolve::storage_error);
            if !settled && place()?.is_some() {
                continue;
            }
            for asset in party::assets(entry.tx.transaction()) {
                *counts.entry(asset).or_default() += 1;
            }
        }
        Ok(counts)
    }

    /// Whether and how far this node follows the asset.
    fn write(&self, txid: &Txid, entry: &mut AssetEntry) -> Result<(), RpcError> {
        let reader = self.moment.snapshot.index(*txid).map_err(resolve::storage_error)?;
        entry.subscribed = Some(reader.is_some());
        let Some(reader) = reader else { return Ok(()) };
        let confirmed = reader.count(Order::Chain, Selector::All).map_err(resolve::storage_error)?.cast_signed();
        entry.synchronized = Some(reader.subscription().is_complete());
        entry.transactions = Some(confirmed + self.waiting(txid)?);
        entry.confirmed = Some(confirmed);
        Ok(())
    }
}

/// The entry of an asset; verbose adds its issues. There may be more of them than a reply holds, so they are shown one
/// after the other.
fn shown(catalogue: &Catalogue<'_>, txid: &Txid, entity: &Entity, entry: &AssetEntry, verbose: bool) -> Answer {
    let mut shown = resolve::shape(entry)?;
    if verbose && let Value::Object(map) = &mut shown {
        let (asset, mut issues) = (Asset::of(entity)?, Entries::new());
        catalogue.for_history(txid, Page::ALL, |step| {
            issues.push(resolve::shape(&issuance(catalogue, asset, step, true))?)
        })?;
        map.insert("issues".into(), Value::Array(issues.finish()));
    }
    Ok(shown)
}

/// What an asset is, without whether it is followed and without its issues.
fn described(catalogue: &Catalogue<'_>, txid: &Txid, entity: &Entity) -> Result<AssetEntry, RpcError> {
    let asset = Asset::of(entity)?;
    let rules = asset.rules;
    let limit = |limit: Option<u64>| limit.map_or(Value::Null, |raw| asset.shown(raw));
    let name = (!entity.name.is_empty()).then(|| String::from_utf8_lossy(&entity.name).into_owned());
    Ok(AssetEntry {
        name,
        issuetxid: txid.to_string(),
        assetref: resolve::reference(txid, entity),
        multiple: asset.multiple(),
        units: amount_value(1, asset.multiple()),
        open: rules.open,
        restrict: AssetRestrict {
            send: rules.restrict_send,
            receive: rules.restrict_receive,
            issue: rules.restrict_issue,
        },
        fungible: rules.fungible,
        canopen: rules.can_open,
        canclose: rules.can_close,
        totallimit: limit(rules.total_limit),
        issuelimit: limit(rules.issue_limit),
        details: details(catalogue, txid)?,
        issuecount: catalogue.history_count(txid)?.cast_signed(),
        issueqty: asset.shown(asset.issued),
        issueraw: number(asset.issued),
        subscribed: None,
        synchronized: None,
        transactions: None,
        confirmed: None,
        issues: None,
    })
}

/// The details of an asset: they stand in the transaction that issued it first.
fn details(catalogue: &Catalogue<'_>, txid: &Txid) -> Result<Value, RpcError> {
    let known = catalogue.moment.transaction(txid)?;
    let created = known.iter().flat_map(|known| known.tx.operations()).find_map(|(_, operation)| match operation {
        Operation::IssueAsset(issue) => Some(data::details(&issue.details)),
        _ => None,
    });
    Ok(created.unwrap_or_else(|| data::details(&[])))
}

/// What an issuance was; verbose adds details and issuers.
fn issuance(catalogue: &Catalogue<'_>, asset: Asset, step: &Step, verbose: bool) -> AssetIssue {
    let (raw, token, details) = match step.operation() {
        Some(Operation::IssueAsset(issue)) => (issue.quantity, None, issue.details.as_slice()),
        Some(Operation::IssueMore(more)) => (more.quantity, more.token.as_deref(), more.details.as_slice()),
        _ => (0, None, &[][..]),
    };
    let token = token.map_or(Value::Null, |token| String::from_utf8_lossy(token).into_owned().into());
    let issuers = step.authors();
    AssetIssue {
        txid: step.known.txid.to_string(),
        qty: asset.shown(raw),
        raw: number(raw),
        token: (!asset.rules.fungible).then_some(token),
        details: verbose.then(|| data::details(details)),
        issuers: verbose.then(|| issuers.iter().map(|lock| catalogue.moment.address(lock)).collect()),
    }
}

fn issues(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    blocking(move || {
        let verbose = params.verbose(1)?;
        let paging = params.paging(2, 3, ALL_ENTRIES)?;
        let (catalogue, txid, entity) = Catalogue::named(&ctx, EntityList::Assets, params.value(0))?;
        let asset = Asset::of(&entity)?;
        let show = |step: &Step| resolve::shape(&issuance(&catalogue, asset, step, verbose));
        catalogue.answer_history("listassetissues", &txid, paging, show)
    })
}

fn token(ctx: &Context, params: &Params) -> Answer {
    let verbose = params.verbose(2)?;
    let (catalogue, txid, entity) = Catalogue::named(ctx, EntityList::Assets, params.value(0))?;
    let text = params.value(1);
    let refused = || RpcError::mistyped(text, "str", "Invalid token identifier, should be string");
    let text = text.as_str().ok_or_else(refused)?;
    let asset = Asset::of(&entity)?;
    if asset.rules.fungible {
        return Err(RpcError::not_allowed("A fungible asset has no tokens").rule("asset-fungible"));
    }
    let missing = || {
        let shown = resolve::short(text);
        let error = RpcError::new(Code::EntityNotFound, format!("Token {shown} not found in this asset"));
        error.rule("token-missing").got(text)
    };
    let issued = token_issuance(ctx, txid, text)?.ok_or_else(missing)?;
    let known = catalogue.moment.transaction(&issued)?.ok_or_else(missing)?;
    let step = token_step(known, txid, text.as_bytes()).ok_or_else(missing)?;
    let mut answer = issuance(&catalogue, asset, &step, true);
    if !verbose {
        answer.issuers = None;
    }
    resolve::shape(&answer)
}

/// The transaction that issued a token, waiting ones included; none if there is no such token.
///
/// # Errors
/// -32603 if storage fails.
pub fn token_issuance(ctx: &Context, asset: Txid, token: &str) -> Result<Option<Txid>, RpcError> {
    let key = StateKey::Token(asset, token.as_bytes().to_vec());
    match ctx.view.read().pool.state().get(&key).map_err(resolve::state_error)? {
        Some(StateValue::Token(txid)) => Ok(Some(txid)),
        _ => Ok(None),
    }
}

fn token_step(known: Known, asset: Txid, token: &[u8]) -> Option<Step> {
    Step::all(known).find(|step| match step.operation() {
        Some(Operation::IssueMore(more)) => more.asset == asset && more.token.as_deref() == Some(token),
        _ => false,
    })
}
