//! What offices, laboratories, clinics and pharmacies tell of persons: one table a kind of fact, and the two tables of
//! places that decide what living or staying somewhere means.

use std::sync::Arc;

use crate::config::TableConfig;
use crate::error::Result;
use crate::facts::kind::{
    Basis, CHECKINS, CLOSURES, CORRECTABLE, DECISIONS, FactKind, Holds, ISOLATIONS, LEVELS, RESULTS,
    SYMPTOMS, Told, ToldCell,
};
use crate::records::columns::{Column, Kind, NO_CELSIUS};
use crate::records::rejects::Reason;
use crate::records::scans::{key, optional_text, optional_time, optional_word, span_fault, time};
use crate::records::table::{Batch, ColumnSpec, Schema};
use crate::records::{FileRows, InputRow, Numbered, StampedFile, read_files};
use crate::time::{Second, days_later};

/// A table whose rows are facts of one kind.
pub struct FactTable {
    /// The kind.
    pub kind: FactKind,
    /// Its columns: the person, the first time of the kind, and others in any order.
    pub schema: Schema,
}

const PERSON: ColumnSpec = ColumnSpec::new("person_id", Kind::Id(0), true);
const UNTIL: ColumnSpec = ColumnSpec::new("until", Kind::Time, false);
const KNOWN_AT: ColumnSpec = ColumnSpec::new("known_at", Kind::Time, false);

const fn at(name: &'static str) -> ColumnSpec {
    ColumnSpec::new(name, Kind::Time, true)
}

const fn needed(name: &'static str, kind: Kind) -> ColumnSpec {
    ColumnSpec::new(name, kind, true)
}

const fn table(kind: FactKind, table: &'static str, columns: &'static [ColumnSpec]) -> FactTable {
    FactTable { kind, schema: Schema { table, id_tables: 1, columns } }
}

/// The tables of facts about persons.
pub static TABLES: [FactTable; 12] = [
    table(
        FactKind::Test,
        "tests",
        &[PERSON, at("sampled_at"), needed("result", Kind::Word(RESULTS)), KNOWN_AT],
    ),
    table(FactKind::ClinicVisit, "clinic_visits", &[PERSON, at("visited_at"), KNOWN_AT]),
    table(FactKind::Purchase, "purchases", &[PERSON, at("purchased_at"), KNOWN_AT]),
    table(
        FactKind::Temperature,
        "temperatures",
        &[PERSON, at("measured_at"), needed("celsius", Kind::Celsius), KNOWN_AT],
    ),
    table(
        FactKind::Symptom,
        "symptoms",
        &[PERSON, at("reported_at"), needed("symptom", Kind::Word(SYMPTOMS)), KNOWN_AT],
    ),
    table(
        FactKind::Checkin,
        "checkins",
        &[
            PERSON,
            at("checked_in_at"),
            ColumnSpec::new("status", Kind::Word(CHECKINS), false),
            ColumnSpec::new("celsius", Kind::Celsius, false),
            KNOWN_AT,
        ],
    ),
    table(
        FactKind::Isolation,
        "isolations",
        &[PERSON, at("from"), needed("kind", Kind::Word(ISOLATIONS)), UNTIL, KNOWN_AT],
    ),
    table(
        FactKind::Push,
        "pushes",
        &[
            PERSON,
            at("pushed_at"),
            needed("color", Kind::Text),
            needed("origin", Kind::Text),
            ColumnSpec::new("scheme", Kind::Text, false),
            UNTIL,
            KNOWN_AT,
        ],
    ),
    table(
        FactKind::Order,
        "orders",
        &[
            PERSON,
            at("issued_at"),
            at("until"),
            needed("color", Kind::Text),
            needed("author", Kind::Text),
            needed("approver", Kind::Text),
            needed("basis", Kind::Text),
            KNOWN_AT,
        ],
    ),
    table(
        FactKind::Confirmation,
        "confirmations",
        &[
            PERSON,
            at("confirmed_at"),
            needed("confirmed_by", Kind::Text),
            ColumnSpec::new("rule_id", Kind::Text, false),
            KNOWN_AT,
        ],
    ),
    table(
        FactKind::Correction,
        "corrections",
        &[
            PERSON,
            at("happened_at"),
            needed("fact", Kind::Word(CORRECTABLE)),
            needed("corrected_by", Kind::Text),
            ColumnSpec::new("basis", Kind::Text, false),
            at("known_at"),
        ],
    ),
    table(
        FactKind::Appeal,
        "appeals",
        &[
            PERSON,
            at("decided_at"),
            needed("decision", Kind::Word(DECISIONS)),
            needed("rule_id", Kind::Text),
            needed("decided_by", Kind::Text),
            ColumnSpec::new("basis", Kind::Text, false),
            KNOWN_AT,
        ],
    ),
];

/// A person's name as it is compared: however it is spaced, in whatever case or width its letters are.
pub fn same_name(name: &str) -> String {
    let narrow = |letter: char| match letter {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(letter as u32 - 0xfee0).unwrap_or(letter),
        '\u{3000}' => ' ',
        _ => letter,
    };
    let plain: String = name.chars().map(narrow).collect();
    plain.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Days an order may hold, at most.
pub const ORDER_DAYS: u32 = 14;

/// A row of a table of facts.
#[derive(Clone, Debug)]
pub struct ToldRow {
    /// The person, as a key of the file's id table.
    pub person: u32,
    /// The fact.
    pub told: Told,
}

/// The checked rows of each file of such a table, each with its row number. An order without a second person's approval
/// or for longer than 14 days is rejected.
///
/// # Errors
/// As for `table::read`.
pub fn read(
    of: &FactTable,
    files: &[StampedFile],
    config: &TableConfig,
) -> Result<Vec<FileRows<Numbered<ToldRow>>>> {
    let column = |name: &str| of.schema.columns.iter().position(|spec| spec.name == name);
    let (until_at, known_at) = (column("until"), column("known_at"));
    let cells: Vec<(Option<usize>, Holds)> =
        of.kind.columns().iter().map(|(name, holds)| (column(name), *holds)).collect();
    let words = [column("color"), column("scheme")];
    let people = column("author").zip(column("approver"));
    let none: Arc<str> = "".into();
    let mut read = read_files(files, &of.schema, config, |rows: &mut Numbered<ToldRow>, batch, row| {
        let at = time(batch, 1, row);
        let until = until_at.and_then(|column| optional_time(batch, column, row));
        // What is taken back at once has no length, but has been taken back.
        if until.is_some_and(|until| until < at) {
            return Some(("until", Reason::EndsBeforeStart));
        }
        if let Some((author, approver)) = people {
            let name = |column| same_name(&optional_text(batch, column, row).unwrap_or_default());
            let basis = column("basis").expect("an order has one");
            for (column, name) in [("author", author), ("approver", approver), ("basis", basis)]
                .map(|(column, at)| (column, name(at)))
            {
                if name.is_empty() {
                    return Some((column, Reason::Missing));
                }
            }
            if name(author) == name(approver) {
                return Some(("approver", Reason::NotApproved));
            }
            if until.is_none_or(|until| until > days_later(at, ORDER_DAYS, config.time_zone.as_ref())) {
                return Some(("until", Reason::TermTooLong));
            }
        }
        let number = batch.first_row + row as u64;
        // Colors and schemes are words, in whatever case they are written.
        let cell = |(column, holds): &(Option<usize>, Holds)| match cell(batch, (*column)?, row, *holds) {
            Some(ToldCell::Text(text)) if words.contains(column) => {
                Some(ToldCell::Text(text.trim().to_lowercase().into()))
            }
            cell => cell,
        };
        let told = Told {
            kind: of.kind,
            at,
            until,
            known_at: known_at.and_then(|column| optional_time(batch, column, row)).unwrap_or(at),
            cells: std::array::from_fn(|at| cells.get(at).and_then(cell)),
            place: None,
            basis: Basis::Row(InputRow { file: none.clone(), row: number }),
        };
        rows.push((number, ToldRow { person: key(batch, 0, row), told }));
        None
    })?;
    for file in &mut read {
        let name: Arc<str> = file.balance.file.as_str().into();
        for (row, fact) in &mut file.rows {
            fact.told.basis = Basis::Row(InputRow { file: name.clone(), row: *row });
        }
    }
    Ok(read)
}

fn cell(batch: &Batch, column: usize, row: usize, holds: Holds) -> Option<ToldCell> {
    match holds {
        Holds::Words(words) => {
            optional_word(batch, column, row).map(|word| ToldCell::Word(words[usize::from(word)]))
        }
        Holds::Celsius => match &batch.columns[column] {
            Some(Column::Celsius(degrees)) if degrees[row] != NO_CELSIUS => {
                Some(ToldCell::Number(degrees[row].into()))
            }
            _ => None,
        },
        Holds::Text | Holds::Number => {
            optional_text(batch, column, row).map(|text| ToldCell::Text(text.into()))
        }
    }
}

pub(super) const COMMUNITIES: Schema = Schema {
    table: "communities",
    id_tables: 0,
    columns: &[
        needed("community_id", Kind::Text),
        needed("status", Kind::Word(CLOSURES)),
        at("from"),
        UNTIL,
        KNOWN_AT,
    ],
};

pub(super) const REGIONS: Schema = Schema {
    table: "regions",
    id_tables: 0,
    columns: &[
        needed("region_id", Kind::Text),
        needed("level", Kind::Word(LEVELS)),
        at("from"),
        UNTIL,
        KNOWN_AT,
        ColumnSpec::new("county_id", Kind::Text, false),
    ],
};

pub(super) const TRIPS: Schema = Schema {
    table: "trips",
    id_tables: 1,
    columns: &[PERSON, needed("region_id", Kind::Text), at("from"), at("until"), KNOWN_AT],
};

/// What holds of a place for a time: the management of a community, the level of a region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlaceRow {
    /// The community or region.
    pub place: String,
    /// The word that holds.
    pub word: &'static str,
    /// From when on.
    pub from: Second,
    /// Until when; further notice without it.
    pub until: Option<Second>,
    /// When it became known; when it began if that is not told.
    pub known_at: Second,
    /// The county a region lies in.
    pub county: Option<String>,
    /// Where it stands.
    pub at: InputRow,
}

/// The checked rows of each file of communities or regions.
///
/// # Errors
/// As for `table::read`.
pub fn read_places(
    table: &str,
    files: &[StampedFile],
    config: &TableConfig,
) -> Result<Vec<FileRows<Vec<PlaceRow>>>> {
    let (schema, words) = if table == "regions" { (&REGIONS, LEVELS) } else { (&COMMUNITIES, CLOSURES) };
    let none: Arc<str> = "".into();
    let mut read = read_files(files, schema, config, |rows: &mut Vec<PlaceRow>, batch, row| {
        let (from, until) = (time(batch, 2, row), optional_time(batch, 3, row));
        if let Some(reason) = until.and_then(|until| span_fault(from, until)) {
            return Some(("until", reason));
        }
        let word = optional_word(batch, 1, row).expect("a required column");
        rows.push(PlaceRow {
            place: optional_text(batch, 0, row).expect("a required column"),
            word: words[usize::from(word)],
            from,
            until,
            known_at: optional_time(batch, 4, row).unwrap_or(from),
            county: (schema.columns.len() > 5).then(|| optional_text(batch, 5, row)).flatten(),
            at: InputRow { file: none.clone(), row: batch.first_row + row as u64 },
        });
        None
    })?;
    for file in &mut read {
        let name: Arc<str> = file.balance.file.as_str().into();
        file.rows.iter_mut().for_each(|row| row.at.file = name.clone());
    }
    Ok(read)
}

/// A stay in a region, from a trip or from visits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StayRow {
    /// The person, as a key of the file's id table.
    pub person: u32,
    /// The region.
    pub region: String,
    /// Start.
    pub from: Second,
    /// End.
    pub until: Second,
    /// When it became known; when it began if that is not told.
    pub known_at: Second,
}

/// The checked rows of each trips file, each with its row number.
///
/// # Errors
/// As for `table::read`.
pub fn read_trips(files: &[StampedFile], config: &TableConfig) -> Result<Vec<FileRows<Numbered<StayRow>>>> {
    read_files(files, &TRIPS, config, |rows: &mut Numbered<StayRow>, batch, row| {
        let (from, until) = (time(batch, 2, row), time(batch, 3, row));
        if let Some(reason) = span_fault(from, until) {
            return Some(("until", reason));
        }
        let stay = StayRow {
            person: key(batch, 0, row),
            region: optional_text(batch, 1, row).expect("a required column"),
            from,
            until,
            known_at: optional_time(batch, 4, row).unwrap_or(from),
        };
        rows.push((batch.first_row + row as u64, stay));
        None
    })
}
