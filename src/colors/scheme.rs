//! Scheme packs: the rules of one code system, as data.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::facts::Fact;
use crate::records::cases::Status;
use crate::schema::did_you_mean;
use crate::time::{self, Second};

/// No term is longer: a century is a slip of the pen.
const DAYS_MAX: u32 = 36_500;

/// The packs that come with the program.
const EMBEDDED: [(&str, &str); 2] = [
    ("five-color", include_str!("schemes/five-color.toml")),
    ("tencent-two", include_str!("schemes/tencent-two.toml")),
];

/// A checked scheme.
#[derive(Clone, Debug)]
pub struct Scheme {
    /// Its name in configurations.
    pub id: String,
    /// Version of its rules.
    pub version: u32,
    /// What it is called.
    pub name: Wording,
    /// Zone of its civil days, unless the configuration sets one.
    pub time_zone: TimeZone,
    /// Colors, worst first; the last is that of a person without any reason.
    pub severity: Vec<String>,
    /// Whether a term of n days holds through day n (day 0 being the anchor's), or only up to it.
    pub holds_last_day: bool,
    /// Its rules.
    pub rules: Vec<Rule>,
    /// What it must say of given facts.
    pub vectors: Vec<Vector>,
    /// The pack as text; a run keeps it, so that it can be explained when the pack has moved on.
    pub text: String,
}

/// A text in both languages.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wording {
    /// English.
    pub en: String,
    /// Chinese.
    pub zh: String,
}

/// One rule: a kind of fact, and what follows from it for how long.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Stable name, printed in every list.
    pub id: String,
    /// Kind of fact.
    pub fact: FactKind,
    /// Which facts of that kind.
    #[serde(default, rename = "where")]
    pub condition: Condition,
    /// Colors in turn.
    pub phases: Vec<Phase>,
    /// Times of the fact; the first it has is day 0.
    pub anchor: Vec<Instant>,
    /// Time of the fact whose day ends everything.
    pub ends: Option<Instant>,
    /// Why, in words for the person concerned.
    pub basis: Wording,
}

/// Kinds of facts that rules can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FactKind {
    /// A case row that stands.
    Case,
    /// A person traced.
    Contact,
}

/// Which facts of a kind a rule means; an absent list means all.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    status: Option<OneOrMore<String>>,
    ring: Option<OneOrMore<u8>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore<T> {
    One(T),
    More(Vec<T>),
}

impl<T: PartialEq> OneOrMore<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            OneOrMore::One(item) => std::slice::from_ref(item),
            OneOrMore::More(items) => items,
        }
    }
}

/// A color for some days.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// The color.
    pub color: String,
    /// Its length; open-ended when absent.
    pub days: Option<u32>,
    /// Days, counted from day 0, on which a test is due.
    #[serde(default)]
    pub tests_on: Vec<u32>,
}

/// Times of a fact that rules can count from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Instant {
    /// Case: first symptoms.
    OnsetAt,
    /// Case: the test's sample.
    SampledAt,
    /// Case: when the office knew.
    ReportedAt,
    /// Case: isolation.
    IsolatedAt,
    /// Case: start of the window set by the office.
    InfectiousFrom,
    /// Case: release as recovered.
    RecoveredAt,
    /// Contact: start of the first exposure.
    FirstExposedAt,
    /// Contact: end of the last exposure.
    LastExposedAt,
}

impl Instant {
    fn belongs_to(self, kind: FactKind) -> bool {
        matches!(self, Instant::FirstExposedAt | Instant::LastExposedAt) == (kind == FactKind::Contact)
    }

    /// That time of the fact, if it has it.
    pub fn of(self, fact: &Fact<'_>) -> Option<Second> {
        match (fact, self) {
            (Fact::Case(c), Instant::OnsetAt) => c.case.onset_at,
            (Fact::Case(c), Instant::SampledAt) => c.case.sampled_at,
            (Fact::Case(c), Instant::ReportedAt) => c.case.reported_at,
            (Fact::Case(c), Instant::IsolatedAt) => c.case.isolated_at,
            (Fact::Case(c), Instant::InfectiousFrom) => c.case.infectious_from,
            (Fact::Case(c), Instant::RecoveredAt) => c.case.recovered_at,
            (Fact::Contact(c, _), Instant::FirstExposedAt) => Some(c.exposed.first_exposed_at),
            (Fact::Contact(c, _), Instant::LastExposedAt) => Some(c.exposed.last_exposed_at),
            _ => None,
        }
    }
}

impl Condition {
    /// Whether the rule means this fact.
    pub fn holds(&self, fact: &Fact<'_>) -> bool {
        match fact {
            Fact::Case(c) => {
                self.status.as_ref().is_none_or(|s| s.as_slice().iter().any(|s| s == c.case.status.word()))
            }
            Fact::Contact(c, _) => self.ring.as_ref().is_none_or(|r| r.as_slice().contains(&c.ring)),
        }
    }
}

/// A fact and what the pack must make of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vector {
    /// Kind of fact.
    pub fact: FactKind,
    /// Of a case.
    pub status: Option<String>,
    /// Of a contact.
    pub ring: Option<u8>,
    /// Its times, as RFC 3339.
    pub times: BTreeMap<Instant, String>,
    /// The date asked about.
    pub date: String,
    /// The color expected.
    pub color: String,
    /// The first free day expected, if the color ends.
    pub until: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pack {
    id: String,
    version: u32,
    name: Wording,
    time_zone: String,
    severity: Vec<String>,
    holds_last_day: bool,
    #[serde(default)]
    rule: Vec<Rule>,
    #[serde(default)]
    vector: Vec<Vector>,
}

impl Scheme {
    /// The pack of that name, or at that path below `base`.
    ///
    /// # Errors
    /// `usage` if there is none, or for anything in it that is wrong.
    pub fn load(name: &str, base: &Path) -> Result<Scheme> {
        if let Some((_, text)) = EMBEDDED.iter().find(|(id, _)| *id == name) {
            return Scheme::from_text(text, name);
        }
        let path = base.join(name);
        if path.is_file() {
            let text = std::fs::read_to_string(&path).map_err(Error::storage(&path, "reading the scheme"))?;
            return Scheme::from_text(&text, name);
        }
        let names = EMBEDDED.map(|(id, _)| id);
        let help = match did_you_mean(name, names) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("schemes: {}, or the path of a pack", names.join(", ")),
        };
        Err(Error::usage(format!("scheme {name:?} is not known"), help))
    }

    /// The pack in `text`. `name` stands for it in messages.
    ///
    /// # Errors
    /// `usage` for anything in it that is wrong.
    pub fn from_text(text: &str, name: &str) -> Result<Scheme> {
        let wrong = |what: String| {
            Error::usage(format!("scheme {name}: {what}"), "compare with a pack that comes with ringtrace")
        };
        let pack: Pack = toml::from_str(text).map_err(|e| wrong(e.to_string().replace('\n', " ")))?;
        let mut ids = std::collections::BTreeSet::new();
        if pack.severity.is_empty() {
            return Err(wrong("severity lists no color".into()));
        }
        for rule in &pack.rule {
            let wrong = |what: String| Err(wrong(format!("rule {}: {what}", rule.id)));
            if !ids.insert(&rule.id) {
                return wrong("its id is used twice".into());
            }
            if rule.phases.is_empty() || rule.anchor.is_empty() {
                return wrong("it needs an anchor and at least one phase".into());
            }
            let open = |p: &Phase| p.days.is_none();
            if rule.phases[..rule.phases.len() - 1].iter().any(open) {
                return wrong("only its last phase may be without days".into());
            }
            let days = rule.phases.iter().flat_map(|p| p.days.iter().chain(&p.tests_on));
            if days.max().is_some_and(|days| *days > DAYS_MAX) {
                return wrong(format!("a term or test lies more than {DAYS_MAX} days ahead"));
            }
            let foreign = match rule.fact {
                FactKind::Case => rule.condition.ring.is_some(),
                FactKind::Contact => rule.condition.status.is_some(),
            };
            if foreign {
                return wrong("its where names what its fact does not have".into());
            }
            if let Some(phase) = rule.phases.iter().find(|p| !pack.severity.contains(&p.color)) {
                return wrong(format!("color {:?} is not in severity", phase.color));
            }
            if rule.anchor.iter().chain(&rule.ends).any(|i| !i.belongs_to(rule.fact)) {
                return wrong("an anchor or end is a time its fact does not have".into());
            }
            let statuses = rule.condition.status.as_ref().map_or(&[][..], |s| s.as_slice());
            let known = [Status::Confirmed, Status::Suspected, Status::Asymptomatic].map(Status::word);
            if let Some(status) = statuses.iter().find(|s| !known.contains(&s.as_str())) {
                return wrong(format!("status {status:?} is none of {}", known.join(", ")));
            }
        }
        Ok(Scheme {
            id: pack.id,
            version: pack.version,
            name: pack.name,
            time_zone: time::zone(&pack.time_zone)?,
            severity: pack.severity,
            holds_last_day: pack.holds_last_day,
            rules: pack.rule,
            vectors: pack.vector,
            text: text.to_string(),
        })
    }

    /// The color of a person without any reason.
    pub fn healthy(&self) -> &str {
        self.severity.last().expect("checked when loaded")
    }

    /// The color's place in the severity order, 0 the worst.
    pub fn rank(&self, color: &str) -> usize {
        self.severity.iter().position(|c| c == color).expect("checked when loaded")
    }

    /// The rule of that id.
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules.iter().find(|r| r.id == id)
    }
}

/// What a rule makes of a fact on a date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// Position of the phase in the rule.
    pub phase: usize,
    /// First day of this color, at most the date asked about.
    pub since: Date,
    /// First day without it; `None` while it is open-ended.
    pub until: Option<Date>,
    /// Next test or end, on the date or after.
    pub next_due: Option<Date>,
}

impl Scheme {
    /// The effect of `fact` under `rule` on `date`; `None` if the rule does not mean the fact or its term is over.
    ///
    /// Day 0 is the civil day of the anchor. A fact whose day 0 is still to come (a stay inferred
    /// past midnight) already counts.
    pub fn effect(&self, rule: &Rule, fact: &Fact<'_>, date: Date) -> Option<Effect> {
        let kind = match fact {
            Fact::Case(_) => FactKind::Case,
            Fact::Contact(..) => FactKind::Contact,
        };
        if kind != rule.fact || !rule.condition.holds(fact) {
            return None;
        }
        let day_zero = time::local_date(rule.anchor.iter().find_map(|i| i.of(fact))?, &self.time_zone);
        let day = |n: i64| day_zero.saturating_add(jiff::Span::new().days(n));
        let ended = rule.ends.and_then(|i| i.of(fact)).map(|at| time::local_date(at, &self.time_zone));
        if ended.is_some_and(|ended| ended <= date) {
            return None;
        }
        let held = i64::from(self.holds_last_day);
        let mut passed: i64 = 0;
        for (at, phase) in rule.phases.iter().enumerate() {
            let since = if at == 0 { day_zero } else { day(passed + held) };
            passed += i64::from(phase.days.unwrap_or(0));
            let term = phase.days.map(|_| day(passed + held));
            if term.is_some_and(|until| until <= date) {
                continue;
            }
            let until = [term, ended].into_iter().flatten().min();
            let tests = phase.tests_on.iter().map(|n| day(i64::from(*n))).filter(|due| *due >= date);
            return Some(Effect {
                phase: at,
                since: since.min(date),
                until,
                next_due: tests.chain(until).min(),
            });
        }
        None
    }
}
