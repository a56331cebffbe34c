//! Two nodes under the same work in turns of a few seconds, so that what the machine does besides strikes both; and the
//! ratio of their figures.

use std::time::Instant;

use serde_json::json;

use crate::arguments::{Plan, Second};
use crate::load::{Session, Until};
use crate::outcome::Outcome;
use crate::report::Report;

/// Makes the run a plan describes against both nodes.
pub async fn run(plan: &Plan, second: &Second) -> anyhow::Result<Outcome> {
    let mut sessions =
        [Session::open(plan, &plan.target, plan.pid).await?, Session::open(plan, &second.target, second.pid).await?];
    let mut left = plan.duration;
    while !left.is_zero() {
        let turn = left.min(second.slice);
        for session in &mut sessions {
            session.work(Until::Moment(Instant::now() + turn)).await?;
        }
        left -= turn;
    }
    let [first, other] = sessions;
    Ok(compare(&first.report().await?, &other.report().await?))
}

fn compare(first: &Report, second: &Report) -> Outcome {
    let rate = first.rate() / second.rate().max(f64::EPSILON);
    let median = |report: &Report| report.latencies().quantile(0.5).as_secs_f64();
    let latency = median(first) / median(second).max(f64::EPSILON);
    let text = format!(
        "first  {first}\n\nsecond {second}\n\nratio: the first accepts {rate:.2} times as much as the second, at {latency:.2} \
         times its median latency"
    );
    let json = json!({
        "first": first.to_json(),
        "second": second.to_json(),
        "ratio": {"accepted_per_second": rate, "latency_p50": latency},
    });
    let fault = [("first", first), ("second", second)]
        .iter()
        .find(|(_, report)| !report.nothing_lost())
        .map(|(name, _)| format!("acknowledged items of the {name} node are missing or doubled"));
    Outcome { name: format!("{}-two", first.name()), text, json, calibration: None, fault }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::report::tests::report;

    #[test]
    fn the_ratio_is_that_of_the_rates_and_a_loss_on_either_node_is_a_fault() {
        let (mut fast, slow) = (report(10), report(10));
        fast.elapsed = Duration::from_secs(1);
        let outcome = compare(&fast, &slow);
        assert_eq!(outcome.json["ratio"]["accepted_per_second"], 2.0);
        assert_eq!(outcome.json["ratio"]["latency_p50"], 1.0);
        assert!(outcome.fault.is_none() && outcome.text.contains("2.00 times as much"));
        assert!(compare(&report(10), &report(9)).fault.is_some_and(|fault| fault.contains("second")));
        assert!(compare(&report(11), &report(10)).fault.is_some_and(|fault| fault.contains("first")));
    }
}
