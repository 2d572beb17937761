//! What is known of one person, by day: prepared once, so that every rule and every date asks the same short lists.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::release::after;
use super::scheme::{Rule, Scheme};
use crate::facts::Fact;
use crate::facts::kind::{Cell, FactKind};
use crate::time::{Second, local_date};

/// One person's facts, with what of them counts for release.
pub struct PersonFacts<'f, 'a> {
    /// All of them.
    pub facts: &'f [(u32, Fact<'a>)],
    /// Days with a check-in, in order, each once; whether all of that day are those of a healthy person.
    pub checkins: Vec<(Date, bool)>,
    /// Days and instants of negative samples, in order.
    pub negative: Vec<(Date, Second)>,
    /// Days and instants of positive samples, in order.
    pub positive: Vec<(Date, Second)>,
    /// Days of confirmations, in order, with the rule that one is for; `None` for any.
    pub confirmed: Vec<(Date, Option<&'a str>)>,
    /// Days after one of these, in order: only on them can a condition come to be met.
    pub next_days: Vec<Date>,
    /// By rule: when evidence for it was last decided to be wrong.
    overturned: BTreeMap<&'a str, Second>,
    /// The person as traced.
    contact: Option<Fact<'a>>,
}

impl<'f, 'a> PersonFacts<'f, 'a> {
    /// Prepares the facts of one person for a scheme.
    pub fn new(facts: &'f [(u32, Fact<'a>)], scheme: &Scheme) -> PersonFacts<'f, 'a> {
        let mut own = PersonFacts {
            facts,
            checkins: Vec::new(),
            negative: Vec::new(),
            positive: Vec::new(),
            confirmed: Vec::new(),
            next_days: Vec::new(),
            overturned: BTreeMap::new(),
            contact: facts
                .iter()
                .map(|(_, fact)| *fact)
                .find(|fact| matches!(fact, Fact::Contact(contact) if contact.after.is_none())),
        };
        let mut decisions: BTreeMap<&'a str, (Second, &'a str)> = BTreeMap::new();
        for (_, fact) in facts {
            let Fact::Told(told) = fact else { continue };
            let day = || local_date(told.at, &scheme.time_zone);
            let word = |column: &str| match told.cell(column) {
                Some(Cell::Word(word)) => Some(word),
                _ => None,
            };
            match told.kind {
                FactKind::Checkin => {
                    let warm = matches!(fact.cell("celsius"), Some(Cell::Number(at)) if at >= scheme.fever);
                    own.checkins.push((day(), word("status") != Some("unwell") && !warm));
                }
                FactKind::Test if word("result") == Some("negative") => own.negative.push((day(), told.at)),
                FactKind::Test if word("result") == Some("positive") => own.positive.push((day(), told.at)),
                FactKind::Test => {}
                FactKind::Confirmation => own.confirmed.push((day(), word("rule_id"))),
                FactKind::Appeal => {
                    let (Some(rule), Some(decision)) = (word("rule_id"), word("decision")) else { continue };
                    if decision != "open" {
                        let last = decisions.entry(rule).or_insert((told.at, decision));
                        *last = (told.at, decision).max(*last);
                    }
                }
                _ => {}
            }
        }
        // An unwell check-in of a day before the others.
        own.checkins.sort_unstable();
        own.checkins.dedup_by_key(|(day, _)| *day);
        own.negative.sort_unstable();
        own.positive.sort_unstable();
        own.confirmed.sort_unstable();
        let tests = own.negative.iter().chain(&own.positive).map(|(day, _)| *day);
        let confirmed = own.confirmed.iter().map(|(day, _)| *day);
        let days = own.checkins.iter().map(|(day, _)| *day).chain(tests).chain(confirmed);
        own.next_days = days.map(|day| after(day, 1)).collect();
        own.next_days.sort_unstable();
        own.next_days.dedup();
        let overturned = decisions.into_iter().filter(|(_, (_, decision))| *decision == "overturned");
        own.overturned = overturned.map(|(rule, (at, _))| (rule, at)).collect();
        own
    }

    /// The last positive sample of these days.
    pub fn last_positive(&self, from: Date, until: Date) -> Option<Second> {
        let positive = self.positive.iter().rev().find(|(day, _)| *day <= until);
        positive.filter(|(day, _)| *day >= from).map(|(_, at)| *at)
    }

    /// The first of these days with a negative or positive sample.
    pub fn sampled(&self, from: Date, until: Date) -> Option<Date> {
        let first = |samples: &[(Date, Second)]| {
            samples.iter().map(|(day, _)| *day).find(|day| (from..=until).contains(day))
        };
        [first(&self.negative), first(&self.positive)].into_iter().flatten().min()
    }

    /// The first of these days with a confirmation for the rule.
    pub fn confirmation(&self, rule: &Rule, from: Date, until: Date) -> Option<Date> {
        let counts = |(day, of): &&(Date, Option<&str>)| {
            (from..=until).contains(day) && of.is_none_or(|of| of == rule.id)
        };
        self.confirmed.iter().find(counts).map(|(day, _)| *day)
    }

    /// Whether some fact happens or begins after a date.
    pub fn knows_after(&self, scheme: &Scheme, date: Date) -> bool {
        let later = |fact: &Fact<'_>| {
            let mut times = fact.kind().times().iter().filter_map(|time| fact.time(*time));
            times.any(|at| local_date(at, &scheme.time_zone) > date)
        };
        self.facts.iter().any(|(_, fact)| later(fact))
    }

    /// Whether an appeal was decided so that the fact does not count under the rule: by the last decision on it, and for
    /// what the rule counts from no later than that and was known by then. What comes after is new evidence: of a contact
    /// that is a fact of its own, which says nothing new to a rule that no appeal is about.
    pub fn is_overturned(&self, rule: &Rule, fact: &Fact<'_>) -> bool {
        if self.overturned.is_empty() {
            return false;
        }
        if let Fact::Contact(contact) = fact
            && let Some(after) = contact.after
        {
            return match self.overturned.get(rule.id.as_str()) {
                Some(decided) => after < *decided,
                None => self.contact.is_some_and(|traced| rule.means(&traced)),
            };
        }
        let anchor = rule.anchor.iter().find_map(|time| fact.time(*time)).max(fact.known_at());
        self.overturned.get(rule.id.as_str()).is_some_and(|decided| anchor <= Some(*decided))
    }
}
