//! `facts.parquet`: what the tables of facts say of persons, as rules saw it; and read back, to color a person again.

use std::sync::Arc;

use arrow::array::{RecordBatch, UInt64Array};

use crate::error::{Error, Result};
use crate::facts::Facts;
use crate::facts::kind::{Basis, COLUMNS_MAX, FactKind, Holds, Told, ToldCell};
use crate::outputs::read::Table;
use crate::outputs::tables::{Names, instants, instants_or_null, table, texts};
use crate::records::InputRow;
use crate::time::Second;

/// Names of the columns that hold the cells of a fact, in the order of [`FactKind::columns`].
const CELLS: [&str; 4] = ["what", "which", "place_id", "detail"];

/// `facts.parquet`, sorted by `person_id`.
///
/// `person_id, fact, at, until, known_at, what, which, place_id, detail, venue_id, input_file, input_row, place_file, place_row`:
/// `what`, `which`, `place_id` and `detail` are the columns of the kind of fact in the order of docs/schemes.md; `venue_id` is that of
/// a stay by a visit, anything else has its row.
///
/// # Errors
/// Those of reading the ids.
pub fn table_of(facts: &Facts, names: Names<'_>) -> Result<RecordBatch> {
    let keys: Vec<u32> = facts.told.iter().map(|(person, _)| *person).collect();
    let ids = names.persons.ids(&keys)?;
    let mut order: Vec<u32> = (0..keys.len() as u32).collect();
    // Facts of one person are in their order already.
    if !names.persons.in_key_order()
        || keys.last().is_some_and(|key| *key >= names.persons.with_visits() as u32)
    {
        order.sort_by(|a, b| ids.get(*a as usize).cmp(&ids.get(*b as usize)));
    }
    let rows = || order.iter().map(|at| &facts.told[*at as usize].1);
    let cell = |at: usize| {
        texts(rows().map(move |told| {
            told.cells[at].as_ref().map(|cell| match cell {
                ToldCell::Word(word) => (*word).to_string(),
                ToldCell::Text(text) => text.to_string(),
                ToldCell::Number(degrees) => format!("{}.{:02}", degrees / 100, degrees % 100),
            })
        }))
    };
    let venue = |told: &Told| told.visit().map(|(key, ..)| names.venues.ids().get(key as usize).to_string());
    let row = |at: fn(&Told) -> Option<&InputRow>| {
        let numbers: UInt64Array = rows().map(|told| at(told).map(|row| row.row)).collect();
        (texts(rows().map(|told| at(told).map(|row| &*row.file))), Arc::new(numbers))
    };
    let ((input_file, input_row), (place_file, place_row)) =
        (row(Told::row), row(|told| told.place.as_ref()));
    Ok(table(vec![
        ("person_id", ids.to_arrow(order.iter().copied())),
        ("fact", texts(rows().map(|told| Some(told.kind.word())))),
        ("at", instants(rows().map(|told| told.at))),
        ("until", instants_or_null(rows().map(|told| told.until))),
        ("known_at", instants(rows().map(|told| told.known_at))),
        (CELLS[0], cell(0)),
        (CELLS[1], cell(1)),
        (CELLS[2], cell(2)),
        (CELLS[3], cell(3)),
        ("venue_id", texts(rows().map(venue))),
        ("input_file", input_file),
        ("input_row", input_row),
        ("place_file", place_file),
        ("place_row", place_row),
    ]))
}

/// The facts in rows of `facts.parquet`. A stay by a visit has no venue key then.
///
/// # Errors
/// `damaged` for a cell that no fact of its kind has.
pub fn told_in(rows: &Table) -> Result<Vec<Told>> {
    let damaged = |what: &str| Error::damaged("facts.parquet", format!("no fact has this {what}"));
    let read = |row: usize| {
        let text = |name: &str| rows.text(name, row);
        let word = text("fact")?.unwrap_or_default();
        let kind = FactKind::ALL.into_iter().find(|kind| kind.word() == word);
        let kind = kind.ok_or_else(|| damaged("kind"))?;
        let mut cells = [const { None }; COLUMNS_MAX];
        for (at, (_, holds)) in kind.columns().iter().enumerate() {
            // Nights of before orders told so much have fewer columns.
            if at == 3 && rows.column(CELLS[at]).is_err() {
                continue;
            }
            let Some(cell) = text(CELLS[at])? else { continue };
            cells[at] = Some(match holds {
                Holds::Words(words) => {
                    let known = words.iter().find(|known| **known == cell);
                    ToldCell::Word(known.ok_or_else(|| damaged("word"))?)
                }
                Holds::Text => ToldCell::Text(cell.as_str().into()),
                Holds::Number | Holds::Celsius => {
                    let digits = cell.replacen('.', "", 1);
                    ToldCell::Number(digits.parse().map_err(|_| damaged("number"))?)
                }
            });
        }
        let input = |file: &str, number: &str| -> Result<Option<InputRow>> {
            let number = text(number)?.and_then(|number| number.parse().ok());
            Ok(text(file)?.zip(number).map(|(file, row)| InputRow { file: file.as_str().into(), row }))
        };
        Ok(Told {
            kind,
            at: second(rows, "at", row)?.ok_or_else(|| damaged("time"))?,
            until: second(rows, "until", row)?,
            known_at: second(rows, "known_at", row)?.ok_or_else(|| damaged("time"))?,
            cells,
            place: input("place_file", "place_row")?,
            basis: input("input_file", "input_row")?.map_or(Basis::Visit(0), Basis::Row),
        })
    };
    (0..rows.len()).map(read).collect()
}

/// The instant in a cell; `None` for null.
///
/// # Errors
/// `damaged` if there is no such column.
pub fn second(table: &Table, name: &str, row: usize) -> Result<Option<Second>> {
    let at = table.text(name, row)?.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    Ok(at.map(|at| at.as_second().clamp(0, i64::from(Second::MAX)) as Second))
}
