#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| whyslow::config::read::fuzz_config(data));
