//! What kinds of facts there are, and what the cells of each are called: the vocabulary of rules.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Fact;
use crate::records::InputRow;
use crate::time::Second;

/// Kinds of facts that rules can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FactKind {
    /// A case row that stands.
    Case,
    /// A person traced.
    Contact,
    /// A nucleic acid test.
    Test,
    /// A visit to a fever clinic.
    ClinicVisit,
    /// A purchase of antipyretics.
    Purchase,
    /// A temperature measured on site.
    Temperature,
    /// A symptom that someone has.
    Symptom,
    /// A daily check-in.
    Checkin,
    /// A stay in hospital or isolation, until discharge.
    Isolation,
    /// A stay in a region that has a level.
    RegionStay,
    /// A trip to a region, whatever its level.
    Trip,
    /// Living in a community while it is closed.
    Residence,
    /// A color given by another code or province.
    Push,
    /// A color ordered by an office.
    Order,
    /// An office's word that someone may be released.
    Confirmation,
    /// A message that a fact told of a person is wrong.
    Correction,
    /// A person's appeal against what a rule makes of the facts, and the decision on it.
    Appeal,
}

/// One cell of a fact, as rules compare it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cell<'a> {
    /// A word or an id.
    Word(&'a str),
    /// A number; temperatures in hundredths of a degree Celsius.
    Number(i64),
}

/// What a column of a fact holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// One of these words.
    Words(&'static [&'static str]),
    /// Any text.
    Text,
    /// A whole number.
    Number,
    /// A temperature.
    Celsius,
}

/// Times of a fact that rules can count from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Instant {
    /// Case: first symptoms.
    OnsetAt,
    /// Case, test: the sample.
    SampledAt,
    /// Case, symptom: when it was told.
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
    /// Clinic visit.
    VisitedAt,
    /// Purchase.
    PurchasedAt,
    /// Temperature.
    MeasuredAt,
    /// Check-in.
    CheckedInAt,
    /// Isolation, region stay, trip, residence: start.
    From,
    /// Isolation: discharge; region stay, trip: leaving; residence: reopening; push, order: end.
    Until,
    /// Push.
    PushedAt,
    /// Order.
    IssuedAt,
    /// Confirmation.
    ConfirmedAt,
    /// Correction: when the fact is said to have happened that did not.
    HappenedAt,
    /// Appeal: when it was decided; an open one, when it was made.
    DecidedAt,
}

/// Words of a case's status.
pub const STATUSES: &[&str] = &["confirmed", "suspected", "asymptomatic"];
/// Words of a test's result.
pub const RESULTS: &[&str] = &["negative", "positive", "indeterminate"];
/// Words of a symptom.
pub const SYMPTOMS: &[&str] = &["fever", "dry_cough", "fatigue", "respiratory"];
/// Words of a check-in.
pub const CHECKINS: &[&str] = &["well", "unwell"];
/// Words of an isolation's kind.
pub const ISOLATIONS: &[&str] = &["hospital", "central", "home"];
/// Words of a region's level; `reported` are cases there before the level is adjusted.
pub const LEVELS: &[&str] = &["low", "medium", "high", "reported"];
/// How near a region stay came: in the region itself, or elsewhere in its county.
pub const REACHES: &[&str] = &["region", "county"];
/// Words of a decision on an appeal: none yet, the color stands, the appeal is refused, the evidence does not count.
pub const DECISIONS: &[&str] = &["open", "upheld", "rejected", "overturned"];
/// Facts that a correction can take back: those told by a row about one person. A case is withdrawn instead.
pub const CORRECTABLE: &[&str] = &[
    "test",
    "clinic_visit",
    "purchase",
    "temperature",
    "symptom",
    "checkin",
    "isolation",
    "trip",
    "push",
    "order",
    "confirmation",
];
/// Words of a community's management.
pub const CLOSURES: &[&str] = &["open", "closed", "sealed"];

impl Instant {
    /// Its name in packs and tables.
    pub fn word(self) -> &'static str {
        match self {
            Instant::OnsetAt => "onset_at",
            Instant::SampledAt => "sampled_at",
            Instant::ReportedAt => "reported_at",
            Instant::IsolatedAt => "isolated_at",
            Instant::InfectiousFrom => "infectious_from",
            Instant::RecoveredAt => "recovered_at",
            Instant::FirstExposedAt => "first_exposed_at",
            Instant::LastExposedAt => "last_exposed_at",
            Instant::VisitedAt => "visited_at",
            Instant::PurchasedAt => "purchased_at",
            Instant::MeasuredAt => "measured_at",
            Instant::CheckedInAt => "checked_in_at",
            Instant::From => "from",
            Instant::Until => "until",
            Instant::PushedAt => "pushed_at",
            Instant::IssuedAt => "issued_at",
            Instant::ConfirmedAt => "confirmed_at",
            Instant::HappenedAt => "happened_at",
            Instant::DecidedAt => "decided_at",
        }
    }
}

impl FactKind {
    /// All kinds.
    pub const ALL: [FactKind; 17] = [
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
        FactKind::Trip,
        FactKind::Residence,
        FactKind::Push,
        FactKind::Order,
        FactKind::Confirmation,
        FactKind::Correction,
        FactKind::Appeal,
    ];

    /// Its name in packs and outputs.
    pub fn word(self) -> &'static str {
        match self {
            FactKind::Case => "case",
            FactKind::Contact => "contact",
            FactKind::Test => "test",
            FactKind::ClinicVisit => "clinic_visit",
            FactKind::Purchase => "purchase",
            FactKind::Temperature => "temperature",
            FactKind::Symptom => "symptom",
            FactKind::Checkin => "checkin",
            FactKind::Isolation => "isolation",
            FactKind::RegionStay => "region_stay",
            FactKind::Trip => "trip",
            FactKind::Residence => "residence",
            FactKind::Push => "push",
            FactKind::Order => "order",
            FactKind::Confirmation => "confirmation",
            FactKind::Correction => "correction",
            FactKind::Appeal => "appeal",
        }
    }

    /// Its columns that rules can ask about.
    pub fn columns(self) -> &'static [(&'static str, Holds)] {
        match self {
            FactKind::Case => &[("status", Holds::Words(STATUSES))],
            FactKind::Contact => &[("ring", Holds::Number)],
            FactKind::Test => &[("result", Holds::Words(RESULTS))],
            FactKind::ClinicVisit | FactKind::Purchase => &[],
            FactKind::Temperature => &[("celsius", Holds::Celsius)],
            FactKind::Symptom => &[("symptom", Holds::Words(SYMPTOMS))],
            FactKind::Checkin => &[("status", Holds::Words(CHECKINS)), ("celsius", Holds::Celsius)],
            FactKind::Isolation => &[("kind", Holds::Words(ISOLATIONS))],
            FactKind::RegionStay => &[
                ("level", Holds::Words(LEVELS)),
                ("reach", Holds::Words(REACHES)),
                ("region_id", Holds::Text),
            ],
            FactKind::Trip => &[("region_id", Holds::Text)],
            FactKind::Residence => &[("status", Holds::Words(CLOSURES)), ("community_id", Holds::Text)],
            FactKind::Push => &[("color", Holds::Text), ("origin", Holds::Text), ("scheme", Holds::Text)],
            FactKind::Order => &[
                ("color", Holds::Text),
                ("author", Holds::Text),
                ("approver", Holds::Text),
                ("basis", Holds::Text),
            ],
            FactKind::Confirmation => &[("rule_id", Holds::Text)],
            FactKind::Correction => &[("fact", Holds::Words(CORRECTABLE))],
            FactKind::Appeal => &[("decision", Holds::Words(DECISIONS)), ("rule_id", Holds::Text)],
        }
    }

    /// Its times; of facts read from tables the first is when it happened and the second when it ends.
    pub fn times(self) -> &'static [Instant] {
        use Instant::*;
        match self {
            FactKind::Case => &[OnsetAt, SampledAt, ReportedAt, IsolatedAt, InfectiousFrom, RecoveredAt],
            FactKind::Contact => &[FirstExposedAt, LastExposedAt],
            FactKind::Test => &[SampledAt],
            FactKind::ClinicVisit => &[VisitedAt],
            FactKind::Purchase => &[PurchasedAt],
            FactKind::Temperature => &[MeasuredAt],
            FactKind::Symptom => &[ReportedAt],
            FactKind::Checkin => &[CheckedInAt],
            FactKind::Isolation | FactKind::RegionStay | FactKind::Trip | FactKind::Residence => {
                &[From, Until]
            }
            FactKind::Push => &[PushedAt, Until],
            FactKind::Order => &[IssuedAt, Until],
            FactKind::Confirmation => &[ConfirmedAt],
            FactKind::Correction => &[HappenedAt],
            FactKind::Appeal => &[DecidedAt],
        }
    }
}

/// A fact told by a row of a table, or derived from several.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    /// Its kind; neither case nor contact.
    pub kind: FactKind,
    /// When it happened or began.
    pub at: Second,
    /// When it ends.
    pub until: Option<Second>,
    /// When it became known.
    pub known_at: Second,
    /// The cells of its columns, in the order of [`FactKind::columns`].
    pub cells: [Option<ToldCell>; COLUMNS_MAX],
    /// The row that says what the place is, where the fact is that someone was or lives there.
    pub place: Option<InputRow>,
    /// What says it of the person.
    pub basis: Basis,
}

/// No kind of fact has more columns.
pub const COLUMNS_MAX: usize = 4;

/// What says a fact of a person.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Basis {
    /// A row of an input file.
    Row(InputRow),
    /// A visit to the venue of this key, from the fact's start to its end.
    Visit(u32),
}

impl Told {
    /// The cell of that column, one of [`FactKind::columns`], if it has one.
    pub fn cell(&self, column: &str) -> Option<Cell<'_>> {
        let at = self.kind.columns().iter().position(|(name, _)| *name == column)?;
        self.cells[at].as_ref().map(|cell| match cell {
            ToldCell::Word(word) => Cell::Word(word),
            ToldCell::Text(text) => Cell::Word(text),
            ToldCell::Number(number) => Cell::Number(*number),
        })
    }

    /// The row that says it of the person; `None` if a visit does.
    pub fn row(&self) -> Option<&InputRow> {
        match &self.basis {
            Basis::Row(row) => Some(row),
            Basis::Visit(_) => None,
        }
    }

    /// Key of the venue, start and end of the visit that says it.
    pub fn visit(&self) -> Option<(u32, Second, Second)> {
        match self.basis {
            Basis::Visit(venue) => Some((venue, self.at, self.until.unwrap_or(self.at))),
            Basis::Row(_) => None,
        }
    }
}

/// A cell of a [`Told`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ToldCell {
    /// A word of a closed list.
    Word(&'static str),
    /// Any other text.
    Text(Arc<str>),
    /// A number, as in [`Cell::Number`].
    Number(i64),
}

impl Fact<'_> {
    /// Its kind.
    pub fn kind(&self) -> FactKind {
        match self {
            Fact::Case(_) => FactKind::Case,
            Fact::Contact(_) => FactKind::Contact,
            Fact::Told(told) => told.kind,
        }
    }

    /// A total order of the facts of one person, whatever order they come in.
    pub fn order(&self) -> impl Ord + '_ {
        match self {
            Fact::Case(case) => (FactKind::Case, Some(*case), None, None),
            Fact::Contact(contact) => {
                let exposed = &contact.exposed;
                let contact = (contact.ring, exposed.first_exposed_at, exposed.last_exposed_at);
                (FactKind::Contact, None, Some(contact), None)
            }
            Fact::Told(told) => (told.kind, None, None, Some(*told)),
        }
    }

    /// The cell of that column, one of [`FactKind::columns`], if it has one.
    pub fn cell(&self, column: &str) -> Option<Cell<'_>> {
        match self {
            Fact::Case(case) => Some(Cell::Word(case.case.status.word())),
            Fact::Contact(contact) => Some(Cell::Number(contact.ring.into())),
            Fact::Told(told) => told.cell(column),
        }
    }

    /// When it became known, as far as that is told.
    pub fn known_at(&self) -> Option<Second> {
        match self {
            Fact::Case(case) => case.case.reported_at,
            Fact::Contact(_) => None,
            Fact::Told(told) => Some(told.known_at),
        }
    }

    /// That time of the fact, if it has it.
    pub fn time(&self, instant: Instant) -> Option<Second> {
        match (self, instant) {
            (Fact::Case(c), Instant::OnsetAt) => c.case.onset_at,
            (Fact::Case(c), Instant::SampledAt) => c.case.sampled_at,
            (Fact::Case(c), Instant::ReportedAt) => c.case.reported_at,
            (Fact::Case(c), Instant::IsolatedAt) => c.case.isolated_at,
            (Fact::Case(c), Instant::InfectiousFrom) => c.case.infectious_from,
            (Fact::Case(c), Instant::RecoveredAt) => c.case.recovered_at,
            (Fact::Contact(c), Instant::FirstExposedAt) => Some(c.exposed.first_exposed_at),
            (Fact::Contact(c), Instant::LastExposedAt) => Some(c.exposed.last_exposed_at),
            (Fact::Told(told), Instant::Until) => told.until,
            (Fact::Told(told), instant) => (told.kind.times().first() == Some(&instant)).then_some(told.at),
            _ => None,
        }
    }
}
