//! Fuzzing of every decoder: inputs changed from a corpus that grows by what the decoder answers. See
//! docs/adr/0008-fuzzing-without-instrumentation.md.

pub mod change;
pub mod command;
pub mod corpus;
pub mod random;
pub mod seed;
pub mod target;
pub mod trial;
pub mod worker;

#[cfg(test)]
mod tests;
