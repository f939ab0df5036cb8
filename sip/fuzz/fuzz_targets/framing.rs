//! See `kraliki_sip::fuzzing::framing`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| kraliki_sip::fuzzing::framing(bytes));
