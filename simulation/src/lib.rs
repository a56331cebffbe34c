//! What could happen: a whole network in one thread under a simulated clock, network and crashes, from a seed. The parts
//! are the real ones of `rota-node`; here are clock, network, entropy, crashes and checks, and no rule.

mod act;
mod byzantine;
mod caller;
mod chain;
pub mod check;
pub mod command;
mod fault;
mod governance;
mod mine;
mod node;
mod peer;
pub mod plan;
mod random;
mod record;
pub mod run;
pub mod turnover;
mod world;

#[cfg(test)]
mod tests;
