//! Counting how often a point was reached, and ending the process when its turn has come.

use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{LAST_WORDS, Point, VARIABLE};

struct Target {
    point: Point,
    turn: u64,
}

static TARGET: OnceLock<Result<Option<Target>, String>> = OnceLock::new();
static HITS: AtomicU64 = AtomicU64::new(0);

fn target() -> &'static Result<Option<Target>, String> {
    TARGET.get_or_init(|| match std::env::var(VARIABLE) {
        Ok(text) => read(&text).map(Some).map_err(|error| format!("{VARIABLE}={text}: {error}")),
        Err(_) => Ok(None),
    })
}

fn read(text: &str) -> Result<Target, String> {
    let (name, turn) = text.split_once(':').unwrap_or((text, "1"));
    let turn = turn.parse().ok().filter(|turn| *turn > 0);
    Ok(Target { point: name.parse()?, turn: turn.ok_or("the time it is reached is a number from 1 on")? })
}

pub fn arm() -> Result<(), String> {
    target().as_ref().map(drop).map_err(String::clone)
}

pub fn reached(point: Point) {
    let Ok(Some(target)) = target() else { return };
    if target.point != point || HITS.fetch_add(1, Ordering::Relaxed) + 1 != target.turn {
        return;
    }
    let words = format!("{LAST_WORDS}{} at its turn {}\n", point.name(), target.turn);
    // Nobody may be there to read them; the end comes all the same.
    let _ = std::io::stderr().write_all(words.as_bytes());
    let _ = kill(Pid::this(), Signal::SIGKILL);
    loop {
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_named_with_its_turn() {
        assert!(read("tip-moved:3").is_ok_and(|target| target.point == Point::TipMoved && target.turn == 3));
        assert!(read("tip-moved").is_ok_and(|target| target.turn == 1));
        for bad in ["", "tip", "tip-moved:0", "tip-moved:x"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
