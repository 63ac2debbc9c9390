//! The certificates that are trusted.

use whyslow_dial::trust::machine_roots;

use super::Finding;
use crate::config::Config;

const NAME: &str = "certificates";

pub(super) fn look(_: &Config) -> Vec<Finding> {
    let finding = match machine_roots() {
        0 => Finding::limited(NAME, "the machine trusts none; the built-in ones are used")
            .mend("sudo apt-get install ca-certificates"),
        n => Finding::works(NAME, format!("{n} roots that this machine trusts")),
    };
    vec![finding]
}
