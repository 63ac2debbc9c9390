//! How many runs of each bin failed, from zero up, on a scale that several strips share.

use maud::{Markup, html};

use super::{count_f64, gaps, mark_lines, place, plot, rectangle};
use crate::web::pages::figures::part;
use crate::web::pages::model::bins::Bin;
use crate::web::pages::model::changes::Mark;
use crate::web::pages::when::Span;

const HEIGHT: f64 = 36.0;

/// The most failures of one bin: the top of the shared scale.
pub fn most<'a>(all: impl IntoIterator<Item = &'a Vec<Bin>>) -> usize {
    all.into_iter().flatten().map(|b| b.figures.failed).max().unwrap_or(0).max(3)
}

/// Draws one path's failures.
pub fn draw(span: &Span, bins: &[Bin], most: usize, name: &str, marks: &[Mark]) -> Markup {
    let mut d = String::new();
    for bin in bins.iter().filter(|b| b.figures.failed > 0) {
        let (left, width) = place(span, bin);
        let height = (HEIGHT - 3.0) * count_f64(bin.figures.failed) / count_f64(most);
        rectangle(&mut d, left, HEIGHT - 1.0 - height, (width - 0.8).max(2.0), height);
    }
    let stretched = html! {
        @if !d.is_empty() { path.fbad d=(d) { } }
        path.zero d={ "M0 " (HEIGHT - 0.5) "H1000" } { }
        (mark_lines(span, marks, HEIGHT))
    };
    let (failed, runs) =
        bins.iter().fold((0, 0), |(f, r), b| (f + b.figures.failed, r + b.figures.runs));
    let says = format!("Failed runs through {name}: {}", part(failed, runs));
    plot(HEIGHT, &says, &stretched, &gaps(span, bins, HEIGHT))
}
