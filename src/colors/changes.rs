//! What a night changes: tonight's register against the one before.

use std::cmp::Ordering;

/// A row of a register reduced to what changes compare: the person's id in some order, and the color.
pub struct Entry<'a, I> {
    /// The person, comparable across the two registers.
    pub person: I,
    /// The color.
    pub color: &'a str,
}

/// One change, as positions in the two registers; an absent side is green.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Position in the register before.
    pub before: Option<usize>,
    /// Position in tonight's.
    pub after: Option<usize>,
}

/// Everyone whose color differs between two registers, both sorted by person with one row each.
pub fn between<I: Ord>(before: &[Entry<'_, I>], after: &[Entry<'_, I>]) -> Vec<Change> {
    let sorted = |rows: &[Entry<'_, I>]| rows.windows(2).all(|w| w[0].person < w[1].person);
    assert!(sorted(before) && sorted(after), "registers have one row a person, in order");
    let (mut b, mut a) = (0, 0);
    let mut changes = Vec::new();
    while b < before.len() || a < after.len() {
        let order = match (before.get(b), after.get(a)) {
            (Some(x), Some(y)) => x.person.cmp(&y.person),
            (Some(_), None) => Ordering::Less,
            _ => Ordering::Greater,
        };
        let change = Change {
            before: (order != Ordering::Greater).then_some(b),
            after: (order != Ordering::Less).then_some(a),
        };
        if order != Ordering::Equal || before[b].color != after[a].color {
            changes.push(change);
        }
        b += usize::from(change.before.is_some());
        a += usize::from(change.after.is_some());
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_the_rows_that_differ() {
        let row = |(person, color)| Entry { person, color };
        let before = [(1, "red"), (2, "red"), (4, "orange"), (5, "red")].map(row);
        let after = [(2, "red"), (3, "red"), (4, "red"), (6, "red")].map(row);
        let found: Vec<_> = between(&before, &after).iter().map(|c| (c.before, c.after)).collect();
        assert_eq!(
            found,
            [(Some(0), None), (None, Some(1)), (Some(2), Some(2)), (Some(3), None), (None, Some(3))]
        );
    }
}
