//! How far a run is: counted, told every ten seconds with the time left, and kept so that the next run goes on.
#![allow(clippy::print_stdout, reason = "this is a program for a person")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rota_crash::Point;
use serde_json::{Value, json};

/// How often progress is told.
const REPORT: Duration = Duration::from_secs(10);
/// Restarts whose times are kept.
const TIMES: usize = 100_000;

/// Prints a line.
pub fn say(line: &str) {
    println!("{line}");
}

/// What was done.
#[derive(Debug)]
pub struct Progress {
    file: Option<PathBuf>,
    /// Kills at random times.
    pub kills: u64,
    /// Those of them before the node was ready.
    pub recovery: u64,
    /// Kills at crash points.
    points: BTreeMap<String, u64>,
    /// Milliseconds until a node that was killed answered again.
    starts: Vec<u64>,
    begun: Instant,
    done_before: u64,
    told: Instant,
}

impl Progress {
    /// Goes on from the file of an earlier run.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn load(file: Option<PathBuf>) -> anyhow::Result<Progress> {
        let kept = match &file {
            Some(file) if file.exists() => {
                let text = std::fs::read_to_string(file)?;
                serde_json::from_str(&text).with_context(|| format!("{} holds no progress", file.display()))?
            }
            _ => Value::Null,
        };
        let count = |name: &str| kept[name].as_u64().unwrap_or(0);
        let points: BTreeMap<String, u64> = kept["points"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, times)| (name.clone(), times.as_u64().unwrap_or(0)))
            .collect();
        let starts = kept["starts"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
        let now = Instant::now();
        let mut progress = Progress {
            file,
            kills: count("kills"),
            recovery: count("recovery"),
            points,
            starts,
            begun: now,
            done_before: 0,
            told: now,
        };
        progress.done_before = progress.done();
        Ok(progress)
    }

    /// Times that a point was hit.
    pub fn hits(&self, point: Point) -> u64 {
        self.points.get(point.name()).copied().unwrap_or(0)
    }

    /// A point was hit and the node came back.
    pub fn hit(&mut self, point: Point) {
        *self.points.entry(point.name().to_owned()).or_default() += 1;
    }

    /// A node that was killed answered after this time.
    pub fn started(&mut self, time: Duration) {
        if self.starts.len() < TIMES {
            self.starts.push(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        }
    }

    /// Milliseconds of a start, as a rule.
    pub fn usual_start(&self) -> u64 {
        self.percentile(50).unwrap_or(300)
    }

    fn percentile(&self, percent: usize) -> Option<u64> {
        let mut sorted = self.starts.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len().saturating_sub(1) * percent / 100).copied()
    }

    fn done(&self) -> u64 {
        self.kills + self.points.values().sum::<u64>()
    }

    /// Keeps what was done, and tells it now and then.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn note(&mut self, wanted: u64) -> anyhow::Result<()> {
        if let Some(file) = &self.file {
            let kept = json!({
                "kills": self.kills, "recovery": self.recovery, "points": self.points, "starts": self.starts,
            });
            write_whole(file, &kept.to_string())?;
        }
        if self.told.elapsed() >= REPORT {
            self.told = Instant::now();
            self.tell(wanted);
        }
        Ok(())
    }

    /// Tells what was done, at what pace, and how long the rest takes.
    pub fn tell(&self, wanted: u64) {
        let done = self.done();
        let minutes = self.begun.elapsed().as_secs_f64() / 60.0;
        let pace = done.saturating_sub(self.done_before) as f64 / minutes.max(1e-9);
        let left = wanted.saturating_sub(done) as f64 / pace.max(1e-9);
        let left = if wanted > done { format!(", {left:.0} minutes left") } else { String::new() };
        let times = [50, 90, 99, 100].map(|percent| self.percentile(percent).unwrap_or(0));
        say(&format!(
            "{done} of {wanted}: {} kills ({} while starting), {} at crash points; {pace:.1} a minute{left}; \
             starts in ms: median {}, 90% {}, 99% {}, longest {}",
            self.kills,
            self.recovery,
            done - self.kills,
            times[0],
            times[1],
            times[2],
            times[3],
        ));
    }
}

/// Writes a file beside its place and puts it there.
pub fn write_whole(file: &Path, text: &str) -> anyhow::Result<()> {
    let beside = file.with_extension("new");
    std::fs::write(&beside, text)?;
    std::fs::rename(&beside, file)?;
    Ok(())
}
