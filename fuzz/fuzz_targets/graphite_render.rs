#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| whyslow_graphite::fuzz_graphite_render(data));
