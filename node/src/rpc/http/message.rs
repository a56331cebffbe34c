//! Messages of a WebSocket: the envelope of JSON-RPC 2.0 around the same calls as over HTTP, and how a subscription
//! begins.

use super::call::Caller;
use super::envelope::{Answer, Body, Call, Fault, body_form, read_batch, read_members};
use super::reply::NO_ROOM;
use crate::rpc::reach::Reach;
use futures::FutureExt;
use hyper::body::Bytes;
use jsonrpsee::core::server::{BoundedSubscriptions, ConnectionId, MethodSink, SubscriptionState};
use jsonrpsee::core::traits::IdProvider;
use jsonrpsee::types::{ErrorObjectOwned, Id, Params, SubscriptionId};
use jsonrpsee::{Extensions, MethodCallback};
use rota_api::{Code, RpcError};
use serde_json::value::RawValue;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Subscriptions of one connection: several for each of a program's subjects. Each may hold one read of the chain.
pub(super) const SUBSCRIPTIONS: u32 = 32;

/// The id of a reply to what has none.
const NO_ID: &str = "null";

/// Numbers the subscriptions of a connection from 1 on.
#[derive(Debug, Default)]
struct Numbers(AtomicU64);

impl IdProvider for Numbers {
    fn next_id(&self) -> SubscriptionId<'static> {
        SubscriptionId::Num(self.0.fetch_add(1, Ordering::Relaxed).saturating_add(1))
    }
}

/// What calls know of the WebSocket they came over: where its subscriptions send to, and how far its user reaches.
#[derive(Debug)]
pub(super) struct Line {
    connection: ConnectionId,
    sink: MethodSink,
    subscriptions: BoundedSubscriptions,
    numbers: Numbers,
    reach: Arc<Reach>,
}

impl Line {
    pub(super) fn new(connection: usize, sink: MethodSink, reach: Arc<Reach>) -> Self {
        let subscriptions = BoundedSubscriptions::new(SUBSCRIPTIONS);
        Self { connection: ConnectionId(connection), sink, subscriptions, numbers: Numbers::default(), reach }
    }

    pub(super) fn connection(&self) -> ConnectionId {
        self.connection
    }
}

/// Writes a reply.
pub(super) fn written(outcome: &Result<Answer, Fault>, id: &str) -> String {
    let (name, value) = match outcome {
        Ok(answer) => ("result", answer.result().to_owned()),
        Err(fault) => ("error", fault.to_string()),
    };
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"{name}\":{value}}}")
}

/// An error as a reply: it is short, and needs no room.
fn refusal(fault: Fault, id: &str) -> Bytes {
    Bytes::from(written(&Err(fault), id))
}

impl Caller {
    /// The reply to a message, none if nothing in it is to be answered here. The work runs in a task of its own: a
    /// client that hangs up does not leave a call half done.
    pub(super) async fn answer_message(self: Arc<Self>, bytes: Bytes, line: Arc<Line>) -> Option<Bytes> {
        let work = tokio::spawn(async move {
            match body_form(&bytes) {
                Err(fault) => Some(refusal(fault, NO_ID)),
                Ok(Body::One(text)) => self.message_one(text, &line).await,
                Ok(Body::Batch(text)) => self.message_batch(text, &line).await,
            }
        });
        work.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a message broke off");
            Some(refusal(broke_off(), NO_ID))
        })
    }

    async fn message_one(&self, text: &str, line: &Line) -> Option<Bytes> {
        let members = match read_members(text) {
            Ok(members) => members,
            Err(fault) => return Some(refusal(fault, NO_ID)),
        };
        let id = members.id_text();
        // Kept until the reply has room.
        let admitted = self.admit();
        let outcome = match (&admitted, self.readable(&members)) {
            (None, _) => Err(Fault::new(Code::Misc, self.busy_text())),
            (Some(_), Err(fault)) => Err(fault),
            (Some(_), Ok(call)) => match self.is_subscription(&call) {
                true => match self.subscribe(&call, &id, line).await {
                    Ok(()) => return None,
                    Err(fault) => Err(fault),
                },
                false => self.perform_whole(&call, line).await,
            },
        };
        if members.has_no_id() {
            return None;
        }
        let reply = written(&outcome, &id);
        // The reply has the result in it, and waiting with both would take twice the memory.
        drop(outcome);
        Some(self.hold(reply).await.unwrap_or_else(|| refusal(Fault::new(Code::Misc, NO_ROOM), &id)))
    }

    /// A batch: one after the other, under one admission, each with its own outcome. Its replies take room together, once all
    /// are there: a batch that held some and waited for more could wait for another one that does the same.
    async fn message_batch(&self, text: &str, line: &Line) -> Option<Bytes> {
        let members = match read_batch(text, self.batch_limit()) {
            Ok(members) if members.is_empty() => Err(Fault::invalid_request("Empty batch")),
            read => read,
        };
        let admitted = self.admit().ok_or_else(|| Fault::new(Code::Misc, self.busy_text()));
        let (members, _admitted) = match (members, admitted) {
            (Ok(members), Ok(admitted)) => (members, admitted),
            (Err(fault), _) | (_, Err(fault)) => return Some(refusal(fault, NO_ID)),
        };
        let (mut replies, mut ids) = (String::new(), Vec::new());
        for member in members {
            if let Some((id, reply)) = self.message_member(member, line, replies.len()).await {
                replies.push(if replies.is_empty() { '[' } else { ',' });
                replies.push_str(&reply);
                ids.push(id);
            }
        }
        if replies.is_empty() {
            return None;
        }
        replies.push(']');
        Some(self.hold(replies).await.unwrap_or_else(|| {
            let refused = ids.iter().map(|id| written(&Err(Fault::new(Code::Misc, NO_ROOM)), id));
            Bytes::from(format!("[{}]", refused.collect::<Vec<String>>().join(",")))
        }))
    }

    /// The id and the reply of a member of a batch.
    async fn message_member(&self, member: &RawValue, line: &Line, used: usize) -> Option<(String, String)> {
        let members = match member.get().starts_with('{') {
            true => read_members(member.get()),
            false => Err(Fault::invalid_request("Invalid Request object")),
        };
        let members = match members {
            Ok(members) => members,
            Err(fault) => return Some((NO_ID.to_owned(), written(&Err(fault), NO_ID))),
        };
        let outcome = match self.readable(&members) {
            Ok(call) => self.perform_whole(&call, line).await,
            Err(fault) => Err(fault),
        };
        let room = self.reply_limit().saturating_sub(used);
        let outcome = outcome.and_then(|answer| match answer.result().len() <= room {
            true => Ok(answer),
            false => Err(self.oversize()),
        });
        let id = members.id_text();
        (!members.has_no_id()).then(|| (id.clone().into_owned(), written(&outcome, &id)))
    }

    /// A call that may panic: its request is answered all the same.
    async fn perform_whole(&self, call: &Call<'_>, line: &Line) -> Result<Answer, Fault> {
        AssertUnwindSafe(self.perform(call, &line.reach, Some(line))).catch_unwind().await.unwrap_or_else(|_| {
            tracing::error!(method = call.method.as_ref(), "a call broke off");
            Err(broke_off())
        })
    }

    /// Begins a subscription. Its reply goes the way of its notifications, before the first of them.
    async fn subscribe(&self, call: &Call<'_>, id: &str, line: &Line) -> Result<(), Fault> {
        let (callback, _place) = self.place(call.method.as_ref(), &line.reach).await?;
        let MethodCallback::Subscription(function) = callback else { return Err(broke_off()) };
        let id: Id<'_> = serde_json::from_str(id)
            .map_err(|_| Fault::invalid_request("The id of a subscription must be a string, a whole number or null"))?;
        let permit = line.subscriptions.acquire().ok_or_else(|| {
            let sentence =
                format!("This connection has {SUBSCRIPTIONS} subscriptions, which is the limit: end one first");
            Fault::from(ErrorObjectOwned::from(RpcError::not_allowed(sentence)))
        })?;
        let state =
            SubscriptionState { conn_id: line.connection, id_provider: &line.numbers, subscription_permit: permit };
        let begun = function(id, Params::new(call.params), line.sink.clone(), state, Extensions::new());
        // Only what was neither accepted nor refused has not been answered.
        if begun.await.is_subscription() { Ok(()) } else { Err(broke_off()) }
    }
}

fn broke_off() -> Fault {
    Fault::new(Code::InternalError, "Internal error: the call broke off, see the log")
}
