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
use tokio::time::{Instant, Sleep};

/// Bytes a second that a reader has to take in the long run: below any line that a node is called over.
const SLOWEST_READER: f64 = 8.0 * 1024.0;

/// Bytes after which a transfer counts as one that goes on.
const STEP: usize = 64 * 1024;

/// A stream whose writes fail when the client lets them wait for longer than a patience, which grows again with what it
/// takes. Reads have their own limits.
pub(super) struct PatientStream<S> {
    stream: S,
    patience: Duration,
    /// What is left of it.
    left: Duration,
    stalled: Option<(Instant, Pin<Box<Sleep>>)>,
    place: Arc<Place>,
    moved: usize,
}

impl<S> PatientStream<S> {
    pub(super) fn new(stream: S, patience: Duration, place: Arc<Place>) -> Self {
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

impl<S: AsyncRead + Unpin> AsyncRead for PatientStream<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut this.stream).poll_read(context, buffer);
        this.count(buffer.filled().len().saturating_sub(before));
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PatientStream<S> {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::PatientStream;
    use crate::rpc::http::door::Door;
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Writes this many bytes to a reader who takes `step` of them every 50 ms; whether all went through. The patience is
    /// 400 ms.
    async fn goes_through(bytes: usize, step: usize) -> bool {
        let place = Arc::new(Door::new(1)).enter([127, 0, 0, 1].into(), false).unwrap();
        let (near, mut far) = tokio::io::duplex(16);
        let mut stream = PatientStream::new(near, Duration::from_millis(400), place);
        let reading = tokio::spawn(async move {
            let mut taken = vec![0; step];
            while far.read_exact(&mut taken).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let written = stream.write_all(&vec![b'x'; bytes]).await;
        drop(stream);
        reading.await.unwrap();
        written.is_ok()
    }

    #[tokio::test]
    async fn who_takes_a_byte_now_and_then_is_given_up_though_each_comes_in_time() {
        assert!(!goes_through(100, 1).await);
    }

    #[tokio::test]
    async fn who_takes_more_than_the_least_is_waited_for_as_long_as_it_lasts() {
        assert!(goes_through(30 * 2048, 2048).await);
    }
}
