#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| whyslow_store::journal::fuzz_journal(data));
