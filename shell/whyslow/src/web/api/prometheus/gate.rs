//! Queries run beside the requests: few at once, each with a deadline, none for nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;
use tokio::sync::Semaphore;
use whyslow_model::limits::QUERIES_AT_ONCE_MAX;
use whyslow_promql::EvalError;

use crate::web::problem::Problem;

/// Lets a few queries at a time onto threads where they may block.
#[derive(Clone, Debug)]
pub struct Gate {
    turns: Arc<Semaphore>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(QUERIES_AT_ONCE_MAX)) }
    }
}

impl Gate {
    /// Runs `work` in its turn. It gets a check that turns true when `limit` has passed since
    /// now, or when the caller drops this future because its client is gone.
    ///
    /// # Errors
    /// A [`Problem`] fit for the client where the work fails, is late or dies.
    pub async fn run<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl FnOnce(&dyn Fn() -> bool) -> Result<T, EvalError> + Send + 'static,
    ) -> Result<T, Problem> {
        let deadline = Instant::now() + limit;
        let turn = tokio::time::timeout(limit, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(timed_out(limit)) };
        let abandoned = Abandoned::default();
        let seen = Arc::clone(&abandoned.0);
        let done = tokio::task::spawn_blocking(move || {
            // Held here and not by the request, so that an abandoned query counts until it stops.
            let _turn = turn;
            work(&|| seen.load(Ordering::Relaxed) || Instant::now() >= deadline)
        });
        let answer =
            done.await.map_err(|_| Problem::internal("the query could not be evaluated"))?;
        answer.map_err(|error| problem(&error, limit))
    }
}

/// Becomes true when dropped.
#[derive(Default)]
struct Abandoned(Arc<AtomicBool>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn timed_out(limit: Duration) -> Problem {
    let text = format!("the query took longer than {} s", limit.as_secs_f64());
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", text)
        .hint("ask for fewer series, a shorter range or a longer step")
}

fn problem(error: &EvalError, limit: Duration) -> Problem {
    let (status, word) = match error {
        EvalError::Cancelled => return timed_out(limit),
        EvalError::BadQuery(_) => (StatusCode::BAD_REQUEST, "bad_data"),
        EvalError::Execution(_) | EvalError::Limit { .. } => {
            (StatusCode::UNPROCESSABLE_ENTITY, "execution")
        }
        EvalError::Read(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    };
    let problem = Problem::new(status, word, error.to_string());
    match error.hint() {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_query_that_asks_whether_to_stop_is_stopped_at_its_deadline() {
        let gate = Gate::default();
        let late = gate.run(Duration::from_millis(20), |stop| -> Result<(), _> {
            while !stop() {
                std::thread::yield_now();
            }
            Err(EvalError::Cancelled)
        });
        let problem = late.await.unwrap_err();
        assert_eq!((problem.status.as_u16(), problem.error_type), (503, "timeout"));
    }

    #[tokio::test]
    async fn a_query_nobody_waits_for_is_stopped_and_gives_its_turn_back() {
        let gate = Gate { turns: Arc::new(Semaphore::new(1)) };
        let (began, mut has_begun) = tokio::sync::oneshot::channel();
        let mut query = Box::pin(gate.run(Duration::from_secs(60), move |stop| {
            let _ = began.send(());
            while !stop() {
                std::thread::yield_now();
            }
            Err::<(), _>(EvalError::Cancelled)
        }));
        tokio::select! {
            _ = &mut query => unreachable!("it waits for its client to leave"),
            _ = &mut has_begun => {}
        }
        drop(query);
        let next = gate.run(Duration::from_secs(60), |_| Ok(7)).await;
        assert_eq!(next, Ok(7));
    }
}
