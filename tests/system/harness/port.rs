//! Free TCP ports on 127.0.0.1, below the range the kernel hands to outgoing connections.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Lowest port given out; the range ends where Linux' ephemeral ports begin (32768).
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port nobody listens on now and that this process has not given out before.
pub fn free() -> u16 {
    let start = u16::try_from(std::process::id() % u32::from(COUNT)).expect("below COUNT");
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let offset = (u32::from(start) * 7 + u32::from(step)) % u32::from(COUNT);
        let port = FIRST + u16::try_from(offset).expect("below COUNT");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between {FIRST} and {}", FIRST + COUNT);
}

#[test]
fn two_free_ports_differ_and_can_be_bound() {
    let (first, second) = (free(), free());
    assert_ne!(first, second);
    TcpListener::bind((Ipv4Addr::LOCALHOST, first)).unwrap();
    TcpListener::bind((Ipv4Addr::LOCALHOST, second)).unwrap();
}
