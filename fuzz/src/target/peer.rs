//! What peers send: every frame of every protocol with its length in front, and announcements.

use rota_p2p::wire::{Unread, Wire};
use rota_p2p::{Kind as AnswerKind, Protocol};

use super::{Kind, Target, read, refused};

macro_rules! wires {
    ($($name:literal => $wire:expr;)*) => {
        &[$(Target::new($name, |bytes| reread($wire, bytes))),*]
    };
}

pub(super) const TARGETS: &[Target] = wires! {
    "join-request" => Wire::JoinRequest;
    "join-answer" => Wire::JoinAnswer;
    "hello" => Wire::Greeting;
    "hello-answer" => Wire::GreetingAnswer;
    "request-sync" => Wire::Request(Protocol::Sync);
    "request-pool" => Wire::Request(Protocol::Pool);
    "request-chunk" => Wire::Request(Protocol::Chunk);
    "answer-headers" => Wire::Response(AnswerKind::Headers);
    "answer-blocks" => Wire::Response(AnswerKind::Blocks);
    "answer-transactions" => Wire::Response(AnswerKind::Transactions);
    "answer-inventory" => Wire::Response(AnswerKind::PoolInventory);
    "answer-chunks" => Wire::Response(AnswerKind::Chunks);
    "answer-block-transactions" => Wire::Response(AnswerKind::BlockTransactions);
    "answer-addresses" => Wire::Response(AnswerKind::Addresses);
    "announced-transactions" => Wire::Transactions;
    "announced-block" => Wire::Block;
};

/// What is read is written again as the bytes that came; a stream may go on after the frame.
fn reread(wire: Wire, bytes: &[u8]) -> Kind {
    match wire.reread(bytes) {
        Ok(again) => {
            assert!(bytes.starts_with(&again), "a frame is written otherwise than it was read");
            read(again.len())
        }
        Err(Unread::Malformed(malformed)) => refused(&malformed.to_string(), bytes.len().min(1 << 10) / 16),
        Err(Unread::Stream(error)) => refused(&error.to_string(), 0),
    }
}
