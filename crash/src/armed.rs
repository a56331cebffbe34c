//! Counting how often a point was reached, and ending the process when its turn has come.

use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{LAST_WORDS, Point, Turn, VARIABLE};

static TURN: OnceLock<Result<Option<Turn>, String>> = OnceLock::new();
static HITS: AtomicU64 = AtomicU64::new(0);

fn turn() -> &'static Result<Option<Turn>, String> {
    TURN.get_or_init(|| match std::env::var(VARIABLE) {
        Ok(text) => text.parse().map(Some).map_err(|error| format!("{VARIABLE}={text}: {error}")),
        Err(_) => Ok(None),
    })
}

pub fn arm() -> Result<(), String> {
    turn().as_ref().map(drop).map_err(String::clone)
}

pub fn reached(point: Point) {
    let Ok(Some(turn)) = turn() else { return };
    if turn.point != point || HITS.fetch_add(1, Ordering::Relaxed) + 1 != turn.time {
        return;
    }
    let words = format!("{LAST_WORDS}{turn}\n");
    // Nobody may be there to read them; the end comes all the same.
    let _ = std::io::stderr().write_all(words.as_bytes());
    let _ = kill(Pid::this(), Signal::SIGKILL);
    loop {
        std::thread::park();
    }
}
