//! Gossipsub messages by hand: what a node's own library would never send.

use rota_p2p::raw::variable;

/// Field numbers and wire type of a message within a message.
const LENGTH_DELIMITED: u64 = 2;

fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
    [variable(number << 3 | LENGTH_DELIMITED), variable(bytes.len() as u64), bytes.to_vec()].concat()
}

fn number(field: u64, value: u64) -> Vec<u8> {
    [variable(field << 3), variable(value)].concat()
}

/// A frame: the length, then the message.
fn framed(message: Vec<u8>) -> Vec<u8> {
    [variable(message.len() as u64), message].concat()
}

/// Subscribes to topics.
pub fn subscriptions(topics: impl Iterator<Item = String>) -> Vec<u8> {
    framed(topics.flat_map(|topic| field(1, &[number(1, 1), field(2, topic.as_bytes())].concat())).collect())
}

/// Announces data on a topic.
pub fn published(topic: &str, data: &[u8]) -> Vec<u8> {
    framed(field(2, &[field(2, data), field(4, topic.as_bytes())].concat()))
}

/// Asks to be taken into the meshes of topics.
pub fn grafts(topics: impl Iterator<Item = String>) -> Vec<u8> {
    framed(field(3, &topics.flat_map(|topic| field(3, &field(1, topic.as_bytes()))).collect::<Vec<u8>>()))
}

/// Leaves the meshes of topics and forbids to come back for so many seconds.
pub fn prunes(topics: impl Iterator<Item = String>, seconds: u64) -> Vec<u8> {
    let prune = |topic: String| field(4, &[field(1, topic.as_bytes()), number(3, seconds)].concat());
    framed(field(3, &topics.flat_map(prune).collect::<Vec<u8>>()))
}

/// Claims to have messages of a topic.
pub fn haves(topic: &str, ids: impl Iterator<Item = [u8; 32]>) -> Vec<u8> {
    let ids: Vec<u8> = ids.flat_map(|id| field(2, &id)).collect();
    framed(field(3, &field(1, &[field(1, topic.as_bytes()), ids].concat())))
}
