//! Where a subscription begins: the last block that the caller has handled.

use rota_api::error::{Code, ParameterRule, RpcError};
use rota_chain::amount::Height;
use rota_chain::hash::BlockHash;
use rota_storage::Snapshot;
use serde_json::{Map, Value};

use crate::follower::Point;
use crate::rpc::blockchain::hash_at;
use crate::rpc::resolve::{short, storage_error};

/// Stands for no block.
const NOTHING: i64 = -1;

/// Reads `from`. None if nothing was handled, so that genesis comes first; left out it is the tip.
///
/// # Errors
/// -8 for a malformed one, -711 for a height above the tip and for a block that is not known here.
pub(super) fn read(snapshot: &Snapshot, from: Option<&Value>) -> Result<Option<Point>, RpcError> {
    match from {
        None => Ok(snapshot.tip().map(|tip| Point { height: tip.height, hash: tip.hash })),
        Some(Value::Object(members)) => named(snapshot, members).map(Some),
        Some(value) => match value.as_i64() {
            Some(NOTHING) => Ok(None),
            Some(height) if height >= 0 => {
                let hash = hash_at(snapshot, height)?;
                Point::known(snapshot, hash).map_err(storage_error)
            }
            _ => {
                let sentence = r#"from must be the height of a block, -1 for none, or an object such as {"height":5,"hash":"..."}"#;
                Err(RpcError::not_whole(value, "-1 or more", sentence))
            }
        },
    }
}

fn named(snapshot: &Snapshot, members: &Map<String, Value>) -> Result<Point, RpcError> {
    let malformed = || {
        let sentence = "from must have a height and the hash of the block at it, and nothing else";
        RpcError::parameter(ParameterRule::Form, sentence).allowed(["height", "hash"].as_slice())
    };
    let height = members.get("height").and_then(Value::as_u64).and_then(|height| u32::try_from(height).ok());
    let text = members.get("hash").and_then(Value::as_str);
    let (Some(height), Some(text), 2) = (height, text, members.len()) else { return Err(malformed()) };
    let hash: BlockHash = text.parse().map_err(|_| not_a_hash(text))?;
    let unknown = || {
        let sentence =
            format!("Block {hash} is not known to this node: begin with a height, or with -1 for everything");
        RpcError::new(Code::BlockNotFound, sentence).got(text)
    };
    let point = Point::known(snapshot, hash).map_err(storage_error)?.ok_or_else(unknown)?;
    if point.height != Height(height) {
        let sentence = format!("Block {hash} has height {}, not {height}", point.height);
        return Err(RpcError::parameter(ParameterRule::Range, sentence).got(height).allowed(point.height.0));
    }
    Ok(point)
}

fn not_a_hash(text: &str) -> RpcError {
    let sentence = format!("hash must be hexadecimal string (not '{}')", short(text));
    RpcError::parameter(ParameterRule::Form, sentence).got(text).allowed("64 hexadecimal digits")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::{Value, json};

    use super::*;
    use crate::ledger::tests::world::{Chain, FIRST};

    #[test]
    fn a_beginning_is_a_height_a_block_nothing_or_the_tip_and_anything_else_is_refused() {
        let chain = Chain::new();
        let (mut node, mut other) = (chain.node("a"), chain.node("b"));
        let blocks = node.mine_many(FIRST, 3, 0);
        let stale = other.mine(FIRST, 11);
        node.take(&stale);
        let snapshot = node.ledger.store().snapshot().unwrap();
        let begin = |from: Value| read(&snapshot, Some(&from)).map(|point| point.map(|point| point.hash));
        assert_eq!(read(&snapshot, None).unwrap().unwrap().hash, node.tip());
        assert_eq!(begin(json!(-1)).unwrap(), None);
        assert_eq!(begin(json!(0)).unwrap(), Some(chain.genesis()));
        assert_eq!(begin(json!(2)).unwrap(), Some(blocks[1].hash()));
        let named = |height: u32, hash: String| begin(json!({"height": height, "hash": hash}));
        assert_eq!(named(2, blocks[1].hash().to_string()).unwrap(), Some(blocks[1].hash()));
        assert_eq!(named(1, stale.hash().to_string()).unwrap(), Some(stale.hash()), "of a branch that lost");

        let code = |outcome: Result<_, RpcError>| outcome.map(|_: Option<BlockHash>| ()).unwrap_err().code.number();
        assert_eq!(code(begin(json!(4))), -711, "above the tip");
        assert_eq!(code(named(2, "ab".repeat(32))), -711, "unknown");
        assert_eq!(code(named(1, blocks[1].hash().to_string())), -8, "another height");
        for wrong in [json!(-2), json!("2"), json!(1.5), json!({"height": 1}), json!({"hash": "ab"}), json!([])] {
            assert_eq!(code(begin(wrong.clone())), -8, "{wrong}");
        }
        let surplus = json!({"height": 2, "hash": blocks[1].hash().to_string(), "more": 1});
        assert_eq!(code(begin(surplus)), -8);
        assert_eq!(code(named(2, "xy".to_owned())), -8);
    }
}
