//! Prometheus metric families made from counts that are kept elsewhere: nothing is counted twice.

use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

/// One value with its labels.
pub(in crate::runtime) type Sample<'a> = (&'a [(&'a str, &'a str)], f64);

/// A counter; its name ends in `_total`.
pub(in crate::runtime) fn counter<'a>(
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = Sample<'a>>,
) -> MetricFamily {
    let metrics = samples.into_iter().map(|(labels, value)| {
        let mut counter = Counter::default();
        counter.set_value(value);
        let mut metric = Metric::from_label(pairs(labels));
        metric.set_counter(counter);
        metric
    });
    family(name, help, MetricType::COUNTER, metrics.collect())
}

/// A gauge.
pub(in crate::runtime) fn gauge<'a>(
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = Sample<'a>>,
) -> MetricFamily {
    let metrics = samples.into_iter().map(|(labels, value)| {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        let mut metric = Metric::from_label(pairs(labels));
        metric.set_gauge(gauge);
        metric
    });
    family(name, help, MetricType::GAUGE, metrics.collect())
}

/// One histogram of a family.
pub(in crate::runtime) struct Series<'a> {
    pub(in crate::runtime) labels: Vec<(&'a str, &'a str)>,
    /// Upper bound, and how many are at or under it.
    pub(in crate::runtime) buckets: Vec<(f64, u64)>,
    pub(in crate::runtime) count: u64,
    pub(in crate::runtime) sum: f64,
}

/// A histogram from cumulative counts: upper bound and how many are at or under it.
pub(super) fn histogram(
    name: &str,
    help: &str,
    buckets: impl IntoIterator<Item = (f64, u64)>,
    count: u64,
    sum: f64,
) -> MetricFamily {
    let one = Series { labels: Vec::new(), buckets: buckets.into_iter().collect(), count, sum };
    histograms(name, help, &[one])
}

/// Histograms that differ by their labels.
pub(in crate::runtime) fn histograms(name: &str, help: &str, all: &[Series<'_>]) -> MetricFamily {
    let metrics = all.iter().map(|series| {
        let buckets = series.buckets.iter().map(|(upper, cumulative)| {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*upper);
            bucket.set_cumulative_count(*cumulative);
            bucket
        });
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(series.count);
        histogram.set_sample_sum(series.sum);
        let mut metric = Metric::from_label(pairs(&series.labels));
        metric.set_histogram(histogram);
        metric
    });
    family(name, help, MetricType::HISTOGRAM, metrics.collect())
}

fn pairs(labels: &[(&str, &str)]) -> Vec<LabelPair> {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    labels.iter().map(pair).collect()
}

fn family(name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}
