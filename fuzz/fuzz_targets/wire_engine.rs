#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| whyslow_wire::engine::fuzz_wire_engine(data));
