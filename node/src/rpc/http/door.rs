//! Who may hold a connection: how many there are at once, and which has to leave for a newcomer when all are taken.
//! A caller whose work is being done never has to; one that shows no credentials, or keeps the node waiting, may.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Most connections at once: half of the 1,024 descriptors a process usually may open, the rest being files and peers.
pub(super) const CONNECTION_LIMIT: usize = 512;

/// Most connections of addresses that may not call. They are answered 403, for which a moment is enough.
pub(super) const FOREIGN_LIMIT: usize = 16;

/// How long a connection may keep the node waiting before it can be sent away for a newcomer: a hundred round trips on a
/// near network.
const GRACE: Duration = Duration::from_secs(1);

/// Connections that found no place, told once a second at most: a flood of them must not fill the log.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<(u64, Option<Instant>)>);

impl Refusals {
    /// Counts one, and gives how many there were since the last time they were told, if that is a second ago.
    pub(super) fn due(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, told) = &mut *state;
        *count = count.saturating_add(1);
        let due = told.is_none_or(|told| told.elapsed() >= GRACE);
        due.then(|| {
            *told = Some(Instant::now());
            std::mem::take(count)
        })
    }
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Its address may not call.
    Foreign,
    /// No right credentials have come yet, or wrong ones after that.
    Stranger,
    /// The client is to send or to read.
    Waiting,
    /// A call runs, or a WebSocket is open.
    Busy,
}

/// One connection.
#[derive(Debug)]
struct Guest {
    ip: IpAddr,
    standing: Standing,
    since: Instant,
    leave: Arc<Notify>,
}

/// All connections.
#[derive(Debug)]
pub(super) struct Door {
    limit: usize,
    guests: Mutex<Guests>,
}

#[derive(Debug, Default)]
struct Guests {
    next: u64,
    inside: HashMap<u64, Guest>,
}

impl Door {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, guests: Mutex::default() }
    }

    fn guests(&self) -> MutexGuard<'_, Guests> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection, for which another one may have to leave; none if no other has to. A foreign one is of an
    /// address that may not call, and takes places of its own kind alone.
    pub(super) fn enter(self: &Arc<Self>, ip: IpAddr, foreign: bool) -> Option<Arc<Place>> {
        let (now, ip) = (Instant::now(), neighbourhood(ip));
        let mut guests = self.guests();
        let leaves = match foreign {
            true if guests.count(Standing::Foreign) >= FOREIGN_LIMIT => guests.oldest(Standing::Foreign),
            false if guests.inside.len() - guests.count(Standing::Foreign) >= self.limit => {
                Some(guests.dispensable(ip, now)?)
            }
            true | false => None,
        };
        if let Some(guest) = leaves.and_then(|number| guests.inside.remove(&number)) {
            guest.leave.notify_one();
        }
        let (number, leave) = (guests.next, Arc::new(Notify::new()));
        guests.next += 1;
        let standing = if foreign { Standing::Foreign } else { Standing::Stranger };
        guests.inside.insert(number, Guest { ip, standing, since: now, leave: Arc::clone(&leave) });
        Some(Arc::new(Place { door: Arc::clone(self), number, leave }))
    }
}

/// What counts as one address: of IPv6 a whole subnet, since who has one address there has them all.
fn neighbourhood(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(address) => IpAddr::from(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

impl Guests {
    fn count(&self, standing: Standing) -> usize {
        self.inside.values().filter(|guest| guest.standing == standing).count()
    }

    fn oldest(&self, standing: Standing) -> Option<u64> {
        let guests = self.inside.iter().filter(|(_, guest)| guest.standing == standing);
        guests.min_by_key(|(number, guest)| (guest.since, **number)).map(|(number, _)| *number)
    }

    /// Who leaves when all places are taken: the oldest stranger of the address with most of them, if the newcomer's has
    /// fewer; else the oldest stranger, else who has kept the node waiting longest, if their time is up.
    fn dispensable(&self, newcomer: IpAddr, now: Instant) -> Option<u64> {
        let mut strangers: HashMap<IpAddr, (usize, Instant, u64)> = HashMap::new();
        for (number, guest) in self.inside.iter().filter(|(_, guest)| guest.standing == Standing::Stranger) {
            let (count, since, oldest) = strangers.entry(guest.ip).or_insert((0, guest.since, *number));
            *count += 1;
            if (guest.since, *number) < (*since, *oldest) {
                (*since, *oldest) = (guest.since, *number);
            }
        }
        let own = strangers.get(&newcomer).map_or(0, |(count, ..)| *count);
        let crowd = strangers.values().max_by_key(|(count, since, _)| (*count, std::cmp::Reverse(*since)));
        if let Some((count, _, number)) = crowd
            && *count > own.saturating_add(1)
        {
            return Some(*number);
        }
        let late = |number: &u64| {
            self.inside.get(number).is_some_and(|guest| now.saturating_duration_since(guest.since) >= GRACE)
        };
        self.oldest(Standing::Stranger).filter(late).or_else(|| self.oldest(Standing::Waiting).filter(late))
    }
}

/// The place of one connection, which is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    door: Arc<Door>,
    number: u64,
    leave: Arc<Notify>,
}

impl Place {
    /// Ends when the connection has to leave.
    pub(super) async fn told_to_leave(&self) {
        self.leave.notified().await;
    }

    /// Right credentials came, or a reply is ready: the client is to send the rest, or to read.
    pub(super) fn waits(&self) {
        self.stand(Standing::Waiting);
    }

    /// Credentials were wrong. A stranger gains no time by that.
    pub(super) fn is_strange(&self) {
        if self.standing() != Some(Standing::Stranger) {
            self.stand(Standing::Stranger);
        }
    }

    /// A call begins.
    pub(super) fn is_busy(&self) {
        self.stand(Standing::Busy);
    }

    /// A good deal went to or came from the client: a transfer that goes on is no waiting.
    pub(super) fn moves(&self) {
        if self.standing() == Some(Standing::Waiting) {
            self.waits();
        }
    }

    fn standing(&self) -> Option<Standing> {
        self.door.guests().inside.get(&self.number).map(|guest| guest.standing)
    }

    fn stand(&self, standing: Standing) {
        if let Some(guest) = self.door.guests().inside.get_mut(&self.number) {
            (guest.standing, guest.since) = (standing, Instant::now());
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.door.guests().inside.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::{Door, FOREIGN_LIMIT, GRACE, Place};
    use std::net::IpAddr;
    use std::sync::Arc;

    const NEAR: &str = "127.0.0.1";

    fn enter(door: &Arc<Door>, ip: &str) -> Option<Arc<Place>> {
        door.enter(ip.parse::<IpAddr>().unwrap(), false)
    }

    fn is_inside(place: &Place) -> bool {
        place.standing().is_some()
    }

    /// Makes a guest look as if it had been there for the grace already.
    fn age(place: &Place) {
        let mut guests = place.door.guests();
        let guest = guests.inside.get_mut(&place.number).unwrap();
        guest.since = guest.since.checked_sub(GRACE).unwrap();
    }

    #[test]
    fn a_place_is_free_again_when_its_connection_is_gone() {
        let door = Arc::new(Door::new(1));
        let first = enter(&door, NEAR).unwrap();
        assert!(enter(&door, NEAR).is_none());
        drop(first);
        assert!(enter(&door, NEAR).is_some());
    }

    #[test]
    fn who_shows_no_credentials_leaves_for_a_newcomer_before_who_does_and_is_idle() {
        let door = Arc::new(Door::new(2));
        let (idle, stranger) = (enter(&door, NEAR).unwrap(), enter(&door, NEAR).unwrap());
        idle.waits();
        age(&idle);
        age(&stranger);
        let newcomer = enter(&door, NEAR).unwrap();
        assert!(!is_inside(&stranger) && is_inside(&idle) && is_inside(&newcomer));
        newcomer.is_busy();
        let another = enter(&door, NEAR).unwrap();
        assert!(!is_inside(&idle) && is_inside(&another));
    }

    #[test]
    fn who_has_a_call_running_never_has_to_leave() {
        let door = Arc::new(Door::new(1));
        let busy = enter(&door, NEAR).unwrap();
        busy.is_busy();
        age(&busy);
        assert!(enter(&door, NEAR).is_none() && enter(&door, "10.0.0.1").is_none());
        assert!(is_inside(&busy));
    }

    #[test]
    fn an_address_that_crowds_in_does_not_keep_another_one_out() {
        let door = Arc::new(Door::new(4));
        let crowd: Vec<_> = (0..4).map(|_| enter(&door, "10.0.0.1").unwrap()).collect();
        assert!(enter(&door, "10.0.0.1").is_none(), "all of them have just come");
        let honest = enter(&door, "10.0.0.2").unwrap();
        assert!(is_inside(&honest) && !is_inside(&crowd[0]));
        assert_eq!(crowd.iter().filter(|place| is_inside(place)).count(), 3);
    }

    #[test]
    fn all_addresses_of_a_subnet_of_ipv6_are_one_crowd() {
        let door = Arc::new(Door::new(3));
        let crowd: Vec<_> = (1..=3).map(|last| enter(&door, &format!("2001:db8::{last}")).unwrap()).collect();
        assert!(enter(&door, "2001:db8::4").is_none() && enter(&door, "2001:db8:0:1::1").is_some());
        assert!(!is_inside(&crowd[0]));
    }

    #[test]
    fn wrong_credentials_gain_no_time_and_a_transfer_that_goes_on_does() {
        let door = Arc::new(Door::new(1));
        let guesser = enter(&door, NEAR).unwrap();
        age(&guesser);
        guesser.is_strange();
        assert!(enter(&door, NEAR).is_some_and(|_| !is_inside(&guesser)));
        let reader = enter(&door, NEAR).unwrap();
        reader.waits();
        age(&reader);
        reader.moves();
        assert!(enter(&door, NEAR).is_none() && is_inside(&reader));
        let trickle = Arc::new(Door::new(1));
        let stranger = enter(&trickle, NEAR).unwrap();
        age(&stranger);
        stranger.moves();
        assert!(enter(&trickle, NEAR).is_some_and(|_| !is_inside(&stranger)), "bytes are no credentials");
    }

    #[test]
    fn addresses_that_may_not_call_take_places_of_each_other_alone() {
        let door = Arc::new(Door::new(1));
        let caller = enter(&door, NEAR).unwrap();
        let far: IpAddr = "192.0.2.1".parse().unwrap();
        let foreign: Vec<_> = (0..=FOREIGN_LIMIT).map(|_| door.enter(far, true).unwrap()).collect();
        assert!(!is_inside(&foreign[0]) && foreign[1..].iter().all(|place| is_inside(place)));
        assert!(is_inside(&caller));
        drop(caller);
        assert!(enter(&door, NEAR).is_some());
    }
}
