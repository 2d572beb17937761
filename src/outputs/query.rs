//! SQL on the tables of a run, by polars.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Int64Type, TimestampMicrosecondType, UInt8Type, UInt32Type, UInt64Type,
};
use polars::prelude as pl;
use polars::prelude::{IntoLazy, NamedFrom};

use crate::error::{Error, Result};
use crate::outputs::read::Run;
use crate::schema::did_you_mean;

/// A query that comes with the program.
pub struct Named {
    /// Its name.
    pub name: &'static str,
    /// Its text; the first line is a comment that says what it answers.
    pub sql: &'static str,
}

/// The queries that come with the program: the files of `queries/`.
pub const NAMED: [Named; 3] = [
    Named { name: "venue-hotspots", sql: include_str!("../../queries/venue-hotspots.sql") },
    Named { name: "ring-sizes", sql: include_str!("../../queries/ring-sizes.sql") },
    Named { name: "due-this-week", sql: include_str!("../../queries/due-this-week.sql") },
];

impl Named {
    /// What it answers.
    pub fn about(&self) -> &'static str {
        self.sql.lines().next().unwrap_or_default().trim_start_matches("--").trim()
    }

    /// The query of that name.
    ///
    /// # Errors
    /// `usage` with the nearest name.
    pub fn find(name: &str) -> Result<&'static Named> {
        NAMED.iter().find(|q| q.name == name).ok_or_else(|| {
            let help = match did_you_mean(name, NAMED.iter().map(|q| q.name)) {
                Some(near) => format!("did you mean {near:?}?"),
                None => "`ringtrace query --list` lists them; --sql takes a query of your own".into(),
            };
            Error::usage(format!("no query is called {name:?}"), help)
        })
    }
}

/// A query's answer: column names, and rows of cells as text (`None` for null).
pub struct Answer {
    /// Column names.
    pub columns: Vec<String>,
    /// Cells by row.
    pub rows: Vec<Vec<Option<String>>>,
}

/// Runs `sql` on the tables of `run`.
///
/// # Errors
/// `usage` with polars' words if the query cannot be run; those of reading the tables.
pub fn run(run: &Run, sql: &str) -> Result<Answer> {
    let failed = |e: pl::PolarsError| {
        let names: Vec<&str> = run.tables().collect();
        Error::usage(
            format!("the query cannot be run: {}", without_cells(&e)),
            format!("tables of this run: {}", names.join(", ")),
        )
    };
    let mut context = polars::sql::SQLContext::new();
    for name in run.tables() {
        // Only what the query can mean is read.
        if sql.to_ascii_lowercase().contains(name) {
            context.register(name, frame(&run.table(name)?.batch).map_err(failed)?.lazy());
        }
    }
    let frame = context.execute(sql).and_then(|lazy| lazy.collect()).map_err(failed)?;
    let columns = frame.get_column_names().iter().map(|n| n.to_string()).collect();
    let cell = |column: &pl::Column, row: usize| -> Result<Option<String>> {
        Ok(text(column.get(row).map_err(failed)?))
    };
    let row = |row: usize| frame.columns().iter().map(|c| cell(c, row)).collect();
    Ok(Answer { columns, rows: (0..frame.height()).map(row).collect::<Result<_>>()? })
}

/// What polars says, up to the bracket after which it quotes cells.
fn without_cells(error: &pl::PolarsError) -> String {
    error.to_string().split('[').next().unwrap_or_default().trim_end().to_string()
}

fn text(value: pl::AnyValue<'_>) -> Option<String> {
    match value {
        pl::AnyValue::Null => None,
        pl::AnyValue::String(text) => Some(text.to_string()),
        pl::AnyValue::StringOwned(text) => Some(text.to_string()),
        other => Some(other.to_string()),
    }
}

/// A table of ours as a polars frame. Columns are copied: results are small beside what they were made from.
fn frame(batch: &RecordBatch) -> pl::PolarsResult<pl::DataFrame> {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, array)| {
        let name = pl::PlSmallStr::from_str(field.name());
        let series = match array.data_type() {
            DataType::Int64 => {
                pl::Series::new(name, array.as_primitive::<Int64Type>().iter().collect::<Vec<_>>())
            }
            DataType::UInt64 => {
                pl::Series::new(name, array.as_primitive::<UInt64Type>().iter().collect::<Vec<_>>())
            }
            DataType::UInt32 => {
                pl::Series::new(name, array.as_primitive::<UInt32Type>().iter().collect::<Vec<_>>())
            }
            DataType::UInt8 => {
                let cells = array.as_primitive::<UInt8Type>().iter();
                pl::Series::new(name, cells.map(|v| v.map(u32::from)).collect::<Vec<_>>())
            }
            DataType::Date32 => {
                let cells = array.as_primitive::<Date32Type>().iter().collect::<Vec<_>>();
                pl::Series::new(name, cells).cast(&pl::DataType::Date)?
            }
            DataType::Timestamp(_, _) => {
                let cells = array.as_primitive::<TimestampMicrosecondType>().iter().collect::<Vec<_>>();
                let utc = pl::DataType::Datetime(pl::TimeUnit::Microseconds, None);
                pl::Series::new(name, cells).cast(&utc)?
            }
            _ => pl::Series::new(name, array.as_string::<i32>().iter().collect::<Vec<_>>()),
        };
        Ok(pl::Column::from(series))
    });
    pl::DataFrame::new(batch.num_rows(), columns.collect::<pl::PolarsResult<Vec<_>>>()?)
}
