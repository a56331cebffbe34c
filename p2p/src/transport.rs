//! TCP, Noise, Yamux, and the two ways of writing a place on the network.

use std::io;
use std::net::{IpAddr, SocketAddr};

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId, Transport, noise, tcp, yamux};

use crate::identity::PeerKey;
use crate::limit::{HANDSHAKE_TIME, STREAMS_PER_CONNECTION};
use crate::traffic::Traffic;

/// The transport of a node with this identity.
pub(crate) fn transport(key: &PeerKey, traffic: &Traffic) -> io::Result<Boxed<(PeerId, StreamMuxerBox)>> {
    let traffic = traffic.clone();
    let noise = noise::Config::new(key.keypair()).map_err(io::Error::other)?;
    let mut yamux = yamux::Config::default();
    yamux.set_max_num_streams(STREAMS_PER_CONNECTION);
    Ok(tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .map(move |socket, point| {
            let local = socket.0.local_addr().ok().map(canonical);
            traffic.count(socket, point.get_remote_address().clone(), local)
        })
        .upgrade(Version::V1)
        .authenticate(noise)
        .multiplex(yamux)
        .timeout(HANDSHAKE_TIME)
        .boxed())
}

/// A place as libp2p writes it.
pub(crate) fn multiaddr_of(place: SocketAddr) -> Multiaddr {
    Multiaddr::from(place.ip()).with(Protocol::Tcp(place.port()))
}

/// A place with a mapped IPv4 address as IPv4.
fn canonical(place: SocketAddr) -> SocketAddr {
    SocketAddr::new(place.ip().to_canonical(), place.port())
}

/// The place in an address of libp2p's; mapped IPv4 as IPv4.
pub(crate) fn place_of(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => IpAddr::V4(ip),
        Protocol::Ip6(ip) => IpAddr::V6(ip).to_canonical(),
        _ => return None,
    };
    match parts.next()? {
        Protocol::Tcp(port) => Some(SocketAddr::new(ip, port)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]
    use super::*;

    #[test]
    fn places_round_trip() {
        for text in ["127.0.0.1:2917", "[2001:db8::1]:80"] {
            let place: SocketAddr = text.parse().unwrap();
            assert_eq!(place_of(&multiaddr_of(place)), Some(place));
        }
        let mapped: SocketAddr = "[::ffff:1.2.3.4]:5".parse().unwrap();
        assert_eq!(place_of(&multiaddr_of(mapped)).unwrap().to_string(), "1.2.3.4:5");
    }
}
