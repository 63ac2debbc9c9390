#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| whyslow_probe::ping::fuzz_ping_packet(data));
