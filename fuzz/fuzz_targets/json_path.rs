#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| whyslow_probe::json_path::fuzz_json_path(data));
