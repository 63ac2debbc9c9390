#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| whyslow_edge::pack::fuzz_edge_row(data));
