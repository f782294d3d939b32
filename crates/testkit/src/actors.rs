//! Application code as part of a run: ordinary blocking threads, made deterministic by taking
//! turns.

pub(crate) mod actor;
pub(crate) mod cast;
pub(crate) mod record;
pub(crate) mod script;
mod seam;
pub(crate) mod stage;

#[cfg(test)]
mod background_tests;
#[cfg(test)]
mod tests;
