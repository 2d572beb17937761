//! Colors against a second implementation of what a pack means: it reads the pack's text itself and walks day by day.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use ringtrace::colors::scheme::{EMBEDDED, Release};
use ringtrace::colors::vectors::{case, contact};
use ringtrace::colors::{Colored, PersonFacts, Scheme, ahead, assign};
use ringtrace::facts::kind::{Basis, FactKind, Holds, Instant, Told, ToldCell};
use ringtrace::facts::{CaseFact, Fact};
use ringtrace::records::InputRow;
use ringtrace::records::cases::Status;
use ringtrace::rings::TracedPerson;
use toml::{Table, Value};

use crate::random::{Random, for_seeds};

/// A pack with everything the language has: two colors in turn, gaps, spacing, confirmation, hours, open ends.
const EVERYTHING: &str = r#"
id = "everything"
version = 1
name = { en = "everything", zh = "一切" }
time_zone = "ZONE"
severity = ["purple", "red", "orange", "yellow", "green"]
holds_last_day = HELD
fever_celsius = 37.5
not_also = { purple = ["red", "yellow"] }

[[rule]]
id = "turn"
fact = "contact"
where = { ring = [1, 3] }
phases = [
    { color = "red", days = 5, tests_on = [4, 1, 1], release = { checkins = 3, gaps = 1, negative_tests_on = [0, 2, 2], hours_between_tests = 36 } },
    { color = "yellow", days = 3, release = { checkins = 4, negative_tests_on = [2], confirmation = true } },
    { color = "orange", days = 2 },
]
anchor = ["last_exposed_at"]
basis = { en = "", zh = "" }

[[rule]]
id = "word"
fact = "isolation"
where = { kind = "central" }
phases = [{ color = "orange", release = { confirmation = true } }, { color = "yellow", days = 0 }, { color = "purple", release = { checkins = 2, gaps = 2 } }]
anchor = ["until", "from"]
basis = { en = "", zh = "" }

[[rule]]
id = "hours"
fact = "temperature"
where = { celsius = { min = 37.3, max = 39 } }
phases = [{ color = "yellow", hours = 60 }, { color = "green", days = 1 }, { color = "orange", days = 1, release = { negative_tests_on = [0, 1] } }]
anchor = ["measured_at"]
basis = { en = "", zh = "" }

[[rule]]
id = "pushed"
fact = "push"
where = { color = ["red", "purple"] }
phases = [{ color = "purple", days = 4, tests_on = [0, 2] }, { color = "red" }]
anchor = ["pushed_at"]
ends = "until"
basis = { en = "", zh = "" }

[[rule]]
id = "ordered"
fact = "order"
phases = [
    { color = "orange", days = 3, tests_on = [1, 3], release = { checkins = 2, negative_tests_on = [1], confirmation = true } },
    { color = "red", release = { checkins = 3 } },
    { color = "yellow", days = 2 },
]
anchor = ["issued_at"]
ends = "until"
basis = { en = "", zh = "" }
"#;

/// A cell or time of a fact, as plainly as can be.
#[derive(Clone, Debug, PartialEq)]
enum Cell {
    Word(String),
    /// Numbers; temperatures in hundredths.
    Number(i64),
}

#[derive(Clone, Debug)]
struct PlainFact {
    kind: FactKind,
    cells: BTreeMap<&'static str, Cell>,
    times: BTreeMap<&'static str, i64>,
}

/// What a rule makes of a fact.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    rule: String,
    color: String,
    since: i64,
    until: Option<i64>,
    earliest: Option<i64>,
    next_due: Option<i64>,
    missing: Left,
    /// The color by now if nothing were missing; none if the rule would be over.
    if_met: Option<String>,
}

/// What is left of the conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Left {
    days: i64,
    checkins: i64,
    tests: usize,
    test_from: Option<i64>,
    confirmation: bool,
}

struct Reference {
    pack: Table,
    zone: TimeZone,
    held: i64,
    fever: i64,
}

/// No color of these worlds takes longer.
const HORIZON: i64 = 150;

impl Reference {
    fn new(text: &str) -> Reference {
        let pack: Table = text.parse().unwrap();
        let fever = pack.get("fever_celsius").map_or(37.3, |celsius| celsius.as_float().unwrap());
        Reference {
            zone: TimeZone::get(pack["time_zone"].as_str().unwrap()).unwrap(),
            held: i64::from(pack["holds_last_day"].as_bool().unwrap()),
            fever: (fever * 100.0).round() as i64,
            pack,
        }
    }

    /// Civil days since 1970.
    fn day(&self, at: i64) -> i64 {
        let date = jiff::Timestamp::from_second(at).unwrap().to_zoned(self.zone.clone()).date();
        i64::from((date - Date::constant(1970, 1, 1)).get_days())
    }

    fn matches(&self, rule: &Table, fact: &PlainFact) -> bool {
        let number = |value: &Value, name: &str| match (value, name) {
            (Value::Float(celsius), _) => (celsius * 100.0).round() as i64,
            (Value::Integer(celsius), "celsius") => celsius * 100,
            (value, _) => value.as_integer().unwrap(),
        };
        let is = |value: &Value, name: &str, cell: &Cell| match cell {
            Cell::Word(word) => value.as_str() == Some(word),
            Cell::Number(n) => number(value, name) == *n,
        };
        let empty = Table::new();
        let wanted = rule.get("where").map_or(&empty, |wanted| wanted.as_table().unwrap());
        rule["fact"].as_str() == Some(fact.kind.word())
            && wanted.iter().all(|(name, value)| {
                let Some(cell) = fact.cells.get(name.as_str()) else { return false };
                match value {
                    Value::Array(values) => values.iter().any(|value| is(value, name, cell)),
                    Value::Table(range) => {
                        let Cell::Number(n) = cell else { return false };
                        range.get("min").is_none_or(|min| number(min, name) <= *n)
                            && range.get("max").is_none_or(|max| *n <= number(max, name))
                    }
                    value => is(value, name, cell),
                }
            })
    }

    fn of_kind<'a>(
        &self,
        own: &'a [PlainFact],
        kind: FactKind,
        days: std::ops::Range<i64>,
    ) -> Vec<(i64, i64, &'a PlainFact)> {
        let at = |fact: &PlainFact| *fact.times.values().next().unwrap();
        let facts =
            own.iter().filter(|fact| fact.kind == kind).map(|fact| (self.day(at(fact)), at(fact), fact));
        facts.filter(|(day, ..)| days.contains(day)).collect()
    }

    /// The row of check-ins on days `start..end`, and whether it was long enough and not broken by an unwell one since.
    fn row(
        &self,
        own: &[PlainFact],
        start: i64,
        end: i64,
        wanted: i64,
        allowed: i64,
        today: Option<i64>,
    ) -> (i64, bool) {
        let (mut row, mut gaps, mut enough) = (0, 0, false);
        let all = self.of_kind(own, FactKind::Checkin, start..end);
        for day in start..end {
            let today_s: Vec<&PlainFact> =
                all.iter().filter(|(d, ..)| *d == day).map(|(_, _, fact)| *fact).collect();
            let unwell = |fact: &&&PlainFact| {
                fact.cells.get("status") == Some(&Cell::Word("unwell".into()))
                    || matches!(fact.cells.get("celsius"), Some(Cell::Number(n)) if *n >= self.fever)
            };
            if today_s.iter().filter(unwell).count() > 0 {
                (row, gaps, enough) = (0, 0, false);
            } else if !today_s.is_empty() {
                row += 1;
                enough |= row >= wanted;
            } else if row > 0 && today != Some(day) {
                gaps += 1;
                if gaps > allowed {
                    (row, gaps) = (0, 0);
                }
            }
        }
        (row, enough)
    }

    /// How many of the tests due are done by samples on days `start..end`: the most that any choice of samples gives.
    fn tested(&self, own: &[PlainFact], start: i64, end: i64, due: &[i64], apart: i64) -> usize {
        let samples = self.of_kind(own, FactKind::Test, start..end);
        let result = |fact: &PlainFact, word: &str| fact.cells["result"] == Cell::Word(word.into());
        let positive =
            samples.iter().filter(|(_, _, fact)| result(fact, "positive")).map(|(_, at, _)| *at).max();
        let mut negative: Vec<(i64, i64)> = samples
            .iter()
            .filter(|(_, at, fact)| result(fact, "negative") && positive.is_none_or(|p| *at > p))
            .map(|(day, at, _)| (*at, *day))
            .collect();
        negative.sort_unstable();
        fn most(negative: &[(i64, i64)], due: &[i64], last: Option<i64>, apart: i64) -> usize {
            let Some((first, rest)) = due.split_first() else { return 0 };
            let each = (0..negative.len()).map(|at| {
                let (sampled, day) = negative[at];
                let counts = day >= *first && last.is_none_or(|last| sampled >= last + apart);
                if counts { 1 + most(&negative[at + 1..], rest, Some(sampled), apart) } else { 0 }
            });
            each.max().unwrap_or(0)
        }
        if negative.len() <= 12 {
            return most(&negative, due, None, apart);
        }
        // Of very many, those of later days that come first will do.
        let mut last: Option<i64> = None;
        let done = due.iter().take_while(|due| {
            let found = negative
                .iter()
                .find(|(at, day)| day >= due && last.is_none_or(|last| *at >= last + apart && *at > last));
            last = found.map(|(at, _)| *at);
            found.is_some()
        });
        done.count()
    }

    fn over(
        &self,
        rule: &Table,
        phase: &Table,
        at: i64,
        (start, zero): (i64, i64),
        day: i64,
        own: &[PlainFact],
    ) -> bool {
        let number = |name: &str| phase.get(name).and_then(Value::as_integer);
        let mut bounded = false;
        if let Some(days) = number("days") {
            bounded = true;
            if day < zero + days + self.held {
                return false;
            }
        }
        if let Some(hours) = number("hours") {
            bounded = true;
            if day <= self.day(at + hours * 3_600 - 1) {
                return false;
            }
        }
        let Some(release) = phase.get("release").map(|release| release.as_table().unwrap()) else {
            return bounded;
        };
        let (wanted, gaps, due, apart) = conditions(release, zero);
        if wanted > 0 && !self.row(own, start, day, wanted, gaps, None).1 {
            return false;
        }
        if self.tested(own, start, day, &due, apart) < due.len() {
            return false;
        }
        let id = Cell::Word(rule["id"].as_str().unwrap().into());
        let confirms =
            |(_, _, fact): &(i64, i64, &PlainFact)| fact.cells.get("rule_id").is_none_or(|of| *of == id);
        release.get("confirmation").is_none()
            || self.of_kind(own, FactKind::Confirmation, start..day).iter().any(confirms)
    }

    /// The phase on a date, when it began and from when its days count; none if all are over.
    fn walk(&self, rule: &Table, at: i64, date: i64, own: &[PlainFact]) -> Option<(usize, i64, i64)> {
        let phases = rule["phases"].as_array().unwrap();
        let first = self.day(at);
        let (mut phase, mut start, mut zero) = (0, first, first);
        for day in first..=date {
            while phase < phases.len()
                && self.over(rule, phases[phase].as_table().unwrap(), at, (start, zero), day, own)
            {
                (phase, start, zero) = (phase + 1, day, day - self.held);
            }
        }
        (phase < phases.len()).then_some((phase, start, zero))
    }

    fn find(&self, own: &[PlainFact], date: i64) -> Vec<Found> {
        let severity = words(&self.pack["severity"]);
        let mut found: Vec<Found> = Vec::new();
        for fact in own {
            for rule in self.pack["rule"].as_array().unwrap() {
                let rule = rule.as_table().unwrap();
                let anchor =
                    words(&rule["anchor"]).into_iter().find_map(|name| fact.times.get(name).copied());
                let (true, Some(at)) = (self.matches(rule, fact), anchor) else { continue };
                // Appeals decided against the color, by when; of two at once the word that comes later.
                let mut decided: Vec<(i64, &Cell)> = own
                    .iter()
                    .filter(|a| {
                        a.kind == FactKind::Appeal
                            && a.cells.get("rule_id")
                                == Some(&Cell::Word(rule["id"].as_str().unwrap().into()))
                    })
                    .filter_map(|a| Some((a.times["decided_at"], a.cells.get("decision")?)))
                    .filter(|(_, decision)| **decision != Cell::Word("open".into()))
                    .collect();
                decided.sort_by_key(|(at, decision)| (*at, format!("{decision:?}")));
                let known = match fact.kind {
                    FactKind::Case => fact.times.get("reported_at").copied().unwrap_or(at).max(at),
                    _ => at,
                };
                if decided.last().is_some_and(|(by, decision)| {
                    **decision == Cell::Word("overturned".into()) && known <= *by
                }) {
                    continue;
                }
                if self.day(at) > date && fact.kind != FactKind::Contact {
                    continue;
                }
                let ended = rule.get("ends").and_then(|name| fact.times.get(name.as_str().unwrap()));
                let ended = ended.map(|at| self.day(*at));
                if ended.is_some_and(|ended| ended <= date) {
                    continue;
                }
                let Some((number, start, zero)) = self.walk(rule, at, date, own) else { continue };
                let phase = rule["phases"].as_array().unwrap()[number].as_table().unwrap();
                let color = phase["color"].as_str().unwrap();
                if Some(&color) == severity.last() {
                    continue;
                }
                // If nothing more happened.
                let end = (date + 1..date + HORIZON)
                    .find(|day| self.over(rule, phase, at, (start, zero), *day, own));
                // If everything were done that can be, from this date on.
                let mut more = own.to_vec();
                for day in date..date + HORIZON {
                    more.extend(self.all_done(day, own));
                }
                let earliest =
                    (date + 1..date + HORIZON).find(|day| self.walk(rule, at, *day, &more).is_none());
                let sooner = |end: Option<i64>| [end, ended].into_iter().flatten().min();
                let own_end = (date + 1..date + HORIZON)
                    .find(|day| self.over(rule, phase, at, (start, zero), *day, &more));
                let missing = match ended {
                    // Nothing that anyone does ends it sooner.
                    Some(ended) if own_end.is_none_or(|own| ended <= own) => {
                        Left { days: ended - date, ..Left::default() }
                    }
                    _ => self.left(rule, phase, at, (start, zero), date, own),
                };
                let waits = missing.checkins > 0 || missing.tests > 0 || missing.confirmation;
                let if_met = match waits && missing.days == 0 {
                    true => self.if_met(rule, number, at, (start, zero), date),
                    false => Some(color.to_string()),
                };
                let until = sooner(end);
                let today = !self.of_kind(own, FactKind::Checkin, date..date + 1).is_empty();
                let checkin = (missing.checkins > 0).then_some(start.max(date + i64::from(today)));
                let tests = self.unsampled(phase, zero, date, own).into_iter().chain(missing.test_from);
                found.push(Found {
                    rule: rule["id"].as_str().unwrap().to_string(),
                    color: color.into(),
                    since: start.min(date),
                    until,
                    earliest: sooner(earliest),
                    next_due: tests.chain(until).chain(checkin).min(),
                    missing,
                    if_met,
                });
            }
        }
        if let Some(not_also) = self.pack.get("not_also") {
            let colors: Vec<String> = found.iter().map(|found| found.color.clone()).collect();
            for (color, others) in not_also.as_table().unwrap() {
                if colors.contains(color) {
                    found.retain(|found| !words(others).contains(&found.color.as_str()));
                }
            }
        }
        let rank = |color: &str| severity.iter().position(|known| *known == color);
        let ids: Vec<&str> =
            self.pack["rule"].as_array().unwrap().iter().map(|rule| rule["id"].as_str().unwrap()).collect();
        let place = |id: &str| ids.iter().position(|known| *known == id);
        found.sort_by_key(|f| {
            (rank(&f.color), -f.until.unwrap_or(i64::MAX), place(&f.rule), f.since, f.clone())
        });
        found
    }

    /// What is left of a phase's conditions on a date.
    fn left(
        &self,
        rule: &Table,
        phase: &Table,
        at: i64,
        (start, zero): (i64, i64),
        date: i64,
        own: &[PlainFact],
    ) -> Left {
        let empty = Table::new();
        let release = phase.get("release").map_or(&empty, |release| release.as_table().unwrap());
        let (wanted, gaps, due, apart) = conditions(release, zero);
        let (row, enough) = self.row(own, start, date + 1, wanted, gaps, Some(date));
        let tested = self.tested(own, start, date + 1, &due, apart);
        // The first day whose last second is one at which a sample would count.
        let counts = |day: &i64| {
            let hours = (day * 24 - 24..day * 24 + 48).map(|hour| hour * 3_600 - 1);
            let evening = hours.filter(|at| self.day(*at) == *day);
            let sample = [("result", Cell::Word("negative".into()))];
            let sample = plain(FactKind::Test, &sample, &[("sampled_at", evening.max().unwrap())]);
            self.tested(&[own, &[sample]].concat(), start, day + 1, &due, apart) > tested
        };
        let of_this = |fact: &PlainFact| fact.cells.get("rule_id").is_none_or(|of| *of == word(&rule["id"]));
        let confirmations = self.of_kind(own, FactKind::Confirmation, start..date + 1);
        let confirmed = confirmations.iter().any(|(_, _, fact)| of_this(fact));
        Left {
            days: self.term(rule, phase, at, (start, zero)).map_or(0, |end| (end - date).max(0)),
            checkins: if enough { 0 } else { (wanted - row).max(0) },
            tests: due.len() - tested,
            test_from: (tested < due.len()).then(|| (date.max(start)..).find(counts).unwrap()),
            confirmation: release.contains_key("confirmation") && !confirmed,
        }
    }

    /// The first day after the length of a phase, whatever its conditions; none if it has no length.
    fn term(&self, rule: &Table, phase: &Table, at: i64, (start, zero): (i64, i64)) -> Option<i64> {
        let mut bare = phase.clone();
        bare.remove("release");
        (start..start + HORIZON).find(|day| self.over(rule, &bare, at, (start, zero), *day, &[]))
    }

    /// The color on a date of a rule in whose phase `number` something is missing after its term, had it all been there by
    /// then; in phases without a term all is done every day, and a phase that waits has had enough of it.
    fn if_met(
        &self,
        rule: &Table,
        number: usize,
        at: i64,
        (mut start, mut zero): (i64, i64),
        date: i64,
    ) -> Option<String> {
        let all: Vec<PlainFact> = (start..=date).flat_map(|day| self.all_done(day, &[])).collect();
        for (place, phase) in rule["phases"].as_array().unwrap().iter().enumerate().skip(number) {
            let phase = phase.as_table().unwrap();
            let done = || (start..=date).find(|day| self.over(rule, phase, at, (start, zero), *day, &all));
            let end = self.term(rule, phase, at, (start, zero)).or_else(done);
            let end = if place == number { Some(end.map_or(date, |end| end.min(date))) } else { end };
            let Some(end) = end.filter(|end| *end <= date) else {
                return Some(phase["color"].as_str().unwrap().to_string());
            };
            (start, zero) = (end, end - self.held);
        }
        None
    }

    /// Days from a date on with a test that decides nothing and has no sample of its own.
    fn unsampled(&self, phase: &Table, zero: i64, date: i64, own: &[PlainFact]) -> Vec<i64> {
        let days = phase.get("tests_on").map(|days| days.as_array().unwrap().clone()).unwrap_or_default();
        let days: Vec<i64> = days.iter().map(|day| zero + day.as_integer().unwrap()).collect();
        let known = |fact: &PlainFact| fact.cells["result"] != Cell::Word("indeterminate".into());
        let sampled: Vec<i64> = self
            .of_kind(own, FactKind::Test, i64::MIN..date + 1)
            .iter()
            .filter(|(_, _, fact)| known(fact))
            // Each sample is one for the last test that was due by then.
            .filter_map(|(day, ..)| days.iter().copied().filter(|due| due <= day).max())
            .collect();
        days.into_iter().filter(|due| *due >= date && !sampled.contains(due)).collect()
    }

    /// Facts that do everything a release can ask for on a day, four times.
    fn all_done(&self, day: i64, own: &[PlainFact]) -> Vec<PlainFact> {
        let mut facts = Vec::new();
        for slot in (day * 4 - 4)..(day * 4 + 8) {
            let at = slot * 21_600 + 1;
            if self.day(at) != day {
                continue;
            }
            // What was sampled was; the next sample comes after it, but for one that told nothing.
            let told = |fact: &&PlainFact| {
                fact.kind == FactKind::Test && fact.cells["result"] != Cell::Word("indeterminate".into())
            };
            let last = own.iter().filter(told).map(|fact| fact.times["sampled_at"]);
            if last.max() < Some(at) {
                let negative = [("result", Cell::Word("negative".into()))];
                facts.push(plain(FactKind::Test, &negative, &[("sampled_at", at)]));
            }
            facts.push(plain(FactKind::Confirmation, &[], &[("confirmed_at", at)]));
            if self.of_kind(own, FactKind::Checkin, day..day + 1).is_empty() {
                facts.push(plain(FactKind::Checkin, &[], &[("checked_in_at", at)]));
            }
        }
        facts
    }
}

/// Check-ins, gaps, days on which tests are due, seconds between them.
fn conditions(release: &Table, zero: i64) -> (i64, i64, Vec<i64>, i64) {
    let number = |name: &str| release.get(name).and_then(Value::as_integer).unwrap_or(0);
    let due =
        release.get("negative_tests_on").map(|days| days.as_array().unwrap().clone()).unwrap_or_default();
    let due = due.iter().map(|day| zero + day.as_integer().unwrap()).collect();
    (number("checkins"), number("gaps"), due, number("hours_between_tests") * 3_600)
}

fn word(value: &Value) -> Cell {
    Cell::Word(value.as_str().unwrap().into())
}

fn words(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
}

fn plain(kind: FactKind, cells: &[(&'static str, Cell)], times: &[(&'static str, i64)]) -> PlainFact {
    PlainFact { kind, cells: cells.iter().cloned().collect(), times: times.iter().copied().collect() }
}

/// What the engine takes.
enum Made {
    Case(CaseFact),
    Contact(TracedPerson),
    Told(Told),
}

impl Made {
    fn new(fact: &PlainFact) -> Made {
        let time = |time: Instant| fact.times.get(time.word()).map(|at| *at as u32);
        match fact.kind {
            FactKind::Case => {
                let status = match &fact.cells["status"] {
                    Cell::Word(word) if word == "suspected" => Status::Suspected,
                    Cell::Word(word) if word == "asymptomatic" => Status::Asymptomatic,
                    _ => Status::Confirmed,
                };
                let times = FactKind::Case.times().iter().filter_map(|t| Some((*t, time(*t)?))).collect();
                Made::Case(case(status, &times))
            }
            FactKind::Contact => {
                let Cell::Number(ring) = fact.cells["ring"] else { unreachable!() };
                Made::Contact(contact(ring as u8, time(Instant::LastExposedAt).unwrap()))
            }
            kind => {
                let cell = |(name, holds): &(&'static str, Holds)| {
                    fact.cells.get(name).map(|cell| match (cell, holds) {
                        (Cell::Number(number), _) => ToldCell::Number(*number),
                        (Cell::Word(word), Holds::Words(known)) => {
                            ToldCell::Word(known.iter().find(|known| *known == word).unwrap())
                        }
                        (Cell::Word(word), _) => ToldCell::Text(word.as_str().into()),
                    })
                };
                let cells = std::array::from_fn(|at| kind.columns().get(at).and_then(cell));
                let at = time(kind.times()[0]).unwrap();
                let until = time(Instant::Until);
                let basis = Basis::Row(InputRow { file: "facts.csv".into(), row: 1 });
                Made::Told(Told { kind, at, until, known_at: at, cells, place: None, basis })
            }
        }
    }

    fn fact(&self) -> Fact<'_> {
        match self {
            Made::Case(case) => Fact::Case(case),
            Made::Contact(contact) => Fact::Contact(contact),
            Made::Told(told) => Fact::Told(told),
        }
    }
}

/// A random fact about a person, most of it before the night of `date`, at whole quarters of a day.
fn random_fact(random: &mut Random, kind: FactKind, date: i64) -> PlainFact {
    let at = |random: &mut Random, days: u32| (date * 4 + 1 - i64::from(random.below(days * 4))) * 21_600;
    let mut cells = BTreeMap::new();
    for (name, holds) in kind.columns() {
        let cell = match holds {
            Holds::Words(words) => Cell::Word(random.pick(words).into()),
            Holds::Text if *name == "color" => Cell::Word(random.pick(&["red", "purple", "yellow"]).into()),
            Holds::Text => {
                Cell::Word(random.pick(&["turn", "word", "hours", "pushed", "HR-R1", "FC-O1"]).into())
            }
            Holds::Number => Cell::Number(i64::from(random.within(1..=3))),
            Holds::Celsius => Cell::Number(random.pick(&[3_650, 3_729, 3_730, 3_749, 3_750, 3_900, 3_901])),
        };
        let wanted = matches!(kind, FactKind::Case | FactKind::Contact | FactKind::Test | FactKind::Appeal);
        if wanted || random.chance(if kind == FactKind::Checkin { 15 } else { 85 }) {
            cells.insert(*name, cell);
        }
    }
    let mut times = BTreeMap::new();
    let first = at(random, 25);
    for (number, time) in kind.times().iter().enumerate() {
        match kind {
            // The engine takes the start of the first exposure from its end.
            FactKind::Contact => drop(times.insert(time.word(), first - if number == 0 { 900 } else { 0 })),
            FactKind::Case if random.chance(60) => drop(times.insert(time.word(), at(random, 25))),
            FactKind::Case => {}
            _ if number == 0 => drop(times.insert(time.word(), first)),
            _ if random.chance(60) => {
                times.insert(time.word(), first + i64::from(random.below(60)) * 21_600);
            }
            _ => {}
        }
    }
    if times.is_empty() {
        times.insert("sampled_at", first);
    }
    PlainFact { kind, cells, times }
}

const KINDS: [FactKind; 17] = [
    FactKind::Correction,
    FactKind::Trip,
    FactKind::Case,
    FactKind::Contact,
    FactKind::Test,
    FactKind::ClinicVisit,
    FactKind::Purchase,
    FactKind::Temperature,
    FactKind::Symptom,
    FactKind::Checkin,
    FactKind::Isolation,
    FactKind::RegionStay,
    FactKind::Residence,
    FactKind::Push,
    FactKind::Order,
    FactKind::Confirmation,
    FactKind::Appeal,
];

#[test]
fn oracle_colors_are_those_of_a_walk_day_by_day() {
    let everything =
        |zone: &str, held: bool| EVERYTHING.replace("ZONE", zone).replace("HELD", &held.to_string());
    let mut packs: Vec<String> = EMBEDDED.iter().map(|(_, text)| text.to_string()).collect();
    for zone in ["Asia/Shanghai", "Europe/Berlin"] {
        packs.extend([everything(zone, true), everything(zone, false)]);
    }
    let packs: Vec<(Scheme, Reference)> =
        packs.iter().map(|text| (Scheme::from_text(text, "a pack").unwrap(), Reference::new(text))).collect();
    // Reasons whose fact ends before anything else can end them, though something else was asked for; whose color would be
    // another one by now; that have a test sampled on the day it was due.
    let [mut by_fact, mut others, mut sampled] = [0, 0, 0].map(AtomicU32::new);
    let ran_all = for_seeds("oracle_colors_are_those_of_a_walk_day_by_day", 6_000, |_, random| {
        let (scheme, reference) = &packs[random.below(packs.len() as u32) as usize];
        // Around a leap day, and around the days when clocks change in Berlin.
        let date = reference.day(random.pick(&[1_709_600_000, 1_711_900_000, 1_730_300_000]));
        let mut own: Vec<PlainFact> = Vec::new();
        // What rules of this pack start from, and what releases ask for.
        let starts: Vec<FactKind> = scheme.rules.iter().map(|rule| rule.fact).collect();
        for _ in 0..=random.below(3) {
            let kind = if random.chance(70) { random.pick(&starts) } else { random.pick(&KINDS) };
            own.push(random_fact(random, kind, date));
        }
        if random.chance(60) {
            let missed = random.pick(&[0, 5, 20, 60]);
            for day in date - 24..=date {
                if !random.chance(missed) {
                    let mut checkin = random_fact(random, FactKind::Checkin, date);
                    checkin.times.insert("checked_in_at", (day * 4 + i64::from(random.below(2))) * 21_600);
                    if random.chance(90) {
                        checkin.cells.clear();
                    }
                    own.push(checkin);
                }
            }
        }
        for _ in 0..random.below(7) {
            let mut test = random_fact(random, FactKind::Test, date);
            if random.chance(70) {
                test.cells.insert("result", Cell::Word("negative".into()));
            }
            if random.chance(20) {
                test.times.insert("sampled_at", (date * 4 + i64::from(random.below(2))) * 21_600);
            }
            own.push(test);
        }
        if random.chance(40) {
            own.push(random_fact(random, FactKind::Confirmation, date));
        }
        if random.chance(30) {
            own.push(random_fact(random, FactKind::Appeal, date));
        }
        // No fact of these is known before it happens; only contacts may be inferred past midnight.
        own.retain(|fact| {
            let told = !matches!(fact.kind, FactKind::Case | FactKind::Contact);
            !told || reference.day(*fact.times.values().next().unwrap()) <= date
        });
        let expected = reference.find(&own, date);
        random.shuffle(&mut own);
        let made: Vec<Made> = own.iter().map(Made::new).collect();
        let facts: Vec<(u32, Fact<'_>)> = made.iter().map(|made| (7, made.fact())).collect();
        let civil = |day: i64| Date::constant(1970, 1, 1).saturating_add(jiff::Span::new().days(day));
        let number = |date: Date| i64::from((date - Date::constant(1970, 1, 1)).get_days());
        let colored = assign(&facts, scheme, civil(date));
        let mut found: Vec<Found> = Vec::new();
        for reason in colored.first().map_or(&[][..], |colored| &colored.reasons) {
            let effect = &reason.effect;
            let (rule, missing) = (&scheme.rules[reason.rule], &effect.missing);
            let phase = &rule.phases[effect.phase];
            let count = |what: &AtomicU32, is: bool| what.fetch_add(u32::from(is), Relaxed);
            count(&by_fact, effect.by_fact && phase.release != Release::default());
            count(&others, effect.if_met != Some(effect.phase));
            let term = scheme.term_of(rule, &reason.fact).unwrap();
            let sum = scheme.arithmetic(rule, &term, &PersonFacts::new(&facts, scheme), civil(date)).unwrap();
            count(&sampled, sum.due.iter().any(|test| test.on == civil(date) && test.sampled.is_some()));
            found.push(Found {
                rule: rule.id.clone(),
                color: scheme.severity[reason.rank].clone(),
                since: number(effect.since),
                until: effect.until.map(number),
                earliest: effect.earliest.map(number),
                next_due: effect.next_due.map(number),
                missing: Left {
                    days: missing.days.into(),
                    checkins: missing.checkins.into(),
                    tests: missing.tests as usize,
                    test_from: missing.test_from.map(number),
                    confirmation: missing.confirmation,
                },
                if_met: effect.if_met.map(|phase| rule.phases[phase].color.clone()),
            });
        }
        // The engine orders equals by their facts, the walk by what it found.
        let key = |found: &Found| (found.rule.clone(), found.color.clone(), found.since, found.until);
        assert!(
            found.iter().map(key).eq(expected.iter().map(key)),
            "{}: {found:?} and {expected:?} of {own:?}",
            scheme.id
        );
        found.sort();
        let mut expected = expected;
        expected.sort();
        assert_eq!(found, expected, "{} of {own:?} on {date}", scheme.id);
        // What the calendar says is what every later day gives, if nothing else becomes known.
        let healthy = Colored { person: 7, reasons: Vec::new(), ruled_out: Vec::new() };
        let today = colored.first().unwrap_or(&healthy);
        let decided = |day: i64| {
            let colored = assign(&facts, scheme, civil(day));
            colored.first().map(|colored| (colored.reasons[0].rank, colored.reasons[0].rule))
        };
        let changes = (date + 1..=date + 14).map(|day| (day, decided(day - 1), decided(day)));
        let changes = changes.filter(|(_, before, after)| before.map(|b| b.0) != after.map(|a| a.0));
        let prepared = PersonFacts::new(&facts, scheme);
        if colored.is_empty() && !scheme.pauses() && !prepared.knows_after(scheme, civil(date)) {
            assert_eq!(changes.count(), 0, "nobody looks, but {} facts on {date}", prepared.facts.len());
            return;
        }
        let ahead = ahead(&prepared, today, scheme, civil(date), 14);
        let ahead = ahead.into_iter().map(|ahead| (number(ahead.day), ahead.before, ahead.after));
        assert_eq!(
            ahead.collect::<Vec<_>>(),
            changes.collect::<Vec<_>>(),
            "{} of {own:?} on {date}",
            scheme.id
        );
    });
    if ran_all {
        let rare = [&mut by_fact, &mut others, &mut sampled].map(|count| *count.get_mut());
        assert!(rare.iter().all(|count| *count >= 10), "too few of the rare cases: {rare:?}");
    }
}
