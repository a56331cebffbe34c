//! The inputs that others are made from: those in the repository, and those that a decoder answered in a new way.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::random::Random;

/// Most inputs kept; of more, the answers are too fine to guide anything.
const MAX_INPUTS: usize = 2_048;

/// Inputs by the kind of answer they got, the shortest for each.
#[derive(Debug, Default)]
pub struct Corpus {
    inputs: Vec<Vec<u8>>,
    kinds: BTreeMap<u64, usize>,
}

impl Corpus {
    /// Keeps an input if no other got this kind of answer, or only longer ones did.
    pub fn keep(&mut self, kind: u64, input: &[u8]) {
        match self.kinds.get(&kind) {
            Some(index) => {
                if let Some(known) = self.inputs.get_mut(*index).filter(|known| known.len() > input.len()) {
                    *known = input.to_vec();
                }
            }
            None if self.inputs.len() < MAX_INPUTS => {
                self.kinds.insert(kind, self.inputs.len());
                self.inputs.push(input.to_vec());
            }
            None => {}
        }
    }

    /// One of the inputs, any of them.
    #[must_use]
    pub fn pick(&self, random: &mut Random) -> &[u8] {
        random.pick(&self.inputs).map_or(&[], Vec::as_slice)
    }

    /// Number of inputs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inputs.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    /// Every input with its kind, in the order kept.
    #[must_use]
    pub fn entries(&self) -> Vec<(u64, Vec<u8>)> {
        let mut kinds: Vec<(usize, u64)> = self.kinds.iter().map(|(kind, index)| (*index, *kind)).collect();
        kinds.sort_unstable();
        kinds.into_iter().filter_map(|(index, kind)| Some((kind, self.inputs.get(index)?.clone()))).collect()
    }
}

/// The folder of a target's inputs in the repository.
#[must_use]
pub fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

/// A target's inputs in the repository, by name.
///
/// # Errors
/// If the folder cannot be read: a target without a corpus is a mistake.
pub fn stored(target: &str) -> anyhow::Result<Vec<Vec<u8>>> {
    let folder = folder(target);
    let entries = std::fs::read_dir(&folder).with_context(|| format!("no corpus in {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    paths.sort();
    paths.into_iter().map(|path| std::fs::read(&path).with_context(|| path.display().to_string())).collect()
}
