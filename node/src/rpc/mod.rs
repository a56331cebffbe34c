//! Answers to callers: one family a file, registered by name in one table of methods.

pub mod http;

pub mod address;
pub mod amount;
pub mod asset;
pub mod attachment;
pub mod balance;
pub mod blockchain;
pub mod blockset;
pub mod cache;
pub mod control;
pub mod create;
pub mod cursor;
pub mod data;
pub mod decode;
pub mod entity;
pub mod entries;
pub mod exchange;
pub mod explorer;
pub mod help;
pub mod history;
pub mod item;
pub mod mining;
pub mod network;
pub mod payment;
pub mod permission;
pub mod publish;
pub mod raw;
pub mod reach;
pub mod refusal;
pub mod resolve;
pub mod send;
pub mod stream;
pub mod summary;
pub mod unspent;
pub mod upgrade;
pub mod variable;
pub mod waiting;
pub mod wallet;
pub mod watch;

use std::sync::Arc;

use futures::future::BoxFuture;
use jsonrpsee::types::ErrorObjectOwned;
use jsonrpsee::{Methods, RpcModule};
use rota_api::method::{self, Method};
use rota_api::params::Params;
use rota_api::{Code, RpcError};
use serde_json::Value;

use crate::context::Context;
use crate::rpc::reach::Reach;

/// What a call gives.
pub type Answer = Result<Value, RpcError>;

/// A function that answers a method.
#[derive(Clone, Copy)]
pub enum Answerer {
    /// Answers at once, from what is here.
    Now(fn(&Context, &Params) -> Answer),
    /// Submits, asks others, or takes long.
    Later(fn(Arc<Context>, Params) -> BoxFuture<'static, Answer>),
    /// Answers each caller according to what it may call.
    Personal(fn(Arc<Context>, Params, Arc<Reach>) -> BoxFuture<'static, Answer>),
}

/// Names and functions of a family.
pub type Family = &'static [(&'static str, Answerer)];

/// All families.
const FAMILIES: &[Family] = &[
    control::ANSWERS,
    help::ANSWERS,
    network::ANSWERS,
    blockchain::ANSWERS,
    permission::ANSWERS,
    address::ANSWERS,
    wallet::ANSWERS,
    mining::ANSWERS,
    raw::ANSWERS,
    create::ANSWERS,
    asset::ANSWERS,
    variable::ANSWERS,
    upgrade::ANSWERS,
    stream::ANSWERS,
    publish::ANSWERS,
    send::ANSWERS,
    exchange::ANSWERS,
    cache::ANSWERS,
    balance::ANSWERS,
    unspent::ANSWERS,
    history::ANSWERS,
    explorer::ANSWERS,
];

/// The function of a method, none if this version does not answer it.
pub fn answerer(name: &str) -> Option<Answerer> {
    FAMILIES.iter().flat_map(|family| family.iter()).find(|(known, _)| *known == name).map(|(_, answerer)| *answerer)
}

/// The table of methods over a running node.
pub fn methods(context: Arc<Context>) -> Methods {
    let mut module = RpcModule::new(context);
    for (family, method) in method::methods() {
        if matches!(family, method::Family::FilterCallback | method::Family::Watch) {
            continue;
        }
        let answerer = answerer(method.name).or_else(|| answerer(method.target().name));
        let registered = module.register_async_method(method.name, move |params, context, extensions| async move {
            let reach = extensions.get::<Arc<Reach>>().cloned();
            let answer = call(method, answerer, params.as_str().map(str::to_owned), Arc::clone(&context), reach).await;
            answer.map_err(ErrorObjectOwned::from)
        });
        registered.expect("the table of methods names each once");
    }
    watch::register(&mut module).expect("the table of methods names each once");
    module.into()
}

async fn call(
    method: &Method,
    answerer: Option<Answerer>,
    params: Option<String>,
    context: Arc<Context>,
    reach: Option<Arc<Reach>>,
) -> Answer {
    let params = Params::for_method(method, params.as_deref())?;
    match answerer {
        Some(Answerer::Now(answer)) => answer(&context, &params),
        Some(Answerer::Later(answer)) => answer(context, params).await,
        Some(Answerer::Personal(answer)) => {
            let reach = reach.ok_or_else(|| RpcError::internal("a call without a caller"))?;
            answer(context, params, reach).await
        }
        None => Err(not_answered(method.name)),
    }
}

/// The refusal of a method that this version knows and does not answer.
pub fn not_answered(name: &str) -> RpcError {
    let error = RpcError::new(Code::NotSupported, format!("{name} is not available in this version"));
    error.rule("not-available").got(name)
}
