//! Proof of work, where anyone may mine: compact targets, the weight of a block, retargeting. See docs/protocol/work.md.

use rota_chain::hash::BlockHash;

/// A 256-bit number, most significant 32 bits first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Wide([u32; 8]);

impl Wide {
    fn from_bytes(bytes: &[u8; 32]) -> Wide {
        let mut limbs = [0; 8];
        for (limb, chunk) in limbs.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *limb = u32::from_be_bytes(*chunk);
        }
        Wide(limbs)
    }

    /// Two to the power of `bits`, minus one.
    fn ones(bits: u32) -> Wide {
        let mut limbs = [0; 8];
        let mut left = bits.min(256);
        for limb in limbs.iter_mut().rev() {
            *limb =
                if left >= 32 { u32::MAX } else { 1u32.checked_shl(left).map_or(u32::MAX, |one| one.wrapping_sub(1)) };
            left = left.saturating_sub(32);
        }
        Wide(limbs)
    }

    /// Times `factor`, saturating, then divided by `divisor` (at least 1).
    fn scale(self, factor: u32, divisor: u32) -> Wide {
        let mut wide = [0u64; 9];
        let mut carry = 0u64;
        for (out, limb) in wide.iter_mut().skip(1).zip(self.0).rev() {
            let product = u64::from(limb).wrapping_mul(u64::from(factor)).wrapping_add(carry);
            *out = product & u64::from(u32::MAX);
            carry = product.wrapping_shr(32);
        }
        if let Some(first) = wide.first_mut() {
            *first = carry;
        }
        let mut remainder = 0u64;
        let mut result = [0u32; 9];
        for (out, limb) in result.iter_mut().zip(wide) {
            let current = remainder.wrapping_shl(32) | limb;
            let divisor = u64::from(divisor.max(1));
            *out = u32::try_from(current.checked_div(divisor).unwrap_or(0)).unwrap_or(u32::MAX);
            remainder = current.checked_rem(divisor).unwrap_or(0);
        }
        let [first, rest @ ..] = result;
        if first == 0 { Wide(rest) } else { Wide([u32::MAX; 8]) }
    }

    fn bits(self) -> u32 {
        let zero_limbs = self.0.iter().take_while(|limb| **limb == 0).count();
        let Some(limb) = self.0.get(zero_limbs) else {
            return 0;
        };
        let above = u32::try_from(zero_limbs).unwrap_or(8).saturating_mul(32).saturating_add(limb.leading_zeros());
        256u32.saturating_sub(above)
    }

    fn byte(self, index: usize) -> u32 {
        // Index 0 is the least significant byte.
        let limb = self.0.iter().rev().nth(index.wrapping_shr(2)).copied().unwrap_or(0);
        let shift = u32::try_from(index & 3).unwrap_or(0).saturating_mul(8);
        limb.wrapping_shr(shift) & 0xff
    }
}

/// The compact form of the easiest target: `bits` leading zero bits.
#[must_use]
pub fn minimum_bits(bits: u32) -> u32 {
    to_compact(Wide::ones(256u32.saturating_sub(bits)))
}

fn to_compact(target: Wide) -> u32 {
    let mut size = target.bits().div_ceil(8);
    let top = |size: u32| {
        let at = |back: u32| size.checked_sub(back).map_or(0, |index| target.byte(index as usize));
        at(1).wrapping_shl(16) | at(2).wrapping_shl(8) | at(3)
    };
    let mut mantissa = top(size);
    if mantissa & 0x0080_0000 != 0 {
        size = size.saturating_add(1);
        mantissa = mantissa.wrapping_shr(8);
    }
    size.wrapping_shl(24) | mantissa
}

fn from_compact(bits: u32) -> Option<Wide> {
    let size = usize::try_from(bits.wrapping_shr(24)).ok()?;
    if bits & 0x0080_0000 != 0 || size > 33 {
        return None;
    }
    let mut bytes = [0u8; 32];
    let [_, mantissa @ ..] = bits.to_be_bytes();
    for (back, byte) in (1usize..=3).zip(mantissa) {
        match size.checked_sub(back).and_then(|index| 31usize.checked_sub(index)) {
            Some(index) => *bytes.get_mut(index)? = byte,
            None if byte != 0 && size >= back => return None,
            None => {}
        }
    }
    let wide = Wide::from_bytes(&bytes);
    (wide.bits() > 0).then_some(wide)
}

/// Whether a block's hash, read as a number with its first byte most significant, meets the target.
#[must_use]
pub fn meets(hash: &BlockHash, bits: u32) -> bool {
    from_compact(bits).is_some_and(|target| Wide::from_bytes(hash.as_bytes()) <= target)
}

/// Weight of a block under proof of work: expected tries, rounded down to a power of two times a 32-bit fraction.
#[must_use]
pub fn weight(bits: u32) -> u128 {
    let Some(target) = from_compact(bits) else {
        return 0;
    };
    let length = target.bits();
    let zero_bits = 256u32.saturating_sub(length);
    // The 32 leading bits of the target as a fraction between a half and one.
    let lead = u128::from(leading_32(target).max(1));
    let scaled = 1u128.checked_shl(zero_bits.saturating_add(32)).unwrap_or(u128::MAX);
    scaled.checked_div(lead).unwrap_or(1).max(1)
}

fn leading_32(target: Wide) -> u32 {
    let length = target.bits();
    let top_byte = length.div_ceil(8) as usize;
    let five = (1..=5).fold(0u64, |sum, back| {
        sum.wrapping_shl(8) | top_byte.checked_sub(back).map_or(0, |i| u64::from(target.byte(i)))
    });
    let spare = u32::try_from(top_byte).unwrap_or(0).saturating_mul(8).saturating_sub(length);
    u32::try_from(five.wrapping_shr(8u32.saturating_sub(spare)) & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

/// The next target after an interval that took `actual` seconds instead of `wanted`: at most four times easier or
/// harder, never easier than `minimum` leading zero bits.
#[must_use]
pub fn retarget(bits: u32, actual: u32, wanted: u32, minimum: u32) -> u32 {
    let wanted = wanted.max(1);
    let lowest = wanted.checked_div(4).unwrap_or(1).max(1);
    let actual = actual.clamp(lowest, wanted.saturating_mul(4));
    let easiest = Wide::ones(256u32.saturating_sub(minimum));
    let target = from_compact(bits).unwrap_or(easiest).scale(actual, wanted);
    to_compact(target.min(easiest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_zero_bits_have_the_known_compact_form() {
        assert_eq!(minimum_bits(8), 536_936_447);
        assert_eq!(minimum_bits(32), 0x1d00_ffff);
    }

    #[test]
    fn a_hash_at_the_target_meets_it_and_one_above_does_not() {
        let bits = minimum_bits(8);
        let mut hash = [0xff; 32];
        assert!(!meets(&BlockHash(hash), bits));
        hash[0] = 0;
        hash[1] = 0xfe;
        assert!(meets(&BlockHash(hash), bits));
        assert!(!meets(&BlockHash([0xff; 32]), 0));
    }

    #[test]
    fn twice_the_zero_bits_weigh_the_square() {
        assert_eq!(weight(minimum_bits(8)) >> 8, 1);
        assert_eq!(weight(minimum_bits(16)) >> 16, 1);
        assert!(weight(minimum_bits(20)) > weight(minimum_bits(19)));
    }

    #[test]
    fn retargeting_is_bounded_and_never_below_the_minimum() {
        let start = minimum_bits(16);
        let harder = retarget(start, 50, 100, 16);
        assert!(weight(harder) > weight(start) && weight(harder) < 3 * weight(start));
        assert_eq!(retarget(start, 1, 100, 16), retarget(start, 25, 100, 16));
        assert_eq!(retarget(start, 400, 100, 16), start);
        assert_eq!(retarget(harder, 10_000, 100, 16), start);
    }
}
