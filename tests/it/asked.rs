//! Questions to a night answered by plain loops over the rows of its tables: the rows, and what loops count.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use ringtrace::outputs::read::Run;
use serde_json::Value;

/// A row of an answer.
pub type Cells = Vec<Value>;

/// A row of a table: the texts of its cells by column, without nulls.
pub struct Row(pub BTreeMap<String, String>);

impl Row {
    pub fn get(&self, column: &str) -> Option<&str> {
        self.0.get(column).map(String::as_str)
    }

    pub fn text(&self, column: &str) -> &str {
        self.get(column).unwrap_or_else(|| panic!("null in {column}: {:?}", self.0))
    }

    pub fn is(&self, column: &str, text: &str) -> bool {
        self.get(column) == Some(text)
    }

    pub fn number(&self, column: &str) -> i64 {
        self.text(column).parse().unwrap()
    }

    /// The instant in a cell, in seconds.
    pub fn at(&self, column: &str) -> Option<i64> {
        self.get(column).map(|text| text.parse::<jiff::Timestamp>().unwrap().as_second())
    }
}

/// A night's tables.
pub struct Night {
    pub run: Run,
    pub day: i64,
    pub tables: BTreeMap<String, Vec<Row>>,
}

impl Night {
    pub fn read(run: Run) -> Night {
        let table_rows = |name: &str| -> Vec<Row> {
            let table = run.table(name).unwrap();
            let schema = table.batch.schema();
            let cell = |column: &str, row| Some((column.to_string(), table.text(column, row).unwrap()?));
            let columns = || schema.fields().iter().map(|field| field.name().as_str());
            (0..table.len()).map(|row| Row(columns().filter_map(|c| cell(c, row)).collect())).collect()
        };
        let tables = run.tables().map(|name| (name.to_string(), table_rows(name))).collect();
        Night { day: day(&run.record.date), tables, run }
    }
}

/// A question to a night.
pub struct Asked<'a> {
    pub night: &'a Night,
    pub params: BTreeMap<&'a str, &'a str>,
}

impl<'a> Asked<'a> {
    pub fn rows(&self, table: &str) -> &'a [Row] {
        &self.night.tables[table]
    }

    pub fn only(
        &self,
        table: &str,
        name: &'static str,
        is: &'a str,
    ) -> impl Iterator<Item = &'a Row> + use<'a> {
        self.rows(table).iter().filter(move |row| row.is(name, is))
    }

    /// Exposures of ring 1 to cases, not to exposure sites.
    pub fn to_cases(&self) -> impl Iterator<Item = &'a Row> + use<'a> {
        self.only("exposures", "ring", "1").filter(|row| row.is("source_kind", "person"))
    }

    /// Links that are of the forest.
    pub fn forest(&self) -> impl Iterator<Item = &'a Row> {
        self.rows("links").iter().filter(|row| row.get("generation").is_some())
    }

    pub fn number(&self, param: &str) -> i64 {
        self.params[param].parse().unwrap()
    }

    pub fn category(&self, venue: &'a str) -> &'a str {
        self.only("venues", "venue_id", venue).find_map(|row| row.get("category")).unwrap_or("unknown")
    }

    /// The person's cell in the register.
    pub fn register(&self, person: &'a str, column: &str) -> Option<&'a str> {
        self.only("colors", "person_id", person).find_map(|row| row.get(column))
    }

    pub fn local_day(&self, at: i64) -> i64 {
        (at + self.number("utc_offset_hours") * 3_600).div_euclid(86_400)
    }

    /// Local days from the night to the end of something; `None` without one.
    pub fn days_left(&self, row: &Row) -> Option<i64> {
        row.at("until").map(|until| self.local_day(until) - self.night.day)
    }

    /// Whether a fact has not ended by the night.
    pub fn in_force(&self, row: &Row) -> bool {
        self.days_left(row).is_none_or(|days| days > 0)
    }

    /// Whether the parameter is `all` or this.
    pub fn takes(&self, param: &str, cell: &str) -> bool {
        self.params[param] == "all" || self.params[param] == cell
    }

    /// As many as the parameter `top` says, in the order of their keys.
    pub fn top<K: Ord>(&self, found: Vec<(K, Cells)>) -> Vec<Cells> {
        let mut found = sorted(found);
        found.truncate(self.number("top") as usize);
        found
    }
}

macro_rules! cells {
    ($($cell:expr),* $(,)?) => { vec![$(json!($cell)),*] };
}
pub(crate) use cells;

pub const EPOCH: Date = Date::constant(1970, 1, 1);

pub fn day(date: &str) -> i64 {
    i64::from((date.parse::<Date>().unwrap() - EPOCH).get_days())
}

pub fn groups<'r, K: Ord>(
    rows: impl IntoIterator<Item = &'r Row>,
    key: impl Fn(&'r Row) -> K,
) -> BTreeMap<K, Vec<&'r Row>> {
    let mut groups: BTreeMap<K, Vec<&Row>> = BTreeMap::new();
    rows.into_iter().for_each(|row| groups.entry(key(row)).or_default().push(row));
    groups
}

/// A row of an answer from each group of rows.
pub fn each<'r, K>(groups: BTreeMap<K, Vec<&'r Row>>, row: impl Fn(K, &[&'r Row]) -> Cells) -> Vec<Cells> {
    groups.into_iter().map(|(key, rows)| row(key, &rows)).collect()
}

pub fn distinct<'r, K: Ord>(rows: &[&'r Row], key: impl Fn(&'r Row) -> K) -> i64 {
    rows.iter().map(|row| key(row)).collect::<BTreeSet<K>>().len() as i64
}

pub fn count(rows: &[&Row], wanted: impl Fn(&Row) -> bool) -> i64 {
    rows.iter().filter(|row| wanted(row)).count() as i64
}

pub fn many(rows: &[&Row]) -> i64 {
    rows.len() as i64
}

pub fn sum(rows: &[&Row], column: &str) -> i64 {
    rows.iter().map(|row| row.number(column)).sum()
}

/// The least of the cells: of instants written alike the earliest.
pub fn least<'r>(rows: &[&'r Row], column: &str) -> Option<&'r str> {
    rows.iter().filter_map(|row| row.get(column)).min()
}

pub fn most<'r>(rows: &[&'r Row], column: &str) -> Option<&'r str> {
    rows.iter().filter_map(|row| row.get(column)).max()
}

pub fn per_mille(part: i64, whole: i64) -> Option<i64> {
    (whole > 0).then(|| part * 1_000 / whole)
}

pub fn sorted<K: Ord>(mut found: Vec<(K, Cells)>) -> Vec<Cells> {
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found.into_iter().map(|(_, cells)| cells).collect()
}

pub fn source(row: &Row) -> (&str, &str) {
    (row.text("source_kind"), row.text("source_id"))
}
