//! Fuzz target `backups`: see `inbox_tests::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| inbox_tests::fuzz::backups(data));
