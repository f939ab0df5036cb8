//! Whether a floor still is what the tables say: noticed within a minute of a change, long before the tables do.

use serde::{Deserialize, Serialize};

/// Whether ends come more or less often than the table says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Drift {
    seen: f64,
    expected: f64,
}

impl Drift {
    /// Expected ends after which old evidence is halved.
    const HALF_LIFE: f64 = 12.0;
    /// At this many standard deviations half of the difference is believed (in logarithms): chance alone stays
    /// below it, a floor that halves or doubles exceeds it within half a minute.
    const HALF_BELIEVED: f64 = 2.5;

    pub(super) const fn new() -> Self {
        Drift { seen: 0.0, expected: 0.0 }
    }

    pub(super) fn saw(&mut self) {
        self.seen += 1.0;
    }

    /// So many ends were to be expected since the last call.
    pub(super) fn expected(&mut self, ends: f64) {
        self.expected += ends;
        let keep = 0.5f64.powf(ends / Self::HALF_LIFE);
        self.seen *= keep;
        self.expected *= keep;
    }

    fn belief(&self) -> f64 {
        let z = (self.seen - self.expected) / (self.expected.max(self.seen) / 2.0).max(1.0).sqrt();
        z * z / (z * z + Self::HALF_BELIEVED * Self::HALF_BELIEVED)
    }

    /// What to multiply the table's rates by.
    pub(super) fn factor(&self) -> f64 {
        ((self.seen + 1.0) / (self.expected + 1.0)).powf(self.belief()).clamp(0.2, 5.0)
    }

    /// How fast the table should forget: 1 as long as it holds.
    pub(super) fn haste(&self) -> f64 {
        if self.belief() > 0.6 { 10.0 } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_ignores_chance_and_sees_change() {
        let mut drift = Drift::new();
        for i in 0..200 {
            if i % 2 == 0 {
                drift.saw();
            }
            drift.expected(0.5);
        }
        assert!((drift.factor() - 1.0).abs() < 0.1, "{}", drift.factor());
        for _ in 0..40 {
            drift.saw();
            drift.expected(0.5);
        }
        assert!(drift.factor() > 1.3, "{}", drift.factor());
    }
}
