//! The normal and the lognormal distribution.

/// The share of a lognormal distribution below `x`.
pub(super) fn lognormal_below(x: f64, mean: f64, cv: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let s2 = (1.0 + cv * cv).ln();
    normal_below((x.ln() - (mean.ln() - s2 / 2.0)) / s2.sqrt())
}

/// The share of the normal distribution below `x`, to 1e-7 (Abramowitz and Stegun 26.2.17).
pub(super) fn normal_below(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let poly = t
        * (0.319_381_530
            + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let tail = normal_density(x) * poly;
    if x > 0.0 { 1.0 - tail } else { tail }
}

/// The density of the normal distribution.
pub(super) fn normal_density(x: f64) -> f64 {
    0.398_942_280_4 * (-x * x / 2.0).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_is_the_normal() {
        assert!((normal_below(0.0) - 0.5).abs() < 1e-6);
        assert!((normal_below(1.96) - 0.975).abs() < 1e-4);
        assert!((lognormal_below(1.0, 1.0, 1.0) - 0.6615).abs() < 1e-3);
    }
}
