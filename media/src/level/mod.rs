//! Loudness: meters, gain, limiting, and automatic gain for soft callers.

mod agc;
mod gain;
mod meter;

pub use agc::{Agc, AgcPolicy};
pub use gain::{Gain, Limiter};
pub use meter::{Level, LevelMeter, dbov, rms};
