#![no_main]

#[expect(dead_code, reason = "those of the other targets")]
#[path = "../../tests/laws.rs"]
mod laws;

libfuzzer_sys::fuzz_target!(|data: &[u8]| laws::definitions(data));
