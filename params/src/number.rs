//! Reads numbers as people write them (`15`, `+15`, `0.30`, `.3`, `30%`, `1e6`), exactly, and prints millionths.

/// Longest text of a number: sign, 40 digits, point, exponent and percent sign fit.
const NUMBER_TEXT_MAX: usize = 64;
/// Exponents beyond this are out of every range.
const EXPONENT_MAX: i32 = 64;
/// One, in millionths.
pub const MILLION: i128 = 1_000_000;

/// A number read from text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    /// The number in millionths, rounded to the nearest, halves away from zero; far values saturate.
    pub millionths: i128,
    /// Whether nothing was rounded off.
    pub exact: bool,
}

impl Number {
    /// Reads a number; `None` if the text is none.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text.len() > NUMBER_TEXT_MAX {
            return None;
        }
        let (text, percent) = text.strip_suffix('%').map_or((text, 0), |rest| (rest.trim_end(), -2));
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let shift = exponent.clamp(-EXPONENT_MAX, EXPONENT_MAX) + percent + 6 - i32::try_from(fraction.len()).ok()?;
        let (magnitude, exact) = scale(&digits, shift);
        Some(Self { millionths: if negative { -magnitude } else { magnitude }, exact })
    }

    /// The number if it is whole.
    pub fn whole(self) -> Option<i128> {
        (self.exact && self.millionths % MILLION == 0).then_some(self.millionths / MILLION)
    }
}

/// Digits times ten to the shift, rounded, and whether that was exact.
fn scale(digits: &str, shift: i32) -> (i128, bool) {
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return (0, true);
    }
    let kept = i32::try_from(digits.len()).unwrap_or(i32::MAX).saturating_add(shift);
    if kept > 36 {
        return (i128::MAX, true);
    }
    if kept < 0 {
        return (0, false);
    }
    let cut = usize::try_from(kept).unwrap_or(0).min(digits.len());
    let zeros = usize::try_from(shift).unwrap_or(0);
    let value = format!("0{}{}", &digits[..cut], "0".repeat(zeros)).parse::<i128>().unwrap_or(i128::MAX);
    let rest = &digits[cut..];
    let round = i128::from(rest.as_bytes().first().is_some_and(|digit| *digit >= b'5'));
    (value + round, rest.bytes().all(|digit| digit == b'0'))
}

/// Millionths as a decimal number without needless zeros: `0.3`, `10`, `-1`, `0`.
pub fn print_millionths(millionths: i64) -> String {
    let sign = if millionths < 0 { "-" } else { "" };
    let magnitude = millionths.unsigned_abs();
    let fraction = format!("{:06}", magnitude % 1_000_000);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{}{point}{fraction}", magnitude / 1_000_000)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
    use super::*;

    #[test]
    fn many_ways_to_write_a_number_mean_the_same() {
        for text in ["0.3", ".3", "+0.30", "30%", "3e-1", "00.3000000", " 0.3 ", "300000e-6"] {
            assert_eq!(Number::parse(text), Some(Number { millionths: 300_000, exact: true }), "{text}");
        }
        for text in ["15", "15.", "+15.0", "1.5e1", "0015", "1500%"] {
            assert_eq!(Number::parse(text).unwrap().whole(), Some(15), "{text}");
        }
        assert_eq!(Number::parse("1e18").unwrap().whole(), Some(1_000_000_000_000_000_000));
        assert_eq!(Number::parse("-1").unwrap().whole(), Some(-1));
        assert_eq!(Number::parse("-0.0").unwrap().whole(), Some(0));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", " ", "-", ".", "e5", "1e", "0x10", "1_000", "--1", "1.2.3", "ten", "5s", "1e5.5", "%", "nan"] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
        assert_eq!(Number::parse(&"1".repeat(65)), None);
    }

    #[test]
    fn digits_past_the_sixth_are_rounded_and_told() {
        assert_eq!(Number::parse("0.33333333"), Some(Number { millionths: 333_333, exact: false }));
        assert_eq!(Number::parse("0.6666666"), Some(Number { millionths: 666_667, exact: false }));
        assert_eq!(Number::parse("1e-7").unwrap().millionths, 0);
        assert_eq!(Number::parse("5e-7").unwrap().millionths, 1);
        assert_eq!(Number::parse("1e-64").unwrap().millionths, 0);
        assert_eq!(Number::parse("0.5000001").unwrap().whole(), None);
    }

    #[test]
    fn far_numbers_saturate_instead_of_wrapping() {
        assert_eq!(Number::parse("1e64").unwrap().millionths, i128::MAX);
        assert_eq!(Number::parse("-1e2000000").unwrap().millionths, -i128::MAX);
        assert_eq!(Number::parse(&"9".repeat(60)).unwrap().millionths, i128::MAX);
    }

    #[test]
    fn millionths_print_without_needless_zeros() {
        for (value, text) in [(0, "0"), (300_000, "0.3"), (1, "0.000001"), (10_000_000, "10"), (-1_000_000, "-1")] {
            assert_eq!(print_millionths(value), text);
        }
        assert_eq!(print_millionths(-1_500_000), "-1.5");
    }
}
