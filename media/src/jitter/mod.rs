//! The jitter buffer of what is decoded here: recording, monitoring, mixing, detection. A bridged call that is only
//! relayed has none; its far ends have one each.
//!
//! [`JitterBuffer`] decides by timestamps alone which packet is due; [`Playout`] adds a decoder, concealment and comfort
//! noise, and gives one frame of 20 ms at each tick.

mod buffer;
mod playout;
mod target;

pub use buffer::{Arrival, Content, JitterBuffer, JitterCounters, Packet, Take};
pub use playout::{Heard, Playout};
pub use target::JitterPolicy;

#[cfg(test)]
mod tests;
