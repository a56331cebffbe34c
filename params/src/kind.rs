//! The words that a row of the parameter table is made of: type with range, source, default, section, flags.

/// A parameter's type and the values it may take; both ends of a range are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// true or false, one byte.
    Bool,
    /// An unsigned 32-bit number, with its smallest and largest value.
    U32(u32, u32),
    /// A signed 32-bit number, with its smallest and largest value.
    I32(i32, i32),
    /// A signed 64-bit number, with its smallest and largest value.
    I64(i64, i64),
    /// A decimal kept as millionths in 32 bits, with its smallest and largest value in millionths.
    Decimal(i32, i32),
    /// UTF-8 text of at most so many bytes.
    Text(usize),
    /// Bytes, with their smallest and largest count.
    Binary(usize, usize),
}

impl Kind {
    /// Whether a whole number is a value of this type and range; truth values are 0 and 1.
    pub fn admits(self, value: i64) -> bool {
        match self {
            Kind::Bool => (0..=1).contains(&value),
            Kind::U32(low, high) => (i64::from(low)..=i64::from(high)).contains(&value),
            Kind::I32(low, high) => (i64::from(low)..=i64::from(high)).contains(&value),
            Kind::I64(low, high) => (low..=high).contains(&value),
            Kind::Decimal(..) | Kind::Text(_) | Kind::Binary(..) => false,
        }
    }
}

/// Who gives a parameter its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The person who makes the chain.
    User,
    /// node-util, at random, when the chain is made.
    Generated,
    /// The first noded, when it makes the genesis block.
    Calculated,
}

/// What a parameter holds when nobody chose a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Nothing: the value is generated or calculated.
    Absent,
    /// true or false.
    Bool(bool),
    /// A number in the parameter's own unit; millionths for a decimal.
    Number(i64),
    /// A fixed text.
    Text(&'static str),
    /// "MultiChain NAME", as applications of that node expect it.
    Description,
}

/// A group of the file, with a comment line above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Name, times and sizes.
    Basic,
    /// Who needs permissions.
    Permission,
    /// How many admins and miners must agree.
    Consensus,
    /// Defaults of runtime settings.
    Runtime,
    /// The native currency.
    Currency,
    /// Proof of work.
    Mining,
    /// What an ordinary transaction may hold.
    Standard,
    /// Names and prefixes that set the chain apart.
    Identity,
    /// The genesis block.
    Genesis,
}

impl Section {
    /// The comment above the group in params.dat.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Basic => "Basic chain parameters",
            Self::Permission => "Global permissions",
            Self::Consensus => "Consensus requirements",
            Self::Runtime => "Defaults for node runtime parameters",
            Self::Currency => "Native blockchain currency",
            Self::Mining => "Advanced mining parameters",
            Self::Standard => "Standard transaction definitions",
            Self::Identity => "Identity of the chain",
            Self::Genesis => "Genesis block",
        }
    }
}

/// Properties of a parameter, one bit each, joined with `|`.
pub mod flag {
    /// Copied by `node-util clone`.
    pub const CLONE: u8 = 1;
    /// Left out of both hashes: a local default that may be edited at any time.
    pub const NOHASH: u8 = 2;
    /// Sent to a node that may not connect yet.
    pub const MINIMAL: u8 = 4;
    /// Its upgrades need a minimum gap of blocks.
    pub const TIME: u8 = 8;
    /// Not shown while it holds its default.
    pub const HIDDEN: u8 = 16;
}
