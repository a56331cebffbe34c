//! TCP, Noise, Yamux, and the two ways of writing a place on the network.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use libp2p::core::muxing::{StreamMuxer, StreamMuxerBox, StreamMuxerEvent};
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId, Transport, noise, tcp, yamux};
use tokio::time::Sleep;

use crate::identity::PeerKey;
use crate::limit::{CLOSING_TIME, HANDSHAKE_TIME, STREAMS_PER_CONNECTION};
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
        .boxed()
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(Ending { muxer, deadline: None })))
        .boxed())
}

/// A connection whose end takes no longer than [`CLOSING_TIME`]: who does not read what is still to be sent must not keep
/// it open.
struct Ending<M> {
    muxer: M,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<M: StreamMuxer + Unpin> StreamMuxer for Ending<M> {
    type Substream = M::Substream;
    type Error = M::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<M::Substream, M::Error>> {
        Pin::new(&mut self.muxer).poll_inbound(cx)
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<M::Substream, M::Error>> {
        Pin::new(&mut self.muxer).poll_outbound(cx)
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, M::Error>> {
        Pin::new(&mut self.muxer).poll(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        if let Poll::Ready(closed) = Pin::new(&mut self.muxer).poll_close(cx) {
            return Poll::Ready(closed);
        }
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(CLOSING_TIME)));
        deadline.as_mut().poll(cx).map(Ok)
    }
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

    /// A connection whose other side takes nothing any more.
    struct Stuck;

    impl StreamMuxer for Stuck {
        type Substream = futures::io::Cursor<Vec<u8>>;
        type Error = io::Error;

        fn poll_inbound(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<Self::Substream>> {
            Poll::Pending
        }

        fn poll_outbound(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<Self::Substream>> {
            Poll::Pending
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn a_connection_whose_other_side_reads_nothing_ends_all_the_same() {
        let mut ending = Ending { muxer: Stuck, deadline: None };
        let closed = std::future::poll_fn(|cx| Pin::new(&mut ending).poll_close(cx));
        let begun = std::time::Instant::now();
        tokio::time::timeout(CLOSING_TIME * 5, closed).await.unwrap().unwrap();
        assert!(begun.elapsed() >= CLOSING_TIME);
    }

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
