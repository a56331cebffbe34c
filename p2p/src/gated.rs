//! A protocol behind the gate: connections not let in far enough have no handler for it, so that they can neither
//! open nor be offered it. To the protocol each connection is a peer of its own, so that what is meant for one
//! connection never takes another of the same identity.

use std::collections::HashMap;
use std::task::{Context, Poll};

use libp2p::PeerId;
use libp2p::core::transport::PortUse;
use libp2p::core::{Endpoint, Multiaddr};
use libp2p::swarm::derive_prelude::{AddressChange, ConnectionClosed, ConnectionEstablished, Either};
use libp2p::swarm::{
    CloseConnection, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm, dummy,
};

use crate::gate::{Admission, SharedTable};
use crate::identity::alias;

/// A behaviour `B` for the connections that are let in to `door` or further.
pub(crate) struct Gated<B> {
    inner: B,
    door: Admission,
    table: SharedTable,
    aliases: HashMap<ConnectionId, PeerId>,
    connections: HashMap<PeerId, (ConnectionId, PeerId)>,
    events: HashMap<ConnectionId, u64>,
}

type Handler<B> = Either<THandler<B>, dummy::ConnectionHandler>;

impl<B: NetworkBehaviour> Gated<B> {
    pub fn new(inner: B, door: Admission, table: SharedTable) -> Gated<B> {
        Gated { inner, door, table, aliases: HashMap::new(), connections: HashMap::new(), events: HashMap::new() }
    }

    /// The wrapped behaviour, which knows connections by their aliases.
    pub fn inner(&mut self) -> &mut B {
        &mut self.inner
    }

    /// Whether the wrapped behaviour still has the connection with this alias.
    pub fn has(&self, alias: &PeerId) -> bool {
        self.connections.contains_key(alias)
    }

    /// How much the handler of a connection told the wrapped behaviour: for gossip, messages received.
    pub fn events_of(&self, connection: ConnectionId) -> u64 {
        self.events.get(&connection).copied().unwrap_or(0)
    }

    fn let_in(&mut self, connection: ConnectionId, peer: PeerId) -> Option<PeerId> {
        let entry = self.table.lock().entry(connection).filter(|entry| entry.admission >= self.door)?;
        let alias = alias(entry.handle);
        self.aliases.insert(connection, alias);
        self.connections.insert(alias, (connection, peer));
        Some(alias)
    }

    fn forget(&mut self, connection: ConnectionId) -> Option<PeerId> {
        self.events.remove(&connection);
        let alias = self.aliases.remove(&connection)?;
        self.connections.remove(&alias);
        Some(alias)
    }
}

impl<B: NetworkBehaviour> NetworkBehaviour for Gated<B> {
    type ConnectionHandler = Handler<B>;
    type ToSwarm = B::ToSwarm;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let Some(alias) = self.let_in(connection, peer) else {
            return Ok(Either::Right(dummy::ConnectionHandler));
        };
        self.inner.handle_established_inbound_connection(connection, alias, local, remote).map(Either::Left)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        remote: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let Some(alias) = self.let_in(connection, peer) else {
            return Ok(Either::Right(dummy::ConnectionHandler));
        };
        self.inner.handle_established_outbound_connection(connection, alias, remote, role, port).map(Either::Left)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(event) => {
                if let Some(alias) = self.aliases.get(&event.connection_id) {
                    self.inner.on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
                        peer_id: *alias,
                        other_established: 0,
                        ..event
                    }));
                }
            }
            FromSwarm::ConnectionClosed(event) => {
                if let Some(alias) = self.forget(event.connection_id) {
                    self.inner.on_swarm_event(FromSwarm::ConnectionClosed(ConnectionClosed {
                        peer_id: alias,
                        remaining_established: 0,
                        ..event
                    }));
                }
            }
            FromSwarm::AddressChange(event) => {
                if let Some(alias) = self.aliases.get(&event.connection_id) {
                    self.inner.on_swarm_event(FromSwarm::AddressChange(AddressChange { peer_id: *alias, ..event }));
                }
            }
            FromSwarm::DialFailure(event) => {
                self.forget(event.connection_id);
            }
            FromSwarm::ListenFailure(event) => {
                self.forget(event.connection_id);
            }
            FromSwarm::NewExternalAddrOfPeer(_) => {}
            other => self.inner.on_swarm_event(other),
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, connection: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {
            Either::Left(event) => {
                if let Some(alias) = self.aliases.get(&connection) {
                    *self.events.entry(connection).or_default() += 1;
                    self.inner.on_connection_handler_event(*alias, connection, event);
                }
            }
            Either::Right(never) => match never {},
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        loop {
            match std::task::ready!(self.inner.poll(cx)) {
                ToSwarm::GenerateEvent(event) => return Poll::Ready(ToSwarm::GenerateEvent(event)),
                ToSwarm::NotifyHandler { peer_id: alias, event, .. } => {
                    if let Some((connection, peer)) = self.connections.get(&alias) {
                        return Poll::Ready(ToSwarm::NotifyHandler {
                            peer_id: *peer,
                            handler: NotifyHandler::One(*connection),
                            event: Either::Left(event),
                        });
                    }
                }
                ToSwarm::CloseConnection { peer_id: alias, .. } => {
                    if let Some((connection, peer)) = self.connections.get(&alias) {
                        return Poll::Ready(ToSwarm::CloseConnection {
                            peer_id: *peer,
                            connection: CloseConnection::One(*connection),
                        });
                    }
                }
                // A protocol behind the gate neither dials nor listens: the task alone decides about connections.
                _ => {}
            }
        }
    }
}
