//! The nightly report: a night's tables -> a page, `report.json` and a CSV a table, all with the same numbers.
//!
//! ```text
//! tables of the night ──tonight, cases, contacts, colors──▶ Report ──protect──▶ report.html, report.json, report/ID.csv
//! ```

mod cases;
mod colors;
mod contacts;
mod page;
mod protect;
pub(in crate::outputs) mod rows;
mod suppress;
mod tonight;
pub(in crate::outputs) mod words;

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use jiff::civil::Date;
use serde::Serialize;

use crate::colors::Scheme;
use crate::error::{Error, Result};
use crate::outputs::csv;
use crate::outputs::record::RunRecord;
use crate::outputs::survey;
use crate::store::publish;

pub use page::{html, json};
pub use words::{Words, w};

/// Counts of fewer people than this are not shown, unless asked for otherwise.
pub const SUPPRESS_BELOW: u64 = 10;

/// Rows of a table that the page shows at most; its CSV holds all.
const ROWS_SHOWN: usize = 400;

/// Where a report's numbers come from: a night about to be published, or one that is.
pub trait Tables {
    /// Some columns of a table of the night.
    ///
    /// # Errors
    /// Those of reading it.
    fn columns(&self, table: &str, columns: &[&str]) -> Result<RecordBatch>;
}

impl Tables for crate::outputs::read::Run {
    fn columns(&self, table: &str, columns: &[&str]) -> Result<RecordBatch> {
        self.table_columns(table, columns)
    }
}

/// What a report is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audience {
    /// For everyone: without ids of persons or venues, every count of few people suppressed.
    pub public: bool,
    /// Counts of people below this are suppressed; 0 shows all.
    pub suppress_below: u64,
}

impl Audience {
    /// The office that runs the night.
    pub const OFFICE: Audience = Audience { public: false, suppress_below: SUPPRESS_BELOW };
}

/// A cell of a table of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Cell {
    /// Nothing.
    Empty(Option<()>),
    /// A whole number.
    Whole(i64),
    /// A decimal with one digit, in tenths.
    #[serde(serialize_with = "as_decimal")]
    Tenths(i64),
    /// A decimal with three digits, in thousandths.
    #[serde(serialize_with = "as_fine_decimal")]
    Thousandths(i64),
    /// A text.
    Text(String),
    /// A text in both languages.
    Words(Words),
}

/// Nothing in a cell.
pub const EMPTY: Cell = Cell::Empty(None);

fn as_decimal<S: serde::Serializer>(tenths: &i64, to: S) -> std::result::Result<S::Ok, S::Error> {
    // Exact: the nearest double of so short a decimal is written as that decimal.
    to.serialize_f64(*tenths as f64 / 10.0)
}

fn as_fine_decimal<S: serde::Serializer>(number: &i64, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.serialize_f64(*number as f64 / 1_000.0)
}

impl Cell {
    /// A count.
    pub fn count(count: u64) -> Cell {
        Cell::Whole(count as i64)
    }

    /// A text, or nothing.
    pub fn text(text: Option<impl Into<String>>) -> Cell {
        text.map_or(EMPTY, |text| Cell::Text(text.into()))
    }

    /// A number of tenths, or nothing.
    pub fn tenths(tenths: Option<i64>) -> Cell {
        tenths.map_or(EMPTY, Cell::Tenths)
    }

    /// The cell in a CSV file; words in English.
    fn in_csv(&self) -> String {
        match self {
            Cell::Empty(_) => String::new(),
            Cell::Whole(number) => number.to_string(),
            Cell::Tenths(number) => survey::tenths(*number),
            Cell::Thousandths(number) => survey::thousandths(*number),
            Cell::Text(text) => csv::safe(text).into_owned(),
            Cell::Words(words) => csv::safe(&words.en).into_owned(),
        }
    }
}

/// What a column holds, for whoever shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A color.
    Color,
    /// Text as it came in.
    Text,
    /// An id.
    Id,
    /// Words of ours.
    Word,
    /// A local day.
    Date,
    /// A local time.
    Time,
    /// A count.
    Count,
    /// A decimal.
    Decimal,
    /// Percent.
    Share,
    /// Minutes.
    Minutes,
    /// Days.
    Days,
}

/// A column of a table of a report.
#[derive(Clone, Debug, Serialize)]
pub struct Column {
    /// Its name in CSV.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// Its heading.
    pub title: Words,
}

/// A table, and the chart that is drawn from it.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    /// Its name, and that of its CSV.
    pub id: &'static str,
    /// Its heading.
    pub title: Words,
    /// What is counted.
    pub about: Words,
    /// The chart.
    pub chart: Option<&'static str>,
    /// Columns.
    pub columns: Vec<Column>,
    /// Rows.
    pub rows: Vec<Vec<Cell>>,
    /// Rows that the page leaves out.
    pub more: u64,
}

impl Table {
    /// A table without rows.
    pub fn new(id: &'static str, title: Words, about: Words, chart: Option<&'static str>) -> Table {
        Table { id, title, about, chart, columns: Vec::new(), rows: Vec::new(), more: 0 }
    }

    /// With a further column.
    pub fn column(mut self, name: impl Into<String>, kind: Kind, title: Words) -> Table {
        self.columns.push(Column { name: name.into(), kind, title });
        self
    }

    /// With these rows, each with a cell a column.
    pub fn rows(mut self, rows: Vec<Vec<Cell>>) -> Table {
        debug_assert!(rows.iter().all(|row| row.len() == self.columns.len()), "{}: a cell a column", self.id);
        self.rows = rows;
        self
    }

    fn to_csv(&self) -> Result<Vec<u8>> {
        let failed =
            |e: ::csv::Error| Error::storage(Path::new(self.id), "writing")(std::io::Error::other(e));
        let mut writer = ::csv::Writer::from_writer(Vec::new());
        writer.write_record(self.columns.iter().map(|column| &column.name)).map_err(failed)?;
        for row in &self.rows {
            writer.write_record(row.iter().map(Cell::in_csv)).map_err(failed)?;
        }
        writer.into_inner().map_err(|e| Error::storage(Path::new(self.id), "writing")(e.into_error()))
    }
}

/// Tables that belong together.
#[derive(Clone, Debug, Serialize)]
pub struct Section {
    /// Its name.
    pub id: &'static str,
    /// Its heading.
    pub title: Words,
    /// Its tables.
    pub tables: Vec<Table>,
}

/// A headline figure.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// Its name.
    pub id: &'static str,
    /// What it is.
    pub title: Words,
    /// The number.
    pub value: Cell,
    /// What is counted.
    pub about: Words,
}

/// The scheme of a report.
#[derive(Clone, Debug, Serialize)]
pub struct SchemeOf {
    id: String,
    version: u32,
    name: Words,
    severity: Vec<String>,
    healthy: String,
}

impl SchemeOf {
    fn new(scheme: &Scheme) -> SchemeOf {
        SchemeOf {
            id: scheme.id.clone(),
            version: scheme.version,
            name: Words::new(&scheme.name.en, &scheme.name.zh),
            severity: scheme.severity.clone(),
            healthy: scheme.healthy().into(),
        }
    }
}

/// How old the newest row of each input of a night is, in local days, by input: `scans` or `visits`, `cases`, and the kinds
/// of facts.
///
/// # Errors
/// Those of reading its tables.
pub fn input_ages(run: &crate::outputs::read::Run) -> Result<Vec<(String, u64)>> {
    let (scheme, date) = (run.scheme()?, crate::time::parse_date(&run.record.date)?);
    let source =
        Source { tables: run, record: &run.record, scheme: &scheme, date, audience: Audience::OFFICE };
    tonight::ages(&source)
}

/// A report, as `report.json` holds it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    ringtrace: String,
    title: Words,
    date: String,
    time_zone: String,
    comparison: bool,
    public: bool,
    suppress_below: u64,
    scheme: SchemeOf,
    before: Option<String>,
    held: Option<Words>,
    messages: Vec<Words>,
    facts: Vec<Figure>,
    sections: Vec<Section>,
}

/// What every part of a report is made from.
struct Source<'a> {
    tables: &'a dyn Tables,
    record: &'a RunRecord,
    scheme: &'a Scheme,
    date: Date,
    audience: Audience,
}

impl Report {
    /// The report of a night; `held` says why it is not published.
    ///
    /// # Errors
    /// Those of reading its tables.
    pub fn new(
        tables: &dyn Tables,
        record: &RunRecord,
        scheme: &Scheme,
        held: Option<&Words>,
        audience: Audience,
    ) -> Result<Report> {
        let date = crate::time::parse_date(&record.date)?;
        let source = Source { tables, record, scheme, date, audience };
        let mut sections = vec![
            tonight::section(&source)?,
            cases::section(&source)?,
            contacts::section(&source)?,
            colors::section(&source)?,
        ];
        let mut figures = tonight::figures(&source)?;
        protect::protect(&mut sections, &mut figures, audience, scheme.healthy());
        Ok(Report {
            ringtrace: record.identity.ringtrace.clone(),
            title: Words::new(
                format!("Contact tracing, night of {}", record.date),
                format!("{} 接触者追踪日报", record.date),
            ),
            date: record.date.clone(),
            time_zone: record.identity.time_zone.clone(),
            comparison: false,
            public: audience.public,
            suppress_below: audience.suppress_below,
            scheme: SchemeOf::new(scheme),
            before: record.identity.before.as_ref().map(|before| before.date.clone()),
            held: held.map(|why| match audience.public {
                true => w("More people would change color than usual.", "变码人数异常偏多。"),
                false => why.clone(),
            }),
            // What the program says may hold small counts.
            messages: if audience.public { Vec::new() } else { record.notes.clone() },
            facts: figures,
            sections,
        })
    }

    /// A report of tables that are not a night's, such as a comparison of registers. Nothing is suppressed.
    pub fn of_sections(date: Date, scheme: &Scheme, title: Words, sections: Vec<Section>) -> Report {
        Report {
            ringtrace: env!("CARGO_PKG_VERSION").into(),
            title,
            date: date.to_string(),
            time_zone: scheme.time_zone.iana_name().unwrap_or("UTC").into(),
            comparison: true,
            public: false,
            suppress_below: 0,
            scheme: SchemeOf::new(scheme),
            before: None,
            held: None,
            messages: Vec::new(),
            facts: Vec::new(),
            sections,
        }
    }

    /// Its tables.
    pub fn tables(&self) -> impl Iterator<Item = &Table> {
        self.sections.iter().flat_map(|section| &section.tables)
    }

    /// Writes `NAME.html`, `NAME.json` and `NAME/TABLE.csv` into a folder that is there, and returns the files.
    ///
    /// # Errors
    /// `storage`.
    pub fn write(&self, folder: &Path, name: &str) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        let mut write = |path: PathBuf, bytes: &[u8]| {
            publish::write_file(&path, bytes)?;
            files.push(path);
            Ok(())
        };
        for table in self.tables() {
            write(folder.join(name).join(format!("{}.csv", table.id)), &table.to_csv()?)?;
        }
        let shown = self.shown();
        write(folder.join(format!("{name}.json")), json(&shown).as_bytes())?;
        write(folder.join(format!("{name}.html")), html(&shown)?.as_bytes())?;
        Ok(files)
    }

    /// The report with as many rows as a page can hold.
    fn shown(&self) -> Report {
        let mut shown = self.clone();
        for table in shown.sections.iter_mut().flat_map(|section| &mut section.tables) {
            table.more = table.rows.len().saturating_sub(ROWS_SHOWN) as u64;
            table.rows.truncate(ROWS_SHOWN);
        }
        shown
    }
}
