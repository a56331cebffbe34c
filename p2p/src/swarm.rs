//! The room's task: one loop over commands, the network and time. What happens on each is in the files beside.

mod command;
mod connection;
mod exchange;
mod flood;
pub(crate) mod greeting;
mod joining;
mod relay;
mod rival;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use futures::StreamExt;
use libp2p::core::transport::ListenerId;
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{PeerId, Swarm};
use rota_chain::lock::KeyHash;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::behaviour::{Behaviour, BehaviourEvent, Topics};
use crate::config::{Config, PROTOCOL_VERSION};
use crate::dial::Dials;
use crate::event::Event;
use crate::gate::SharedTable;
use crate::handle::{Command, Handle};
use crate::hello::{Hello, Tip};
use crate::identity::PeerKey;
use crate::join::JoinAnswers;
use crate::limit::{COMMAND_QUEUE, EVENT_QUEUE, NEGOTIATING_STREAMS, OUTBOX, TICK};
use crate::peer::{Peer, PeerHandle};
use crate::traffic::{Traffic, unix_time};
use crate::transport::{multiaddr_of, place_of, transport};

use exchange::Exchange;
use greeting::Greetings;
use relay::Relay;

/// The room could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The identity does not serve for encryption.
    #[error("the transport cannot be set up: {0}")]
    Transport(#[from] std::io::Error),
    /// The protocols cannot be set up.
    #[error("the protocols cannot be set up: {0}")]
    Protocol(String),
}

/// Idle connections stay open: the room itself decides when one ends.
const NEVER: std::time::Duration = std::time::Duration::from_secs(10 * 365 * 24 * 3_600);

/// Opens the room: listens, and runs a task until [`Handle::shutdown`] or until both doors are dropped.
/// Must be called inside a tokio runtime.
///
/// # Errors
/// [`SpawnError`]; a port that cannot be listened on is told by [`Event::ListenFailed`] instead.
pub fn spawn(config: Config, key: PeerKey) -> Result<(Handle, mpsc::Receiver<Event>), SpawnError> {
    let table = SharedTable::new(config.gate.clone());
    let traffic = Traffic::default();
    let (behaviour, topics) = Behaviour::new(&config, &table).map_err(SpawnError::Protocol)?;
    let settings = libp2p::swarm::Config::with_tokio_executor()
        .with_idle_connection_timeout(NEVER)
        .with_max_negotiating_inbound_streams(NEGOTIATING_STREAMS);
    let swarm = Swarm::new(transport(&key, &traffic)?, behaviour, key.peer_id(), settings);
    let (command_sender, commands) = mpsc::channel(COMMAND_QUEUE);
    let (events, event_receiver) = mpsc::channel(EVENT_QUEUE);
    let mut task = Task {
        swarm,
        table,
        topics,
        traffic: traffic.clone(),
        own_id: key.peer_id(),
        own_address: key.address(),
        nonce: rand::random(),
        tip: config.tip,
        port: 0,
        join_answers: None,
        peers: HashMap::new(),
        handles: HashMap::new(),
        dials: Dials::default(),
        resolving: JoinSet::new(),
        listeners: HashMap::new(),
        listening: Vec::new(),
        greetings: Greetings::default(),
        exchange: Exchange::default(),
        relay: Relay::default(),
        outbox: VecDeque::new(),
        config,
    };
    task.listen();
    tokio::spawn(task.run(commands, events));
    Ok((Handle::new(command_sender, traffic), event_receiver))
}

/// Resolved name of a target.
type Resolved = (String, Result<SocketAddr, String>);

struct Task {
    swarm: Swarm<Behaviour>,
    config: Config,
    table: SharedTable,
    topics: Topics,
    traffic: Traffic,
    own_id: PeerId,
    own_address: KeyHash,
    nonce: u64,
    tip: Tip,
    port: u16,
    join_answers: Option<JoinAnswers>,
    peers: HashMap<ConnectionId, Peer>,
    handles: HashMap<PeerHandle, ConnectionId>,
    dials: Dials,
    resolving: JoinSet<Resolved>,
    listeners: HashMap<ListenerId, SocketAddr>,
    listening: Vec<SocketAddr>,
    greetings: Greetings,
    exchange: Exchange,
    relay: Relay,
    outbox: VecDeque<Event>,
}

impl Task {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>, events: mpsc::Sender<Event>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let closed: Option<oneshot::Sender<()>> = loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Shutdown(done)) => break Some(done),
                    Some(command) => self.on_command(command),
                    None => break None,
                },
                permit = events.reserve(), if !self.outbox.is_empty() => match permit {
                    Ok(permit) => if let Some(event) = self.outbox.pop_front() { permit.send(event) },
                    Err(_) => break None,
                },
                // A node that does not keep up with events is not given more: the network waits, commands do not.
                event = self.swarm.select_next_some(), if self.outbox.len() < OUTBOX => self.on_swarm(event),
                Some(Ok((target, place))) = self.resolving.join_next() => self.on_resolved(&target, place),
                _ = tick.tick() => self.on_tick(Instant::now()),
            }
        };
        drop(self);
        if let Some(closed) = closed {
            // Whoever asked may have stopped waiting.
            let _ = closed.send(());
        }
    }

    fn listen(&mut self) {
        for place in self.config.listen.clone() {
            let listening =
                free(place).and_then(|()| self.swarm.listen_on(multiaddr_of(place)).map_err(|error| innermost(&error)));
            match listening {
                Ok(listener) => {
                    self.listeners.insert(listener, place);
                }
                Err(error) => self.outbox.push_back(Event::ListenFailed { addr: place, error }),
            }
        }
    }

    fn on_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_opened(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { connection_id, cause, .. } => {
                self.on_closed(connection_id, cause.map(|cause| cause.to_string()));
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                self.on_dial_error(connection_id, &error);
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                tracing::debug!(remote = %send_back_addr, "incoming connection not taken: {error}");
            }
            SwarmEvent::NewListenAddr { address, .. } => self.on_listening(&address),
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                let expired = place_of(&address);
                self.listening.retain(|place| Some(*place) != expired);
            }
            SwarmEvent::ListenerClosed { listener_id, reason: Err(error), .. } => {
                self.on_listen_error(listener_id, &error);
            }
            SwarmEvent::ListenerError { listener_id, error } => self.on_listen_error(listener_id, &error),
            _ => {}
        }
    }

    fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Limits(never) | BehaviourEvent::Memory(never) | BehaviourEvent::Gate(never) => {
                match never {}
            }
            BehaviourEvent::Join(event) => self.on_join_event(event),
            BehaviourEvent::Ping(event) => self.on_ping_event(&event),
            BehaviourEvent::Hello(event) => self.on_hello_event(event),
            BehaviourEvent::Sync(event) => self.on_exchange_event(crate::message::Protocol::Sync, event),
            BehaviourEvent::Pool(event) => self.on_exchange_event(crate::message::Protocol::Pool, event),
            BehaviourEvent::Chunk(event) => self.on_exchange_event(crate::message::Protocol::Chunk, event),
            BehaviourEvent::Gossip(event) => self.on_gossip_event(event),
        }
    }

    fn on_listening(&mut self, address: &libp2p::Multiaddr) {
        let Some(addr) = place_of(address) else {
            return;
        };
        if self.port == 0 {
            self.port = addr.port();
        }
        self.listening.push(addr);
        self.outbox.push_back(Event::Listening { addr });
    }

    fn on_listen_error(&mut self, listener: ListenerId, error: &std::io::Error) {
        if let Some(addr) = self.listeners.get(&listener) {
            self.outbox.push_back(Event::ListenFailed { addr: *addr, error: error.to_string() });
        }
    }

    fn on_tick(&mut self, now: Instant) {
        for target in self.dials.due(now) {
            self.resolving.spawn(async move {
                let place = crate::join::resolve(&target).await;
                (target, place)
            });
        }
        self.end_floods(now);
        self.end_overdue(now);
        self.end_checks(now);
        self.end_verdicts(now);
    }

    /// This node's hello at this moment.
    fn own_hello(&self) -> Hello {
        Hello {
            chain_name: self.config.chain_name.clone(),
            params_hash: self.config.params_hash,
            version: PROTOCOL_VERSION,
            software: self.config.software.clone(),
            tip: self.tip,
            time: unix_time(),
            port: self.port,
            nonce: self.nonce,
        }
    }

    /// An address as the chain writes it.
    fn text(&self, address: &KeyHash) -> String {
        self.config.address_scheme.encode_key_hash(address)
    }
}

/// Whether a port is free. libp2p listens so that two processes may share a port: two nodes must not.
fn free(place: SocketAddr) -> Result<(), String> {
    std::net::TcpListener::bind(place).map(drop).map_err(|error| error.to_string())
}

/// The innermost cause of an error, which says most in fewest words.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests;
