#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| whyslow_probe::certificate::fuzz_certificate(data));
