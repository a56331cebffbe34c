//! JSONPath as RFC 9535 has it, less `match` and `search`: what a path is. `read` reads one, `walk` finds what it selects
//! in bounded time, whatever the value is.

mod read;
mod walk;

use serde_json::Value;

pub use walk::{Budget, Exhausted, compare, equal};

/// Longest path, in bytes: several times what people write, and what reading recursively takes little stack for.
pub const MAX_PATH: usize = 512;
/// Deepest nesting of filters, parentheses and functions: walking a value of the greatest depth takes stack for each.
pub const MAX_NESTING: usize = 8;

/// Why a path was refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {position}: {reason}")]
pub struct PathFault {
    /// Counted from 1.
    pub position: usize,
    /// What is wrong there.
    pub reason: String,
}

/// A path.
#[derive(Debug, Clone, PartialEq)]
pub struct Path(Query);

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// [`PathFault`] at the first character that does not fit.
    pub fn read(text: &str) -> Result<Path, PathFault> {
        read::path(text).map(Path)
    }

    /// Whether a path selects a value of which `wanted` is true. Looks at no more than `budget` allows.
    ///
    /// # Errors
    /// [`Exhausted`] if it allows too little to know.
    pub fn any(
        &self,
        value: &Value,
        budget: &mut Budget,
        wanted: impl Fn(&Value, &mut Budget) -> Result<bool, Exhausted>,
    ) -> Result<bool, Exhausted> {
        walk::any(&self.0, value, budget, &wanted)
    }
}

/// A way through a value, from its root or from the value that a filter looks at.
#[derive(Debug, Clone, PartialEq)]
struct Query {
    /// Whether it begins at the value that a filter looks at.
    is_relative: bool,
    segments: Vec<Segment>,
}

impl Query {
    /// Whether it selects one value at most, whatever it is applied to.
    fn is_singular(&self) -> bool {
        self.segments.iter().all(|segment| {
            !segment.descends && matches!(segment.selectors.as_slice(), [Selector::Name(_) | Selector::Index(_)])
        })
    }
}

/// One step: to children, or to all descendants' children.
#[derive(Debug, Clone, PartialEq)]
struct Segment {
    descends: bool,
    selectors: Vec<Selector>,
}

/// Which children.
#[derive(Debug, Clone, PartialEq)]
enum Selector {
    Name(String),
    Wildcard,
    /// From the end where negative.
    Index(i64),
    Slice {
        start: Option<i64>,
        end: Option<i64>,
        step: i64,
    },
    Filter(Logic),
}

/// What is true or false of the value that a filter looks at.
#[derive(Debug, Clone, PartialEq)]
enum Logic {
    Or(Vec<Logic>),
    And(Vec<Logic>),
    Not(Box<Logic>),
    Exists(Query),
    Compare(Operand, Comparison, Operand),
}

/// What is compared.
#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Literal(Value),
    /// A singular query: its value, or nothing.
    Value(Query),
    /// Characters of a string, members of an array or object.
    Length(Box<Operand>),
    /// Number of values that a query selects.
    Count(Query),
    /// The only value that a query selects.
    Only(Query),
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

#[cfg(test)]
mod tests;
