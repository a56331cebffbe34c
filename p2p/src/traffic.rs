//! Bytes and times of each connection, counted on the socket, below encryption.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use futures::{AsyncRead, AsyncWrite};
use libp2p::Multiaddr;

use crate::limit::SMALL_WRITE;

/// Seconds since 1970 by this machine's clock.
pub(crate) fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

/// What went over one connection, or over all.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    sent: AtomicU64,
    received: AtomicU64,
    last_send: AtomicU64,
    last_receive: AtomicU64,
    small: AtomicU64,
    local: Option<SocketAddr>,
}

impl Counters {
    /// Our end of the connection, if the system tells it.
    pub fn local(&self) -> Option<SocketAddr> {
        self.local
    }

    fn on_sent(&self, bytes: usize, now: u64) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
        self.last_send.store(now, Ordering::Relaxed);
        if bytes < SMALL_WRITE {
            self.small.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Small pieces sent: pongs, refusals, empty answers.
    pub fn small_writes(&self) -> u64 {
        self.small.load(Ordering::Relaxed)
    }

    fn on_received(&self, bytes: usize, now: u64) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
        self.last_receive.store(now, Ordering::Relaxed);
    }

    /// Bytes sent and received.
    pub fn bytes(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.received.load(Ordering::Relaxed))
    }

    /// Unix times of the last byte sent and received, 0 for none.
    pub fn times(&self) -> (u64, u64) {
        (self.last_send.load(Ordering::Relaxed), self.last_receive.load(Ordering::Relaxed))
    }
}

/// The counters of all connections, by the remote address of each.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traffic {
    total: Arc<Counters>,
    open: Arc<Mutex<HashMap<Multiaddr, Arc<Counters>>>>,
}

impl Traffic {
    /// Counts what goes over `socket`, whose own end is `local`, from now on.
    pub fn count<S>(&self, socket: S, remote: Multiaddr, local: Option<SocketAddr>) -> Counted<S> {
        let own = Arc::new(Counters { local, ..Counters::default() });
        self.lock().insert(remote.clone(), own.clone());
        Counted { socket, own, remote, traffic: self.clone() }
    }

    /// The counters of the newest connection with this remote address.
    pub fn of(&self, remote: &Multiaddr) -> Arc<Counters> {
        self.lock().get(remote).cloned().unwrap_or_default()
    }

    /// The counters of everything.
    pub fn total(&self) -> &Counters {
        &self.total
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Multiaddr, Arc<Counters>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A socket whose bytes are counted.
pub(crate) struct Counted<S> {
    socket: S,
    own: Arc<Counters>,
    remote: Multiaddr,
    traffic: Traffic,
}

impl<S> Drop for Counted<S> {
    fn drop(&mut self) {
        let mut open = self.traffic.lock();
        if open.get(&self.remote).is_some_and(|counters| Arc::ptr_eq(counters, &self.own)) {
            open.remove(&self.remote);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.socket).poll_read(cx, buffer);
        if let Poll::Ready(Ok(bytes)) = polled {
            let now = unix_time();
            self.own.on_received(bytes, now);
            self.traffic.total.on_received(bytes, now);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.socket).poll_write(cx, bytes);
        if let Poll::Ready(Ok(bytes)) = polled {
            let now = unix_time();
            self.own.on_sent(bytes, now);
            self.traffic.total.on_sent(bytes, now);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]
    use futures::io::Cursor;
    use futures::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn bytes_are_counted_for_the_connection_and_in_total() {
        let traffic = Traffic::default();
        let remote: Multiaddr = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
        let local: SocketAddr = "127.0.0.1:2".parse().unwrap();
        let mut socket = traffic.count(Cursor::new(vec![1; 5]), remote.clone(), Some(local));
        let mut buffer = [0; 3];
        socket.read_exact(&mut buffer).await.unwrap();
        socket.write_all(&[1, 2]).await.unwrap();
        assert_eq!(traffic.of(&remote).bytes(), (2, 3));
        assert_eq!(traffic.of(&remote).local(), Some(local));
        assert_eq!(traffic.total().bytes(), (2, 3));
        drop(socket);
        assert_eq!(traffic.of(&remote).bytes(), (0, 0));
        assert_eq!(traffic.total().bytes(), (2, 3));
    }
}
