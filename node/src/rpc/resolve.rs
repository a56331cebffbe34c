//! What all RPC families share: from texts to addresses, entities and authors; building, signing and submitting a
//! transaction of this wallet. How the ledger's refusals are told is in `refusal`.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::str::FromStr;
use std::sync::Arc;

use futures::future::BoxFuture;
use rota_api::error::{Code, EntityKind as Wanted, Named, ParameterRule, RpcError};
use rota_api::params::Params;
use rota_chain::amount::{Amount, Height};
use rota_chain::codec::encoded_length;
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::stream::MAX_NAME;
use rota_chain::transaction::{Body, OutPoint, Output, TRANSACTION_VERSION, Transaction};
use rota_consensus::ops::entity::is_reference_shaped;
use rota_consensus::rule::Rule;
use rota_consensus::state::{Entity, EntityKind, StateError, StateView};
use rota_consensus::transaction::{VerifiedTransaction, check_transaction};
use rota_storage::{EntityList, Snapshot};
use rota_wallet::select::Holding;
use rota_wallet::{MAX_KEYPOOL, MAX_LABEL, MAX_PASSPHRASE, WalletError};

use super::Answer;
use super::payment::{self, Source};
use super::refusal;
use crate::context::Context;
use crate::ledger::Stopped;
use crate::view::View;

/// Digits of a transaction id as text.
const TXID_DIGITS: usize = 64;
/// Transactions from here on are hashed and signed on a thread for long work: about a millisecond of hashing.
const LARGE_TRANSACTION: usize = 256 << 10;
/// Most characters of a caller's text that an error repeats.
const ECHOED: usize = 80;

/// The first characters of a caller's text, for errors.
#[must_use]
pub fn short(text: &str) -> String {
    text.chars().take(ECHOED).collect()
}

/// The lock an address stands for; -5 for anything else.
pub fn address(ctx: &Context, text: &str) -> Result<Lock, RpcError> {
    let refused = |_| {
        let error = RpcError::new(Code::InvalidAddressOrKey, format!("Invalid address: {}", short(text)));
        error.rule("address-form").got(text)
    };
    ctx.scheme.decode(text).map_err(refused)
}

/// Addresses with commas between them, each once: -5 for a malformed one, -8 for one given twice.
pub fn addresses(ctx: &Context, text: &str) -> Result<Vec<Lock>, RpcError> {
    let (mut locks, mut seen) = (Vec::new(), HashSet::new());
    for word in text.split(',').map(str::trim) {
        let lock = address(ctx, word)?;
        if !seen.insert(lock) {
            let twice = format!("Invalid parameter, duplicated address: {}", short(word));
            return Err(RpcError::parameter(ParameterRule::Twice, twice).got(word));
        }
        locks.push(lock);
    }
    Ok(locks)
}

/// A transaction id as text; -8 for anything else. `name` says which parameter it was.
pub fn txid(text: &str, name: &str) -> Result<Txid, RpcError> {
    let broken = |sentence: String| {
        let error = RpcError::parameter(ParameterRule::Form, sentence);
        error.got(text).allowed(format!("{TXID_DIGITS} hexadecimal digits"))
    };
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(broken(format!("{name} must be hexadecimal string (not '{}')", short(text))));
    }
    let length = |_| broken(format!("{name} must have {TXID_DIGITS} hexadecimal digits, has {}", text.len()));
    text.parse().map_err(length)
}

/// The index of an output; -8 out of range.
pub fn output_index(number: i64) -> Result<u32, RpcError> {
    let refused = |_| {
        let error = RpcError::parameter(ParameterRule::Range, "Invalid parameter, vout must be positive");
        error.got(number).allowed(format!("0 to {}", u32::MAX))
    };
    u32::try_from(number).map_err(refused)
}

/// -8 for a field that an object does not take beside those that it does.
#[must_use]
pub fn unknown_field(name: &str, known: &[&str]) -> RpcError {
    RpcError::parameter(ParameterRule::Unknown, format!("Invalid field: {}", short(name))).got(name).allowed(known)
}

/// An entity by creating transaction, reference or name, waiting ones included; -708 otherwise.
pub fn entity(ctx: &Context, identifier: &str) -> Result<(Txid, Entity), RpcError> {
    entity_in(&ctx.view.read(), identifier, Wanted::Any)
}

/// A stream by creating transaction, reference or name, waiting ones included; -708 otherwise.
pub fn stream(ctx: &Context, identifier: &str) -> Result<(Txid, Entity), RpcError> {
    entity_in(&ctx.view.read(), identifier, Wanted::Stream)
}

/// As [`entity`], of one kind, in a view that the caller looks at already (which must not be read twice).
pub fn entity_in(view: &View, identifier: &str, wanted: Wanted) -> Result<(Txid, Entity), RpcError> {
    let (named, txid) = if identifier.len() == TXID_DIGITS {
        (Named::Txid, Txid::from_str(identifier).ok())
    } else if is_reference_shaped(identifier) {
        (Named::Reference, referenced(view, identifier)?)
    } else {
        let named = (1..=MAX_NAME as usize)
            .contains(&identifier.len())
            .then(|| view.pool.state().entity_named(identifier.as_bytes()));
        (Named::Name, named.transpose().map_err(state_error)?.flatten())
    };
    let missing = || RpcError::entity_not_found(wanted, named, &short(identifier));
    let txid = txid.ok_or_else(missing)?;
    let entity = view.pool.state().entity(&txid).map_err(state_error)?.ok_or_else(missing)?;
    if is_wanted(&entity.kind, wanted) { Ok((txid, entity)) } else { Err(missing()) }
}

fn is_wanted(kind: &EntityKind, wanted: Wanted) -> bool {
    match wanted {
        Wanted::Any => true,
        Wanted::Stream => matches!(kind, EntityKind::Stream { .. }),
        Wanted::Asset => matches!(kind, EntityKind::Asset { .. }),
        Wanted::Variable => matches!(kind, EntityKind::Variable { .. }),
        Wanted::Upgrade => matches!(kind, EntityKind::Upgrade { .. }),
        Wanted::Filter | Wanted::Library => false,
    }
}

/// The reference of an entity, none while it waits for a block: height, offset and the first two bytes of its id.
#[must_use]
pub fn reference(txid: &Txid, entity: &Entity) -> Option<String> {
    if entity.height == Height(0) {
        return Some("0-0-0".to_owned());
    }
    (entity.offset != 0).then(|| format!("{}-{}-{}", entity.height, entity.offset, prefix(txid)))
}

fn prefix(txid: &Txid) -> u16 {
    match txid.0 {
        [first, second, ..] => u16::from_le_bytes([first, second]),
    }
}

/// The creating transaction that a reference names: the one at that byte of that block.
fn referenced(view: &View, reference: &str) -> Result<Option<Txid>, RpcError> {
    let mut parts = reference.split('-').map(u32::from_str);
    let (Some(Ok(height)), Some(Ok(offset)), Some(Ok(wanted))) = (parts.next(), parts.next(), parts.next()) else {
        return Ok(None);
    };
    if height == 0 {
        let first = view.snapshot.entities(EntityList::Streams, 0..1).map_err(storage_error)?;
        let Some(txid) = first.first().filter(|_| offset == 0 && wanted == 0) else { return Ok(None) };
        // A chain may have no root stream.
        let root = view.snapshot.entity(txid).map_err(state_error)?;
        return Ok(root.filter(|entity| entity.height == Height(0)).map(|_| *txid));
    }
    for list in EntityList::ALL {
        let found = created_at(&view.snapshot, list, (Height(height), offset))?;
        if let Some(txid) = found.filter(|txid| u32::from(prefix(txid)) == wanted) {
            return Ok(Some(txid));
        }
    }
    Ok(None)
}

/// The entity of a list whose creating transaction stands at a byte of a block: found by halving the list, which is in
/// order of creation, since a block may be large.
fn created_at(snapshot: &Snapshot, list: EntityList, at: (Height, u32)) -> Result<Option<Txid>, RpcError> {
    let count = snapshot.entity_count(list).map_err(storage_error)?;
    halved(count, at, |position| {
        let gap = || storage_error("a list of entities has a gap");
        let row = snapshot.entities(list, position..position + 1).map_err(storage_error)?;
        let txid = *row.first().ok_or_else(gap)?;
        let entity = snapshot.entity(&txid).map_err(state_error)?.ok_or_else(gap)?;
        Ok(((entity.height, entity.offset), txid))
    })
}

/// What stands at a place in a list of so many that is in order of place; `look` tells place and what stands there.
fn halved<P: Ord, T>(
    count: u32,
    at: P,
    mut look: impl FnMut(u32) -> Result<(P, T), RpcError>,
) -> Result<Option<T>, RpcError> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        let (place, found) = look(middle)?;
        match place.cmp(&at) {
            Ordering::Less => low = middle + 1,
            Ordering::Equal => return Ok(Some(found)),
            Ordering::Greater => high = middle,
        }
    }
    Ok(None)
}

/// The word that names an entity's kind in answers.
#[must_use]
pub fn kind_word(kind: &EntityKind) -> &'static str {
    match kind {
        EntityKind::Stream { .. } => "stream",
        EntityKind::Asset { .. } => "asset",
        EntityKind::Variable { .. } => "variable",
        EntityKind::Upgrade { .. } => "upgrade",
    }
}

/// How answers refer to an entity: type, name if it has one, reference.
#[must_use]
pub fn entity_value(txid: &Txid, entity: &Entity) -> serde_json::Value {
    let name = String::from_utf8_lossy(&entity.name);
    let name = (!entity.name.is_empty()).then_some(name.as_ref());
    rota_api::permission::entity_value(kind_word(&entity.kind), name, reference(txid, entity).as_deref())
}

/// An address of this wallet that may author a transaction: `from` if given, else the first that `needs` allows, the
/// default address before others. -709 if `from` is not here, -704 if nobody suits. `needs` must not read `ctx.view`
/// while the caller holds it.
pub fn own_author(
    ctx: &Context,
    from: Option<Lock>,
    needs: impl Fn(&Lock) -> Result<bool, StateError>,
) -> Result<Lock, RpcError> {
    if let Some(from) = from {
        own_key(ctx, &from)?;
        let refused = || {
            let error = RpcError::no_permission("from-address doesn't have the permission that this needs");
            error.got(ctx.scheme.encode(&from))
        };
        return if needs(&from).map_err(state_error)? { Ok(from) } else { Err(refused()) };
    }
    if let Some(first) = ctx.wallet.default_lock()
        && ctx.wallet.can_sign(&first)
        && needs(&first).map_err(state_error)?
    {
        return Ok(first);
    }
    for info in ctx.wallet.locks() {
        if ctx.wallet.can_sign(&info.lock) && needs(&info.lock).map_err(state_error)? {
            return Ok(info.lock);
        }
    }
    Err(RpcError::no_permission("This wallet contains no address with the permission that this needs"))
}

/// What [`own_author`] refuses for want of a right, with the rule and the permissions that the caller asked it for.
pub fn needing(rule: &'static str, permissions: &'static str) -> impl Fn(RpcError) -> RpcError {
    move |error| match error.code {
        Code::InsufficientPermissions => error.rule(rule).allowed(permissions),
        _ => error,
    }
}

/// -704: the address that is to give its authority may not send.
#[must_use]
pub fn cannot_send(ctx: &Context, from: &Lock) -> RpcError {
    let error = RpcError::no_permission("from-address doesn't have send permission");
    error.rule("tx-send").got(ctx.scheme.encode(from)).allowed("send")
}

/// -704: the address that is to be paid may not receive.
#[must_use]
pub fn cannot_receive(ctx: &Context, to: &Lock) -> RpcError {
    let error = RpcError::no_permission("Destination address doesn't have receive permission");
    error.rule("tx-receive").got(ctx.scheme.encode(to)).allowed("receive")
}

/// -709 unless this wallet can sign for the address.
pub fn own_key(ctx: &Context, lock: &Lock) -> Result<(), RpcError> {
    if ctx.wallet.can_sign(lock) { Ok(()) } else { Err(RpcError::address_not_in_wallet(&ctx.scheme.encode(lock))) }
}

/// Builds, signs and submits a transaction of these authors: when this returns, it is journaled and in the pool. What
/// outputs pay and a fee that the chain asks for come from coins of the authors: -6 or -716 if they do not suffice.
pub async fn submit_outputs(ctx: Arc<Context>, authors: Vec<Lock>, outputs: Vec<Output>) -> Result<Txid, RpcError> {
    let paid = outputs.iter().try_fold(Amount::ZERO, |sum, output| sum.checked_add(output.amount));
    let refused = || {
        let error = RpcError::parameter(ParameterRule::Range, "Invalid amount: the sum is out of range");
        error.allowed(format!("0 to {} raw units", u64::MAX))
    };
    let paid = paid.ok_or_else(refused)?;
    let source = Source::Addresses(authors.clone());
    payment::submit(&ctx, source, authors, outputs, Holding::native(paid)).await
}

/// The part of the time that a transaction may stay valid which is not asked for: of 30 days one. By so much the tip may
/// fall back, in a reorganisation or after a crash, and a peer lag behind, without refusing what was acknowledged.
const WINDOW_MARGIN: u32 = 30;

/// A body without inputs, valid about as long as one may be, with a nonce of its own.
#[must_use]
pub fn body(ctx: &Context, authors: Vec<Lock>, outputs: Vec<Output>) -> Body {
    let window = ctx.rules.validity_window;
    Body {
        version: TRANSACTION_VERSION,
        inputs: Vec::new(),
        outputs,
        authors,
        lock_time: 0,
        last_height: ctx.view.tip().height.0.saturating_add(window - window / WINDOW_MARGIN),
        nonce: rand::random(),
    }
}

/// Signs and submits a body of this wallet's authors and coins: when this returns, it is journaled and in the pool.
/// -25 if a key that must sign is not here.
pub async fn submit_body(ctx: Arc<Context>, body: Body) -> Result<Txid, RpcError> {
    let tx = Transaction { body, witnesses: Vec::new() };
    // Owners of coins are read from the database: not on an asynchronous thread.
    if encoded_length(&tx) < LARGE_TRANSACTION && tx.body.inputs.is_empty() {
        let verified = sign(&ctx, tx)?;
        return submit(&ctx, verified).await;
    }
    let worker = Arc::clone(&ctx);
    let signed = tokio::task::spawn_blocking(move || sign(&worker, tx)).await;
    submit(&ctx, signed.map_err(RpcError::internal)??).await
}

/// The owner of a coin, waiting ones included.
pub fn coin_owner(ctx: &Context, outpoint: OutPoint) -> Option<Lock> {
    ctx.view.read().pool.state().coin(outpoint).ok().flatten().map(|coin| coin.owner)
}

/// Signs with this wallet's keys and checks what needs no state.
fn sign(ctx: &Context, mut tx: Transaction) -> Result<VerifiedTransaction, RpcError> {
    let owner = |outpoint| coin_owner(ctx, outpoint);
    let completeness = ctx.wallet.sign_transaction(&mut tx, &ctx.rules.genesis, owner, &[]).map_err(wallet_error)?;
    if !completeness.is_complete() {
        let error = RpcError::new(Code::Verify, "This wallet does not hold every key that must sign");
        return Err(error.rule("signature-missing"));
    }
    verify(ctx, Arc::new(tx))
}

/// Checks everything about a signed transaction that needs no state.
pub fn verify(ctx: &Context, tx: Arc<Transaction>) -> Result<VerifiedTransaction, RpcError> {
    let checked = check_transaction(tx, &ctx.rules).map_err(|rule| refusal::of_rule(&ctx.scheme, &rule))?;
    ctx.signatures.verify(checked).map_err(|rule| refusal::of_rule(&ctx.scheme, &Rule::Transaction(rule)))
}

/// Submits a verified transaction to the ledger.
pub async fn submit(ctx: &Context, tx: VerifiedTransaction) -> Result<Txid, RpcError> {
    ctx.ledger.submit(tx).await.map_err(|error| refusal::of_submission(&ctx.scheme, error))
}

/// Blocks since a transaction was mined: 0 while it waits.
#[must_use]
pub fn confirmations(tip: Height, block: Option<Height>) -> i64 {
    block.map_or(0, |height| i64::from(tip.0) - i64::from(height.0) + 1)
}

/// -32603: the state could not be read.
#[must_use]
pub fn state_error(error: impl std::fmt::Display) -> RpcError {
    tracing::error!(%error, "an answer failed for storage");
    RpcError::internal(error)
}

/// -32603: the database could not be read.
#[must_use]
pub fn storage_error(error: impl std::fmt::Display) -> RpcError {
    state_error(error)
}

/// What a caller is told when the wallet refuses or fails.
#[must_use]
pub fn wallet_error(error: WalletError) -> RpcError {
    match error {
        WalletError::Locked => RpcError::wallet_locked(),
        error => {
            let told = RpcError::new(Code::from_number(error.rpc_code()).unwrap_or(Code::Wallet), error.to_string());
            let size = ParameterRule::Size.name();
            match error {
                WalletError::NotOneKey => told.rule("address-one-key"),
                WalletError::SameFile(_) | WalletError::Foreign(_) => told.rule("wallet-file"),
                WalletError::Passphrase(bytes) => told.rule(size).got(bytes).allowed(format!("1 to {MAX_PASSPHRASE}")),
                WalletError::Label(bytes) => told.rule(size).got(bytes).allowed(MAX_LABEL),
                WalletError::KeypoolSize(keys) => told.rule(size).got(keys).allowed(MAX_KEYPOOL),
                WalletError::Multisig { required, keys } => {
                    told.rule(ParameterRule::Range.name()).got(required).allowed(format!("1 to {keys}"))
                }
                _ => told,
            }
        }
    }
}

/// -32603: the writer has ended.
#[must_use]
pub fn stopped(error: Stopped) -> RpcError {
    RpcError::internal(error)
}

/// Runs an answer that takes long, such as one that reads many blocks, on a thread for such work.
#[must_use]
pub fn heavy(ctx: Arc<Context>, params: Params, answer: fn(&Context, &Params) -> Answer) -> BoxFuture<'static, Answer> {
    let work = tokio::task::spawn_blocking(move || answer(&ctx, &params));
    Box::pin(async move { work.await.map_err(RpcError::internal)? })
}

/// A shape of the API as JSON.
pub fn shape(value: &impl serde::Serialize) -> Answer {
    serde_json::to_value(value).map_err(RpcError::internal)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn stream_at(height: u32, offset: u32) -> Entity {
        let kind = EntityKind::Stream { restriction: Default::default(), salted: false };
        Entity { kind, name: b"s".to_vec(), creators: Vec::new(), height: Height(height), offset }
    }

    #[test]
    fn a_reference_ends_with_the_first_two_bytes_of_the_id() {
        let mut id = [0; 32];
        id[..2].copy_from_slice(&[0xd2, 0x04]);
        assert_eq!(reference(&Txid(id), &stream_at(60, 265)).as_deref(), Some("60-265-1234"));
    }

    #[test]
    fn an_entity_that_waits_has_no_reference_and_the_root_stream_a_fixed_one() {
        assert_eq!(reference(&Txid([1; 32]), &stream_at(60, 0)), None);
        assert_eq!(reference(&Txid([1; 32]), &stream_at(0, 202)).as_deref(), Some("0-0-0"));
    }

    #[test]
    fn a_reference_is_found_in_few_looks_whatever_its_block_holds() {
        let places: Vec<(u32, u32)> = (0..1_000).map(|number| (number / 10, 100 * (number % 10))).collect();
        for (position, place) in (0u32..).zip(&places) {
            let mut looks = 0;
            let found = halved(1_000, *place, |at| {
                looks += 1;
                Ok((places[at as usize], at))
            });
            assert_eq!(found.unwrap(), Some(position));
            assert!(looks <= 10, "{looks}");
        }
        for between in [(5, 150), (100, 0)] {
            assert_eq!(halved(1_000, between, |at| Ok((places[at as usize], at))).unwrap(), None);
        }
        assert_eq!(halved(0, (5, 100), |at| Ok(((0, 0), at))).unwrap(), None);
    }

    #[test]
    fn confirmations_count_the_block_itself() {
        assert_eq!(confirmations(Height(9), Some(Height(9))), 1);
        assert_eq!(confirmations(Height(9), Some(Height(0))), 10);
        assert_eq!(confirmations(Height(9), None), 0);
    }

    #[test]
    fn a_locked_wallet_is_told_by_its_own_code() {
        assert_eq!(wallet_error(WalletError::Locked).code, Code::UnlockNeeded);
        assert_eq!(wallet_error(WalletError::KeypoolRanOut).code, Code::KeypoolRanOut);
        assert_eq!(wallet_error(WalletError::NotFound).code, Code::AddressNotFound);
        assert_eq!(wallet_error(WalletError::WrongPassphrase).code, Code::PassphraseIncorrect);
    }

    #[test]
    fn an_id_of_a_wrong_form_is_refused() {
        assert!(txid(&"ab".repeat(32), "txid").is_ok());
        for text in ["", "zz", "ab", &"ab".repeat(33), &"zz".repeat(32)] {
            assert_eq!(txid(text, "txid").map_err(|error| error.code), Err(Code::InvalidParameter), "{text}");
        }
    }
}
