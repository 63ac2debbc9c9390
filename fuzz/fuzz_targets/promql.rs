#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| whyslow_promql::fuzz_promql(data));
