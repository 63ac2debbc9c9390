//! `/checks`: every check on every path, worst first.

use maud::{Markup, html};

use super::chart::spark;
use super::figures::{lasted, limit, part, shortened, time, visible};
use super::frame::{Frame, check_link, page, state};
use super::model::bins::{bins, width_ms};
use super::model::standing::{Standing, State, of_track};
use super::model::{Figures, Track};
use super::overview::{add_form, figure};
use super::when::Span;

/// One line of the list, with what it is sorted by.
type Judged<'a> = (&'a Track, Standing);

/// The page; `filter` keeps checks whose id or target holds it.
pub fn page_of(tracks: &[Track], filter: &str, frame: &Frame<'_>) -> Markup {
    let span = frame.span;
    let mut judged: Vec<Judged<'_>> =
        tracks.iter().filter(|t| matches(t, filter)).map(|t| (t, of_track(t, span))).collect();
    judged.sort_by(|a, b| a.1.state.cmp(&b.1.state).then_with(|| a.0.id().cmp(&b.0.id())));
    let content = html! {
        form.add.find method="get" action="/checks" role="search" {
            label for="q" { "Find" }
            input id="q" name="q" type="search" value=(filter) placeholder="service, check, path or target";
            @if let Some(word) = span.named { input type="hidden" name="r" value=(word); }
            button.btn type="submit" { "Find" }
        }
        section.first aria-label="Checks" {
            div.tw { table.ov {
                thead { tr {
                    th { "State" } th { "Check" } th { "Target" } th.n { "Every" } th.n { "Failed" }
                    th.n { "Median" } th.n { "p90 now" } th { "Last " (lasted(span.length_ms())) }
                } }
                tbody { @for (track, standing) in &judged { (line(track, standing, span)) } }
            } }
            @if judged.is_empty() { p.note { "No check bears “" (visible(filter)) "” in its name or target." } }
        }
        (add_form())
    };
    page(&Frame { heading: &sentence(&judged, tracks.len()), ..frame.clone() }, None, &content)
}

fn matches(track: &Track, filter: &str) -> bool {
    let target = track.plan.as_ref().map_or("", |p| p.target.as_str());
    filter.is_empty() || track.id().contains(filter) || target.contains(filter)
}

fn sentence(judged: &[Judged<'_>], all: usize) -> String {
    let shown = judged.len();
    let of = |state| judged.iter().filter(|(_, s)| s.state == state).count();
    let not_fine = shown - of(State::Ok);
    let what =
        if shown == all { format!("{all} checks") } else { format!("{shown} of {all} checks") };
    match not_fine {
        0 => format!("{what}, all fine."),
        n => format!(
            "{what}, {n} not fine: {} down, {} degraded, {} unknown.",
            of(State::Down),
            of(State::Degraded),
            of(State::Unknown)
        ),
    }
}

fn line(track: &Track, standing: &Standing, span: &Span) -> Markup {
    let figures = Figures::of(&track.points);
    let bad = matches!(standing.state, State::Down | State::Degraded);
    let width = width_ms(span.from_ms, span.to_ms, track.every_ms());
    html! {
        tr data-state=(standing.state.word()) data-name=(track.id()) {
            td { (state(standing.state)) }
            th scope="row" {
                a href=(span.link(&check_link(track))) { (visible(&track.id())) }
                small { (visible(&standing.says)) }
            }
            td.tg { @match &track.plan {
                Some(plan) => { span.mono { (shortened(&visible(&plan.target), 60)) } small { (plan.kind) " from " (visible(&track.vantage)) @if plan.added_here { ", added on a page" } } }
                None => span.meta { "not in the configuration any more" },
            } }
            td.n.us { @if let Some(plan) = &track.plan { (limit(plan.every_ms)) } }
            td.n.bad[figures.failed > 0] { (part(figures.failed, figures.runs)) }
            td.n.us { @match figures.median { Some(run) => (time(run.total_ms)), None => "not seen" } }
            td.n { (figure(standing.now.p90_ms, standing.now.runs, bad)) }
            td.tr { (spark::draw(span, &bins(track, span.from_ms, span.to_ms, width), bad)) }
        }
    }
}
