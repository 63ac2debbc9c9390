//! The pages: complete from the server, without script.

pub mod assets;
pub mod chart;
pub mod check;
pub mod checks;
pub mod edge;
pub mod figures;
pub mod frame;
mod handlers;
pub mod keys;
pub mod model;
pub mod overview;
mod plane;
pub mod query;
pub mod run;
pub mod service;
pub mod source;
pub mod when;
pub mod wire;

pub use handlers::router;
