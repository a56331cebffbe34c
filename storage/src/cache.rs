//! A bounded memory of hot state elements (permissions, entities, names) of the current tip. Per generation: a
//! snapshot taken before or during a commit does not see what is cached for another tip.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use rota_chain::stream::MAX_NAME;
use rota_consensus::state::{StateKey, StateValue};

/// Elements remembered: about 16 MB at 250 bytes each.
const ELEMENTS: NonZeroUsize = NonZeroUsize::new(65_536).expect("65536 is not 0");

/// Hot elements of the tip. Generations are even while the tip stands and odd while a commit is written.
#[derive(Debug)]
pub struct HotCache {
    generation: AtomicU64,
    elements: Mutex<LruCache<StateKey, Option<StateValue>>>,
}

impl HotCache {
    /// An empty cache.
    #[must_use]
    pub fn new() -> HotCache {
        HotCache { generation: AtomicU64::new(0), elements: Mutex::new(LruCache::new(ELEMENTS)) }
    }

    /// The generation now, none while a commit is written.
    #[must_use]
    pub fn generation(&self) -> Option<u64> {
        let generation = self.generation.load(Ordering::SeqCst);
        generation.is_multiple_of(2).then_some(generation)
    }

    /// What is remembered of an element (absence too), for a reader of `generation`.
    #[must_use]
    pub fn get(&self, generation: u64, key: &StateKey) -> Option<Option<StateValue>> {
        let mut elements = self.lock();
        if self.generation.load(Ordering::SeqCst) != generation {
            return None;
        }
        elements.get(key).cloned()
    }

    /// Remembers what a reader of `generation` found.
    pub fn put(&self, generation: u64, key: &StateKey, value: &Option<StateValue>) {
        let mut elements = self.lock();
        if self.generation.load(Ordering::SeqCst) == generation {
            elements.put(key.clone(), value.clone());
        }
    }

    /// Begins a commit: nothing is read or remembered until [`HotCache::finish`].
    pub fn begin(&self) {
        let _elements = self.lock();
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// Ends a commit that was written: takes over the elements it changed. `None`: it failed, everything is forgotten.
    pub fn finish(&self, changed: Option<Vec<(StateKey, Option<StateValue>)>>) {
        let mut elements = self.lock();
        match changed {
            Some(changed) => {
                for (key, value) in changed {
                    elements.put(key, value);
                }
            }
            None => elements.clear(),
        }
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<StateKey, Option<StateValue>>> {
        self.elements.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for HotCache {
    fn default() -> HotCache {
        HotCache::new()
    }
}

/// Whether elements of this kind are remembered: those that many transactions read. A coin is read once.
#[must_use]
pub const fn is_hot(key: &StateKey) -> bool {
    match key {
        StateKey::Permission(_) | StateKey::Entity(_) | StateKey::PendingUpgrades | StateKey::Parameters => true,
        // Callers look up whatever they like.
        StateKey::Name(name) => name.len() <= MAX_NAME as usize,
        StateKey::Coin(_) | StateKey::LastMined(_) | StateKey::Token(..) | StateKey::Approval(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_longer_than_any_is_not_remembered() {
        assert!(is_hot(&StateKey::Name(vec![b'a'; 32])));
        assert!(!is_hot(&StateKey::Name(vec![b'a'; 60_000_000])));
    }

    #[test]
    fn a_reader_of_another_generation_sees_nothing() {
        let cache = HotCache::new();
        let key = StateKey::Name(b"a".to_vec());
        let before = cache.generation().expect("no commit is being written");
        cache.put(before, &key, &None);
        assert_eq!(cache.get(before, &key), Some(None));
        cache.begin();
        assert_eq!(cache.generation(), None);
        assert_eq!(cache.get(before, &key), None);
        cache.put(before, &key, &None);
        let value = Some(StateValue::Name(rota_chain::hash::Txid([1; 32])));
        cache.finish(Some(vec![(key.clone(), value.clone())]));
        let after = cache.generation().expect("the commit is written");
        assert_eq!(cache.get(before, &key), None);
        assert_eq!(cache.get(after, &key), Some(value));
        cache.begin();
        cache.finish(None);
        let last = cache.generation().expect("the commit has ended");
        assert_eq!(cache.get(last, &key), None);
    }
}
