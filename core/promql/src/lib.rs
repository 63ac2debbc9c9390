//! PromQL over [`whyslow_model::read::SeriesReader`]: parse, check, evaluate.
//!
//! [`parse`] gives a [`Query`]; [`Query::instant`] and [`Query::range`] answer it. Evaluation is
//! columnar: each node of the query yields, for all steps at once, label sets and one value a
//! step, a selector is fetched once for the whole query, and range functions slide two indexes
//! over the points. There is no clock and no thread here: whoever waits passes a check that
//! says when to stop ([`EvalOptions::stop`]).
//!
//! The language is that of Prometheus 2.42 without native histograms. One meaning is a choice,
//! [`LeftEdge`]: whether a point exactly at the old end of a range belongs to it.

mod ast;
mod civil;
mod error;
mod eval;
pub mod functions;
mod fuzz;
mod options;
mod parse;
mod query;

pub use ast::Kind;
pub use error::{EvalError, ParseError};
pub use fuzz::fuzz_promql;
pub use options::{EvalOptions, LeftEdge};
pub use parse::{QUERY_BYTES_MAX, QUERY_DEPTH_MAX, parse, parse_selector};
pub use query::{Answer, InstantValue, Matrix, Query, RangeAnswer, Sample};
