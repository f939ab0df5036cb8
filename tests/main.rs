//! Tests of the whole system, in one binary: real processes, real SIPp, a real browser.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod answers;
mod api;
mod attacks;
mod browser;
mod cli;
mod compliance;
mod console;
mod crash;
mod day;
mod demo;
mod detect;
mod interop;
mod modes;
mod peers;
mod phones;
mod quality;
mod recording;
mod supervision;
mod support;
mod tree;
mod trunks;
