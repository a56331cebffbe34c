//! Running in the background: the start command starts itself again, relays what that says until it is ready, and
//! ends with its outcome.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, ExitCode, Stdio};

use crate::console::{DETACH_LINE, say};

/// Environment variable that tells a process it was started by the start command.
const MARK: &str = "ROTA_BACKGROUND";

/// Whether this process is the one in the background.
pub fn is_background() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Leaves the terminal's session, so that closing it does not end the node.
pub fn leave_session() {
    if is_background() {
        // Fails if this process leads a group already: then it has left.
        let _ = nix::unistd::setsid();
    }
}

/// Tells the start command that all was said, and lets go of its terminal or pipes: whoever reads them to their end
/// would wait as long as the node runs.
pub fn detach() {
    if !is_background() {
        return;
    }
    say(DETACH_LINE);
    let let_go = || -> std::io::Result<()> {
        let nowhere = std::fs::File::options().write(true).open("/dev/null")?;
        nix::unistd::dup2_stdout(&nowhere)?;
        nix::unistd::dup2_stderr(&nowhere)?;
        Ok(())
    };
    if let Err(error) = let_go() {
        tracing::warn!(%error, "the output of the start command stays open");
    }
}

/// Starts this program again in the background and waits until it is ready or has failed.
pub fn start() -> anyhow::Result<ExitCode> {
    let program = std::env::current_exe()?;
    let mut child = Command::new(program)
        .args(std::env::args_os().skip(1))
        .env(MARK, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let out = child.stdout.take().ok_or_else(|| anyhow::anyhow!("no output of the background process"))?;
    for line in BufReader::new(out).lines() {
        let line = line?;
        if line == DETACH_LINE {
            return Ok(ExitCode::SUCCESS);
        }
        say(&line);
    }
    let status = child.wait()?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}
