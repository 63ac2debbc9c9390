#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| whyslow_graphite::attime::fuzz_graphite_time(data));
