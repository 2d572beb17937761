//! Reading a pack: what is wrong with one is told with its line and what was meant.

use std::collections::BTreeMap;
use std::fmt;

use jiff::tz::{self, TimeZone};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Unexpected, Visitor};
use toml::de::{DeTable, DeValue};

use super::scheme::{Phase, Range, Recognition, Rule, Scheme, Value, Wanted};
use super::vectors::VectorFact;
use crate::error::{Error, Result};
use crate::facts::kind::{FactKind, Holds};
use crate::schema::did_you_mean;
use crate::words::Words;

/// No term is longer: a century is a slip of the pen.
const DAYS_MAX: u32 = 36_500;

/// Colors of the national platform that say something: the healthy one needs no push.
const NATIONAL: [&str; 2] = ["red", "yellow"];

/// Words that are never those of a healthy person: a pack that ends its severity with one has it the wrong way round.
const NOT_HEALTHY: [&str; 4] = ["purple", "red", "orange", "yellow"];

/// What severity is, for whoever took it for something else.
const WORST_FIRST: &str = "severity lists colors worst first, and as the last that of a person without any reason, \
                           such as [\"red\", \"yellow\", \"green\"]";

/// What may stand for a condition of `where`.
const WANTED: &str = "a value such as \"fever\" or 1, several such as [\"fever\", \"fatigue\"], or numbers from or up to one such \
                      as { min = 37.3 }";

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Pack {
    id: String,
    #[serde(deserialize_with = "whole")]
    version: u32,
    name: Words,
    time_zone: String,
    severity: Vec<String>,
    holds_last_day: bool,
    #[serde(default = "fever")]
    fever_celsius: f64,
    #[serde(default)]
    not_also: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    national: Recognition,
    /// Who may lift the color of a rule that does not say.
    #[serde(default)]
    lifted_by: Option<Words>,
    #[serde(default)]
    rule: Vec<Rule>,
}

fn fever() -> f64 {
    37.3
}

/// The JSON Schema of packs, for editors that know it.
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(Pack).to_value()
}

/// The pack in `text`. `name` stands for it in messages.
///
/// # Errors
/// `usage` for the first thing in it that is wrong, with its line.
pub fn read(text: &str, name: &str) -> Result<Scheme> {
    let pack: Pack = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_at(text, span.start));
        let what = error.message().replace('\n', " ");
        wrong(name, line, &format!("{what}{}", meant_by(&what)), None)
    })?;
    if let Some(fault) = pack.fault() {
        return Err(wrong(name, line_of(text, &fault.at), &fault.what, fault.help));
    }
    let mut rules = pack.rule;
    for rule in &mut rules {
        rule.lifted_by = rule.lifted_by.take().or_else(|| pack.lifted_by.clone());
    }
    Ok(Scheme {
        id: pack.id,
        version: pack.version,
        name: pack.name,
        time_zone: TimeZone::get(&pack.time_zone).expect("checked"),
        severity: pack.severity,
        holds_last_day: pack.holds_last_day,
        fever: (pack.fever_celsius * 100.0).round() as i64,
        not_also: pack.not_also,
        national: pack.national,
        rules,
        file: name.to_string(),
        text: text.to_string(),
    })
}

/// That a pack is wrong there.
pub fn wrong(name: &str, line: usize, what: &str, help: Option<&str>) -> Error {
    let otherwise =
        "compare with a pack that comes with ringtrace: `ringtrace init --scheme jiangsu` prints one";
    Error::usage(format!("scheme {name}: line {line}: {what}"), help.unwrap_or(otherwise))
}

/// A step on the way to a part of a pack.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// Into a table.
    Key(&'a str),
    /// Into a list.
    At(usize),
}

impl<'a> From<&'a str> for Step<'a> {
    fn from(key: &'a str) -> Step<'a> {
        Step::Key(key)
    }
}

impl<'a> From<&'a String> for Step<'a> {
    fn from(key: &'a String) -> Step<'a> {
        Step::Key(key)
    }
}

impl From<usize> for Step<'_> {
    fn from(at: usize) -> Self {
        Step::At(at)
    }
}

/// The way to a part of a pack: keys and positions, from the outside in.
macro_rules! way {
    ($($step:expr),*) => { vec![$($crate::colors::pack::Step::from($step)),*] };
}

/// The line on which that part of a pack stands, from 1; of one that is not there, the nearest around it that is.
pub fn line_of(text: &str, path: &[Step<'_>]) -> usize {
    let Ok(table) = DeTable::parse(text) else { return 1 };
    let root = DeValue::Table(table.into_inner());
    let (mut here, mut at) = (&root, 0);
    for step in path {
        let inside = match (here, *step) {
            (DeValue::Table(table), Step::Key(key)) => {
                table.get_key_value(key).map(|(key, value)| (key.span().start, value.get_ref()))
            }
            (DeValue::Array(items), Step::At(number)) => {
                items.get(number).map(|item| (item.span().start, item.get_ref()))
            }
            _ => None,
        };
        let Some(inside) = inside else { break };
        (at, here) = inside;
    }
    line_at(text, at)
}

fn line_at(text: &str, at: usize) -> usize {
    1 + text[..at].matches('\n').count()
}

/// Something that is wrong with a pack.
struct Fault<'a> {
    at: Vec<Step<'a>>,
    what: String,
    help: Option<&'static str>,
}

impl<'a> Fault<'a> {
    fn new(at: Vec<Step<'a>>, what: impl Into<String>) -> Fault<'a> {
        Fault { at, what: what.into(), help: None }
    }
}

/// Whether a name can stand in lists, where several are joined, and in file names.
fn is_name(name: &str) -> bool {
    let part = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.');
    !name.is_empty() && name.chars().all(part) && !name.starts_with('.')
}

/// What to append to a message about a word that is none of the known ones.
pub(super) fn meant<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    did_you_mean(word, known).map(|near| format!("; did you mean {near:?}?")).unwrap_or_default()
}

/// What to append to a message about an unknown key or word, which names the known ones after it.
fn meant_by(message: &str) -> String {
    let mut named = message.split('`').skip(1).step_by(2);
    let unknown = named.next().filter(|_| message.starts_with("unknown "));
    unknown.map(|word| meant(word, named)).unwrap_or_default()
}

/// What a column holds, in words.
fn expected(holds: Holds) -> String {
    match holds {
        Holds::Words(words) => format!("one of {}", words.join(", ")),
        Holds::Text => "a text".into(),
        Holds::Number => "a whole number".into(),
        Holds::Celsius => "degrees Celsius".into(),
    }
}

/// That a column cannot hold a value, with the one that was meant.
pub(super) fn misfit(column: &str, value: &Value, holds: Holds) -> String {
    let near = match (value, holds) {
        (Value::Word(word), Holds::Words(words)) => meant(word, words.iter().copied()),
        _ => String::new(),
    };
    format!("{column} {value} is not {}{near}", expected(holds))
}

/// That a color is none of the pack's, with the one that was meant.
pub(super) fn no_color(color: &str, severity: &[String]) -> String {
    let near = meant(color, severity.iter().map(String::as_str));
    let all = if near.is_empty() { format!(": {}", severity.join(", ")) } else { String::new() };
    format!("color {color:?} is not in severity{all}{near}")
}

/// That there is no such rule, with the one that was meant.
pub(super) fn no_rule(id: &str, rules: &[Rule]) -> String {
    format!("there is no rule {id:?}{}", meant(id, rules.iter().map(|rule| rule.id.as_str())))
}

impl Pack {
    fn fault(&self) -> Option<Fault<'_>> {
        let rules = self.rule.iter().enumerate();
        self.fault_of_names()
            .or_else(|| self.fault_of_severity())
            .or_else(|| self.fault_of_not_also())
            .or_else(|| self.fault_of_national())
            .or_else(|| self.fault_of_numbers())
            .or_else(|| rules.into_iter().find_map(|(at, rule)| self.fault_of_rule(at, rule)))
    }

    fn fault_of_names(&self) -> Option<Fault<'_>> {
        let id = [(way!["id"], &self.id)].into_iter();
        let colors = self.severity.iter().enumerate().map(|(at, color)| (way!["severity", at], color));
        let rules = self.rule.iter().enumerate().map(|(at, rule)| (way!["rule", at, "id"], &rule.id));
        if let Some((at, name)) =
            id.clone().chain(colors.clone()).chain(rules).find(|(_, name)| !is_name(name))
        {
            let what = format!("{name:?} is no name: letters, digits, '-', '_' and '.' make one");
            return Some(Fault::new(at, what));
        }
        let (at, name) = id.chain(colors).find(|(_, name)| name.to_lowercase() != **name)?;
        let what = format!("write {name:?} in lower case, as ids and colors of packs are compared");
        Some(Fault::new(at, what))
    }

    fn fault_of_severity(&self) -> Option<Fault<'_>> {
        let fault = |at, what: String| Some(Fault { at, what, help: Some(WORST_FIRST) });
        let healthy = match &self.severity[..] {
            [] => return fault(way!["severity"], "severity lists no color".into()),
            [only] => return fault(way!["severity"], format!("severity lists only {only:?}")),
            [.., healthy] => healthy,
        };
        for (at, color) in self.severity.iter().enumerate() {
            if self.severity[..at].contains(color) {
                return fault(way!["severity", at], format!("severity lists {color:?} twice"));
            }
        }
        if NOT_HEALTHY.contains(&healthy.as_str()) {
            let what = format!("severity ends with {healthy:?}, as the color of a person without any reason");
            return fault(way!["severity", self.severity.len() - 1], what);
        }
        None
    }

    fn fault_of_not_also(&self) -> Option<Fault<'_>> {
        let rank = |color: &String| self.severity.iter().position(|known| known == color);
        for (color, others) in &self.not_also {
            let own = [(way!["not_also", color], color)].into_iter();
            let others = others.iter().enumerate().map(|(at, other)| (way!["not_also", color, at], other));
            if let Some((at, name)) = own.chain(others.clone()).find(|(_, name)| rank(name).is_none()) {
                return Some(Fault::new(at, format!("not_also: {}", no_color(name, &self.severity))));
            }
            if let Some((at, name)) = others.clone().find(|(_, name)| rank(name) <= rank(color)) {
                return Some(Fault::new(at, format!("not_also: {name:?} is not milder than {color:?}")));
            }
        }
        None
    }

    fn fault_of_national(&self) -> Option<Fault<'_>> {
        let to = self.national.to.iter().map(|(ours, theirs)| (way!["national", "to", ours], ours, theirs));
        let from = self.national.from.iter();
        let from = from.map(|(theirs, ours)| (way!["national", "from", theirs], ours, theirs));
        for (at, ours, theirs) in to.chain(from) {
            if !self.severity.contains(ours) {
                return Some(Fault::new(at, format!("national: {}", no_color(ours, &self.severity))));
            }
            if !NATIONAL.contains(&theirs.as_str()) {
                let (all, near) = (NATIONAL.join(", "), meant(theirs, NATIONAL));
                let what = format!("national: {theirs:?} is not a color of the platform: {all}{near}");
                return Some(Fault::new(at, what));
            }
        }
        None
    }

    fn fault_of_numbers(&self) -> Option<Fault<'_>> {
        if !self.fever_celsius.is_finite() {
            return Some(Fault::new(way!["fever_celsius"], "fever_celsius is no temperature"));
        }
        let name = &self.time_zone;
        if TimeZone::get(name).is_ok() {
            return None;
        }
        // Of places only: whoever writes UTC+8 does not mean UTC.
        let known: Vec<String> = tz::db().available().map(|name| name.as_str().to_string()).collect();
        let near = meant(name, known.iter().map(String::as_str).filter(|name| name.contains('/')));
        Some(Fault {
            at: way!["time_zone"],
            what: format!("time zone {name:?} is not known{near}"),
            help: Some("use a name of the IANA database such as Asia/Shanghai, Europe/Berlin or UTC"),
        })
    }

    fn fault_of_rule<'a>(&'a self, number: usize, rule: &'a Rule) -> Option<Fault<'a>> {
        let twice = self.rule[..number].iter().any(|other| other.id == rule.id);
        let fault = match twice {
            true => Some(Fault::new(way!["id"], "its id is used twice")),
            false => rule
                .fault_of_phases(&self.severity)
                .or_else(|| rule.fault_of_times())
                .or_else(|| rule.condition.iter().find_map(|(column, wanted)| rule.fault_of(column, wanted))),
        };
        fault.map(|fault| Fault {
            at: [way!["rule", number], fault.at].concat(),
            what: format!("rule {}: {}", rule.id, fault.what),
            help: fault.help,
        })
    }
}

impl Rule {
    fn fault_of_phases(&self, severity: &[String]) -> Option<Fault<'_>> {
        if self.phases.is_empty() {
            return Some(Fault::new(way!["phases"], "it needs at least one phase"));
        }
        for (at, phase) in self.phases.iter().enumerate() {
            let last = at + 1 == self.phases.len();
            if let Some((key, what)) = phase.fault(at == 0, last, severity) {
                return Some(Fault::new(way!["phases", at, key], what));
            }
        }
        let healthy = severity.last()?;
        self.phases.iter().all(|phase| phase.color == *healthy).then(|| {
            let what =
                format!("it has no color but {healthy:?}, that of a healthy person, so it colors no one");
            Fault::new(way!["phases", 0, "color"], what)
        })
    }

    fn fault_of_times(&self) -> Option<Fault<'_>> {
        if self.anchor.is_empty() {
            return Some(Fault::new(way!["anchor"], "it needs an anchor"));
        }
        let anchors = self.anchor.iter().enumerate().map(|(at, time)| (way!["anchor", at], time));
        let mut times = anchors.chain(self.ends.iter().map(|time| (way!["ends"], time)));
        let (at, time) = times.find(|(_, time)| !self.fact.times().contains(time))?;
        let known: Vec<&str> = self.fact.times().iter().map(|time| time.word()).collect();
        let (kind, all) = (self.fact.word(), known.join(", "));
        Some(Fault::new(at, format!("a {kind} has no time {}; it has {all}", time.word())))
    }

    /// What is wrong with what the rule wants of a column.
    fn fault_of<'a>(&self, column: &'a String, wanted: &Wanted) -> Option<Fault<'a>> {
        let fault = |what: String| Some(Fault::new(way!["where", column], what));
        let columns = self.fact.columns();
        let Some((_, holds)) = columns.iter().find(|(name, _)| name == column) else {
            let near = meant(column, columns.iter().map(|(name, _)| *name));
            return fault(format!("a {} has no column {column:?}{near}", self.fact.word()));
        };
        let values = wanted.values();
        if values.is_empty() {
            return fault(format!("{column} may hold nothing, so the rule never holds"));
        }
        if matches!((wanted, holds), (Wanted::Range(_), Holds::Words(_) | Holds::Text)) {
            let what = expected(*holds);
            return fault(format!(
                "{column} is {what}, and a range is of numbers; write one of them, or a list of several"
            ));
        }
        if matches!(column.as_str(), "color" | "scheme")
            && let Some(word) =
                values.iter().find(|value| matches!(value, Value::Word(word) if word.to_lowercase() != *word))
        {
            return fault(format!("{column} {word}: write it in lower case, as these words are compared"));
        }
        if let Some(value) = values.iter().find(|value| value.cell(*holds).is_none()) {
            return fault(misfit(column, value, *holds));
        }
        if let Wanted::Range(Range { min: Some(min), max: Some(max) }) = wanted
            && min.cell(*holds) > max.cell(*holds)
        {
            return fault(format!("{column}: from {min} to {max} there is nothing, so the rule never holds"));
        }
        None
    }
}

impl Phase {
    /// What is wrong with it, and the key at which it shows.
    fn fault(&self, is_first: bool, is_last: bool, severity: &[String]) -> Option<(&'static str, String)> {
        if !severity.contains(&self.color) {
            return Some(("color", no_color(&self.color, severity)));
        }
        if self.days.is_some() && self.hours.is_some() {
            return Some(("hours", "a phase has days or hours, not both".into()));
        }
        if self.is_open_ended() && !is_last {
            return Some(("color", "only its last phase may be without an end".into()));
        }
        if self.hours.is_some() && !is_first {
            return Some(("hours", "hours count from the anchor, so only a first phase has them".into()));
        }
        let release = &self.release;
        let days = [
            ("days", self.days.into_iter().max()),
            ("tests_on", self.tests_on.iter().copied().max()),
            ("release", release.negative_tests_on.iter().copied().max()),
            ("release", Some(release.checkins)),
            ("hours", self.hours.map(|hours| hours.div_ceil(24))),
            ("release", Some(release.hours_between_tests.div_ceil(24))),
        ];
        if let Some((key, _)) = days.iter().find(|(_, days)| *days > Some(DAYS_MAX)) {
            return Some((key, format!("a term or test lies more than {DAYS_MAX} days ahead")));
        }
        if !release.negative_tests_on.is_sorted() {
            return Some(("release", "the days of its negative tests are not in order".into()));
        }
        if let (Some(days), Some(last)) = (self.days, self.tests_on.iter().max())
            && days < *last
        {
            return Some(("tests_on", format!("a test on day {last} of a phase of {days} days")));
        }
        if release.gaps > 0 && release.checkins == 0 {
            return Some(("release", "gaps without check-ins".into()));
        }
        None
    }
}

/// A number from 0 on, of what this says.
#[derive(Clone, Copy)]
struct Count(&'static str);

impl<'de> DeserializeSeed<'de> for Count {
    type Value = u32;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> std::result::Result<u32, D::Error> {
        from.deserialize_any(self)
    }
}

impl Visitor<'_> for Count {
    type Value = u32;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, 0 or more", self.0)
    }
    fn visit_i64<E: de::Error>(self, number: i64) -> std::result::Result<u32, E> {
        u32::try_from(number).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
    }
    fn visit_u64<E: de::Error>(self, number: u64) -> std::result::Result<u32, E> {
        u32::try_from(number).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }
}

const DAYS: Count = Count("a number of days");
const HOURS: Count = Count("a number of hours");

/// For `deserialize_with`: a whole number.
pub(super) fn whole<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<u32, D::Error> {
    Count("a whole number").deserialize(from)
}

/// For `deserialize_with`: a number of days.
pub(super) fn days<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<u32, D::Error> {
    DAYS.deserialize(from)
}

/// For `deserialize_with`: a number of days, where there may be none.
pub(super) fn some_days<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<u32>, D::Error> {
    DAYS.deserialize(from).map(Some)
}

/// For `deserialize_with`: a number of hours.
pub(super) fn hours<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<u32, D::Error> {
    HOURS.deserialize(from)
}

/// For `deserialize_with`: a number of hours, where there may be none.
pub(super) fn some_hours<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<u32>, D::Error> {
    HOURS.deserialize(from).map(Some)
}

/// For `deserialize_with`: a list of days.
pub(super) fn list_of_days<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Vec<u32>, D::Error> {
    struct List;
    impl<'de> Visitor<'de> for List {
        type Value = Vec<u32>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of days such as [1, 7, 14]")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Vec<u32>, A::Error> {
            let mut days = Vec::new();
            while let Some(day) = items.next_element_seed(DAYS)? {
                days.push(day);
            }
            Ok(days)
        }
    }
    from.deserialize_any(List)
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Value, D::Error> {
        struct OfValue;
        impl Visitor<'_> for OfValue {
            type Value = Value;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word in quotes or a number")
            }
            fn visit_str<E: de::Error>(self, word: &str) -> std::result::Result<Value, E> {
                Ok(Value::Word(word.into()))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> std::result::Result<Value, E> {
                Ok(Value::Number(number))
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> std::result::Result<Value, E> {
                Ok(Value::Decimal(number))
            }
        }
        from.deserialize_any(OfValue)
    }
}

impl<'de> Deserialize<'de> for Wanted {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Wanted, D::Error> {
        struct OfWanted;
        impl<'de> Visitor<'de> for OfWanted {
            type Value = Wanted;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(WANTED)
            }
            fn visit_str<E: de::Error>(self, word: &str) -> std::result::Result<Wanted, E> {
                Ok(Wanted::One(Value::Word(word.into())))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> std::result::Result<Wanted, E> {
                Ok(Wanted::One(Value::Number(number)))
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> std::result::Result<Wanted, E> {
                Ok(Wanted::One(Value::Decimal(number)))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> std::result::Result<Wanted, A::Error> {
                Vec::deserialize(de::value::SeqAccessDeserializer::new(items)).map(Wanted::Among)
            }
            fn visit_map<A: MapAccess<'de>>(self, range: A) -> std::result::Result<Wanted, A::Error> {
                Range::deserialize(de::value::MapAccessDeserializer::new(range)).map(Wanted::Range)
            }
        }
        from.deserialize_any(OfWanted)
    }
}

impl<'de> Deserialize<'de> for VectorFact {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<VectorFact, D::Error> {
        struct OfFact;
        impl<'de> Visitor<'de> for OfFact {
            type Value = VectorFact;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a fact such as { fact = \"test\", result = \"negative\", sampled_at = \"2022-03-01 10:00\" }")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> std::result::Result<VectorFact, A::Error> {
                let (mut fact, mut daily, mut cells) = (None::<FactKind>, 1, BTreeMap::new());
                while let Some(key) = table.next_key::<String>()? {
                    match key.as_str() {
                        "fact" => fact = Some(table.next_value()?),
                        "daily" => daily = table.next_value_seed(DAYS)?,
                        _ => drop(cells.insert(key, table.next_value()?)),
                    }
                }
                let fact = fact.ok_or_else(|| de::Error::missing_field("fact"))?;
                Ok(VectorFact { fact, daily, cells })
            }
        }
        from.deserialize_any(OfFact)
    }
}
