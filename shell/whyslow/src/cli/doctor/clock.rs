//! The wall clock: planes and places are joined by it.

use whyslow_sys::discipline::discipline;

use super::Finding;
use crate::config::Config;

const NAME: &str = "clock";

pub(super) fn look(_: &Config) -> Vec<Finding> {
    let mend = "sudo timedatectl set-ntp true";
    let finding = match discipline() {
        Ok(told) if told.synchronised => {
            let error_ms = told.error_max.as_secs_f64() * 1000.0;
            Finding::works(NAME, format!("kept right by a time service, within {error_ms:.1} ms"))
        }
        Ok(_) => Finding::limited(
            NAME,
            "no time service says that it is right; what several places saw may not fit together",
        )
        .mend(mend),
        Err(error) => Finding::limited(NAME, error.to_string()).mend(mend),
    };
    vec![finding]
}
