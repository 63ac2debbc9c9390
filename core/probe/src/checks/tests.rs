//! Runs played against a table of answers: no socket, no clock.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration as Time;

use whyslow_model::Phase;
use whyslow_model::conversation::{Attempt, ConnectFault, TcpState};

use super::*;
use crate::run::Outcome;
use crate::spec::{Addresses, Duration, parse_target};

/// A world in which every step takes 10 ms, and 1 ms passes between two steps.
struct World {
    now: Mono,
    /// What names mean.
    names: &'static [(&'static str, &'static [&'static str])],
    /// What paths answer: a status and a Location.
    answers: &'static [(&'static str, u16, &'static str)],
    /// Addresses that do not answer.
    dead: &'static [&'static str],
    connects: Vec<ConnectAsk>,
    requests: Vec<HttpAsk>,
}

impl World {
    const fn new() -> Self {
        Self {
            now: Mono::from_nanos(1_000_000_000),
            names: &[],
            answers: &[],
            dead: &[],
            connects: Vec::new(),
            requests: Vec::new(),
        }
    }

    fn play(&mut self, spec: CheckSpec) -> Run {
        let context = Context {
            vantage: "here".to_owned(),
            started: Wall::from_millis(1_800_000_000_000),
            began: self.now,
            secrets: Secrets::default(),
        };
        let mut run = CheckRun::begin(Arc::new(spec), context);
        let mut steps = 0;
        while let Some(step) = run.poll_step() {
            self.now = self.now.after(Time::from_millis(1));
            let told = self.answer(&step);
            run.handle(told);
            steps += 1;
            assert!(steps < 100, "a run that does not end");
        }
        let run = run.finish();
        let sum: f64 = run.exchanges.iter().map(|e| e.phases_ms.total()).sum();
        assert!((sum - run.total_ms).abs() < 1e-6, "{sum} is not {}", run.total_ms);
        run
    }

    fn answer(&mut self, step: &Step) -> Told {
        let began = self.now;
        self.now = self.now.after(Time::from_millis(10));
        match step {
            Step::Resolve(ask) => Told::Resolved(self.resolve(ask, began)),
            Step::Connect(ask) => Told::Connected(self.connect(ask, began)),
            Step::Http(ask) => Told::Http(self.http(ask, began)),
            Step::Tls(_) | Step::Dns(_) | Step::Ping(_) => panic!("not in this world: {step:?}"),
        }
    }

    fn resolve(&self, ask: &ResolveAsk, began: Mono) -> Resolved {
        let known = self.names.iter().find(|(name, _)| *name == ask.name);
        let addresses: Vec<IpAddr> =
            known.map_or(&[][..], |k| k.1).iter().map(|a| a.parse().expect(a)).collect();
        let fault =
            addresses.is_empty().then_some(whyslow_model::conversation::ResolveFault::NoSuchName);
        Resolved { began, ended: self.now, addresses, fault, tries: Vec::new() }
    }

    fn connect(&mut self, ask: &ConnectAsk, began: Mono) -> Connected {
        self.connects.push(ask.clone());
        let dead = |a: &SocketAddr| self.dead.contains(&a.ip().to_string().as_str());
        let remote = ask.addresses.iter().find(|a| !dead(a)).copied();
        if remote.is_none() {
            self.now = began.after(ask.timeout);
        }
        let attempt = |a: &SocketAddr| Attempt {
            address: *a,
            began,
            ended: self.now,
            fault: dead(a).then_some(ConnectFault::TimedOut),
            syn_retransmits: if dead(a) { 2 } else { 0 },
        };
        Connected {
            began,
            ended: self.now,
            remote,
            local: None,
            attempts: ask.addresses.iter().map(attempt).collect(),
            fault: remote.is_none().then_some(ConnectFault::TimedOut),
            tcp: remote.map(|_| TcpState::default()),
        }
    }

    fn http(&mut self, ask: &HttpAsk, began: Mono) -> HttpDone {
        self.requests.push(ask.clone());
        let known = self.answers.iter().find(|(path, ..)| *path == ask.path);
        let (_, status, location) = known.copied().unwrap_or(("", 200, ""));
        let headers = vec![("location".to_owned(), location.as_bytes().to_vec())];
        HttpDone {
            sent: Some(began.after(Time::from_millis(2))),
            first_byte: Some(began.after(Time::from_millis(8))),
            ended: self.now,
            status: Some(status),
            headers: if location.is_empty() { Vec::new() } else { headers },
            reusable: true,
            fault: None,
            ..HttpDone::failed(began, whyslow_model::conversation::HttpFault::Closed)
        }
    }
}

fn check(target: &str) -> CheckSpec {
    CheckSpec::of("a", &parse_target(target).expect(target))
}

fn code(run: &Run) -> &str {
    run.failure.as_ref().map_or("ok", |f| f.code.as_str())
}

#[test]
fn phases_follow_one_another_without_a_gap() {
    let mut world = World { names: &[("a.example", &["93.184.216.34"])], ..World::new() };
    let run = world.play(check("http://a.example/"));
    let phases = run.phases_ms;
    // The millisecond before each step belongs to its first phase.
    assert_eq!((phases.resolve, phases.connect), (Some(11.0), Some(11.0)));
    assert_eq!((phases.send, phases.wait, phases.receive), (Some(3.0), Some(6.0), Some(2.0)));
    assert_eq!((run.total_ms, run.outcome), (33.0, Outcome::Ok));
}

#[test]
fn time_spent_is_time_no_longer_left() {
    let mut world = World { names: &[("a.example", &["93.184.216.34"])], ..World::new() };
    let mut spec = check("http://a.example/");
    spec.timeout = Duration::from_millis(100);
    spec.timeouts.wait = Some(Duration::from_millis(50));
    world.play(spec);
    assert_eq!(world.connects[0].timeout, Time::from_millis(89));
    let limits = world.requests[0].limits;
    assert_eq!((limits.total, limits.wait), (Time::from_millis(78), Time::from_millis(50)));
}

#[test]
fn a_redirect_does_not_lead_inwards_by_any_spelling() {
    let cases: &[(&[&str], &str)] = &[
        (&["10.0.0.1"], "redirect_refused"),
        (&["127.0.0.1"], "redirect_refused"),
        (&["::ffff:10.0.0.1"], "redirect_refused"),
        (&["64:ff9b::a00:1"], "redirect_refused"),
        (&["2002:a00:1::"], "redirect_refused"),
        (&["169.254.169.254", "fd00:ec2::254"], "redirect_refused"),
        (&["93.184.216.35"], "ok"),
        (&["10.0.0.1", "93.184.216.35"], "ok"),
    ];
    for (addresses, expected) in cases {
        let names = vec![("a.example", &["93.184.216.34"][..]), ("b.example", *addresses)];
        let mut world = World {
            names: Vec::leak(names),
            answers: &[("/", 302, "http://b.example/x")],
            ..World::new()
        };
        let run = world.play(check("http://a.example/"));
        assert_eq!(code(&run), *expected, "{addresses:?}");
        let reached = world.connects.iter().flat_map(|ask| &ask.addresses);
        assert!(reached.clone().all(|a| a.ip().to_string().starts_with("93.")), "{addresses:?}");
    }
}

#[test]
fn what_the_operator_names_himself_is_not_refused() {
    let mut world = World { answers: &[("/", 301, "http://a.example/in")], ..World::new() };
    let mut spec = check("http://a.example/");
    spec.connect_to = Some("10.0.0.5:8080".parse().expect("an address"));
    let run = world.play(spec);
    assert_eq!((code(&run), run.exchanges.len()), ("ok", 2));
    assert_eq!(run.phases_ms.resolve, None);
    assert!(run.exchanges[1].reused_connection);
    assert_eq!(world.connects.len(), 1);
    assert_eq!(world.connects[0].addresses[0].to_string(), "10.0.0.5:8080");
}

#[test]
fn a_path_holds_for_the_targets_own_host_only() {
    let mut world = World {
        names: &[("b.example", &["93.184.216.35"])],
        answers: &[("/", 301, "http://b.example/in")],
        ..World::new()
    };
    let mut spec = check("http://a.example/");
    spec.connect_to = Some("10.0.0.5:8080".parse().expect("an address"));
    spec.host = Some("inner.example".to_owned());
    let run = world.play(spec);
    assert_eq!(code(&run), "ok");
    assert_eq!(world.connects[1].addresses[0].to_string(), "93.184.216.35:80");
    let asked: Vec<&str> = world.requests.iter().map(|r| r.authority.as_str()).collect();
    assert_eq!(asked, ["inner.example", "b.example"]);
}

#[test]
fn silence_says_how_often_it_was_asked() {
    let mut world =
        World { names: &[("a.example", &["192.0.2.1"])], dead: &["192.0.2.1"], ..World::new() };
    let run = world.play(check("tcp:a.example:443"));
    let failure = run.failure.expect("nobody answers");
    assert_eq!(failure.message, "no answer to 3 SYNs in 5 s from 192.0.2.1:443");
    assert_eq!((failure.phase, run.total_ms), (Some(Phase::Connect), 5001.0));
}

#[test]
fn each_address_is_measured_and_has_its_own_time() {
    let mut world = World {
        names: &[("a.example", &["192.0.2.1", "192.0.2.2", "192.0.2.3"])],
        dead: &["192.0.2.1"],
        ..World::new()
    };
    let mut spec = check("http://a.example/");
    spec.addresses = Addresses::All;
    spec.timeout = Duration::from_secs(1);
    let run = world.play(spec);
    assert_eq!((code(&run), run.exchanges.len()), ("connect_timeout", 3));
    let statuses: Vec<Option<u16>> = run.exchanges.iter().map(|e| e.status).collect();
    assert_eq!(statuses, [None, Some(200), Some(200)]);
    assert_eq!(world.connects[2].timeout, Time::from_secs(1));
}

#[test]
fn a_target_or_resolver_that_makes_no_sense_fails_before_anything_is_asked() {
    let mut spec = check("https://a.example/");
    spec.resolver = Some("dns.example".parse().expect("a name"));
    assert_eq!(code(&World::new().play(spec)), "target_unusable");
    let mut spec = check("https://a.example/?key=s3cret");
    spec.target = "gopher://a.example/?key=s3cret".to_owned();
    let run = World::new().play(spec);
    assert_eq!(code(&run), "target_unusable");
    assert_eq!(run.total_ms, 0.0);
}
