//! The formats there are, one file each.

use crate::format::Format;

/// All formats, in the order in which they are tried where none is named.
pub const ALL: &[Format] = &[];

/// The format of a name.
pub fn find(name: &str) -> Option<&'static Format> {
    ALL.iter().find(|format| format.name == name)
}
