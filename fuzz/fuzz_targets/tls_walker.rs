#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| whyslow_wire::tls::fuzz_tls_walker(data));
