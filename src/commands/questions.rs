//! `query`: questions to the tables of a night, and their answers on paper.

use std::io::IsTerminal;
use std::path::Path;

use arrow::datatypes::DataType;
use serde_json::{Map, Value, json};

use super::{Outcome, print, say};
use crate::cli::{AnswerFormat, Common};
use crate::error::{Error, Result};
use crate::outputs::csv;
use crate::outputs::query::{self, Answer, Named};
use crate::outputs::read::Run;
use crate::store::format::to_bytes;

/// Lists the queries that come with the program.
///
/// # Errors
/// Those of writing.
pub fn list(common: &Common) -> Result<Outcome> {
    let all = query::named();
    let values = |param: &query::Param| match param.choices.is_empty() {
        true => param.default.to_string(),
        false => param.choices.join(" | "),
    };
    let params = |query: &Named| -> String {
        let params: Vec<String> =
            query.params.iter().map(|param| format!("{}={}", param.name, values(param))).collect();
        if params.is_empty() { String::new() } else { format!("  [{}]", params.join(", ")) }
    };
    let line = |query: &Named| format!("{:<28}{}{}", query.name, query.about, params(query));
    let object = |query: &Named| {
        let params: Vec<Value> = query
            .params
            .iter()
            .map(|param| json!({"name": param.name, "default": param.default, "choices": param.choices, "about": param.about}))
            .collect();
        let columns: Vec<Value> =
            query.columns.iter().map(|(name, about)| json!({"name": name, "about": about})).collect();
        json!({"name": query.name, "about": query.about, "tables": query.tables, "params": params, "columns": columns,
            "sql": query.sql})
    };
    say(
        common,
        || all.iter().map(line).collect::<Vec<_>>().join("\n"),
        || json!(all.iter().map(object).collect::<Vec<_>>()),
    )?;
    Ok(Outcome::Done)
}

/// The answer to a query that comes with the program; `params` as typed.
///
/// # Errors
/// `usage` for a name, a parameter or a value that is not one; those of the query.
pub fn ask(run: &Run, name: &str, params: &[String]) -> Result<Answer> {
    let query = Named::find(name)?;
    let split = |text: &'_ String| -> Result<(String, String)> {
        let (name, value) = text.split_once('=').ok_or_else(|| {
            Error::usage(format!("--param {text:?} is not NAME=VALUE"), "write --param days=7")
        })?;
        Ok((name.to_string(), value.to_string()))
    };
    let values: Vec<(String, String)> = params.iter().map(split).collect::<Result<_>>()?;
    let values: Vec<(&str, &str)> =
        values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    query::ask(run, &query, &values)
}

/// Prints an answer.
///
/// # Errors
/// `usage` for Parquet on a terminal; those of writing.
pub fn print_answer(answer: &Answer, format: AnswerFormat) -> Result<Outcome> {
    match format {
        AnswerFormat::Table => {
            let mut table = comfy_table::Table::new();
            table.load_style(comfy_table::presets::NOTHING).set_header(&answer.columns);
            for row in &answer.rows {
                table.add_row(row.iter().map(|c| c.as_deref().unwrap_or("")));
            }
            print(format!("{table}\n({} rows)\n", answer.rows.len()).as_bytes())?;
        }
        AnswerFormat::Csv => {
            let mut writer = ::csv::Writer::from_writer(Vec::new());
            // As in the CSV files of a run: what is text is made safe, an id that looks like a number too.
            let is_text = |column: usize| answer.batch.column(column).data_type() == &DataType::Utf8;
            let cell = |(column, cell): (usize, &Option<String>)| {
                let text = cell.as_deref().unwrap_or_default();
                if is_text(column) { csv::safe(text).into_owned() } else { text.to_string() }
            };
            let failed = |e: ::csv::Error| Error::storage(Path::new("standard output"), "writing")(e.into());
            writer.write_record(&answer.columns).map_err(failed)?;
            for row in &answer.rows {
                writer.write_record(row.iter().enumerate().map(cell)).map_err(failed)?;
            }
            print(&writer.into_inner().unwrap_or_default())?;
        }
        AnswerFormat::Parquet => {
            if std::io::stdout().is_terminal() {
                return Err(Error::usage(
                    "Parquet is not for the screen",
                    "send it to a file: … --format parquet > answer.parquet",
                ));
            }
            print(&to_bytes(&answer.batch, crate::store::format::compressed())?)?;
        }
        AnswerFormat::Json => {
            let object = |row: usize| -> Map<String, Value> {
                let cells = answer.columns.iter().zip(&answer.rows[row]);
                cells.map(|(name, cell)| (name.clone(), json!(cell))).collect()
            };
            let rows: Vec<Map<String, Value>> = (0..answer.rows.len()).map(object).collect();
            let text = serde_json::to_string_pretty(&rows).expect("a value is plain data");
            print(format!("{text}\n").as_bytes())?;
        }
    }
    Ok(Outcome::Done)
}
