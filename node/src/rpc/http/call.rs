//! From the body of a request to its reply: what may be called now, how many calls run at once, and the call
//! itself through jsonrpsee's table of methods.

use super::config::{FrontConfig, Phase};
use super::envelope::{
    Answer, Body, Call, Fault, Members, Reply, body_form, find_error, read_batch, read_members, write_reply,
};
use super::message::Line;
use super::reply::{NO_ROOM, Replies};
use crate::rpc::entries;
use crate::rpc::reach::Reach;
use hyper::body::Bytes;
use jsonrpsee::core::server::ConnectionId;
use jsonrpsee::types::error::OVERSIZED_RESPONSE_CODE;
use jsonrpsee::types::{ErrorObjectOwned, Id, Params};
use jsonrpsee::{Extensions, MethodCallback, MethodResponse, Methods};
use rota_api::{Code, RpcError};
use serde_json::value::RawValue;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, watch};

/// Calls that may take long by nature, such as `subscribe`, at once. They take no place that short calls wait
/// for; a quarter of the requests that may be waiting by default, so that short ones always get through.
const SLOW_CALLS: usize = 64;

/// Methods that answer while the node is starting.
const DURING_WARMUP: [&str; 2] = ["stop", "getinitstatus"];

/// Takes request bodies, gives replies.
pub(super) struct Caller {
    methods: watch::Receiver<Methods>,
    phase: watch::Receiver<Phase>,
    chain_name: String,
    reply_limit: usize,
    batch_limit: usize,
    admission: Arc<Semaphore>,
    places: Semaphore,
    slow: Semaphore,
    replies: Replies,
}

/// Status and body of a reply that needs no room.
fn short(fault: &Fault) -> (u16, Bytes) {
    let Reply { status, body } = Reply::fault(fault, None);
    (status, Bytes::from(body))
}

impl Caller {
    pub(super) fn new(config: &FrontConfig, methods: watch::Receiver<Methods>, phase: watch::Receiver<Phase>) -> Self {
        let workers = config.workers.max(1);
        Self {
            methods,
            phase,
            chain_name: config.chain_name.clone(),
            reply_limit: config.reply_limit,
            batch_limit: config.batch_limit,
            admission: Arc::new(Semaphore::new(workers.saturating_add(config.queue).min(Semaphore::MAX_PERMITS))),
            places: Semaphore::new(workers.min(Semaphore::MAX_PERMITS)),
            slow: Semaphore::new(SLOW_CALLS),
            replies: Replies::new(config.reply_memory, config.reply_patience),
        }
    }

    /// Status and body of the reply, or why 503 is due: then nothing was begun. The work runs in a task of its own: a
    /// client that hangs up does not leave a call half done, and a call that panics takes no connection along.
    pub(super) async fn answer(self: Arc<Self>, bytes: Bytes, reach: Arc<Reach>) -> Result<(u16, Bytes), &'static str> {
        let admitted = self.admit().ok_or_else(|| self.busy_text())?;
        let work = tokio::spawn(async move {
            // Kept until the reply has room, so that no others are begun for which there is none either.
            let _admitted = admitted;
            let Reply { status, body } = self.reply(&bytes, &reach).await;
            // Not 503, which says that nothing was begun.
            self.hold(body).await.map_or_else(|| short(&Fault::new(Code::Misc, NO_ROOM)), |body| (status, body))
        });
        Ok(work.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a call broke off");
            short(&Fault::new(Code::InternalError, "Internal error: the call broke off, see the log"))
        }))
    }

    /// A reply with room for it, none if others do not leave it any in time.
    pub(super) async fn hold(&self, reply: String) -> Option<Bytes> {
        self.replies.hold(reply).await
    }

    /// A place among those that run and wait, or none while all are taken or the node is stopping.
    pub(super) fn admit(&self) -> Option<OwnedSemaphorePermit> {
        if self.is_stopping() {
            return None;
        }
        Arc::clone(&self.admission).try_acquire_owned().ok()
    }

    /// Whether nothing is begun any more.
    pub(super) fn is_stopping(&self) -> bool {
        *self.phase.borrow() == Phase::Stopping
    }

    /// Whether a call begins a subscription.
    pub(super) fn is_subscription(&self, call: &Call<'_>) -> bool {
        matches!(self.methods.borrow().method(&call.method), Some(MethodCallback::Subscription(_)))
    }

    /// Most requests in one batch.
    pub(super) fn batch_limit(&self) -> usize {
        self.batch_limit
    }

    /// Largest reply in bytes.
    pub(super) fn reply_limit(&self) -> usize {
        self.reply_limit
    }

    /// Why 503 was answered.
    pub(super) fn busy_text(&self) -> &'static str {
        match *self.phase.borrow() {
            Phase::Stopping => "The node is shutting down",
            Phase::Starting(_) | Phase::Ready => "Work queue depth exceeded",
        }
    }

    async fn reply(&self, bytes: &[u8], reach: &Arc<Reach>) -> Reply {
        match body_form(bytes) {
            Err(fault) => Reply::fault(&fault, None),
            Ok(Body::One(text)) => self.reply_one(text, reach).await,
            Ok(Body::Batch(text)) => self.reply_batch(text, reach).await,
        }
    }

    /// A single request. Its id is known to the reply only from where the original takes note of it: after the
    /// envelope was found right and the node ready.
    async fn reply_one(&self, text: &str, reach: &Arc<Reach>) -> Reply {
        let members = match read_members(text) {
            Ok(members) => members,
            Err(fault) => return Reply::fault(&fault, None),
        };
        match self.readable(&members) {
            Err(fault) => Reply::fault(&fault, None),
            Ok(call) => Reply::one(&self.perform(&call, reach, None).await, &members.id_text()),
        }
    }

    /// A batch: one after the other, each with its own outcome; always 200.
    async fn reply_batch(&self, text: &str, reach: &Arc<Reach>) -> Reply {
        let members = match read_batch(text, self.batch_limit) {
            Ok(members) => members,
            Err(fault) => return Reply::fault(&fault, None),
        };
        let mut body = String::from("[");
        for (index, member) in members.into_iter().enumerate() {
            if index > 0 {
                body.push(',');
            }
            let room = self.reply_limit.saturating_sub(body.len());
            self.reply_member(&mut body, member, reach, room).await;
        }
        body.push_str("]\n");
        Reply { status: 200, body }
    }

    async fn reply_member(&self, body: &mut String, member: &RawValue, reach: &Arc<Reach>, room: usize) {
        let members = match member.get().starts_with('{') {
            true => read_members(member.get()),
            false => Err(Fault::invalid_request("Invalid Request object")),
        };
        let members = match members {
            Ok(members) => members,
            Err(fault) => return write_reply(body, &Err(fault), "null"),
        };
        let outcome = match self.readable(&members) {
            Ok(call) => self.perform(&call, reach, None).await,
            Err(fault) => Err(fault),
        };
        let outcome = outcome.and_then(|answer| match answer.result().len() <= room {
            true => Ok(answer),
            false => Err(self.oversize()),
        });
        write_reply(body, &outcome, &members.id_text());
    }

    /// The call of a request whose envelope is right, if the node is ready for it.
    pub(super) fn readable<'a>(&self, members: &'a Members<'a>) -> Result<Call<'a>, Fault> {
        members.call(&self.chain_name).and_then(|call| self.check_phase(&call).map(|()| call))
    }

    /// -28 while the node is starting.
    fn check_phase(&self, call: &Call<'_>) -> Result<(), Fault> {
        match &*self.phase.borrow() {
            Phase::Starting(text) if !DURING_WARMUP.contains(&call.method.as_ref()) => {
                Err(Fault::new(Code::InWarmup, text.clone()))
            }
            Phase::Starting(_) | Phase::Ready | Phase::Stopping => Ok(()),
        }
    }

    /// Finds the method, if the caller reaches so far, and waits for a place to call it.
    pub(super) async fn place(
        &self,
        name: &str,
        reach: &Reach,
    ) -> Result<(MethodCallback, Option<SemaphorePermit<'_>>), Fault> {
        let methods = self.methods.borrow().clone();
        let not_found = || Fault::from(ErrorObjectOwned::from(RpcError::method_not_found()));
        let callback = methods.method(name).cloned().ok_or_else(not_found)?;
        reach.check(name).map_err(|error| Fault::from(ErrorObjectOwned::from(error)))?;
        let slow = rota_api::method::find(name).is_some_and(|method| method.target().slow);
        let place = match slow {
            true => self.slow.acquire().await,
            false => self.places.acquire().await,
        };
        tracing::debug!(method = name, user = &*reach.user, "call");
        Ok((callback, place.ok()))
    }

    /// Finds the method, waits for a place, calls. Subscriptions begin in `message`; they end here, on their line.
    pub(super) async fn perform(
        &self,
        call: &Call<'_>,
        reach: &Arc<Reach>,
        line: Option<&Line>,
    ) -> Result<Answer, Fault> {
        let name = call.method.as_ref();
        let (callback, _place) = self.place(name, reach).await?;
        let params = Params::new(call.params);
        let (id, limit, mut extensions) = (Id::Number(0), self.reply_limit, Extensions::new());
        extensions.insert(Arc::clone(reach));
        let response = match (callback, line) {
            (MethodCallback::Sync(function), _) => function(id, params, limit, extensions),
            (MethodCallback::Async(function), _) => {
                function(id, params.into_owned(), ConnectionId(0), limit, extensions).await
            }
            (MethodCallback::Unsubscription(function), Some(line)) => {
                function(id, params, line.connection(), limit, extensions)
            }
            (MethodCallback::Subscription(_), Some(_)) => {
                return Err(Fault::invalid_request(format!("{name} subscribes: it must be a request of its own")));
            }
            (MethodCallback::Subscription(_) | MethodCallback::Unsubscription(_), None) => {
                let sentence = format!("{name} needs a WebSocket: connect with one to this port");
                return Err(ErrorObjectOwned::from(RpcError::not_supported(sentence)).into());
            }
        };
        self.outcome(response)
    }

    fn outcome(&self, response: MethodResponse) -> Result<Answer, Fault> {
        let broken = || Fault::new(Code::InternalError, "Internal error: a reply of an unknown form");
        match response.as_error_code() {
            None => Answer::find(response.into_json()).ok_or_else(broken),
            Some(OVERSIZED_RESPONSE_CODE) => Err(self.oversize()),
            Some(code) => {
                let text = response.into_json();
                Err(find_error(text.get()).map_or_else(broken, |json| Fault::written(code, json.to_owned())))
            }
        }
    }

    pub(super) fn oversize(&self) -> Fault {
        Fault::new(Code::InvalidParameter, entries::oversize(self.reply_limit))
    }
}
