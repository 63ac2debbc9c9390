#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| whyslow_dial::fuzz_resolv_conf(data));
