//! A word on stderr while something takes long, for a person who watches.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Output;

/// How often the seconds are counted on.
const TICK: Duration = Duration::from_millis(250);

/// The word, taken away when dropped.
#[derive(Debug)]
pub struct Waiting(Option<ProgressBar>);

/// Says what is waited for, and for how long already; nothing where nobody watches.
pub fn waiting(out: &Output, what: &str) -> Waiting {
    if !out.shows_progress() {
        return Waiting(None);
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.set_message(whyslow_model::printable(what).into_owned());
    bar.enable_steady_tick(TICK);
    Waiting(Some(bar))
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
