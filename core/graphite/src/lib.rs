//! Graphite: the plaintext protocol, metric paths and tags, and the functions of `/render`, over
//! the store's read trait.
//!
//! A path is a series like every other: [`path`] says how it is stored, so that PromQL sees it
//! too, and series that came by other ways are seen from Graphite as tagged ones. [`target`] reads
//! what `/render` is asked for, [`render`] answers it, and `functions::ALL` is the one list of
//! functions, from which `/functions` is told as well.

pub mod attime;
mod consolidate;
mod error;
pub mod find;
pub mod functions;
mod fuzz;
mod glob;
pub mod line;
pub mod path;
mod render;
mod series;
pub mod tags;
pub mod target;

pub use consolidate::Reduction;
pub use error::RenderError;
pub use fuzz::fuzz_graphite_render;
pub use glob::{BadGlob, Glob};
pub use render::{Render, Window, render};
pub use series::Series;
