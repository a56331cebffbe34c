//! Who connects, who is refused and why, and who comes back.

use super::raw::{Raw, good_hello};
use super::*;
use crate::Banned;
use crate::gate::Admission;
use crate::hello::{already_connected, no_permission};

#[tokio::test]
async fn two_nodes_meet_and_know_each_others_address() {
    let (mut a, mut b) = (Node::start(1, &[1, 2]).await, Node::start(2, &[1, 2]).await);
    b.handle.set_tip(tip(7)).await.unwrap();
    a.keep(&b).await;
    let met = a
        .wait(|event| match event {
            Event::PeerConnected { address, hello, inbound, admission, target, .. } => {
                Some((address, hello, inbound, admission, target))
            }
            _ => None,
        })
        .await;
    assert_eq!((met.0, met.2, met.3), (key(2).address(), false, Admission::Full));
    assert_eq!((met.1.tip, met.1.port), (tip(7), b.place.port()));
    assert_eq!(met.4, Some(b.place.to_string()));
    let met = b
        .wait(|event| match event {
            Event::PeerConnected { address, inbound, .. } => Some((address, inbound)),
            _ => None,
        })
        .await;
    assert_eq!(met, (key(1).address(), true));
}

#[tokio::test]
async fn both_ends_of_a_connection_tell_the_same_two_places() {
    let (a, b, _, _) = pair().await;
    let (of_a, of_b) = (a.handle.peers().await.unwrap(), b.handle.peers().await.unwrap());
    assert_eq!(of_a[0].remote, b.place);
    assert_eq!(of_b[0].local, Some(b.place));
    assert_eq!(of_a[0].local, Some(of_b[0].remote));
}

#[tokio::test]
async fn a_node_of_another_chain_is_refused_with_the_reason_on_both_sides() {
    let mut b = Node::start(2, &[1, 2]).await;
    let mut other = config(&[1, 2]);
    other.chain_name = "chain2".to_owned();
    let mut a = Node::with(1, other).await;
    a.keep(&b).await;
    let sentence = "this node serves chain chain1, not chain2".to_owned();
    assert_eq!(b.refused().await, (RefusalCause::OtherChain, sentence.clone(), false));
    assert_eq!(a.refused().await, (RefusalCause::OtherChain, sentence, true));
}

#[tokio::test]
async fn a_node_with_other_parameters_is_refused_with_both_hashes() {
    let mut b = Node::start(2, &[1, 2]).await;
    let mut other = config(&[1, 2]);
    other.params_hash = ParamsHash([4; 32]);
    let mut a = Node::with(1, other).await;
    a.keep(&b).await;
    let (cause, reason, by_peer) = a.refused().await;
    assert_eq!((cause, by_peer), (RefusalCause::OtherParameters, true));
    assert!(reason.contains(&"03".repeat(32)) && reason.contains(&"04".repeat(32)), "{reason}");
    assert_eq!(b.refused().await.0, RefusalCause::OtherParameters);
}

#[tokio::test]
async fn a_dialler_without_the_right_reads_the_sentence_and_connects_once_granted() {
    let (mut a, mut b) = (Node::start(1, &[1, 2]).await, Node::start(2, &[2]).await);
    a.keep(&b).await;
    let sentence = no_permission(&text(1), CHAIN);
    assert_eq!(a.refused().await, (RefusalCause::NoPermission, sentence.clone(), true));
    assert_eq!(b.refused().await, (RefusalCause::NoPermission, sentence, false));
    b.handle.set_gate(gate(&[1, 2])).await.unwrap();
    b.connected().await;
    a.wait(|event| matches!(event, Event::PeerConnected { .. }).then_some(())).await;
}

#[tokio::test]
async fn losing_the_right_to_connect_ends_the_connection() {
    let (mut a, mut b, _, of_a) = pair().await;
    b.handle.set_gate(gate(&[2])).await.unwrap();
    assert_eq!(b.disconnected().await, (of_a, no_permission(&text(1), CHAIN)));
    a.disconnected().await;
    assert_eq!(a.refused().await.0, RefusalCause::NoPermission);
    assert_eq!(b.peer_count().await, 0);
}

#[tokio::test]
async fn a_gate_that_asks_the_node_is_obeyed() {
    let (mut a, mut b) = (Node::start(1, &[1, 2]).await, Node::start(2, &[]).await);
    let wanted = key(1).address();
    let judge = Permitted::Judged(Arc::new(move |address| *address == wanted));
    b.handle.set_gate(GateRules { permitted: judge, behind: false }).await.unwrap();
    a.keep(&b).await;
    a.connected().await;
    b.connected().await;
}

#[tokio::test]
async fn a_dialled_peer_we_do_not_know_stays_while_it_is_ahead_and_comes_back_when_known() {
    let (mut a, b) = (Node::start(1, &[1]).await, Node::start(2, &[1, 2]).await);
    b.handle.set_tip(tip(5)).await.unwrap();
    a.keep(&b).await;
    let admission = |event| match event {
        Event::PeerConnected { admission, .. } => Some(admission),
        _ => None,
    };
    assert_eq!(a.wait(admission).await, Admission::Sync);
    a.handle.set_gate(behind(&[1])).await.unwrap();
    a.handle.set_tip(tip(5)).await.unwrap();
    assert_eq!(a.peer_count().await, 1);
    a.handle.set_gate(gate(&[1, 2])).await.unwrap();
    let (_, reason) = a.disconnected().await;
    assert_eq!(reason, format!("the rights of {} have changed", text(2)));
    assert_eq!(a.wait(admission).await, Admission::Full);
}

#[tokio::test]
async fn a_dialled_peer_we_do_not_know_is_left_when_it_has_nothing_to_show() {
    let (mut a, b) = (Node::start(1, &[1]).await, Node::start(2, &[1, 2]).await);
    a.keep(&b).await;
    assert_eq!(a.refused().await, (RefusalCause::NoPermission, no_permission(&text(2), CHAIN), false));
    b.handle.set_tip(tip(5)).await.unwrap();
    a.connected().await;
    a.handle.set_tip(tip(5)).await.unwrap();
    a.handle.set_gate(gate(&[1])).await.unwrap();
    a.disconnected().await;
}

#[tokio::test]
async fn a_node_behind_takes_an_unknown_inbound_peer_to_sync_only() {
    let (mut a, mut b) = (Node::start(1, &[1, 2]).await, Node::start(2, &[]).await);
    b.handle.set_gate(behind(&[])).await.unwrap();
    a.keep(&b).await;
    let admission = b
        .wait(|event| match event {
            Event::PeerConnected { admission, .. } => Some(admission),
            _ => None,
        })
        .await;
    assert_eq!(admission, Admission::Sync);
    a.connected().await;
    b.handle.set_gate(gate(&[])).await.unwrap();
    b.disconnected().await;
}

#[tokio::test]
async fn a_second_host_with_a_live_identity_is_refused_and_the_first_stays() {
    let (mut a, mut first, of_first, _) = pair().await;
    let mut second = Node::start(2, &[1, 2]).await;
    second.keep(&a).await;
    let remote = a.handle.peers().await.unwrap().first().unwrap().remote;
    let sentence = already_connected(&text(2), &remote.to_string());
    assert_eq!(second.refused().await, (RefusalCause::DuplicateIdentity, sentence.clone(), true));
    assert_eq!(a.refused().await, (RefusalCause::DuplicateIdentity, sentence, false));
    let peers = a.handle.peers().await.unwrap();
    assert_eq!(peers.iter().map(|peer| peer.peer).collect::<Vec<_>>(), [of_first]);
    first.handle.shutdown().await;
    assert!(first.events.recv().await.is_none() || first.events.is_closed());
}

#[tokio::test]
async fn a_second_host_with_a_live_identity_is_refused_when_dialled_too() {
    let (mut a, _first, of_first, _) = pair().await;
    let second = Node::start(2, &[1, 2]).await;
    a.keep(&second).await;
    let (cause, _, by_peer) = a.refused().await;
    assert_eq!((cause, by_peer), (RefusalCause::DuplicateIdentity, false));
    let peers = a.handle.peers().await.unwrap();
    assert_eq!(peers.iter().map(|peer| peer.peer).collect::<Vec<_>>(), [of_first]);
}

#[tokio::test]
async fn a_first_connection_that_does_not_answer_gives_way_to_the_second() {
    let mut a = Node::start(1, &[1, 2]).await;
    let mut silent = Raw::connect(2, &a, "sync").await;
    silent.send_hello(good_hello(7));
    while !matches!(silent.next().await, super::raw::Seen::Welcome) {}
    let first = a.connected().await;
    // From here on nobody drives the first peer's side: it is connected and mute.
    let mut second = Node::start(2, &[1, 2]).await;
    second.keep(&a).await;
    assert_eq!(a.disconnected().await.0, first);
    a.connected().await;
    second.connected().await;
    drop(silent);
}

#[tokio::test]
async fn nodes_that_dial_each_other_at_once_keep_one_connection() {
    for round in 0..8 {
        let (mut a, mut b) = (Node::start(1, &[1, 2]).await, Node::start(2, &[1, 2]).await);
        tokio::join!(a.keep(&b), b.keep(&a));
        a.connected().await;
        b.connected().await;
        let settled = async {
            loop {
                let (of_a, of_b) = (a.handle.peers().await.unwrap(), b.handle.peers().await.unwrap());
                let both = [a.handle.added_nodes().await.unwrap(), b.handle.added_nodes().await.unwrap()];
                let kept = both.iter().flatten().all(|node| node.connected);
                if kept && let ([left], [right]) = (of_a.as_slice(), of_b.as_slice()) {
                    return (left.inbound, right.inbound);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let (left, right) = tokio::time::timeout(DEADLINE, settled).await.expect("one connection remains");
        assert_ne!(left, right, "round {round}");
    }
}

#[tokio::test]
async fn two_names_of_one_peer_make_one_connection() {
    let (mut a, b, _, _) = pair().await;
    a.handle.add_node(format!("localhost:{}", b.place.port())).await.unwrap();
    let covered = async {
        while !a.handle.added_nodes().await.unwrap().iter().all(|node| node.connected) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, covered).await.expect("both names are connected");
    assert_eq!((a.peer_count().await, b.peer_count().await), (1, 1));
    assert_eq!(a.handle.added_nodes().await.unwrap().len(), 2);
    a.events.close();
}

#[tokio::test]
async fn a_node_that_dials_itself_is_told() {
    let mut a = Node::start(1, &[1]).await;
    a.handle.dial(a.place.to_string()).await.unwrap();
    let reason = a
        .wait(|event| match event {
            Event::DialFailed { reason, .. } => Some(reason),
            _ => None,
        })
        .await;
    assert_eq!(reason, "that is this node itself");
}

#[tokio::test]
async fn a_dialled_node_with_our_own_key_is_named() {
    let (mut a, twin) = (Node::start(1, &[1]).await, Node::start(1, &[1]).await);
    a.keep(&twin).await;
    let sentence = already_connected(&text(1), &twin.place.to_string());
    assert_eq!(a.refused().await, (RefusalCause::DuplicateIdentity, sentence, false));
}

#[tokio::test]
async fn a_kept_node_is_dialled_again_when_it_returns() {
    let (mut a, b, _, _) = pair().await;
    let place = b.place;
    b.handle.shutdown().await;
    a.disconnected().await;
    let mut config = config(&[1, 2]);
    config.listen = vec![place];
    let mut b = Node::with(2, config).await;
    a.connected().await;
    b.connected().await;
}

#[tokio::test]
async fn a_node_no_longer_kept_is_not_dialled_again() {
    let (mut a, b, of_b, _) = pair().await;
    a.handle.remove_node(b.place.to_string()).await.unwrap();
    a.handle.disconnect(of_b, "asked for").await.unwrap();
    assert_eq!(a.disconnected().await, (of_b, "asked for".to_owned()));
    assert!(a.handle.added_nodes().await.unwrap().is_empty());
    assert_eq!(a.peer_count().await, 0);
}

#[tokio::test]
async fn a_banned_peer_is_cut_and_not_taken_again_until_the_ban_ends() {
    let (mut a, mut b, _, of_a) = pair().await;
    b.handle.ban(Banned::Address(key(1).address()), Duration::from_secs(600)).await.unwrap();
    assert_eq!(b.disconnected().await, (of_a, "banned".to_owned()));
    a.disconnected().await;
    b.handle.unban(Banned::Address(key(1).address())).await.unwrap();
    a.connected().await;
    b.connected().await;
}

#[tokio::test]
async fn an_occupied_port_is_told() {
    let a = Node::start(1, &[]).await;
    let mut config = config(&[]);
    config.listen = vec![a.place];
    let (_handle, mut events) = spawn(config, key(2)).unwrap();
    let event = tokio::time::timeout(DEADLINE, events.recv()).await.unwrap().unwrap();
    let Event::ListenFailed { addr, error } = event else { panic!("{event:?}") };
    assert_eq!(addr, a.place);
    assert!(error.contains("in use"), "{error}");
}

#[tokio::test]
async fn a_dialled_host_that_is_no_node_is_told() {
    let mut a = Node::start(1, &[]).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap().to_string();
    a.handle.dial(place.clone()).await.unwrap();
    drop(listener.accept().await.unwrap());
    let target = a
        .wait(|event| match event {
            Event::DialFailed { target, .. } => Some(target),
            _ => None,
        })
        .await;
    assert_eq!(target, place);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_told() {
    let mut a = Node::start(1, &[]).await;
    a.handle.dial("no port").await.unwrap();
    let target = a
        .wait(|event| match event {
            Event::DialFailed { target, .. } => Some(target),
            _ => None,
        })
        .await;
    assert_eq!(target, "no port");
}

#[tokio::test]
async fn a_peer_shows_its_figures() {
    let (a, b, of_b, _) = pair().await;
    a.handle.ping().await.unwrap();
    let figures = async {
        loop {
            let peers = a.handle.peers().await.unwrap();
            match peers.first() {
                Some(peer) if peer.ping.is_some() => return peer.clone(),
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let peer = tokio::time::timeout(DEADLINE, figures).await.expect("the ping is answered");
    assert_eq!((peer.peer, peer.remote, peer.inbound), (of_b, b.place, false));
    assert!(peer.bytes_sent > 0 && peer.bytes_received > 0 && peer.last_receive >= peer.connected_at);
    assert!(peer.time_offset.abs() <= 2, "{}", peer.time_offset);
    let (sent, received) = a.handle.totals();
    assert!(sent >= peer.bytes_sent && received >= peer.bytes_received);
}

#[tokio::test]
async fn a_closed_room_says_so() {
    let a = Node::start(1, &[]).await;
    a.handle.shutdown().await;
    assert_eq!(a.handle.peers().await, Err(crate::Stopped));
    a.handle.shutdown().await;
}
