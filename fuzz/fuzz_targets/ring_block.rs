#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| whyslow_sys::ring::block::fuzz_ring_block(data));
