//! The walk over real ledgers with real reorganisations: the listener's list of blocks is compared with the chain.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use rota_chain::amount::Height;
use rota_chain::hash::BlockHash;
use rota_storage::{Snapshot, StorageError};

use super::{Follower, Point, Step};
use crate::ledger::tests::world::{Chain, FIRST, Node};

/// A listener that carries out the steps, and refuses those that do not fit.
struct Listener {
    follower: Follower,
    held: Vec<BlockHash>,
}

impl Listener {
    fn new() -> Listener {
        Listener { follower: Follower::after(None), held: Vec::new() }
    }

    fn carry_out(&mut self, step: Step) {
        match step {
            Step::Connected(point) => {
                assert_eq!(point.height.0 as usize, self.held.len(), "a gap");
                self.held.push(point.hash);
            }
            Step::Disconnected(point) => {
                assert_eq!(self.held.pop(), Some(point.hash), "another block than the last left");
                assert_eq!(point.height.0 as usize, self.held.len());
            }
        }
        assert_eq!(self.follower.last().map(|point| point.hash), self.held.last().copied());
    }

    /// Takes at most so many steps; gives those taken.
    fn steps(&mut self, snapshot: &Snapshot, most: usize) -> Vec<Step> {
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some(step) = self.follower.step(snapshot, every).unwrap()
        {
            self.carry_out(step);
            taken.push(step);
        }
        taken
    }

    fn catch_up(&mut self, node: &Node) -> Vec<Step> {
        let taken = self.steps(&node.view.snapshot(), usize::MAX);
        assert_eq!(self.held, active(node));
        taken
    }
}

fn every(height: Height) -> Result<Option<Height>, StorageError> {
    Ok(Some(height))
}

fn active(node: &Node) -> Vec<BlockHash> {
    node.view.snapshot().block_hashes(0..node.height() + 1).unwrap()
}

fn left(steps: &[Step]) -> Vec<BlockHash> {
    let left = steps.iter().filter_map(|step| match step {
        Step::Disconnected(point) => Some(point.hash),
        Step::Connected(_) => None,
    });
    left.collect()
}

#[test]
fn a_walk_from_nothing_begins_with_genesis_and_rests_at_the_tip() {
    let chain = Chain::new();
    let mut node = chain.node("a");
    let mut listener = Listener::new();
    assert_eq!(listener.catch_up(&node).len(), 1);
    assert_eq!(listener.held, [chain.genesis()]);
    node.mine_many(FIRST, 3, 0);
    assert_eq!(listener.catch_up(&node).len(), 3);
    assert_eq!(listener.catch_up(&node), []);
}

#[test]
fn a_walk_resumed_at_a_point_takes_exactly_the_steps_that_were_missed() {
    let chain = Chain::new();
    let mut node = chain.node("a");
    node.mine_many(FIRST, 5, 0);
    let snapshot = node.view.snapshot();
    let handled = Point::at(&snapshot, Height(3)).unwrap();
    let mut follower = Follower::after(handled);
    let expected: Vec<Step> =
        [4, 5].map(|height| Step::Connected(Point::at(&snapshot, Height(height)).unwrap().unwrap())).to_vec();
    let taken: Vec<Step> = std::iter::from_fn(|| follower.step(&snapshot, every).unwrap()).collect();
    assert_eq!(taken, expected);
}

#[test]
fn after_a_reorganisation_the_lost_blocks_leave_newest_first_down_to_the_fork() {
    let chain = Chain::new();
    let (mut node, mut other) = (chain.node("a"), chain.node("b"));
    let shared = node.mine_many(FIRST, 2, 0);
    other.take_all(&shared);
    let lost = node.mine_many(FIRST, 2, 0);
    let mut listener = Listener::new();
    listener.catch_up(&node);
    let won = other.mine_many(FIRST, 3, 1);
    node.take_all(&won);
    let steps = listener.catch_up(&node);
    assert_eq!(left(&steps), [lost[1].hash(), lost[0].hash()]);
    assert_eq!(steps.len(), 5, "{steps:?}");
    assert!(matches!(steps[..2], [Step::Disconnected(_), Step::Disconnected(_)]), "{steps:?}");
}

#[test]
fn a_listener_that_was_away_is_led_from_a_lost_branch_to_the_active_one() {
    let chain = Chain::new();
    let (mut node, mut other) = (chain.node("a"), chain.node("b"));
    let lost = node.mine_many(FIRST, 2, 0);
    let won = other.mine_many(FIRST, 4, 1);
    node.take_all(&won);
    let snapshot = node.view.snapshot();
    let point = Point::known(&snapshot, lost[1].hash()).unwrap().unwrap();
    assert_eq!((point.height, point.is_active(&snapshot).unwrap()), (Height(2), false));
    let mut away = Listener {
        follower: Follower::after(Some(point)),
        held: vec![chain.genesis(), lost[0].hash(), lost[1].hash()],
    };
    assert_eq!(left(&away.catch_up(&node)), [lost[1].hash(), lost[0].hash()]);
    assert_eq!(Point::known(&snapshot, BlockHash([9; 32])).unwrap(), None);
}

#[test]
fn a_chain_that_becomes_shorter_only_takes_blocks_away_and_gives_them_back() {
    let chain = Chain::new();
    let mut node = chain.node("a");
    let blocks = node.mine_many(FIRST, 4, 0);
    let mut listener = Listener::new();
    listener.catch_up(&node);
    node.ledger.invalidate(blocks[1].hash()).unwrap();
    assert_eq!(node.height(), 1);
    assert_eq!(left(&listener.catch_up(&node)), [blocks[3].hash(), blocks[2].hash(), blocks[1].hash()]);
    node.ledger.reconsider(blocks[1].hash()).unwrap();
    assert_eq!(left(&listener.catch_up(&node)), []);
    assert_eq!(listener.held.len(), 5);
}

#[test]
fn reorganisations_while_a_slow_listener_is_under_way_lead_it_to_the_active_chain_all_the_same() {
    let chain = Chain::new();
    let (mut node, mut same, mut other) = (chain.node("a"), chain.node("b"), chain.node("c"));
    same.take_all(&node.mine_many(FIRST, 5, 0));
    let mut listener = Listener::new();
    listener.steps(&node.view.snapshot(), 4);
    // Another branch wins: the listener gets back to genesis and two blocks up the new one.
    let rivals = other.mine_many(FIRST, 6, 1);
    node.take_all(&rivals);
    assert_eq!(left(&listener.steps(&node.view.snapshot(), 5)).len(), 3);
    assert_eq!(listener.held, [chain.genesis(), rivals[0].hash(), rivals[1].hash()]);
    // The first one wins again.
    node.take_all(&same.mine_many(FIRST, 2, 0));
    assert_eq!(left(&listener.steps(&node.view.snapshot(), 1)), [rivals[1].hash()]);
    assert_eq!(left(&listener.catch_up(&node)), [rivals[0].hash()]);
    assert_eq!((listener.held.len(), node.tip()), (8, same.tip()));
}

#[test]
fn heights_that_the_listener_does_not_want_are_passed_over() {
    let chain = Chain::new();
    let mut node = chain.node("a");
    node.mine_many(FIRST, 7, 0);
    let snapshot = node.view.snapshot();
    let mut follower = Follower::after(None);
    let thirds = |height: Height| Ok(Some(Height(height.0.next_multiple_of(3))));
    let mut heights = Vec::new();
    while let Some(step) = follower.step(&snapshot, thirds).unwrap() {
        let Step::Connected(point) = step else { panic!("{step:?}") };
        heights.push(point.height.0);
    }
    assert_eq!(heights, [0, 3, 6]);
    assert_eq!(follower.last(), Point::at(&snapshot, Height(6)).unwrap(), "the walk stays at what was told");
}
