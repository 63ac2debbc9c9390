//! The scenarios, one file each.

mod balancer;
mod certificates;
mod dns;
mod firewall;
pub mod phases;

use crate::scenario::Scenario;

/// Every scenario, the quick ones first.
pub const ALL: &[Scenario] = &[
    certificates::SCENARIO,
    dns::SCENARIO,
    balancer::SCENARIO,
    firewall::SCENARIO,
    phases::SCENARIO,
];
