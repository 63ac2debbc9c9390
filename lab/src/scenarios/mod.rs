//! The scenarios, one file each.

mod balancer;
mod certificates;
mod demo;
mod disk;
mod dns;
mod edge_files;
mod edge_follow;
mod edge_graphite;
mod edge_haproxy;
mod edge_nginx;
mod edge_outage;
mod edge_reload;
mod edge_report;
mod edge_sockets;
mod edge_syslog;
mod edge_web;
mod firewall;
mod hostile;
mod kills;
mod origin;
pub mod phases;
mod prometheus;
mod promql;
mod restart;
mod stall;
mod starved;
mod wire_evidence;
mod wire_kills;
mod wire_live;
mod wire_triggers;
mod wire_truth;
mod wire_tshark;
mod wire_unanswered;

use crate::scenario::Scenario;

/// Every scenario, the quick ones first.
pub const ALL: &[Scenario] = &[
    certificates::SCENARIO,
    hostile::SCENARIO,
    dns::SCENARIO,
    edge_report::SCENARIO,
    edge_haproxy::SCENARIO,
    edge_nginx::SCENARIO,
    edge_web::APACHES,
    edge_web::CADDYS,
    edge_sockets::SCENARIO,
    edge_files::SCENARIO,
    edge_follow::SCENARIO,
    edge_reload::SCENARIO,
    edge_syslog::SCENARIO,
    edge_graphite::SCENARIO,
    edge_outage::SCENARIO,
    balancer::SCENARIO,
    firewall::SCENARIO,
    wire_truth::SCENARIO,
    wire_tshark::SCENARIO,
    phases::SCENARIO,
    origin::SCENARIO,
    prometheus::SCENARIO,
    promql::SCENARIO,
    restart::SCENARIO,
    stall::SCENARIO,
    starved::SCENARIO,
    wire_evidence::SCENARIO,
    wire_kills::SCENARIO,
    wire_triggers::SCENARIO,
    wire_unanswered::SCENARIO,
    kills::SCENARIO,
    disk::SCENARIO,
    wire_live::SCENARIO,
    demo::SCENARIO,
];
