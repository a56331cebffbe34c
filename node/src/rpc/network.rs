//! Peers: who is connected, nodes added by hand, and the address book.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures::future::BoxFuture;
use rota_api::error::{Code, ParameterRule, RpcError};
use rota_api::network::{
    AddedNode as ShownNode, AddedNodeAddress, ChunkQueue, ChunkQueueCount, ChunkTotalCount, ChunkTotals, LocalAddress,
    NetTotals, NetworkInfo, NetworkReach, PeerInfo as ShownPeer, StoredHandshake, StoredNode,
};
use rota_api::params::Params;
use rota_chain::amount::Height;
use rota_p2p::PeerInfo;
use serde_json::Value;

use super::control::{VERSION, version_number};
use super::resolve::{shape, short};
use super::{Answer, Answerer, balance};
use crate::context::Context;
use crate::network::{MAX_ADDED, NetworkError};
use crate::sync::SKEW_SECONDS;

/// Version of the peer protocol, in the counting of old clients.
const PEER_PROTOCOL: i64 = 70_002;
/// Services that every node offers, in the notation of old clients.
const SERVICES: &str = "0000000000000001";

/// The methods answered here.
pub const ANSWERS: &[(&str, Answerer)] = &[
    ("getnetworkinfo", Answerer::Later(getnetworkinfo)),
    ("addnode", Answerer::Later(addnode)),
    ("storenode", Answerer::Later(storenode)),
    ("liststorednodes", Answerer::Later(liststorednodes)),
    ("getaddednodeinfo", Answerer::Later(getaddednodeinfo)),
    ("getconnectioncount", Answerer::Later(getconnectioncount)),
    ("getnettotals", Answerer::Now(getnettotals)),
    ("getpeerinfo", Answerer::Later(|ctx, _| Box::pin(async move { peer_values(&ctx).await.map(Value::Array) }))),
    ("ping", Answerer::Later(ping)),
    ("getchunkqueueinfo", Answerer::Now(getchunkqueueinfo)),
    ("getchunkqueuetotals", Answerer::Now(getchunkqueuetotals)),
];

/// Seconds that peers' clocks are ahead of ours: the median.
#[must_use]
pub fn time_offset(peers: &[PeerInfo]) -> i64 {
    let mut offsets: Vec<i64> = peers.iter().map(|peer| peer.time_offset).collect();
    offsets.sort_unstable();
    offsets.get(offsets.len() / 2).copied().unwrap_or(0)
}

/// What an operator should know about this node's clock, of which peers' clocks are `offset` seconds ahead.
#[must_use]
pub fn clock_warning(offset: i64) -> Option<String> {
    let (seconds, side) = (offset.unsigned_abs(), if offset > 0 { "ahead of" } else { "behind" });
    (seconds >= SKEW_SECONDS)
        .then(|| format!("Peers' clocks are {seconds} s {side} this node's: check its time, blocks may be held back."))
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Name and version as peers tell them.
fn subversion() -> String {
    format!("/Rota:{VERSION}/")
}

fn getnetworkinfo(ctx: Arc<Context>, _params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let peers = ctx.network.peers().await;
        let reach = |name: &str, reachable: bool| NetworkReach {
            name: name.to_owned(),
            limited: false,
            reachable,
            proxy: String::new(),
        };
        let own = peers.iter().filter_map(|peer| peer.local).map(|local| local.ip());
        let mut hosts: Vec<IpAddr> = own.collect();
        hosts.sort_unstable();
        hosts.dedup();
        let port = i64::from(ctx.facts.port);
        let local = |host: &IpAddr| LocalAddress { address: host.to_string(), port, score: 1 };
        shape(&NetworkInfo {
            version: version_number(),
            subversion: subversion(),
            protocolversion: PEER_PROTOCOL,
            localservices: SERVICES.to_owned(),
            timeoffset: time_offset(&peers),
            connections: number(peers.len() as u64),
            networks: vec![reach("ipv4", true), reach("ipv6", true), reach("onion", false)],
            relayfee: balance::relay_fee(&ctx),
            localaddresses: hosts.iter().map(local).collect(),
        })
    })
}

fn getconnectioncount(ctx: Arc<Context>, _params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move { Ok(Value::from(ctx.network.connection_count().await)) })
}

fn getnettotals(ctx: &Context, _params: &Params) -> Answer {
    let (sent, received) = ctx.network.totals();
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let millis = since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    shape(&NetTotals { totalbytesrecv: number(received), totalbytessent: number(sent), timemillis: number(millis) })
}

/// The connected peers, as `getpeerinfo` shows them.
pub async fn peer_values(ctx: &Context) -> Result<Vec<Value>, RpcError> {
    let peers = ctx.network.peers().await;
    peers.iter().map(|peer| shape(&shown_peer(ctx, peer))).collect()
}

fn shown_peer(ctx: &Context, peer: &PeerInfo) -> ShownPeer {
    let proved = !ctx.rules.anyone.connect;
    let own = ctx.network.handshake().filter(|_| proved);
    let sync = ctx.network.peer_sync(peer.peer);
    let height = |height: Option<Height>| height.map_or(-1, |height| i64::from(height.0));
    ShownPeer {
        id: number(peer.peer.0),
        addr: peer.remote.to_string(),
        addrlocal: peer.local.map(|local| local.to_string()),
        services: SERVICES.to_owned(),
        lastsend: number(peer.last_send),
        lastrecv: number(peer.last_receive),
        bytessent: number(peer.bytes_sent),
        bytesrecv: number(peer.bytes_received),
        conntime: number(peer.connected_at),
        pingtime: peer.ping.map_or(0.0, |ping| ping.as_secs_f64()),
        pingwait: peer.ping_wait.map(|wait| wait.as_secs_f64()),
        version: PEER_PROTOCOL,
        subver: subversion(),
        handshakelocal: own.map(|own| ctx.scheme.encode_key_hash(&own)),
        handshake: proved.then(|| ctx.scheme.encode_key_hash(&peer.address)),
        inbound: peer.inbound,
        encrypted: true,
        startingheight: i64::from(peer.hello.tip.height.0),
        banscore: 0,
        synced_headers: height(sync.synced_headers),
        synced_blocks: height(sync.synced_blocks),
        inflight: sync.inflight.iter().map(|height| i64::from(height.0)).collect(),
        whitelisted: false,
    }
}

/// A node as callers name it, `ip` or `ip:port`: -701 for anything but a numeric address.
fn node_address(ctx: &Context, text: &str) -> Result<SocketAddr, RpcError> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    let host = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let refused = |_| {
        let error = RpcError::not_allowed(format!("A numeric IP address is needed, not {}", short(text)));
        error.rule("node-address").got(text).allowed("ip or ip:port")
    };
    Ok(SocketAddr::new(host.map_err(refused)?, ctx.parameters.default_network_port()))
}

/// What a caller is told when a node is not added, removed, dialled or stored.
fn network_error(error: NetworkError) -> RpcError {
    let sentence = error.to_string();
    match error {
        NetworkError::Listed => RpcError::new(Code::NodeAlreadyAdded, sentence),
        NetworkError::NotListed => RpcError::new(Code::NodeNotAdded, sentence),
        NetworkError::TooMany => RpcError::not_allowed(sentence).rule("node-count").allowed(MAX_ADDED),
        NetworkError::NoRoom => RpcError::not_allowed(sentence).rule("node-offline"),
        NetworkError::Book(_) => RpcError::not_allowed(sentence).rule("node-book"),
    }
}

fn addnode(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let node = node_address(&ctx, params.text(0)?)?.to_string();
        let done = match params.text(1)? {
            "add" => ctx.network.add_node(&node).await,
            "remove" => ctx.network.remove_node(&node).await,
            "onetry" => ctx.network.dial(&node).await,
            other => {
                let sentence = format!("command should be add, remove or onetry, not {}", short(other));
                let error = RpcError::new(Code::Misc, sentence).rule(ParameterRule::Word.name());
                return Err(error.got(other).allowed(["add", "remove", "onetry"]));
            }
        };
        done.map(|()| Value::Null).map_err(network_error)
    })
}

fn storenode(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let node = node_address(&ctx, params.text(0)?)?;
        let ignore = match params.text_or(1, "tryconnect")? {
            "tryconnect" => false,
            "ignore" => true,
            other => {
                let sentence = format!("command should be tryconnect or ignore, not {}", short(other));
                let error = RpcError::new(Code::Misc, sentence).rule(ParameterRule::Word.name());
                return Err(error.got(other).allowed(["tryconnect", "ignore"]));
            }
        };
        ctx.network.store_node(node, ignore).await.map_err(network_error)?;
        Ok(Value::Null)
    })
}

fn liststorednodes(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let with_old = params.boolean_or(0, false)?;
        let nodes = ctx.network.stored_nodes(with_old).await;
        let shown = nodes.iter().map(|node| {
            let handshakes = node.handshakes.iter().map(|(address, time)| StoredHandshake {
                address: ctx.scheme.encode_key_hash(address),
                lastsuccess: number(*time),
            });
            shape(&StoredNode {
                addr: node.address.clone(),
                handshakes: handshakes.collect(),
                lastfailure: node.last_failure.map(number),
                failcount: i64::from(node.failures),
                source: node.source.to_owned(),
                status: node.status.to_owned(),
            })
        });
        shown.collect()
    })
}

fn getaddednodeinfo(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let with_state = params.boolean(0)?;
        let mut nodes = ctx.network.added_nodes().await;
        if params.has(1) {
            let wanted = node_address(&ctx, params.text(1)?)?.to_string();
            nodes.retain(|node| node.target == wanted);
            if nodes.is_empty() {
                return Err(RpcError::new(Code::NodeNotAdded, format!("Node {wanted} was not added")).got(wanted));
            }
        }
        let shown = nodes.iter().map(|node| {
            let direction = match node.inbound {
                Some(true) => "inbound",
                Some(false) => "outbound",
                None => "false",
            };
            let address = AddedNodeAddress { address: node.target.clone(), connected: direction.to_owned() };
            shape(&ShownNode {
                addednode: node.node.clone(),
                connected: with_state.then_some(node.inbound.is_some()),
                addresses: with_state.then(|| vec![address]),
            })
        });
        shown.collect()
    })
}

fn ping(ctx: Arc<Context>, _params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        ctx.network.ping().await;
        Ok(Value::Null)
    })
}

/// Fills a shape of figures member by member.
macro_rules! figures {
    ($shape:ident, $from:expr, $($member:ident),*) => {
        $shape { $($member: number($from.$member)),* }
    };
}

fn getchunkqueueinfo(ctx: &Context, _params: &Params) -> Answer {
    let queue = ctx.offchain.figures().queue();
    shape(&ChunkQueue {
        chunks: figures!(ChunkQueueCount, queue.chunks, waiting, querying, retrieving),
        bytes: figures!(ChunkQueueCount, queue.bytes, waiting, querying, retrieving),
    })
}

fn getchunkqueuetotals(ctx: &Context, _params: &Params) -> Answer {
    macro_rules! totals {
        ($from:expr) => {
            figures!(
                ChunkTotalCount,
                $from,
                queries,
                responded,
                unresponded,
                requests,
                delivered,
                undelivered,
                baddelivered
            )
        };
    }
    let totals = ctx.offchain.figures().totals();
    shape(&ChunkTotals { chunks: totals!(totals.chunks), bytes: totals!(totals.bytes) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_differs_by_a_minute_is_warned_of_either_way() {
        assert_eq!(clock_warning(59), None);
        assert_eq!(clock_warning(-59), None);
        assert!(clock_warning(60).is_some_and(|text| text.contains("60 s ahead of")));
        assert!(clock_warning(-61).is_some_and(|text| text.contains("61 s behind")));
    }
}
