#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| whyslow_wire::evidence::fuzz_evidence(data));
