//! Scheme packs: the rules of one code system, as data.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;

use super::pack;
use super::vectors::Vector;
use crate::error::{Error, Result};
use crate::facts::Fact;
use crate::facts::kind::{Cell, FactKind, Holds, Instant};
use crate::schema::did_you_mean;
use crate::words::Words;

pub use super::pack::json_schema;

/// The packs that come with the program.
pub const EMBEDDED: [(&str, &str); 12] = [
    ("national", include_str!("schemes/national.toml")),
    ("five-color", include_str!("schemes/five-color.toml")),
    ("orange-six", include_str!("schemes/orange-six.toml")),
    ("orange-six-14", include_str!("schemes/orange-six-14.toml")),
    ("jiangsu", include_str!("schemes/jiangsu.toml")),
    ("red-code", include_str!("schemes/red-code.toml")),
    ("hangzhou-release", include_str!("schemes/hangzhou-release.toml")),
    ("tencent-two", include_str!("schemes/tencent-two.toml")),
    ("nhc-7", include_str!("schemes/nhc-7.toml")),
    ("nhc-8", include_str!("schemes/nhc-8.toml")),
    ("nhc-9", include_str!("schemes/nhc-9.toml")),
    ("twenty-measures", include_str!("schemes/twenty-measures.toml")),
];

/// A checked scheme.
#[derive(Clone, Debug)]
pub struct Scheme {
    /// Its name in configurations.
    pub id: String,
    /// Version of its rules.
    pub version: u32,
    /// What it is called.
    pub name: Words,
    /// Zone of its civil days, unless the configuration sets one.
    pub time_zone: TimeZone,
    /// Colors, worst first; the last is that of a person without any reason.
    pub severity: Vec<String>,
    /// Whether a term of n days holds through day n (day 0 being the anchor's), or only up to it.
    pub holds_last_day: bool,
    /// From which temperature on a check-in is not that of a healthy person, hundredths of a degree Celsius.
    pub fever: i64,
    /// Colors that a person with the first does not also have for other reasons.
    pub not_also: BTreeMap<String, Vec<String>>,
    /// What its colors are at the national platform, through which offices recognise each other's.
    pub national: Recognition,
    /// Its rules.
    pub rules: Vec<Rule>,
    /// The file, or the name of a pack that comes with the program, for messages.
    pub file: String,
    /// The pack as text; a run keeps it, so that it can be explained when the pack has moved on.
    pub text: String,
}

/// Mutual recognition: colors of a scheme and of the national platform for each other. A color without a counterpart is
/// lost on the way.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Recognition {
    /// The platform's color for a color of the scheme.
    pub to: BTreeMap<String, String>,
    /// The scheme's color for one of the platform.
    pub from: BTreeMap<String, String>,
}

/// One rule: a kind of fact, and what follows from it for how long.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Stable name, printed in every list.
    pub id: String,
    /// Kind of fact.
    pub fact: FactKind,
    /// Which facts of that kind: what their columns must hold; those not named may hold anything.
    #[serde(default, rename = "where")]
    pub condition: BTreeMap<String, Wanted>,
    /// Colors in turn.
    pub phases: Vec<Phase>,
    /// Times of the fact; the first it has is day 0.
    pub anchor: Vec<Instant>,
    /// Time of the fact whose day ends everything.
    pub ends: Option<Instant>,
    /// Who may lift the color before it ends, for lists; what the pack says, where the rule does not.
    #[serde(default)]
    pub lifted_by: Option<Words>,
    /// Why, in words for the person concerned.
    pub basis: Words,
    /// Facts and what the pack must make of them; they show the rule.
    #[serde(default)]
    pub vectors: Vec<Vector>,
}

/// What a cell must hold.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub enum Wanted {
    /// This.
    One(Value),
    /// One of these.
    Among(Vec<Value>),
    /// A number in this range, ends included.
    Range(Range),
}

/// A range of numbers, ends included.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Range {
    pub(super) min: Option<Value>,
    pub(super) max: Option<Value>,
}

/// A cell in a pack.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub enum Value {
    /// A word.
    Word(String),
    /// A number.
    Number(i64),
    /// A temperature.
    Decimal(f64),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Word(word) => write!(f, "{word:?}"),
            Value::Number(number) => write!(f, "{number}"),
            Value::Decimal(number) => write!(f, "{number}"),
        }
    }
}

impl Value {
    /// The cell as facts hold it, if it fits what the column holds.
    pub fn cell(&self, holds: Holds) -> Option<Cell<'_>> {
        match (self, holds) {
            (Value::Word(word), Holds::Words(words)) => {
                words.contains(&word.as_str()).then_some(Cell::Word(word))
            }
            (Value::Word(word), Holds::Text) => Some(Cell::Word(word)),
            (Value::Number(number), Holds::Number) => Some(Cell::Number(*number)),
            (Value::Number(degrees), Holds::Celsius) => Some(Cell::Number(degrees.checked_mul(100)?)),
            // Read once from the pack, to the nearest hundredth: no float decides about a person.
            (Value::Decimal(degrees), Holds::Celsius) if degrees.is_finite() => {
                Some(Cell::Number((degrees * 100.0).round() as i64))
            }
            _ => None,
        }
    }
}

impl Wanted {
    /// Every value that is named.
    pub(super) fn values(&self) -> Vec<&Value> {
        match self {
            Wanted::One(value) => vec![value],
            Wanted::Among(values) => values.iter().collect(),
            Wanted::Range(range) => range.min.iter().chain(&range.max).collect(),
        }
    }

    fn holds(&self, cell: Cell<'_>, holds: Holds) -> bool {
        let is = |value: &Value| value.cell(holds) == Some(cell);
        match self {
            Wanted::One(value) => is(value),
            Wanted::Among(values) => values.iter().any(is),
            Wanted::Range(range) => {
                let least = range.min.as_ref().and_then(|value| value.cell(holds));
                let most = range.max.as_ref().and_then(|value| value.cell(holds));
                least.is_none_or(|least| least <= cell) && most.is_none_or(|most| cell <= most)
            }
        }
    }
}

/// A color for some time.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// The color.
    pub color: String,
    /// Its length in civil days; open-ended when absent.
    #[serde(default, deserialize_with = "pack::some_days")]
    pub days: Option<u32>,
    /// Its length in hours from the anchor, instead of days: the day that holds the last of them is the last.
    #[serde(default, deserialize_with = "pack::some_hours")]
    pub hours: Option<u32>,
    /// Days, counted from day 0, on which a test is due, for lists.
    #[serde(default, deserialize_with = "pack::list_of_days")]
    pub tests_on: Vec<u32>,
    /// What else must be true before it ends.
    #[serde(default)]
    pub release: Release,
}

impl Phase {
    /// Whether nothing that has a date ends it.
    pub(super) fn is_open_ended(&self) -> bool {
        self.days.is_none() && self.hours.is_none() && self.release == Release::default()
    }
}

/// What must be true before a phase ends, beside its length.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Release {
    /// Days in a row with a check-in of a healthy person.
    #[serde(deserialize_with = "pack::days")]
    pub checkins: u32,
    /// How many days within such a row may be missed.
    #[serde(deserialize_with = "pack::days")]
    pub gaps: u32,
    /// Days, counted as the phase's, from which on one negative test each must have been sampled.
    #[serde(deserialize_with = "pack::list_of_days")]
    pub negative_tests_on: Vec<u32>,
    /// Hours between two tests that count, at least.
    #[serde(deserialize_with = "pack::hours")]
    pub hours_between_tests: u32,
    /// Whether an office must confirm.
    pub confirmation: bool,
}

impl Rule {
    /// Whether the rule means this fact.
    pub fn means(&self, fact: &Fact<'_>) -> bool {
        let kind = fact.kind();
        kind == self.fact
            && self.condition.iter().all(|(column, wanted)| {
                let holds =
                    kind.columns().iter().find(|(name, _)| name == column).expect("checked when loaded").1;
                fact.cell(column).is_some_and(|cell| wanted.holds(cell, holds))
            })
    }
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
            let scheme = Scheme::from_text(&text, name)?;
            if EMBEDDED.iter().any(|(id, shipped)| *id == scheme.id && *shipped != text) {
                let what = format!("its id {:?} is that of a pack that comes with ringtrace", scheme.id);
                let line = pack::line_of(&text, &["id".into()]);
                return Err(pack::wrong(name, line, &what, Some("give your pack an id of its own")));
            }
            return Ok(scheme);
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
    /// `usage` for anything in it that is wrong, with its line.
    pub fn from_text(text: &str, name: &str) -> Result<Scheme> {
        pack::read(text, name)
    }

    /// This scheme's color for a color of another one, by way of the national platform; `None` if it has no counterpart, or
    /// the other scheme does not come with the program.
    pub fn recognised(&self, color: &str, theirs: &str) -> Option<String> {
        if theirs == self.id {
            return self.severity.iter().find(|own| *own == color).cloned();
        }
        let (name, text) = EMBEDDED.iter().find(|(name, _)| *name == theirs)?;
        let theirs = Scheme::from_text(text, name).ok()?;
        self.national.from.get(theirs.national.to.get(color)?).cloned()
    }

    /// Whether a rule can make a person healthy for a while, and then not.
    pub fn pauses(&self) -> bool {
        self.rules.iter().any(|rule| {
            let (_, first) = rule.phases.split_last().expect("a rule has phases");
            first.iter().any(|phase| phase.color == self.healthy())
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

    /// For how many days after the end of a fact of this kind any rule can still hold; `None` if one has no such limit.
    pub fn longest(&self, kind: FactKind) -> Option<u32> {
        let of_rule = |rule: &Rule| -> Option<u32> {
            let of_phase = |phase: &Phase| {
                let bounded = phase.release == Release::default();
                let days = phase.days.or(phase.hours.map(|hours| hours.div_ceil(24) + 1));
                days.filter(|_| bounded).map(|days| days + 1)
            };
            rule.phases.iter().map(of_phase).sum()
        };
        let rules = self.rules.iter().filter(|rule| rule.fact == kind);
        rules.map(of_rule).try_fold(0, |most, days| Some(most.max(days?)))
    }

    /// Whether every rule about facts of this kind counts from their `until` alone, so that nothing but their end decides
    /// who is colored until when; also if there is no such rule. The start of such facts then matters only as far as the end
    /// follows from it.
    pub fn counts_from_end_alone(&self, kind: FactKind) -> bool {
        let from_end_alone = |rule: &Rule| rule.anchor == [Instant::Until] && rule.ends.is_none();
        self.rules.iter().filter(|rule| rule.fact == kind).all(from_end_alone)
    }

    /// The rule of that id.
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules.iter().find(|r| r.id == id)
    }
}
