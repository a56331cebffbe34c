//! The gate: who may connect, and how far each connection is let in. See docs/protocol/peer.md.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use libp2p::PeerId;
use libp2p::core::transport::PortUse;
use libp2p::core::{Endpoint, Multiaddr};
use libp2p::swarm::derive_prelude::{ConnectionClosed, DialFailure, ListenFailure};
use libp2p::swarm::{ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandlerInEvent, ToSwarm, dummy};
use rota_chain::lock::KeyHash;

use crate::ban::Bans;
use crate::identity::address_of;
use crate::limit::{
    ARRIVAL_BURST, ARRIVAL_RATE, PENDING_PER_HOST, UNKNOWN_INBOUND, UNPERMITTED_PER_HOST, UNPERMITTED_TOTAL,
};
use crate::offence::{KnownHosts, Offenders, network};
use crate::pace::Pace;
use crate::peer::PeerHandle;
use crate::transport::place_of;

/// Asks the node whether an address may connect: for each new connection, and each live one after a change. It runs
/// in the room's task, so it must neither block nor call the room.
pub type Judge = Arc<dyn Fn(&KeyHash) -> bool + Send + Sync>;

/// Who holds the right to connect, by the node's own tip.
#[derive(Clone)]
pub enum Permitted {
    /// Any address: anyone-can-connect.
    Everyone,
    /// These addresses.
    Listed(Arc<HashSet<KeyHash>>),
    /// Those the node says.
    Judged(Judge),
}

impl Permitted {
    /// Whether `address` may connect.
    #[must_use]
    pub fn admits(&self, address: &KeyHash) -> bool {
        match self {
            Permitted::Everyone => true,
            Permitted::Listed(addresses) => addresses.contains(address),
            Permitted::Judged(judge) => judge(address),
        }
    }
}

impl fmt::Debug for Permitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Permitted::Everyone => f.write_str("Everyone"),
            Permitted::Listed(addresses) => write!(f, "Listed({})", addresses.len()),
            Permitted::Judged(_) => f.write_str("Judged"),
        }
    }
}

/// What the node decides at its tip, after every block and reorganisation.
#[derive(Debug, Clone)]
pub struct GateRules {
    /// Who may connect.
    pub permitted: Permitted,
    /// Whether headers are known that extend the tip, or there is no genesis block yet: then headers and blocks are
    /// taken from unknown peers too.
    pub behind: bool,
}

impl GateRules {
    /// How far an address is let in. `counted` tells how many unknown inbound peers are let in to sync already.
    #[must_use]
    pub fn admission(&self, address: &KeyHash, inbound: bool, counted: usize) -> Admission {
        if self.permitted.admits(address) {
            Admission::Full
        } else if !inbound || (self.behind && counted < UNKNOWN_INBOUND) {
            Admission::Sync
        } else {
            Admission::Porch
        }
    }
}

impl Default for GateRules {
    fn default() -> Self {
        GateRules { permitted: Permitted::Listed(Arc::default()), behind: false }
    }
}

/// How far a connection is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Admission {
    /// Hello and join only, for a few seconds.
    Porch,
    /// Besides, we ask for headers and blocks, and answer nothing.
    Sync,
    /// Everything.
    Full,
}

/// One live connection, as the gate let it in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    /// Its number.
    pub handle: PeerHandle,
    /// The address the other side proved.
    pub address: KeyHash,
    /// Where the other side is.
    pub remote: SocketAddr,
    /// Whether the other side dialled.
    pub inbound: bool,
    /// How far it is let in.
    pub admission: Admission,
}

/// Why a connection is not taken at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GateError {
    #[error("the host or address is banned")]
    Banned,
    #[error("the address misbehaved and stays out for a while")]
    Offender,
    #[error("too many connections of unknown hosts at once")]
    Arrivals,
    #[error("misbehaviour came from the host, which connects too often")]
    Host,
    #[error("the identity is not a secp256k1 key")]
    KeyType,
    #[error("the place is not IP and TCP")]
    Place,
    #[error("{PENDING_PER_HOST} connections of the host are already opening")]
    Pending,
    #[error("too many connections without the right to connect")]
    Unpermitted,
}

/// What the gate, the wrapped protocols and the task know together. Only the task's thread of work touches it.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// The node's rules.
    pub rules: GateRules,
    /// Who is banned.
    pub bans: Bans,
    /// Who misbehaved.
    pub offenders: Offenders,
    /// Hosts from which members came.
    pub known_hosts: KnownHosts,
    entries: HashMap<ConnectionId, Entry>,
    last_handle: u64,
}

impl Table {
    /// How far an address is let in now. `counted` tells how many unknown inbound peers are let in to sync.
    pub fn judge(&self, address: &KeyHash, inbound: bool, counted: usize) -> Admission {
        self.rules.admission(address, inbound, counted)
    }

    /// Inbound connections let in to sync, other than `besides`.
    pub fn unknown_inbound(&self, besides: Option<ConnectionId>) -> usize {
        let unknown = |(id, entry): &(&ConnectionId, &Entry)| {
            entry.inbound && entry.admission == Admission::Sync && Some(**id) != besides
        };
        self.entries.iter().filter(unknown).count()
    }

    /// The entry of a live connection.
    pub fn entry(&self, connection: ConnectionId) -> Option<Entry> {
        self.entries.get(&connection).copied()
    }

    fn admit(
        &mut self,
        connection: ConnectionId,
        peer: &PeerId,
        remote: &Multiaddr,
        inbound: bool,
    ) -> Result<(), GateError> {
        let address = address_of(peer).ok_or(GateError::KeyType)?;
        let remote = place_of(remote).ok_or(GateError::Place)?;
        if self.bans.holds(&remote.ip(), Some(&address), Instant::now()) {
            return Err(GateError::Banned);
        }
        if self.offenders.shuts_out(&address, Instant::now()) {
            return Err(GateError::Offender);
        }
        let admission = self.judge(&address, inbound, self.unknown_inbound(None));
        if admission == Admission::Porch {
            let porch = || self.entries.values().filter(|entry| entry.admission == Admission::Porch);
            let host = network(remote.ip());
            let same_host = porch().filter(|entry| network(entry.remote.ip()) == host).count();
            if same_host >= UNPERMITTED_PER_HOST || porch().count() >= UNPERMITTED_TOTAL {
                return Err(GateError::Unpermitted);
            }
        }
        self.last_handle += 1;
        let handle = PeerHandle(self.last_handle);
        self.entries.insert(connection, Entry { handle, address, remote, inbound, admission });
        Ok(())
    }
}

/// The table, shared by the parts of one swarm.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedTable(Arc<Mutex<Table>>);

impl SharedTable {
    pub fn new(rules: GateRules) -> SharedTable {
        SharedTable(Arc::new(Mutex::new(Table { rules, ..Table::default() })))
    }

    pub fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The behaviour that judges each connection before any other protocol sees it.
pub(crate) struct Gate {
    table: SharedTable,
    pending: HashMap<ConnectionId, IpAddr>,
    /// How fast connections of unknown hosts come.
    arrivals: Pace,
}

impl Gate {
    pub fn new(table: SharedTable) -> Gate {
        let arrivals = Pace::new(ARRIVAL_RATE, ARRIVAL_BURST, Instant::now());
        Gate { table, pending: HashMap::new(), arrivals }
    }

    fn admit(
        &mut self,
        connection: ConnectionId,
        peer: &PeerId,
        remote: &Multiaddr,
        inbound: bool,
    ) -> Result<dummy::ConnectionHandler, ConnectionDenied> {
        self.pending.remove(&connection);
        self.table.lock().admit(connection, peer, remote, inbound).map_err(ConnectionDenied::new)?;
        Ok(dummy::ConnectionHandler)
    }

    fn forget(&mut self, connection: ConnectionId) {
        self.pending.remove(&connection);
        self.table.lock().entries.remove(&connection);
    }
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let place = place_of(remote).ok_or_else(|| ConnectionDenied::new(GateError::Place))?;
        if self.table.lock().bans.holds(&place.ip(), None, Instant::now()) {
            return Err(ConnectionDenied::new(GateError::Banned));
        }
        let host = network(place.ip());
        if self.pending.values().filter(|ip| network(**ip) == host).count() >= PENDING_PER_HOST {
            return Err(ConnectionDenied::new(GateError::Pending));
        }
        let now = Instant::now();
        let mut table = self.table.lock();
        if !table.offenders.admits(&place.ip(), now) {
            return Err(ConnectionDenied::new(GateError::Host));
        }
        if !table.known_hosts.holds(&place.ip()) && !self.arrivals.allows_one(now) {
            return Err(ConnectionDenied::new(GateError::Arrivals));
        }
        drop(table);
        self.pending.insert(connection, place.ip());
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<dummy::ConnectionHandler, ConnectionDenied> {
        self.admit(connection, &peer, remote, true)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        remote: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<dummy::ConnectionHandler, ConnectionDenied> {
        self.admit(connection, &peer, remote, false)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. })
            | FromSwarm::DialFailure(DialFailure { connection_id, .. })
            | FromSwarm::ListenFailure(ListenFailure { connection_id, .. }) => self.forget(connection_id),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: Infallible) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;
