//! More connections than there are places: who is sent away, who is not, and that honest callers are served meanwhile.

use super::session::{Socket, handshake};
use super::world::{BASIC, Wire, World, post};
use std::time::Duration;

/// Longer than a connection may keep the node waiting when all places are taken.
const LATE: Duration = Duration::from_millis(1100);

const CALL: &str = r#"{"method":"getinfo","id":1}"#;

/// A front with few places, and the connections of a crowd that takes all of them, each with what it has sent.
async fn crowded(beginnings: &[String]) -> (World, Vec<Wire>) {
    let world = World::with(|config| config.connections = beginnings.len()).await;
    let mut crowd = Vec::new();
    for beginning in beginnings {
        let mut wire = world.connect().await;
        wire.send(beginning).await;
        crowd.push(wire);
    }
    (world, crowd)
}

#[tokio::test]
async fn a_connection_too_many_is_told_503_and_when_to_come_again() {
    let (world, _crowd) = crowded(&[String::new(), String::new()]).await;
    let mut wire = world.connect().await;
    let refused = wire.response().await;
    assert_eq!((refused.both(), refused.header("retry-after")), ((503, "Too many connections"), Some("1")));
    assert!(wire.ends().await);
}

#[tokio::test]
async fn clients_that_trickle_do_not_keep_honest_ones_out() {
    let slow = [
        String::new(),
        "POST".to_owned(),
        "POST / HTTP/1.1\r\nHost: x\r\nX".to_owned(),
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{".to_owned(),
        handshake("/", "")[..60].to_owned(),
        post("Authorization: Basic bm9ib2R5\r\n", CALL)[..80].to_owned(),
    ];
    let (world, mut crowd) = crowded(&slow).await;
    tokio::time::sleep(LATE).await;
    for _ in 0..20 {
        // Each byte of a trickle comes in time; it is no credentials.
        for wire in &crowd {
            let _ = wire.stream.try_write(b"x");
        }
        assert_eq!(world.post(CALL).await.status, 200);
    }
    assert!(crowd[0].ends().await);
}

#[tokio::test]
async fn callers_that_are_idle_or_do_not_read_make_room_and_those_at_work_stay() {
    let world = World::with(|config| config.connections = 4).await;
    let mut busy = world.connect().await;
    busy.send(&post(BASIC, r#"{"method":"wait","id":1}"#)).await;
    world.gate.reached(&world.gate.entered, 1).await;
    let mut socket = Socket::open(&world).await;
    let mut idle = world.connect().await;
    idle.send(&post(BASIC, CALL)).await;
    assert_eq!(idle.response().await.status, 200);
    let mut deaf = world.connect().await;
    deaf.send(&post(BASIC, r#"{"method":"long","params":[50000000],"id":1}"#)).await;
    deaf.stream.readable().await.unwrap();
    tokio::time::sleep(LATE * 2).await;
    let mut first = world.connect().await;
    first.send(&post(BASIC, CALL)).await;
    assert_eq!(first.response().await.status, 200);
    assert!(idle.ends().await, "who was idle longest made room");
    assert_eq!(world.post(CALL).await.status, 200);
    assert!(deaf.try_response().await.is_none(), "who did not read was next");
    assert_eq!(socket.ask(CALL).await["result"], "getinfo");
    world.gate.open.notify_waiters();
    assert_eq!(busy.response().await.status, 200);
}

#[tokio::test]
async fn a_body_that_trickles_after_right_credentials_makes_room_too() {
    let body = "POST / HTTP/1.1\r\nHost: x\r\n".to_owned() + BASIC + "Content-Length: 1000\r\n\r\n{";
    let (world, mut crowd) = crowded(&[body.clone(), body]).await;
    tokio::time::sleep(LATE).await;
    assert_eq!(world.post(CALL).await.status, 200);
    assert!(crowd[0].ends().await);
}
