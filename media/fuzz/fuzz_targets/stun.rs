//! See `kraliki_media::fuzzing::stun`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| kraliki_media::fuzzing::stun(bytes));
