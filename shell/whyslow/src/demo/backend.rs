//! A backend of the demo's shop: its pages and a time each takes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response, StatusCode, header};
use http_body_util::Full;
use tokio::sync::watch;

use super::script::Conditions;
use super::server::{Answer, Asked, Site};

/// One page of the shop.
#[derive(Debug)]
struct Page {
    path: &'static str,
    title: &'static str,
    /// What it takes when nothing is wrong; each answer varies around it.
    usual: Duration,
    /// How often its paragraph is repeated.
    paragraphs: usize,
}

const PAGES: [Page; 4] = [
    Page { path: "/", title: "Lamps and chairs", usual: Duration::from_millis(24), paragraphs: 60 },
    Page { path: "/search", title: "Search", usual: Duration::from_millis(60), paragraphs: 30 },
    Page { path: "/basket", title: "Your basket", usual: Duration::from_millis(38), paragraphs: 8 },
    Page { path: "/item", title: "A lamp", usual: Duration::from_millis(31), paragraphs: 20 },
];

impl Page {
    /// Whether it answers for a path: its own, or one below it.
    fn serves(&self, path: &str) -> bool {
        let below = path.strip_prefix(self.path);
        self.path == path || (self.path != "/" && below.is_some_and(|rest| rest.starts_with('/')))
    }
}

/// Which backend this is, and its share of the script.
#[derive(Debug)]
pub struct Backend {
    number: usize,
    name: &'static str,
    answered: AtomicU64,
    conditions: watch::Receiver<Conditions>,
}

impl Backend {
    /// The backend with this number (0 or 1) and name.
    pub fn new(number: usize, name: &'static str, conditions: watch::Receiver<Conditions>) -> Self {
        Self { number, name, answered: AtomicU64::new(0), conditions }
    }
}

impl Site for Backend {
    async fn answer(&self, asked: Asked, _: SocketAddr) -> Answer {
        let page = PAGES.iter().find(|p| p.serves(asked.uri().path()));
        let nth = self.answered.fetch_add(1, Ordering::Relaxed);
        let usual = page.map_or(Duration::from_millis(2), |p| p.usual);
        let added = self.conditions.borrow().backend_delay[self.number];
        tokio::time::sleep(usual.mul_f64(variation(nth)) + added).await;
        let mut answer = match page {
            _ if !matches!(*asked.method(), Method::GET | Method::HEAD) => {
                plain(StatusCode::METHOD_NOT_ALLOWED, "This shop only shows.\n")
            }
            None => plain(StatusCode::NOT_FOUND, "No such page in the demo's shop.\n"),
            Some(page) => html(page),
        };
        let by = header::HeaderValue::from_static(self.name);
        answer.headers_mut().insert("x-served-by", by);
        answer
    }

    fn closed(&self, conditions: &Conditions) -> bool {
        conditions.backend_refuses[self.number]
    }
}

/// A short text answer with this status.
pub fn plain(status: StatusCode, text: &'static str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *answer.status_mut() = status;
    let kind = header::HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

fn html(page: &Page) -> Answer {
    let body = format!(
        "<!doctype html><meta charset=utf-8><title>{0}</title><h1>{0}</h1>\n{1}",
        page.title,
        "<p>A sample page of whyslow's demo. Nothing here is for sale.</p>\n"
            .repeat(page.paragraphs)
    );
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    let kind = header::HeaderValue::from_static("text/html; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

/// A factor around 1 for the n-th answer: mostly 0.8 to 1.3, one in sixteen up to 2.2, as real
/// servers have their slow moments. The same row of numbers in every demo.
fn variation(nth: u64) -> f64 {
    // SplitMix64's finaliser (Steele, Lea, Flood 2014): a well-mixed word for each n.
    let mut z = nth.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let [a, b, ..] = (z ^ (z >> 31)).to_le_bytes();
    let spread = 0.8 + 0.5 * f64::from(a) / 255.0;
    if b < 16 { spread + 0.9 } else { spread }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_vary_around_the_usual_and_some_are_slow() {
        let all: Vec<f64> = (0..1000).map(variation).collect();
        assert!(all.iter().all(|v| (0.8..=2.2).contains(v)));
        let slow = all.iter().filter(|v| **v > 1.3).count();
        assert!((20..150).contains(&slow), "{slow} of 1000 are slow");
    }
}
