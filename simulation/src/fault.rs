//! Faults of nodes and of the network: islands, crashes, wrong clocks, ends of connections; and healing.

use rota_chain::lock::KeyHash;
use rota_p2p::PeerHandle;

use crate::byzantine::{ACTS, Byzantine};
use crate::plan::{NetworkFaults, Sabotage};
use crate::world::{Due, SECOND, World};

/// Milliseconds that a wrong clock is off at most: ten minutes.
const SKEW: u64 = 600_000;
/// Longest time, in seconds, until two islands notice that connections between them carry nothing: two pings.
const NOTICE: u64 = 40;

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The network falls into islands.
    Partition,
    /// The islands are one again.
    Join,
    /// A node ends as by `kill -9`, or with a power cut.
    Crash,
    /// A node starts again.
    Restart(usize),
    /// A clock jumps.
    Skew,
    /// A clock is set right.
    SetRight(usize),
    /// A connection ends.
    Disconnect,
    /// Who may mine is changed.
    Grant,
}

impl World {
    /// Lets faults come at random times within the next `length` microseconds, as many as the plan says.
    pub fn schedule_faults(&mut self, length: u64) {
        let plan = self.plan.faults;
        let kinds = [
            (Fault::Partition, plan.partitions),
            (Fault::Crash, plan.crashes),
            (Fault::Skew, plan.skews),
            (Fault::Disconnect, plan.disconnections),
            (Fault::Grant, plan.grants),
        ];
        for (fault, count) in kinds {
            for _ in 0..count {
                let at = self.fate.below(length);
                self.after(at, Due::Fault(fault));
            }
        }
        let evil = self.plan.miners - 1;
        if self.plan.byzantine {
            if let Some(node) = self.nodes.get_mut(evil) {
                node.byzantine = Some(Byzantine::default());
            }
            for _ in 0..plan.byzantine {
                let at = self.fate.below(length);
                let act = self.fate.pick(ACTS).copied();
                if let Some(act) = act {
                    self.after(at, Due::Act { node: evil, act });
                }
            }
        }
    }

    /// A fault happens.
    ///
    /// # Errors
    /// If a node cannot be set up.
    pub fn fault(&mut self, fault: Fault) -> anyhow::Result<()> {
        if !self.chaos {
            return Ok(());
        }
        match fault {
            Fault::Partition => {
                let islands = self.fate.between(2, 3);
                for index in 0..self.nodes.len() {
                    let island = self.fate.index(usize::try_from(islands).unwrap_or(2));
                    if let Some(place) = self.islands.get_mut(index) {
                        *place = island;
                    }
                }
                self.checks.counts.partitions += 1;
                self.part();
                let pause = self.fate.between(self.block_time(), self.block_time() * 8);
                self.after(pause, Due::Fault(Fault::Join));
            }
            Fault::Join => self.islands.fill(0),
            Fault::Crash => {
                let index = self.fate.index(self.nodes.len());
                if self.running(index).is_some() {
                    self.fall(index)?;
                }
            }
            Fault::Restart(index) => {
                if self.running(index).is_none() {
                    self.checks.counts.restarts += 1;
                    self.start(index)?;
                }
            }
            Fault::Skew => self.skew(),
            Fault::SetRight(index) => self.set_right(index),
            Fault::Disconnect => {
                let all: Vec<PeerHandle> = self.connections.keys().copied().collect();
                if let Some(handle) = self.fate.pick(&all).copied() {
                    self.close(handle)?;
                }
            }
            Fault::Grant => self.change_miners()?,
        }
        Ok(())
    }

    /// Connections between islands end once somebody notices.
    pub fn part(&mut self) {
        let islands = self.islands.clone();
        self.note(0, b"part", || format!("islands: {islands:?}"));
        let parted = |(_, connection): &(&PeerHandle, &crate::peer::Connection)| {
            islands.get(connection.ends.0) != islands.get(connection.ends.1)
        };
        let ended: Vec<PeerHandle> = self.connections.iter().filter(parted).map(|(handle, _)| *handle).collect();
        for connection in ended {
            let notice = self.fate.between(0, NOTICE * SECOND);
            self.after(notice, Due::Close { connection });
        }
    }

    /// A node falls: at once, or within the next writes of its database; sometimes the power goes with it.
    fn fall(&mut self, index: usize) -> anyhow::Result<()> {
        if self.fate.chance(500) {
            let writes = self.fate.below(4);
            if let Some(node) = self.nodes.get(index) {
                node.stop_writing_after(writes);
            }
            return Ok(());
        }
        let power = self.fate.chance(500);
        self.crash(index, power)
    }

    /// A node ends now and starts again later.
    ///
    /// # Errors
    /// If its files cannot be cut.
    pub fn crash(&mut self, index: usize, power: bool) -> anyhow::Result<()> {
        self.down(index, power)?;
        let pause = self.fate.between(SECOND, self.block_time() * 3);
        self.after(pause, Due::Fault(Fault::Restart(index)));
        Ok(())
    }

    /// A node ends now: its peers notice.
    ///
    /// # Errors
    /// If its files cannot be cut.
    pub fn down(&mut self, index: usize, power: bool) -> anyhow::Result<()> {
        self.note(index, b"crash", || if power { "loses power".to_owned() } else { "is killed".to_owned() });
        let Some(node) = self.nodes.get_mut(index) else { return Ok(()) };
        if power {
            self.checks.counts.power_cuts += 1;
            node.lose_power()?;
        } else {
            node.kill();
            if self.plan.sabotage == Some(Sabotage::NoJournal) {
                node.lose_journal()?;
            }
        }
        let of_node = |(_, connection): &(&PeerHandle, &crate::peer::Connection)| {
            connection.ends.0 == index || connection.ends.1 == index
        };
        let ended: Vec<PeerHandle> = self.connections.iter().filter(of_node).map(|(handle, _)| *handle).collect();
        for connection in ended {
            let notice = if power { self.fate.below(NOTICE * SECOND) } else { self.fate.below(SECOND) };
            self.after(notice, Due::Close { connection });
        }
        Ok(())
    }

    /// One clock, of a minority of them, jumps for a while.
    fn skew(&mut self) {
        let wrong = self.nodes.iter().filter(|node| node.skew != 0).count();
        if (wrong + 1) * 4 > self.nodes.len().max(4) {
            return;
        }
        let index = self.fate.index(self.nodes.len());
        let off = i64::try_from(self.fate.below(2 * SKEW + 1)).unwrap_or(0) - i64::try_from(SKEW).unwrap_or(0);
        let pause = self.fate.between(self.block_time() * 2, self.block_time() * 10);
        if let Some(node) = self.nodes.get_mut(index) {
            node.skew = off;
        }
        self.checks.counts.skews += 1;
        self.note(index, b"skew", || format!("has its clock off by {off} ms"));
        self.after(pause, Due::Fault(Fault::SetRight(index)));
    }

    fn set_right(&mut self, index: usize) {
        if let Some(node) = self.nodes.get_mut(index) {
            node.skew = 0;
        }
        self.note(index, b"skew", || "has its clock right".to_owned());
    }

    /// Ends all faults: the network carries everything soon, all nodes run, all clocks are right, all miners keep to
    /// the rules.
    ///
    /// # Errors
    /// If a node cannot be set up.
    pub fn heal(&mut self) -> anyhow::Result<()> {
        self.note(0, b"heal", || "everything heals".to_owned());
        self.chaos = false;
        self.islands.fill(0);
        self.network = NetworkFaults { delay: self.plan.network.delay.min(100_000), ..NetworkFaults::default() };
        match self.plan.sabotage {
            Some(Sabotage::NoNetwork) => self.network.drop = 1_000,
            Some(Sabotage::NoMining) => self.let_mine(false),
            _ => {}
        }
        // A connection that lost messages in a partition ends sooner or later; here at once.
        let all: Vec<PeerHandle> = self.connections.keys().copied().collect();
        for handle in all {
            self.close(handle)?;
        }
        for index in 0..self.nodes.len() {
            if self.nodes.get(index).is_some_and(|node| node.skew != 0) {
                self.set_right(index);
            }
            if self.withholds(index) {
                self.release(index)?;
            }
            let stopped = self.nodes.get_mut(index).is_some_and(|node| {
                let dead = node.stopped_writing();
                node.write_again();
                node.running.is_some() && dead
            });
            if stopped {
                self.down(index, false)?;
            }
            if self.running(index).is_none() {
                self.checks.counts.restarts += 1;
                self.start(index)?;
            }
        }
        Ok(())
    }

    /// The addresses that may mine after the tip of a node, as the checks count them.
    #[must_use]
    pub fn permitted_at(&self, node: usize) -> Vec<KeyHash> {
        let tip = self.nodes.get(node).and_then(crate::node::Node::tip);
        let rotation = tip.and_then(|(_, hash)| self.checks.rotation(&hash));
        rotation.map_or_else(Vec::new, |rotation| rotation.permitted.iter().copied().collect())
    }
}
