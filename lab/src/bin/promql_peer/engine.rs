//! What answers our side of the comparison.

use std::time::{Duration, Instant};

use anyhow::Result;
use whyslow_promql::{EvalOptions, LeftEdge, parse};

use crate::answer::Answer;
use crate::memory::Memory;
use crate::server::Server;

/// Something to ask; each answer comes with how long it took.
pub trait Engine {
    /// From, to and step in milliseconds.
    ///
    /// # Errors
    /// Where nobody answers; a refusal is an answer.
    fn range(&mut self, query: &str, times: (i64, i64, i64)) -> Result<(Answer, Duration)>;

    /// At a time in milliseconds.
    ///
    /// # Errors
    /// Where nobody answers; a refusal is an answer.
    fn instant(&mut self, query: &str, at_ms: i64) -> Result<(Answer, Duration)>;

    /// Whether it can be asked with this left edge of ranges.
    fn has_edge(&self, edge: LeftEdge) -> bool;

    /// How the next questions are meant.
    fn set_edge(&mut self, edge: LeftEdge);
}

/// The evaluator in this process, over data in memory.
#[derive(Debug)]
pub struct Direct {
    /// The data.
    pub memory: Memory,
    /// How questions are meant.
    pub edge: LeftEdge,
}

impl Direct {
    fn timed(&self, ask: impl FnOnce(&EvalOptions<'_>) -> Answer) -> (Answer, Duration) {
        let options = EvalOptions { left_edge: self.edge, ..EvalOptions::default() };
        let began = Instant::now();
        let answer = ask(&options);
        (answer, began.elapsed())
    }
}

impl Engine for Direct {
    fn range(
        &mut self,
        query: &str,
        (from_ms, to_ms, step_ms): (i64, i64, i64),
    ) -> Result<(Answer, Duration)> {
        Ok(self.timed(|options| match parse(query) {
            Ok(query) => query.range(&self.memory, from_ms, to_ms, step_ms, options).map_or_else(
                |e| Answer::Failed(e.to_string()),
                |answer| Answer::of_matrix(answer.matrix),
            ),
            Err(e) => Answer::Failed(e.to_string()),
        }))
    }

    fn instant(&mut self, query: &str, at_ms: i64) -> Result<(Answer, Duration)> {
        Ok(self.timed(|options| match parse(query) {
            Ok(query) => query
                .instant(&self.memory, at_ms, options)
                .map_or_else(|e| Answer::Failed(e.to_string()), Answer::of_instant),
            Err(e) => Answer::Failed(e.to_string()),
        }))
    }

    fn has_edge(&self, _: LeftEdge) -> bool {
        true
    }

    fn set_edge(&mut self, edge: LeftEdge) {
        self.edge = edge;
    }
}

/// A server has the default meaning only.
impl Engine for Server {
    fn range(&mut self, query: &str, times: (i64, i64, i64)) -> Result<(Answer, Duration)> {
        Self::range(self, query, times)
    }

    fn instant(&mut self, query: &str, at_ms: i64) -> Result<(Answer, Duration)> {
        Self::instant(self, query, at_ms)
    }

    fn has_edge(&self, edge: LeftEdge) -> bool {
        edge == LeftEdge::Open
    }

    fn set_edge(&mut self, _: LeftEdge) {}
}
