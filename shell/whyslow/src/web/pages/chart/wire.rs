//! Pictures of handshakes: single ones over time, and the parts of a cohort's middle one.

use maud::{Markup, html};

use super::x;
use crate::web::pages::figures::scale;
use crate::web::pages::model::wire::limits::Line;
use crate::web::pages::when::Span;

const HEIGHT: f64 = 168.0;

/// A handshake in the picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Dot {
    /// When it began, in milliseconds since the epoch.
    pub at_ms: i64,
    /// How long it took, in milliseconds.
    pub total_ms: f64,
    /// Whose time it was.
    pub blame: String,
}

/// Whom handshakes wait for, in the order of the key.
pub const BLAMES: [&str; 5] = ["server", "network", "client", "unknown", "none"];

/// Single handshakes by time and duration, each by shape and shade whose time it was, and the limits
/// of the whole, the lowest first.
pub fn scatter(span: &Span, dots: &[Dot], limits: &[Line]) -> Markup {
    let ends = |factor: f64| {
        dots.iter().map(|d| d.total_ms).chain(limits.iter().map(move |line| line.ms * factor))
    };
    let fastest = ends(0.5).fold(f64::INFINITY, f64::min).clamp(0.1, 1e9);
    let slowest = ends(2.0).fold(fastest * 4.0, f64::max);
    let decades = (slowest / fastest).log10().max(0.3);
    let y = |ms: f64| 6.0 + (HEIGHT - 12.0) * (1.0 - (ms.max(fastest) / fastest).log10() / decades);
    let lines = [1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0, 30_000.0];
    let lines = lines.into_iter().filter(|ms| (fastest..=slowest).contains(ms));
    let slow = dots.iter().filter(|d| d.blame != "none").count();
    let says = format!(
        "Single handshakes by time and duration on a logarithmic scale: {} are drawn, {slow} of them slow",
        dots.len()
    );
    html! {
        svg.p width="100%" height=(HEIGHT) role="img" aria-label=(says) {
            @for ms in lines.clone() { line.gridl x1="0" x2="100%" y1=(figure(y(ms))) y2=(figure(y(ms))) { } }
            @for limit in limits {
                line.mk x1="0" x2="100%" y1=(figure(y(limit.ms))) y2=(figure(y(limit.ms))) stroke-dasharray="2 3" { }
            }
            @for ms in lines { text.y x="0" y=(figure(y(ms) + 4.0)) { (scale(ms)) } }
            // Slow ones last, so that they lie on top.
            @for dot in dots.iter().filter(|d| d.blame == "none").chain(dots.iter().filter(|d| d.blame != "none")) {
                svg x={ (figure(x(span, dot.at_ms) / 10.0)) "%" } y=(figure(y(dot.total_ms))) overflow="visible" { (shape(&dot.blame)) }
            }
            @for limit in limits {
                // Not at the ends: at the left is the scale of a narrow screen, at the right the newest.
                text.halo.ti x="25%" y=(figure(y(limit.ms) - 4.0)) { (limit.label) }
            }
        }
    }
}

/// The shape of whom was waited for.
fn shape(blame: &str) -> Markup {
    html! {
        @match blame {
            "server" => rect.fink x="-3" y="-3" width="6" height="6" { },
            "network" => path.fbad d="M0 -4.5L4.5 0 0 4.5 -4.5 0z" { },
            "client" => circle.h3 r="3.5" { },
            "unknown" => circle.dim r="3" { },
            _ => circle.fref r="1.5" { },
        }
    }
}

/// The key of the shapes.
pub fn scatter_key() -> Markup {
    html! {
        p.key.end {
            @for blame in BLAMES {
                span {
                    svg width="10" height="10" viewBox="-5 -5 10 10" aria-hidden="true" { (shape(blame)) }
                    (if blame == "none" { "not slow" } else { blame })
                }
            }
        }
    }
}

/// The middle handshake of a cohort by its parts, on a scale from 0 to `top`; the part that is
/// `marked` in the colour of what is not as it should be.
pub fn parts(parts_ms: [Option<f64>; 3], marked: Option<usize>, top: f64) -> Markup {
    let mut left = 0.0;
    let mut bars = Vec::new();
    for (i, ms) in parts_ms.into_iter().enumerate() {
        let width = ms.unwrap_or(0.0) / top.max(1e-9) * 100.0;
        let class = if marked == Some(i) { "fbad" } else { ["fink", "fref", "h3"][i] };
        bars.push((class, left, width));
        left += width;
    }
    html! {
        svg.p width="100%" height="18" aria-hidden="true" {
            @for (class, left, width) in bars {
                @if width > 0.0 { rect class=(class) x={ (figure(left)) "%" } width={ (figure(width.max(0.4))) "%" } y="4" height="10" { } }
            }
        }
    }
}

fn figure(x: f64) -> String {
    format!("{x:.2}")
}
