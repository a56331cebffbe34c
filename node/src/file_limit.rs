//! How many files this process may have open: raised as far as the system lets it, and refused where that is too few to
//! keep databases, peers and callers going.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// More than both databases (256 each), block files (64), callers (512) and peers (125) open together.
const WANTED: u64 = 4_096;
/// What all these need at once: with fewer, callers could take a database the file that it has to write.
const LEAST: u64 = 1_280;

/// Raises the limit.
///
/// # Errors
/// A sentence that says what to do, if even the highest one is too low.
pub fn raise() -> anyhow::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let wanted = WANTED.min(hard);
    if soft < wanted {
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)?;
    }
    let limit = soft.max(wanted);
    anyhow::ensure!(
        limit >= LEAST,
        "this process may have {limit} files open, a node needs {LEAST} at least: raise the limit (ulimit -n, or LimitNOFILE \
         of its service)"
    );
    Ok(())
}
