//! Metrics of everything below the API.

use prometheus::{Registry, TextEncoder};

/// The registry that the runtime fills.
#[derive(Default)]
pub(super) struct Metrics {
    registry: Registry,
}

impl Metrics {
    /// The Prometheus text format.
    pub(super) fn render(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}
