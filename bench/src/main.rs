//! rota-bench: a load generator for any node with this JSON-RPC API, and its reports. This file reads the
//! command line and prints; the work is in `load`.

mod arguments;
mod calibrate;
mod caller;
mod connection;
mod contended;
mod fill;
mod histogram;
mod interleave;
mod list;
mod load;
mod machine;
mod network;
mod node;
mod outcome;
mod probe;
mod propagation;
mod publish;
mod report;
mod restart;
mod send;
mod series;
mod soak;
mod sync;
mod sync_count;
mod workload;

use std::process::ExitCode;

use arguments::{Command, Turns};

#[allow(clippy::print_stdout, reason = "a report on the console is what this program is for")]
fn main() -> ExitCode {
    match run() {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("rota-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<String> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let order = arguments::read(&words)?;
    if let Some(folder) = &order.output.results {
        // Before hours of measuring rather than behind them.
        machine::commit(folder)?;
    }
    // One thread drives every client: it writes prepared bytes, and leaves the other cores to the node.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = match &order.command {
        Command::Help => return Ok(arguments::HELP.trim_end().to_owned()),
        Command::Calibrate(folder) => calibrate::measure(folder)?.outcome(),
        Command::Run(plan) => match &plan.turns {
            Turns::None => runtime.block_on(load::run(plan))?.outcome(),
            Turns::Second(second) => runtime.block_on(interleave::run(plan, second))?,
            Turns::Published(rate) => runtime.block_on(contended::run(plan, *rate))?,
        },
        Command::Sync(plan) => runtime.block_on(sync::run(plan))?,
        Command::Propagation(plan) => runtime.block_on(propagation::run(plan))?,
        Command::Series(plan) => runtime.block_on(series::run(plan))?,
        Command::Restart(plan) => runtime.block_on(restart::run(plan))?,
        Command::Soak(plan) => runtime.block_on(soak::run(plan))?,
    };
    order.output.write(&outcome)?;
    if let Some(fault) = &outcome.fault {
        anyhow::bail!("{}\n{fault}", outcome.text);
    }
    Ok(outcome.text)
}
