//! How many files this process may have open: raised as far as the system lets it, and refused where that is too few to
//! keep the databases, peers and callers of its chains going.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// More than a chain's databases (256 each), block files (64), callers (512) and peers (125) open together.
const WANTED: u64 = 4_096;
/// What all these need at once, for each chain: with fewer, callers could take a database the file that it has to write.
const LEAST: u64 = 1_280;

/// Raises the limit, for so many chains.
///
/// # Errors
/// A sentence that says what to do, if even the highest one is too low.
pub fn raise(chains: usize) -> anyhow::Result<()> {
    let chains = u64::try_from(chains)?;
    let (most, least) = (WANTED * chains, LEAST * chains);
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let wanted = most.min(hard);
    if soft < wanted {
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)?;
    }
    let limit = soft.max(wanted);
    anyhow::ensure!(
        limit >= least,
        "this process may have {limit} files open, {} {least} at least: raise the limit (ulimit -n, or LimitNOFILE of its \
         service)",
        if chains == 1 { "a node needs".to_owned() } else { format!("{chains} chains need") }
    );
    Ok(())
}
