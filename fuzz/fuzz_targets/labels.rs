#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| whyslow_store::labels::fuzz_labels(data));
