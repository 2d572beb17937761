//! Stage 7 of 8: facts -> colors: a scheme's rules, the worst true reason wins, all are kept.

pub mod changes;
mod pack;
pub mod person;
pub mod release;
pub mod scheme;
pub mod vectors;

use std::collections::HashMap;

use jiff::civil::Date;
use rayon::prelude::*;

use crate::facts::Fact;
pub use person::PersonFacts;
pub use release::{Effect, Term};
pub use scheme::{Rule, Scheme};

/// From so many facts of a person on, effects are kept rather than worked out for each fact.
const MANY: usize = 16;

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
    /// Reasons that the scheme does not show beside those, worst first.
    pub ruled_out: Vec<Reason<'a>>,
}

impl Colored<'_> {
    /// First day on which the person can be healthy, if everything still missing is done as early as it can be; `None` if
    /// that takes a fact that no date can be given for.
    pub fn earliest_free(&self) -> Option<Date> {
        let earliest = self.reasons.iter().chain(&self.ruled_out).map(|reason| reason.effect.earliest);
        earliest.collect::<Option<Vec<Date>>>()?.into_iter().max()
    }

    /// The color there would be by now if nothing were missing: of every reason whose term is over the one it would have come
    /// to had its conditions been met as soon as that was so, of every other one its own; the worst of them.
    pub fn color_if_met<'s>(&self, scheme: &'s Scheme) -> &'s str {
        let color = |reason: &Reason<'_>| {
            let phase = &scheme.rules[reason.rule].phases[reason.effect.if_met?];
            Some(scheme.rank(&phase.color))
        };
        let worst = self.reasons.iter().chain(&self.ruled_out).filter_map(color).min();
        worst.map_or(scheme.healthy(), |rank| &scheme.severity[rank])
    }
}

/// Everyone whom some rule of the scheme colors on `date`, by person key, from facts by person.
///
/// Of several reasons the worst color comes first; of equal colors the one that ends last (an open-ended one later
/// than any), then the first rule of the scheme, then the later fact. So the first reason's end is the day that color
/// ends.
pub fn assign<'a>(facts: &[(u32, Fact<'a>)], scheme: &Scheme, date: Date) -> Vec<Colored<'a>> {
    assert!(facts.is_sorted_by_key(|(person, _)| person), "facts by person");
    let persons: Vec<&[(u32, Fact<'a>)]> = facts.chunk_by(|a, b| a.0 == b.0).collect();
    let color = |own: &&[(u32, Fact<'a>)]| {
        let person = own[0].0;
        let (reasons, ruled_out) = reasons(&PersonFacts::new(own, scheme), scheme, date);
        (!reasons.is_empty()).then_some(Colored { person, reasons, ruled_out })
    };
    persons.par_iter().filter_map(color).collect()
}

/// A change of color to come, if nothing else becomes known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// The first day of the new color.
    pub day: Date,
    /// Rank and rule that decide before it; `None` for a healthy person.
    pub before: Option<(usize, usize)>,
    /// Rank and rule that decide from it on.
    pub after: Option<(usize, usize)>,
}

/// The changes of color in the `days` after `date` of a person who is colored as `today`, if nothing else becomes known.
pub fn ahead(
    own: &PersonFacts<'_, '_>,
    today: &Colored<'_>,
    scheme: &Scheme,
    date: Date,
    days: i64,
) -> Vec<Ahead> {
    let decides = |reasons: &[Reason<'_>]| reasons.first().map(|reason| (reason.rank, reason.rule));
    let next_end = |shown: &[Reason<'_>], ruled_out: &[Reason<'_>]| {
        shown.iter().chain(ruled_out).filter_map(|reason| reason.effect.until).min().unwrap_or(Date::MAX)
    };
    // Nothing changes before some reason ends, unless something known is still to come, or a rule pauses.
    let every_day = scheme.pauses() || own.knows_after(scheme, date);
    let mut now = decides(&today.reasons);
    let mut end = next_end(&today.reasons, &today.ruled_out);
    let mut changes = Vec::new();
    for day in (1..=days).map(|ahead| date.saturating_add(jiff::Span::new().days(ahead))) {
        if day < end && !every_day {
            continue;
        }
        let (shown, ruled_out) = reasons(own, scheme, day);
        let next = decides(&shown);
        if next.map(|(rank, _)| rank) != now.map(|(rank, _)| rank) {
            changes.push(Ahead { day, before: now, after: next });
        }
        (now, end) = (next, next_end(&shown, &ruled_out));
    }
    changes
}

/// The reasons of a person with these facts on a date, in the order of [`assign`], none for a healthy one; and those that
/// the scheme does not show beside them.
pub fn reasons<'a>(
    own: &PersonFacts<'_, 'a>,
    scheme: &Scheme,
    date: Date,
) -> (Vec<Reason<'a>>, Vec<Reason<'a>>) {
    let mut reasons: Vec<Reason<'a>> = Vec::new();
    // Facts that a rule counts from the same day have the same effect: of a person with many each is worked out once.
    let mut known: HashMap<(usize, Term), Option<Effect>> = HashMap::new();
    for (_, fact) in own.facts {
        for (at, rule) in scheme.rules.iter().enumerate() {
            let Some(term) = scheme.term_of(rule, fact) else { continue };
            if own.is_overturned(rule, fact) {
                continue;
            }
            let effect = match own.facts.len() {
                0..MANY => scheme.effect(rule, &term, own, date),
                _ => known
                    .entry((at, term))
                    .or_insert_with_key(|(_, term)| scheme.effect(rule, term, own, date))
                    .clone(),
            };
            let Some(effect) = effect else { continue };
            let rank = scheme.rank(&rule.phases[effect.phase].color);
            if rank + 1 < scheme.severity.len() {
                reasons.push(Reason { rule: at, rank, effect, fact: *fact });
            }
        }
    }
    let ruled_out: Vec<usize> = scheme
        .not_also
        .iter()
        .filter(|(color, _)| reasons.iter().any(|reason| reason.rank == scheme.rank(color)))
        .flat_map(|(_, others)| others.iter().map(|other| scheme.rank(other)))
        .collect();
    // Nothing but the reasons themselves decides their order, so that facts may come in any.
    reasons.sort_by(|a, b| {
        let order = |r: &Reason<'_>| {
            let until = r.effect.until.unwrap_or(Date::MAX);
            (r.rank, std::cmp::Reverse(until), r.rule, r.effect.since)
        };
        order(a).cmp(&order(b)).then_with(|| a.fact.order().cmp(&b.fact.order()))
    });
    reasons.into_iter().partition(|reason| !ruled_out.contains(&reason.rank))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::kind::Instant;
    use crate::records::cases::Status;
    use std::collections::BTreeMap;
    use std::path::Path;
    use vectors::{case, contact};

    #[test]
    fn every_pack_keeps_its_own_vectors() {
        for (name, _) in scheme::EMBEDDED {
            let scheme = Scheme::load(name, Path::new(".")).unwrap();
            vectors::check(&scheme).unwrap();
            assert_eq!(
                vectors::unshown(&scheme),
                [""; 0],
                "{name}: every rule is shown to hold and not to hold"
            );
        }
    }

    #[test]
    fn no_rule_of_a_pack_can_be_changed_unseen() {
        for (name, _) in scheme::EMBEDDED {
            let scheme = Scheme::load(name, Path::new(".")).unwrap();
            assert_eq!(vectors::unnoticed(&scheme), [""; 0], "{name}");
        }
    }

    #[test]
    fn the_worst_reason_wins_and_all_are_kept() {
        let scheme = Scheme::load("five-color", Path::new(".")).unwrap();
        let day = 86_400;
        let case = case(Status::Confirmed, &BTreeMap::from([(Instant::SampledAt, 100 * day)]));
        let (near, late) = (contact(1, 90 * day), contact(1, 95 * day));
        let facts = [(0, Fact::Contact(&near)), (0, Fact::Case(&case)), (0, Fact::Contact(&late))];
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
