//! Stage 7 of 8: facts -> colors: a scheme's rules, the worst true reason wins, all are kept.

pub mod changes;
pub mod scheme;
pub mod vectors;

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::facts::Fact;
pub use scheme::{Effect, Scheme};

/// Why a person has a color.
#[derive(Clone, Debug)]
pub struct Reason<'a> {
    /// Position of the rule in the scheme.
    pub rule: usize,
    /// Its color's place in the severity order, 0 the worst.
    pub rank: usize,
    /// Since when and until when.
    pub effect: Effect,
    /// The fact it follows from.
    pub fact: Fact<'a>,
}

/// A person who is not green, with every reason that holds, worst first.
#[derive(Clone, Debug)]
pub struct Colored<'a> {
    /// Person key.
    pub person: u32,
    /// Never empty; the first is the one that counts.
    pub reasons: Vec<Reason<'a>>,
}

/// Everyone whom some rule of the scheme colors on `date`, by person key.
///
/// Of several reasons the worst color comes first; of equal colors the one that ends last (an open-ended one later
/// than any), then the first rule of the scheme. So the first reason's end is the day that color ends.
pub fn assign<'a>(facts: &[(u32, Fact<'a>)], scheme: &Scheme, date: Date) -> Vec<Colored<'a>> {
    let mut by_person: BTreeMap<u32, Vec<Reason<'a>>> = BTreeMap::new();
    for (person, fact) in facts {
        for (at, rule) in scheme.rules.iter().enumerate() {
            let Some(effect) = scheme.effect(rule, fact, date) else { continue };
            let rank = scheme.rank(&rule.phases[effect.phase].color);
            if rank + 1 < scheme.severity.len() {
                by_person.entry(*person).or_default().push(Reason { rule: at, rank, effect, fact: *fact });
            }
        }
    }
    let order = |r: &Reason<'_>| {
        let until = r.effect.until.unwrap_or(Date::MAX);
        (r.rank, std::cmp::Reverse(until), r.rule, r.effect.since)
    };
    let colored = by_person.into_iter().map(|(person, mut reasons)| {
        // Facts come in a fixed order and the sort is stable, so equal reasons keep it.
        reasons.sort_by_key(order);
        Colored { person, reasons }
    });
    colored.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::cases::Status;
    use scheme::Instant;
    use std::path::Path;
    use vectors::{case, contact};

    #[test]
    fn every_pack_keeps_its_own_vectors() {
        for name in ["five-color", "tencent-two"] {
            let scheme = Scheme::load(name, Path::new(".")).unwrap();
            assert!(scheme.vectors.len() >= 4, "{name}");
            vectors::check(&scheme).unwrap();
            let mut other = scheme.clone();
            other.rules.iter_mut().flat_map(|r| &mut r.phases).for_each(|p| p.days = p.days.map(|d| d + 1));
            assert_eq!(vectors::check(&other).unwrap_err().code(), "usage", "{name} with longer terms");
        }
    }

    #[test]
    fn the_worst_reason_wins_and_all_are_kept() {
        let scheme = Scheme::load("five-color", Path::new(".")).unwrap();
        let day = 86_400;
        let case = case(Status::Confirmed, &BTreeMap::from([(Instant::SampledAt, 100 * day)]));
        let ((near, near_edge), (late, late_edge)) = (contact(1, 90 * day), contact(1, 95 * day));
        let facts = [
            (0, Fact::Contact(&near, near_edge)),
            (0, Fact::Case(&case)),
            (0, Fact::Contact(&late, late_edge)),
        ];
        let date = crate::time::local_date(100 * day, &scheme.time_zone);
        let colored = assign(&facts, &scheme, date);
        let ids: Vec<&str> = colored[0].reasons.iter().map(|r| scheme.rules[r.rule].id.as_str()).collect();
        assert_eq!(ids, ["FC-P1", "FC-O1", "FC-O1"]);
        let ends: Vec<_> = colored[0].reasons.iter().map(|r| r.effect.until).collect();
        assert!(ends[0].is_none() && ends[1] > ends[2], "of equal colors the one that ends last comes first");
        let due = colored[0].reasons[1].effect.next_due.unwrap();
        assert_eq!(due, crate::time::local_date(102 * day, &scheme.time_zone), "day 7 test of day 95");
    }
}
