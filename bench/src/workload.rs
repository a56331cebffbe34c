//! The seam between kinds of work: what is prepared, sent and checked. `load` drives any of them.

use anyhow::Context as _;
use serde_json::json;

use crate::arguments::{Kind, Plan};
use crate::connection::Connection;
use crate::list::List;
use crate::publish::Publish;
use crate::send::Send;

/// Of so many requests of mixed work one publishes.
const PUBLISH_EVERY: u64 = 5;

/// A kind of work, prepared against a node.
pub enum Workload {
    /// Publishing items.
    Publish(Publish),
    /// Listing items.
    List(List),
    /// Both, most of it listing.
    Mixed(List, Publish),
    /// Sending units of an asset.
    Send(Send),
}

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// It reads.
    Read,
    /// It adds items, or moves units.
    Write,
}

/// What was there at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fill {
    /// All items (or units).
    pub items: u64,
    /// Items in blocks.
    pub confirmed: u64,
}

impl Workload {
    /// Gets ready for the plan's work: makes and subscribes the stream if needed, or issues an asset.
    pub async fn prepare(plan: &Plan, node: &mut Connection) -> anyhow::Result<Self> {
        if plan.kind == Kind::Send {
            return Ok(Self::Send(Send::prepare(plan.clients, node).await?));
        }
        let stream = &plan.stream;
        if node.call("liststreams", json!([stream])).await.is_err() {
            node.call("create", json!(["stream", stream, false])).await?;
        }
        node.call("subscribe", json!([stream])).await?;
        let items = fill(stream, node).await?.items;
        let publish = || Publish::new(stream, plan.size, plan.items_per_tx as u64);
        Ok(match plan.kind {
            Kind::Publish | Kind::Send => Self::Publish(publish()),
            Kind::List(read) => Self::List(List::prepare(read, stream, items, node).await?),
            Kind::Mixed(read) => Self::Mixed(List::prepare(read, stream, items, node).await?, publish()),
        })
    }

    /// Its name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Publish(_) => "publish",
            Self::List(list) => list.name(),
            Self::Mixed(..) => "mixed",
            Self::Send(_) => "send",
        }
    }

    /// What a client's request of this number does.
    pub fn operation(&self, client: usize, number: u64) -> Operation {
        match self {
            Self::Publish(_) | Self::Send(_) => Operation::Write,
            Self::List(_) => Operation::Read,
            Self::Mixed(..) if (client as u64 + number).is_multiple_of(PUBLISH_EVERY) => Operation::Write,
            Self::Mixed(..) => Operation::Read,
        }
    }

    /// Writes the body of a client's request of this number.
    pub fn write_request(&self, client: usize, number: u64, body: &mut Vec<u8>) {
        match (self, self.operation(client, number)) {
            (Self::Publish(publish), _) | (Self::Mixed(_, publish), Operation::Write) => {
                publish.write_request(client, number, body);
            }
            (Self::List(list), _) | (Self::Mixed(list, _), Operation::Read) => list.write_request(client, number, body),
            (Self::Send(send), _) => send.write_request(number, body),
        }
    }

    /// Items (or units) that each accepted write adds.
    pub fn items_added(&self) -> u64 {
        match self {
            Self::Publish(publish) | Self::Mixed(_, publish) => publish.items_per_tx(),
            Self::List(_) => 0,
            Self::Send(_) => 1,
        }
    }

    /// What is there now of that which the work adds to.
    pub async fn fill(&self, stream: &str, node: &mut Connection) -> anyhow::Result<Fill> {
        match self {
            Self::Publish(_) | Self::List(_) | Self::Mixed(..) => fill(stream, node).await,
            Self::Send(send) => send.fill(node).await,
        }
    }
}

/// How many items a subscribed stream holds.
pub async fn fill(stream: &str, node: &mut Connection) -> anyhow::Result<Fill> {
    let streams = node.call("liststreams", json!([stream, true])).await?;
    let number = |name: &str| {
        streams[0][name].as_u64().with_context(|| format!("liststreams tells no {name} of {stream}: {streams}"))
    };
    Ok(Fill { items: number("items")?, confirmed: number("confirmed")? })
}
