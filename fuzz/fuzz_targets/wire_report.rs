#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| whyslow_wire::report::fuzz_wire_report(data));
