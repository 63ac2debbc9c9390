#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| whyslow_wire::packet::fuzz_packet(data));
