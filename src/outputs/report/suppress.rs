//! Small counts of people are not shown, and cannot be worked out from the others.

use super::Cell;

/// Stands for a number that would tell a suppressed count beside it; `c` for confidential, as national statistics have it.
pub const WITHHELD: &str = "[c]";

/// Suppresses the counts below `least` (but 0) among `cells`, a line whose sum is known elsewhere: where the sum
/// would leave one of them fewer than half of the values below `least`, the next smallest goes too.
///
/// A cell that is not a whole number is left as it is. Source: complementary cell suppression, Handbook on Statistical
/// Disclosure Control (Hundepool et al., 2010), section 4.3, along one line.
pub fn line<'c>(cells: impl IntoIterator<Item = &'c mut Cell>, least: u64) {
    let mut counts: Vec<(i64, &mut Cell)> = cells
        .into_iter()
        .filter_map(|cell| match cell {
            Cell::Whole(count) if *count > 0 => Some((*count, cell)),
            _ => None,
        })
        .collect();
    counts.sort_by_key(|(count, _)| *count);
    let small = counts.iter().filter(|(count, _)| (*count as u64) < least).count();
    let mut hidden = small;
    while hidden < counts.len() && told(&counts[..hidden], small, least as i64) {
        hidden += 1;
    }
    for (count, cell) in counts.into_iter().take(hidden) {
        *cell = Cell::Text(if (count as u64) < least { format!("<{least}") } else { WITHHELD.into() });
    }
}

/// Hides the counts among `cells`, a line whose sum is known elsewhere, that would tell a hidden count beside them: those
/// marked in `beside`. One alone would still follow from the sum, so then the smallest of the others goes too.
pub fn beside<'c>(cells: impl IntoIterator<Item = &'c mut Cell>, beside: &[bool]) {
    let mut shown = Vec::new();
    let mut hidden = 0;
    for (cell, beside) in cells.into_iter().zip(beside) {
        match cell {
            Cell::Whole(count) if *count > 0 && *beside => {
                *cell = withheld();
                hidden += 1;
            }
            Cell::Whole(count) if *count > 0 => shown.push((*count, cell)),
            cell => hidden += usize::from(is_hidden(cell)),
        }
    }
    if hidden == 1
        && let Some((_, cell)) = shown.into_iter().min_by_key(|(count, _)| *count)
    {
        *cell = withheld();
    }
}

/// A number that is withheld.
pub fn withheld() -> Cell {
    Cell::Text(WITHHELD.into())
}

/// Hides the smallest of counts whose sum is hidden elsewhere, unless one of them already is.
pub fn group<'c>(cells: impl IntoIterator<Item = &'c mut Cell>) {
    let cells: Vec<&mut Cell> = cells.into_iter().collect();
    if cells.iter().any(|cell| is_hidden(cell)) {
        return;
    }
    let count = |cell: &Cell| if let Cell::Whole(count) = cell { *count } else { 0 };
    if let Some(cell) = cells.into_iter().filter(|cell| count(cell) > 0).min_by_key(|cell| count(cell)) {
        *cell = withheld();
    }
}

/// Whether the sum of hidden counts, the first `small` of them below `least` and the others not, leaves one of the small ones
/// fewer than half of the values that it could have.
fn told(hidden: &[(i64, &mut Cell)], small: usize, least: i64) -> bool {
    let sum: i64 = hidden.iter().map(|(count, _)| count).sum();
    let (small, large) = (small as i64, (hidden.len() - small) as i64);
    let others_least = (small - 1) + large * least;
    let smallest = if large > 0 { 1 } else { (sum - (small - 1) * (least - 1)).max(1) };
    let values = (sum - others_least).min(least - 1) - smallest + 1;
    small > 0 && values < least / 2
}

/// Suppresses each of these counts by itself.
pub fn each<'c>(cells: impl IntoIterator<Item = &'c mut Cell>, least: u64) {
    for cell in cells {
        if let Cell::Whole(count) = cell
            && *count > 0
            && (*count as u64) < least
        {
            *cell = Cell::Text(format!("<{least}"));
        }
    }
}

/// Whether the cell was suppressed.
pub fn is_hidden(cell: &Cell) -> bool {
    matches!(cell, Cell::Text(text) if text == WITHHELD || text.starts_with('<'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(counts: &[i64]) -> Vec<String> {
        let mut cells: Vec<Cell> = counts.iter().map(|count| Cell::Whole(*count)).collect();
        line(&mut cells, 10);
        cells.iter().map(Cell::in_csv).collect()
    }

    #[test]
    fn what_would_tell_a_hidden_count_beside_it_is_hidden_too() {
        let hidden = |counts: &[i64], marked: &[bool]| -> Vec<String> {
            let mut cells: Vec<Cell> = counts.iter().map(|count| Cell::Whole(*count)).collect();
            beside(&mut cells, marked);
            cells.iter().map(Cell::in_csv).collect()
        };
        assert_eq!(hidden(&[70, 50, 60], &[false, false, false]), ["70", "50", "60"]);
        assert_eq!(
            hidden(&[70, 50, 60], &[true, false, false]),
            ["[c]", "[c]", "60"],
            "one alone follows from the sum"
        );
        assert_eq!(hidden(&[70, 50, 60], &[true, false, true]), ["[c]", "50", "[c]"]);
        assert_eq!(hidden(&[70, 0, 60], &[false, true, false]), ["70", "0", "60"], "no one tells no one");
    }

    #[test]
    fn a_hidden_sum_is_not_told_by_its_parts() {
        let shown = |mut cells: Vec<Cell>| -> Vec<String> {
            group(&mut cells);
            cells.iter().map(Cell::in_csv).collect()
        };
        assert_eq!(shown(vec![Cell::Whole(30), Cell::Whole(0), Cell::Whole(12)]), ["30", "0", "[c]"]);
        assert_eq!(shown(vec![Cell::Whole(30), Cell::Text("<10".into())]), ["30", "<10"]);
        assert_eq!(shown(vec![Cell::Whole(0)]), ["0"], "no one tells no one");
    }

    #[test]
    fn no_count_below_ten_can_be_worked_out_from_the_sum() {
        assert_eq!(shown(&[100, 0, 50]), ["100", "0", "50"]);
        assert_eq!(shown(&[100, 3, 50]), ["100", "<10", "[c]"], "one alone is the sum less the others");
        assert_eq!(shown(&[100, 3, 4]), ["100", "<10", "<10"]);
        assert_eq!(shown(&[100, 1, 1]), ["[c]", "<10", "<10"], "two that make two are one each");
        assert_eq!(shown(&[9, 9, 70]), ["<10", "<10", "[c]"]);
        assert_eq!(shown(&[4]), ["<10"]);
        // Of every line of three small or large counts: whoever knows the sum and what is shown finds five values or more for
        // each small one.
        for a in 1..14 {
            for b in 1..14 {
                for c in 1..14 {
                    let cells = shown(&[a, b, c]);
                    let fits = |x: &[i64]| {
                        x.iter().sum::<i64>() == a + b + c
                            && x.iter().zip(&cells).all(|(x, cell)| match cell.as_str() {
                                "<10" => (1..10).contains(x),
                                "[c]" => *x >= 10,
                                shown => shown.parse() == Ok(*x),
                            })
                    };
                    // Where nothing is shown there is nothing left to hide behind.
                    let hides = cells.iter().any(|cell| !cell.starts_with(['<', '[']));
                    for at in (0..3).filter(|at| hides && cells[*at] == "<10") {
                        let mut values = std::collections::BTreeSet::new();
                        for x in 1..40 {
                            for y in 1..40 {
                                let z = a + b + c - x - y;
                                if z > 0 && fits(&[x, y, z]) {
                                    values.insert([x, y, z][at]);
                                }
                            }
                        }
                        assert!(values.len() >= 5, "{a} {b} {c}: {cells:?} gives {values:?}");
                    }
                }
            }
        }
    }
}
