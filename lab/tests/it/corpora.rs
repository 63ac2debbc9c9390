//! The fuzzers' committed corpora, replayed on the stable toolchain with some damage done to them,
//! and the rule that every parser has a fuzz target, a corpus and a line here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// One parser's entry for the fuzzer.
type Entry = (&'static str, fn(&[u8]));

const ENTRIES: &[Entry] = &[
    ("asn_csv", whyslow_model::asn::csv::fuzz_asn_csv),
    ("capture", whyslow_wire::capture::fuzz_capture),
    ("certificate", whyslow_probe::certificate::fuzz_certificate),
    ("chunk", whyslow_store::chunk::fuzz_chunk),
    ("compiled", whyslow_edge::compiled::fuzz_compiled),
    ("config", whyslow::config::read::fuzz_config),
    ("dns_answer", whyslow_dial::dns::fuzz_dns_answer),
    ("edge_report", whyslow_edge::fuzz_edge_report),
    ("edge_windows", whyslow_edge::fuzz_edge_windows),
    ("edge_row", whyslow_edge::pack::fuzz_edge_row),
    ("apache", whyslow_edge::formats::fuzz_apache),
    ("common_log", whyslow_edge::formats::fuzz_common_log),
    ("iis", whyslow_edge::formats::fuzz_iis),
    ("nginx", whyslow_edge::formats::fuzz_nginx),
    ("alb", whyslow_edge::formats::fuzz_alb),
    ("caddy", whyslow_edge::formats::fuzz_caddy),
    ("cloudflare", whyslow_edge::formats::fuzz_cloudflare),
    ("envoy", whyslow_edge::formats::fuzz_envoy),
    ("envoy_json", whyslow_edge::formats::fuzz_envoy_json),
    ("evidence", whyslow_wire::evidence::fuzz_evidence),
    ("f5", whyslow_edge::formats::fuzz_f5),
    ("traefik", whyslow_edge::formats::fuzz_traefik),
    ("frames", whyslow_dial::fuzz_frames),
    ("framing", whyslow_edge::framing::fuzz_framing),
    ("graphite_line", whyslow_graphite::line::fuzz_graphite_line),
    ("graphite_render", whyslow_graphite::fuzz_graphite_render),
    ("graphite_target", whyslow_graphite::target::fuzz_graphite_target),
    ("graphite_time", whyslow_graphite::attime::fuzz_graphite_time),
    ("guard", whyslow_probe::guard::fuzz_guard),
    ("haproxy", whyslow_edge::formats::haproxy::fuzz_haproxy),
    ("journal", whyslow_store::journal::fuzz_journal),
    ("journal_entry", whyslow_edge::journal_entry::fuzz_journal_entry),
    ("json_path", whyslow_probe::json_path::fuzz_json_path),
    ("judge", whyslow_wire::anatomy::fuzz_judge),
    ("labels", whyslow_store::labels::fuzz_labels),
    ("packet", whyslow_wire::packet::fuzz_packet),
    ("ping_packet", whyslow_probe::ping::fuzz_ping_packet),
    ("promql", whyslow_promql::fuzz_promql),
    ("remote_write", whyslow_store::remote_write::fuzz_remote_write),
    ("resolv_conf", whyslow_dial::fuzz_resolv_conf),
    ("ring_block", whyslow_sys::ring::block::fuzz_ring_block),
    ("rollup", whyslow_store::rollup::fuzz_rollup),
    ("syslog", whyslow_edge::syslog::fuzz_syslog),
    ("target", whyslow_probe::target::fuzz_target),
    ("tls_walker", whyslow_wire::tls::fuzz_tls_walker),
    ("trigger_line", whyslow_edge::trigger::fuzz_trigger_line),
    ("wire_report", whyslow_wire::report::fuzz_wire_report),
    ("wire_engine", whyslow_wire::engine::fuzz_wire_engine),
];

/// Damaged copies tried of each file.
const DAMAGES: u64 = 100;

#[test]
fn every_file_of_every_corpus_and_damaged_copies_of_it_do_no_harm() {
    for (name, entry) in ENTRIES {
        let mut files = 0;
        for file in std::fs::read_dir(root().join("fuzz/corpus").join(name)).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            entry(&bytes);
            for n in 0..DAMAGES {
                entry(&damaged(&bytes, n));
            }
            files += 1;
        }
        assert!(files >= 3, "fuzz/corpus/{name} has {files} files");
    }
}

#[test]
fn every_fuzz_function_has_a_target_a_corpus_and_an_entry_here() {
    let mut functions = BTreeSet::new();
    for tree in ["core", "shell"] {
        fuzz_functions(&root().join(tree), &mut functions);
    }
    let entries: BTreeSet<String> = ENTRIES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(functions, entries, "functions in the crates (left) and entries here (right)");
    let manifest = std::fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    for name in &entries {
        assert!(root().join(format!("fuzz/fuzz_targets/{name}.rs")).exists(), "no target {name}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in the manifest");
    }
}

/// The `n`-th damage: some bytes flipped, cut out, doubled, or cut off. The same each time.
fn damaged(bytes: &[u8], n: u64) -> Vec<u8> {
    let mut state = n;
    let mut next = move |below: usize| {
        // Knuth's MMIX generator; any mixing will do here.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below.max(1)
    };
    let mut damaged = bytes.to_vec();
    for _ in 0..=next(4) {
        let at = next(damaged.len());
        match next(5) {
            _ if damaged.is_empty() => damaged.push(0xff),
            0 => damaged[at] ^= 1 << next(8),
            1 => damaged.truncate(at),
            2 => drop(damaged.remove(at)),
            3 => damaged.insert(at, u8::try_from(next(256)).unwrap()),
            _ => damaged.extend_from_within(at..),
        }
    }
    damaged
}

/// The names behind `pub fn fuzz_` under `dir`.
fn fuzz_functions(dir: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            fuzz_functions(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let names =
                text.lines().filter_map(|l| l.strip_prefix("pub fn fuzz_")?.split('(').next());
            found.extend(names.map(str::to_owned));
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
