//! From values to places on a chart.

/// An axis is logarithmic if its largest value is this many times its smallest.
const LOGARITHMIC_FROM: f64 = 50.0;
/// A linear axis has about so many ticks.
const TICKS: f64 = 5.0;

/// An axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    /// In values, or in powers of ten if it is logarithmic.
    low: f64,
    high: f64,
    is_logarithmic: bool,
    from: f64,
    to: f64,
}

impl Scale {
    /// An axis from zero, or from a power of ten if the values differ a lot. `None` without a positive value.
    pub(super) fn for_bars(values: impl IntoIterator<Item = f64>, from: f64, to: f64) -> Option<Self> {
        let (min, max) = ends(values)?;
        if max / min < LOGARITHMIC_FROM {
            let step = step(max);
            return Some(Scale {
                low: 0.0,
                high: (max / step).ceil() * step,
                is_logarithmic: false,
                from,
                to,
            });
        }
        // The smallest bar is to be seen, too: so a little below it.
        Some(Scale::logarithmic(
            (min * 0.9).log10().floor(),
            max.log10().ceil(),
            from,
            to,
        ))
    }

    /// An axis that ends where its values do.
    pub(super) fn for_growth(values: impl IntoIterator<Item = f64>, from: f64, to: f64) -> Option<Self> {
        let (min, max) = ends(values)?;
        if max / min < LOGARITHMIC_FROM {
            return Scale::for_bars([max], from, to);
        }
        Some(Scale::logarithmic(min.log10(), max.log10(), from, to))
    }

    fn logarithmic(low: f64, high: f64, from: f64, to: f64) -> Self {
        Scale {
            low,
            high,
            is_logarithmic: true,
            from,
            to,
        }
    }

    pub(super) fn is_logarithmic(&self) -> bool {
        self.is_logarithmic
    }

    /// Where the axis begins.
    pub(super) fn begin(&self) -> f64 {
        self.from
    }

    /// Where a value is; those beyond the ends are at the ends.
    pub(super) fn place(&self, value: f64) -> f64 {
        let value = if self.is_logarithmic {
            value.max(f64::MIN_POSITIVE).log10()
        } else {
            value
        };
        let share = (value - self.low) / (self.high - self.low);
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// Values worth a mark.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let marks = |from: f64, to: f64, step: f64| {
            let count = ((to - from) / step + 1e-9).floor() as i64;
            (0..=count).map(move |at| from + at as f64 * step)
        };
        if self.is_logarithmic {
            // On a long axis every third power of ten is enough.
            let step = ((self.high - self.low) / 8.0).ceil().max(1.0);
            marks(self.low.ceil(), self.high, step)
                .map(|power| 10_f64.powf(power))
                .collect()
        } else {
            marks(self.low, self.high, step(self.high)).collect()
        }
    }
}

/// The smallest and the largest positive value.
fn ends(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let values = values.into_iter().filter(|value| value.is_finite() && *value > 0.0);
    values.fold(None, |ends, value| {
        let (min, max) = ends.unwrap_or((value, value));
        Some((min.min(value), max.max(value)))
    })
}

/// 1, 2 or 5 times a power of ten, so that about [`TICKS`] of them reach `max`.
fn step(max: f64) -> f64 {
    let rough = max / TICKS;
    let power = 10_f64.powf(rough.log10().floor());
    let digit = [1.0, 2.0, 5.0].into_iter().find(|digit| digit * power >= rough * 0.999);
    digit.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: values of one size have an axis from zero whose ticks are round and reach beyond the largest.
    #[test]
    fn values_of_one_size_are_linear() {
        let scale = Scale::for_bars([40_000.0, 244_654.0], 100.0, 600.0).unwrap();
        assert!(!scale.is_logarithmic());
        assert_eq!(
            scale.ticks(),
            [0.0, 50_000.0, 100_000.0, 150_000.0, 200_000.0, 250_000.0]
        );
        assert_eq!(
            (scale.place(0.0), scale.place(125_000.0), scale.place(250_000.0)),
            (100.0, 350.0, 600.0)
        );
        assert_eq!(scale.place(1e9), 600.0);
    }

    /// Goal: values of different sizes have a logarithmic axis, on which equal ratios are equal distances.
    #[test]
    fn values_of_different_sizes_are_logarithmic() {
        let scale = Scale::for_bars([20.0, 90_000.0], 0.0, 400.0).unwrap();
        assert!(scale.is_logarithmic());
        assert_eq!(scale.ticks().len(), 5);
        assert!((scale.place(1000.0) - scale.place(100.0) - 100.0).abs() < 1e-9);
        assert!(scale.place(20.0) > 0.0);
        let growth = Scale::for_growth([16.0, 1_048_576.0], 10.0, 20.0).unwrap();
        assert_eq!((growth.place(16.0), growth.place(1_048_576.0)), (10.0, 20.0));
    }

    /// Goal: an axis can go down the page, and nothing has no axis.
    #[test]
    fn axes_turn_and_may_be_missing() {
        let scale = Scale::for_bars([1.0, 2.0], 300.0, 50.0).unwrap();
        assert!(scale.place(2.0) < scale.place(1.0));
        assert_eq!(Scale::for_bars([0.0, f64::NAN], 0.0, 1.0), None);
        assert_eq!(Scale::for_growth([], 0.0, 1.0), None);
    }
}
