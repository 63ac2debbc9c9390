//! `/services/NAME`: paths side by side, then everything over one time axis.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::chart::{axis, bars, heat as heat_map, marks as marks_strip, phases, strip};
use super::figures::{count, counted, exact_ms, lasted, limit, part, time, visible};
use super::frame::{Frame, check_link, page, section, service_path, state};
use super::model::before_after::{Sides, sides};
use super::model::bins::{Bin, bins, heat, width_ms};
use super::model::changes::Mark;
use super::model::standing::{ServiceStanding, Standing, State, of_service, of_track};
use super::model::{Figures, RUNS_TO_JUDGE, Track};
use super::when::{Span, escaped, rfc3339};

/// What the page is made from.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its checks' names.
    pub checks: Vec<String>,
    /// The check that is shown.
    pub check: String,
    /// That check's tracks with how they stand.
    pub tracks: Vec<(Track, Standing)>,
    /// Which of them the stacked chart and the heat map show.
    pub chosen: usize,
    /// How the whole service stands.
    pub standing: ServiceStanding,
    /// The same tracks in the stretch before, where it is compared.
    pub before: Vec<Track>,
    /// Marks of the range, oldest first.
    pub marks: Vec<Mark>,
    /// Per path: failure codes and how often.
    pub codes: BTreeMap<String, Vec<(String, usize)>>,
}

/// Picks the check and the path to show: those asked for, else the worst ones.
pub fn service(
    all: &[Track],
    asked: (Option<&str>, Option<&str>, Option<&str>),
    marks: Vec<Mark>,
    span: &Span,
) -> Option<Service> {
    let judged: Vec<(Track, Standing)> =
        all.iter().map(|t| (t.clone(), of_track(t, span))).collect();
    let pairs: Vec<(&Track, &Standing)> = judged.iter().map(|(t, s)| (t, s)).collect();
    let standing = of_service(&pairs, span);
    let mut checks: Vec<String> = all.iter().map(|t| t.check.clone()).collect();
    checks.sort();
    checks.dedup();
    let worst = judged.iter().min_by_key(|(_, s)| s.state)?;
    let check = asked.0.filter(|c| checks.iter().any(|n| n == c)).unwrap_or(&worst.0.check);
    let check = check.to_owned();
    let tracks: Vec<_> = judged.into_iter().filter(|(t, _)| t.check == check).collect();
    let is_asked = |t: &Track| Some(&*t.path) == asked.1 && asked.2.is_none_or(|v| v == t.vantage);
    let by_name = tracks.iter().position(|(t, _)| is_asked(t));
    let failed = |t: &Track| t.points.iter().filter(|p| !p.ok).count();
    let badness = |i: &usize| (tracks[*i].1.state, std::cmp::Reverse(failed(&tracks[*i].0)));
    let worst = (0..tracks.len()).min_by_key(badness);
    Some(Service {
        name: all.first()?.service.clone(),
        checks,
        check,
        chosen: by_name.or(worst).unwrap_or(0),
        tracks,
        standing,
        before: Vec::new(),
        marks,
        codes: BTreeMap::new(),
    })
}

impl Service {
    /// The page.
    pub fn page(&self, frame: &Frame<'_>) -> Markup {
        let span = frame.span;
        let content = html! {
            div.verdict data-state=(self.standing.state.word()) data-name=(self.name) {
                p {
                    (state(self.standing.state))
                    @if let Some(at) = self.standing.since_ms {
                        span.ink2 { "since " time datetime=(rfc3339(at)) { (span.clock_s(at)) } ", for " (lasted(span.now_ms - at)) }
                    }
                }
                h1 { (visible(&self.name)) ": " (visible(&self.standing.sentence)) }
                @if self.standing.state != State::Ok { p.lead { (self.contrast()) } }
            }
            @if self.checks.len() > 1 { (self.check_links(span)) }
            (self.paths(span))
            (self.over_time(span))
            @if let Some(mark) = self.marks.last() { (self.before_after(mark, span)) }
            (mark_form(&self.name, &span.link(&service_path(&self.name))))
        };
        page(frame, None, &content)
    }

    /// The longest phase of each path's median run: the contrast that says where to look.
    fn contrast(&self) -> Markup {
        html! {
            @for (i, (track, standing)) in self.tracks.iter().take(4).enumerate() {
                @if i > 0 { " " }
                @match standing.now.median.as_ref().and_then(|m| m.longest().map(|l| (m, l))) {
                    Some((run, (phase, ms))) => { (visible(&track.label)) ": " (time(run.total_ms)) ", " (time(ms)) " of it " (phase.as_str()) "." }
                    None => { (visible(&track.label)) ": no run worked lately." }
                }
            }
        }
    }

    fn check_links(&self, span: &Span) -> Markup {
        html! {
            nav.range.tabs aria-label="Checks of this service" {
                @for check in &self.checks {
                    a href=(span.link(&format!("{}?check={}", service_path(&self.name), escaped(check))))
                        aria-current=[(*check == self.check).then_some("true")] { (visible(check)) }
                }
            }
        }
    }

    fn paths(&self, span: &Span) -> Markup {
        let medians = self.tracks.iter().filter_map(|(t, _)| Figures::of(&t.points).median);
        let scale = medians.map(|m| m.total_ms).fold(0.0, f64::max).max(0.001) * 1.05;
        let plan = self.tracks.iter().find_map(|(t, _)| t.plan.as_ref().map(|p| (t, p)));
        let note = plan.map_or_else(
            || format!("check {}, not in the configuration any more", self.check),
            |(t, p)| {
                let warn = p.warn_ms.map_or(String::new(), |w| format!(", warn {}", limit(w)));
                format!(
                    "check {}, every {} from {}{warn}, timeout {}; phases on one scale, 0 to {}",
                    visible(&self.check),
                    limit(p.every_ms),
                    visible(&t.vantage),
                    limit(p.timeout_ms),
                    time(scale)
                )
            },
        );
        let cards = html! {
            ol.paths { @for (i, (track, standing)) in self.tracks.iter().enumerate() {
                (self.card(i, track, standing, scale, span))
            } }
        };
        section("paths", "Paths", &note, Some(phases::key()), &cards)
    }

    fn card(
        &self,
        i: usize,
        track: &Track,
        standing: &Standing,
        scale: f64,
        span: &Span,
    ) -> Markup {
        let figures = Figures::of(&track.points);
        let before =
            self.before.iter().find(|b| b.id() == track.id() && b.vantage == track.vantage);
        let before = before.map(|b| Figures::of(&b.points));
        let path = format!(
            "{}?check={}&path={}&vantage={}",
            service_path(&self.name),
            escaped(&track.check),
            escaped(&track.path),
            escaped(&track.vantage)
        );
        html! {
            li {
                h3 {
                    a href=(span.link(&path)) aria-current=[(i == self.chosen).then_some("true")] { (visible(&track.label)) }
                    @if standing.state != State::Ok { " " (state(standing.state)) }
                }
                p.meta { (track.plan.as_ref().map_or(String::new(), |p| visible(&p.way))) }
                @match &figures.median {
                    Some(run) => {
                        p.big { b { (time(run.total_ms)) } " " small { "median run" } }
                        (phases::bar(run, scale, 14))
                    }
                    None => p.big { b.open { "not seen" } " " small { "no run worked" } },
                }
                dl.kv {
                    div { dt { "p90 / p99" } dd { (percentiles(&figures)) } }
                    @if let Some(before) = &before { div { dt { "before" } dd { (percentiles(before)) } } }
                    div { dt { "Failed" } dd.bad[figures.failed > 0] { (part(figures.failed, figures.runs)) } }
                    @if let Some(before) = &before { div { dt { "before" } dd { (part(before.failed, before.runs)) } } }
                    @if let Some(codes) = self.codes.get(&track.path).filter(|_| figures.failed > 0) {
                        div { dt { "What failed" } dd { (codes_text(codes)) } }
                    }
                    div { dt { "Runs" } dd { a href=(span.link(&check_link(track))) { "latest, and all " (count(figures.runs)) } } }
                }
            }
        }
    }

    fn over_time(&self, span: &Span) -> Markup {
        let every = self.tracks.iter().map(|(t, _)| t.every_ms()).max().unwrap_or(15_000);
        let width = width_ms(span.from_ms, span.to_ms, every);
        let binned: Vec<Vec<Bin>> =
            self.tracks.iter().map(|(t, _)| bins(t, span.from_ms, span.to_ms, width)).collect();
        let Some(((chosen, _), own)) = self.tracks.get(self.chosen).zip(binned.get(self.chosen))
        else {
            return html! {};
        };
        let heat = heat(chosen, own);
        let figures = Figures::of(&chosen.points);
        let note = format!(
            "{} to {}, bins of {}; phases and heat map: path {}",
            span.clock(span.from_ms),
            span.clock(span.to_ms),
            limit(u64::try_from(width).unwrap_or(0)),
            visible(&chosen.label)
        );
        let most = bars::most(&binned);
        let content = html! {
            figure data-chart="" data-from=(span.from_ms) data-to=(span.to_ms) {
                ol.strips {
                    (marks_strip(span, &self.marks))
                    (self.phase_strip(chosen, own, &figures, span, width))
                    (self.heat_strip(chosen, own, &heat, &figures, span))
                    @for ((track, standing), bins) in self.tracks.iter().zip(&binned) {
                        @let failed: usize = bins.iter().map(|b| b.figures.failed).sum();
                        @let note = if track.id() == self.tracks[0].0.id() { format!("runs per bin, 0 to {most}") } else { String::new() };
                        (strip(&format!("Failed, {}", visible(&track.label)), &note,
                            &bars::draw(span, bins, most, &visible(&track.label), &self.marks),
                            &count(failed), if standing.state == State::Unknown { "silent now" } else { "" }, failed > 0))
                    }
                }
                (axis(span))
                (bins_table(own, &visible(&chosen.label), span))
            }
        };
        section("over-time", "Over time", &note, Some(heat_map::key(&heat)), &content)
    }

    fn phase_strip(
        &self,
        chosen: &Track,
        own: &[Bin],
        figures: &Figures,
        span: &Span,
        width: i64,
    ) -> Markup {
        let earlier = span.before();
        let before =
            self.before.iter().find(|b| b.id() == chosen.id() && b.vantage == chosen.vantage);
        let before = before.map_or(Vec::new(), |b| bins(b, earlier.from_ms, earlier.to_ms, width));
        let plot = phases::stacked(span, own, &before, &self.marks);
        let (value, reading) = match &figures.median {
            Some(run) => {
                let longest = run
                    .longest()
                    .map_or(String::new(), |(p, ms)| format!("{} of it {}", time(ms), p.as_str()));
                (time(run.total_ms), longest)
            }
            None => ("not seen".to_owned(), String::new()),
        };
        let note = if before.is_empty() {
            "of the median run in each bin"
        } else {
            "median run; line: before"
        };
        strip("Phases", note, &plot, &value, &reading, false)
    }

    fn heat_strip(
        &self,
        chosen: &Track,
        own: &[Bin],
        heat: &super::model::bins::Heat,
        figures: &Figures,
        span: &Span,
    ) -> Markup {
        #[expect(clippy::cast_precision_loss, reason = "thresholds are far below 2^53 ms")]
        let warn = chosen.plan.as_ref().and_then(|p| p.warn_ms).map(|w| w as f64);
        let plot = heat_map::draw(span, own, heat, warn, &self.marks);
        let value = figures.p99_ms.map_or_else(
            || format!("{} of {RUNS_TO_JUDGE} runs", figures.runs),
            |p| format!("p99 {}", time(p)),
        );
        let reading = format!("{} failed", counted(figures.failed, "run"));
        strip("All runs", "time, log scale", &plot, &value, &reading, false)
    }

    fn before_after(&self, mark: &Mark, span: &Span) -> Markup {
        let tracks: Vec<&Track> = self.tracks.iter().map(|(t, _)| t).collect();
        let both: Vec<Sides> = sides(&tracks, mark);
        let table = html! {
            div.tw tabindex="0" role="region" aria-label="Before and after" { table {
                thead { tr {
                    th { "Path" } th.n { "Failed before" } th.n { "after" } th.n { "Median before, ms" } th.n { "after, ms" }
                    th.n { "p90 before, ms" } th.n { "after, ms" } th { "Reading" }
                } }
                tbody { @for side in &both { tr {
                    th scope="row" { (visible(&side.path)) }
                    @for f in [&side.before, &side.after] { td.n { (part(f.failed, f.runs)) } }
                    @for f in [&side.before, &side.after] { td.n { (exact_ms(f.median.map_or(f64::NAN, |m| m.total_ms))) } }
                    @for f in [&side.before, &side.after] { td.n { (exact_ms(f.p90_ms.unwrap_or(f64::NAN))) } }
                    td.bad[side.reading().contains("more") || side.reading() == "slower"] { (side.reading()) }
                } } }
            } }
        };
        let heading = format!("Before and after {}", span.clock(mark.at_ms));
        section("sides", &heading, &format!("mark “{}”", visible(&mark.text)), None, &table)
    }
}

fn percentiles(figures: &Figures) -> Markup {
    html! {
        @match figures.p90_ms.zip(figures.p99_ms) {
            Some((p90, p99)) => { (time(p90)) " / " (time(p99)) }
            None => span.meta { (figures.runs) " of " (RUNS_TO_JUDGE) " runs" },
        }
    }
}

fn codes_text(codes: &[(String, usize)]) -> String {
    let some: Vec<String> =
        codes.iter().take(3).map(|(code, n)| format!("{n} × {}", visible(code))).collect();
    let more = if codes.len() > 3 { ", …" } else { "" };
    some.join(", ") + more
}

/// The table behind the charts: one row per bin, each a link to its range.
pub fn bins_table(bins: &[Bin], path: &str, span: &Span) -> Markup {
    html! {
        details.tbl {
            summary { "The same as a table" }
            div.tw { table {
                thead { tr {
                    th { "From, path " (path) } th.n { "Runs" } th.n { "failed" } th.n { "median, ms" } th.n { "p90, ms" }
                    @for phase in whyslow_model::Phase::ALL { th.n { (phase.as_str()) } }
                } }
                tbody { @for bin in bins { tr {
                    th scope="row" { a href={ "?" (span.query_of(bin.from_ms, bin.to_ms)) } { (span.clock_s(bin.from_ms)) } }
                    td.n { @if bin.is_gap() { "not seen" } @else { (count(bin.figures.runs)) } }
                    td.n { (count(bin.figures.failed)) }
                    td.n { (exact_ms(bin.figures.median.map_or(f64::NAN, |m| m.total_ms))) }
                    td.n { (exact_ms(bin.figures.p90_ms.unwrap_or(f64::NAN))) }
                    @for i in 0..6 { td.n { (exact_ms(bin.figures.median.map_or(f64::NAN, |m| m.phases_ms[i]))) } }
                } } }
            } }
        }
    }
}

/// The form that writes a change down.
fn mark_form(service: &str, back: &str) -> Markup {
    let form = html! {
        form.add method="post" action="/api/v1/marks" {
            input type="hidden" name="service" value=(service);
            input type="hidden" name="back" value=(back);
            label for="mark-text" { "What was changed" }
            input id="mark-text" name="text" type="text" required maxlength="200" autocomplete="off"
                placeholder="deploy 4.12";
            button.btn type="submit" { "Add a mark" }
        }
    };
    section(
        "mark",
        "Write a change down",
        "now; it stands as a line through all charts",
        None,
        &form,
    )
}

#[cfg(test)]
mod tests {
    use super::super::model::tests::track;
    use super::super::when::Asked;
    use super::*;

    #[test]
    fn the_worst_path_is_chosen_unless_another_is_asked_for() {
        let (mut a, mut b) = (track(&[100.0; 60]), track(&[-5000.0; 60]));
        (a.path, b.path) = ("cdn".into(), "web2".into());
        let span = Span::new(&Asked::default(), 60 * 15_000);
        let made = service(&[a.clone(), b.clone()], (None, None, None), Vec::new(), &span).unwrap();
        assert_eq!(made.tracks[made.chosen].0.path, "web2");
        let asked =
            service(&[a, b], (Some("nonsense"), Some("cdn"), None), Vec::new(), &span).unwrap();
        assert_eq!(
            (asked.check.as_str(), asked.tracks[asked.chosen].0.path.as_str()),
            ("home", "cdn")
        );
    }
}
