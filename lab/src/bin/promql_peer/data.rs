//! The data both engines get: a fleet's metrics, deterministic to the bit.
//!
//! Samples lie at 5 ms past the 10 s grid, so that a query may meet them exactly (the old end of
//! a range closed, as Prometheus 2 has it) or never (open, as we have it by default).

use std::sync::Arc;

use whyslow_model::Labels;
use whyslow_model::labels::NAME;
use whyslow_model::read::SeriesPoints;
use whyslow_model::sample::stale_nan;

/// How far behind a whole second every sample lies.
pub const PHASE_MS: i64 = 5;
/// Between samples.
pub const EVERY_MS: i64 = 10_000;

const BOUNDS: [&str; 8] = ["0.005", "0.01", "0.05", "0.1", "0.5", "1.0", "5", "+Inf"];

/// How much there is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Hosts, each with 50 series.
    pub hosts: usize,
    /// Samples of a series that lives all the time.
    pub points: usize,
    /// When the first sample was taken, in milliseconds since the epoch.
    pub start_ms: i64,
}

/// Every series, ascending by labels.
pub fn series(size: Size) -> Vec<SeriesPoints> {
    let mut all = Vec::new();
    for host in 0..size.hosts {
        let mut fleet = Host { number: host, size, all: &mut all };
        fleet.requests();
        fleet.durations();
        fleet.processor();
        fleet.gauges();
        fleet.short_lived();
    }
    all.sort_by(|a: &SeriesPoints, b| a.labels.cmp(&b.labels));
    all
}

struct Host<'a> {
    number: usize,
    size: Size,
    all: &'a mut Vec<SeriesPoints>,
}

impl Host<'_> {
    /// 12 counters; those of every third host restart now and then.
    fn requests(&mut self) {
        for method in ["GET", "POST", "PUT"] {
            for code in ["200", "301", "404", "500"] {
                let mut noise = self.noise(&[method, code]);
                let mut total = 0.0;
                let restarts = self.number.is_multiple_of(3);
                self.push("http_requests_total", &[("method", method), ("code", code)], |i| {
                    if restarts && i % 397 == 396 {
                        total = 0.0;
                    }
                    total += (noise.unit() * 20.0).floor();
                    Some(total)
                });
            }
        }
    }

    /// Two histograms of 8 buckets, sum and count.
    fn durations(&mut self) {
        for path in ["/", "/cart"] {
            for (i, bound) in BOUNDS.iter().enumerate() {
                let mut noise = self.noise(&[path]);
                let mut counts = [0.0; BOUNDS.len()];
                self.push("http_seconds_bucket", &[("path", path), ("le", bound)], |_| {
                    let slow = noise.unit();
                    for (j, count) in counts.iter_mut().enumerate() {
                        *count += ((j + 1) as f64 * 3.0 * slow).floor();
                    }
                    Some(counts[i])
                });
            }
            let (mut sum, mut count) = (0.0, 0.0);
            let mut noise = self.noise(&[path, "sum"]);
            self.push("http_seconds_sum", &[("path", path)], |_| {
                sum += noise.unit() * 3.7;
                Some(sum)
            });
            self.push("http_seconds_count", &[("path", path)], |_| {
                count += 24.0;
                Some(count)
            });
        }
    }

    /// 8 counters of seconds.
    fn processor(&mut self) {
        for cpu in ["0", "1"] {
            for mode in ["idle", "system", "user", "iowait"] {
                let mut noise = self.noise(&[cpu, mode]);
                let mut total = self.number as f64 * 1e4;
                self.push("node_cpu_seconds_total", &[("cpu", cpu), ("mode", mode)], |_| {
                    total += noise.unit() * 2.5;
                    Some(total)
                });
            }
        }
    }

    fn gauges(&mut self) {
        let mut noise = self.noise(&["gauges"]);
        let mut free = 8e9;
        self.push("node_memory_free_bytes", &[], |_| {
            free = (free + (noise.unit() - 0.5) * 1e8).abs();
            Some(free)
        });
        let mut noise = self.noise(&["load"]);
        self.push("node_load1", &[], |i| Some((i as f64 / 50.0).sin() + noise.unit()));
        // NaN now and then, and no sample at all for two stretches.
        let mut noise = self.noise(&["temperature"]);
        self.push("temperature_celsius", &[("sensor", "a b\"c\\")], |i| match i {
            200..=260 | 700..=735 => None,
            _ if i % 89 == 0 => Some(f64::NAN),
            _ => Some(20.0 + noise.unit() * 15.0),
        });
        let number = self.number;
        self.push("up", &[], |i| Some(f64::from(u8::from((i + number * 31) % 301 > 12))));
        let version = if number.is_multiple_of(2) { "1.2.3" } else { "1.3.0" };
        self.push("build_info", &[("version", version)], |_| Some(1.0));
        let mut noise = self.noise(&["queue"]);
        self.push("queue_depth", &[("queue", "mail")], |i| match i % 173 {
            170 => Some(f64::INFINITY),
            171 => Some(f64::NEG_INFINITY),
            _ => Some((noise.unit() * 9.0).floor() - 4.0),
        });
        let booted = 1_400_000_000.0 + number as f64 * 7_654_321.0;
        self.push("boot_time_seconds", &[], |i| Some(booted + (i / 500) as f64 * 86_400.0 * 29.0));
    }

    /// A series that begins late, one that ends with a marker, one that comes and goes.
    fn short_lived(&mut self) {
        let points = self.size.points;
        self.push("late_total", &[], |i| (i > points / 2).then_some(i as f64));
        self.push("ended_total", &[], |i| match i.cmp(&(points / 3)) {
            std::cmp::Ordering::Less => Some(i as f64 * 3.0),
            std::cmp::Ordering::Equal => Some(stale_nan()),
            std::cmp::Ordering::Greater => None,
        });
        self.push("flapping", &[], |i| match i % 120 {
            0..=59 => Some((i % 7) as f64),
            60 => Some(stale_nan()),
            _ => None,
        });
    }

    fn push(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        mut at: impl FnMut(usize) -> Option<f64>,
    ) {
        let instance = format!("host{:03}:9100", self.number);
        let job = if self.number.is_multiple_of(4) { "db" } else { "web" };
        let own = [(NAME, name), ("instance", instance.as_str()), ("job", job)];
        let pairs = own.iter().chain(labels).map(|(n, v)| (Arc::from(*n), Arc::from(*v)));
        let mut points = SeriesPoints {
            labels: Labels::from_pairs::<Arc<str>, Arc<str>>(pairs),
            ..SeriesPoints::default()
        };
        for i in 0..self.size.points {
            if let Some(value) = at(i) {
                points.times_ms.push(self.size.start_ms + i as i64 * EVERY_MS);
                points.values.push(value);
            }
        }
        self.all.push(points);
    }

    fn noise(&self, words: &[&str]) -> Noise {
        let seed = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(self.number as u64 + 1);
        let mix = |state: u64, byte: u8| (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        Noise(words.iter().flat_map(|w| w.bytes()).fold(seed, mix) | 1)
    }
}

/// Marsaglia's xorshift64: enough disorder, the same everywhere.
struct Noise(u64);

impl Noise {
    /// At least 0, less than 1.
    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}
