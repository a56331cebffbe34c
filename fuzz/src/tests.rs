//! That every target has inputs and passes them, and that what must not happen is noticed when it does.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on may stop")]

use std::time::Duration;

use crate::corpus::stored;
use crate::random::Random;
use crate::target::{Target, targets};
use crate::trial::{Broken, attempt};

fn target(run: fn(&[u8]) -> u64) -> Target {
    Target { name: "planted", words: &[], run }
}

#[test]
fn every_target_passes_the_inputs_of_the_repository() {
    let mut broken = Vec::new();
    for target in targets() {
        let inputs = stored(target.name).unwrap();
        assert!(!inputs.is_empty(), "{} has no input", target.name);
        broken.extend(inputs.iter().filter_map(|input| Some((target.name, attempt(target, input).err()?))));
    }
    assert!(broken.is_empty(), "{broken:?}");
}

#[test]
fn every_target_reads_some_input_of_the_repository_through_to_its_end() {
    // An input that is refused at its first byte guides nobody: answers to a target's inputs differ from that to none.
    for target in targets() {
        let nothing = attempt(target, &[]).unwrap();
        let inputs = stored(target.name).unwrap();
        assert!(inputs.iter().any(|input| attempt(target, input) != Ok(nothing)), "{}", target.name);
    }
}

#[test]
fn a_panic_is_noticed() {
    let outcome = attempt(&target(|bytes| u64::from(bytes[3])), &[1]);
    assert!(matches!(&outcome, Err(Broken::Panic(text)) if text.contains("index out of bounds")), "{outcome:?}");
}

#[test]
fn memory_taken_on_a_length_alone_is_noticed() {
    let greedy = target(|bytes| {
        let length = u32::from_le_bytes(*bytes.first_chunk::<4>().unwrap());
        std::hint::black_box(Vec::<u8>::with_capacity(length as usize)).capacity() as u64
    });
    assert!(attempt(&greedy, &[0, 0, 1, 0]).is_ok());
    let outcome = attempt(&greedy, &[0, 0, 0, 64]);
    assert!(matches!(outcome, Err(Broken::Memory { got, .. }) if got >= 1 << 30), "{outcome:?}");
}

#[test]
fn a_decoder_that_takes_long_is_noticed() {
    let slow = target(|_| {
        std::thread::sleep(Duration::from_millis(2_100));
        0
    });
    assert!(matches!(attempt(&slow, &[]), Err(Broken::Time { .. })));
}

#[test]
fn the_same_seed_changes_an_input_in_the_same_way() {
    let change = |seed| crate::change::changed(b"some input", b"another", &["word"], &mut Random::new(seed));
    for seed in 0..1_000 {
        assert_eq!(change(seed), change(seed));
    }
    assert!((0..1_000).map(change).collect::<std::collections::HashSet<_>>().len() > 500);
}
