//! Whom to dial and when: targets by host and port, with a growing pause after each failure. No I/O.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use libp2p::PeerId;
use libp2p::swarm::ConnectionId;

use crate::limit::MAX_TARGETS;

/// Pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Longest pause after a refusal: a grant may come at any moment.
const REFUSED_PAUSE: Duration = Duration::from_secs(10);
/// Pause after the end of a good connection: what a peer may do has changed, or it starts again.
const AT_ONCE: Duration = Duration::from_millis(100);
/// A connection that lived as long was good.
const STEADY: Duration = Duration::from_secs(10);

/// How an attempt or a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It could not be opened.
    Failed,
    /// The other side, or this one, said no.
    Refused,
    /// It was in use for this long.
    Used(Duration),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting(Instant),
    Resolving,
    Dialling(ConnectionId),
    Open(ConnectionId),
    /// Connected to the same peer by another connection.
    Covered(PeerId),
}

#[derive(Debug)]
struct Target {
    persistent: bool,
    phase: Phase,
    failures: u32,
    short_uses: u32,
}

impl Target {
    fn has(&self, connection: ConnectionId) -> bool {
        matches!(self.phase, Phase::Dialling(id) | Phase::Open(id) if id == connection)
    }
}

/// A host that is kept connected, as `getaddednodeinfo` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedNode {
    /// Host and port as added.
    pub target: String,
    /// Whether there is a connection to it or to the peer that answered there.
    pub connected: bool,
}

/// All targets.
#[derive(Debug, Default)]
pub(crate) struct Dials {
    targets: HashMap<String, Target>,
}

impl Dials {
    /// Adds a target to be dialled now; `persistent` ones are kept. False if there are too many.
    pub fn add(&mut self, target: &str, persistent: bool, now: Instant) -> bool {
        if let Some(known) = self.targets.get_mut(target) {
            known.persistent |= persistent;
            if let Phase::Waiting(due) = &mut known.phase {
                *due = now;
            }
            return true;
        }
        if self.targets.len() >= MAX_TARGETS {
            return false;
        }
        let new = Target { persistent, phase: Phase::Waiting(now), failures: 0, short_uses: 0 };
        self.targets.insert(target.to_owned(), new);
        true
    }

    /// No longer keeps a target. A connection that is open stays.
    pub fn remove(&mut self, target: &str) {
        self.targets.remove(target);
    }

    /// Targets to be resolved and dialled now.
    pub fn due(&mut self, now: Instant) -> Vec<String> {
        let mut due = Vec::new();
        for (name, target) in &mut self.targets {
            if matches!(target.phase, Phase::Waiting(at) if at <= now) {
                target.phase = Phase::Resolving;
                due.push(name.clone());
            }
        }
        due
    }

    /// A dial begins; false if the target was removed meanwhile.
    pub fn dialling(&mut self, target: &str, connection: ConnectionId) -> bool {
        match self.targets.get_mut(target) {
            Some(target) => {
                target.phase = Phase::Dialling(connection);
                true
            }
            None => false,
        }
    }

    /// The target that is dialled or connected by `connection`.
    pub fn target_of(&self, connection: ConnectionId) -> Option<String> {
        let (name, _) = self.targets.iter().find(|(_, target)| target.has(connection))?;
        Some(name.clone())
    }

    /// The peer at the target is connected already.
    pub fn covered(&mut self, target: &str, by: PeerId) {
        if let Some(known) = self.targets.get_mut(target) {
            known.phase = Phase::Covered(by);
            known.failures = 0;
            if !known.persistent {
                self.targets.remove(target);
            }
        }
    }

    /// The connection to the target is in use.
    pub fn used(&mut self, connection: ConnectionId) {
        for target in self.targets.values_mut().filter(|target| target.has(connection)) {
            target.phase = Phase::Open(connection);
            target.failures = 0;
        }
    }

    /// The last connection to a peer ended: targets it covered are dialled again.
    pub fn uncovered(&mut self, peer: &PeerId, now: Instant) {
        for target in self.targets.values_mut().filter(|target| target.phase == Phase::Covered(*peer)) {
            target.phase = Phase::Waiting(now + AT_ONCE);
        }
    }

    /// An attempt or connection ended. `jitter` is uniform in 0..1.
    pub fn ended(&mut self, target: &str, how: Ended, now: Instant, jitter: f64) {
        let Some(known) = self.targets.get_mut(target) else {
            return;
        };
        if !known.persistent {
            self.targets.remove(target);
            return;
        }
        let pause = match how {
            Ended::Used(lived) => {
                known.short_uses = if lived < STEADY { known.short_uses.saturating_add(1) } else { 0 };
                if known.short_uses <= 1 { AT_ONCE } else { pause(known.short_uses - 1, LONGEST_PAUSE, jitter) }
            }
            Ended::Failed | Ended::Refused => {
                known.failures = known.failures.saturating_add(1);
                let longest = if how == Ended::Refused { REFUSED_PAUSE } else { LONGEST_PAUSE };
                pause(known.failures, longest, jitter)
            }
        };
        known.phase = Phase::Waiting(now + pause);
    }

    /// The hosts that are kept connected.
    pub fn added(&self) -> Vec<AddedNode> {
        let kept = self.targets.iter().filter(|(_, target)| target.persistent);
        kept.map(|(name, target)| AddedNode {
            target: name.clone(),
            connected: match target.phase {
                Phase::Waiting(_) | Phase::Resolving | Phase::Dialling(_) => false,
                Phase::Open(_) | Phase::Covered(_) => true,
            },
        })
        .collect()
    }
}

/// The pause after `failures` failures, a fifth more or less so that nodes do not dial in step.
fn pause(failures: u32, longest: Duration, jitter: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let pause = FIRST_PAUSE.saturating_mul(1 << doublings).min(longest);
    pause.mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDDLE: f64 = 0.5;

    fn connection(number: usize) -> ConnectionId {
        ConnectionId::new_unchecked(number)
    }

    #[test]
    fn the_pause_doubles_up_to_a_minute() {
        let seconds: Vec<u64> = (1..=8).map(|n| pause(n, LONGEST_PAUSE, MIDDLE).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pause(1, LONGEST_PAUSE, 0.0), Duration::from_millis(800));
        assert_eq!(pause(1, LONGEST_PAUSE, 1.0), Duration::from_millis(1_200));
    }

    #[test]
    fn a_kept_target_is_dialled_again_and_a_single_one_is_not() {
        let (mut dials, now) = (Dials::default(), Instant::now());
        assert!(dials.add("kept:1", true, now));
        assert!(dials.add("once:1", false, now));
        assert_eq!(dials.due(now).len(), 2);
        for target in ["kept:1", "once:1"] {
            dials.ended(target, Ended::Failed, now, MIDDLE);
        }
        assert!(dials.due(now).is_empty());
        assert_eq!(dials.due(now + Duration::from_secs(1)), ["kept:1"]);
    }

    #[test]
    fn after_a_good_connection_the_dialler_comes_back_at_once() {
        let (mut dials, now) = (Dials::default(), Instant::now());
        dials.add("a:1", true, now);
        dials.ended("a:1", Ended::Failed, now, MIDDLE);
        dials.due(now + Duration::from_secs(2));
        assert!(dials.dialling("a:1", connection(1)));
        assert!(!dials.dialling("b:1", connection(2)));
        assert_eq!(dials.target_of(connection(1)).as_deref(), Some("a:1"));
        dials.used(connection(1));
        dials.ended("a:1", Ended::Used(Duration::from_secs(60)), now, MIDDLE);
        assert_eq!(dials.due(now + AT_ONCE), ["a:1"]);
    }

    #[test]
    fn connections_that_end_again_and_again_are_dialled_ever_more_slowly() {
        let (mut dials, now) = (Dials::default(), Instant::now());
        dials.add("a:1", true, now);
        for _ in 0..3 {
            dials.ended("a:1", Ended::Used(Duration::from_millis(5)), now, MIDDLE);
        }
        assert!(dials.due(now + Duration::from_millis(1_900)).is_empty());
        assert_eq!(dials.due(now + Duration::from_secs(2)), ["a:1"]);
    }

    #[test]
    fn a_refused_dialler_asks_again_within_twelve_seconds() {
        let (mut dials, now) = (Dials::default(), Instant::now());
        dials.add("a:1", true, now);
        for _ in 0..20 {
            dials.ended("a:1", Ended::Refused, now, 1.0);
        }
        assert_eq!(dials.due(now + Duration::from_secs(12)), ["a:1"]);
    }

    #[test]
    fn a_target_whose_peer_is_connected_otherwise_waits_until_that_ends() {
        let (mut dials, now) = (Dials::default(), Instant::now());
        let peer = crate::identity::alias(crate::peer::PeerHandle(1));
        dials.add("a:1", true, now);
        dials.due(now);
        dials.covered("a:1", peer);
        assert!(dials.due(now + Duration::from_secs(3_600)).is_empty());
        assert!(dials.added().iter().all(|node| node.connected));
        dials.uncovered(&peer, now);
        assert_eq!(dials.due(now + AT_ONCE), ["a:1"]);
    }

    #[test]
    fn the_list_of_targets_is_bounded() {
        let (mut dials, now) = (Dials::default(), Instant::now());
        for n in 0..MAX_TARGETS {
            assert!(dials.add(&format!("a:{n}"), true, now));
        }
        assert!(!dials.add("b:1", true, now));
        assert!(dials.add("a:1", true, now));
    }
}
