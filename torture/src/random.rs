//! Chance from a seed, so that what was tried can be tried again.

/// A stream of numbers that look random.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0xD1B5_4A32_D192_ED03) ^ 0x8CB9_2BA7_2F3D_8DD7)
    }

    /// A number below `limit`, 0 if that is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        // A multiplicative step and a xor of its halves: plain, and good enough to choose moments and places.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mixed = (self.0 ^ (self.0 >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = mixed ^ (mixed >> 32);
        if limit == 0 { 0 } else { mixed % limit }
    }

    /// A number from `least` to `most`.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most.saturating_sub(least) + 1)
    }

    /// One of several.
    pub fn of<'a, T>(&mut self, things: &'a [T]) -> Option<&'a T> {
        let index = self.below(things.len() as u64);
        things.get(usize::try_from(index).unwrap_or(0))
    }
}
