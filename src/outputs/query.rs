//! SQL on the tables of a run, by polars.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{
    DataType, Date32Type, Float64Type, Int64Type, TimestampMicrosecondType, UInt8Type, UInt32Type, UInt64Type,
};
use include_dir::{Dir, include_dir};
use jiff::tz::TimeZone;
use polars::prelude as pl;
use polars::prelude::{IntoLazy, NamedFrom};

use crate::error::{Error, Result};
use crate::outputs::csv::plain;
use crate::outputs::read::Run;
use crate::outputs::tables::table;
use crate::schema::did_you_mean;
use crate::time;

/// The files of `queries/`.
static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/queries");

/// What the tables of a run hold, column by column: docs/tables.md.
pub const TABLES: &str = include_str!("../../docs/tables.md");

/// A query that comes with the program: a file of `queries/`, which says in its first lines what it answers.
///
/// ```text
/// -- The question, in a line
/// -- tables: those it reads
/// -- param days = 14: what the parameter means; its default, a whole number, a decimal or 'text', decides its type
/// -- param by = 'rule' | 'region': what it means; only these are taken, the first unless another is given
/// -- column persons: what a column of the answer holds
/// ```
#[derive(Clone, Debug)]
pub struct Named {
    /// Its name: that of the file without number and ending.
    pub name: &'static str,
    /// Its number.
    pub number: u32,
    /// Its text.
    pub sql: &'static str,
    /// What it answers.
    pub about: &'static str,
    /// The tables it reads.
    pub tables: Vec<&'static str>,
    /// Its parameters.
    pub params: Vec<Param>,
    /// Columns of its answer, and what each holds.
    pub columns: Vec<(&'static str, &'static str)>,
}

/// The parameter that says how far local time is ahead of UTC; the text has it as `$utc_offset_us`, in microseconds.
const UTC_OFFSET: &str = "utc_offset_hours";

/// A parameter of a query.
#[derive(Clone, Debug)]
pub struct Param {
    /// Its name; `$name` in the text.
    pub name: &'static str,
    /// Its value unless another is given, as SQL.
    pub default: &'static str,
    /// The only values it takes, as SQL; none where it takes any.
    pub choices: Vec<&'static str>,
    /// What it means.
    pub about: &'static str,
}

impl Param {
    /// A value as SQL.
    fn literal(&self, value: &str) -> Result<String> {
        let wrong = |what: String| {
            Err(Error::usage(
                format!("--param {}={value}: {what}", self.name),
                format!("{}: {}", self.name, self.about),
            ))
        };
        if self.default.starts_with('\'') {
            let text = format!("'{}'", value.replace('\'', "''"));
            return match self.choices.is_empty() || self.choices.contains(&text.as_str()) {
                true => Ok(text),
                false => wrong(format!("it is one of {}", self.choices.join(", "))),
            };
        }
        if self.default.contains('.') {
            return match value.parse::<f64>() {
                Ok(number) if number.is_finite() && number >= 0.0 => Ok(format!("{number:.6}")),
                _ => wrong("not a number from 0".into()),
            };
        }
        if self.name == UTC_OFFSET {
            // From -12 to 14 are the world's clocks, in quarters of an hour.
            return match value.parse::<f64>().map(|hours| hours * 4.0) {
                Ok(quarters) if quarters.fract() == 0.0 && (-48.0..=56.0).contains(&quarters) => {
                    Ok((quarters as i64 * 900_000_000).to_string())
                }
                _ => wrong("not hours from -12 to 14".into()),
            };
        }
        match value.parse::<u32>() {
            Ok(number) => Ok(number.to_string()),
            Err(_) => wrong("not a whole number from 0".into()),
        }
    }
}

/// The queries that come with the program, in the order of their numbers.
pub fn named() -> Vec<Named> {
    let sql = FILES.files().filter(|file| file.path().extension().is_some_and(|ending| ending == "sql"));
    let mut all: Vec<Named> = sql
        .map(|file| {
            let name = file.path().file_stem().and_then(|name| name.to_str()).expect("a name in ASCII");
            let (number, name) = name.split_once('-').expect("a number, a name");
            let sql = file.contents_utf8().expect("a query is text");
            Named::parse(number.parse().expect("a number"), name, sql)
        })
        .collect();
    all.sort_by_key(|query| query.number);
    all
}

impl Named {
    fn parse(number: u32, name: &'static str, sql: &'static str) -> Named {
        let mut query = Named {
            name,
            number,
            sql,
            about: "",
            tables: Vec::new(),
            params: Vec::new(),
            columns: Vec::new(),
        };
        let lines = sql.lines().map_while(|line| line.strip_prefix("--").map(str::trim));
        for (at, line) in lines.enumerate() {
            if at == 0 {
                query.about = line;
            } else if let Some(tables) = line.strip_prefix("tables:") {
                query.tables = tables.split(',').map(str::trim).collect();
            } else if let Some((name, rest)) =
                line.strip_prefix("param ").and_then(|rest| rest.split_once('='))
            {
                let (values, about) = rest.split_once(':').unwrap_or((rest, ""));
                let values: Vec<&str> = values.split('|').map(str::trim).collect();
                let choices = if values.len() > 1 { values.clone() } else { Vec::new() };
                query.params.push(Param {
                    name: name.trim(),
                    default: values[0],
                    choices,
                    about: about.trim(),
                });
            } else if let Some((name, about)) =
                line.strip_prefix("column ").and_then(|rest| rest.split_once(':'))
            {
                query.columns.push((name.trim(), about.trim()));
            }
        }
        query
    }

    /// The query of that name.
    ///
    /// # Errors
    /// `usage` with the nearest name.
    pub fn find(name: &str) -> Result<Named> {
        let all = named();
        let near = did_you_mean(name, all.iter().map(|query| query.name));
        all.into_iter().find(|query| query.name == name).ok_or_else(|| {
            let help = match near {
                Some(near) => format!("did you mean {near:?}?"),
                None => "`ringtrace query --list` lists them; --sql takes a query of your own".into(),
            };
            Error::usage(format!("no query is called {name:?}"), help)
        })
    }

    /// Its SQL about the night `date` in a time zone, with these parameters in place.
    ///
    /// # Errors
    /// `usage` for a parameter that it does not have, or a value that is not of its type.
    pub fn filled(&self, date: &str, zone: &TimeZone, values: &[(&str, &str)]) -> Result<String> {
        if let Some((name, _)) = values.iter().find(|(name, _)| self.params.iter().all(|p| p.name != *name)) {
            let names: Vec<&str> = self.params.iter().map(|param| param.name).collect();
            let help = match (did_you_mean(name, names.iter().copied()), names.is_empty()) {
                (Some(near), _) => format!("did you mean {near:?}?"),
                (None, true) => "it has none".into(),
                (None, false) => format!("it has {}", names.join(", ")),
            };
            return Err(Error::usage(format!("query {} has no parameter {name:?}", self.name), help));
        }
        if let Some((name, _)) =
            values.iter().find(|(name, _)| values.iter().filter(|(other, _)| other == name).count() > 1)
        {
            return Err(Error::usage(format!("--param {name} is given twice"), "give each once"));
        }
        // Longer names first: $days begins with $day.
        let mut literals = vec![("date".to_string(), format!("'{date}'"))];
        for param in &self.params {
            let given = values.iter().find(|(name, _)| *name == param.name);
            let literal = match given {
                Some((_, value)) => param.literal(value)?,
                None if param.name == UTC_OFFSET => offset_us(date, zone)?.to_string(),
                None => param.default.to_string(),
            };
            let name = if param.name == UTC_OFFSET { "utc_offset_us" } else { param.name };
            literals.push((name.to_string(), literal));
        }
        literals.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        let body: Vec<&str> = self.sql.lines().filter(|line| !line.starts_with("--")).collect();
        Ok(put_in(&body.join("\n"), &literals))
    }
}

/// Microseconds that a zone is ahead of UTC at noon of a day.
fn offset_us(date: &str, zone: &TimeZone) -> Result<i64> {
    let noon = time::parse_date(date)?.at(12, 0, 0, 0);
    let at =
        zone.to_zoned(noon).map_err(|e| Error::usage(format!("{date}: {e}"), "write it as 2022-03-14"))?;
    Ok(i64::from(at.offset().seconds()) * 1_000_000)
}

/// A text with the value of each `$name` in its place; values are not looked at again.
fn put_in(text: &str, values: &[(String, String)]) -> String {
    let mut parts = text.split('$');
    let mut whole = parts.next().unwrap_or_default().to_string();
    for part in parts {
        match values.iter().find(|(name, _)| part.starts_with(name.as_str())) {
            Some((name, value)) => whole.extend([value.as_str(), &part[name.len()..]]),
            None => whole.extend(["$", part]),
        }
    }
    whole
}

/// A query's answer.
pub struct Answer {
    /// Column names.
    pub columns: Vec<String>,
    /// Cells by row, as texts (`None` for null).
    pub rows: Vec<Vec<Option<String>>>,
    /// The same with its types.
    pub batch: RecordBatch,
}

/// The answer of a query that comes with the program.
///
/// # Errors
/// As for [`Named::filled`] and [`run`].
pub fn ask(run: &Run, query: &Named, values: &[(&str, &str)]) -> Result<Answer> {
    let zone = time::zone(&run.record.identity.time_zone)?;
    self::run(run, &query.filled(&run.record.date, &zone, values)?)
}

/// Runs `sql` on the tables of `run`.
///
/// # Errors
/// `usage` with polars' words if the query cannot be run, and for anything but a question; those of reading the tables.
pub fn run(run: &Run, sql: &str) -> Result<Answer> {
    let first =
        sql.lines().map(|line| line.split("--").next().unwrap_or_default()).collect::<Vec<_>>().join(" ");
    let first = first.trim_start().trim_start_matches('(').trim_start().to_ascii_lowercase();
    if !["select", "with"].iter().any(|word| first.starts_with(word)) {
        return Err(Error::usage(
            "--sql takes a question",
            "begin with SELECT or WITH; a run is never changed",
        ));
    }
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
    if let Some(column) = frame.columns().iter().find(|column| column.dtype().is_nested()) {
        return Err(Error::usage(
            format!("column {} holds lists, which no format of an answer has", column.name()),
            "give each value a row of its own, or a text",
        ));
    }
    if frame.width() == 0 {
        return Err(Error::usage("the answer has no columns", "name them, or the tables they come from"));
    }
    let batch = typed(&frame).map_err(failed)?;
    let columns = frame.get_column_names().iter().map(|n| n.to_string()).collect();
    let cell = |column: &ArrayRef, row: usize| match column.data_type() {
        DataType::Float64 => {
            let cells = column.as_primitive::<Float64Type>();
            cells.is_valid(row).then(|| cells.value(row).to_string())
        }
        DataType::Boolean => column.is_valid(row).then(|| column.as_boolean().value(row).to_string()),
        _ => plain(column, row),
    };
    let rows = (0..batch.num_rows()).map(|row| batch.columns().iter().map(|c| cell(c, row)).collect());
    Ok(Answer { columns, rows: rows.collect(), batch })
}

/// The frame as an Arrow table: whole numbers, decimals, truths, days and instants keep their type, anything else is text.
fn typed(frame: &pl::DataFrame) -> pl::PolarsResult<RecordBatch> {
    let mut columns: Vec<(&str, ArrayRef)> = Vec::new();
    for column in frame.columns() {
        let cells: ArrayRef = match column.dtype() {
            dtype if dtype.is_integer() => {
                let cells = column.cast(&pl::DataType::Int64)?;
                Arc::new(cells.i64()?.iter().collect::<Int64Array>())
            }
            dtype if dtype.is_float() => {
                let cells = column.cast(&pl::DataType::Float64)?;
                Arc::new(cells.f64()?.iter().collect::<Float64Array>())
            }
            pl::DataType::Boolean => Arc::new(column.bool()?.iter().collect::<BooleanArray>()),
            pl::DataType::Date => {
                let days = column.cast(&pl::DataType::Int32)?;
                Arc::new(days.i32()?.iter().collect::<Date32Array>())
            }
            pl::DataType::Datetime(..) => {
                let micros = column.cast(&pl::DataType::Datetime(pl::TimeUnit::Microseconds, None))?;
                let micros = micros.cast(&pl::DataType::Int64)?;
                let cells = micros.i64()?.iter().collect::<TimestampMicrosecondArray>();
                Arc::new(cells.with_timezone("UTC"))
            }
            pl::DataType::String => Arc::new(column.str()?.iter().collect::<StringArray>()),
            _ => {
                let text = |row: usize| Ok(text(column.get(row)?));
                let cells = (0..frame.height()).map(text).collect::<pl::PolarsResult<Vec<_>>>()?;
                Arc::new(StringArray::from(cells))
            }
        };
        columns.push((column.name().as_str(), cells));
    }
    Ok(table(columns))
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
