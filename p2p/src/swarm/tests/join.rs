//! Joining: what a node without parameters is told.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::*;
use crate::join::{JoinAnswer, JoinAnswers, JoinError, join};

const PATIENCE: Duration = Duration::from_secs(20);

async fn seed(permitted: &[u8]) -> Node {
    let node = Node::start(1, permitted).await;
    let answers = JoinAnswers { minimal: b"minimal".to_vec(), full: b"full".to_vec() };
    node.handle.set_join_answers(answers).await.unwrap();
    node
}

#[tokio::test]
async fn a_joiner_without_the_right_gets_the_minimal_set_and_the_sentence() {
    let mut seed = seed(&[1]).await;
    let joined = join(&seed.place.to_string(), key(2), CHAIN, PATIENCE).await.unwrap();
    let address = text(2);
    let reason = format!("{address} has no connect permission on chain1: ask for grant {address} connect");
    assert_eq!(joined.answer, JoinAnswer::Minimal { parameters: b"minimal".to_vec(), reason: reason.clone() });
    assert_eq!(joined.seed_address, Some(key(1).address()));
    assert_eq!(seed.refused().await, (RefusalCause::NoPermission, reason, false));
    assert_eq!(seed.peer_count().await, 0);
}

#[tokio::test]
async fn a_permitted_joiner_gets_the_full_set() {
    let seed = seed(&[1, 2]).await;
    let joined = join(&seed.place.to_string(), key(2), CHAIN, PATIENCE).await.unwrap();
    assert_eq!(joined.answer, JoinAnswer::Full { parameters: b"full".to_vec() });
}

#[tokio::test]
async fn anyone_gets_the_full_set_where_anyone_can_connect() {
    let seed = seed(&[]).await;
    let rules = GateRules { permitted: Permitted::Everyone, behind: false };
    seed.handle.set_gate(rules).await.unwrap();
    let joined = join(&seed.place.to_string(), key(2), CHAIN, PATIENCE).await.unwrap();
    assert!(matches!(joined.answer, JoinAnswer::Full { .. }));
}

#[tokio::test]
async fn a_joiner_after_its_grant_gets_the_full_set() {
    let seed = seed(&[1]).await;
    let place = seed.place.to_string();
    assert!(matches!(join(&place, key(2), CHAIN, PATIENCE).await.unwrap().answer, JoinAnswer::Minimal { .. }));
    seed.handle.set_gate(gate(&[1, 2])).await.unwrap();
    assert!(matches!(join(&place, key(2), CHAIN, PATIENCE).await.unwrap().answer, JoinAnswer::Full { .. }));
}

#[tokio::test]
async fn a_joiner_of_another_chain_is_told_which_chain_is_served() {
    let seed = seed(&[1, 2]).await;
    let joined = join(&seed.place.to_string(), key(2), "chain2", PATIENCE).await.unwrap();
    assert_eq!(joined.answer, JoinAnswer::Refused { reason: "this node serves chain chain1, not chain2".to_owned() });
}

#[tokio::test]
async fn a_joiner_with_the_seeds_key_is_told_so() {
    let seed = seed(&[1]).await;
    let error = join(&seed.place.to_string(), key(1), CHAIN, PATIENCE).await.unwrap_err();
    assert!(matches!(error, JoinError::OwnIdentity { .. }), "{error}");
}

#[tokio::test]
async fn a_seed_that_is_not_there_is_named_with_the_cause() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let error = join(&closed, key(2), CHAIN, PATIENCE).await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot connect to {closed}: Connection refused (os error 111)"));
}

#[tokio::test]
async fn a_seed_that_is_no_node_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        }
    });
    assert!(matches!(join(&place, key(2), CHAIN, PATIENCE).await.unwrap_err(), JoinError::Connect { .. }));
}

#[tokio::test]
async fn a_seed_that_is_silent_ends_in_a_sentence() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap().to_string();
    let error = join(&place, key(2), CHAIN, Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(error, JoinError::TimedOut { .. }), "{error}");
}

#[tokio::test]
async fn a_seed_whose_name_does_not_parse_is_named() {
    let error = join("nowhere", key(2), CHAIN, PATIENCE).await.unwrap_err();
    assert!(matches!(error, JoinError::Resolve { .. }), "{error}");
}
