//! Day arithmetic: which phase of a rule a person is in, until when, and what is still missing for release.
//!
//! Day 0 is the civil day of the anchor; day n of a later phase is the nth day of that phase. A phase ends on the first
//! day on which its term is over and every release condition was met on an earlier day:
//!
//! | condition | met on the day after |
//! |---|---|
//! | n days | day n (day n − 1 where the pack's terms end before their last day) |
//! | n hours | the day that holds the last second of them |
//! | n check-ins | the last of n days in a row, from the phase's first day on, with a check-in as well and none as unwell; `gaps` days of the row may be without any, the night's own day does not count as missed, and a day as unwell starts the row again |
//! | negative tests on days a, b, … | the day of the last sample: the first negative one on day a or later, the next on day b or later and `hours_between_tests` after it, …; none before the phase's last positive one counts |
//! | confirmation | the office's |
//!
//! A fact can end of itself, and with it every phase. Where that comes before the phase can end otherwise, nothing but the
//! days until then is missing.

use jiff::civil::Date;

use super::person::PersonFacts;
use super::scheme::{Phase, Release, Rule, Scheme};
use crate::facts::Fact;
use crate::facts::kind::FactKind;
use crate::time::{self, Second};

/// What a rule makes of a fact on a date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// Position of the phase in the rule.
    pub phase: usize,
    /// First day of this color, at most the date asked about.
    pub since: Date,
    /// First day without it; `None` while it is open-ended or a condition is not met.
    pub until: Option<Date>,
    /// Next test that has not been sampled, check-in or end, on the date or after.
    pub next_due: Option<Date>,
    /// First day on which the whole rule can be over, if everything still missing is done as early as it can be; `None`
    /// if that takes a fact that no date can be given for, such as recovery.
    pub earliest: Option<Date>,
    /// Whether the fact itself ends before the phase can end otherwise, or on that day: then no condition matters any more.
    pub by_fact: bool,
    /// What is missing before this color ends.
    pub missing: Missing,
    /// Position of the phase that there would be by now if nothing were missing after a term that is over; `None` if the
    /// rule would be over. The same as `phase` while its term runs.
    pub if_met: Option<usize>,
}

/// What is missing before a color ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Days left of its term, or until the fact itself ends if that comes first; the date asked about included.
    pub days: u32,
    /// Check-ins left.
    pub checkins: u32,
    /// Negative tests left.
    pub tests: u32,
    /// The first day on which the next of them counts.
    pub test_from: Option<Date>,
    /// An office's confirmation.
    pub confirmation: bool,
}

impl Missing {
    /// Whether the term is over, but not all that must be true beside it is.
    pub fn is_overdue(&self) -> bool {
        self.days == 0 && (self.checkins > 0 || self.tests > 0 || self.confirmation)
    }

    /// What is missing, in words for a list; empty if only a fact without a date is, such as recovery.
    pub fn words(&self) -> String {
        let many = |count: u32, what: &str| {
            (count > 0).then(|| if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") })
        };
        let tests = many(self.tests, "negative test").map(|tests| match self.test_from {
            Some(day) => format!("{tests} (next from {day})"),
            None => tests,
        });
        let confirmation = self.confirmation.then(|| "an office's confirmation".to_string());
        let all = [many(self.days, "day"), many(self.checkins, "daily check-in"), tests, confirmation];
        all.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// What a rule counts from in a fact.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Term {
    /// Day 0.
    start: Date,
    /// The instant of it; 0 under a rule that counts days only.
    anchor: Second,
    /// First day on which everything is over by the fact itself.
    ended: Option<Date>,
}

/// How a rule's term runs for a person: its phases up to that of a date, and what each condition of that one has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arithmetic {
    /// The civil day of the anchor.
    pub day_zero: Date,
    /// First day of each phase that is over, and the first day after it.
    pub over: Vec<(Date, Date)>,
    /// First day of the phase that goes on.
    pub start: Date,
    /// The day that its days count from.
    pub zero: Date,
    /// The first day after its length; `None` if it has none.
    pub term: Option<Date>,
    /// The first day on which everything is over by the fact itself; `None` if it has no such end.
    pub ended: Option<Date>,
    /// Tests that are due in it before that day and decide nothing.
    pub due: Vec<DueTest>,
    /// Its tests: the day of the phase on which each is due, and the day of the sample that counts.
    pub tests: Vec<(Date, Option<Date>)>,
    /// Day of the confirmation that counts.
    pub confirmed: Option<Date>,
}

/// A test that is due, and decides nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueTest {
    /// The day of the phase.
    pub day: u32,
    /// Its date.
    pub on: Date,
    /// The day of the sample that counts for it: the first one from its date on and before the next test is due.
    pub sampled: Option<Date>,
}

/// A day so many days later, at most the last there is.
pub fn after(day: Date, days: u32) -> Date {
    day.saturating_add(jiff::Span::new().days(i64::from(days)))
}

fn before(day: Date, days: u32) -> Date {
    day.saturating_sub(jiff::Span::new().days(i64::from(days)))
}

/// What is known of one condition: met for a release on that day, or not, and then the first day it can be.
struct State {
    met: Option<Date>,
    earliest: Date,
}

impl Scheme {
    fn day_of(&self, at: Second) -> Date {
        time::local_date(at, &self.time_zone)
    }

    /// What the rule counts from in the fact; `None` if it does not mean the fact.
    pub fn term_of(&self, rule: &Rule, fact: &Fact<'_>) -> Option<Term> {
        if !rule.means(fact) {
            return None;
        }
        let anchor = rule.anchor.iter().find_map(|time| fact.time(*time))?;
        let ended = rule.ends.and_then(|time| fact.time(time)).map(|at| self.day_of(at));
        let by_hours = rule.phases.iter().any(|phase| phase.hours.is_some());
        Some(Term { start: self.day_of(anchor), anchor: if by_hours { anchor } else { 0 }, ended })
    }

    /// The effect of a fact with that term under `rule` on `date` for the person whose facts are `own`; `None` if it is over.
    ///
    /// A contact whose day 0 is still to come (by a stay inferred past midnight) already counts; no other fact does, such
    /// as a discharge that is planned.
    pub fn effect(&self, rule: &Rule, term: &Term, own: &PersonFacts<'_, '_>, date: Date) -> Option<Effect> {
        let Term { start, anchor, ended } = *term;
        if ended.is_some_and(|ended| ended <= date) {
            return None;
        }
        if start > date && rule.fact != FactKind::Contact {
            return None;
        }
        let (at, (start, zero), term) = self.phase_on(rule, (start, anchor), own, date, |_| {})?;
        let phase = &rule.phases[at];
        let state = self.release(rule, phase, (start, zero), own, date);
        let release = match &state {
            Some((state, _)) => state.met.map(|met| met.max(term.unwrap_or(met))),
            None => term,
        };
        let tomorrow = after(date, 1);
        // The first day after this phase, apart from an end of the fact.
        let first = (state.is_some() || term.is_some()).then(|| {
            let conditions = state.as_ref().map(|(state, _)| state.earliest);
            release.unwrap_or_else(|| conditions.into_iter().chain(term).fold(tomorrow, Date::max))
        });
        let of_rest =
            |first| rule.phases[at + 1..].iter().try_fold(first, |start, phase| self.shortest(phase, start));
        let earliest = [first.and_then(of_rest), ended].into_iter().flatten().min();
        let by_fact = ended.is_some_and(|ended| first.is_none_or(|first| ended <= first));
        let mut missing = state.filter(|_| !by_fact).map(|(_, missing)| missing).unwrap_or_default();
        let days_end = if by_fact { ended } else { term };
        missing.days = days_end.map_or(0, |end| (end - date).get_days().max(0) as u32);
        let if_met = match missing.is_overdue() {
            true => {
                let over = term.or_else(|| self.shortest(phase, start)).map_or(date, |day| day.min(date));
                self.phase_if_met(rule, at + 1, over, date)
            }
            false => Some(at),
        };
        let until = [release, ended].into_iter().flatten().min();
        let due = self.due_tests(phase, zero, own, date);
        let due = due.filter(|test| test.on >= date && test.sampled.is_none()).map(|test| test.on);
        let checkin = (missing.checkins > 0).then(|| {
            let today = own.checkins.binary_search_by_key(&date, |(day, _)| *day);
            if today.is_ok() { tomorrow } else { date.max(start) }
        });
        let test = missing.test_from.map(|from| from.max(date));
        Some(Effect {
            phase: at,
            since: start.min(date),
            until,
            next_due: due.chain(until).chain(checkin).chain(test).min(),
            earliest,
            by_fact,
            missing,
            if_met,
        })
    }

    /// The phase on `date` of a rule whose phase `at` begins on `start`, if every condition is met as soon as its phase's term
    /// is over; in a phase without a term, as early as it can be. `None` if all are over.
    fn phase_if_met(&self, rule: &Rule, at: usize, mut start: Date, date: Date) -> Option<usize> {
        for (at, phase) in rule.phases.iter().enumerate().skip(at) {
            let zero = before(start, u32::from(self.holds_last_day));
            // Only a first phase has hours, which count from the anchor.
            match self.term(phase, 0, zero).or_else(|| self.shortest(phase, start)) {
                Some(end) if end <= date => start = end,
                _ => return Some(at),
            }
        }
        None
    }

    /// The tests that are due in a phase and decide nothing, with what was sampled up to `date`.
    fn due_tests(
        &self,
        phase: &Phase,
        zero: Date,
        own: &PersonFacts<'_, '_>,
        date: Date,
    ) -> impl Iterator<Item = DueTest> {
        phase.tests_on.iter().map(move |day| {
            let on = after(zero, *day);
            let next = phase.tests_on.iter().filter(|next| *next > day).min();
            let last = next.map_or(date, |next| before(after(zero, *next), 1).min(date));
            DueTest { day: *day, on, sampled: own.sampled(on, last) }
        })
    }

    /// The phase that goes on, its first day, the day its days count from, and the first day after its length; `None` if all
    /// are over. `over` hears of every phase before it: its first day, and the first after it.
    fn phase_on(
        &self,
        rule: &Rule,
        (mut start, anchor): (Date, Second),
        own: &PersonFacts<'_, '_>,
        date: Date,
        mut over: impl FnMut((Date, Date)),
    ) -> Option<(usize, (Date, Date), Option<Date>)> {
        for (at, phase) in rule.phases.iter().enumerate() {
            // Day n of the phase is n days after this one.
            let zero = if at == 0 { start } else { before(start, u32::from(self.holds_last_day)) };
            let term = self.term(phase, anchor, zero);
            let Some(day) = self.released(rule, phase, (start, zero), term, own, date) else {
                return Some((at, (start, zero), term));
            };
            over((start, day));
            start = day;
        }
        None
    }

    /// How the term of a fact runs on a date on which its effect holds.
    pub fn arithmetic(
        &self,
        rule: &Rule,
        term: &Term,
        own: &PersonFacts<'_, '_>,
        date: Date,
    ) -> Option<Arithmetic> {
        let mut over = Vec::new();
        let (at, (start, zero), end) =
            self.phase_on(rule, (term.start, term.anchor), own, date, |phase| over.push(phase))?;
        let phase = &rule.phases[at];
        let due = phase.release.negative_tests_on.iter().map(|day| after(zero, *day));
        let mut counted = self.counted(phase, (start, zero), own, date).into_iter();
        Some(Arithmetic {
            day_zero: term.start,
            over,
            start,
            zero,
            term: end,
            ended: term.ended,
            due: self
                .due_tests(phase, zero, own, date)
                .filter(|test| term.ended.is_none_or(|ended| test.on < ended))
                .collect(),
            tests: due.map(|due| (due, counted.next().map(|(day, _)| day))).collect(),
            confirmed: own.confirmation(rule, start, date),
        })
    }

    /// The first day after the phase's term.
    fn term(&self, phase: &Phase, anchor: Second, zero: Date) -> Option<Date> {
        if let Some(hours) = phase.hours {
            let last = anchor.saturating_add(hours.saturating_mul(3_600)).saturating_sub(1);
            return Some(after(self.day_of(last.max(anchor)), 1));
        }
        phase.days.map(|days| after(zero, days + u32::from(self.holds_last_day)))
    }

    /// The first day after a phase that starts on `start`, if everything is done as early as it can be.
    fn shortest(&self, phase: &Phase, start: Date) -> Option<Date> {
        let held = u32::from(self.holds_last_day);
        let zero = before(start, held);
        let release = &phase.release;
        let mut ends: Vec<Date> = phase.days.map(|days| after(zero, days + held)).into_iter().collect();
        if release.checkins > 0 {
            ends.push(after(start, release.checkins));
        }
        let mut sampled = None;
        for day in &release.negative_tests_on {
            sampled = Some(self.next_sample(start.max(after(zero, *day)), sampled, release));
        }
        ends.extend(sampled.map(|at| after(self.day_of(at), 1)));
        if release.confirmation {
            ends.push(after(start, 1));
        }
        ends.into_iter().max()
    }

    /// The first instant at which a sample counts that is due on `due`, after one at `previous`.
    fn next_sample(&self, due: Date, previous: Option<Second>, release: &Release) -> Second {
        let apart = release.hours_between_tests.saturating_mul(3_600);
        let midnight = time::start_of_day(due, &self.time_zone);
        previous.map_or(midnight, |at| midnight.max(at.saturating_add(apart)))
    }

    /// The day a phase ended on, if that is the date or before: the first after its term on which all conditions were met
    /// by what happened on days before it. What happens later does not undo it.
    fn released(
        &self,
        rule: &Rule,
        phase: &Phase,
        (start, zero): (Date, Date),
        term: Option<Date>,
        own: &PersonFacts<'_, '_>,
        date: Date,
    ) -> Option<Date> {
        if phase.release == Release::default() {
            return term.filter(|day| *day <= date);
        }
        let first = term.unwrap_or(start);
        // On other days nothing comes to be met that was not met the day before.
        let from = own.next_days.partition_point(|day| *day < first);
        let until = own.next_days.partition_point(|day| *day <= date);
        let days = term
            .filter(|day| *day <= date)
            .into_iter()
            .chain(own.next_days[from..until.max(from)].iter().copied());
        let met = |day: &Date| {
            let known = self.release(rule, phase, (start, zero), own, before(*day, 1));
            known.is_some_and(|(state, _)| state.met.is_some())
        };
        days.into_iter().find(met)
    }

    /// Whether and when the phase's conditions beside its term are met by what happened up to `date`; `None` if it has
    /// none.
    fn release(
        &self,
        rule: &Rule,
        phase: &Phase,
        (start, zero): (Date, Date),
        own: &PersonFacts<'_, '_>,
        date: Date,
    ) -> Option<(State, Missing)> {
        let release = &phase.release;
        let mut missing = Missing::default();
        let mut states = Vec::new();
        if release.checkins > 0 {
            let (state, left) = self.checkins(release, start, &own.checkins, date);
            missing.checkins = left;
            states.push(state);
        }
        if !release.negative_tests_on.is_empty() {
            states.push(self.tests(phase, (start, zero), own, date, &mut missing));
        }
        if release.confirmation {
            let met = own.confirmation(rule, start, date).map(|day| after(day, 1));
            missing.confirmation = met.is_none();
            states.push(State { met, earliest: met.unwrap_or(after(date.max(start), 1)) });
        }
        let all = states.into_iter().reduce(|a, b| State {
            met: a.met.zip(b.met).map(|(a, b)| a.max(b)),
            earliest: a.earliest.max(b.earliest),
        })?;
        Some((all, missing))
    }

    fn checkins(&self, release: &Release, start: Date, all: &[(Date, bool)], date: Date) -> (State, u32) {
        let (wanted, gaps_allowed) = (release.checkins, release.gaps);
        let from = all.partition_point(|(day, _)| *day < start);
        let until = all.partition_point(|(day, _)| *day <= date).max(from);
        let (mut row, mut gaps, mut met) = (0, 0, None);
        let mut next = start;
        for (day, well) in all[from..until].iter().copied() {
            // Days without any, if a row has begun.
            gaps += if row > 0 { (day - next).get_days().max(0) as u32 } else { 0 };
            next = after(day, 1);
            if gaps > gaps_allowed || !well {
                (row, gaps) = (0, 0);
            }
            if !well {
                met = None;
                continue;
            }
            row += 1;
            if row >= wanted && met.is_none() {
                met = Some(next);
            }
        }
        // The date itself can still bring one.
        gaps += (date - next).get_days().max(0) as u32;
        if gaps > gaps_allowed {
            row = 0;
        }
        let left = if met.is_some() { 0 } else { wanted - row.min(wanted) };
        // The first of those left can be made on the date, if none was made.
        let earliest = met.unwrap_or_else(|| after(next.max(date), left));
        (State { met, earliest }, left)
    }

    /// The negative samples that count, the first for the first test that is due, and so on.
    fn counted(
        &self,
        phase: &Phase,
        (start, zero): (Date, Date),
        own: &PersonFacts<'_, '_>,
        date: Date,
    ) -> Vec<(Date, Second)> {
        let release = &phase.release;
        let from = own.negative.partition_point(|(day, _)| *day < start);
        let until = own.negative.partition_point(|(day, _)| *day <= date).max(from);
        let mut negative = &own.negative[from..until];
        if let Some(positive) = own.last_positive(start, date) {
            negative = &negative[negative.partition_point(|(_, at)| *at <= positive)..];
        }
        let apart = release.hours_between_tests.saturating_mul(3_600);
        let mut counted: Vec<(Date, Second)> = Vec::new();
        for day in &release.negative_tests_on {
            let due = after(zero, *day);
            let from = counted.last().map_or(0, |(_, last)| last.saturating_add(apart));
            negative = &negative[negative.partition_point(|(day, at)| *day < due || *at < from)..];
            let Some((first, rest)) = negative.split_first() else { break };
            counted.push(*first);
            negative = rest;
        }
        counted
    }

    fn tests(
        &self,
        phase: &Phase,
        (start, zero): (Date, Date),
        own: &PersonFacts<'_, '_>,
        date: Date,
        missing: &mut Missing,
    ) -> State {
        let release = &phase.release;
        let counted = self.counted(phase, (start, zero), own, date);
        let last = counted.last().copied();
        let date = date.max(start);
        let left = &release.negative_tests_on[counted.len()..];
        missing.tests = left.len() as u32;
        if left.is_empty() {
            let met = last.map(|(day, _)| after(day, 1));
            return State { met, earliest: met.unwrap_or(date) };
        }
        // Samples still to be taken: none before the date, none before the last positive one.
        let void_until = own.last_positive(start, date).map_or(0, |at| at.saturating_add(1));
        let mut sampled = last.map(|(_, at)| at);
        for day in left {
            let next = self.next_sample(after(zero, *day).max(date), sampled, release).max(void_until);
            missing.test_from = missing.test_from.or(Some(self.day_of(next)));
            sampled = Some(next);
        }
        State { met: None, earliest: sampled.map_or(date, |at| after(self.day_of(at), 1)) }
    }
}
