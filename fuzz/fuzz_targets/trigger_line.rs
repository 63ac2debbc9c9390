#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| whyslow_edge::trigger::fuzz_trigger_line(data));
