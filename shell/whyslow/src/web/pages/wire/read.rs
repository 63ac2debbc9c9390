//! What the pages of the wire read from the store. It blocks.

use whyslow_model::Wall;

use super::Seen;
use crate::storage::{
    FindingQuery, ReadingQuery, WireEvent, WireEventPage, WireEventQuery, WireKind, WireOrder,
};
use crate::web::pages::model::edge::bins::width_of;
use crate::web::pages::model::wire::filter::{Field, Filter};
use crate::web::pages::model::wire::limits::Limits;
use crate::web::pages::model::wire::rings::Ring;
use crate::web::pages::source::{Broken, Material};
use crate::web::pages::when::{NAMED, Span};
use crate::wire::TapStatus;

/// Single handshakes that are drawn, the newest.
const NEWEST: usize = 600;
/// Those that are listed, the slowest.
const SLOWEST: usize = 50;
/// SYNs without an answer that are looked at, the newest.
const UNANSWERED: usize = 2000;
/// Endings that are looked at, the newest.
const ENDINGS: usize = 200;
/// Readings of a page: several detectors, many cells, the newest of each.
const READINGS: usize = 4000;
/// Findings of a page.
const FINDINGS: usize = 200;
/// How far back the first window is looked for, in milliseconds.
const LOOK_BACK_MS: i64 = NAMED[3].2;

impl Material {
    /// Everything `/wire` shows.
    ///
    /// # Errors
    /// [`Broken`] where the store cannot be read.
    pub fn wire(&self, filter: &Filter, span: &Span) -> Result<Seen, Broken> {
        let (from, to) = (Wall::from_millis(span.from_ms), Wall::from_millis(span.to_ms));
        let taps = self.db.wire_taps(from, to)?;
        let page = |kind, order, limit| self.wire_page(filter, span, kind, order, limit);
        let newest = WireOrder::Newest;
        let kept = filter.events(span).map(|query| WireEventQuery {
            with_evidence: true,
            limit: 1,
            ..query
        });
        let kept = kept.map(|query| self.db.wire_events(&query)).transpose()?;
        let codes = whyslow_wire::detect::codes();
        let mut windows = Vec::new();
        let width_s = Some(width_of(span, 60));
        let range = (from, to);
        self.db.wire_over(filter.get(Field::Tap), range, width_s, &mut |tap, window| {
            windows.push((tap, window));
        })?;
        let taps: Vec<String> = taps.iter().map(|tap| tap.to_string()).collect();
        let shown = filter.get(Field::Tap).map_or_else(|| taps.clone(), |tap| vec![tap.to_owned()]);
        Ok(Seen {
            windows,
            limits: Limits::of(&shown, &self.config.wire),
            triggers: self.evidence.triggers(),
            taps,
            newest: page(WireKind::Handshake, newest, NEWEST)?,
            slowest: page(WireKind::Handshake, WireOrder::Slowest, SLOWEST)?,
            unanswered: page(WireKind::Unanswered, newest, UNANSWERED)?,
            endings: page(WireKind::Ending, newest, ENDINGS)?,
            with_packets: kept.map_or(0, |page| page.of),
            findings: self.db.findings(&FindingQuery {
                from: Some(from),
                to: Some(to),
                codes: codes.clone(),
                limit: FINDINGS,
                ..FindingQuery::default()
            })?,
            rings: self.wire_rings(filter),
            readings: self.db.readings(&ReadingQuery {
                from: Some(from),
                to: Some(to),
                codes,
                limit: READINGS,
                ..ReadingQuery::default()
            })?,
        })
    }

    /// The recorders' rings as they are now, of the tap asked for or of all.
    fn wire_rings(&self, filter: &Filter) -> Vec<Ring> {
        let taps = self.wire.taps().into_iter();
        let wanted = |tap: &TapStatus| filter.get(Field::Tap).is_none_or(|t| t == tap.interface);
        taps.filter(wanted).map(ring).collect()
    }

    fn wire_page(
        &self,
        filter: &Filter,
        span: &Span,
        kind: WireKind,
        order: WireOrder,
        limit: usize,
    ) -> Result<WireEventPage, Broken> {
        let Some(query) = filter.events(span) else { return Ok(WireEventPage::default()) };
        let query = WireEventQuery { kind: Some(kind), order, limit, ..query };
        Ok(self.db.wire_events(&query)?)
    }

    /// When the first window of the last day began, in milliseconds.
    pub fn wire_oldest_ms(&self, now_ms: i64) -> Option<i64> {
        let (from, to) = (Wall::from_millis(now_ms - LOOK_BACK_MS), Wall::from_millis(now_ms));
        let windows = self.db.wire_windows(None, from, to).ok()?;
        windows.first().map(|(_, window)| window.from.as_millis())
    }

    /// One handshake by the name its page has.
    ///
    /// # Errors
    /// [`Broken`] where the store cannot be read, or holds no such handshake.
    pub fn wire_handshake(&self, id: &str) -> Result<WireEvent, Broken> {
        let not_there = || {
            Broken::NotFound("there is no such handshake, or it is not kept any more".to_owned())
        };
        let number = u64::from_str_radix(id, 16).map_err(|_| not_there())?;
        let event = self.db.wire_event(number)?.ok_or_else(not_there)?;
        if event.kind == WireKind::Handshake { Ok(event) } else { Err(not_there()) }
    }
}

/// A recorder's status as pages show it.
fn ring(status: TapStatus) -> Ring {
    let gauges = status.gauges;
    let held = gauges.depth.map_or(0, |depth| depth.bytes);
    let span = gauges.depth.map(|depth| (depth.from.as_millis(), depth.to.as_millis()));
    let unseen = gauges.sight.and_then(|sight| sight.problem(&status.interface));
    Ring {
        held_ms: span,
        bytes: (held, gauges.ring_bytes),
        packets: (status.counts.packets, status.counts.drops),
        freezes: status.counts.freezes,
        problem: gauges.problem.or(unseen),
        interface: status.interface,
        service: status.service,
    }
}
