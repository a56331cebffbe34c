//! The run of kills: every crash point so many times, then kill -9 at random times under load and during starts.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rota_crash::Point;

use crate::command::KillPlan;
use crate::load::Load;
use crate::network::{Network, START_LIMIT};
use crate::node::Program;
use crate::point;
use crate::progress::{Progress, say};
use crate::random::Random;

/// Kills during starts in a row at most.
const STARTS_IN_A_ROW: u64 = 3;
/// The chain is made anew when it has grown to so many times the transactions that were asked for: what is proved is told
/// of a chain of that length, and each check takes longer the longer it is.
const GROWTH: u64 = 3;
/// Longest load before a kill, in milliseconds.
const LONGEST_LOAD: u64 = 1_200;

/// Carries out a plan.
///
/// # Errors
/// Says which promise was broken.
pub async fn run(plan: &KillPlan) -> anyhow::Result<()> {
    let passing = tempfile::Builder::new().prefix("rota-torture-").tempdir()?;
    let root = plan.run.state.clone().unwrap_or_else(|| passing.path().to_path_buf());
    std::fs::create_dir_all(&root)?;
    let mut progress = Progress::load(plan.run.state.as_ref().map(|root| root.join("progress.json")))?;
    let outcome = run_in(plan, &root, &mut progress).await;
    progress.tell(wanted(plan));
    if outcome.is_err() && plan.run.state.is_none() {
        say(&format!("the directories are kept in {}", passing.keep().display()));
    }
    outcome
}

fn wanted(plan: &KillPlan) -> u64 {
    plan.kills + plan.points * Point::ALL.len() as u64
}

async fn run_in(plan: &KillPlan, root: &std::path::Path, progress: &mut Progress) -> anyhow::Result<()> {
    let mut random =
        Random::new(plan.run.seed.wrapping_add(progress.kills).wrapping_add(progress.hits(Point::TipMoved)));
    let mut network = open(plan, root).await?;
    let begun = Instant::now();
    let over = || plan.run.seconds.is_some_and(|seconds| begun.elapsed() >= Duration::from_secs(seconds));
    'points: for round in 1..=plan.points {
        for point in Point::ALL {
            if over() {
                break 'points;
            }
            if progress.hits(*point) >= round {
                continue;
            }
            network = renewed(network, plan).await?;
            let time = point::hit(&mut network, *point, &mut random).await;
            let time = time.with_context(|| format!("crash point {}", point.name()))?;
            if time <= START_LIMIT {
                progress.started(time);
            }
            progress.hit(*point);
            progress.note(wanted(plan))?;
        }
    }
    while progress.kills < plan.kills && !over() {
        network = renewed(network, plan).await?;
        kill_once(&mut network, plan, progress, &mut random)
            .await
            .with_context(|| format!("kill {}", progress.kills))?;
        progress.note(wanted(plan))?;
    }
    if progress.kills >= plan.kills {
        let least = plan.kills * plan.recovery / 100;
        ensure!(progress.recovery >= least, "{} kills were while starting, {least} are wanted", progress.recovery);
    }
    judge_last(&mut network).await
}

/// Makes a chain of as many transactions as the plan asks for, or goes on with the one that is there.
async fn open(plan: &KillPlan, root: &std::path::Path) -> anyhow::Result<Network> {
    let mut network = Network::open(root).await?;
    if plan.transactions > 0 {
        let there = network.fill(plan.transactions).await?;
        say(&format!("the chain holds {there} transactions"));
    }
    Ok(network)
}

/// The same network, or one with a new chain if this one has outgrown the plan and kept what it promised.
async fn renewed(mut network: Network, plan: &KillPlan) -> anyhow::Result<Network> {
    if plan.transactions == 0 || network.transactions().await? < plan.transactions * GROWTH {
        return Ok(network);
    }
    judge_last(&mut network).await?;
    let root = network.close().await?;
    open(plan, &root).await
}

async fn judge_last(network: &mut Network) -> anyhow::Result<()> {
    let kept = network.last_judgement().await.context("at the end")?;
    say(&format!("all {kept} transactions that the nodes of this chain promised are confirmed and listed once"));
    Ok(())
}

/// Kills the victim under load, now and then while it starts again, and has it come back.
async fn kill_once(
    network: &mut Network,
    plan: &KillPlan,
    progress: &mut Progress,
    random: &mut Random,
) -> anyhow::Result<()> {
    let load = Load::on(&network.victim);
    tokio::time::sleep(Duration::from_millis(random.between(10, LONGEST_LOAD))).await;
    network.victim.kill().await?;
    network.open.absorb(load.end().await);
    progress.kills += 1;
    // Twice as many as are asked for, because a start may be over before the kill comes.
    if random.below(100) < 2 * plan.recovery {
        for _ in 0..random.between(1, STARTS_IN_A_ROW) {
            network.victim.spawn(Program::Noded, "c", &[], None)?;
            tokio::time::sleep(Duration::from_millis(random.between(1, progress.usual_start()))).await;
            let ended = network.victim.ended();
            ensure!(
                ended.is_none(),
                "a node that was to be killed ended by itself: {ended:?}\n{}",
                network.victim.tail()
            );
            network.victim.kill().await?;
            progress.kills += 1;
            progress.recovery += u64::from(!network.victim.said().contains("Node ready."));
        }
    }
    let time = network.revive(false).await?;
    progress.started(time);
    Ok(())
}
