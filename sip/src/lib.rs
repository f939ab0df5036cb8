//! Kraliki Voice.
