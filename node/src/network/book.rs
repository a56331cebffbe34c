//! The book of known nodes by host and port: where they were met, whether dialling them works. A text file that
//! survives restarts; a damaged line is left out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use rota_chain::lock::KeyHash;
use rota_crash::{Point, reached};

/// Nodes in the book: more than a permissioned chain has; the longest unreachable gives way.
const MAX_NODES: usize = 1_024;
/// Addresses remembered a node: it changes its identity rarely.
const MAX_HANDSHAKES: usize = 4;
/// First line of the file: name and format.
const HEAD: &str = "rota-peers 1";
/// Pause before a node is dialled again after its first failure; it doubles with each further one.
const FIRST_PAUSE: u64 = 10;
/// Longest such pause.
const LONGEST_PAUSE: u64 = 3_600;
/// Pause after a node refused this one for want of a right: a grant, or a range that begins, may come at any moment.
const REFUSED_PAUSE: u64 = 10;
/// Failures after which a node nobody stored is dropped from the book: days without an answer.
const MAX_FAILURES: u32 = 100;
/// Seconds after which an ignored node is left out of lists: 90 days.
const OLD_IGNORE: u64 = 90 * 86_400;
/// Bytes of the file that are read: 1,024 lines of at most 400 bytes.
const MAX_FILE: u64 = 1 << 20;

/// How a node came into the book: by `storenode` or by connecting.
pub(super) const STORED: &str = "stored";
/// The node this one joined through.
pub(super) const SEED: &str = "seed";
/// A peer told of it.
pub(super) const PEERS: &str = "peers";
const INBOUND: &str = "inbound";
const OUTBOUND: &str = "outbound";
const IGNORED: &str = "ignored";
const TRY_CONNECT: &str = "tryconnect";

/// A known node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredNode {
    /// Host and port.
    pub address: String,
    /// Addresses it proved, with the unix second of the last time, newest first.
    pub handshakes: Vec<(KeyHash, u64)>,
    /// Unix second of the last failed dial, none if the last succeeded.
    pub last_failure: Option<u64>,
    /// Failed dials in a row.
    pub failures: u32,
    /// How it came into the book: `stored`, `seed` or `peers`.
    pub source: &'static str,
    /// What is known of it: `inbound`, `outbound`, `ignored` or `tryconnect`.
    pub status: &'static str,
    /// Unix second from which it is ignored.
    pub ignored_since: Option<u64>,
}

fn word(known: &[&'static str], word: &str) -> Option<&'static str> {
    known.iter().copied().find(|known| *known == word)
}

impl StoredNode {
    /// Whether it has been ignored for so long that lists leave it out.
    #[must_use]
    pub fn is_old(&self, now: u64) -> bool {
        self.ignored_since.is_some_and(|since| now.saturating_sub(since) > OLD_IGNORE)
    }

    fn new(target: &str, source: &'static str) -> StoredNode {
        StoredNode {
            address: target.to_owned(),
            handshakes: Vec::new(),
            last_failure: None,
            failures: 0,
            source,
            status: TRY_CONNECT,
            ignored_since: None,
        }
    }

    /// The line of the file that stands for it.
    #[must_use]
    pub fn line(&self) -> String {
        let handshakes: Vec<String> =
            self.handshakes.iter().map(|(address, time)| format!("{}:{time}", hex::encode(address.0))).collect();
        format!(
            "{} {} {} {} {} {} {}",
            self.address,
            self.source,
            self.status,
            self.failures,
            self.last_failure.unwrap_or(0),
            self.ignored_since.unwrap_or(0),
            if handshakes.is_empty() { "-".to_owned() } else { handshakes.join(",") },
        )
    }

    /// Reads a line of the file; none for what this version does not write.
    #[must_use]
    pub fn parse(line: &str) -> Option<StoredNode> {
        let words: Vec<&str> = line.split(' ').collect();
        let [target, source, status, failures, last_failure, ignored_since, handshakes] = words.as_slice() else {
            return None;
        };
        let time = |word: &str| word.parse::<u64>().ok().map(|time| (time != 0).then_some(time));
        let handshake = |word: &str| {
            let (address, time) = word.split_once(':')?;
            Some((KeyHash(hex::decode(address).ok()?.try_into().ok()?), time.parse().ok()?))
        };
        Some(StoredNode {
            address: target.parse::<SocketAddr>().ok()?.to_string(),
            source: word(&[STORED, SEED, PEERS], source)?,
            status: word(&[INBOUND, OUTBOUND, IGNORED, TRY_CONNECT], status)?,
            failures: failures.parse().ok()?,
            last_failure: time(last_failure)?,
            ignored_since: time(ignored_since)?,
            handshakes: handshakes.split(',').filter_map(handshake).take(MAX_HANDSHAKES).collect(),
        })
    }

    /// Seconds until it is dialled again after a failure.
    fn pause(&self) -> u64 {
        FIRST_PAUSE.saturating_mul(1 << self.failures.saturating_sub(1).min(16)).min(LONGEST_PAUSE)
    }
}

/// The book.
#[derive(Debug)]
pub(super) struct Book {
    path: PathBuf,
    nodes: BTreeMap<String, StoredNode>,
    /// Unix second before which a node is not dialled again. Not kept in the file: after a start each is dialled once.
    waits: BTreeMap<String, u64>,
    changed: bool,
}

impl Book {
    /// Reads the book; without a file it is empty.
    pub fn load(path: PathBuf) -> Book {
        let small = std::fs::metadata(&path).is_ok_and(|meta| meta.len() <= MAX_FILE);
        let text = if small { std::fs::read_to_string(&path).unwrap_or_default() } else { String::new() };
        let mut lines = text.lines();
        let mut nodes = BTreeMap::new();
        if lines.next() == Some(HEAD) {
            for node in lines.filter_map(StoredNode::parse).take(MAX_NODES) {
                nodes.insert(node.address.clone(), node);
            }
        }
        Book { path, nodes, waits: BTreeMap::new(), changed: false }
    }

    /// Writes the book, if it changed, beside the old file and then in its place.
    pub fn save(&mut self) {
        if !self.changed {
            return;
        }
        let mut text = String::from(HEAD);
        for node in self.nodes.values() {
            text.push('\n');
            text.push_str(&node.line());
        }
        text.push('\n');
        let beside = self.path.with_extension("new");
        let written = std::fs::write(&beside, text).and_then(|()| {
            reached(Point::PeersWritten);
            std::fs::rename(&beside, &self.path)?;
            reached(Point::PeersReplaced);
            Ok(())
        });
        match written {
            Ok(()) => self.changed = false,
            Err(error) => tracing::warn!("the book of known nodes cannot be written: {error}"),
        }
    }

    /// All nodes, by place.
    pub fn nodes(&self) -> Vec<StoredNode> {
        self.nodes.values().cloned().collect()
    }

    fn entry(&mut self, target: &str, source: &'static str) -> Option<&mut StoredNode> {
        target.parse::<SocketAddr>().ok()?;
        if self.nodes.len() >= MAX_NODES && !self.nodes.contains_key(target) {
            let worst = self.nodes.values().filter(|node| node.status != IGNORED);
            let worst = worst.max_by_key(|node| node.failures).map(|node| node.address.clone())?;
            self.remove(&worst);
        }
        self.changed = true;
        Some(self.nodes.entry(target.to_owned()).or_insert_with(|| StoredNode::new(target, source)))
    }

    fn remove(&mut self, target: &str) -> bool {
        self.waits.remove(target);
        self.nodes.remove(target).is_some()
    }

    /// A peer is connected and can be dialled at `place`.
    pub fn met(&mut self, place: SocketAddr, address: KeyHash, inbound: bool, now: u64) {
        let target = place.to_string();
        self.waits.remove(&target);
        let Some(node) = self.entry(&target, STORED) else { return };
        node.handshakes.retain(|(known, _)| *known != address);
        node.handshakes.insert(0, (address, now));
        node.handshakes.truncate(MAX_HANDSHAKES);
        node.failures = 0;
        node.last_failure = None;
        if node.status != IGNORED {
            node.status = if inbound { INBOUND } else { OUTBOUND };
        }
    }

    /// A peer tells of a place, or the operator does.
    pub fn heard(&mut self, place: SocketAddr, source: &'static str) {
        let target = place.to_string();
        if !self.nodes.contains_key(&target) {
            self.entry(&target, source);
        }
    }

    /// A dial did not lead to a connection.
    pub fn failed(&mut self, target: &str, now: u64) {
        let Some(node) = self.nodes.get_mut(target) else { return };
        node.failures = node.failures.saturating_add(1);
        node.last_failure = Some(now);
        self.waits.insert(target.to_owned(), now.saturating_add(node.pause()));
        self.changed = true;
        if node.failures > MAX_FAILURES && node.source == PEERS {
            self.remove(target);
        }
    }

    /// The node answered, and one of the two lacks the right to connect.
    pub fn refused(&mut self, target: &str, now: u64) {
        let Some(node) = self.nodes.get_mut(target) else { return };
        node.last_failure = Some(now);
        self.waits.insert(target.to_owned(), now.saturating_add(REFUSED_PAUSE));
        self.changed = true;
    }

    /// The place is this node's own: it is never dialled.
    pub fn forget(&mut self, target: &str) {
        self.changed |= self.remove(target);
    }

    /// What `storenode` does; a sentence if it is refused.
    pub fn change(&mut self, place: SocketAddr, ignore: bool, now: u64) -> Result<(), &'static str> {
        let target = place.to_string();
        match (ignore, self.nodes.get(&target).map(|node| node.status == IGNORED)) {
            (false, Some(false)) => return Err("the node is stored already"),
            (true, Some(true)) => return Err("the node is ignored already"),
            (true, None) => return Err("the node is not stored"),
            (false, Some(true) | None) | (true, Some(false)) => {}
        }
        self.waits.remove(&target);
        let node = self.entry(&target, STORED).ok_or("the node cannot be stored")?;
        node.status = if ignore { IGNORED } else { TRY_CONNECT };
        node.ignored_since = ignore.then_some(now);
        node.failures = 0;
        node.last_failure = None;
        Ok(())
    }

    /// Nodes to dial now, those due longest first, so that none keeps another from its turn; among those never tried
    /// the ones with fewest failures, reached last.
    pub fn due(&self, now: u64) -> Vec<String> {
        let since = |node: &StoredNode| self.waits.get(&node.address).copied().unwrap_or(0);
        let mut due: Vec<&StoredNode> =
            self.nodes.values().filter(|node| node.status != IGNORED && since(node) <= now).collect();
        let reached = |node: &StoredNode| node.handshakes.first().map(|(_, time)| *time);
        due.sort_by_key(|node| (since(node), node.failures, std::cmp::Reverse(reached(node))));
        due.into_iter().map(|node| node.address.clone()).collect()
    }

    /// Places to tell peers of: those that answered and are not failing.
    pub fn places(&self, limit: usize) -> Vec<SocketAddr> {
        let good = self.nodes.values().filter(|node| node.failures == 0 && !node.handshakes.is_empty());
        good.filter_map(|node| node.address.parse().ok()).take(limit).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
    use super::*;

    fn place(n: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, n], 7_000))
    }

    #[test]
    fn the_book_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peers.dat");
        let mut book = Book::load(path.clone());
        book.met(place(1), KeyHash([3; 20]), true, 100);
        book.heard(place(2), PEERS);
        book.failed(&place(2).to_string(), 120);
        book.heard(place(3), SEED);
        book.change(place(3), true, 130).unwrap();
        book.save();
        assert_eq!(Book::load(path).nodes(), book.nodes());
    }

    #[test]
    fn a_damaged_line_costs_only_its_node() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peers.dat");
        std::fs::write(&path, format!("{HEAD}\nnonsense\n{}\n", StoredNode::new("127.0.0.1:7000", SEED).line()))
            .unwrap();
        assert_eq!(Book::load(path).nodes().len(), 1);
    }

    #[test]
    fn a_node_that_does_not_answer_is_dialled_ever_more_rarely_and_an_ignored_one_never() {
        let mut book = Book::load(PathBuf::from("/nonexistent/peers.dat"));
        let target = place(1).to_string();
        book.heard(place(1), PEERS);
        assert_eq!(book.due(0), std::slice::from_ref(&target));
        book.failed(&target, 1_000);
        assert!(book.due(1_009).is_empty());
        assert_eq!(book.due(1_010), std::slice::from_ref(&target));
        book.failed(&target, 1_010);
        assert!(book.due(1_029).is_empty());
        book.change(place(1), true, 2_000).unwrap();
        assert!(book.due(1_000_000).is_empty());
        assert!(book.change(place(1), true, 2_000).is_err());
        book.change(place(1), false, 3_000).unwrap();
        assert_eq!(book.due(3_000), [target]);
    }

    #[test]
    fn a_node_that_refused_for_want_of_a_right_is_dialled_again_soon_however_often_it_did() {
        let mut book = Book::load(PathBuf::from("/nonexistent/peers.dat"));
        let target = place(1).to_string();
        book.heard(place(1), PEERS);
        for round in 0..2 * u64::from(MAX_FAILURES) {
            book.refused(&target, 1_000 + round * REFUSED_PAUSE);
        }
        let last = 1_000 + (2 * u64::from(MAX_FAILURES) - 1) * REFUSED_PAUSE;
        assert!(book.due(last + REFUSED_PAUSE - 1).is_empty());
        assert_eq!(book.due(last + REFUSED_PAUSE), [target]);
    }

    #[test]
    fn nodes_that_refuse_leave_those_that_did_not_answer_their_turn() {
        let mut book = Book::load(PathBuf::from("/nonexistent/peers.dat"));
        book.heard(place(1), PEERS);
        book.heard(place(2), PEERS);
        book.failed(&place(2).to_string(), 1_000);
        book.refused(&place(1).to_string(), 1_005);
        assert_eq!(book.due(2_000), [place(2).to_string(), place(1).to_string()]);
    }

    #[test]
    fn after_a_start_every_node_is_dialled_however_long_it_did_not_answer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peers.dat");
        let mut book = Book::load(path.clone());
        book.heard(place(1), SEED);
        for _ in 0..20 {
            book.failed(&place(1).to_string(), 1_000);
        }
        assert!(book.due(1_000 + LONGEST_PAUSE - 1).is_empty());
        book.save();
        assert_eq!(Book::load(path).due(1_001), [place(1).to_string()]);
    }

    #[test]
    fn the_book_is_bounded_and_the_least_reachable_gives_way() {
        let mut book = Book::load(PathBuf::from("/nonexistent/peers.dat"));
        for n in 0..MAX_NODES {
            let bytes = u32::try_from(n).unwrap().to_be_bytes();
            book.heard(SocketAddr::from(([10, bytes[1], bytes[2], bytes[3]], 1)), PEERS);
        }
        let bad = SocketAddr::from(([10, 0, 0, 7], 1)).to_string();
        book.failed(&bad, 5);
        book.heard(place(9), PEERS);
        assert_eq!(book.nodes().len(), MAX_NODES);
        assert!(!book.nodes().iter().any(|node| node.address == bad));
    }
}
