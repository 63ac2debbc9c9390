#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| whyslow_probe::guard::fuzz_guard(data));
