//! Who misbehaved, and what follows: an address stays out for a while that doubles each time, a host may connect only
//! now and then. So an offender that comes back at once costs the node no more than a refusal. See docs/protocol/peer.md.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use rota_chain::lock::KeyHash;

use crate::limit::{
    HOST_BURST, HOST_CAUTION, HOST_PAUSE, LONGEST_SHUT_OUT, MAX_KNOWN_HOSTS, MAX_OFFENDERS, OFFENCES_FORGOTTEN,
    SHUT_OUT,
};

/// An address that misbehaved.
#[derive(Debug, Clone, Copy)]
struct Shut {
    times: u32,
    last: Instant,
    until: Instant,
}

/// A host from which misbehaviour came.
#[derive(Debug, Clone, Copy)]
struct Watched {
    last: Instant,
    /// Up to when its connections are paid for; may lie ahead by a burst.
    paid: Instant,
}

/// The offenders that are remembered. In memory: a start forgets.
#[derive(Debug, Default)]
pub(crate) struct Offenders {
    addresses: HashMap<KeyHash, Shut>,
    hosts: HashMap<IpAddr, Watched>,
}

impl Offenders {
    /// Notes an offence; gives how long the address stays out.
    pub fn note(&mut self, host: IpAddr, address: KeyHash, now: Instant) -> Duration {
        let known = self.addresses.get(&address);
        let known = known.filter(|shut| now.saturating_duration_since(shut.last) < OFFENCES_FORGOTTEN);
        let times = known.map_or(1, |shut| shut.times.saturating_add(1));
        let time = SHUT_OUT.saturating_mul(1 << (times - 1).min(16)).min(LONGEST_SHUT_OUT);
        make_room(&mut self.addresses, &address, MAX_OFFENDERS, |shut| shut.last);
        self.addresses.insert(address, Shut { times, last: now, until: now + time });
        let host = network(host);
        make_room(&mut self.hosts, &host, MAX_OFFENDERS, |watched| watched.last);
        self.hosts.entry(host).or_insert(Watched { last: now, paid: now }).last = now;
        time
    }

    /// Whether an address stays out.
    pub fn shuts_out(&self, address: &KeyHash, now: Instant) -> bool {
        self.addresses.get(address).is_some_and(|shut| shut.until > now)
    }

    /// Whether a host may open another connection now; if so, it counts.
    pub fn admits(&mut self, host: &IpAddr, now: Instant) -> bool {
        let host = network(*host);
        let Some(watched) = self.hosts.get_mut(&host) else { return true };
        if now.saturating_duration_since(watched.last) >= HOST_CAUTION {
            self.hosts.remove(&host);
            return true;
        }
        let paid = watched.paid.max(now) + HOST_PAUSE;
        if paid.saturating_duration_since(now) > HOST_PAUSE * HOST_BURST {
            return false;
        }
        watched.paid = paid;
        true
    }

    /// Forgets an address' offences: the operator lets it in again.
    pub fn forgive(&mut self, address: &KeyHash) {
        self.addresses.remove(address);
    }

    /// Forgets a host's offences.
    pub fn forgive_host(&mut self, host: &IpAddr) {
        self.hosts.remove(&network(*host));
    }
}

/// Hosts from which members came, the latest first to stay: what strangers do at the door does not keep them out.
#[derive(Debug, Default)]
pub(crate) struct KnownHosts(HashMap<IpAddr, Instant>);

impl KnownHosts {
    /// A member came from this host.
    pub fn add(&mut self, host: IpAddr, now: Instant) {
        let host = network(host);
        make_room(&mut self.0, &host, MAX_KNOWN_HOSTS, |met| *met);
        self.0.insert(host, now);
    }

    /// Whether a member came from it.
    pub fn holds(&self, host: &IpAddr) -> bool {
        self.0.contains_key(&network(*host))
    }
}

/// What one host may choose its addresses from: itself, or 64 bits of IPv6.
pub(crate) fn network(host: IpAddr) -> IpAddr {
    match host.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
        ip => ip,
    }
}

/// Drops the entry that is oldest where there is no room for another.
fn make_room<K: Copy + Eq + Hash, V>(map: &mut HashMap<K, V>, key: &K, most: usize, last: impl Fn(&V) -> Instant) {
    if map.len() >= most && !map.contains_key(key) {
        let oldest = map.iter().min_by_key(|(_, value)| last(value)).map(|(key, _)| *key);
        oldest.map(|oldest| map.remove(&oldest));
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const OFFENDER: KeyHash = KeyHash([1; 20]);

    #[test]
    fn an_offender_stays_out_ever_longer_and_is_let_in_again() {
        let (mut offenders, now) = (Offenders::default(), Instant::now());
        assert!(!offenders.shuts_out(&OFFENDER, now));
        let times: Vec<u64> = (0..11).map(|_| offenders.note(HOST, OFFENDER, now).as_secs()).collect();
        assert_eq!(times, [10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 3_600, 3_600]);
        assert!(offenders.shuts_out(&OFFENDER, now + LONGEST_SHUT_OUT - Duration::from_secs(1)));
        assert!(!offenders.shuts_out(&OFFENDER, now + LONGEST_SHUT_OUT));
        let later = now + OFFENCES_FORGOTTEN;
        assert_eq!(offenders.note(HOST, OFFENDER, later), SHUT_OUT);
    }

    #[test]
    fn a_host_that_offended_may_connect_now_and_then_and_others_as_they_like() {
        let (mut offenders, now) = (Offenders::default(), Instant::now());
        offenders.note(HOST, OFFENDER, now);
        let burst = (0..100).filter(|_| offenders.admits(&HOST, now)).count();
        assert_eq!(burst, HOST_BURST as usize);
        assert!(offenders.admits(&HOST, now + HOST_PAUSE));
        assert!(!offenders.admits(&HOST, now + HOST_PAUSE));
        let other = IpAddr::from([127, 0, 0, 2]);
        assert_eq!((0..100).filter(|_| offenders.admits(&other, now)).count(), 100);
        let later = now + HOST_CAUTION;
        assert_eq!((0..100).filter(|_| offenders.admits(&HOST, later)).count(), 100);
    }

    #[test]
    fn a_host_of_ipv6_is_its_network() {
        let (mut offenders, now) = (Offenders::default(), Instant::now());
        let host = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        offenders.note(host(1), OFFENDER, now);
        assert!((0..100).filter(|n| offenders.admits(&host(*n), now)).count() < 100);
    }

    #[test]
    fn the_lists_of_offenders_are_bounded() {
        let (mut offenders, now) = (Offenders::default(), Instant::now());
        for n in 0..=u32::try_from(MAX_OFFENDERS).unwrap_or(u32::MAX) {
            let mut address = [0; 20];
            address[..4].copy_from_slice(&n.to_be_bytes());
            offenders.note(Ipv4Addr::from_bits(n).into(), KeyHash(address), now + Duration::from_millis(n.into()));
        }
        assert_eq!((offenders.addresses.len(), offenders.hosts.len()), (MAX_OFFENDERS, MAX_OFFENDERS));
        assert!(!offenders.shuts_out(&KeyHash([0; 20]), now));
    }
}
