//! What the API counts of itself, and `/metrics`: that, after everything below it.

use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

/// The API's own metrics.
pub(crate) struct Metrics {
    registry: Registry,
    /// Requests by route, method and status.
    pub(crate) requests: IntCounterVec,
    /// How long they took, by route.
    pub(crate) request_seconds: HistogramVec,
    /// TCP connections that are open.
    pub(crate) connections: IntGauge,
    /// Connections that were not taken because too many were open.
    pub(crate) connections_refused: IntCounter,
    /// Live sockets that are open.
    pub(crate) live_sockets: IntGauge,
    /// Times a live socket missed events and got a snapshot instead.
    pub(crate) live_lagged: IntCounter,
    /// Sign-ins by result: ok, wrong, locked.
    pub(crate) sign_ins: IntCounterVec,
    /// Refresh tokens that were used twice; each ends its session.
    pub(crate) refresh_reused: IntCounter,
}

impl Metrics {
    pub(crate) fn new() -> Result<Metrics, prometheus::Error> {
        let registry = Registry::new();
        let seconds =
            HistogramOpts::new("kraliki_http_request_seconds", "How long requests took").buckets(vec![
                0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
            ]);
        let metrics = Metrics {
            requests: IntCounterVec::new(
                Opts::new("kraliki_http_requests_total", "Requests by route, method and status"),
                &["route", "method", "status"],
            )?,
            request_seconds: HistogramVec::new(seconds, &["route"])?,
            connections: IntGauge::new("kraliki_http_connections", "Connections that are open")?,
            connections_refused: IntCounter::new(
                "kraliki_http_connections_refused_total",
                "Connections that were closed at once because too many were open",
            )?,
            live_sockets: IntGauge::new("kraliki_live_sockets", "Live sockets that are open")?,
            live_lagged: IntCounter::new(
                "kraliki_live_lagged_total",
                "Times a live socket missed events and got a snapshot instead",
            )?,
            sign_ins: IntCounterVec::new(
                Opts::new("kraliki_sign_ins_total", "Sign-ins by result: ok, wrong, locked"),
                &["result"],
            )?,
            refresh_reused: IntCounter::new(
                "kraliki_refresh_tokens_reused_total",
                "Refresh tokens that were used twice; each ends its session",
            )?,
            registry,
        };
        let all: [Box<dyn prometheus::core::Collector>; 8] = [
            Box::new(metrics.requests.clone()),
            Box::new(metrics.request_seconds.clone()),
            Box::new(metrics.connections.clone()),
            Box::new(metrics.connections_refused.clone()),
            Box::new(metrics.live_sockets.clone()),
            Box::new(metrics.live_lagged.clone()),
            Box::new(metrics.sign_ins.clone()),
            Box::new(metrics.refresh_reused.clone()),
        ];
        for collector in all {
            metrics.registry.register(collector)?;
        }
        Ok(metrics)
    }

    /// The Prometheus text of what lies below the API, then of the API.
    pub(crate) fn render(&self, mut below: String) -> String {
        let mut own = Vec::new();
        if TextEncoder::new().encode(&self.registry.gather(), &mut own).is_ok() {
            if !below.is_empty() && !below.ends_with('\n') {
                below.push('\n');
            }
            below.push_str(&String::from_utf8_lossy(&own));
        }
        below
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_metrics_follow_those_below() {
        let metrics = Metrics::new().unwrap();
        metrics.sign_ins.with_label_values(&["ok"]).inc();
        let text = metrics.render("kraliki_attempts_total 1".into());
        assert!(text.starts_with("kraliki_attempts_total 1\n# HELP kraliki_"), "{text}");
        assert!(text.contains("kraliki_sign_ins_total{result=\"ok\"} 1\n"), "{text}");
    }
}
