//! Colors against a second implementation of what a pack means: it reads the pack's text itself and walks day by day.

use std::collections::BTreeMap;
use std::path::Path;
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

use crate::facts::world;
use crate::random::{Random, for_seeds};
use crate::support::{Folder, rows};

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

#[test]
fn packs_load_by_name() {
    for (name, _) in EMBEDDED {
        assert_eq!(Scheme::load(name, Path::new(".")).unwrap().id, name);
    }
}

/// A small pack, with these rules.
fn pack(rules: &str) -> String {
    format!(
        r#"id = "mine"
version = 1
name = {{ en = "mine", zh = "自用" }}
time_zone = "Asia/Shanghai"
severity = ["red", "orange", "yellow", "green"]
holds_last_day = true
{rules}"#
    )
}

/// A world under that pack.
fn world_of(pack: &str, tables: &[(&str, &str)]) -> Folder {
    let folder = world("mine.toml", tables);
    folder.write("mine.toml", pack);
    folder
}

/// A table of a night, a line a row.
fn night(folder: &Folder, date: &str, table: &str, columns: &[&str]) -> Vec<String> {
    let path = folder.join(format!("runs/{date}"));
    if !path.exists() {
        folder.run(&format!("run --config ringtrace.toml --date {date} --quiet")).done();
    }
    rows(&path.join(format!("{table}.parquet")), columns).into_iter().map(|row| row.join(" ")).collect()
}

#[track_caller]
fn explains(folder: &Folder, date: &str, who: &str, says: &[&str], never: &[&str]) {
    let words = folder.run(&format!("explain --run runs/{date} {who}")).done().stdout;
    says.iter().for_each(|part| assert!(words.contains(part), "{part}: {words}"));
    never.iter().for_each(|part| assert!(!words.contains(part), "{part}: {words}"));
}

#[test]
fn an_end_of_the_fact_itself_is_what_is_waited_for() {
    let order = "person_id,issued_at,until,color,author,approver,basis\no1,2022-03-02 09:00,2022-03-12 09:00,red,A,B,law 1\n";
    let tables = [
        (
            "pushes",
            "person_id,pushed_at,color,origin,until\np1,2022-03-01 09:00,red,Anhui,2022-03-06 09:00\n",
        ),
        ("clinic_visits", "person_id,visited_at\no1,2022-03-02 08:00\n"),
        ("orders", order),
        ("communities", "community_id,status,from,until\nK1,sealed,2022-03-01 08:00,2022-03-10 08:00\n"),
        ("residences", "person_id,region_id,community_id\nk1,R1,K1\n"),
    ];
    let folder = world("red-code", &tables);
    let columns = ["person_id", "until", "next_due", "missing"];
    assert_eq!(
        night(&folder, "2022-03-03", "colors", &columns),
        [
            "k1 2022-03-10 2022-03-10 7 days",
            "o1 2022-03-12 2022-03-12 9 days",
            "p1 2022-03-06 2022-03-06 3 days"
        ]
    );
    assert_eq!(night(&folder, "2022-03-05", "colors", &columns)[2], "p1 2022-03-06 2022-03-06 1 day");
    let end = "ends with the order (until 2022-03-12 09:00): 2022-03-12 is the first day after";
    explains(&folder, "2022-03-03", "o1", &[end, "9 days"], &["14 days", "2022-03-17"]);
    let end = "随指令结束（结束 2022-03-12 09:00）：2022-03-12 为其后第一天";
    explains(&folder, "2022-03-03", "o1 --language zh", &[end, "9 天"], &["14 天", "2022-03-17"]);
    let end = "ends with the residence (until 2022-03-10 08:00): 2022-03-10 is the first day after";
    explains(&folder, "2022-03-03", "k1", &[end], &[]);
}

#[test]
fn a_condition_that_cannot_matter_any_more_is_not_missing() {
    let rule = r#"
[[rule]]
id = "E-1"
fact = "push"
phases = [
    { color = "red", days = 14, tests_on = [2, 9], release = { checkins = 3, negative_tests_on = [1], confirmation = true } },
    { color = "yellow", days = 2 },
]
anchor = ["pushed_at"]
ends = "until"
basis = { en = "pushed", zh = "推送" }
"#;
    let pushes = "person_id,pushed_at,color,origin,until\na1,2022-03-01 09:00,red,Anhui,2022-03-09 09:00\nb1,2022-03-01 09:00,red,Anhui,2022-03-20 09:00\n";
    let folder = world_of(&pack(rule), &[("pushes", pushes)]);
    let columns = ["person_id", "until", "next_due", "missing"];
    let all = "3 daily check-ins, 1 negative test (next from 2022-03-03), an office's confirmation";
    assert_eq!(
        night(&folder, "2022-03-03", "colors", &columns),
        ["a1 2022-03-09 2022-03-03 6 days".to_string(), format!("b1 2022-03-20 2022-03-03 13 days, {all}")],
        "a1's test of day 2 is still due, and the yellow days of b1 would end on 03-18"
    );
    let says = [
        "ends with the push (until 2022-03-09 09:00): 2022-03-09 is the first day after",
        "test due on day 2,",
    ];
    let never =
        ["14 days", "check-ins in a row", "negative test of", "confirmation", "then yellow", "day 9,"];
    explains(&folder, "2022-03-03", "a1", &says, &never);
    let says = [
        "14 days: day 14 after 2022-03-01 is the last, 2022-03-16 the first day after",
        "ends with the push at the latest (until 2022-03-20 09:00): 2022-03-20 is the first day after",
        "an office's confirmation: missing",
        "test due on day 9, 2022-03-10",
        "then yellow, 2 days",
    ];
    explains(&folder, "2022-03-03", "b1", &says, &[]);
    // Three check-ins from 03-16 on end red on 03-19; from 03-17 on they are of no use.
    let overdue = ["person_id", "missing"];
    assert_eq!(
        night(&folder, "2022-03-16", "overdue", &overdue),
        ["b1 3 daily check-ins, 1 negative test (next from 2022-03-16), an office's confirmation"]
    );
    assert_eq!(night(&folder, "2022-03-17", "overdue", &overdue), [""; 0]);
    assert_eq!(night(&folder, "2022-03-17", "colors", &columns), ["b1 2022-03-20 2022-03-20 3 days"]);
}

#[test]
fn a_test_that_was_sampled_is_not_due_any_more() {
    let rule = r#"
[[rule]]
id = "E-1"
fact = "push"
phases = [{ color = "red", days = 7, tests_on = [1, 4, 7] }]
anchor = ["pushed_at"]
basis = { en = "pushed", zh = "推送" }
"#;
    let pushed: String =
        ["a", "b", "c", "d", "e"].map(|who| format!("{who},2022-03-01 09:00,red,Anhui\n")).concat();
    let tests = "person_id,sampled_at,result\na,2022-03-05 09:00,negative\na,2022-03-08 09:00,negative\nc,2022-03-04 23:59:59,negative\nd,2022-03-05 00:00,positive\ne,2022-03-02 09:00,negative\n";
    let tables =
        [("pushes", &format!("person_id,pushed_at,color,origin\n{pushed}") as &str), ("tests", tests)];
    let folder = world_of(&pack(rule), &tables);
    let columns = ["person_id", "next_due"];
    assert_eq!(
        night(&folder, "2022-03-05", "colors", &columns),
        ["a 2022-03-08", "b 2022-03-05", "c 2022-03-05", "d 2022-03-08", "e 2022-03-05"],
        "a and d were sampled that day; c's sample counts for day 1"
    );
    let says = ["test due on day 4, 2022-03-05: sampled 2022-03-05", "next due    2022-03-08"];
    explains(&folder, "2022-03-05", "a", &says, &[]);
    let says = ["test due on day 1, 2022-03-02: sampled 2022-03-04", "next due    2022-03-05"];
    explains(&folder, "2022-03-05", "c", &says, &[]);
    assert_eq!(
        night(&folder, "2022-03-08", "colors", &columns)[..2],
        ["a 2022-03-09", "b 2022-03-08"],
        "nothing is due of a but the end"
    );
}

#[test]
fn overdue_says_what_the_color_would_be_by_now() {
    let rule = r#"
[[rule]]
id = "T-1"
fact = "temperature"
phases = [{ color = "red", days = 7, release = { negative_tests_on = [7] } }, { color = "yellow", days = 7 }]
anchor = ["measured_at"]
basis = { en = "fever", zh = "发热" }

[[rule]]
id = "T-2"
fact = "symptom"
phases = [{ color = "orange", days = 2 }]
anchor = ["reported_at"]
basis = { en = "ill", zh = "有症状" }

[[rule]]
id = "T-3"
fact = "purchase"
phases = [{ color = "red", release = { confirmation = true } }, { color = "orange", days = 3, release = { checkins = 3 } }, { color = "yellow" }]
anchor = ["purchased_at"]
basis = { en = "bought", zh = "购药" }
"#;
    let tables = [
        (
            "temperatures",
            "person_id,measured_at,celsius\na,2022-03-01 09:00,38\nb,2022-03-01 09:00,38\nb,2022-03-02 09:00,38\nc,2022-03-01 09:00,38\nd,2022-03-01 09:00,38\n",
        ),
        ("symptoms", "person_id,reported_at,symptom\nc,2022-03-11 09:00,fever\n"),
        ("tests", "person_id,sampled_at,result\nd,2022-03-09 09:00,negative\n"),
        ("purchases", "person_id,purchased_at\ne,2022-03-09 09:00\n"),
    ];
    let folder = world_of(&pack(rule), &tables);
    let columns = ["person_id", "color", "missing", "color_without"];
    let test = "1 negative test (next from 2022-03-12)";
    assert_eq!(
        night(&folder, "2022-03-12", "overdue", &columns),
        [
            format!("a red {test} yellow"),
            format!("b red {test} yellow"),
            format!("c red {test} orange"),
            "e red an office's confirmation orange".to_string()
        ],
        "day 11: seven red days and some yellow ones; d was released late, and waits for nothing"
    );
    let without = |date: &str| night(&folder, date, "overdue", &["person_id", "color_without"]);
    assert_eq!(without("2022-03-15")[0], "a yellow");
    assert_eq!(without("2022-03-16"), ["a green", "b yellow", "c green", "e yellow"]);
    assert_eq!(without("2022-03-17")[1], "b green");
}

#[test]
fn whoever_has_recovered_is_yellow_for_14_days_in_jiangsu() {
    let folder = world("jiangsu", &[]);
    folder.write(
        "cases.csv",
        "person_id,status,sampled_at,reported_at,recovered_at\nc1,confirmed,2022-03-01 09:00,2022-03-01 10:00,2022-03-08 09:00\nc2,asymptomatic,2022-03-01 09:00,2022-03-01 10:00,2022-03-20 09:00\nc3,suspected,2022-03-01 09:00,2022-03-01 10:00,2022-03-08 09:00\n",
    );
    let columns = ["person_id", "color", "rule_id", "until"];
    let colors = |date: &str| night(&folder, date, "colors", &columns);
    assert_eq!(
        colors("2022-03-07"),
        ["c1 red JS-R1 2022-03-08", "c2 red JS-R2 2022-03-20", "c3 red JS-R1 2022-03-08"]
    );
    assert_eq!(colors("2022-03-08"), ["c1 yellow JS-Y2b 2022-03-23", "c2 red JS-R2 2022-03-20"]);
    assert_eq!(colors("2022-03-22"), ["c1 yellow JS-Y2b 2022-03-23", "c2 yellow JS-Y2b 2022-04-04"]);
    assert_eq!(colors("2022-03-23"), ["c2 yellow JS-Y2b 2022-04-04"]);
    let calendar = ["date", "person_id", "color_before", "color_after", "rule_id"];
    assert_eq!(
        night(&folder, "2022-03-07", "calendar", &calendar),
        [
            "2022-03-08 c1 red yellow JS-Y2b",
            "2022-03-08 c3 red green JS-R1",
            "2022-03-20 c2 red yellow JS-Y2b"
        ]
    );
}

#[test]
fn a_contact_of_a_vector_has_the_times_it_says() {
    let rule = r#"
[[rule]]
id = "C-1"
fact = "contact"
phases = [{ color = "red", days = 2 }]
anchor = ["first_exposed_at"]
basis = { en = "met", zh = "接触" }
vectors = [
    { shows = "the last day after the first exposure", date = "2022-03-03", color = "red", until = "2022-03-04", facts = [{ fact = "contact", first_exposed_at = "2022-03-01 10:00", last_exposed_at = "2022-03-05 10:00" }] },
    { shows = "the first free day", date = "2022-03-04", color = "green", facts = [{ fact = "contact", first_exposed_at = "2022-03-01 10:00", last_exposed_at = "2022-03-05 10:00" }] },
    { shows = "without the first, a quarter of an hour", date = "2022-03-03", color = "red", until = "2022-03-04", facts = [{ fact = "contact", last_exposed_at = "2022-03-02 00:10" }] },
    { shows = "without the last, a quarter of an hour", date = "2022-03-03", color = "red", until = "2022-03-04", facts = [{ fact = "contact", first_exposed_at = "2022-03-01 23:50" }] },
]
"#;
    let folder = Folder::new();
    folder.write("mine.toml", pack(rule));
    let found = folder.json("verify --scheme mine.toml", 0);
    assert_eq!(found["scheme"]["unnoticed"], serde_json::json!([]));
}

#[test]
fn daily_is_every_civil_day_also_when_clocks_change() {
    let rule = r#"
[[rule]]
id = "C-1"
fact = "temperature"
phases = [{ color = "red", release = { checkins = 3 } }]
anchor = ["measured_at"]
basis = { en = "fever", zh = "发热" }
vectors = [
    { shows = "late in the evening, before a day of 23 hours", date = "2022-03-28", color = "red", until = "2022-03-29", facts = [{ fact = "temperature", celsius = 38, measured_at = "2022-03-25 10:00" }, { fact = "checkin", checked_in_at = "2022-03-26 23:30", daily = 3 }] },
    { shows = "at night, before a day of 25 hours", date = "2022-10-31", color = "red", until = "2022-11-01", facts = [{ fact = "temperature", celsius = 38, measured_at = "2022-10-28 10:00" }, { fact = "checkin", checked_in_at = "2022-10-29 00:30", daily = 3 }] },
    { shows = "in an hour that one of the days does not have", date = "2022-03-28", color = "red", until = "2022-03-29", facts = [{ fact = "temperature", celsius = 38, measured_at = "2022-03-25 10:00" }, { fact = "checkin", checked_in_at = "2022-03-26 02:30", daily = 3 }] },
]
"#;
    let folder = Folder::new();
    folder.write("mine.toml", pack(rule).replace("Asia/Shanghai", "Europe/Berlin"));
    folder.run("verify --scheme mine.toml").done();
}

/// What a mistake makes of the pack below, where it then stands, and what is said of it.
type Mistake = (&'static str, &'static str, &'static str, &'static [&'static str]);

const MISTAKES: [Mistake; 44] = [
    (
        "Asia/Shanghai",
        "Asia/Shangai",
        "time_zone",
        &["time zone \"Asia/Shangai\" is not known", "did you mean \"Asia/Shanghai\"?"],
    ),
    ("Asia/Shanghai", "Beijing", "time_zone", &["time zone \"Beijing\" is not known", "Europe/Berlin"]),
    ("time_zone = \"Asia/Shanghai\"", "time_zone = 8", "time_zone", &["expected a string"]),
    ("version = 1", "version = -1", "version", &["-1", "a whole number, 0 or more"]),
    ("id = \"mine\"", "id = \"my pack\"", "my pack", &["\"my pack\" is no name"]),
    ("id = \"mine\"", "id = \"Mine\"", "Mine", &["in lower case"]),
    ("[\"red\", \"yellow\", \"green\"]", "[]", "severity", &["severity lists no color"]),
    (
        "[\"red\", \"yellow\", \"green\"]",
        "[\"green\"]",
        "severity",
        &["severity lists only \"green\"", "worst first"],
    ),
    (
        "[\"red\", \"yellow\", \"green\"]",
        "[\"green\", \"yellow\", \"red\"]",
        "severity",
        &["\"red\"", "without any reason", "worst first"],
    ),
    (
        "[\"red\", \"yellow\", \"green\"]",
        "[\"red\", \"yellow\", \"red\", \"green\"]",
        "severity",
        &["\"red\" twice"],
    ),
    (
        "not_also = { red = [\"yellow\"] }",
        "not_also = { red = [\"yelow\"] }",
        "not_also",
        &["not_also", "\"yelow\" is not in severity", "did you mean \"yellow\"?"],
    ),
    (
        "not_also = { red = [\"yellow\"] }",
        "not_also = { yellow = [\"red\"] }",
        "not_also",
        &["\"red\" is not milder than \"yellow\""],
    ),
    (
        "to = { red = \"red\" }",
        "to = { rde = \"red\" }",
        "national",
        &["\"rde\" is not in severity", "did you mean \"red\"?"],
    ),
    (
        "to = { red = \"red\" }",
        "to = { red = \"green\" }",
        "national",
        &["\"green\" is not a color of the platform", "red, yellow"],
    ),
    (
        "from = { red = \"red\" }",
        "from = { red = \"orange\" }",
        "national",
        &["\"orange\" is not in severity"],
    ),
    (
        "holds_last_day = true",
        "holds_last_day = true\nfever_celsius = nan",
        "fever_celsius",
        &["no temperature"],
    ),
    (
        "holds_last_day = true",
        "holds_last_day = true\nfever_celcius = 38.0",
        "fever_celcius",
        &["unknown field `fever_celcius`", "did you mean \"fever_celsius\"?"],
    ),
    ("fact = \"symptom\"\n", "", "[[rule]]", &["missing field `fact`"]),
    ("id = \"M-2\"", "id = \"M-1\"", "id = \"M-1\"\nfact = \"contact\"", &["rule M-1", "used twice"]),
    (
        "fact = \"contact\"\n",
        "fact = \"contacts\"\n",
        "contacts",
        &["unknown variant `contacts`", "did you mean \"contact\"?"],
    ),
    (
        "where = { symptom = \"fever\" }",
        "where = { symptoms = \"fever\" }",
        "where",
        &["rule M-1", "no column \"symptoms\"", "did you mean \"symptom\"?"],
    ),
    (
        "where = { symptom = \"fever\" }",
        "where = { symptom = \"fevre\" }",
        "where",
        &["one of fever", "did you mean \"fever\"?"],
    ),
    ("where = { symptom = \"fever\" }", "where = { symptom = [] }", "where", &["may hold nothing"]),
    (
        "where = { symptom = \"fever\" }",
        "where = { symptom = { min = \"fever\" } }",
        "where",
        &["rule M-1", "symptom", "a range is of numbers", "one of fever, dry_cough"],
    ),
    (
        "where = { symptom = \"fever\" }",
        "where = { symptom = true }",
        "where",
        &["`true`", "a value such as \"fever\"", "{ min = 37.3 }"],
    ),
    (
        "where = { symptom = \"fever\" }",
        "where = { symptom = [true] }",
        "where",
        &["`true`", "a word in quotes or a number"],
    ),
    (
        "where = { ring = 1 }",
        "where = { ring = { least = 1 } }",
        "where = { ring",
        &["unknown field `least`", "`min`"],
    ),
    (
        "where = { ring = 1 }",
        "where = { ring = { min = 1.5 } }",
        "where = { ring",
        &["ring 1.5 is not a whole number"],
    ),
    (
        "where = { ring = 1 }",
        "where = { ring = { min = 3, max = 2 } }",
        "where = { ring",
        &["from 3 to 2 there is nothing"],
    ),
    (
        "color = \"yellow\", days = 3",
        "color = \"yelow\", days = 3",
        "yelow",
        &["rule M-1", "\"yelow\" is not in severity", "did you mean \"yellow\"?"],
    ),
    (
        "{ color = \"red\", days = 14 }",
        "{ color = \"green\", days = 14 }",
        "phases = [{ color = \"green\"",
        &["rule M-2", "colors no one"],
    ),
    ("days = 3 ", "days = -3 ", "days = -3", &["-3", "a number of days, 0 or more"]),
    ("days = 3 ", "days = 3.5 ", "days = 3.5", &["3.5", "a number of days, 0 or more"]),
    ("days = 3 ", "days = 36501 ", "days = 36501", &["36500 days"]),
    ("tests_on = [1, 4]", "tests_on = [1, -4]", "tests_on", &["-4", "a number of days, 0 or more"]),
    ("tests_on = [1, 4]", "tests_on = 4", "tests_on", &["a list of days such as [1, 7, 14]"]),
    ("tests_on = [1, 4]", "hours = 24", "hours", &["days or hours, not both"]),
    ("checkins = 7", "checkins = -7", "checkins", &["-7", "a number of days, 0 or more"]),
    (
        "anchor = [\"reported_at\"]",
        "anchor = [\"measured_at\"]",
        "measured_at",
        &["rule M-1", "no time measured_at", "reported_at"],
    ),
    (
        "date = \"2022-03-15\"",
        "date = \"2022-03-16\"",
        "the last day",
        &["rule M-2", "vector \"the last day\"", "expected red until 2022-03-16", "found green"],
    ),
    (
        "color = \"red\", until",
        "color = \"rde\", until",
        "the last day",
        &["\"rde\" is not in severity", "did you mean \"red\"?"],
    ),
    (
        "until = \"2022-03-16\"",
        "until = \"2022-03-16\", by = \"M-3\"",
        "the last day",
        &["no rule \"M-3\"", "did you mean \"M-1\"?"],
    ),
    (
        "first_exposed_at = \"2022-03-01 09:00\"",
        "first_exposed_at = \"2022-03-01 11:00\"",
        "the last day",
        &["first_exposed_at", "after last_exposed_at"],
    ),
    (
        "first_exposed_at = \"2022-03-01 09:00\"",
        "first_exposed_at = \"yesterday\"",
        "the last day",
        &["first_exposed_at: \"yesterday\" is no time", "2022-03-01 10:00"],
    ),
];

#[test]
fn a_mistake_in_a_pack_is_told_with_its_line_and_what_was_meant() {
    let rules = r#"not_also = { red = ["yellow"] }
national = { to = { red = "red" }, from = { red = "red" } }

[[rule]]
id = "M-1"
fact = "symptom"
where = { symptom = "fever" }
phases = [
    { color = "red", days = 7, tests_on = [1, 4], release = { checkins = 7 } },
    { color = "yellow", days = 3 },
]
anchor = ["reported_at"]
basis = { en = "ill", zh = "有症状" }

[[rule]]
id = "M-2"
fact = "contact"
where = { ring = 1 }
phases = [{ color = "red", days = 14 }]
anchor = ["last_exposed_at"]
basis = { en = "met", zh = "接触" }
vectors = [
    { shows = "the first free day", date = "2022-03-16", color = "green", facts = [{ fact = "contact", last_exposed_at = "2022-03-01 10:00" }] },
    { shows = "the last day", date = "2022-03-15", color = "red", until = "2022-03-16", facts = [{ fact = "contact", first_exposed_at = "2022-03-01 09:00", last_exposed_at = "2022-03-01 10:00" }] },
]
"#;
    let right = pack(rules).replace("\"red\", \"orange\", \"yellow\"", "\"red\", \"yellow\"");
    let folder = Folder::new();
    folder.write("mine.toml", &right);
    folder.run("verify --scheme mine.toml").done();
    for (from, to, stands, says) in MISTAKES {
        assert_eq!(right.matches(from).count(), 1, "{from} is there once");
        let wrong = right.replacen(from, to, 1);
        let line = 1 + wrong[..wrong.find(stands).unwrap()].matches('\n').count();
        folder.write("mine.toml", &wrong);
        let place = format!("scheme mine.toml: line {line}: ");
        folder.refuses("verify --scheme mine.toml", 2, "usage", &[&[&place as &str], says].concat());
    }
}

/// What is wrong with a value under a JSON Schema: keys it does not know, keys that are not there.
fn misfits(
    value: &serde_json::Value,
    schema: &serde_json::Value,
    root: &serde_json::Value,
    at: &str,
) -> Vec<String> {
    if let Some(name) = schema.get("$ref").and_then(|path| path.as_str()) {
        let definition = root.pointer(name.strip_prefix('#').expect("a place in this schema"));
        return misfits(value, definition.expect(name), root, at);
    }
    if let Some(ways) = schema.get("anyOf").or(schema.get("oneOf")).and_then(|ways| ways.as_array()) {
        let tried = ways.iter().map(|way| misfits(value, way, root, at));
        return tried.min_by_key(Vec::len).unwrap();
    }
    let kinds = match &schema["type"] {
        serde_json::Value::String(kind) => vec![kind.as_str()],
        kinds => kinds.as_array().into_iter().flatten().filter_map(|kind| kind.as_str()).collect(),
    };
    let is = match value {
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "boolean",
        serde_json::Value::Number(number) if number.is_i64() => "integer",
        serde_json::Value::Number(_) => "number",
        serde_json::Value::String(_) => "string",
        serde_json::Value::Array(_) => "array",
        serde_json::Value::Object(_) => "object",
    };
    let fits = kinds.contains(&is) || is == "integer" && kinds.contains(&"number");
    if !kinds.is_empty() && !fits {
        return vec![format!("{at} is a {is}, not {kinds:?}")];
    }
    let known =
        [schema.get("const")].into_iter().flatten().chain(schema["enum"].as_array().into_iter().flatten());
    let known: Vec<_> = known.collect();
    if !known.is_empty() && !known.contains(&value) {
        return vec![format!("{at} holds {value}")];
    }
    let mut found = Vec::new();
    if let Some(items) = value.as_array() {
        for (number, item) in items.iter().enumerate() {
            found.extend(misfits(item, &schema["items"], root, &format!("{at}[{number}]")));
        }
    }
    if let Some(cells) = value.as_object() {
        let required = schema["required"].as_array().into_iter().flatten().filter_map(|key| key.as_str());
        found
            .extend(required.filter(|key| !cells.contains_key(*key)).map(|key| format!("{at} has no {key}")));
        for (key, cell) in cells {
            let inside = format!("{at}.{key}");
            match (schema["properties"].get(key), &schema["additionalProperties"]) {
                (Some(of_key), _) => found.extend(misfits(cell, of_key, root, &inside)),
                (None, serde_json::Value::Object(_)) => {
                    found.extend(misfits(cell, &schema["additionalProperties"], root, &inside));
                }
                (None, _) => found.push(format!("{inside} is not known")),
            }
        }
    }
    found
}

#[test]
fn every_pack_is_one_by_the_json_schema() {
    let schema = ringtrace::colors::scheme::json_schema();
    let misfits = |text: &str| {
        let value: serde_json::Value = toml::from_str(text).unwrap();
        misfits(&value, &schema, &schema, "pack")
    };
    for (name, text) in EMBEDDED {
        assert_eq!(misfits(text), [""; 0], "{name}");
    }
    let (_, text) = EMBEDDED[4];
    for (from, to, found) in [
        ("holds_last_day = true", "", "pack has no holds_last_day"),
        ("holds_last_day", "holds_first_day = true\nholds_last_day", "pack.holds_first_day is not known"),
        ("version = ", "version = 0.5 # ", "pack.version is a number, not [\"integer\"]"),
        ("days = 14", "days = 14, hour = 1", "pack.rule[2].phases[0].hour is not known"),
        ("color = \"red\", facts", "facts", "pack.rule[0].vectors[0] has no color"),
        ("fact = \"case\"", "fact = \"cases\"", "pack.rule[0].fact holds \"cases\""),
        ("status = [\"asymptomatic\"]", "status = [true]", "pack.rule[1].where.status"),
    ] {
        assert!(text.contains(from), "{from}");
        let misfits = misfits(&text.replacen(from, to, 1));
        assert!(misfits.len() == 1 && misfits[0].starts_with(found), "{found}: {misfits:?}");
    }
}

#[test]
fn stays_in_regions_count_from_their_end_in_every_pack() {
    for (name, _) in EMBEDDED {
        let scheme = Scheme::load(name, Path::new(".")).unwrap();
        assert!(scheme.counts_from_end_alone(FactKind::RegionStay), "{name}");
        assert!(!scheme.counts_from_end_alone(FactKind::Case), "{name}");
        assert!(scheme.counts_from_end_alone(FactKind::Checkin), "{name}: no rule counts from one");
    }
    let rule = r#"
[[rule]]
id = "A-1"
fact = "region_stay"
phases = [{ color = "red", days = 2 }]
anchor = ["until"]
basis = { en = "stayed", zh = "停留" }
"#;
    let counts = |anchor: &str| {
        let more = rule.replace("A-1", "A-2").replace("[\"until\"]", anchor);
        let scheme = Scheme::from_text(&pack(&[rule, &more].concat()), "a pack").unwrap();
        scheme.counts_from_end_alone(FactKind::RegionStay)
    };
    assert_eq!(
        ["[\"until\"]", "[\"from\"]", "[\"until\", \"from\"]", "[\"from\", \"until\"]"].map(counts),
        [true, false, false, false]
    );
}

#[test]
fn every_rule_of_every_pack_says_who_may_lift_its_color() {
    for (name, _) in EMBEDDED {
        for rule in &Scheme::load(name, Path::new(".")).unwrap().rules {
            let by = rule.lifted_by.as_ref().unwrap_or_else(|| panic!("{name}: {}", rule.id));
            assert!(!by.en.is_empty() && !by.zh.is_empty(), "{name}: {}", rule.id);
        }
    }
    let rules = r#"lifted_by = { en = "the office", zh = "防控办" }
[[rule]]
id = "L-1"
fact = "symptom"
phases = [{ color = "red", days = 2 }]
anchor = ["reported_at"]
basis = { en = "ill", zh = "有症状" }
[[rule]]
id = "L-2"
fact = "purchase"
phases = [{ color = "red", days = 2 }]
anchor = ["purchased_at"]
lifted_by = { en = "the pharmacy", zh = "药店" }
basis = { en = "bought", zh = "购药" }
"#;
    let tables = [
        ("symptoms", "person_id,reported_at,symptom\na,2022-03-02 10:00,fever\n"),
        ("purchases", "person_id,purchased_at\nb,2022-03-02 10:00\n"),
    ];
    let columns = ["person_id", "lifted_by_en", "lifted_by_zh"];
    let folder = world_of(&pack(rules), &tables);
    assert_eq!(
        night(&folder, "2022-03-02", "colors", &columns),
        ["a the office 防控办", "b the pharmacy 药店"]
    );
    let (_, without) = rules.split_once('\n').unwrap();
    let folder = world_of(&pack(without), &tables);
    assert_eq!(night(&folder, "2022-03-02", "colors", &columns), ["a  ", "b the pharmacy 药店"]);
}
