//! The cumulative definition: overlaps of a pair that add up within a rolling period (CDC: 15 min in 24 h).

use crate::config::Cumulative;
use crate::time::Second;

/// Whether some period of `rule.period_s` holds `rule.threshold_s` or more of these overlaps, each `[lo, hi)`.
///
/// The time covered by `[t, t + period)` is piecewise linear in `t`, so it is greatest where the period starts with
/// an overlap or ends with one; only those are tried. Overlaps at the same time count each.
pub fn adds_up(overlaps: &[(Second, Second)], rule: Cumulative) -> bool {
    let (period, threshold) = (i64::from(rule.period_s), i64::from(rule.threshold_s));
    let total: i64 = overlaps.iter().map(|(lo, hi)| i64::from(hi - lo)).sum();
    if total < threshold {
        return false;
    }
    let starts = overlaps.iter().flat_map(|(lo, hi)| [i64::from(*lo), i64::from(*hi) - period]);
    starts.into_iter().any(|start| {
        let inside = |(lo, hi): &(Second, Second)| {
            let (lo, hi) = (i64::from(*lo).max(start), i64::from(*hi).min(start + period));
            (hi - lo).max(0)
        };
        overlaps.iter().map(inside).sum::<i64>() >= threshold
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_rolling_period_counts_not_the_calendar_day() {
        let rule = Cumulative { threshold_s: 900, period_s: 86_400 };
        let day = 86_400;
        assert!(adds_up(&[(0, 900)], rule));
        assert!(!adds_up(&[(0, 899)], rule));
        assert!(adds_up(&[(day - 300, day), (day + 100, day + 700)], rule), "over midnight");
        assert!(adds_up(&[(0, 450), (day - 450, day)], rule), "exactly the period");
        assert!(!adds_up(&[(0, 450), (day - 449, day + 1)], rule), "one second past it");
        assert!(adds_up(&[(0, 800), (day + 700, day + 1_500)], Cumulative { threshold_s: 800, ..rule }));
        assert!(adds_up(&[(0, 5_000), (day, day + 5_000)], Cumulative { threshold_s: 5_000, ..rule }));
        assert!(!adds_up(&[], rule));
    }

    #[test]
    fn a_period_may_cut_an_overlap_on_either_side() {
        let rule = Cumulative { threshold_s: 10, period_s: 10 };
        assert!(adds_up(&[(5, 25)], rule));
        assert!(!adds_up(&[(0, 9), (11, 20)], rule));
        assert!(adds_up(&[(0, 6), (2, 6)], rule), "overlaps at the same time count each");
    }
}
