//! The seam between kinds of work: what is prepared, sent and checked. `load` drives any of them.

use anyhow::Context as _;
use serde_json::json;

use crate::arguments::{Kind, Plan};
use crate::connection::Connection;
use crate::list::List;
use crate::publish::Publish;

/// A kind of work, prepared against a node.
pub enum Workload {
    /// Publishing items.
    Publish(Publish),
    /// Listing items.
    List(List),
}

/// What a stream held at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fill {
    /// All items.
    pub items: u64,
    /// Items in blocks.
    pub confirmed: u64,
}

impl Workload {
    /// Makes and subscribes the stream if needed, and gets ready for the plan's work.
    pub async fn prepare(plan: &Plan, connection: &mut Connection) -> anyhow::Result<Self> {
        if connection.call("liststreams", json!([plan.stream])).await.is_err() {
            connection.call("create", json!(["stream", plan.stream, false])).await?;
        }
        connection.call("subscribe", json!([plan.stream])).await?;
        let fill = fill(&plan.stream, connection).await?;
        Ok(match plan.kind {
            Kind::Publish => Self::Publish(Publish::new(&plan.stream, plan.size, plan.items_per_tx as u64)),
            Kind::List => Self::List(List::new(plan, fill)?),
        })
    }

    /// Its name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Publish(_) => "publish",
            Self::List(_) => "list",
        }
    }

    /// Writes the body of a client's request of this number.
    pub fn write_request(&self, client: usize, number: u64, body: &mut Vec<u8>) {
        match self {
            Self::Publish(publish) => publish.write_request(client, number, body),
            Self::List(list) => list.write_request(client, number, body),
        }
    }

    /// Operations that one request counts for: the items it carries.
    pub fn operations(&self) -> u64 {
        match self {
            Self::Publish(publish) => publish.items_per_tx(),
            Self::List(_) => 1,
        }
    }

    /// Items that each accepted request adds to the stream.
    pub fn items_added(&self) -> u64 {
        match self {
            Self::Publish(publish) => publish.items_per_tx(),
            Self::List(_) => 0,
        }
    }
}

/// How many items a subscribed stream holds.
pub async fn fill(stream: &str, connection: &mut Connection) -> anyhow::Result<Fill> {
    let streams = connection.call("liststreams", json!([stream, true])).await?;
    let number = |name: &str| {
        streams[0][name].as_u64().with_context(|| format!("liststreams tells no {name} of {stream}: {streams}"))
    };
    Ok(Fill { items: number("items")?, confirmed: number("confirmed")? })
}
