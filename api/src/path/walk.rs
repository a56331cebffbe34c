//! Finding what a path selects. Values are visited one by one, so that nothing is collected; every visit and every
//! comparison spends of a budget, so that no value made on purpose takes long.

use super::{Comparison, Logic, Operand, Query, Segment, Selector};
use serde_json::{Number, Value};
use std::borrow::Cow;
use std::cmp::Ordering;

/// Bytes of text that are compared for one step.
const TEXT_STEP: usize = 64;

/// What may be looked at still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget(u64);

/// The budget ended before the answer was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted;

impl Budget {
    /// So many steps: a value visited, a filter applied, a piece of text compared.
    #[must_use]
    pub const fn new(steps: u64) -> Budget {
        Budget(steps)
    }

    /// Steps that are left.
    #[must_use]
    pub const fn left(self) -> u64 {
        self.0
    }

    fn spend(&mut self, steps: usize) -> Result<(), Exhausted> {
        self.0 = self.0.checked_sub(steps as u64).ok_or(Exhausted)?;
        Ok(())
    }
}

/// What is to be done with a value that was found; true ends the search.
type Found<'f, 'v> = &'f mut dyn FnMut(&'v Value, &mut Budget) -> Result<bool, Exhausted>;

/// Whether a query selects a value of which `wanted` is true.
pub(super) fn any(
    query: &Query,
    value: &Value,
    budget: &mut Budget,
    wanted: &dyn Fn(&Value, &mut Budget) -> Result<bool, Exhausted>,
) -> Result<bool, Exhausted> {
    let walk = Walk { root: value };
    walk.query(query, value, budget, &mut |found, budget| wanted(found, budget))
}

/// A walk through one value.
#[derive(Clone, Copy)]
struct Walk<'v> {
    root: &'v Value,
}

impl<'v> Walk<'v> {
    fn query(
        self,
        query: &Query,
        current: &'v Value,
        budget: &mut Budget,
        found: Found<'_, 'v>,
    ) -> Result<bool, Exhausted> {
        let start = if query.is_relative { current } else { self.root };
        self.segments(&query.segments, start, budget, found)
    }

    fn segments(
        self,
        segments: &[Segment],
        value: &'v Value,
        budget: &mut Budget,
        found: Found<'_, 'v>,
    ) -> Result<bool, Exhausted> {
        budget.spend(1)?;
        let Some((segment, rest)) = segments.split_first() else { return found(value, budget) };
        for selector in &segment.selectors {
            if self.select(selector, rest, value, budget, found)? {
                return Ok(true);
            }
        }
        if segment.descends {
            for child in children(value) {
                if self.segments(segments, child, budget, found)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn select(
        self,
        selector: &Selector,
        rest: &[Segment],
        value: &'v Value,
        budget: &mut Budget,
        found: Found<'_, 'v>,
    ) -> Result<bool, Exhausted> {
        match selector {
            Selector::Name(name) => match value.as_object().and_then(|map| map.get(name)) {
                Some(child) => self.segments(rest, child, budget, found),
                None => Ok(false),
            },
            Selector::Index(index) => match value.as_array().and_then(|list| list.get(counted(*index, list.len())?)) {
                Some(child) => self.segments(rest, child, budget, found),
                None => Ok(false),
            },
            Selector::Wildcard => {
                for child in children(value) {
                    if self.segments(rest, child, budget, found)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Selector::Slice { start, end, step } => {
                let Some(list) = value.as_array() else { return Ok(false) };
                for child in sliced(list.len(), *start, *end, *step).filter_map(|index| list.get(index)) {
                    if self.segments(rest, child, budget, found)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Selector::Filter(logic) => {
                for child in children(value) {
                    if self.holds(logic, child, budget)? && self.segments(rest, child, budget, found)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }

    fn holds(self, logic: &Logic, current: &'v Value, budget: &mut Budget) -> Result<bool, Exhausted> {
        budget.spend(1)?;
        match logic {
            Logic::Not(inner) => self.holds(inner, current, budget).map(|holds| !holds),
            Logic::Or(terms) => {
                for term in terms {
                    if self.holds(term, current, budget)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Logic::And(terms) => {
                for term in terms {
                    if !self.holds(term, current, budget)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Logic::Exists(query) => self.query(query, current, budget, &mut |_, _| Ok(true)),
            Logic::Compare(left, comparison, right) => {
                let left = self.operand(left, current, budget)?;
                let right = self.operand(right, current, budget)?;
                match (left, right) {
                    (Some(left), Some(right)) => compare(&left, *comparison, &right, budget),
                    (left, right) => {
                        let both_nothing = left.is_none() && right.is_none();
                        Ok(match comparison {
                            Comparison::Unequal => !both_nothing,
                            Comparison::Equal | Comparison::LessOrEqual | Comparison::GreaterOrEqual => both_nothing,
                            Comparison::Less | Comparison::Greater => false,
                        })
                    }
                }
            }
        }
    }

    /// The value of an operand, none where it has none.
    fn operand<'o>(
        self,
        operand: &'o Operand,
        current: &'v Value,
        budget: &mut Budget,
    ) -> Result<Option<Cow<'o, Value>>, Exhausted>
    where
        'v: 'o,
    {
        Ok(match operand {
            Operand::Literal(value) => Some(Cow::Borrowed(value)),
            Operand::Value(query) | Operand::Only(query) => {
                let (mut only, mut count) = (None, 0);
                self.query(query, current, budget, &mut |value, _| {
                    only = Some(value);
                    count += 1;
                    Ok(count > 1)
                })?;
                only.filter(|_| count == 1).map(Cow::Borrowed)
            }
            Operand::Count(query) => {
                let mut count = 0u64;
                self.query(query, current, budget, &mut |_, _| {
                    count += 1;
                    Ok(false)
                })?;
                Some(Cow::Owned(Value::from(count)))
            }
            Operand::Length(inner) => match self.operand(inner, current, budget)?.as_deref() {
                Some(Value::String(text)) => {
                    budget.spend(text.len() / TEXT_STEP)?;
                    Some(Cow::Owned(Value::from(text.chars().count())))
                }
                Some(Value::Array(list)) => Some(Cow::Owned(Value::from(list.len()))),
                Some(Value::Object(map)) => Some(Cow::Owned(Value::from(map.len()))),
                _ => None,
            },
        })
    }
}

fn children(value: &Value) -> impl Iterator<Item = &Value> {
    let list = value.as_array().into_iter().flatten();
    list.chain(value.as_object().into_iter().flat_map(|map| map.values()))
}

/// An index from the beginning, for one that may count from the end.
fn counted(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    usize::try_from(if index < 0 { index.checked_add(length)? } else { index }).ok()
}

/// The indexes of a slice of a list of this length, in its order.
fn sliced(length: usize, start: Option<i64>, end: Option<i64>, step: i64) -> impl Iterator<Item = usize> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let from_end = |index: i64| if index < 0 { index.saturating_add(length) } else { index };
    let (mut at, end) = if step >= 0 {
        (from_end(start.unwrap_or(0)).clamp(0, length), from_end(end.unwrap_or(length)).clamp(0, length))
    } else {
        let start = start.map_or(length - 1, from_end).clamp(-1, length - 1);
        (start, end.map_or(-1, from_end).clamp(-1, length - 1))
    };
    std::iter::from_fn(move || {
        let inside = if step > 0 { at < end } else { step < 0 && at > end };
        let index = usize::try_from(at).ok().filter(|_| inside)?;
        at = at.saturating_add(step);
        Some(index)
    })
}

/// Compares two values: numbers exactly, strings by code points; of other values equality alone is known. Values of
/// different types are unequal and nothing else.
///
/// # Errors
/// [`Exhausted`] if `budget` does not suffice.
pub fn compare(left: &Value, comparison: Comparison, right: &Value, budget: &mut Budget) -> Result<bool, Exhausted> {
    let order = match (left, right) {
        (Value::Number(left), Value::Number(right)) => number_order(left, right),
        (Value::String(left), Value::String(right)) => {
            budget.spend(left.len().min(right.len()) / TEXT_STEP)?;
            Some(left.cmp(right))
        }
        _ => equal(left, right, budget)?.then_some(Ordering::Equal),
    };
    Ok(match comparison {
        Comparison::Equal => order == Some(Ordering::Equal),
        Comparison::Unequal => order != Some(Ordering::Equal),
        Comparison::Less => order == Some(Ordering::Less),
        Comparison::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Comparison::Greater => order == Some(Ordering::Greater),
        Comparison::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    })
}

/// Whether two values are the same: numbers by what they stand for, objects whatever the order of their members.
///
/// # Errors
/// [`Exhausted`] if `budget` does not suffice.
pub fn equal(left: &Value, right: &Value, budget: &mut Budget) -> Result<bool, Exhausted> {
    budget.spend(1)?;
    Ok(match (left, right) {
        (Value::Number(left), Value::Number(right)) => number_order(left, right) == Some(Ordering::Equal),
        (Value::String(left), Value::String(right)) => {
            budget.spend(left.len().min(right.len()) / TEXT_STEP)?;
            left == right
        }
        (Value::Array(left), Value::Array(right)) => {
            if left.len() != right.len() {
                return Ok(false);
            }
            for (left, right) in left.iter().zip(right) {
                if !equal(left, right, budget)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Object(left), Value::Object(right)) => {
            if left.len() != right.len() {
                return Ok(false);
            }
            for (name, left) in left {
                let Some(right) = right.get(name) else { return Ok(false) };
                if !equal(left, right, budget)? {
                    return Ok(false);
                }
            }
            true
        }
        (left, right) => left == right,
    })
}

/// The order of two numbers as they are, without rounding either.
fn number_order(left: &Number, right: &Number) -> Option<Ordering> {
    match (integer(left), integer(right)) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        (Some(left), None) => real_order(right.as_f64()?, left).map(Ordering::reverse),
        (None, Some(right)) => real_order(left.as_f64()?, right),
        (None, None) => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

fn integer(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

/// The order of a real and an integer of 64 bits: by whole parts, then by what the real has beyond.
#[allow(clippy::cast_possible_truncation, reason = "the cast saturates, far beyond any integer compared with")]
fn real_order(real: f64, integer: i128) -> Option<Ordering> {
    if real.is_nan() {
        return None;
    }
    let whole = real.trunc();
    let order = (whole as i128).cmp(&integer);
    Some(order.then_with(|| real.partial_cmp(&whole).unwrap_or(Ordering::Equal)))
}
