//! The detector as a whole.
