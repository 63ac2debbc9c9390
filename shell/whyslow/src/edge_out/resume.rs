//! What an earlier process told of windows that may still be revised.

use whyslow_edge::grouping::Grouping;

use super::Outputs;
use crate::config::Config;
use crate::storage::{Db, EdgeQuery};

/// How far back windows may still be revised, in seconds.
const RESUMED_S: i64 = 900;

/// Lets the outputs know the windows that are stored, so that none is counted twice. Call it
/// before any source is read.
pub async fn resume(config: &Config, db: &Db, outputs: &Outputs) {
    let now_s = whyslow_sys::clock::wall().as_millis() / 1000;
    let server = Grouping::VIP.and(Grouping::BACKEND).and(Grouping::SERVER);
    for source in &config.edge {
        for grouping in [server, server.and(Grouping::ROUTE)] {
            let query = EdgeQuery {
                from_s: now_s - RESUMED_S,
                to_s: now_s + RESUMED_S,
                span_s: Some(10),
                grouping,
                sources: vec![source.name.clone()],
                ..EdgeQuery::default()
            };
            let (db, name) = (db.clone(), &source.name);
            match tokio::task::spawn_blocking(move || db.edge_rows(&query)).await {
                Ok(Ok(rows)) => outputs.resume(name, source.service.as_deref(), &rows),
                Ok(Err(error)) => tracing::warn!(name, %error, "windows of before are not known"),
                Err(error) => tracing::error!(name, %error, "windows of before are not known"),
            }
        }
    }
}
