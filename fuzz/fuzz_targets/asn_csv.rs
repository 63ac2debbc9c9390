#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| whyslow_model::asn::csv::fuzz_asn_csv(data));
