#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| whyslow_edge::formats::fuzz_apache(data));
