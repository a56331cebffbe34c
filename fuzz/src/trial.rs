//! One trial: a decoder is given an input, and what it promises is looked at: no panic, memory and time within bounds.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;

use crate::target::{Kind, Target};

/// Counts what is allocated, so that memory taken on a length alone is seen.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Memory any input may cost: the most a decoder takes before it has read what fills it, several lists deep.
const FREE_BYTES: usize = 1 << 20;
/// Memory each byte of an input may cost: the widest element in memory that one byte stands for.
const BYTES_PER_BYTE: usize = 1_024;
/// Longest trial. A decoder takes microseconds; the rest is for machines that do other things too.
const LONGEST: Duration = Duration::from_secs(2);

/// How often an input that took too long is tried again: a busy machine may have held up the first trial.
const AGAIN: usize = 3;

/// What a decoder did that it must not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It panicked, or a check of the target failed.
    #[error("panic: {0}")]
    Panic(String),
    /// It took too much memory.
    #[error("{got} bytes of memory for an input of {input}, the limit is {limit}")]
    Memory {
        /// Bytes taken at once.
        got: usize,
        /// Bytes of the input.
        input: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// It took too long.
    #[error("{got:?} for one input, the limit is {LONGEST:?}")]
    Time {
        /// The time taken.
        got: Duration,
    },
}

static ALONE: Mutex<()> = Mutex::new(());

thread_local! {
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Has panics of this process's trials noted instead of printed.
fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| SAID.with_borrow_mut(|said| *said = info.to_string())));
    });
}

/// Whether an input that did no harm takes too long again.
fn is_slow(target: &Target, input: &[u8]) -> bool {
    let begun = Instant::now();
    (target.run)(input);
    begun.elapsed() > LONGEST
}

/// Gives the input to the target.
///
/// # Errors
/// What it did that it must not.
pub fn attempt(target: &Target, input: &[u8]) -> Result<Kind, Broken> {
    quiet();
    // Memory is counted for the whole process.
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let begun = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let took = begun.elapsed();
    let got = MEMORY.peak_usage().saturating_sub(before);
    let limit = FREE_BYTES + input.len() * BYTES_PER_BYTE;
    match outcome {
        Err(_) => Err(Broken::Panic(SAID.take())),
        Ok(_) if got > limit => Err(Broken::Memory { got, input: input.len(), limit }),
        Ok(_) if took > LONGEST && (0..AGAIN).all(|_| is_slow(target, input)) => Err(Broken::Time { got: took }),
        Ok(kind) => Ok(kind),
    }
}
