//! The door in: what the node asks of the peer room. Each method is one message to the room's task.

use std::sync::Arc;
use std::time::Duration;

use rota_chain::hash::FullHash;
use tokio::sync::{mpsc, oneshot};

use crate::ban::Banned;
use crate::dial::AddedNode;
use crate::event::{QueryId, RequestError, RequestId};
use crate::gate::GateRules;
use crate::hello::Tip;
use crate::join::JoinAnswers;
use crate::message::{CompactBlock, Request, Response};
use crate::peer::{PeerHandle, PeerInfo};
use crate::traffic::Traffic;

/// The room's task has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the peer room is closed")]
pub struct Stopped;

/// Where the answer to a request goes.
#[derive(Debug)]
pub enum ReplyTo {
    /// To the node's events.
    Event(QueryId),
    /// To whoever waits.
    Waiting(oneshot::Sender<Result<Response, RequestError>>),
}

/// A message to the room.
#[derive(Debug)]
pub enum Command {
    /// Dials a host and port once.
    Dial(String),
    /// Keeps a host and port connected.
    AddNode(String),
    /// No longer keeps it; an open connection stays.
    RemoveNode(String),
    /// Closes a connection.
    Disconnect {
        /// The peer.
        peer: PeerHandle,
        /// Why.
        reason: String,
    },
    /// Closes the connection of a peer that broke a rule, and logs the line that names it.
    Misbehaving {
        /// The peer.
        peer: PeerHandle,
        /// What it did.
        reason: String,
    },
    /// Refuses a host or address for a time and closes its connections.
    Ban {
        /// Who.
        who: Banned,
        /// For how long.
        time: Duration,
    },
    /// Ends a ban.
    Unban(Banned),
    /// Judges all connections anew.
    SetGate(GateRules),
    /// What joiners get.
    SetJoinAnswers(JoinAnswers),
    /// The applied tip, told in hellos.
    SetTip(Tip),
    /// Asks a peer.
    Request {
        /// The peer.
        peer: PeerHandle,
        /// The request.
        request: Request,
        /// Where the answer goes.
        reply: ReplyTo,
    },
    /// Answers a peer's request.
    Respond {
        /// Number of the request.
        request_id: RequestId,
        /// The answer; lists are cut to the frame limit.
        response: Response,
    },
    /// Tells all permitted peers of transactions this node has.
    AnnounceTransactions(Vec<FullHash>),
    /// Tells all permitted peers of a block this node found good.
    AnnounceBlock(Box<CompactBlock>),
    /// Pings every peer now.
    Ping,
    /// All connected peers.
    Peers(oneshot::Sender<Vec<PeerInfo>>),
    /// All hosts that are kept connected.
    AddedNodes(oneshot::Sender<Vec<AddedNode>>),
    /// Closes everything; the answer comes when the listeners are closed.
    Shutdown(oneshot::Sender<()>),
}

/// Access to the room. Clones share it.
#[derive(Debug, Clone)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    traffic: Arc<Traffic>,
}

impl Handle {
    pub(crate) fn new(commands: mpsc::Sender<Command>, traffic: Traffic) -> Handle {
        Handle { commands, traffic: Arc::new(traffic) }
    }

    /// Sends a message to the room.
    ///
    /// # Errors
    /// [`Stopped`] if the room's task has ended; so in all methods here.
    pub async fn send(&self, command: Command) -> Result<(), Stopped> {
        self.commands.send(command).await.map_err(|_| Stopped)
    }

    /// Dials a host and port once.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn dial(&self, target: impl Into<String>) -> Result<(), Stopped> {
        self.send(Command::Dial(target.into())).await
    }

    /// Keeps a host and port connected, dialling again with growing pauses.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn add_node(&self, target: impl Into<String>) -> Result<(), Stopped> {
        self.send(Command::AddNode(target.into())).await
    }

    /// No longer keeps a host connected. An open connection stays.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn remove_node(&self, target: impl Into<String>) -> Result<(), Stopped> {
        self.send(Command::RemoveNode(target.into())).await
    }

    /// Closes a connection.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn disconnect(&self, peer: PeerHandle, reason: impl Into<String>) -> Result<(), Stopped> {
        self.send(Command::Disconnect { peer, reason: reason.into() }).await
    }

    /// Closes the connection of a peer that broke a rule, and logs the line that names it.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn misbehaving(&self, peer: PeerHandle, reason: impl Into<String>) -> Result<(), Stopped> {
        self.send(Command::Misbehaving { peer, reason: reason.into() }).await
    }

    /// Refuses a host or address for a time and closes its connections.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn ban(&self, who: Banned, time: Duration) -> Result<(), Stopped> {
        self.send(Command::Ban { who, time }).await
    }

    /// Ends a ban.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn unban(&self, who: Banned) -> Result<(), Stopped> {
        self.send(Command::Unban(who)).await
    }

    /// Judges all connections by new rules; to be called after every block and reorganisation.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn set_gate(&self, rules: GateRules) -> Result<(), Stopped> {
        self.send(Command::SetGate(rules)).await
    }

    /// Sets what joiners get.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn set_join_answers(&self, answers: JoinAnswers) -> Result<(), Stopped> {
        self.send(Command::SetJoinAnswers(answers)).await
    }

    /// Sets the tip told in hellos.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn set_tip(&self, tip: Tip) -> Result<(), Stopped> {
        self.send(Command::SetTip(tip)).await
    }

    /// Asks a peer; the answer comes as [`crate::Event::Response`] with this number.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn request(&self, peer: PeerHandle, query: QueryId, request: Request) -> Result<(), Stopped> {
        self.send(Command::Request { peer, request, reply: ReplyTo::Event(query) }).await
    }

    /// Asks a peer and waits for the answer.
    ///
    /// # Errors
    /// [`RequestError`], among them that of a closed room.
    pub async fn ask(&self, peer: PeerHandle, request: Request) -> Result<Response, RequestError> {
        let (sender, receiver) = oneshot::channel();
        let command = Command::Request { peer, request, reply: ReplyTo::Waiting(sender) };
        self.send(command).await.map_err(|Stopped| RequestError::Stopped)?;
        receiver.await.unwrap_or(Err(RequestError::Stopped))
    }

    /// Answers a peer's request; lists are cut to the frame limit.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn respond(&self, request_id: RequestId, response: Response) -> Result<(), Stopped> {
        self.send(Command::Respond { request_id, response }).await
    }

    /// Tells all permitted peers of transactions this node has.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn announce_transactions(&self, hashes: Vec<FullHash>) -> Result<(), Stopped> {
        self.send(Command::AnnounceTransactions(hashes)).await
    }

    /// Tells all permitted peers of a block this node found good; a block that came as an announcement is relayed.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn announce_block(&self, compact: CompactBlock) -> Result<(), Stopped> {
        self.send(Command::AnnounceBlock(Box::new(compact))).await
    }

    /// Pings every peer now.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn ping(&self) -> Result<(), Stopped> {
        self.send(Command::Ping).await
    }

    /// All connected peers, in the order they connected.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn peers(&self) -> Result<Vec<PeerInfo>, Stopped> {
        self.query(Command::Peers).await
    }

    /// All hosts that are kept connected.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn added_nodes(&self) -> Result<Vec<AddedNode>, Stopped> {
        self.query(Command::AddedNodes).await
    }

    /// Bytes sent and received since the room was opened.
    #[must_use]
    pub fn totals(&self) -> (u64, u64) {
        self.traffic.total().bytes()
    }

    /// Closes everything and returns when the listeners are closed; a new room may then listen on their ports.
    pub async fn shutdown(&self) {
        // A room that is closed already is closed.
        let _ = self.query(Command::Shutdown).await;
    }

    async fn query<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Stopped> {
        let (sender, receiver) = oneshot::channel();
        self.send(command(sender)).await?;
        receiver.await.map_err(|_| Stopped)
    }
}
