//! From Apache's letters to a record.

use super::super::values::{Number, Text, Values};
use crate::record::{EdgePhase, Record, Span};

/// Fills what Apache alone says. Its own work, a proxied server's and connecting to it are one
/// time (`%^FB`), which holds the upload too unless `%^FU` tells that; what follows is the
/// server's sending and the client's reading.
pub(in super::super) fn read<'a>(record: &mut Record<'a>, values: &Values<'a>) {
    let total = values.natural(Number::Total);
    let total = total.or_else(|| values.natural(Number::Session));
    let upload = values.natural(Number::Upload);
    let first = values.natural(Number::FirstByte);
    record.total = total.map_or(Span::ABSENT, Span::exact);
    record.phases.set(EdgePhase::ClientIn, upload.map_or(Span::ABSENT, Span::exact));
    if let Some(first) = first {
        let wait = first.saturating_sub(upload.unwrap_or(0));
        record.phases.set(EdgePhase::Wait, Span::mixed(wait));
    }
    // Whole seconds cannot tell what is left behind the first byte.
    if let (Some(total), Some(first)) = (values.natural(Number::Total), first) {
        record.phases.set(EdgePhase::Body, Span::mixed(total.saturating_sub(first)));
    }
    record.end.client_aborted = values.told(Text::Completion) == b"X";
}
