//! `/checks/ID`: the newest run, or any other, and the history it stands in.

use maud::{Markup, html};
use whyslow_model::Observation;

use super::chart::{axis, bars, heat as heat_map, marks as marks_strip, phases, strip};
use super::figures::{count, exact_ms, part, time, visible};
use super::frame::{Frame, check_path, outcome, page, run_path, section};
use super::model::bins::{bins, heat, width_ms};
use super::model::changes::Mark;
use super::model::standing::of_track;
use super::model::{Figures, Track};
use super::run::{Shown, point_of, word};
use super::service::bins_table;
use super::when::{Span, escaped, rfc3339};

/// What the page is made from.
#[derive(Clone, Debug)]
pub struct Check {
    /// The check's track over the range.
    pub track: Track,
    /// The run that is shown, if there is any.
    pub shown: Option<Shown>,
    /// The run before it and the run after it.
    pub neighbours: (Option<Observation>, Option<Observation>),
    /// Runs of the range, newest first: one page of them.
    pub history: Vec<Observation>,
    /// Which of them are listed: `all`, `failed` or `slow`.
    pub listed: String,
    /// Where the next page of the list begins.
    pub next: Option<String>,
    /// Marks of the range.
    pub marks: Vec<Mark>,
}

impl Check {
    /// The page.
    pub fn page(&self, frame: &Frame<'_>) -> Markup {
        let span = frame.span;
        let content = html! {
            @match &self.shown {
                Some(shown) => {
                    (shown.verdict(span))
                    (shown.where_the_time_went())
                    (shown.dns())
                    (shown.connection())
                    (shown.beside(span))
                    (shown.transcript())
                }
                None => div.verdict {
                    h1 { (visible(&self.track.id())) " has no run in this range." }
                    p.lead { (visible(&of_track(&self.track, span).says)) }
                },
            }
            (self.over_time(span))
            (self.list(span))
            (self.remove())
        };
        page(frame, Some(self.steps(span, frame.path)), &content)
    }

    /// Run before, run after, newest, and the ranges.
    fn steps(&self, span: &Span, path: &str) -> Markup {
        let (before, after) = &self.neighbours;
        let step = |o: &Observation, label: &str, key: &str| {
            let path = run_path(&o.id).unwrap_or_default();
            html! { a href=(span.link(&path)) data-step=(key) { (label) ", " (span.clock_s(o.at.as_millis())) } }
        };
        html! {
            nav.range.end aria-label="Runs" {
                @if let Some(o) = before { (step(o, "Run before", "before")) }
                @if let Some(o) = after {
                    (step(o, "Run after", "after"))
                    a href=(span.link(&check_path(&self.track.id()))) { "Newest" }
                }
            }
            (super::frame::ranges(span, path))
        }
    }

    fn over_time(&self, span: &Span) -> Markup {
        let track = &self.track;
        let width = width_ms(span.from_ms, span.to_ms, track.every_ms());
        let own = bins(track, span.from_ms, span.to_ms, width);
        let heat = heat(track, &own);
        let figures = Figures::of(&track.points);
        #[expect(clippy::cast_precision_loss, reason = "thresholds are far below 2^53 ms")]
        let warn = track.plan.as_ref().and_then(|p| p.warn_ms).map(|w| w as f64);
        let median = figures.median.map_or_else(|| "not seen".to_owned(), |m| time(m.total_ms));
        let p99 = figures
            .p99_ms
            .map_or_else(|| format!("{} runs", figures.runs), |p| format!("p99 {}", time(p)));
        let content = html! { figure data-chart="" data-from=(span.from_ms) data-to=(span.to_ms) {
            ol.strips {
                (marks_strip(span, &self.marks))
                (strip("Phases", "of the median run in each bin", &phases::stacked(span, &own, &[], &self.marks), &median, "median run", false))
                (strip("All runs", "time, log scale", &heat_map::draw(span, &own, &heat, warn, &self.marks), &p99, "", false))
                (strip("Failed", "runs per bin", &bars::draw(span, &own, bars::most([&own]), &visible(&track.path), &self.marks),
                    &count(figures.failed), &part(figures.failed, figures.runs), figures.failed > 0))
            }
            (axis(span))
            (bins_table(&own, &visible(&track.path), span))
        } };
        let note = format!(
            "{} to {}; drag over a stretch to look into it",
            span.clock(span.from_ms),
            span.clock(span.to_ms)
        );
        section("over-time", "Over time", &note, Some(heat_map::key(&heat)), &content)
    }

    fn list(&self, span: &Span) -> Markup {
        let base = check_path(&self.track.id());
        let choice = |word: &str, label: &str| {
            html! {
                a href={ (span.link(&format!("{base}?show={word}"))) "#history" } aria-current=[(self.listed == word).then_some("true")] { (label) }
            }
        };
        let shown_id = self.shown.as_ref().map_or("", |s| s.seen.id.as_str());
        let links = html! { nav.range.end aria-label="Which runs" { (choice("all", "All")) (choice("slow", "Slow")) (choice("failed", "Failed")) } };
        let table = html! {
            div.tw { table.runs {
                thead { tr { th { "Started" } th { "Outcome" } th.n { "ms" } th { "What" } th.wf { "Phases, own scale" } } }
                tbody { @for run in &self.history {
                    @let point = point_of(run);
                    tr.hot[run.id == shown_id] {
                        th scope="row" { time datetime=(rfc3339(point.at_ms)) {
                            @match run_path(&run.id) {
                                Some(path) => a href=(span.link(&path)) { (span.clock_s(point.at_ms)) },
                                None => (span.clock_s(point.at_ms)),
                            }
                        } }
                        td { (outcome(word(run, "outcome"))) }
                        td.n { (exact_ms(point.total_ms)) }
                        td { (visible(word(run, "code"))) @if !word(run, "status").is_empty() { " " (visible(word(run, "status"))) } }
                        td.wf { (phases::bar(&point, point.total_ms.max(0.001), 10)) }
                    }
                } }
            } }
            @if self.history.is_empty() { p.note { "No such run in this range." } }
            @if let Some(next) = &self.next {
                p.more { a.btn href={ (span.link(&format!("{base}?show={}&after={}", self.listed, escaped(next)))) "#history" } { "Older runs" } }
            }
        };
        section("history", "Runs", "newest first", Some(links), &table)
    }

    fn remove(&self) -> Markup {
        if !self.track.plan.as_ref().is_some_and(|p| p.added_here) {
            return html! {};
        }
        let form = html! { form.add method="post" action={ "/api/v1/checks/" (escaped(&self.track.id())) "/delete" } {
            button.btn type="submit" { "Stop watching it" }
        } };
        section("remove", "Stop watching", "what was measured stays", None, &form)
    }
}
