//! A service as it is on any day, minute by minute, as windows.

use super::*;

/// One simulated request; faults change it.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) server: usize,
    pub(super) route: usize,
    pub(super) network: usize,
    pub(super) client_in_us: f64,
    pub(super) queue_us: f64,
    pub(super) wait_us: f64,
    pub(super) body_us: f64,
    pub(super) code: u16,
    pub(super) retries: u16,
    pub(super) lost: bool,
}

/// A route: name, requests a minute by day, and the server's median, in microseconds.
pub(super) type Route = (&'static str, f64, f64);

pub(super) const ROUTES: &[Route] = &[
    ("/bid", 400.0, 16_000.0),
    ("/win", 120.0, 3_500.0),
    ("/report/:id", 40.0, 180_000.0),
    ("/rare", 3.0, 50_000.0),
    ("other", 20.0, 30_000.0),
];

/// A service as it is on any day: load by the hour, servers a little unlike, networks near and
/// far, some errors, some clients that leave, pauses of the servers, campaigns, and noise that all
/// requests of a minute share.
pub(super) struct World {
    pub(super) state: u64,
    pub(super) routes: &'static [Route],
    pub(super) servers: usize,
    pub(super) networks: usize,
    /// The minute of the day at which it begins.
    pub(super) begin: i64,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed, routes: ROUTES, servers: 6, networks: 7, begin: 660 }
    }

    /// Between 0 and 1.
    pub(super) fn uniform(&mut self) -> f64 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(0x1234_5677);
        let mixed = (self.state ^ (self.state >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn normal(&mut self) -> f64 {
        let (a, b) = (self.uniform().max(1e-12), self.uniform());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }

    pub(super) fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        median * (sigma * self.normal()).exp()
    }

    pub(super) fn poisson(&mut self, mean: f64) -> u64 {
        (mean + mean.sqrt() * self.normal()).round().max(0.0) as u64
    }

    /// How busy the hour is, 0.4 to 1.
    pub(super) fn busy(minute: i64) -> f64 {
        0.7 - 0.3 * (std::f64::consts::TAU * minute as f64 / 1440.0).cos()
    }

    pub(super) fn requests(&mut self, minute: i64) -> Vec<Request> {
        let busy = Self::busy(self.begin + minute);
        // Everything is a little slower under load, and in some minutes than in others.
        let common = (0.9 + 0.35 * busy) * self.lognormal(1.0, 0.03);
        let moods: Vec<f64> = (0..self.servers).map(|_| self.lognormal(1.0, 0.04)).collect();
        // Now and then a campaign brings half as much again for a minute.
        let busy = if self.uniform() < 0.02 { busy * 1.5 } else { busy };
        let mut all = Vec::new();
        for route in 0..self.routes.len() {
            let (_, per_minute, median_us) = self.routes[route];
            for _ in 0..self.poisson(per_minute * busy) {
                let server = (self.uniform() * self.servers as f64) as usize;
                let network = (self.uniform().powi(2) * self.networks as f64) as usize;
                let unlike = moods[server] * (1.0 + 0.04 * server as f64 / self.servers as f64);
                let pause_us = if self.uniform() < 0.01 { 100_000.0 } else { 0.0 };
                let far = 1.0 + network as f64 * 0.5;
                let code = match self.uniform() {
                    u if u < 0.004 => 404,
                    u if u < 0.006 => 500,
                    u if u < 0.008 => 0,
                    _ => 200,
                };
                all.push(Request {
                    server,
                    route,
                    network,
                    client_in_us: self.lognormal(300.0 * far, 0.8),
                    queue_us: if self.uniform() < 0.003 { 15_000.0 } else { 0.0 },
                    wait_us: self.lognormal(median_us * common * unlike, 0.5) + pause_us,
                    body_us: self.lognormal(9_000.0 * far, 0.9),
                    code,
                    retries: u16::from(self.uniform() < 0.001),
                    lost: false,
                });
            }
        }
        all
    }

    pub(super) fn rows(&self, start_s: i64, requests: &[Request]) -> Vec<Row> {
        let mut keys: BTreeMap<Key, Totals> = BTreeMap::new();
        let (vip, backend): (Arc<str>, Arc<str>) = ("web".into(), "ads".into());
        for r in requests.iter().filter(|r| !r.lost) {
            let base = Key {
                vip: Some(Arc::clone(&vip)),
                backend: Some(Arc::clone(&backend)),
                ..Key::default()
            };
            let server = Some(format!("app{}", r.server).into());
            let route = Some(self.routes[r.route].0.into());
            let asn = ClientAsn::As(64_500 + u32::try_from(r.network).unwrap());
            let net = format!("203.{}.{}.0/24", r.network, r.server % 2).parse().unwrap();
            for key in [
                Key { server, route, ..base.clone() },
                Key { client_asn: Some(asn), ..base.clone() },
                Key { client_prefix: Some(ClientPrefix::Net(net)), ..base },
            ] {
                r.count(keys.entry(key).or_default());
            }
        }
        let row = |(key, totals)| Row { start_s, span_s: 10, key, totals };
        keys.into_iter().map(row).collect()
    }
}

impl Request {
    pub(super) fn count(&self, totals: &mut Totals) {
        let us = |x: f64| x.round() as u64;
        let phases = [
            (EdgePhase::ClientIn, self.client_in_us, Mark::Exact),
            (EdgePhase::Queue, self.queue_us, Mark::Exact),
            (EdgePhase::Connect, 200.0, Mark::Exact),
            (EdgePhase::Wait, self.wait_us, Mark::Exact),
            (EdgePhase::Body, self.body_us, Mark::Mixed),
        ];
        for (phase, micros, mark) in phases {
            totals.phases[phase as usize].timing.observe(us(micros));
            totals.phases[phase as usize].mark = mark;
        }
        totals.hits += 1;
        totals.server.observe(us(self.wait_us + 200.0));
        totals.latency.observe(us(phases.iter().map(|p| p.1).sum()));
        *totals.codes.entry(self.code).or_default() += 1;
        totals.retries += u64::from(self.retries);
        totals.client_aborted += u64::from(self.code == 0);
    }
}

pub(super) const BEGIN_S: i64 = 1_770_000_000 / 3600 * 3600;
