//! What several rounds say together.

/// The middle and the ends of some values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Summary {
    /// `None` of no values. Values that are not numbers are left out.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let half = values.len() / 2;
        let upper = *values.get(half)?;
        let median = match half.checked_sub(1).filter(|_| values.len().is_multiple_of(2)) {
            Some(below) => f64::midpoint(*values.get(below)?, upper),
            None => upper,
        };
        Some(Summary {
            median,
            min: *values.first()?,
            max: *values.last()?,
        })
    }

    /// In another unit.
    pub(crate) fn times(self, factor: f64) -> Self {
        Summary {
            median: self.median * factor,
            min: self.min * factor,
            max: self.max * factor,
        }
    }

    /// `median (min–max)`, or the median alone where there is nothing between the ends.
    pub(crate) fn text(self) -> String {
        if self.min == self.max {
            return number(self.median);
        }
        format!("{} ({}–{})", number(self.median), number(self.min), number(self.max))
    }
}

/// A number as a reader wants it: three significant digits below 1,000, and thousands set apart above.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 999.5 => thousands(value),
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        size if size >= 0.0995 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// A number of things, or one that was chosen and not measured: all its digits.
pub(crate) fn count(value: f64) -> String {
    if value >= 1000.0 {
        thousands(value)
    } else {
        format!("{value}")
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the middle value of an odd number of rounds, the mean of the two middle ones otherwise, whatever their order.
    #[test]
    fn the_median_is_the_middle() {
        let odd = Summary::of([5.0, 1.0, 9.0]).unwrap();
        assert_eq!((odd.median, odd.min, odd.max), (5.0, 1.0, 9.0));
        assert_eq!(Summary::of([4.0, 1.0, 2.0, 100.0]).unwrap().median, 3.0);
        assert_eq!(Summary::of([7.0]).unwrap().text(), "7.00");
        assert_eq!(Summary::of([f64::NAN]), None);
        assert_eq!(Summary::of([]), None);
    }

    /// Goal: numbers of every size are written with the digits that mean something.
    #[test]
    fn numbers_are_readable() {
        for (value, text) in [
            (0.0, "0"),
            (0.01234, "0.012"),
            (2.345, "2.35"),
            (23.45, "23.4"),
            (234.5, "234"),
            (999.6, "1,000"),
            (1_234_567.8, "1,234,568"),
            (-1234.0, "-1,234"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(
            Summary::of([1000.0, 2000.0, 4000.0]).unwrap().text(),
            "2,000 (1,000–4,000)"
        );
    }
}
