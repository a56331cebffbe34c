//! A socket that gives up on a reader who takes nothing, or next to nothing, for too long: replies can be large, and
//! memory is not.

use super::door::Place;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// Bytes a second that a reader has to take in the long run: below any line that a node is called over.
const SLOWEST_READER: f64 = 8.0 * 1024.0;

/// Bytes after which a transfer counts as one that goes on.
const STEP: usize = 64 * 1024;

/// A TCP stream whose writes fail when the client lets them wait for longer than a patience, which grows again with what it
/// takes. Reads have their own limits.
pub(super) struct PatientStream {
    stream: TcpStream,
    patience: Duration,
    /// What is left of it.
    left: Duration,
    stalled: Option<(Instant, Pin<Box<Sleep>>)>,
    place: Arc<Place>,
    moved: usize,
}

impl PatientStream {
    pub(super) fn new(stream: TcpStream, patience: Duration, place: Arc<Place>) -> Self {
        // Without this, a small reply may wait for the client to acknowledge the one before.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "small replies may be delayed");
        }
        Self { stream, patience, left: patience, stalled: None, place, moved: 0 }
    }

    /// Passes progress on; without any, waits no longer than the patience lasts.
    fn judge<T>(&mut self, context: &mut Context<'_>, progress: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if progress.is_ready() {
            if let Some((since, _)) = self.stalled.take() {
                self.left = self.left.saturating_sub(since.elapsed());
            }
            return progress;
        }
        let left = self.left;
        let (_, sleep) = self.stalled.get_or_insert_with(|| {
            let now = Instant::now();
            (now, Box::pin(tokio::time::sleep_until(now + left)))
        });
        ready!(sleep.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read its reply")))
    }

    /// What was taken earns patience back.
    fn judge_written(
        &mut self,
        context: &mut Context<'_>,
        progress: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let progress = self.judge(context, progress);
        if let Poll::Ready(Ok(count)) = &progress {
            let earned = Duration::from_secs_f64(*count as f64 / SLOWEST_READER);
            self.left = self.left.saturating_add(earned).min(self.patience);
            self.count(*count);
        }
        progress
    }

    fn count(&mut self, bytes: usize) {
        self.moved += bytes;
        if self.moved >= STEP {
            self.moved = 0;
            self.place.moves();
        }
    }
}

impl AsyncRead for PatientStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut this.stream).poll_read(context, buffer);
        this.count(buffer.filled().len().saturating_sub(before));
        outcome
    }
}

impl AsyncWrite for PatientStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let progress = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.judge_written(context, progress)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let progress = Pin::new(&mut this.stream).poll_flush(context);
        this.judge(context, progress)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let progress = Pin::new(&mut this.stream).poll_shutdown(context);
        this.judge(context, progress)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let progress = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.judge_written(context, progress)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
