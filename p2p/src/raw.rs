//! A connection without manners: it proves an identity, then opens any protocol and writes any bytes. What plays a peer
//! that means no good is made of it; a node never uses it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerBox, StreamMuxerExt, SubstreamBox};
use libp2p::core::upgrade::OutboundConnectionUpgrade;
use libp2p::{noise, tcp, yamux};
use rota_chain::codec::decode;
use rota_chain::hash::ParamsHash;
use rota_chain::lock::KeyHash;
use tokio::net::TcpSocket;
use tokio::sync::{mpsc, oneshot, watch};

use crate::hello::{GreetingAnswer, Hello, RefusalCause};
use crate::identity::{PeerKey, address_of};
use crate::limit::HELLO_FRAME;
use crate::message::Protocol;
use crate::wire;

/// The word with which both sides of a negotiation begin.
const MULTISTREAM: &str = "/multistream/1.0.0";
/// Longest name of a protocol that is read.
const MAX_PROTOCOL: u64 = 1 << 10;
/// Streams that may wait to be opened.
const OPENING: usize = 64;
/// Time for connecting and for each negotiation.
const PATIENCE: Duration = Duration::from_secs(20);

/// A protocol that a node speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Parameters for joiners.
    Join,
    /// Hellos and pings.
    Hello,
    /// Requests.
    Exchange(Protocol),
    /// Announcements.
    Gossip,
    /// libp2p's ping.
    Ping,
}

impl Door {
    /// Every protocol.
    pub const ALL: [Door; 7] = [
        Door::Join,
        Door::Hello,
        Door::Exchange(Protocol::Sync),
        Door::Exchange(Protocol::Pool),
        Door::Exchange(Protocol::Chunk),
        Door::Gossip,
        Door::Ping,
    ];

    /// Its name on the chain with these parameters.
    #[must_use]
    pub fn name(self, params_hash: &ParamsHash) -> String {
        match self {
            Door::Join => "/rota/join/1".to_owned(),
            Door::Hello => "/rota/hello/1".to_owned(),
            Door::Exchange(protocol) => format!("/rota/{params_hash}/{}/1", protocol.word()),
            Door::Gossip => format!("/rota/{params_hash}/gossip/1"),
            Door::Ping => "/ipfs/ping/1.0.0".to_owned(),
        }
    }
}

/// What a node answered to a hello.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Greeted {
    /// It takes the peer.
    Welcome(Hello),
    /// It does not.
    Refused(RefusalCause, String),
}

/// A stream on which anything can be said.
pub type RawStream = SubstreamBox;

type Opened = oneshot::Sender<io::Result<SubstreamBox>>;

/// An open connection.
pub struct RawPeer {
    opening: mpsc::Sender<Opened>,
    gone: watch::Receiver<bool>,
    address: Option<KeyHash>,
    local: SocketAddr,
}

impl RawPeer {
    /// Connects from a place of this machine (port 0 for any) to a node, proving an identity.
    ///
    /// # Errors
    /// What the system, or the encryption, said; `TimedOut` after 20 s.
    pub async fn connect(from: SocketAddr, to: SocketAddr, key: &PeerKey) -> io::Result<RawPeer> {
        within(RawPeer::try_connect(from, to, key)).await
    }

    async fn try_connect(from: SocketAddr, to: SocketAddr, key: &PeerKey) -> io::Result<RawPeer> {
        let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(from)?;
        let socket = socket.connect(to).await?;
        socket.set_nodelay(true)?;
        let local = socket.local_addr()?;
        let mut socket = tcp::tokio::TcpStream(socket);
        negotiate(&mut socket, "/noise").await?;
        let noise = noise::Config::new(key.keypair()).map_err(io::Error::other)?;
        let (peer, mut channel) = noise.upgrade_outbound(socket, "/noise").await.map_err(io::Error::other)?;
        negotiate(&mut channel, "/yamux/1.0.0").await?;
        let muxer = yamux::Config::default().upgrade_outbound(channel, "/yamux/1.0.0").await?;
        let (opening, requests) = mpsc::channel(OPENING);
        let (ended, gone) = watch::channel(false);
        tokio::spawn(drive(StreamMuxerBox::new(muxer), requests, ended));
        Ok(RawPeer { opening, gone, address: address_of(&peer), local })
    }

    /// The address the node proved.
    #[must_use]
    pub fn address(&self) -> Option<KeyHash> {
        self.address
    }

    /// This end of the connection.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Opens a stream without agreeing on a protocol.
    ///
    /// # Errors
    /// `NotConnected` once the connection has ended.
    pub async fn stream(&self) -> io::Result<RawStream> {
        let (sender, receiver) = oneshot::channel();
        let ended = || io::Error::from(io::ErrorKind::NotConnected);
        self.opening.send(sender).await.map_err(|_| ended())?;
        receiver.await.map_err(|_| ended())?
    }

    /// Opens a stream and agrees on a protocol.
    ///
    /// # Errors
    /// `Unsupported` if the node does not speak it on this connection; `NotConnected` once that has ended.
    pub async fn open(&self, protocol: &str) -> io::Result<RawStream> {
        within(async {
            let mut stream = self.stream().await?;
            negotiate(&mut stream, protocol).await?;
            Ok(stream)
        })
        .await
    }

    /// Says hello and hears the answer.
    ///
    /// # Errors
    /// As [`RawPeer::open`]; `InvalidData` for what is no answer to a hello.
    pub async fn greet(&self, params_hash: &ParamsHash, hello: &Hello) -> io::Result<Greeted> {
        let mut stream = self.open(&Door::Hello.name(params_hash)).await?;
        stream.write_all(&wire::hello(hello)).await?;
        stream.flush().await?;
        let bytes = within(answer(&mut stream, HELLO_FRAME)).await?;
        let unfit = || io::Error::from(io::ErrorKind::InvalidData);
        match decode::<GreetingAnswer>(&bytes).map_err(|_| unfit())? {
            GreetingAnswer::Welcome(hello) => Ok(Greeted::Welcome(hello)),
            GreetingAnswer::Refused { cause, reason } => Ok(Greeted::Refused(cause, reason)),
            GreetingAnswer::Pong => Err(unfit()),
        }
    }

    /// Whether the connection is open, as far as is known.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !*self.gone.borrow()
    }

    /// Returns when the connection has ended.
    pub async fn closed(&self) {
        let mut gone = self.gone.clone();
        // The task that would tell has ended too.
        let _ = gone.wait_for(|gone| *gone).await;
    }
}

/// Reads the frame of an answer.
///
/// # Errors
/// `InvalidData` for a frame longer than `limit`, and what the stream said.
pub async fn answer(stream: &mut RawStream, limit: u32) -> io::Result<Vec<u8>> {
    crate::codec::read_frame(stream, limit).await?.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

async fn within<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Agrees on a protocol, as the side that asks.
async fn negotiate<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, protocol: &str) -> io::Result<()> {
    let words = [said(MULTISTREAM), said(protocol)].concat();
    stream.write_all(&words).await?;
    stream.flush().await?;
    for expected in [MULTISTREAM, protocol] {
        if heard(stream).await? != expected {
            return Err(io::Error::new(io::ErrorKind::Unsupported, format!("{protocol} is not spoken")));
        }
    }
    Ok(())
}

/// A word of a negotiation as bytes: its length, the word, a line feed.
fn said(word: &str) -> Vec<u8> {
    let mut bytes = variable(word.len() as u64 + 1);
    bytes.extend_from_slice(word.as_bytes());
    bytes.push(b'\n');
    bytes
}

/// A number as libp2p writes lengths: seven bits a byte, the lowest first.
#[must_use]
pub fn variable(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push((number & 0x7f) as u8);
    bytes
}

async fn heard<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<String> {
    let (mut length, mut shift) = (0u64, 0);
    loop {
        let mut byte = [0];
        stream.read_exact(&mut byte).await?;
        length |= u64::from(byte[0] & 0x7f) << shift;
        shift += 7;
        if byte[0] < 0x80 {
            break;
        }
        if shift > 21 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    let mut word = Vec::new();
    stream.take(length.min(MAX_PROTOCOL)).read_to_end(&mut word).await?;
    let word = String::from_utf8(word).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    Ok(word.trim_end_matches('\n').to_owned())
}

/// What happens on a connection next.
enum Next {
    Inbound(SubstreamBox),
    Opened(Opened, io::Result<SubstreamBox>),
    Asked(Option<Opened>),
    Ended,
}

/// Keeps a connection going until it ends: opens what is asked for, takes and drains what the node opens.
async fn drive(mut muxer: StreamMuxerBox, mut requests: mpsc::Receiver<Opened>, ended: watch::Sender<bool>) {
    let mut waiting: Option<Opened> = None;
    loop {
        let next = std::future::poll_fn(|cx| {
            if let Poll::Ready(Err(_)) = muxer.poll_unpin(cx) {
                return Poll::Ready(Next::Ended);
            }
            match muxer.poll_inbound_unpin(cx) {
                Poll::Ready(Ok(stream)) => return Poll::Ready(Next::Inbound(stream)),
                Poll::Ready(Err(_)) => return Poll::Ready(Next::Ended),
                Poll::Pending => {}
            }
            if let Some(sender) = waiting.take() {
                match Pin::new(&mut muxer).poll_outbound(cx) {
                    Poll::Ready(opened) => return Poll::Ready(Next::Opened(sender, opened)),
                    Poll::Pending => waiting = Some(sender),
                }
                return Poll::Pending;
            }
            requests.poll_recv(cx).map(Next::Asked)
        })
        .await;
        match next {
            Next::Inbound(stream) => drop(tokio::spawn(drain(stream))),
            // Whoever asked may have stopped waiting.
            Next::Opened(sender, opened) => drop(sender.send(opened)),
            Next::Asked(Some(sender)) => waiting = Some(sender),
            Next::Asked(None) | Next::Ended => break,
        }
    }
    let _ = ended.send(true);
}

/// Takes any protocol that the node opens, answers pings, and reads the rest away.
async fn drain(mut stream: SubstreamBox) -> io::Result<()> {
    heard(&mut stream).await?;
    let protocol = heard(&mut stream).await?;
    stream.write_all(&[said(MULTISTREAM), said(&protocol)].concat()).await?;
    stream.flush().await?;
    let mut buffer = vec![0; 4_096];
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        if protocol.starts_with("/ipfs/ping") {
            stream.write_all(&buffer[..length]).await?;
            stream.flush().await?;
        }
    }
}
