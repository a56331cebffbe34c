//! How numbers are printed: whole reals as integers, others with fifteen significant digits.
//! And how amounts travel between their raw integer form and the decimal form of the API.

use crate::error::{ParameterRule, RpcError};
use serde::{Serialize, Serializer};
use serde_json::{Number, Value};

/// Largest whole real that is printed as an integer: beyond 2^53 a real no longer counts exactly.
const EXACT_INTEGER_LIMIT: f64 = 9_007_199_254_740_992.0;

/// A real number as the API prints it: `1` for 1.0, `5.96046447753906e-8` for 2^-24. Not a number gives null.
#[must_use]
pub fn real_value(real: f64) -> Value {
    if !real.is_finite() {
        return Value::Null;
    }
    if real.fract() == 0.0 && real.abs() < EXACT_INTEGER_LIMIT {
        return Value::from(real as i64);
    }
    let rounded = shown_digits(real);
    if rounded.fract() == 0.0 && rounded.abs() < EXACT_INTEGER_LIMIT {
        return Value::from(rounded as i64);
    }
    Number::from_f64(rounded).map_or(Value::Null, Value::Number)
}

/// A real with the fifteen significant digits that are printed.
fn shown_digits(real: f64) -> f64 {
    format!("{real:.14e}").parse::<f64>().unwrap_or(real)
}

/// A raw quantity in units of 1/`multiple` as the decimal number the API prints, to the last digit that a real
/// can hold. A multiple below 1 counts as 1.
#[must_use]
pub fn amount_value(raw: i64, multiple: i64) -> Value {
    let multiple = multiple.max(1);
    if raw % multiple == 0 {
        return Value::from(raw / multiple);
    }
    Number::from_f64(raw as f64 / multiple as f64).map_or(Value::Null, Value::Number)
}

/// The raw amount of native currency for a JSON number, to the nearest unit, half a unit away from zero; at most -1 for
/// a negative one, however small, so that none passes for nothing. Fails with -1 on other types and with -8 on an amount
/// that does not fit.
pub fn amount_raw(value: &Value, multiple: i64) -> Result<i64, RpcError> {
    Scaled::of(value, multiple)?.nearest(Half::Away).ok_or_else(|| out_of_range(value))
}

/// The raw quantity of an asset for a JSON number, to the nearest unit, half a unit towards zero; at most -1 for a
/// negative one. Fails as [`amount_raw`].
pub fn quantity_raw(value: &Value, multiple: i64) -> Result<i64, RpcError> {
    Scaled::of(value, multiple)?.nearest(Half::Towards).ok_or_else(|| out_of_range(value))
}

/// The raw quantity for a JSON number that is a whole number of units, to the digits that the API prints; none if it
/// is not. Fails as [`amount_raw`].
pub fn whole_raw(value: &Value, multiple: i64) -> Result<Option<i64>, RpcError> {
    let scaled = Scaled::of(value, multiple)?;
    if let Some(raw) = scaled.whole() {
        return i64::try_from(raw).map(Some).map_err(|_| out_of_range(value));
    }
    // What a caller's reals summed up to may be off in its last digits: 0.30000000000000004.
    let printed = value.as_f64().and_then(|real| Scaled::real(shown_digits(real), multiple));
    Ok(printed.and_then(Scaled::whole).and_then(|raw| i64::try_from(raw).ok()))
}

fn out_of_range(value: &Value) -> RpcError {
    let error = RpcError::parameter(ParameterRule::Range, format!("Amount out of range: {value}"));
    error.got(value.clone()).allowed(format!("{} to {} raw units", i64::MIN, i64::MAX))
}

/// Where a quantity exactly between two units goes.
#[derive(Clone, Copy)]
enum Half {
    Away,
    Towards,
}

/// A decimal number times a multiple, as an exact fraction.
#[derive(Clone, Copy)]
struct Scaled {
    product: i128,
    /// A power of ten, or the largest number where that does not fit.
    divisor: i128,
}

impl Scaled {
    fn of(value: &Value, multiple: i64) -> Result<Scaled, RpcError> {
        let multiple = multiple.max(1);
        if let Some(whole) = value.as_i64() {
            return Ok(Scaled { product: i128::from(whole) * i128::from(multiple), divisor: 1 });
        }
        let real = value.as_f64().ok_or_else(|| RpcError::wrong_type(crate::params::type_word(value), "real"))?;
        Scaled::real(real, multiple).ok_or_else(|| out_of_range(value))
    }

    /// Counts with the decimal digits that were written: a product of reals could miss it by one.
    fn real(real: f64, multiple: i64) -> Option<Scaled> {
        let written = format!("{real:e}");
        let (mantissa, exponent) = written.split_once('e')?;
        let decimals = mantissa.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        let digits: i128 = mantissa.replace('.', "").parse().ok()?;
        let shift = exponent.parse::<i64>().ok()? - i64::try_from(decimals).ok()?;
        let product = digits.checked_mul(i128::from(multiple.max(1)))?;
        let power = |count: i64| 10i128.checked_pow(u32::try_from(count).ok()?);
        if shift >= 0 {
            return Some(Scaled { product: product.checked_mul(power(shift)?)?, divisor: 1 });
        }
        // A divisor too large to write down leaves nothing of any product.
        Some(
            power(-shift).map_or(Scaled { product: product.signum(), divisor: i128::MAX }, |divisor| Scaled {
                product,
                divisor,
            }),
        )
    }

    /// The whole number that it is, none if it is not whole.
    fn whole(self) -> Option<i128> {
        (self.product % self.divisor == 0).then(|| self.product / self.divisor)
    }

    /// The nearest whole number, none if it does not fit.
    fn nearest(self, half: Half) -> Option<i64> {
        let added = match half {
            Half::Away => self.divisor / 2,
            Half::Towards => (self.divisor - 1) / 2,
        };
        let moved = self.product.checked_add(added * self.product.signum())?;
        let nearest = moved / self.divisor;
        i64::try_from(if self.product < 0 { nearest.min(-1) } else { nearest }).ok()
    }
}

/// Serializes a real as [`real_value`] prints it; for `#[serde(serialize_with)]`.
pub fn serialize_real<S: Serializer>(real: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    real_value(*real).serialize(serializer)
}

/// Serializes an optional real as [`real_value`] prints it, null if there is none.
pub fn serialize_some_real<S: Serializer>(real: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    real.map_or(Value::Null, real_value).serialize(serializer)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::{amount_raw, amount_value, quantity_raw, real_value, whole_raw};
    use serde_json::json;

    fn printed(real: f64) -> String {
        real_value(real).to_string()
    }

    #[test]
    fn whole_reals_are_printed_as_integers() {
        assert_eq!(printed(1.0), "1");
        assert_eq!(printed(0.0), "0");
        assert_eq!(printed(-0.0), "0");
        assert_eq!(printed(-3.0), "-3");
        assert_eq!(printed(100_000_000_000_000.0), "100000000000000");
    }

    #[test]
    fn other_reals_have_fifteen_significant_digits_and_no_trailing_zeros() {
        assert_eq!(printed(1.0 / 16_777_216.0), "5.96046447753906e-8");
        assert_eq!(printed(0.1 + 0.2), "0.3");
        assert_eq!(printed(1.5), "1.5");
        assert_eq!(printed(0.086_476), "0.086476");
        assert_eq!(printed(f64::NAN), "null");
    }

    #[test]
    fn amounts_survive_the_way_out_and_back() {
        assert_eq!(amount_value(10_000, 100).to_string(), "100");
        assert_eq!(amount_value(35_025, 100).to_string(), "350.25");
        assert_eq!(amount_value(1, 100_000_000).to_string(), "1e-8");
        assert_eq!(amount_value(5, 0).to_string(), "5");
        for raw in [0, 1, -1, 99, 12_345_678_901, 4_503_599_627_370_495] {
            for multiple in [1, 10, 1000, 100_000_000] {
                assert_eq!(amount_raw(&amount_value(raw, multiple), multiple).unwrap(), raw, "{raw}/{multiple}");
            }
        }
    }

    #[test]
    fn an_amount_that_is_no_number_or_does_not_fit_is_refused() {
        assert_eq!(amount_raw(&json!("1"), 1).unwrap_err().message, "value is type str, expected real");
        assert_eq!(amount_raw(&json!(i64::MAX), 10).unwrap_err().code.number(), -8);
        assert_eq!(amount_raw(&json!(1e300), 1).unwrap_err().code.number(), -8);
        assert_eq!(amount_raw(&json!(1e18), 10).unwrap_err().code.number(), -8);
    }

    #[test]
    fn an_amount_between_two_units_goes_to_the_nearer_one() {
        let raw = |amount: f64| amount_raw(&json!(amount), 100).unwrap();
        assert_eq!((raw(0.014), raw(0.015), raw(-0.015), raw(1e-300), raw(1e3)), (1, 2, -2, 0, 100_000));
        assert_eq!(raw(0.29), 29);
    }

    #[test]
    fn half_a_unit_of_an_asset_is_not_counted_and_more_than_half_is() {
        let raw = |amount: f64| quantity_raw(&json!(amount), 10).unwrap();
        assert_eq!((raw(0.05), raw(0.051), raw(0.25), raw(2.5), raw(1e-300)), (0, 1, 2, 25, 0));
        assert_eq!(quantity_raw(&json!(0.1 + 0.2), 1_000_000_000).unwrap(), 300_000_000);
        assert_eq!(quantity_raw(&json!(1_234_567_890_123.45), 100).unwrap(), 123_456_789_012_345);
        assert_eq!(quantity_raw(&json!(7), 100).unwrap(), 700);
    }

    #[test]
    fn a_negative_amount_however_small_is_not_nothing() {
        for amount in [-0.5, -0.05, -1e-9, -1e-300] {
            assert!(amount_raw(&json!(amount), 1).unwrap() < 0, "{amount}");
            assert!(quantity_raw(&json!(amount), 10).unwrap() < 0, "{amount}");
        }
        assert_eq!((amount_raw(&json!(-0.0), 1).unwrap(), quantity_raw(&json!(0), 10).unwrap()), (0, 0));
    }

    #[test]
    fn a_whole_number_of_units_is_told_from_a_broken_one() {
        let whole = |amount: f64, multiple| whole_raw(&json!(amount), multiple).unwrap();
        assert_eq!((whole(100.5, 10), whole(100.55, 10), whole(1.5, 1)), (Some(1005), None, None));
        assert_eq!((whole(0.1 + 0.2, 10), whole(0.29, 100), whole(1e-300, 10)), (Some(3), Some(29), None));
        assert_eq!(whole_raw(&json!(1), 100).unwrap(), Some(100));
        assert_eq!(whole_raw(&json!(i64::MAX), 10).unwrap_err().code.number(), -8);
        assert_eq!(whole_raw(&json!("1"), 1).unwrap_err().code.number(), -1);
    }
}
