//! Replies on their way out: how much memory they take together until their callers have read them. What stands in them is
//! written in `envelope` and `message`.

use hyper::body::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Replies below this size are not counted: with all WebSockets in use, and all that may wait waiting, they take 600 MiB. It
/// is also the unit in which room is counted.
pub(super) const SMALL_REPLY: usize = 64 * 1024;

/// What is answered instead of a reply for which there is no room.
pub(super) const NO_ROOM: &str =
    "Too many large replies wait to be read: the call was carried out, its reply is dropped";

/// The memory for larger replies.
#[derive(Debug)]
pub(super) struct Replies {
    /// For replies that are being sent.
    room: Arc<Semaphore>,
    /// For replies that wait for room: they are in memory as well, and so have a bound as well.
    waiting: Semaphore,
    pieces: u32,
    patience: Duration,
}

impl Replies {
    /// Room for so many bytes, for which a reply waits so long.
    pub(super) fn new(bytes: usize, patience: Duration) -> Self {
        let pieces = pieces(bytes);
        let semaphore = || Semaphore::new(pieces as usize);
        Self { room: Arc::new(semaphore()), waiting: semaphore(), pieces, patience }
    }

    /// A reply as bytes that keep their room until the last of them is dropped: written, or left by their connection. None
    /// if there is no room in time. A reply alone always finds room.
    pub(super) async fn hold(&self, text: String) -> Option<Bytes> {
        if text.len() < SMALL_REPLY {
            return Some(Bytes::from(text));
        }
        let pieces = pieces(text.len()).min(self.pieces);
        let _waits = self.waiting.try_acquire_many(pieces).ok()?;
        let room = Arc::clone(&self.room).acquire_many_owned(pieces);
        let room = tokio::time::timeout(self.patience, room).await.ok()?.ok()?;
        Some(Bytes::from_owner(Held { text, _room: room }))
    }
}

/// A reply with its room.
struct Held {
    text: String,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

/// Units of room that so many bytes take, rounded up.
fn pieces(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(SMALL_REPLY)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::{Replies, SMALL_REPLY};
    use std::time::Duration;

    /// Far longer than any test takes.
    const LONG: Duration = Duration::from_secs(60);

    fn text(pieces: usize) -> String {
        "x".repeat(pieces * SMALL_REPLY)
    }

    #[tokio::test]
    async fn replies_that_nobody_reads_do_not_pile_up() {
        let replies = Replies::new(4 * SMALL_REPLY, Duration::from_millis(20));
        let unread = replies.hold(text(3)).await.unwrap();
        assert!(replies.hold(text(2)).await.is_none());
        assert!(replies.hold("x".repeat(SMALL_REPLY - 1)).await.is_some(), "small ones take no room");
        let rest = unread.slice(5..);
        drop(unread);
        assert!(replies.hold(text(2)).await.is_none(), "a part is still unread");
        drop(rest);
        assert!(replies.hold(text(9)).await.is_some(), "one alone finds room, however large it is");
    }

    #[tokio::test]
    async fn a_reply_waits_for_another_one_to_be_read() {
        let replies = Replies::new(4 * SMALL_REPLY, LONG);
        let unread = replies.hold(text(4)).await.unwrap();
        let read = async {
            tokio::task::yield_now().await;
            drop(unread);
        };
        let (held, ()) = tokio::join!(replies.hold(text(2)), read);
        assert_eq!(held.unwrap().len(), 2 * SMALL_REPLY);
    }

    #[tokio::test]
    async fn replies_that_wait_for_room_do_not_pile_up_either() {
        let replies = Replies::new(4 * SMALL_REPLY, LONG);
        let unread = replies.hold(text(4)).await.unwrap();
        let third = async {
            tokio::task::yield_now().await;
            assert!(replies.hold(text(1)).await.is_none());
            drop(unread);
        };
        let (held, ()) = tokio::join!(replies.hold(text(4)), third);
        assert!(held.is_some());
    }
}
