//! What `/edge/slow` reads from the store. It blocks.

use whyslow_model::Wall;
use whyslow_model::limits::EDGE_SLOW_PER_PAGE;

use super::SlowSeen;
use crate::storage::{Db, SlowField, SlowFilter, SlowMatch, SlowOrder, StorageError};
use crate::web::pages::model::edge::bins::width_of;
use crate::web::pages::model::edge::filter::{Field, Filter};
use crate::web::pages::when::Span;

/// What the page counts by, in its order.
const FACETS: [SlowField; 10] = [
    SlowField::Server,
    SlowField::Route,
    SlowField::Asn,
    SlowField::Prefix,
    SlowField::Country,
    SlowField::Dominant,
    SlowField::Code,
    SlowField::Flags,
    SlowField::Backend,
    SlowField::Vip,
];
/// Values counted of each.
const VALUES: usize = 5;
/// Values counted of each in the stretch before, in which a value of now is looked up.
const VALUES_BEFORE: usize = 1000;
/// Seconds of the narrowest stretch of the histogram.
const STEP_S: i64 = 10;

impl SlowSeen {
    /// Reads one page and what all that fit have in common.
    ///
    /// # Errors
    /// [`StorageError`] where the store cannot be read or the page does not exist.
    pub fn read(
        db: &Db,
        filter: &Filter,
        slowest: bool,
        after: Option<&str>,
        span: &Span,
    ) -> Result<Self, StorageError> {
        let order = if slowest { SlowOrder::Slowest } else { SlowOrder::Newest };
        let wanted = slow_filter(filter, span);
        let page = db.slow(&wanted, order, EDGE_SLOW_PER_PAGE, after)?;
        let step_s = width_of(span, STEP_S);
        let before = span
            .compare
            .then(|| db.slow_facets(&slow_filter(filter, &span.before()), &FACETS, VALUES_BEFORE));
        Ok(Self {
            rows: page.rows,
            next: page.next,
            slowest,
            facets: db.slow_facets(&wanted, &FACETS, VALUES)?,
            before: before.transpose()?,
            over_time: db.slow_histogram(&wanted, step_s, None)?,
            step_s,
            counts: db
                .slow_counts(span.from_ms.div_euclid(1000), span.to_ms.div_euclid(1000) + 1)?,
        })
    }
}

/// The store's word for a field; `None` of one that is no field of its own.
pub const fn slow_field(field: Field) -> Option<SlowField> {
    Some(match field {
        Field::Vip => SlowField::Vip,
        Field::Backend => SlowField::Backend,
        Field::Server => SlowField::Server,
        Field::Route => SlowField::Route,
        Field::Code => SlowField::Code,
        Field::Asn => SlowField::Asn,
        Field::Prefix => SlowField::Prefix,
        Field::Country => SlowField::Country,
        Field::Flag => SlowField::Flags,
        Field::Phase => SlowField::Dominant,
        Field::Client => SlowField::Client,
        Field::Path | Field::MinMs => return None,
    })
}

/// The store's filter for a span.
pub fn slow_filter(filter: &Filter, span: &Span) -> SlowFilter {
    let matches = filter.all().filter_map(|(field, value)| {
        // What a source does not tell is empty in the store, a word in addresses.
        let value =
            if matches!(value, "unknown" | whyslow_edge::names::EMPTY) { "" } else { value };
        let field = slow_field(field)?;
        Some(SlowMatch { field, values: vec![value.to_owned()], exclude: false })
    });
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a limit that a person wrote, positive and finite"
    )]
    let micros = |ms: f64| (ms * 1000.0).min(1e15) as u64;
    SlowFilter {
        from: Some(Wall::from_millis(span.from_ms)),
        to: Some(Wall::from_millis(span.to_ms)),
        matches: matches.collect(),
        total_us_min: filter.min_ms().map(micros),
        total_us_max: None,
        path_has: filter.get(Field::Path).map(str::to_owned),
    }
}
