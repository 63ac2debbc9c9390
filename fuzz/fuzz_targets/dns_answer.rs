#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| whyslow_dial::dns::fuzz_dns_answer(data));
