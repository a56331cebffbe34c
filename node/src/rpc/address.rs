//! Addresses of this wallet, keys, addresses of several keys, and signed messages.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use futures::future::BoxFuture;
use rota_api::address::{AddressDetail, KeyPair, Multisig};
use rota_api::error::{Code, ParameterRule, RpcError};
use rota_api::params::{ALL_ENTRIES, Params, Selection, as_text};
use rota_chain::amount::Height;
use rota_chain::codec::encode;
use rota_chain::key::{PrivateKey, PublicKey};
use rota_chain::lock::Lock;
use rota_chain::message;
use rota_chain::script::{read_payment_script, read_redeem_script, redeem_script};
use rota_chain::witness::{MAX_MULTISIG_KEYS, MultisigKeys};
use rota_wallet::{AddressInfo, WalletError};
use serde_json::{Value, json};

use super::cursor::list::List;
use super::cursor::token::{ListName, Origin, short_hash};
use super::resolve::{address, heavy, shape, short, wallet_error};
use super::wallet::follow;
use super::{Answer, Answerer, cursor};
use crate::context::Context;

/// Most pairs that `createkeypairs` makes at once: a second or two of work.
const MAX_KEY_PAIRS: i64 = 10_000;
/// Digits of a compressed public key.
const PUBLIC_KEY_DIGITS: usize = 66;

/// The methods answered here.
pub const ANSWERS: &[(&str, Answerer)] = &[
    ("getnewaddress", Answerer::Later(|ctx, params| heavy(ctx, params, getnewaddress))),
    ("getrawchangeaddress", Answerer::Later(|ctx, params| heavy(ctx, params, getrawchangeaddress))),
    ("getaddresses", Answerer::Later(|ctx, params| heavy(ctx, params, getaddresses))),
    ("listaddresses", Answerer::Later(|ctx, params| heavy(ctx, params, listaddresses))),
    ("validateaddress", Answerer::Now(validateaddress)),
    ("importaddress", Answerer::Later(|ctx, params| heavy(ctx, params, importaddress))),
    ("importprivkey", Answerer::Later(importprivkey)),
    ("dumpprivkey", Answerer::Now(dumpprivkey)),
    ("createkeypairs", Answerer::Later(|ctx, params| heavy(ctx, params, createkeypairs))),
    ("createmultisig", Answerer::Now(createmultisig)),
    ("addmultisigaddress", Answerer::Later(|ctx, params| heavy(ctx, params, addmultisigaddress))),
    ("signmessage", Answerer::Now(signmessage)),
    ("verifymessage", Answerer::Now(verifymessage)),
];

/// -702: what calls with accounts answer.
#[must_use]
pub fn no_accounts() -> RpcError {
    RpcError::not_supported("Accounts are not supported: use addresses and their labels").rule("accounts")
}

/// -5 with a sentence.
fn bad_key(sentence: impl Into<String>) -> RpcError {
    RpcError::new(Code::InvalidAddressOrKey, sentence)
}

fn getnewaddress(ctx: &Context, params: &Params) -> Answer {
    if params.has(0) {
        return Err(no_accounts());
    }
    let lock = ctx.wallet.new_key(rand::random()).map_err(wallet_error)?;
    follow::gained(ctx, &[lock])?;
    Ok(Value::from(ctx.scheme.encode(&lock)))
}

/// An address for change, which no list shows. Raw transactions of this wallet take change back to the address that
/// paid; for those who want another, a new one is made.
fn getrawchangeaddress(ctx: &Context, _params: &Params) -> Answer {
    let lock = ctx.wallet.new_change_key(rand::random()).map_err(wallet_error)?;
    follow::gained(ctx, &[lock])?;
    Ok(Value::from(ctx.scheme.encode(&lock)))
}

fn getaddresses(ctx: &Context, params: &Params) -> Answer {
    let verbose = params.verbose(0)?;
    let infos = ctx.wallet.locks();
    if verbose {
        return infos.iter().map(|info| shape(&detail(ctx, info))).collect();
    }
    Ok(infos.iter().map(|info| Value::from(ctx.scheme.encode(&info.lock))).collect())
}

fn listaddresses(ctx: &Context, params: &Params) -> Answer {
    let selection = params.selection(0)?;
    let verbose = params.verbose(1)?;
    let paging = params.paging(2, 3, ALL_ENTRIES)?;
    let mut infos = ctx.wallet.locks();
    if let Selection::These(words) = selection {
        let chosen = words.iter().map(|word| address(ctx, word)).collect::<Result<HashSet<Lock>, _>>()?;
        infos.retain(|info| chosen.contains(&info.lock));
    }
    let index = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let entry = |info: &AddressInfo| match verbose {
        true => shape(&detail(ctx, info)),
        false => Ok(json!({"address": ctx.scheme.encode(&info.lock), "ismine": info.is_mine})),
    };
    let part = |positions: Range<u64>| {
        infos.get(index(positions.start)..index(positions.end)).unwrap_or_default().iter().map(entry).collect()
    };
    // The wallet lists addresses as they came. A spare key that is given out late comes in between: then those behind it
    // move, which their check tells.
    let check = |position: u64| Ok(infos.get(index(position)).map_or([0; 8], |info| short_hash(&encode(&info.lock))));
    let name = ListName::new("listaddresses", &[params.value(0).to_string().as_bytes()]);
    let list = List::by_arrival(name, infos.len() as u64, Origin::default(), check);
    cursor::answer(&ctx.view.snapshot(), list, paging, part)
}

/// What is known of an address of this wallet.
fn detail(ctx: &Context, info: &AddressInfo) -> AddressDetail {
    let keys = info.multisig.as_ref();
    let key_address = |key: &PublicKey| ctx.scheme.encode_key_hash(&key.key_hash());
    AddressDetail {
        isvalid: None,
        address: ctx.scheme.encode(&info.lock),
        ismine: info.is_mine,
        iswatchonly: Some(info.is_watch_only),
        isscript: Some(info.lock.key_hash().is_none()),
        pubkey: info.public_key.map(|key| hex::encode(key.0)),
        iscompressed: info.public_key.map(|_| true),
        script: keys.map(|_| "multisig".to_owned()),
        hex: keys.map(|keys| hex::encode(redeem_script(keys))),
        addresses: keys.map(|keys| keys.keys.iter().map(key_address).collect()),
        sigsrequired: keys.map(|keys| i64::from(keys.required)),
        account: Some(info.label.clone()),
        synchronized: Some(info.start.is_none()),
        startblock: info.start.map(i64::from),
    }
}

/// The address that an address, public key or private key stands for.
fn any_address(ctx: &Context, text: &str) -> Option<Lock> {
    if let Ok(lock) = ctx.scheme.decode(text) {
        return Some(lock);
    }
    if let Some(key) = public_key(text) {
        return Some(Lock::Key(key.key_hash()));
    }
    ctx.scheme.decode_private_key(text).ok().map(|key| Lock::Key(key.public_key().key_hash()))
}

fn public_key(text: &str) -> Option<PublicKey> {
    let bytes = hex::decode(text).ok().filter(|_| text.len() == PUBLIC_KEY_DIGITS)?;
    PublicKey::from_slice(&bytes).ok()
}

fn validateaddress(ctx: &Context, params: &Params) -> Answer {
    let Some(lock) = any_address(ctx, params.text(0)?) else { return Ok(json!({"isvalid": false})) };
    match ctx.wallet.info(&lock) {
        Some(info) => shape(&AddressDetail { isvalid: Some(true), ..detail(ctx, &info) }),
        None => Ok(json!({"isvalid": true, "address": ctx.scheme.encode(&lock), "ismine": false})),
    }
}

/// From which block on the past of what is imported is to be known, none if it is not: a truth value, a height, or
/// below 0 a number of blocks back from the tip. -8 for anything else.
pub fn rescan(ctx: &Context, params: &Params, index: usize) -> Result<Option<Height>, RpcError> {
    let sentence = "Invalid rescan, should be a boolean or a block height";
    let wrong = || RpcError::mistyped(params.value(index), "bool or int", sentence);
    match params.given(index) {
        None | Some(Value::Bool(true)) => Ok(Some(Height(0))),
        Some(Value::Bool(false)) => Ok(None),
        Some(value) => {
            let given = value.as_i64().ok_or_else(wrong)?;
            let next = i64::from(ctx.view.tip().height.next().0);
            let from = if given < 0 { next.saturating_add(given).max(0) } else { given };
            let from = Height(u32::try_from(from).unwrap_or(u32::MAX));
            // From the next block on, there is no past to look at.
            Ok((i64::from(from.0) < next).then_some(from))
        }
    }
}

/// Notes from which block on an address is followed, if not from the first.
fn note_start(ctx: &Context, lock: &Lock, past: Option<Height>) -> Result<(), RpcError> {
    let start = past.unwrap_or_else(|| ctx.view.tip().height.next()).0;
    let start = (start > 0).then_some(start);
    if ctx.wallet.info(lock).is_some_and(|info| info.start == start) {
        return Ok(());
    }
    ctx.wallet.set_start(lock, start).map_err(wallet_error)
}

/// What `importaddress` takes: an address, or a script of one in hexadecimal.
enum Watched {
    Lock(Lock),
    Keys(MultisigKeys),
}

fn watched(ctx: &Context, text: &str) -> Result<Watched, RpcError> {
    if let Ok(lock) = ctx.scheme.decode(text) {
        return Ok(Watched::Lock(lock));
    }
    let refused = || bad_key(format!("Invalid address or script: {}", short(text))).rule("address-form");
    let script = hex::decode(text).map_err(|_| refused())?;
    let lock = read_payment_script(&script).map(Watched::Lock);
    lock.or_else(|| read_redeem_script(&script).map(Watched::Keys)).ok_or_else(refused)
}

fn importaddress(ctx: &Context, params: &Params) -> Answer {
    let words = params.list(0)?;
    let label = params.text_or(1, "")?;
    let past = rescan(ctx, params, 2)?;
    let watched = words.iter().map(|word| watched(ctx, word)).collect::<Result<Vec<_>, _>>()?;
    let mut gained = Vec::new();
    for target in watched {
        let (lock, known) = match &target {
            Watched::Lock(lock) => (*lock, ctx.wallet.contains(lock)),
            Watched::Keys(keys) => (keys.lock(), ctx.wallet.multisig_keys(&keys.lock()).is_some()),
        };
        if known {
            relabel(ctx, &lock, label)?;
            continue;
        }
        match target {
            Watched::Lock(lock) => ctx.wallet.import_address(lock, label).map(|_| ()),
            Watched::Keys(keys) => ctx.wallet.add_multisig(keys, label).map(|_| ()),
        }
        .map_err(wallet_error)?;
        note_start(ctx, &lock, past)?;
        gained.push(lock);
    }
    follow::imported(ctx, &gained, past)?;
    if past.is_some() && !gained.is_empty() {
        follow::rescan(ctx)?;
    }
    Ok(Value::Null)
}

/// Sets the label of a known address; an empty one leaves it as it is.
fn relabel(ctx: &Context, lock: &Lock, label: &str) -> Result<(), RpcError> {
    if label.is_empty() {
        return Ok(());
    }
    ctx.wallet.set_label(lock, label).map_err(wallet_error)
}

fn importprivkey(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let imported = heavy(Arc::clone(&ctx), params, import_keys).await?;
        // A node whose wallet had no address with connect may have one now.
        ctx.network.identity_changed().await;
        Ok(imported)
    })
}

fn import_keys(ctx: &Context, params: &Params) -> Answer {
    let words = params.secrets(0)?;
    let label = params.text_or(1, "")?;
    let past = rescan(ctx, params, 2)?;
    let refused = |_| bad_key("Invalid private key encoding").rule("key-form");
    let keys = words.iter().map(|word| ctx.scheme.decode_private_key(word).map_err(refused));
    let mut gained = Vec::new();
    for key in keys.collect::<Result<Vec<PrivateKey>, _>>()? {
        let lock = Lock::Key(key.public_key().key_hash());
        if ctx.wallet.contains(&lock) && ctx.wallet.is_mine(&lock) {
            relabel(ctx, &lock, label)?;
            continue;
        }
        ctx.wallet.import_private_key(key, label).map_err(wallet_error)?;
        note_start(ctx, &lock, past)?;
        gained.push(lock);
    }
    follow::imported(ctx, &gained, past)?;
    if past.is_some() && !gained.is_empty() {
        follow::rescan(ctx)?;
    }
    Ok(Value::Null)
}

fn dumpprivkey(ctx: &Context, params: &Params) -> Answer {
    let text = params.text(0)?;
    let lock = address(ctx, text)?;
    if lock.key_hash().is_none() {
        return Err(bad_key("Address does not refer to a key").rule("address-one-key").got(text));
    }
    let key = ctx.wallet.private_key(&lock).map_err(|error| match error {
        WalletError::NotFound => RpcError::address_not_in_wallet(text),
        other => wallet_error(other),
    })?;
    Ok(Value::from(ctx.scheme.encode_private_key(&key)))
}

fn createkeypairs(ctx: &Context, params: &Params) -> Answer {
    let count = params.count(0, 1)?;
    if count > MAX_KEY_PAIRS {
        let sentence = format!("Invalid count: {count}, at most {MAX_KEY_PAIRS} are made at once");
        return Err(RpcError::parameter(ParameterRule::Range, sentence)
            .got(count)
            .allowed(format!("0 to {MAX_KEY_PAIRS}")));
    }
    let pair = |_| {
        let key = PrivateKey::from_bytes(rand::random()).map_err(RpcError::internal)?;
        let public = key.public_key();
        shape(&KeyPair {
            address: ctx.scheme.encode_key_hash(&public.key_hash()),
            pubkey: hex::encode(public.0),
            privkey: ctx.scheme.encode_private_key(&key),
        })
    };
    (0..count).map(pair).collect()
}

/// Reads m and the n keys: addresses of this wallet, or public keys. All faults are -1, as old clients expect.
fn multisig_keys(ctx: &Context, params: &Params) -> Result<MultisigKeys, RpcError> {
    let misc = |sentence: String| RpcError::new(Code::Misc, sentence);
    let required = params.integer(0)?;
    let words = params.array(1)?;
    let count = i64::try_from(words.len()).unwrap_or(i64::MAX);
    if required < 1 {
        let error = misc("an address of several keys needs at least one signature".to_owned());
        return Err(error.rule(ParameterRule::Range.name()).got(required).allowed(format!("1 to {MAX_MULTISIG_KEYS}")));
    }
    if count < required {
        let error = misc(format!("{count} keys are given, and {required} signatures are needed"));
        return Err(error.rule(ParameterRule::Range.name()).got(required).allowed(format!("1 to {count}")));
    }
    if count > i64::from(MAX_MULTISIG_KEYS) {
        let error = misc(format!("{count} keys are given, at most {MAX_MULTISIG_KEYS} fit into an address"));
        return Err(error.rule(ParameterRule::Size.name()).got(count).allowed(MAX_MULTISIG_KEYS));
    }
    let key = |value: &Value| {
        let text = as_text(value)?;
        if let Ok(lock) = ctx.scheme.decode(text) {
            let missing = || misc(format!("the public key of address {} is not here", short(text)));
            return ctx.wallet.public_key(&lock).ok_or_else(|| missing().rule("key-missing").got(text));
        }
        public_key(text).ok_or_else(|| misc(format!("Invalid public key: {}", short(text))).rule("key-form"))
    };
    let keys = words.iter().map(key).collect::<Result<Vec<PublicKey>, _>>()?;
    Ok(MultisigKeys { required: u8::try_from(required).unwrap_or(u8::MAX), keys })
}

fn createmultisig(ctx: &Context, params: &Params) -> Answer {
    let keys = multisig_keys(ctx, params)?;
    shape(&Multisig { address: ctx.scheme.encode(&keys.lock()), redeem_script: hex::encode(redeem_script(&keys)) })
}

fn addmultisigaddress(ctx: &Context, params: &Params) -> Answer {
    if params.has(2) {
        return Err(no_accounts());
    }
    let keys = multisig_keys(ctx, params)?;
    let lock = keys.lock();
    if ctx.wallet.multisig_keys(&lock).is_none() {
        ctx.wallet.add_multisig(keys, "").map_err(wallet_error)?;
        note_start(ctx, &lock, None)?;
        follow::gained(ctx, &[lock])?;
    }
    Ok(Value::from(ctx.scheme.encode(&lock)))
}

fn signmessage(ctx: &Context, params: &Params) -> Answer {
    let (signer, text) = (params.text(0)?, params.text(1)?);
    if let Ok(key) = ctx.scheme.decode_private_key(signer) {
        return Ok(Value::from(message::sign_message(&key, text.as_bytes())));
    }
    let lock = ctx.scheme.decode(signer).map_err(|_| bad_key("Invalid address or private key").rule("address-form"))?;
    let signed = ctx.wallet.sign_message(&lock, text.as_bytes()).map_err(|error| match error {
        WalletError::NotFound => bad_key("Private key not available").rule("key-missing").got(signer),
        WalletError::NotOneKey => bad_key("Address does not refer to key").rule("address-one-key").got(signer),
        other => wallet_error(other),
    });
    signed.map(Value::from)
}

/// Whether an address signed a text. What is no signature at all is an answer too: false.
fn verifymessage(ctx: &Context, params: &Params) -> Answer {
    let lock = address(ctx, params.text(0)?)?;
    let (signature, text) = (params.text(1)?, params.text(2)?);
    let Some(hash) = lock.key_hash() else {
        return Err(bad_key("Address does not refer to key").rule("address-one-key").got(params.text(0)?));
    };
    let signer = message::message_signer(signature, text.as_bytes()).ok().flatten();
    Ok(Value::from(signer.is_some_and(|key| key.key_hash() == hash)))
}
