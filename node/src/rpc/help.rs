//! `help`: the list, pages and topics of the table of methods. The example on a page names what this chain has, so that it
//! works as it is pasted; where the chain has nothing of the kind, the table's sample stays.

use std::sync::Arc;

use futures::future::BoxFuture;
use rota_api::method::{Method, find, help_answer, help_list, help_page, sample, words};
use rota_api::params::Params;
use rota_chain::asset::AssetReference;
use rota_chain::hash::Txid;
use rota_chain::key::PrivateKey;
use rota_chain::lock::Lock;
use rota_chain::permission::Permission;
use rota_chain::transaction::OutPoint;
use rota_consensus::authority;
use rota_consensus::state::{Coin, Entity, EntityKind, StateView};
use rota_storage::index::{ItemRef, Order, Selector};
use rota_storage::snapshot::EntityList;
use serde_json::{Value, json};

use super::reach::Reach;
use super::{Answer, Answerer};
use crate::coin::Coins;
use crate::context::Context;

/// The method answered here.
pub const ANSWERS: &[(&str, Answerer)] = &[("help", Answerer::Personal(help))];

/// Entities of a kind that are looked through for one that an example can name, the newest first.
const LOOKED_AT: u32 = 100;
/// Addresses of the wallet whose coins are looked at.
const ADDRESSES: usize = 20;

fn help(ctx: Arc<Context>, params: Params, reach: Arc<Reach>) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let command = params.text_or(0, "")?;
        match find(command) {
            Some(method) => {
                reach.check(command)?;
                let example = example(&ctx, method, &reach).await;
                Ok(Value::from(help_page(method, ctx.parameters.chain_name(), &example)))
            }
            None if command.is_empty() => Ok(Value::from(help_list(Some(&|name| reach.admits(name))))),
            None => Ok(Value::from(help_answer(command))),
        }
    })
}

/// The words of a method's example with what this chain has.
async fn example(ctx: &Arc<Context>, method: &'static Method, reach: &Reach) -> Vec<String> {
    let mut example = words(method);
    let Some(own) = ctx.wallet.default_lock() else { return example };
    let worker = Arc::clone(ctx);
    let given = example.clone();
    let here = tokio::task::spawn_blocking(move || Here::look(&worker, own, method, &given)).await;
    let Ok(here) = here else { return example };
    put(&mut example, sample::RAW_TRANSACTION, here.raw_transaction(ctx, method, reach).await);
    if example.iter().any(|word| word.contains(sample::SIGNATURE)) && reach.admits("signmessage") {
        put(&mut example, sample::SIGNATURE, ctx.wallet.sign_message(&own, sample::MESSAGE.as_bytes()).ok());
    }
    for (sample, value) in &here.values {
        put(&mut example, sample, Some(value.clone()));
    }
    if let Some(coin) = here.coin.filter(|_| takes_coin(method)) {
        place_index(&mut example, coin.index);
    }
    example
}

fn put(example: &mut [String], sample: &str, value: Option<String>) {
    let Some(value) = value else { return };
    for word in example {
        *word = word.replace(sample, &value);
    }
}

/// Writes the index of a coin where an example names its output: beside the transaction, or as `vout`.
fn place_index(example: &mut [String], index: u32) {
    for at in 0..example.len() {
        if example[at].contains(r#""vout":0"#) {
            example[at] = example[at].replace(r#""vout":0"#, &format!(r#""vout":{index}"#));
        } else if example[at].len() == sample::TXID.len() && example.get(at + 1).is_some_and(|word| word == "0") {
            example[at + 1] = index.to_string();
        }
    }
}

/// Whether the example of a method spends or locks an output, which must then be a coin of the wallet.
fn takes_coin(method: &Method) -> bool {
    let spends = ["gettxout", "lockunspent", "createrawtransaction"];
    let name = method.target().name;
    spends.contains(&name) || name.ends_with("rawexchange")
}

/// Whether a method reads or changes an offer of exchange.
fn takes_offer(method: &Method) -> bool {
    let name = method.target().name;
    name.ends_with("rawexchange") || name == "disablerawtransaction"
}

/// Whether a method takes rights away: its example never names the only address of a wallet.
fn takes_away(method: &Method) -> bool {
    method.target().name.starts_with("revoke")
}

/// Whether a method makes something of the name in its example, which must then be free.
fn makes_entity(method: &Method) -> bool {
    ["create", "createfrom", "issue", "issuefrom"].contains(&method.target().name)
}

/// What a chain has to put in the place of samples.
struct Here {
    own: Lock,
    values: Vec<(&'static str, String)>,
    coin: Option<OutPoint>,
}

impl Here {
    /// Looks for what the example of a method names.
    fn look(ctx: &Context, own: Lock, method: &Method, example: &[String]) -> Here {
        let names = |sample: &str| example.iter().any(|word| word.contains(sample));
        let mut here = Here { own, values: Vec::new(), coin: None };
        let holds = [sample::TXID, sample::ASSET, sample::TOKENS, sample::RAW_TRANSACTION].into_iter().any(names);
        let coins = if holds { own_coins(ctx) } else { Vec::new() };
        here.coin = coins.first().map(|(outpoint, _)| *outpoint);
        here.values.push((sample::ADDRESS, ctx.scheme.encode(&own)));
        here.values.push((sample::BLOCK, ctx.view.tip().hash.to_string()));
        if names(sample::OTHER_ADDRESS) {
            let other = match takes_away(method) {
                true => others(ctx, &own).next(),
                false => Some(recipient(ctx, &own).unwrap_or(own)),
            };
            here.add(sample::OTHER_ADDRESS, other.map(|other| ctx.scheme.encode(&other)));
        }
        let asset = if names(sample::ASSET) && !makes_entity(method) { fungible(ctx, &coins) } else { None };
        let (tokens, token) = if names(sample::TOKENS) { tokens(ctx, &coins) } else { (None, None) };
        let reads_stream = names(sample::STREAM) || names(sample::TXID);
        let stream = if reads_stream && !makes_entity(method) { stream(ctx) } else { None };
        let txid = match here.coin.filter(|_| takes_coin(method)) {
            Some(coin) => Some(coin.txid),
            None if names(sample::ASSET) => asset.as_ref().map(|(issue, _)| *issue),
            None => stream.as_ref().and_then(|(_, item)| *item).or_else(|| genesis(ctx)),
        };
        let issues_token = method.target().name.starts_with("issuetoken");
        here.add(sample::TXID, txid.map(|txid| txid.to_string()));
        here.add(sample::ASSET, asset.map(|(_, name)| name));
        here.add(sample::STREAM, stream.map(|(name, _)| name));
        here.add(sample::TOKENS, tokens);
        here.add(sample::TOKEN, if issues_token { Some(new_token()) } else { token });
        if makes_entity(method) {
            let made = [sample::STREAM, sample::ASSET].into_iter().find(|sample| names(sample));
            here.values.extend(made.map(|made| (made, free_name(ctx, made))));
        }
        for (sample, list) in [(sample::VARIABLE, EntityList::Variables), (sample::UPGRADE, EntityList::Upgrades)] {
            if names(sample) {
                here.add(sample, named(ctx, list, sample, |_| true).map(|(_, name)| name));
            }
        }
        if names(sample::CACHE) {
            here.add(sample::CACHE, cached(ctx));
        }
        if names(sample::PUBLIC_KEY) {
            here.add(sample::PUBLIC_KEY, ctx.wallet.public_key(&own).map(|key| hex::encode(key.0)));
        }
        if names(sample::PRIVATE_KEY) {
            let key = PrivateKey::from_bytes(rand::random()).ok();
            here.add(sample::PRIVATE_KEY, key.map(|key| ctx.scheme.encode_private_key(&key)));
        }
        here
    }

    fn add(&mut self, sample: &'static str, value: Option<String>) {
        self.values.extend(value.map(|value| (sample, value)));
    }

    /// The bytes of a transaction of the wallet that is not sent. Never an offer: whoever reads one of the wallet's may
    /// take its coin. Signed only for who may have the wallet sign.
    async fn raw_transaction(&self, ctx: &Arc<Context>, method: &Method, reach: &Reach) -> Option<String> {
        let name = method.target().name;
        let named = method.target().example.iter().any(|word| word.contains(sample::RAW_TRANSACTION));
        if !named || takes_offer(method) || !reach.admits("createrawsendfrom") {
            return None;
        }
        let owner = ctx.scheme.encode(&self.own);
        let action = if name == "sendrawtransaction" { "sign" } else { "" };
        let maker = "createrawsendfrom";
        let Value::Array(params) = json!([owner, {}, [{"text": sample::MESSAGE}], action]) else { return None };
        let made = match super::answerer(maker)? {
            Answerer::Later(answer) => answer(Arc::clone(ctx), Params::new(params)).await.ok()?,
            Answerer::Now(answer) => answer(ctx, &Params::new(params)).ok()?,
            Answerer::Personal(_) => return None,
        };
        let text = made.as_str().or_else(|| made.get("hex").and_then(Value::as_str));
        text.map(str::to_owned)
    }
}

/// Coins of the wallet that are not set aside: the first of each address.
fn own_coins(ctx: &Context) -> Vec<(OutPoint, Coin)> {
    let owners: Vec<Lock> = ctx.wallet.locks().into_iter().map(|info| info.lock).take(ADDRESSES).collect();
    let coins = Coins::of(&ctx.view.read(), &owners);
    let mut found = Vec::new();
    for owner in owners.iter().filter(|owner| ctx.wallet.can_sign(owner)) {
        let mut looked = 0;
        let read = coins.for_each(owner, |outpoint, owned, _| {
            looked += 1;
            if !ctx.coins.is_locked(&outpoint) && !ctx.coins.is_reserved(&outpoint) && !owned.coin.coinbase {
                found.push((outpoint, owned.coin));
            }
            looked < LOOKED_AT
        });
        if read.is_err() {
            return Vec::new();
        }
    }
    found
}

/// Further addresses of the wallet.
fn others(ctx: &Context, own: &Lock) -> impl Iterator<Item = Lock> {
    ctx.wallet.locks().into_iter().map(|info| info.lock).filter(move |lock| lock != own).take(ADDRESSES)
}

/// A further address of the wallet that may receive.
fn recipient(ctx: &Context, own: &Lock) -> Option<Lock> {
    let view = ctx.view.read();
    let next = view.tip.height.next();
    let may_receive = |lock: &Lock| authority::may(view.pool.state(), &ctx.rules, Permission::Receive, lock, next);
    others(ctx, own).find(|lock| may_receive(lock).unwrap_or(false))
}

/// A token that no asset has, in all likelihood.
fn new_token() -> String {
    format!("{}-{:08x}", sample::TOKEN, rand::random::<u32>())
}

/// The transaction of the genesis block.
fn genesis(ctx: &Context) -> Option<Txid> {
    let root = ctx.view.snapshot().entities(EntityList::Streams, 0..1).ok()?;
    root.first().copied()
}

/// The entity's name, or its creating transaction if it has none.
fn identifier(txid: &Txid, entity: &Entity) -> String {
    match entity.name.is_empty() {
        true => txid.to_string(),
        false => String::from_utf8_lossy(&entity.name).into_owned(),
    }
}

/// An entity of a kind: the one with the sample's name, else the newest that `suits`.
fn named(ctx: &Context, list: EntityList, sample: &str, suits: impl Fn(&EntityKind) -> bool) -> Option<(Txid, String)> {
    let snapshot = ctx.view.snapshot();
    let count = snapshot.entity_count(list).ok()?;
    let newest = snapshot.entities(list, count.saturating_sub(LOOKED_AT)..count).ok()?;
    let entities = newest.iter().rev().filter_map(|txid| {
        let entity = snapshot.entity(txid).ok().flatten()?;
        suits(&entity.kind).then(|| (*txid, identifier(txid, &entity)))
    });
    let mut entities = entities.peekable();
    let first = entities.peek().cloned()?;
    Some(entities.find(|(_, name)| name == sample).unwrap_or(first))
}

/// An asset that the wallet holds, else any.
fn fungible(ctx: &Context, coins: &[(OutPoint, Coin)]) -> Option<(Txid, String)> {
    let mut held = coins.iter().flat_map(|(_, coin)| &coin.assets).filter(|quantity| quantity.quantity > 0);
    let held = held.find_map(|quantity| asset(ctx, quantity.asset).filter(|(_, entity)| is_fungible(&entity.kind)));
    match held {
        Some((txid, entity)) => Some((txid, identifier(&txid, &entity))),
        None => named(ctx, EntityList::Assets, sample::ASSET, is_fungible),
    }
}

/// An asset of tokens and a token that the wallet holds, else any such asset.
fn tokens(ctx: &Context, coins: &[(OutPoint, Coin)]) -> (Option<String>, Option<String>) {
    let held = coins.iter().flat_map(|(_, coin)| &coin.assets).find_map(|quantity| {
        let token = String::from_utf8(quantity.token.clone()?).ok()?;
        let (txid, entity) = asset(ctx, quantity.asset)?;
        Some((identifier(&txid, &entity), token))
    });
    match held {
        Some((asset, token)) => (Some(asset), Some(token)),
        None => {
            let any = named(ctx, EntityList::Assets, sample::TOKENS, |kind| !is_fungible(kind));
            (any.map(|(_, name)| name), None)
        }
    }
}

/// Whether an asset's units are interchangeable.
fn is_fungible(kind: &EntityKind) -> bool {
    matches!(kind, EntityKind::Asset { rules, .. } if rules.fungible)
}

fn asset(ctx: &Context, asset: AssetReference) -> Option<(Txid, Entity)> {
    let AssetReference::Existing(txid) = asset else { return None };
    let entity = ctx.view.snapshot().entity(&txid).ok().flatten()?;
    Some((txid, entity))
}

/// A followed stream, one with items if there is any, and the transaction of its newest item.
fn stream(ctx: &Context) -> Option<(String, Option<Txid>)> {
    let snapshot = ctx.view.snapshot();
    let count = snapshot.entity_count(EntityList::Streams).ok()?;
    let newest = snapshot.entities(EntityList::Streams, count.saturating_sub(LOOKED_AT)..count).ok()?;
    let mut followed = None;
    for txid in newest.iter().rev() {
        let Some(reader) = snapshot.stream(txid).ok().flatten() else { continue };
        let entity = snapshot.entity(txid).ok().flatten()?;
        let items = reader.count(Order::Chain, Selector::All).ok()?;
        let last = reader.page(Order::Chain, Selector::All, items.saturating_sub(1)..items).ok()?;
        let item = last.first().and_then(|row: &ItemRef| snapshot.item_transaction(row).ok().flatten());
        let found = (identifier(txid, &entity), item.map(|item| item.txid));
        if found.1.is_some() {
            return Some(found);
        }
        followed = followed.or(Some(found));
    }
    followed
}

/// An item of the binary cache.
fn cached(ctx: &Context) -> Option<String> {
    let entry = std::fs::read_dir(ctx.directory.cache()).ok()?.find_map(Result::ok)?;
    entry.file_name().into_string().ok()
}

/// A name that no entity has: the sample's, or one with another number.
fn free_name(ctx: &Context, sample: &str) -> String {
    let view = ctx.view.read();
    let is_taken = |name: &str| {
        let found = view.pool.state().entity_named(name.as_bytes());
        found.ok().flatten().is_some()
    };
    let stem = sample.trim_end_matches(|c: char| c.is_ascii_digit());
    (1..LOOKED_AT)
        .map(|number| format!("{stem}{number}"))
        .find(|name| !is_taken(name))
        .unwrap_or_else(|| sample.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::{place_index, put};
    use rota_api::method::sample;

    #[test]
    fn samples_give_way_to_what_the_chain_has_inside_json_too() {
        let txid = "ab".repeat(32);
        let mut example =
            vec![format!(r#"[{{"txid":"{}","vout":0}}]"#, sample::TXID), sample::TXID.to_owned(), "0".to_owned()];
        put(&mut example, sample::TXID, Some(txid.clone()));
        put(&mut example, sample::STREAM, None);
        place_index(&mut example, 3);
        assert_eq!(example, [format!(r#"[{{"txid":"{txid}","vout":3}}]"#), txid, "3".to_owned()]);
    }
}
