//! `rota-torture`: real nodes are killed at any moment, ended at every crash point, and given damaged files; then they have
//! to be what they were. docs/reliability.md says what is promised.

mod answer;
mod command;
mod damage;
mod image;
mod kill;
mod load;
mod network;
mod node;
mod point;
mod progress;
mod random;

use std::process::ExitCode;

use command::{Command, HELP};

#[allow(clippy::print_stdout, reason = "this is a program for a person")]
fn main() -> anyhow::Result<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some(command) = Command::parse(&words)? else {
        println!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(async {
        match command {
            Command::Kill(plan) => kill::run(&plan).await,
            Command::Damage(plan) => damage::run(&plan).await,
        }
    });
    match outcome {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            println!("FAILED: {error:#}");
            Ok(ExitCode::FAILURE)
        }
    }
}
