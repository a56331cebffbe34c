//! Grants, revokes and votes, and who may do what.

pub mod built;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures::future::BoxFuture;
use rota_api::error::{Code, EntityKind as Wanted, ParameterRule, RpcError};
use rota_api::number::amount_raw;
use rota_api::params::{Params, Selection, as_integer};
use rota_api::permission::{PendingVote, PermissionEntry};
use rota_chain::amount::{Amount, Height};
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::operation::Operation;
use rota_chain::permission::{BlockRange, Grant, Permission, PermissionSet};
use rota_chain::transaction::Output;
use rota_consensus::authority;
use rota_consensus::mining::check_miner;
use rota_consensus::ops::permission::{applicable, global, votes_needed};
use rota_consensus::rule::ApplyError;
use rota_consensus::state::{
    Changes, Entity, EntityKind, Overlay, PermissionKey, PermissionRecord, StateError, StateKey, StateValue, StateView,
};
use rota_storage::Snapshot;
use serde_json::Value;

use super::balance::has_currency;
use super::resolve::{
    address, addresses, entity_in, entity_value, heavy, own_author, own_key, shape, short, state_error, submit_outputs,
};
use super::wallet::note;
use super::{Answer, Answerer, attachment, send};
use crate::context::{Context, unix_time};
use crate::view::View;

/// The order in which `listpermissions` shows the rights of an address.
const LIST_ORDER: [Permission; 16] = [
    Permission::Mine,
    Permission::Admin,
    Permission::Activate,
    Permission::Connect,
    Permission::Send,
    Permission::Receive,
    Permission::Issue,
    Permission::Create,
    Permission::Write,
    Permission::Read,
    Permission::Low1,
    Permission::Low2,
    Permission::Low3,
    Permission::High1,
    Permission::High2,
    Permission::High3,
];
/// The block that stands for "for ever", and what -1 stands for.
const FOR_EVER: i64 = u32::MAX as i64;

/// The methods answered here.
pub const ANSWERS: &[(&str, Answerer)] = &[
    ("grant", Answerer::Later(|ctx, params| give(ctx, params, Form::new(false, false, false)))),
    ("grantfrom", Answerer::Later(|ctx, params| give(ctx, params, Form::new(true, false, false)))),
    ("grantwithdata", Answerer::Later(|ctx, params| give(ctx, params, Form::new(false, true, false)))),
    ("grantwithdatafrom", Answerer::Later(|ctx, params| give(ctx, params, Form::new(true, true, false)))),
    ("revoke", Answerer::Later(|ctx, params| give(ctx, params, Form::new(false, false, true)))),
    ("revokefrom", Answerer::Later(|ctx, params| give(ctx, params, Form::new(true, false, true)))),
    ("listpermissions", Answerer::Later(|ctx, params| heavy(ctx, params, listpermissions))),
    ("verifypermission", Answerer::Now(verifypermission)),
];

/// Which of the six calls that change rights.
#[derive(Clone, Copy, Debug)]
struct Form {
    from: bool,
    data: bool,
    revoke: bool,
}

impl Form {
    const fn new(from: bool, data: bool, revoke: bool) -> Form {
        Form { from, data, revoke }
    }
}

/// Rights of the whole chain, or on one entity.
#[derive(Clone, Debug)]
struct Rights {
    entity: Option<(Txid, Entity)>,
    permissions: PermissionSet,
    /// Whether all of them were asked for.
    all: bool,
}

impl Rights {
    fn entity_id(&self) -> Option<Txid> {
        self.entity.as_ref().map(|(txid, _)| *txid)
    }
}

fn invalid_permission(text: &str) -> RpcError {
    RpcError::parameter(ParameterRule::Word, format!("Invalid permission: {}", short(text))).got(text)
}

/// Reads `send,receive`, `all`, or `entity.write,admin`: what stands before the last dot names an entity.
fn rights(view: &View, text: &str) -> Result<Rights, RpcError> {
    let (entity, words) = match text.rsplit_once('.') {
        Some((identifier, words)) => (Some(entity_in(view, identifier, Wanted::Any)?), words),
        None => (None, text),
    };
    let allowed = allowed(entity.as_ref().map(|(_, entity)| &entity.kind));
    let mut permissions = PermissionSet::EMPTY;
    let mut all = false;
    for word in words.split(',').map(str::trim) {
        if matches!(word, "all" | "*") {
            permissions = allowed.iter().copied().chain(permissions.iter()).collect();
            all = true;
            continue;
        }
        let named = word.parse::<Permission>().ok().filter(|permission| allowed.contains(permission));
        let refused = || invalid_permission(word).allowed(allowed.iter().map(|one| one.name()).collect::<Vec<_>>());
        permissions = permissions.with(named.ok_or_else(refused)?);
    }
    Ok(Rights { entity, permissions, all })
}

fn allowed(kind: Option<&EntityKind>) -> Vec<Permission> {
    kind.map_or_else(|| global().collect(), applicable)
}

/// What one of the six calls asks for.
struct Gift {
    from: Option<Lock>,
    to: Vec<Lock>,
    text: String,
    amount: Amount,
    range: BlockRange,
    comment: String,
    comment_to: String,
}

fn gift(ctx: &Context, params: &Params, form: Form) -> Result<Gift, RpcError> {
    let first = usize::from(form.from);
    let from = if form.from { from_address(ctx, params.text(0)?)? } else { None };
    let to = params.text(first)?;
    let text = params.text(first + 1)?.to_owned();
    let after = first + 2 + usize::from(form.data);
    let amount = native_amount(ctx, params.given(after))?;
    let range = if form.revoke {
        BlockRange::NEVER
    } else {
        let start = block_number(params, after + 1, 0, "start_block")?;
        BlockRange { start, end: block_number(params, after + 2, FOR_EVER, "end_block")? }
    };
    let notes = after + if form.revoke { 1 } else { 3 };
    let noted = |index: usize| -> Result<String, RpcError> {
        if form.data { Ok(String::new()) } else { params.text_or(index, "").map(str::to_owned) }
    };
    let (comment, comment_to) = (noted(notes)?, noted(notes + 1)?);
    if to.is_empty() {
        return Err(RpcError::parameter(ParameterRule::Size, "No addresses given").got(0).allowed("1 or more"));
    }
    Ok(Gift { from, to: addresses(ctx, to)?, text, amount, range, comment, comment_to })
}

/// The address of a `...from` call; none for `*`, which lets the wallet choose.
pub fn from_address(ctx: &Context, text: &str) -> Result<Option<Lock>, RpcError> {
    if text == "*" {
        return Ok(None);
    }
    if text.contains(',') {
        let error = RpcError::parameter(ParameterRule::Size, "Single from-address should be specified");
        return Err(error.got(text.split(',').count()).allowed(1));
    }
    let lock = address(ctx, text)?;
    own_key(ctx, &lock)?;
    Ok(Some(lock))
}

fn block_number(params: &Params, index: usize, default: i64, name: &str) -> Result<u32, RpcError> {
    let number = match params.given(index) {
        None => default,
        Some(value) => as_integer(value)?,
    };
    height(if number == -1 && default == FOR_EVER { FOR_EVER } else { number }, name)
}

fn height(number: i64, name: &str) -> Result<u32, RpcError> {
    let refused = |_| {
        let sentence = format!("{name} should be between 0 and {FOR_EVER}");
        RpcError::parameter(ParameterRule::Range, sentence).got(number).allowed(format!("0 to {FOR_EVER}"))
    };
    u32::try_from(number).map_err(refused)
}

/// Native currency that each recipient gets along with a grant.
fn native_amount(ctx: &Context, value: Option<&Value>) -> Result<Amount, RpcError> {
    let Some(value) = value else { return Ok(Amount::ZERO) };
    let raw = amount_raw(value, ctx.parameters.native_currency_multiple())?;
    let wrong = || {
        let sentence = "Invalid amount: this chain has no native currency, or it is negative";
        let error = RpcError::parameter(ParameterRule::Range, sentence).got(value.clone());
        if has_currency(ctx) { error.allowed("0 or more") } else { error.allowed(0) }
    };
    let amount = u64::try_from(raw).map_err(|_| wrong())?;
    if amount > 0 && !has_currency(ctx) { Err(wrong()) } else { Ok(Amount(amount)) }
}

fn give(ctx: Arc<Context>, params: Params, form: Form) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let gift = gift(&ctx, &params, form)?;
        let (author, rights) = {
            let view = ctx.view.read();
            let rights = rights(&view, &gift.text)?;
            check_recipients(&gift, &rights)?;
            (granter(&ctx, &view, gift.from, &rights)?, rights)
        };
        let timestamp = u32::try_from(unix_time()).unwrap_or(u32::MAX);
        let Rights { permissions, .. } = rights;
        let grant = Grant { entity: rights.entity_id(), permissions, range: gift.range, timestamp };
        let output = |lock: &Lock| grant_output(*lock, gift.amount, grant.clone());
        let outputs: Vec<Output> = gift.to.iter().map(output).collect();
        let data = form.data.then(|| params.value(2 + usize::from(form.from)).clone());
        let txid = submit_grants(&ctx, author, outputs, data).await?;
        note::keep(&ctx, &txid, &gift.comment, &gift.comment_to).await;
        Ok(Value::from(txid.to_string()))
    })
}

/// Submits grants of an author, who pays what goes along with them, and data if there is some.
async fn submit_grants(
    ctx: &Arc<Context>,
    author: Lock,
    mut outputs: Vec<Output>,
    data: Option<Value>,
) -> Result<Txid, RpcError> {
    send::check_recipients(ctx, &outputs)?;
    let mut held = None;
    if let Some(value) = data {
        let (attached, safe) = attachment::read(ctx, value).await?;
        let fresh = ctx.offchain.hold(safe);
        if let Some(stream) = attached.stream
            && let Err(error) = attachment::check_writer(ctx, &author, stream)
        {
            fresh.forget();
            return Err(error);
        }
        outputs.push(Output::operation(attached.operation));
        held = Some(fresh);
    }
    let sent = submit_outputs(Arc::clone(ctx), vec![author], outputs).await;
    if let (Err(_), Some(fresh)) = (&sent, held) {
        fresh.forget();
    }
    sent
}

fn grant_output(recipient: Lock, amount: Amount, grant: Grant) -> Output {
    Output { recipient: Some(recipient), amount, assets: Vec::new(), operations: vec![Operation::Grant(grant)] }
}

fn check_recipients(gift: &Gift, rights: &Rights) -> Result<(), RpcError> {
    let mine = rights.entity.is_none() && rights.permissions.contains(Permission::Mine) && !gift.range.is_empty();
    if mine && gift.to.iter().any(|lock| lock.key_hash().is_none()) {
        let sentence = "Granting mine permission to addresses of several keys is not allowed: they cannot sign blocks";
        return Err(RpcError::not_allowed(sentence).rule("perm-mine-multisig"));
    }
    Ok(())
}

/// The address of this wallet that grants: it must hold the granting right of every permission, and send.
fn granter(ctx: &Context, view: &View, from: Option<Lock>, rights: &Rights) -> Result<Lock, RpcError> {
    let (state, height) = (view.pool.state(), view.pool.place().height);
    let entity = rights.entity_id();
    let may = |lock: &Lock| -> Result<bool, StateError> {
        for permission in rights.permissions.iter() {
            if !authority::may_grant(state, &ctx.rules, entity, permission, lock, height)? {
                return Ok(false);
            }
        }
        authority::may(state, &ctx.rules, Permission::Send, lock, height)
    };
    let admin = rights.permissions.iter().any(|p| authority::granting_right(p) == Permission::Admin);
    let needed = if admin { "admin" } else { "activate or admin" };
    let place = if entity.is_some() { " for this entity" } else { "" };
    let denied = |sentence: String| RpcError::no_permission(sentence).rule("perm-denied").allowed(needed);
    own_author(ctx, from, may).map_err(|error| match (error.code, from) {
        (Code::InsufficientPermissions, Some(from)) => {
            denied(format!("from-address doesn't have {needed} permission{place}")).got(ctx.scheme.encode(&from))
        }
        (Code::InsufficientPermissions, None) => {
            denied(format!("This wallet doesn't have addresses with {needed} permission{place}"))
        }
        _ => error,
    })
}

fn listpermissions(ctx: &Context, params: &Params) -> Answer {
    let text = params.text_or(0, "all")?;
    let selection = params.selection(1)?;
    let verbose = params.switch(2, "verbose")?;
    let chosen = match selection {
        Selection::All => None,
        Selection::These(words) => Some(words.iter().map(|word| address(ctx, word)).collect::<Result<Vec<_>, _>>()?),
    };
    // The answer is made with the view let go: there may be many records.
    let (rights, state, height) = {
        let view = ctx.view.read();
        (rights(&view, text)?, standing(&view), view.pool.place().height)
    };
    let found = records(&state, &rights, chosen.as_deref())?;
    let admins = authority::count(&state, Permission::Admin, height).map_err(state_error)?;
    let counting = Counting { ctx, state: &state, height, entity: rights.entity_id(), admins };
    let shown_entity = rights.entity.as_ref().map_or(Value::Null, |(txid, entity)| entity_value(txid, entity));
    let mut entries = Vec::new();
    for (address, record, permission) in found {
        let pending = if verbose { counting.pending(permission, &record)? } else { Vec::new() };
        if record.range.is_empty() && pending.is_empty() {
            continue;
        }
        entries.push(shape(&PermissionEntry {
            address: ctx.scheme.encode(&address),
            isp2shaddress: address.key_hash().is_none().then_some(true),
            for_entity: shown_entity.clone(),
            kind: permission.name().to_owned(),
            startblock: i64::from(record.range.start),
            endblock: i64::from(record.range.end),
            admins: verbose.then(|| record.granters.iter().map(|lock| ctx.scheme.encode(lock)).collect()),
            pending: verbose.then_some(pending),
        })?);
    }
    Ok(Value::Array(entries))
}

type Found = (Lock, PermissionRecord, Permission);

/// The chain's state with what waits of rights, and of the parameters that say who needs them, taken out of a view.
fn standing(view: &View) -> Overlay<Snapshot> {
    let waiting = &view.pool.state().changes().elements;
    // Rights are the first elements.
    let rights = waiting.range(..StateKey::Entity(Txid::ZERO)).chain(waiting.get_key_value(&StateKey::Parameters));
    let elements = rights.map(|(key, change)| (key.clone(), change.clone())).collect();
    let mut state = Overlay::new(view.snapshot.clone());
    state.absorb(Changes { elements, ..Changes::default() });
    state
}

/// The records of the rights asked for: by address (confirmed ones first), then in the order of the list.
fn records(state: &Overlay<Snapshot>, rights: &Rights, chosen: Option<&[Lock]>) -> Result<Vec<Found>, RpcError> {
    let entity = rights.entity_id();
    let mut found: BTreeMap<(Lock, usize), Found> = BTreeMap::new();
    let mut confirmed = HashSet::new();
    for (place, permission) in LIST_ORDER.into_iter().enumerate() {
        if !rights.permissions.contains(permission) {
            continue;
        }
        let rows = match chosen {
            Some(locks) => single_records(state, entity, permission, locks),
            None => state.base().holders(entity, permission),
        };
        for (address, record) in rows.map_err(state_error)? {
            confirmed.insert(address);
            found.insert((address, place), (address, record, permission));
        }
        if chosen.is_none() {
            for (address, record) in waiting(state, entity, permission) {
                found.insert((address, place), (address, record, permission));
            }
        }
    }
    let mut found: Vec<Found> = found.into_values().collect();
    found.sort_by_key(|(address, ..)| !confirmed.contains(address));
    Ok(found)
}

fn single_records(
    state: &Overlay<Snapshot>,
    entity: Option<Txid>,
    permission: Permission,
    locks: &[Lock],
) -> Result<Vec<(Lock, PermissionRecord)>, StateError> {
    let mut rows = Vec::new();
    for address in locks.iter().copied() {
        let record = state.permission(PermissionKey { entity, permission, address })?;
        rows.extend(record.map(|record| (address, record)));
    }
    Ok(rows)
}

/// Records of one right that waiting transactions change.
fn waiting(state: &Overlay<Snapshot>, entity: Option<Txid>, permission: Permission) -> Vec<(Lock, PermissionRecord)> {
    let changes = state.changes().elements.iter();
    let rows = changes.filter_map(|(key, change)| match (key, &change.after) {
        (StateKey::Permission(key), Some(StateValue::Permission(record)))
            if key.entity == entity && key.permission == permission =>
        {
            Some((key.address, record.clone()))
        }
        _ => None,
    });
    rows.collect()
}

/// What open votes are counted with.
struct Counting<'a> {
    ctx: &'a Context,
    state: &'a Overlay<Snapshot>,
    height: Height,
    entity: Option<Txid>,
    admins: u32,
}

impl Counting<'_> {
    /// Votes that suffice to change a right.
    fn needed(&self, permission: Permission) -> u32 {
        if self.entity.is_some() || self.height.0 < self.ctx.rules.setup_first_blocks {
            return 1;
        }
        self.ctx.rules.consensus(permission).map_or(1, |fraction| votes_needed(self.admins, fraction))
    }

    /// Open votes by range, the newest first; votes of those who may not vote any more do not count.
    fn pending(&self, permission: Permission, record: &PermissionRecord) -> Result<Vec<PendingVote>, RpcError> {
        let (state, height) = (self.state, self.height);
        let mut groups: Vec<(BlockRange, Vec<Lock>)> = Vec::new();
        for vote in record.votes.iter().rev() {
            let rules = &self.ctx.rules;
            if !authority::may_grant(state, rules, self.entity, permission, &vote.admin, height).map_err(state_error)? {
                continue;
            }
            match groups.iter_mut().find(|(range, _)| *range == vote.range) {
                Some((_, admins)) => admins.push(vote.admin),
                None => groups.push((vote.range, vec![vote.admin])),
            }
        }
        let needed = i64::from(self.needed(permission));
        let shown = groups.into_iter().map(|(range, admins)| PendingVote {
            startblock: i64::from(range.start),
            endblock: i64::from(range.end),
            required: needed.saturating_sub(i64::try_from(admins.len()).unwrap_or(i64::MAX)).max(0),
            admins: admins.iter().map(|lock| self.ctx.scheme.encode(lock)).collect(),
        });
        Ok(shown.collect())
    }
}

fn verifypermission(ctx: &Context, params: &Params) -> Answer {
    let lock = address(ctx, params.text(0)?)?;
    let text = params.text(1)?;
    let view = ctx.view.read();
    let rights = rights(&view, text)?;
    let mut permissions = rights.permissions.iter();
    let (Some(permission), None, false) = (permissions.next(), permissions.next(), rights.all) else {
        return Err(invalid_permission(text));
    };
    let (state, height) = (view.pool.state(), view.pool.place().height);
    let may = match (&rights.entity, permission) {
        (Some((_, entity)), _) if is_open(&entity.kind, permission) => Ok(true),
        (Some((txid, _)), _) => authority::may_on(state, *txid, permission, &lock, height),
        (None, Permission::Mine) => may_mine(ctx, &view, &lock),
        (None, _) => authority::may(state, &ctx.rules, permission, &lock, height),
    };
    may.map(Value::from).map_err(state_error)
}

/// Whether an entity lets everybody do this.
fn is_open(kind: &EntityKind, permission: Permission) -> bool {
    match kind {
        EntityKind::Stream { restriction, .. } => match permission {
            Permission::Write => !restriction.write,
            Permission::Read => !restriction.read,
            _ => false,
        },
        EntityKind::Variable { restrict_write, .. } => permission == Permission::Write && !restrict_write,
        EntityKind::Asset { .. } | EntityKind::Upgrade { .. } => false,
    }
}

/// Whether an address may make the next block, mining diversity included.
fn may_mine(ctx: &Context, view: &View, lock: &Lock) -> Result<bool, StateError> {
    let Some(miner) = lock.key_hash() else { return Ok(false) };
    match check_miner(view.pool.state(), &ctx.rules, miner, view.pool.place().height) {
        Ok(()) => Ok(true),
        Err(ApplyError::Rule(_)) => Ok(false),
        Err(ApplyError::State(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use rota_chain::stream::StreamRestriction;
    use serde_json::json;

    use super::*;
    use crate::ledger::tests::world::{Chain, FIRST, lock};

    fn stream(restriction: StreamRestriction) -> EntityKind {
        EntityKind::Stream { restriction, salted: false }
    }

    #[test]
    fn everybody_may_do_what_a_stream_does_not_restrict() {
        let open = stream(StreamRestriction::default());
        assert!(is_open(&open, Permission::Write) && is_open(&open, Permission::Read));
        assert!(!is_open(&open, Permission::Admin) && !is_open(&open, Permission::Low1));
        let closed = stream(StreamRestriction { write: true, ..StreamRestriction::default() });
        assert!(!is_open(&closed, Permission::Write) && is_open(&closed, Permission::Read));
    }

    #[test]
    fn blocks_of_a_grant_are_whole_numbers_within_range() {
        let params = Params::new(vec![json!(5), json!(-1), json!("0"), json!(1.5), json!(4_294_967_296_i64)]);
        assert_eq!(block_number(&params, 0, 0, "start").unwrap(), 5);
        assert_eq!(block_number(&params, 9, FOR_EVER, "end").unwrap(), u32::MAX);
        assert_eq!(block_number(&params, 1, FOR_EVER, "end").unwrap(), u32::MAX);
        let code = |index| block_number(&params, index, 0, "start").unwrap_err().code.number();
        assert_eq!((code(1), code(2), code(3), code(4)), (-8, -1, -1, -8));
    }

    #[test]
    fn rights_taken_out_of_a_view_are_those_of_its_moment_with_what_waits() {
        let chain = Chain::new();
        let mut node = chain.node("node");
        let mine: PermissionSet = [Permission::Mine].into_iter().collect();
        let rights = Rights { entity: None, permissions: mine, all: false };
        node.submit(node.grant(2, &[Permission::Mine], BlockRange::ALWAYS, 1));
        let before = standing(&node.view.read());
        node.mine(FIRST, 10);
        node.submit(node.grant(2, &[Permission::Mine], BlockRange::NEVER, 2));
        let after = standing(&node.view.read());
        let holders = |state: &Overlay<Snapshot>, chosen: Option<&[Lock]>| {
            let found = records(state, &rights, chosen).unwrap();
            found.into_iter().map(|(lock, record, _)| (lock, record.range)).collect::<Vec<_>>()
        };
        let first = (lock(FIRST), BlockRange::ALWAYS);
        assert_eq!(holders(&before, None), [first, (lock(2), BlockRange::ALWAYS)], "what waits comes last");
        assert_eq!(holders(&before, Some(&[lock(2)])), [(lock(2), BlockRange::ALWAYS)]);
        assert_eq!(holders(&after, Some(&[lock(2)])), [(lock(2), BlockRange::NEVER)]);
        assert!(before.base().tip() != after.base().tip());
    }

    #[test]
    fn every_right_has_a_place_in_lists() {
        assert!(Permission::ALL.iter().all(|permission| LIST_ORDER.contains(permission)));
    }
}
