//! Small counts of people are not shown, and cannot be worked out from the others.
//!
//! Counts of a report belong together: some are one count in two places, some add up to another. A count below the limit is
//! hidden; then, as long as what is shown leaves a hidden small count less than half of the values that it could have, the
//! smallest count shown beside it is hidden as well. Source: complementary cell suppression, Handbook on Statistical Disclosure
//! Control (Hundepool et al., 2010), section 4.3; what sums leave open is bounded sum by sum, until no bound moves.

use super::Cell;

/// Stands for a number that would tell a suppressed count; `c` for confidential, as national statistics have it.
const WITHHELD: &str = "[c]";
/// More than any count.
const MOST: i64 = 1 << 40;

/// A number that is withheld.
pub fn withheld() -> Cell {
    Cell::Text(WITHHELD.into())
}

/// What a report counts, and what adds up.
pub struct Counts {
    least: i64,
    all: Vec<Count>,
    sums: Vec<Sum>,
}

struct Count {
    number: i64,
    /// Whether the report has it, if only hidden.
    is_there: bool,
    is_shown: bool,
    is_spare: bool,
    /// The count that it is the same as; itself, if it is the first of those.
    first: usize,
    /// What a reader can work out of it.
    low: i64,
    high: i64,
}

/// A count and those that it is the sum of.
struct Sum {
    total: usize,
    parts: Vec<usize>,
}

impl Counts {
    /// Nothing yet; counts below `least`, but 0, will be hidden.
    pub fn new(least: u64) -> Counts {
        Counts { least: least as i64, all: Vec::new(), sums: Vec::new() }
    }

    /// A count that the report shows unless it must not.
    pub fn shown(&mut self, number: i64) -> usize {
        self.add(number, true)
    }

    /// States that a count is hidden before any other where one must be: least is lost with it.
    pub fn is_spare(&mut self, count: usize) {
        self.all[count].is_spare = true;
    }

    /// A count that the report does not have, though what it has adds up to it.
    pub fn implied(&mut self, number: i64) -> usize {
        self.add(number, false)
    }

    fn add(&mut self, number: i64, is_there: bool) -> usize {
        let first = self.all.len();
        self.all.push(Count {
            number,
            is_there,
            is_shown: is_there,
            is_spare: false,
            first,
            low: 0,
            high: MOST,
        });
        first
    }

    fn first(&self, mut count: usize) -> usize {
        while self.all[count].first != count {
            count = self.all[count].first;
        }
        count
    }

    /// Its number.
    pub fn number(&self, count: usize) -> i64 {
        self.all[count].number
    }

    /// States that `total` is the sum of `parts`; where that happens not to hold, nothing.
    pub fn sum(&mut self, total: usize, parts: Vec<usize>) {
        // What is 0 is shown, so it tells nothing and is no part.
        let mut parts: Vec<usize> = parts.into_iter().filter(|part| self.all[*part].number != 0).collect();
        if let [part] = parts[..] {
            return self.same(total, part);
        }
        parts.sort_unstable();
        if let Some(known) = self.sums.iter().find(|sum| sum.parts == parts) {
            return self.same(known.total, total);
        }
        if !parts.is_empty()
            && parts.iter().map(|part| self.all[*part].number).sum::<i64>() == self.all[total].number
        {
            self.sums.push(Sum { total, parts });
        }
    }

    /// States that two counts are one; where they differ, nothing.
    pub fn same(&mut self, a: usize, b: usize) {
        let (a, b) = (self.first(a), self.first(b));
        if a != b && self.all[a].number == self.all[b].number {
            self.all[b].first = a;
            self.all[a].is_there |= self.all[b].is_there;
            self.all[a].is_shown |= self.all[b].is_shown;
        }
    }

    /// Hides what must be hidden.
    pub fn settle(&mut self) {
        for at in 0..self.all.len() {
            if self.is_small(at) {
                self.all[at].is_shown = false;
            }
        }
        let mut sums = std::mem::take(&mut self.sums);
        for Sum { total, parts } in &mut sums {
            *total = self.first(*total);
            parts.iter_mut().for_each(|part| *part = self.first(*part));
        }
        self.sums = sums;
        let mut of: Vec<Vec<usize>> = vec![Vec::new(); self.all.len()];
        for (at, sum) in self.sums.iter().enumerate() {
            sum.parts.iter().chain([&sum.total]).for_each(|count| of[*count].push(at));
        }
        let mut in_sums: Vec<usize> =
            (0..self.all.len()).filter(|at| !of[*at].is_empty() && self.is_small(*at)).collect();
        loop {
            self.bound();
            let mut touched = vec![false; self.sums.len()];
            let mut has_hidden = false;
            let told: Vec<usize> = in_sums.iter().copied().filter(|at| self.is_told(*at)).collect();
            for at in told {
                if of[at].iter().any(|sum| touched[*sum]) {
                    continue;
                }
                if let Some(beside) = self.smallest_beside(at, &of) {
                    self.all[beside].is_shown = false;
                    of[beside].iter().for_each(|sum| touched[*sum] = true);
                    has_hidden = true;
                } else {
                    // Nothing is left to hide it behind, nor will be later.
                    in_sums.retain(|small| *small != at);
                }
            }
            if !has_hidden {
                return;
            }
        }
    }

    /// What stands in the report for a count that was hidden; `None` for one that is shown.
    pub fn hidden(&self, count: usize) -> Option<Cell> {
        match (self.all[self.first(count)].is_shown, self.is_small(count)) {
            (true, _) => None,
            (false, true) => Some(Cell::Text(format!("<{}", self.least))),
            (false, false) => Some(withheld()),
        }
    }

    fn is_small(&self, at: usize) -> bool {
        (1..self.least).contains(&self.all[at].number)
    }

    /// Whether what is shown leaves a hidden small count less than half of the values below the limit.
    fn is_told(&self, at: usize) -> bool {
        let Count { low, high, .. } = self.all[at];
        high - low + 1 < (self.least / 2).max(2).min(self.least - 1)
    }

    /// What a reader can work out of every count: bounds from each sum, until none moves.
    fn bound(&mut self) {
        for at in 0..self.all.len() {
            let small = self.is_small(at);
            let count = &mut self.all[at];
            (count.low, count.high) = match (count.is_shown, small) {
                (true, _) => (count.number, count.number),
                (false, true) => (1, self.least - 1),
                // What is hidden and not written as small is not small.
                (false, false) => (if count.is_there { self.least } else { 0 }, MOST),
            };
        }
        let mut has_moved = true;
        while has_moved {
            has_moved = false;
            for Sum { total, parts } in &self.sums {
                let of = |all: &[Count]| {
                    parts.iter().fold((0, 0), |sum, part| (sum.0 + all[*part].low, sum.1 + all[*part].high))
                };
                let (low, high) = of(&self.all);
                has_moved |= narrow(&mut self.all[*total], low, high);
                let Count { low: total_low, high: total_high, .. } = self.all[*total];
                for part in parts {
                    let Count { low: own_low, high: own_high, .. } = self.all[*part];
                    has_moved |= narrow(
                        &mut self.all[*part],
                        total_low - (high - own_high),
                        total_high - (low - own_low),
                    );
                }
            }
        }
    }

    /// The spare, else the smallest count shown in a sum with this one or, without any, with one that such a sum hides.
    fn smallest_beside(&self, at: usize, of: &[Vec<usize>]) -> Option<usize> {
        let mut seen = vec![false; self.sums.len()];
        let mut next = of[at].clone();
        while !next.is_empty() {
            let mut beside: Vec<usize> = Vec::new();
            for sum in std::mem::take(&mut next) {
                if !std::mem::replace(&mut seen[sum], true) {
                    beside.extend(self.sums[sum].parts.iter().chain([&self.sums[sum].total]));
                }
            }
            let shown = beside
                .iter()
                .copied()
                .filter(|count| self.all[*count].is_shown && self.all[*count].number > 0);
            if let Some(smallest) =
                shown.min_by_key(|count| (!self.all[*count].is_spare, self.all[*count].number, *count))
            {
                return Some(smallest);
            }
            let hidden = beside.iter().filter(|count| !self.all[**count].is_shown);
            next = hidden.flat_map(|count| of[*count].iter().copied()).filter(|sum| !seen[*sum]).collect();
        }
        None
    }
}

fn narrow(count: &mut Count, low: i64, high: i64) -> bool {
    let before = (count.low, count.high);
    (count.low, count.high) = (before.0.max(low), before.1.min(high));
    (count.low, count.high) != before
}

/// Whether the cell was hidden.
pub fn is_hidden(cell: &Cell) -> bool {
    matches!(cell, Cell::Text(text) if text == WITHHELD || text.starts_with('<'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A line of counts with its total, which is shown or not.
    fn line(numbers: &[i64], shows_total: bool) -> Vec<String> {
        let mut counts = Counts::new(10);
        let parts: Vec<usize> = numbers.iter().map(|number| counts.shown(*number)).collect();
        let sum = numbers.iter().sum();
        let total = if shows_total { counts.shown(sum) } else { counts.implied(sum) };
        counts.sum(total, parts.clone());
        counts.settle();
        let all = parts.into_iter().chain(shows_total.then_some(total));
        all.map(|at| counts.hidden(at).unwrap_or(Cell::Whole(counts.number(at))).in_csv()).collect()
    }

    #[test]
    fn what_would_tell_a_small_count_is_hidden_with_it() {
        assert_eq!(line(&[100, 0, 50], true), ["100", "0", "50", "150"]);
        assert_eq!(line(&[100, 3, 50], false), ["100", "<10", "50"], "without a total nothing tells it");
        assert_eq!(
            line(&[100, 3, 50], true),
            ["100", "<10", "[c]", "153"],
            "one alone is the total less the others"
        );
        assert_eq!(line(&[100, 3, 4], true), ["100", "<10", "<10", "107"], "1 to 6 each");
        assert_eq!(line(&[100, 1, 1], true), ["[c]", "<10", "<10", "102"], "two that make two are one each");
        assert_eq!(line(&[9, 9], true), ["<10", "<10", "[c]"], "where nothing else is left, the total goes");
        assert_eq!(line(&[4], true), ["<10", "<10"]);
    }

    #[test]
    fn one_count_in_two_places_is_hidden_in_both() {
        let mut counts = Counts::new(10);
        let [a, b, twin] = [40, 3, 3].map(|number| counts.shown(number));
        let total = counts.shown(43);
        counts.sum(total, vec![a, b]);
        counts.same(b, twin);
        let elsewhere = counts.shown(40);
        counts.same(a, elsewhere);
        counts.settle();
        let hidden = [a, b, twin, total, elsewhere].map(|at| counts.hidden(at).is_some());
        assert_eq!(hidden, [true, true, true, false, true], "40 would tell 3, here or there");
    }

    /// Every way to fill a table of rows and columns that agrees with what is shown, by trying all: the values that each small
    /// count takes in them.
    fn values(
        numbers: &[[i64; 3]; 2],
        cells: &[[Option<i64>; 3]; 2],
        rows: &[Option<i64>; 2],
        columns: &[Option<i64>; 3],
        all: Option<i64>,
    ) -> Vec<BTreeSet<i64>> {
        let choices = |row: usize, column: usize| match (cells[row][column], numbers[row][column]) {
            (Some(shown), _) => vec![shown],
            (None, 1..10) => (1..10).collect(),
            (None, _) => (10..45).collect(),
        };
        let mut found = vec![BTreeSet::new(); 6];
        let fits = |known: Option<i64>, sum: i64| known.is_none_or(|known| known == sum);
        let lines: Vec<Vec<[i64; 3]>> = (0..2)
            .map(|row| {
                let mut all = Vec::new();
                for a in choices(row, 0) {
                    for b in choices(row, 1) {
                        all.extend(
                            choices(row, 2)
                                .into_iter()
                                .filter(|c| fits(rows[row], a + b + c))
                                .map(|c| [a, b, c]),
                        );
                    }
                }
                all
            })
            .collect();
        for first in &lines[0] {
            for second in &lines[1] {
                let sums = [0, 1, 2].map(|column| first[column] + second[column]);
                if (0..3).all(|column| fits(columns[column], sums[column])) && fits(all, sums.iter().sum()) {
                    (0..3).for_each(|column| {
                        found[column].insert(first[column]);
                        found[3 + column].insert(second[column]);
                    });
                }
            }
        }
        found
    }

    #[test]
    fn no_small_count_of_a_table_with_sums_can_be_worked_out() {
        let seed: u64 =
            std::env::var("RINGTRACE_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
        println!("RINGTRACE_TEST_SEED={seed}");
        let mut state = seed;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % below) as i64
        };
        let mut small = 0;
        for _ in 0..150 {
            let numbers =
                [[0; 3]; 2].map(|row| row.map(|_: i64| if random(3) == 0 { random(10) } else { random(30) }));
            let mut counts = Counts::new(10);
            let cells = numbers.map(|row| row.map(|number| counts.shown(number)));
            let rows = cells.map(|row| counts.shown(row.iter().map(|at| counts.number(*at)).sum()));
            let columns = [0, 1, 2].map(|column| counts.shown(numbers.iter().map(|row| row[column]).sum()));
            let all = counts.shown(numbers.iter().flatten().sum());
            for row in 0..2 {
                counts.sum(rows[row], cells[row].to_vec());
            }
            for column in 0..3 {
                counts.sum(columns[column], cells.iter().map(|row| row[column]).collect());
            }
            counts.sum(all, rows.to_vec());
            counts.sum(all, columns.to_vec());
            counts.settle();
            let known = |at: usize| counts.hidden(at).is_none().then(|| counts.number(at));
            let shown = cells.map(|row| row.map(known));
            let found = values(&numbers, &shown, &rows.map(known), &columns.map(known), known(all));
            for (at, number) in
                numbers.iter().flatten().enumerate().filter(|(_, number)| (1..10).contains(*number))
            {
                small += 1;
                assert!(found[at].contains(number), "{numbers:?}");
                assert!(found[at].len() > 1, "{numbers:?}: {shown:?} tell {number}");
            }
        }
        assert!(small > 100, "too few small counts were tried");
    }
}
