//! What a measurement ends with: a text, the same for programs, and where that is written.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::calibrate::{self, Calibration};
use crate::machine;

/// The end of a measurement.
pub struct Outcome {
    /// What was measured, as files are named by it: `publish-8c-100b-1i`.
    pub name: String,
    /// The report to be read.
    pub text: String,
    /// The report for programs.
    pub json: Value,
    /// The measure of the machine, when the report compares with it.
    pub calibration: Option<Calibration>,
    /// What is wrong: something acknowledged is missing, or doubled.
    pub fault: Option<String>,
}

/// Where reports go.
#[derive(Debug, Clone, Default)]
pub struct Output {
    /// A file for this report.
    pub json: Option<PathBuf>,
    /// A folder of reports, named by commit and work.
    pub results: Option<PathBuf>,
}

impl Output {
    /// Writes a report to where it is wanted.
    ///
    /// # Errors
    /// The system's; and when the folder of results lies in no repository.
    pub fn write(&self, outcome: &Outcome) -> anyhow::Result<()> {
        if let Some(path) = &self.json {
            put(path, &outcome.json)?;
        }
        if let Some(folder) = &self.results {
            let commit = machine::commit(folder)?;
            let calibration = match &outcome.calibration {
                Some(calibration) => calibration.to_json(),
                None => calibrate::measure(folder)?.to_json(),
            };
            let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let whole = json!({
                "workload": outcome.name,
                "commit": commit,
                "time": time,
                "machine": machine::describe(),
                "calibration": calibration,
                "sound": outcome.fault.is_none(),
                "report": outcome.json,
            });
            put(&folder.join(format!("{commit}-{}.json", outcome.name)), &whole)?;
        }
        Ok(())
    }
}

fn put(path: &Path, json: &Value) -> anyhow::Result<()> {
    std::fs::write(path, format!("{json:#}\n")).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test reports a failure by panicking")]

    use super::*;

    #[test]
    fn results_are_named_by_commit_and_work_and_tell_the_machine() {
        let folder = std::env::temp_dir().join(format!("rota-bench-results-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let outcome = Outcome {
            name: "publish-8c".to_owned(),
            text: String::new(),
            json: json!({"accepted": 5}),
            calibration: None,
            fault: None,
        };
        let output = Output { json: None, results: Some(folder.clone()) };
        assert!(output.write(&outcome).unwrap_err().to_string().contains("no repository"));
        let git = |words: &[&str]| {
            let settings = ["-c", "user.name=a", "-c", "user.email=a@b"];
            let mut command = std::process::Command::new("git");
            assert!(command.arg("-C").arg(&folder).args(settings).args(words).status().unwrap().success());
        };
        git(&["init", "-q"]);
        git(&["commit", "-q", "--allow-empty", "-m", "first"]);
        output.write(&outcome).unwrap();
        let commit = machine::commit(&folder).unwrap();
        let text = std::fs::read_to_string(folder.join(format!("{commit}-publish-8c.json"))).unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&json["report"]["accepted"], &json["sound"]), (&json!(5), &json!(true)));
        assert!(json["calibration"]["verify_per_second_one_core"].as_f64().unwrap() > 0.0);
        assert!(json["machine"]["cores"].as_u64().unwrap() > 0);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
