#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| whyslow_edge::framing::fuzz_framing(data));
