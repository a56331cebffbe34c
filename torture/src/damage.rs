//! The run of damages: each on a fresh copy of an image; the node then repairs it or says what to do, and after that was
//! done it answers as before.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::json;

use crate::answer::{Answers, Difference, ask};
use crate::command::DamagePlan;
use crate::image::{self, CHAIN, Damage, Ending, Kind, STILL};
use crate::node::{LOOK, Node, Program};
use crate::progress::{say, write_whole};
use crate::random::Random;

/// How often progress is told.
const REPORT: Duration = Duration::from_secs(10);
/// Longest wait for blocks from a peer.
const CATCH_UP: Duration = Duration::from_secs(60);
/// What a refusal has to name, one of them at least.
const ADVICE: &[&str] = &["-reindex", "backup"];

/// What became of a damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ended {
    /// The node started and answered as before: what was damaged was not needed, or was repaired.
    Whole,
    /// The node started, answered some calls with an error, and as before after what the error said.
    Told,
    /// The node did not start, and answered as before after what its sentence said.
    Refused,
    /// What a kill left in a file was cut further, as an earlier kill would have left it.
    Earlier,
}

/// An image and what its node answers.
struct Image {
    folder: PathBuf,
    ending: Ending,
    right: Answers,
    blocks: u64,
}

/// Carries out a plan.
///
/// # Errors
/// Says which damage was not noticed.
pub async fn run(plan: &DamagePlan) -> anyhow::Result<()> {
    let passing = tempfile::Builder::new().prefix("rota-torture-").tempdir()?;
    let root = plan.run.state.clone().unwrap_or_else(|| passing.path().to_path_buf());
    std::fs::create_dir_all(&root)?;
    if !root.join("stopped").exists() {
        image::make(&root).await.context("making the image")?;
    }
    let mut images = Vec::new();
    for ending in [Ending::Stopped, Ending::Killed] {
        images.push(look_at(&root, ending).await.context("looking at the image")?);
    }
    let outcome = run_on(plan, &root, &images).await;
    if outcome.is_err() && plan.run.state.is_none() {
        say(&format!("the directories are kept in {}", passing.keep().display()));
    }
    outcome
}

async fn run_on(plan: &DamagePlan, root: &Path, images: &[Image]) -> anyhow::Result<()> {
    let file = root.join("damages.txt");
    let first = std::fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0u64);
    let kinds: Vec<Kind> =
        Kind::ALL.into_iter().filter(|kind| plan.only.as_ref().is_none_or(|only| kind.name() == only)).collect();
    ensure!(!kinds.is_empty(), "no kind of file is called {:?}", plan.only);
    let (begun, mut told) = (Instant::now(), Instant::now());
    let mut tally: BTreeMap<(&str, Ended), u64> = BTreeMap::new();
    let mut failures = 0u64;
    for number in first..plan.count {
        if plan.run.seconds.is_some_and(|seconds| begun.elapsed() >= Duration::from_secs(seconds)) {
            break;
        }
        let mut random = Random::new(plan.run.seed.wrapping_mul(1_000_003).wrapping_add(number));
        let kind = kinds[usize::try_from(number)? % kinds.len()];
        let image = random.of(images).context("there are images")?;
        let outcome = damage_once(root, image, kind, &mut random).await;
        match outcome {
            Ok(ended) => *tally.entry((kind.name(), ended)).or_default() += 1,
            Err(error) => {
                failures += 1;
                say(&format!("damage {number} of seed {} FAILED: {error:#}\n", plan.run.seed));
            }
        }
        write_whole(&file, &(number + 1).to_string())?;
        if told.elapsed() >= REPORT {
            told = Instant::now();
            let pace = (number + 1 - first) as f64 / begun.elapsed().as_secs_f64();
            let left = (plan.count - number - 1) as f64 / pace / 60.0;
            say(&format!("{} of {}: {:.0} a minute, {left:.0} minutes left", number + 1, plan.count, pace * 60.0));
        }
    }
    for ((kind, ended), count) in tally {
        say(&format!("{kind:9} {:8} {count}", format!("{ended:?}").to_lowercase()));
    }
    ensure!(failures == 0, "{failures} damages were not repaired or refused as they should be");
    Ok(())
}

/// Starts the node of an image on a copy and asks it about everything.
async fn look_at(root: &Path, ending: Ending) -> anyhow::Result<Image> {
    let folder = root.join(ending.folder());
    let mut node = fresh(root, &folder, "looking")?;
    node.start(STILL).await?;
    let blocks = node.call("getblockcount", json!([])).await?.as_u64().context("a height")? + 1;
    let right = ask(&node, blocks).await;
    let again = ask(&node, blocks).await;
    ensure!(Difference::of(&right, &again).is_none(), "answers change by themselves");
    for (call, answer) in &right {
        ensure!(matches!(answer, crate::answer::Answer::Result(_)), "{call} gives {answer:?}");
    }
    node.kill().await?;
    Ok(Image { folder, ending, right, blocks })
}

fn fresh(root: &Path, image: &Path, name: &str) -> anyhow::Result<Node> {
    let home = root.join(name);
    let _ = std::fs::remove_dir_all(&home);
    image::copy(image, &home)?;
    Node::new(home, CHAIN, &[])
}

/// Damages a copy and judges what the node does.
async fn damage_once(root: &Path, image: &Image, kind: Kind, random: &mut Random) -> anyhow::Result<Ended> {
    let mut node = fresh(root, &image.folder, "damaged")?;
    let files = kind.files(&node.folder());
    let path = random.of(&files).with_context(|| format!("no file of kind {}", kind.name()))?.clone();
    let size = std::fs::metadata(&path)?.len();
    let damage = Damage::draw(random, size);
    if !damage.inflict(&path)? {
        return Ok(Ended::Whole);
    }
    let name = path.strip_prefix(&node.home).unwrap_or(&path).display().to_string();
    let told = format!("{damage:?} of {name} ({size} bytes), {}", image.ending.folder());
    let case = Case { root, image, kind, path: &path, cuts_tail: matches!(damage, Damage::Cut(_)) };
    let ended = case.judge(&mut node).await;
    let ended = ended.with_context(|| format!("{told}\n{}", node.tail()));
    node.kill().await?;
    ended
}

/// A damage that was done.
struct Case<'a> {
    root: &'a Path,
    image: &'a Image,
    kind: Kind,
    path: &'a Path,
    cuts_tail: bool,
}

impl Case<'_> {
    async fn judge(&self, node: &mut Node) -> anyhow::Result<Ended> {
        node.spawn(Program::Noded, CHAIN, STILL, None)?;
        let Some(sentence) = starts_or_says(node).await? else {
            let found = ask(node, self.image.blocks).await;
            ensure!(node.ended().is_none(), "the node ended while it was asked");
            no_panic(node)?;
            let difference = Difference::of(&self.image.right, &found);
            return self.judge_answers(node, &difference).await;
        };
        let advice: Vec<&str> = ADVICE.iter().copied().filter(|word| sentence.contains(word)).collect();
        ensure!(!advice.is_empty(), "the refusal says nothing of what to do: {sentence}");
        self.follow(node, &sentence).await?;
        Ok(Ended::Refused)
    }

    async fn judge_answers(&self, node: &mut Node, difference: &Difference) -> anyhow::Result<Ended> {
        ensure!(difference.broken.is_empty(), "calls broke off: {}", difference.told());
        if difference.is_none() {
            return Ok(Ended::Whole);
        }
        // Off-chain data that is not here is shown as not available.
        let shown = self.kind == Kind::Chunks
            && difference.silent.iter().all(|call| call.contains("\"available\": Bool(false)"));
        if shown && !difference.silent.is_empty() {
            node.kill().await?;
            self.help(node, &["-reindex"]).await?;
            return Ok(Ended::Told);
        }
        if !difference.silent.is_empty() && node.log().contains("what is missing comes again from peers") {
            node.kill().await?;
            self.help(node, &[]).await?;
            return Ok(Ended::Told);
        }
        if !difference.silent.is_empty() {
            // No file says how far the node had come when it was killed: cut, it is one of a node killed earlier.
            let earlier = self.image.ending == Ending::Killed && self.cuts_tail && self.kind == Kind::Journal;
            ensure!(earlier, "other answers, and nothing was said: {}", difference.told());
            return Ok(Ended::Earlier);
        }
        node.kill().await?;
        let sentences = difference.refused.join("\n");
        self.follow(node, &sentences).await.with_context(|| format!("calls were refused: {sentences}"))?;
        Ok(Ended::Told)
    }

    /// Does what a sentence says; then the node has to answer as before.
    async fn follow(&self, node: &mut Node, sentence: &str) -> anyhow::Result<()> {
        let is_alone = matches!(self.kind, Kind::Journal | Kind::Wallet);
        if is_alone || !sentence.contains("-reindex") {
            ensure!(sentence.contains("backup"), "the sentence does not speak of a backup: {sentence}");
            // A backup is put in the place of the file.
            let name = self.path.strip_prefix(&node.home)?;
            std::fs::copy(self.image.folder.join(name), self.path)?;
            node.spawn(Program::Noded, CHAIN, STILL, None)?;
            node.wait_ready().await?;
            return self.compare(node).await;
        }
        if self.kind == Kind::Blocks || self.kind == Kind::Chunks {
            return self.help(node, &["-reindex"]).await;
        }
        node.spawn(Program::Noded, CHAIN, &["-gen=0", "-offline", "-reindex"], None)?;
        if let Some(sentence) = starts_or_says(node).await? {
            bail!("after -reindex: {sentence}");
        }
        // Subscriptions stay as far as they can be read; calls are refused until they are made again.
        node.call("subscribe", json!([["s", "gold"]])).await?;
        self.compare(node).await.context("after -reindex")
    }

    /// Starts the node beside an undamaged peer, from which what was lost comes.
    async fn help(&self, node: &mut Node, further: &[&str]) -> anyhow::Result<()> {
        let mut peer = fresh(self.root, &self.image.folder, "peer")?;
        // Another identity: two hosts with one are refused.
        std::fs::remove_dir_all(peer.folder().join("wallet"))?;
        peer.start(&["-gen=0", "-listen=1", "-reindex"]).await?;
        let connect = format!("-connect=127.0.0.1:{}", peer.port);
        let words: Vec<&str> = further.iter().copied().chain(["-gen=0", &connect]).collect();
        node.spawn(Program::Noded, CHAIN, &words, None)?;
        if let Some(sentence) = starts_or_says(node).await? {
            bail!("beside a peer: {sentence}");
        }
        let begun = Instant::now();
        while let Err(error) = self.compare(node).await {
            if begun.elapsed() > CATCH_UP {
                return Err(error.context("what was lost does not come from a peer"));
            }
            tokio::time::sleep(LOOK * 20).await;
        }
        peer.kill().await
    }

    async fn compare(&self, node: &mut Node) -> anyhow::Result<()> {
        let found = ask(node, self.image.blocks).await;
        no_panic(node)?;
        let difference = Difference::of(&self.image.right, &found);
        ensure!(difference.is_none(), "the answers are others than before: {}", difference.told());
        Ok(())
    }
}

/// Waits until a node answers, or has ended by itself with a sentence, which is given.
async fn starts_or_says(node: &mut Node) -> anyhow::Result<Option<String>> {
    let begun = Instant::now();
    loop {
        if let Some(status) = node.ended() {
            no_panic(node)?;
            ensure!(status.signal().is_none(), "the node ended by signal {:?}", status.signal());
            ensure!(status.code() != Some(0), "the node ended as if all were well");
            let said = node.said();
            let sentence = said.lines().find_map(|line| line.strip_prefix("ERROR: "));
            return Ok(Some(sentence.context("the node ended without a sentence")?.to_owned()));
        }
        if node.call("getblockcount", json!([])).await.is_ok() {
            return Ok(None);
        }
        ensure!(begun.elapsed() < CATCH_UP, "the node neither answers nor ends");
        tokio::time::sleep(LOOK).await;
    }
}

fn no_panic(node: &Node) -> anyhow::Result<()> {
    ensure!(!node.said().contains("panicked at"), "the node panicked");
    Ok(())
}
