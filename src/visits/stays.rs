//! The stays of one person, from that person's scans.

use super::{EndSource, Scan, StayRules, Visit, join_touching};
use crate::records::scans::{Direction, NOT_LEFT};
use crate::time::Second;

/// The visits of one person, sorted by arrival, then venue. The scans are all of that person's, sorted as in `Scans`.
pub(super) fn of_person(scans: &[Scan], rules: &StayRules) -> Vec<Visit> {
    let mut by_venue: Vec<Scan> = scans.to_vec();
    by_venue.sort_unstable_by_key(|s| (s.venue, s.at, s.direction, s.left));
    let mut stays = Vec::new();
    for here in by_venue.chunk_by(|a, b| a.venue == b.venue) {
        at_venue(here, scans, rules, &mut stays);
    }
    stays.sort_unstable_by_key(|v| (v.venue, v.arrived, v.left, v.end_source));
    let mut visits = join_touching(stays);
    visits.sort_unstable_by_key(|v| (v.arrived, v.venue));
    visits
}

/// A stay that may still be prolonged.
struct Open {
    arrived: Second,
    last_scan: Second,
}

/// Appends the stays at one venue. `here` are the scans there in time order, `all` the person's scans anywhere.
fn at_venue(here: &[Scan], all: &[Scan], rules: &StayRules, stays: &mut Vec<Visit>) {
    let venue = here[0].venue;
    let rule = rules.by_venue[venue as usize];
    let mut elsewhere = NextElsewhere { all, venue, rules, at: 0 };
    let mut open: Option<Open> = None;

    // The end of a stay without check-out: the earliest bound, and of equal ones the first in this list.
    let close = |open: &Open, next_elsewhere: Option<Second>| {
        let bounds = [
            (next_elsewhere.unwrap_or(Second::MAX), EndSource::NextScan),
            (open.last_scan.saturating_add(rule.default_stay_s), EndSource::DefaultStay),
            (open.arrived.saturating_add(rules.cap_s), EndSource::Cap),
        ];
        let (left, end_source) = *bounds.iter().min().expect("three bounds");
        stay(here[0], open.arrived, left, open.last_scan, end_source)
    };

    let mut next_elsewhere = None;
    for scan in here {
        if scan.left != NOT_LEFT {
            // The record states its end; nothing is inferred but the cap.
            let cap = scan.at.saturating_add(rules.cap_s);
            let (left, end_source) =
                if scan.left <= cap { (scan.left, EndSource::CheckOut) } else { (cap, EndSource::Cap) };
            stays.extend(stay(*scan, scan.at, left, left, end_source));
            continue;
        }
        // Whether the stay that is open can still be going on at this scan. Checking out here and in elsewhere in one
        // second (or minute, as many readers round) is the ordinary way to leave.
        let out = scan.direction == Direction::Out;
        let goes_on = open.as_ref().is_some_and(|open| {
            next_elsewhere.is_none_or(|next| scan.at < next || (out && scan.at == next))
                && scan.at <= open.arrived.saturating_add(rules.cap_s)
        });
        match (scan.direction, open.take()) {
            (Direction::Out, Some(was)) if goes_on => {
                stays.extend(stay(*scan, was.arrived, scan.at, scan.at, EndSource::CheckOut));
            }
            // A check-out without a stay to end: when it began is not known, so no visit is made of it.
            (Direction::Out, was) => stays.extend(was.and_then(|was| close(&was, next_elsewhere))),
            (Direction::In, Some(was))
                if goes_on
                    && scan.at < was.arrived.saturating_add(rules.cap_s)
                    && scan.at - was.last_scan <= rule.merge_gap_s =>
            {
                open = Some(Open { arrived: was.arrived, last_scan: scan.at });
                next_elsewhere = elsewhere.after(scan.at);
            }
            (Direction::In, was) => {
                stays.extend(was.and_then(|was| close(&was, next_elsewhere)));
                open = Some(Open { arrived: scan.at, last_scan: scan.at });
                next_elsewhere = elsewhere.after(scan.at);
            }
        }
    }
    stays.extend(open.and_then(|open| close(&open, next_elsewhere)));
}

/// The stay, unless it is empty.
fn stay(of: Scan, arrived: Second, left: Second, seen_until: Second, end_source: EndSource) -> Option<Visit> {
    let visit = Visit {
        person: of.person,
        venue: of.venue,
        arrived,
        left,
        seen_until: seen_until.min(left),
        end_source,
    };
    (arrived < left).then_some(visit)
}

/// Walks the person's scans once to find, for rising instants, the next scan that ends a stay at `venue`.
struct NextElsewhere<'a> {
    all: &'a [Scan],
    venue: u32,
    rules: &'a StayRules,
    at: usize,
}

impl NextElsewhere<'_> {
    /// The first scan strictly after `at` at another venue that is not inside this one. Two venues in the same second
    /// leave open which came first, so neither ends the other.
    fn after(&mut self, at: Second) -> Option<Second> {
        if !self.rules.next_scan_ends_stay {
            return None;
        }
        let ends = |scan: &Scan| {
            scan.at > at && scan.venue != self.venue && !self.rules.is_inside(scan.venue, self.venue)
        };
        self.at += self.all[self.at..].iter().position(ends).unwrap_or(self.all.len() - self.at);
        self.all.get(self.at).map(|scan| scan.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::StayRule;
    use crate::ids::NO_KEY;
    use crate::records::scans::NOT_MEASURED;

    const H: u32 = 3_600;
    const M: u32 = 60;

    fn rules() -> StayRules {
        let hour = StayRule { default_stay_s: H, merge_gap_s: H };
        // 0 and 1 are places of their own, 2 is a mall, 3 a shop in it.
        StayRules {
            by_venue: vec![hour; 4],
            parent: vec![NO_KEY, NO_KEY, NO_KEY, 2],
            next_scan_ends_stay: true,
            cap_s: 12 * H,
        }
    }

    enum S {
        In(u32, u32),
        Out(u32, u32),
        Span(u32, u32, u32),
    }
    use EndSource::*;
    use S::*;

    fn check(rules: &StayRules, scans: &[S], expected: &[(u32, u32, u32, u32, EndSource)]) {
        let mut scans: Vec<Scan> = scans
            .iter()
            .map(|s| {
                let (venue, at, direction, left) = match *s {
                    In(venue, at) => (venue, at, Direction::In, NOT_LEFT),
                    Out(venue, at) => (venue, at, Direction::Out, NOT_LEFT),
                    Span(venue, at, left) => (venue, at, Direction::In, left),
                };
                Scan { person: 7, at, direction, venue, left, celsius: NOT_MEASURED }
            })
            .collect();
        scans.sort_unstable();
        let found: Vec<_> = of_person(&scans, rules)
            .into_iter()
            .map(|v| (v.venue, v.arrived, v.left, v.seen_until, v.end_source))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_lone_check_in_lasts_the_default_stay() {
        check(&rules(), &[In(0, 100)], &[(0, 100, 100 + H, 100, DefaultStay)]);
    }

    #[test]
    fn re_scans_within_the_gap_prolong() {
        let both = [(0, 0, 2 * H, H, DefaultStay)];
        check(&rules(), &[In(0, 0), In(0, H)], &both);
        let apart = [(0, 0, H, 0, DefaultStay), (0, H + 1, 2 * H + 1, H + 1, DefaultStay)];
        check(&rules(), &[In(0, 0), In(0, H + 1)], &apart);
    }

    #[test]
    fn a_gap_shorter_than_the_stay_still_gives_one_visit() {
        let mut rules = rules();
        rules.by_venue[0].merge_gap_s = 10 * M;
        check(&rules, &[In(0, 0), In(0, 30 * M)], &[(0, 0, 90 * M, 30 * M, DefaultStay)]);
    }

    #[test]
    fn the_next_scan_elsewhere_ends_a_stay() {
        let (first, second) = ((0, 0, 20 * M, 0, NextScan), (1, 20 * M, 80 * M, 20 * M, DefaultStay));
        check(&rules(), &[In(0, 0), In(1, 20 * M)], &[first, second]);
        let off = StayRules { next_scan_ends_stay: false, ..rules() };
        check(&off, &[In(0, 0), In(1, 20 * M)], &[(0, 0, H, 0, DefaultStay), second]);
        let same_second = [(0, 0, H, 0, DefaultStay), (1, 0, H, 0, DefaultStay)];
        check(&rules(), &[In(0, 0), In(1, 0)], &same_second);
    }

    #[test]
    fn a_shop_inside_the_mall_does_not_end_the_stay_in_the_mall() {
        let expected = [(2, 0, H, 0, DefaultStay), (3, 20 * M, 80 * M, 20 * M, DefaultStay)];
        check(&rules(), &[In(2, 0), In(3, 20 * M)], &expected);
        let back = [(3, 0, 20 * M, 0, NextScan), (2, 20 * M, 80 * M, 20 * M, DefaultStay)];
        check(&rules(), &[In(3, 0), In(2, 20 * M)], &back);
    }

    #[test]
    fn coming_back_after_elsewhere_is_a_second_visit() {
        let expected = [
            (0, 0, 10 * M, 0, NextScan),
            (1, 10 * M, 20 * M, 10 * M, NextScan),
            (0, 20 * M, 80 * M, 20 * M, DefaultStay),
        ];
        check(&rules(), &[In(0, 0), In(1, 10 * M), In(0, 20 * M)], &expected);
    }

    #[test]
    fn check_outs_end_stays_within_the_cap() {
        check(&rules(), &[In(0, 0), Out(0, 8 * H)], &[(0, 0, 8 * H, 8 * H, CheckOut)]);
        check(&rules(), &[In(0, 0), Out(0, 12 * H)], &[(0, 0, 12 * H, 12 * H, CheckOut)]);
        check(&rules(), &[In(0, 0), Out(0, 13 * H)], &[(0, 0, H, 0, DefaultStay)]);
        check(&rules(), &[Out(0, 8 * H)], &[]);
        check(&rules(), &[In(0, 5), Out(0, 5)], &[]);
        let lunch = [(0, 0, 3 * H, 0, DefaultStay), (1, 3 * H, 4 * H, 3 * H, DefaultStay)];
        check(&rules(), &[In(0, 0), In(1, 3 * H), Out(0, 8 * H)], &[(0, 0, H, 0, DefaultStay), lunch[1]]);
    }

    #[test]
    fn a_record_with_its_own_end_is_taken_as_it_is() {
        let expected = [(0, 0, 8 * H, 8 * H, CheckOut), (1, 2 * H, 3 * H, 2 * H, DefaultStay)];
        check(&rules(), &[Span(0, 0, 8 * H), In(1, 2 * H)], &expected);
        check(&rules(), &[Span(0, 0, 20 * H)], &[(0, 0, 12 * H, 12 * H, Cap)]);
        check(&rules(), &[Span(0, 0, H), Span(0, H, 2 * H)], &[(0, 0, 2 * H, 2 * H, CheckOut)]);
        check(&rules(), &[Span(0, 9, 9)], &[]);
    }

    #[test]
    fn scans_all_day_are_cut_at_the_cap_and_go_on() {
        let scans: Vec<S> = (0..=26).map(|half| In(0, half * 30 * M)).collect();
        let mut short = rules();
        short.cap_s = 6 * H;
        // Cut at 6 h, but the next scan is at 6 h: spans that touch are one visit.
        check(&short, &scans, &[(0, 0, 14 * H, 13 * H, DefaultStay)]);
        let scans = [In(0, 0), In(0, 50 * M), In(0, 100 * M), In(0, 150 * M)];
        short.cap_s = 2 * H;
        let expected = [(0, 0, 2 * H, 100 * M, Cap), (0, 150 * M, 210 * M, 150 * M, DefaultStay)];
        check(&short, &scans, &expected);
    }

    #[test]
    fn no_visit_is_cut_at_midnight() {
        check(&rules(), &[In(0, 86_400 - 60)], &[(0, 86_340, 86_340 + H, 86_340, DefaultStay)]);
    }
}
