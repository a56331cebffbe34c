//! What a subscription reads of the chain at a time: steps of the follower, filled with what is watched. Between two reads
//! it holds a point and an offset, no snapshot and no block.

use std::sync::Arc;

use rota_api::error::RpcError;
use rota_api::watch::{WatchEvent, WatchNotification};
use rota_chain::amount::Height;
use rota_chain::hash::Txid;
use rota_storage::{Snapshot, StorageError};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::item::ItemWatch;
use crate::context::Context;
use crate::follower::{Follower, Point, Step};
use crate::rpc::blockchain::listed_block;
use crate::rpc::decode::{Known, Moment, raw_transaction};
use crate::rpc::item::look::Look;
use crate::rpc::resolve::storage_error;

/// A read ends once it has this many bytes of notifications, which wait until the connection takes them: with every
/// subscription of every connection stopped up, 2 GiB. A single item or transaction may be larger.
const READ_BYTES: usize = 128 * 1024;
/// Steps of one read at most: a read that finds nothing to tell does not keep its place for long.
const READ_STEPS: usize = 256;

/// What is watched.
pub(super) enum Watched {
    /// Every block.
    Blocks {
        /// With all that `listblocks` knows.
        verbose: bool,
    },
    /// Items of a stream.
    Items(ItemWatch),
    /// Every transaction.
    Transactions {
        /// In full, else their ids.
        verbose: bool,
    },
}

/// Where a read ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// There may be more to read at once.
    Nowhere,
    /// At the tip.
    Tip,
    /// At the end of an index that is still being made.
    BehindIndex,
}

/// What one read gives.
pub(super) struct Batch {
    /// Notifications in order.
    pub(super) messages: Vec<Box<RawValue>>,
    /// Where it ended.
    pub(super) rest: Rest,
    bytes: usize,
}

impl Batch {
    fn push(&mut self, notification: &WatchNotification) -> Result<(), RpcError> {
        let message = to_raw_value(notification).map_err(RpcError::internal)?;
        self.bytes += message.get().len();
        self.messages.push(message);
        Ok(())
    }
}

/// Some entries of a block.
pub(super) struct Part {
    /// The entries, shown.
    pub(super) entries: Vec<Box<RawValue>>,
    /// Offset of the next entry, none if these were the last.
    pub(super) next: Option<usize>,
}

/// A block that was told in part.
#[derive(Clone, Copy)]
struct Open {
    point: Point,
    offset: usize,
    /// Whether a notification has promised more.
    told: bool,
}

/// A moment, for streams with their indexes.
enum Scene<'c> {
    Plain(Moment<'c>),
    Stream(Look<'c>),
}

impl Scene<'_> {
    fn moment(&self) -> &Moment<'_> {
        match self {
            Scene::Plain(moment) => moment,
            Scene::Stream(look) => &look.moment,
        }
    }

    fn snapshot(&self) -> &Snapshot {
        &self.moment().snapshot
    }
}

/// A subscription's way along the chain.
pub(super) struct Walk {
    ctx: Arc<Context>,
    watched: Watched,
    follower: Follower,
    open: Option<Open>,
}

impl Walk {
    /// A walk after the last block that was handled.
    pub(super) fn new(ctx: Arc<Context>, watched: Watched, last: Option<Point>) -> Walk {
        Walk { ctx, watched, follower: Follower::after(last), open: None }
    }

    /// Reads on, on the chain as it is now.
    ///
    /// # Errors
    /// -703 if a stream is not followed any more, -32603 if storage fails.
    pub(super) fn read(&mut self) -> Result<Batch, RpcError> {
        let ctx = Arc::clone(&self.ctx);
        let scene = match &self.watched {
            Watched::Items(watch) => Scene::Stream(watch.look(&ctx)?),
            Watched::Blocks { .. } | Watched::Transactions { .. } => Scene::Plain(Moment::fresh(&ctx)?),
        };
        let mut batch = Batch { messages: Vec::new(), rest: Rest::Nowhere, bytes: 0 };
        for _ in 0..READ_STEPS {
            if batch.bytes >= READ_BYTES {
                break;
            }
            if !self.step(&scene, &mut batch)? {
                batch.rest = match &scene {
                    Scene::Stream(look) if look.reader.subscription().is_catching_up() => Rest::BehindIndex,
                    Scene::Stream(_) | Scene::Plain(_) => Rest::Tip,
                };
                break;
            }
        }
        Ok(batch)
    }

    /// One step, or one part of a block. False if there is none.
    fn step(&mut self, scene: &Scene<'_>, batch: &mut Batch) -> Result<bool, RpcError> {
        let snapshot = scene.snapshot();
        // A block that left while it was told in part is the follower's last one, which tells so.
        if let Some(open) = self.open.take()
            && open.point.is_active(snapshot).map_err(storage_error)?
        {
            self.tell(scene, open, batch)?;
            return Ok(true);
        }
        let watched = &self.watched;
        let step = self.follower.step(snapshot, |height| wanted(watched, scene, height)).map_err(storage_error)?;
        match step {
            None => return Ok(false),
            Some(Step::Connected(point)) => self.tell(scene, Open { point, offset: 0, told: false }, batch)?,
            Some(Step::Disconnected(point)) => batch.push(&about(WatchEvent::Disconnected, point))?,
        }
        Ok(true)
    }

    /// Tells a block that joined, as much of it as the read has room for.
    fn tell(&mut self, scene: &Scene<'_>, open: Open, batch: &mut Batch) -> Result<(), RpcError> {
        let mut notification = about(WatchEvent::Connected, open.point);
        let room = READ_BYTES.saturating_sub(batch.bytes);
        let part = match (&self.watched, scene) {
            (Watched::Items(watch), Scene::Stream(look)) => watch.part(look, open.point.height, open.offset, room)?,
            (Watched::Transactions { verbose }, _) => transactions(scene.moment(), open, *verbose, room)?,
            (Watched::Blocks { verbose }, _) => {
                let (height, tip) = (open.point.height, scene.moment().tip.height);
                let block = listed_block(scene.moment().ctx, scene.snapshot(), tip, height, *verbose)?;
                notification.block = Some(raw(&block)?);
                return batch.push(&notification);
            }
            (Watched::Items(_), Scene::Plain(_)) => {
                return Err(RpcError::internal("items are watched without a stream"));
            }
        };
        let told = open.told || !part.entries.is_empty();
        self.open = part.next.map(|offset| Open { offset, told, ..open });
        if part.entries.is_empty() && (part.next.is_some() || !open.told) {
            return Ok(());
        }
        notification.more = Some(part.next.is_some());
        match &self.watched {
            Watched::Items(_) => notification.items = Some(part.entries),
            Watched::Blocks { .. } | Watched::Transactions { .. } => notification.transactions = Some(part.entries),
        }
        batch.push(&notification)
    }

    /// Work that shows those of these transactions that still wait; its outcome is none if none do.
    pub(super) fn arrivals(
        &self,
        arrived: Vec<Txid>,
    ) -> impl FnOnce() -> Result<Option<Box<RawValue>>, RpcError> + Send + 'static {
        let ctx = Arc::clone(&self.ctx);
        let verbose = matches!(self.watched, Watched::Transactions { verbose: true });
        move || {
            let waiting: Vec<Known> = {
                let view = ctx.view.read();
                arrived.iter().filter_map(|txid| view.pool.get(txid)).map(|entry| Known::waiting(entry)).collect()
            };
            if waiting.is_empty() {
                return Ok(None);
            }
            let moment = Moment::now(&ctx);
            let shown = waiting.iter().map(|known| shown(&moment, known, verbose));
            let mut notification = WatchNotification::bare(WatchEvent::Unconfirmed, None, None);
            notification.transactions = Some(shown.collect::<Result<_, _>>()?);
            to_raw_value(&notification).map(Some).map_err(RpcError::internal)
        }
    }
}

/// The next height that has something to tell.
fn wanted(watched: &Watched, scene: &Scene<'_>, from: Height) -> Result<Option<Height>, StorageError> {
    match (watched, scene) {
        (Watched::Items(watch), Scene::Stream(look)) => watch.next_height(look, from),
        _ => Ok(Some(from)),
    }
}

fn about(event: WatchEvent, point: Point) -> WatchNotification {
    WatchNotification::bare(event, Some(point.height.0), Some(point.hash.to_string()))
}

/// Transactions of a block of the active chain from an offset on, until they have `room` bytes.
fn transactions(moment: &Moment<'_>, open: Open, verbose: bool, room: usize) -> Result<Part, RpcError> {
    let Open { point: Point { height, hash }, offset, .. } = open;
    let missing = || storage_error(format!("the transactions of block {hash} are not here"));
    let block = moment.snapshot.block(&hash).map_err(storage_error)?.ok_or_else(missing)?;
    let mut part = Part { entries: Vec::new(), next: None };
    let mut bytes = 0;
    for (index, tx) in block.transactions.into_iter().enumerate().skip(offset) {
        if bytes >= room && !part.entries.is_empty() {
            part.next = Some(index);
            break;
        }
        let position = u32::try_from(index).map_err(RpcError::internal)?;
        let known = moment.mined(tx.txid(), Arc::new(tx), height, position)?.ok_or_else(missing)?;
        let entry = shown(moment, &known, verbose)?;
        bytes += entry.get().len();
        part.entries.push(entry);
    }
    Ok(part)
}

fn shown(moment: &Moment<'_>, known: &Known, verbose: bool) -> Result<Box<RawValue>, RpcError> {
    match verbose {
        true => raw(&raw_transaction(moment, known)?),
        false => raw(&Value::from(known.txid.to_string())),
    }
}

/// A value as text that is not looked at again.
pub(super) fn raw(value: &impl serde::Serialize) -> Result<Box<RawValue>, RpcError> {
    to_raw_value(value).map_err(RpcError::internal)
}
