#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| whyslow_edge::journal_entry::fuzz_journal_entry(data));
