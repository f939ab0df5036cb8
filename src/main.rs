//! Kraliki Voice.
fn main() {}
