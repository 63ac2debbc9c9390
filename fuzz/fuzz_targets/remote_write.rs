#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| whyslow_store::remote_write::fuzz_remote_write(data));
