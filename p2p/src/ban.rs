//! Bans: hosts and addresses that are refused until a time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

use rota_chain::lock::KeyHash;

use crate::limit::MAX_BANS;

/// Who is banned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Banned {
    /// Every peer at this IP address.
    Host(IpAddr),
    /// The peer with this address, wherever it is.
    Address(KeyHash),
}

/// The bans that hold. They live in memory; the node repeats them after a start.
#[derive(Debug, Default)]
pub(crate) struct Bans(HashMap<Banned, Instant>);

impl Bans {
    /// Bans until `end`; of too many, the first to end gives way.
    pub fn add(&mut self, who: Banned, end: Instant) {
        if self.0.len() >= MAX_BANS && !self.0.contains_key(&who) {
            let first = self.0.iter().min_by_key(|(_, end)| **end).map(|(who, _)| *who);
            first.map(|first| self.0.remove(&first));
        }
        self.0.insert(who, end);
    }

    /// Ends a ban.
    pub fn remove(&mut self, who: &Banned) {
        self.0.remove(who);
    }

    /// Whether a peer is banned now.
    pub fn holds(&self, host: &IpAddr, address: Option<&KeyHash>, now: Instant) -> bool {
        let holds = |who: Banned| self.0.get(&who).is_some_and(|end| *end > now);
        holds(Banned::Host(*host)) || address.is_some_and(|address| holds(Banned::Address(*address)))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_ban_ends_at_its_time() {
        let (mut bans, now) = (Bans::default(), Instant::now());
        let host = IpAddr::from(Ipv4Addr::LOCALHOST);
        bans.add(Banned::Host(host), now + Duration::from_secs(10));
        assert!(bans.holds(&host, None, now));
        assert!(!bans.holds(&host, None, now + Duration::from_secs(10)));
    }

    #[test]
    fn the_list_of_bans_is_bounded() {
        let (mut bans, now) = (Bans::default(), Instant::now());
        let host = |n: usize| IpAddr::from(Ipv4Addr::from(u32::try_from(n).unwrap_or_default()));
        for n in 0..=MAX_BANS {
            bans.add(Banned::Host(host(n)), now + Duration::from_secs(1 + n as u64));
        }
        assert!(!bans.holds(&host(0), None, now));
        assert!(bans.holds(&host(1), None, now));
        assert!(bans.holds(&host(MAX_BANS), None, now));
    }
}
