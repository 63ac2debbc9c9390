#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| whyslow_graphite::line::fuzz_graphite_line(data));
