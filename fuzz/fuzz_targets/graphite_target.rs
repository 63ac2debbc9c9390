#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| whyslow_graphite::target::fuzz_graphite_target(data));
