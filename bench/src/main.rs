//! rota-bench: a load generator for any node with this JSON-RPC API, and its reports. This file reads the
//! command line and prints; the work is in `load`.

mod arguments;
mod connection;
mod histogram;
mod list;
mod load;
mod probe;
mod publish;
mod report;
mod soak;
mod workload;

use std::process::ExitCode;

use arguments::Command;

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
    let command = arguments::read(&words)?;
    // One thread drives every client: it writes prepared bytes, and leaves the other cores to the node.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let plan = match command {
        Command::Help => return Ok(arguments::HELP.to_owned()),
        Command::Soak(plan) => return runtime.block_on(soak::run(&plan)),
        Command::Run(plan) => plan,
    };
    let report = runtime.block_on(load::run(&plan))?;
    if let Some(path) = &plan.json {
        std::fs::write(path, format!("{:#}\n", report.to_json()))?;
    }
    anyhow::ensure!(report.nothing_lost(), "{report}\nacknowledged items are missing or doubled");
    Ok(report.to_string())
}
