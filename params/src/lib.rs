//! One chain's constitution: its parameters, their file, their hashes; and what a node was told to do: options,
//! configuration files, runtime settings, and where files live. Knows nothing of blocks, peers or databases.

pub mod access;
pub mod conf;
pub mod credential;
pub mod error;
pub mod file;
pub mod generate;
pub mod hash;
pub mod kind;
pub mod known;
pub mod nearest;
pub mod number;
pub mod options;
pub mod paths;
pub mod runtime;
pub mod seed;
pub mod set;
pub mod table;
pub mod value;
pub mod wire;

pub use error::ParameterError;
pub use set::{GenesisFields, ParameterSet, State};
pub use table::{PROTOCOL_LATEST, Parameter};
pub use value::{Millionths, Value};
