//! Announcements: whom they reach, and when a block is passed on.

use rota_chain::hash::FullHash;

use super::*;
use crate::message::CompactBlock;

fn hashes(numbers: std::ops::Range<u32>) -> Vec<FullHash> {
    numbers
        .map(|number| {
            let mut hash = [0; 32];
            hash[..4].copy_from_slice(&number.to_be_bytes());
            FullHash(hash)
        })
        .collect()
}

impl Node {
    async fn transactions(&mut self) -> Vec<FullHash> {
        self.wait(|event| match event {
            Event::TransactionsAnnounced { hashes, .. } => Some(hashes),
            _ => None,
        })
        .await
    }

    async fn block(&mut self) -> (PeerHandle, CompactBlock) {
        self.wait(|event| match event {
            Event::BlockAnnounced { peer, compact } => Some((peer, compact)),
            _ => None,
        })
        .await
    }

    /// Announces again and again until the other hears: topics are agreed a moment after the hello.
    async fn announce_until_heard(&self, news: &[FullHash], other: &mut Node) -> Vec<FullHash> {
        let announcing = async {
            loop {
                self.handle.announce_transactions(news.to_vec()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::select! {
            heard = other.transactions() => heard,
            () = announcing => unreachable!(),
        }
    }
}

#[tokio::test]
async fn transactions_are_announced_and_can_be_announced_again() {
    let (a, mut b, _, _) = pair().await;
    let news = hashes(0..3);
    assert_eq!(a.announce_until_heard(&news, &mut b).await, news);
    let again = hashes(5..6);
    for _ in 0..2 {
        a.handle.announce_transactions(again.clone()).await.unwrap();
        while b.transactions().await != again {}
    }
}

#[tokio::test]
async fn many_transactions_go_in_several_announcements() {
    let (a, mut b, _, _) = pair().await;
    a.announce_until_heard(&hashes(0..1), &mut b).await;
    let news = hashes(10..1_510);
    a.handle.announce_transactions(news.clone()).await.unwrap();
    let mut heard = Vec::new();
    while heard.len() < news.len() {
        heard.extend(b.transactions().await.into_iter().filter(|hash| news.contains(hash)));
    }
    heard.sort();
    assert_eq!(heard, news);
}

#[tokio::test]
async fn announcements_reach_permitted_peers_only() {
    let (mut a, mut b) = (Node::start(1, &[1, 2]).await, Node::start(2, &[1, 2]).await);
    let mut stranger = Node::start(3, &[1, 2, 3]).await;
    a.handle.set_gate(behind(&[1, 2])).await.unwrap();
    a.keep(&b).await;
    a.keep(&stranger).await;
    a.connected().await;
    a.connected().await;
    stranger.connected().await;
    a.announce_until_heard(&hashes(0..1), &mut b).await;
    for number in 0..10 {
        a.handle.announce_transactions(hashes(number..number + 1)).await.unwrap();
        b.transactions().await;
    }
    while let Ok(event) = stranger.events.try_recv() {
        assert!(!matches!(event, Event::TransactionsAnnounced { .. }), "{event:?}");
    }
}

#[tokio::test]
async fn a_block_is_passed_on_only_by_a_node_that_found_it_good() {
    let all = &[1, 2, 3];
    let (mut a, mut b, mut c) = (Node::start(1, all).await, Node::start(2, all).await, Node::start(3, all).await);
    a.keep(&b).await;
    c.keep(&b).await;
    let of_b = a.connected().await;
    c.connected().await;
    b.connected().await;
    b.connected().await;
    a.announce_until_heard(&hashes(0..1), &mut b).await;
    b.announce_until_heard(&hashes(1..2), &mut c).await;
    let (bad, good) = (CompactBlock::new(header(1), hashes(0..2)), CompactBlock::new(header(2), hashes(0..3)));
    a.handle.announce_block(bad.clone()).await.unwrap();
    assert_eq!(b.block().await.1, bad);
    a.handle.announce_block(good.clone()).await.unwrap();
    assert_eq!(b.block().await.1, good);
    b.handle.announce_block(good.clone()).await.unwrap();
    assert_eq!(c.block().await.1, good);
    let _ = of_b;
}

#[tokio::test]
async fn a_block_that_came_otherwise_is_announced() {
    let (a, mut b, _, of_a) = pair().await;
    a.announce_until_heard(&hashes(0..1), &mut b).await;
    let compact = CompactBlock::new(header(3), Vec::new());
    a.handle.announce_block(compact.clone()).await.unwrap();
    assert_eq!(b.block().await, (of_a, compact));
}

#[tokio::test]
async fn a_block_with_too_many_transactions_is_announced_by_its_header() {
    let compact = CompactBlock::new(header(1), vec![FullHash::ZERO; 65_537]);
    assert!(compact.hashes.is_empty());
    let compact = CompactBlock::new(header(1), vec![FullHash::ZERO; 65_536]);
    assert_eq!(compact.hashes.len(), 65_536);
    assert!(rota_chain::codec::encoded_length(&compact) < crate::limit::GOSSIP_MESSAGE);
}
