//! The gate's judgement, without a network.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

use std::time::Duration;

use super::*;
use crate::ban::Banned;
use crate::identity::PeerKey;

fn peer(secret: u8) -> PeerId {
    PeerKey::from_secret([secret; 32]).unwrap().peer_id()
}

fn address(secret: u8) -> KeyHash {
    PeerKey::from_secret([secret; 32]).unwrap().address()
}

fn place(host: u8) -> Multiaddr {
    format!("/ip4/10.0.0.{host}/tcp/1000").parse().unwrap()
}

fn table(permitted: &[u8], behind: bool) -> Table {
    let permitted = permitted.iter().map(|secret| address(*secret)).collect();
    let rules = GateRules { permitted: Permitted::Listed(Arc::new(permitted)), behind };
    Table { rules, ..Table::default() }
}

fn admit(table: &mut Table, number: usize, secret: u8, host: u8, inbound: bool) -> Result<Admission, GateError> {
    let connection = ConnectionId::new_unchecked(number);
    table.admit(connection, &peer(secret), &place(host), inbound)?;
    Ok(table.entry(connection).unwrap().admission)
}

#[test]
fn a_permitted_peer_is_let_in_and_an_unknown_one_waits_on_the_porch() {
    let mut table = table(&[1], false);
    assert_eq!(admit(&mut table, 1, 1, 1, true), Ok(Admission::Full));
    assert_eq!(admit(&mut table, 2, 2, 1, true), Ok(Admission::Porch));
}

#[test]
fn an_unknown_peer_that_we_dialled_may_show_us_headers() {
    let mut table = table(&[], false);
    assert_eq!(admit(&mut table, 1, 2, 1, false), Ok(Admission::Sync));
}

#[test]
fn a_node_behind_takes_a_few_unknown_inbound_peers_to_sync() {
    let mut table = table(&[], true);
    for number in 0..UNKNOWN_INBOUND {
        assert_eq!(admit(&mut table, number, 2, 1, true), Ok(Admission::Sync));
    }
    assert_eq!(admit(&mut table, 99, 2, 1, true), Ok(Admission::Porch));
}

#[test]
fn the_porch_is_bounded_for_each_host_and_in_all() {
    let mut table = table(&[1], false);
    for number in 0..UNPERMITTED_PER_HOST {
        assert!(admit(&mut table, number, 2, 1, true).is_ok());
    }
    assert_eq!(admit(&mut table, 100, 2, 1, true), Err(GateError::Unpermitted));
    assert_eq!(admit(&mut table, 101, 1, 1, true), Ok(Admission::Full));
    let mut refused = 0;
    for number in 0..UNPERMITTED_TOTAL {
        let host = u8::try_from(2 + number).unwrap();
        refused += usize::from(admit(&mut table, 200 + number, 2, host, true).is_err());
    }
    assert_eq!(refused, UNPERMITTED_PER_HOST);
}

#[test]
fn a_banned_address_or_host_is_refused_until_the_ban_ends() {
    let mut table = table(&[1], false);
    let now = Instant::now();
    table.bans.add(Banned::Address(address(1)), now + Duration::from_secs(60));
    table.bans.add(Banned::Host("10.0.0.9".parse().unwrap()), now + Duration::from_secs(60));
    assert_eq!(admit(&mut table, 1, 1, 1, true), Err(GateError::Banned));
    assert_eq!(admit(&mut table, 2, 3, 9, true), Err(GateError::Banned));
    table.bans.remove(&Banned::Address(address(1)));
    assert_eq!(admit(&mut table, 3, 1, 1, true), Ok(Admission::Full));
}

#[test]
fn a_peer_without_a_secp256k1_key_is_refused() {
    let mut table = table(&[1], false);
    let strange = crate::identity::alias(PeerHandle(1));
    let refused = table.admit(ConnectionId::new_unchecked(1), &strange, &place(1), true);
    assert_eq!(refused, Err(GateError::KeyType));
}

#[test]
fn one_host_opens_only_so_many_connections_at_once() {
    let mut gate = Gate::new(SharedTable::default());
    for number in 0..PENDING_PER_HOST {
        let id = ConnectionId::new_unchecked(number);
        assert!(gate.handle_pending_inbound_connection(id, &place(9), &place(1)).is_ok());
    }
    let id = ConnectionId::new_unchecked(500);
    assert!(gate.handle_pending_inbound_connection(id, &place(9), &place(1)).is_err());
    assert!(gate.handle_pending_inbound_connection(id, &place(9), &place(2)).is_ok());
}
