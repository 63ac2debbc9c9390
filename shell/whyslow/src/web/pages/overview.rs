//! `/`: every service, worst first; what changed; what whyslow can see.

use maud::{Markup, html};
use whyslow_model::Observation;

use super::chart::{phases, spark};
use super::figures::{lasted, time, visible};
use super::frame::{Frame, Section, page, run_path, section, service_path, state};
use super::model::bins::{Bin, bins, width_ms};
use super::model::changes::{Change, Mark, changes};
use super::model::standing::{ServiceStanding, Standing, State, of_service, of_track};
use super::model::{RUNS_TO_JUDGE, Track};
use super::when::{Span, rfc3339};

/// What the page is made from.
#[derive(Clone, Debug)]
pub struct Overview {
    /// One row per service, worst first.
    pub rows: Vec<Row>,
    /// What changed, newest first.
    pub changes: Vec<Change>,
}

/// One service.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// Who looks after it.
    pub owner: String,
    /// How it stands.
    pub standing: ServiceStanding,
    /// Its worst track, whose figures the row shows.
    pub worst: Track,
    /// How that one stands.
    pub worst_standing: Standing,
    /// How many tracks it has.
    pub tracks: usize,
    /// Vantages that report on it, and those that are silent.
    pub vantages: (Vec<String>, Vec<String>),
    /// Its newest failed run.
    pub last_failure: Option<Observation>,
}

/// Sorts tracks into services and judges them. `facts` gives a service's owner and newest failure.
pub fn overview(
    tracks: &[Track],
    marks: &[Mark],
    span: &Span,
    mut facts: impl FnMut(&str) -> (String, Option<Observation>),
) -> Overview {
    let mut names: Vec<&str> = tracks.iter().map(|t| t.service.as_str()).collect();
    names.dedup();
    let mut rows: Vec<Row> = names
        .into_iter()
        .filter_map(|name| {
            let own: Vec<&Track> = tracks.iter().filter(|t| t.service == name).collect();
            row(name, &own, span, facts(name))
        })
        .collect();
    rows.sort_by(|a, b| a.standing.state.cmp(&b.standing.state).then_with(|| a.name.cmp(&b.name)));
    Overview { rows, changes: changes(tracks, marks, span) }
}

fn row(
    name: &str,
    own: &[&Track],
    span: &Span,
    facts: (String, Option<Observation>),
) -> Option<Row> {
    let judged: Vec<Standing> = own.iter().map(|t| of_track(t, span)).collect();
    let pairs: Vec<(&Track, &Standing)> = own.iter().copied().zip(&judged).collect();
    let slowness = |s: &Standing| s.now.p90_ms.unwrap_or(0.0);
    let (worst, worst_standing) = pairs
        .iter()
        .min_by(|a, b| a.1.state.cmp(&b.1.state).then(slowness(b.1).total_cmp(&slowness(a.1))))?;
    let by = |silent: bool| {
        let some = pairs.iter().filter(|(_, s)| (s.state == State::Unknown) == silent);
        let mut names: Vec<String> = some.map(|(t, _)| t.vantage.clone()).collect();
        names.sort();
        names.dedup();
        names
    };
    Some(Row {
        name: name.to_owned(),
        owner: facts.0,
        standing: of_service(&pairs, span),
        worst: (*worst).clone(),
        worst_standing: (*worst_standing).clone(),
        tracks: own.len(),
        vantages: (by(false), by(true)),
        last_failure: facts.1,
    })
}

impl Overview {
    /// The page's heading: one sentence.
    pub fn sentence(&self) -> String {
        let of = |state| self.rows.iter().filter(|r| r.standing.state == state).count();
        let all = self.rows.len();
        let (down, degraded, unknown) = (of(State::Down), of(State::Degraded), of(State::Unknown));
        if down + degraded + unknown == 0 {
            return if all == 1 {
                "The service is fine.".into()
            } else {
                format!("All {all} services are fine.")
            };
        }
        let is = |n: usize| if n == 1 { "is" } else { "are" };
        let of_all = |n: usize| match all {
            1 => "The service".to_owned(),
            _ => format!("{n} of {all} services"),
        };
        let mut parts = Vec::new();
        if down > 0 {
            parts.push(format!("{} {} down", of_all(down), is(down)));
        }
        if degraded > 0 {
            let what = if parts.is_empty() { of_all(degraded) } else { degraded.to_string() };
            parts.push(format!("{what} {} degraded", is(degraded)));
        }
        if unknown > 0 {
            let what = if parts.is_empty() { of_all(unknown) } else { unknown.to_string() };
            parts.push(format!("{what} cannot be judged"));
        }
        parts.join(", ") + "."
    }

    /// The page.
    pub fn page(&self, frame: &Frame<'_>) -> Markup {
        let span = frame.span;
        let content = html! {
            section.first aria-label="Services" {
                div.tw {
                    table.ov {
                        thead { tr {
                            th { "State" } th { "Service" } th { "What is seen" }
                            th.ph { "Phases now" } th.n { "p90 now" } th.n { "usual" }
                            th { "Last " (lasted(span.length_ms())) }
                        } }
                        tbody { @for row in &self.rows { (row.markup(span)) } }
                    }
                }
            }
            div.cols.w {
                (section("changed", "What changed", &format!("last {}, newest first", lasted(span.length_ms())),
                    None, &changed(&self.changes, span)))
                (section("sees", "What whyslow can see", "now", None, &self.sees()))
            }
            (add_form())
        };
        page(&Frame { heading: &self.sentence(), ..frame.clone() }, None, &content)
    }

    fn sees(&self) -> Markup {
        html! {
            div.tw { table {
                thead { tr { th { "Service" } th { "outside" } th { "edge" } th { "wire" } th { "host" } } }
                tbody { @for row in &self.rows { tr {
                    th scope="row" { (visible(&row.name)) }
                    td {
                        @if row.vantages.0.is_empty() {
                            span.open { i.i.i-blind aria-hidden="true" { } " blind" }
                        } @else if row.vantages.1.is_empty() {
                            span.ink2 { "sees" } small { " from " (row.vantages.0.join(", ")) }
                        } @else {
                            span.open { i.i.i-blind aria-hidden="true" { } " in part" }
                        }
                    }
                    @for _ in 0..3 { td { span.meta { "not set up" } } }
                } } }
            } }
            p.note { "Silence is shown as unknown, never as fine." }
        }
    }
}

impl Row {
    fn markup(&self, span: &Span) -> Markup {
        let bad = matches!(self.standing.state, State::Down | State::Degraded);
        let (now, usual) = (&self.worst_standing.now, &self.worst_standing.usual);
        html! {
            tr.svc data-state=(self.standing.state.word()) data-name=(self.name) {
                td { (state(self.standing.state)) }
                th scope="row" {
                    a href=(span.link(&service_path(&self.name))) { (visible(&self.name)) }
                    @if !self.owner.is_empty() { small { (visible(&self.owner)) } }
                }
                td.say {
                    (visible(&self.standing.sentence))
                    small { (self.since(span)) (self.failure(span)) }
                }
                td.ph { @if let Some(run) = &now.median {
                    (phases::bar(run, run.total_ms.max(0.001), 8))
                    @if let Some((phase, ms)) = run.longest() { small { (phase.as_str()) " " (time(ms)) } }
                } @else if let Some(run) = self.worst.points.last() {
                    (phases::bar(run, run.total_ms.max(0.001), 8))
                } }
                td.n { (figure(now.p90_ms, now.runs, bad)) @if self.tracks > 1 { small { "by " (visible(&self.worst.label)) } } }
                td.n.us { @match usual.p90_ms { Some(ms) => (time(ms)), None => span.meta { "too few" } } }
                td.tr { (spark::draw(span, &self.bins(span), bad)) }
            }
        }
    }

    fn bins(&self, span: &Span) -> Vec<Bin> {
        let width = width_ms(span.from_ms, span.to_ms, self.worst.every_ms());
        bins(&self.worst, span.from_ms, span.to_ms, width)
    }

    fn since(&self, span: &Span) -> Markup {
        html! { @if let Some(at) = self.standing.since_ms {
            "since " time datetime=(rfc3339(at)) { (span.clock(at)) } ", " (lasted(span.now_ms - at))
        } }
    }

    fn failure(&self, span: &Span) -> Markup {
        let Some(failure) = &self.last_failure else { return html! {} };
        let at = failure.at.as_millis();
        let code = failure.words.get("code").map_or("failed", String::as_str);
        html! {
            @if self.standing.since_ms.is_some() { "; " }
            "last failure "
            @match run_path(&failure.id) {
                Some(path) => a href=(span.link(&path)) { (span.clock_s(at)) },
                None => (span.clock_s(at)),
            }
            ", " (visible(code))
        }
    }
}

/// A percentile, or why there is none.
pub fn figure(p90_ms: Option<f64>, runs: usize, bad: bool) -> Markup {
    html! {
        @match p90_ms {
            Some(ms) => b.bad[bad] { (time(ms)) },
            None if runs == 0 => b.open { "not seen" },
            None => span.meta title={ (RUNS_TO_JUDGE) " are needed to judge" } { (runs) " of " (RUNS_TO_JUDGE) " runs" },
        }
    }
}

fn changed(changes: &[Change], span: &Span) -> Markup {
    html! {
        @if changes.is_empty() {
            p.note { "Nothing changed. Marks that people set stand here, beside failures and silences: "
                code { "whyslow mark \"deploy 4.12\"" } }
        } @else {
            ul.plain { @for change in changes { li {
                time datetime=(rfc3339(change.at_ms)) { (span.clock_s(change.at_ms)) }
                span.bad[change.open] {
                    @if !change.service.is_empty() { b { (visible(&change.service)) } " " }
                    (visible(&change.text))
                }
            } } }
        }
    }
}

/// The form that starts watching one more address.
pub fn add_form() -> Markup {
    let form = html! {
        form.add method="post" action="/api/v1/checks" {
            label for="add-url" { "Address" }
            input id="add-url" name="url" type="text" inputmode="url" required maxlength="2000"
                autocomplete="off" spellcheck="false" placeholder="https://shop.example/";
            button.btn.pri type="submit" { "Watch it" }
        }
        p.note.meta { "Every 15 s from this machine. Also " code { "tcp:HOST:PORT" } ", " code { "tls:HOST:PORT" }
            ", " code { "dns:NAME" } " and " code { "ping:HOST" } ". What the configuration file names stays as the file says." }
    };
    section("add", "Watch one more address", "", None, &form)
}

/// The very first page: nothing is watched yet.
pub fn start(frame: &Frame<'_>) -> Markup {
    let content = html! {
        div.verdict {
            p { span.ink2 { "Nothing is watched yet." } }
            h1 { "Which address is slow?" }
            p.lead { "Give one, and whyslow measures it every 15 s from this machine: name, connection, TLS, request, wait and answer, each by itself." }
            form.add.big method="post" action="/api/v1/checks" {
                label for="url" { "Address" }
                input id="url" name="url" type="text" inputmode="url" required maxlength="2000"
                    autocomplete="off" spellcheck="false" placeholder="https://shop.example/" autofocus;
                button.btn.pri type="submit" { "Watch it" }
            }
            p.note { "Nothing is sent anywhere else, and only " b { "GET" } " is asked. "
                "Several services, paths and checks go into a file: " code { "whyslow up --config whyslow.yaml" } "." }
        }
        (section("line", "The same as lines of configuration", "", None, &html! {
            pre tabindex="0" { "services:\n  shop:\n    checks:\n      - {name: home, kind: http, target: \"https://shop.example/\", every: 15s, warn: 2s, timeout: 5s}\n" }
        }))
    };
    page(&Frame { section: Section::Overview, ..frame.clone() }, Some(html! {}), &content)
}

#[cfg(test)]
mod tests {
    use super::super::model::tests::track;
    use super::super::when::Asked;
    use super::*;

    #[test]
    fn the_worst_service_stands_first_and_the_heading_counts() {
        let mut tracks = vec![track(&[100.0; 60]), track(&[-5000.0; 60]), track(&[100.0; 60])];
        for (track, name) in tracks.iter_mut().zip(["ads", "books", "shop"]) {
            track.service = name.to_owned();
        }
        let span = Span::new(&Asked::default(), 60 * 15_000);
        let made = overview(&tracks, &[], &span, |_| (String::new(), None));
        assert_eq!(made.rows[0].name, "books");
        assert_eq!(made.sentence(), "1 of 3 services is down.");
    }

    #[test]
    fn names_from_outside_are_escaped_and_made_visible() {
        let mut t = track(&[100.0; 30]);
        t.service = "<script>\u{202e}".to_owned();
        let span = Span::new(&Asked::default(), 30 * 15_000);
        let row = row(&t.service.clone(), &[&t], &span, (String::new(), None)).unwrap();
        let html = row.markup(&span).into_string();
        assert!(html.contains("&lt;script&gt;⟨U+202E⟩") && !html.contains("<script>"), "{html}");
    }
}
