//! One file of one table, whatever its format, as batches of checked columns.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use crate::config::TableConfig;
use crate::error::{Error, Result};
use crate::ids::{Id, IdTable, IdType, NO_KEY};
use crate::records::columns::{self, BAD_KEY, Clock, Column, Kind};
use crate::records::files::{Format, InputFile};
use crate::records::{csv, parquet};
use crate::schema::did_you_mean;

/// What a table's columns are.
pub struct Schema {
    /// The table's name in messages.
    pub table: &'static str,
    /// Its columns.
    pub columns: &'static [ColumnSpec],
    /// How many id tables its `Id` columns use.
    pub id_tables: usize,
}

/// One column of a table.
pub struct ColumnSpec {
    /// Our name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether a row without it is rejected.
    pub required: bool,
}

impl ColumnSpec {
    /// A column of that name and kind.
    pub const fn new(name: &'static str, kind: Kind, required: bool) -> Self {
        ColumnSpec { name, kind, required }
    }
}

/// Some consecutive rows of a file.
pub struct Batch {
    /// Row number of the first, from 1.
    pub first_row: u64,
    /// How many.
    pub rows: usize,
    /// Cells by column of the schema; `None` where the file has no such column.
    pub columns: Vec<Option<Column>>,
    /// Rows of this batch whose number of fields differs from the header's.
    pub misfits: Vec<usize>,
}

/// Rows decoded at a time: large enough to amortise a call, small enough that a hostile file cannot claim much.
pub(super) const BATCH_ROWS: usize = 16_384;

/// Reads `file` batch by batch and returns the id tables its keys refer to.
///
/// # Errors
/// `input` for a missing or mistyped column, an integer time without unit, a zoneless one without zone; `damaged`
/// for bytes that do not decode; `storage` if the file cannot be read. A panic in a decoder is `damaged` too.
pub fn read(
    file: &InputFile,
    schema: &Schema,
    config: &TableConfig,
    mut each: impl FnMut(&Batch) -> Result<()>,
) -> Result<Vec<IdTable>> {
    quiet_panics(|| {
        let mut ids: Vec<IdTable> = vec![IdTable::new(IdType::Text); schema.id_tables];
        if file.format == Format::Parquet {
            let open = parquet::open(file, schema, config)?;
            ids = open.id_types.iter().map(|kind| IdTable::new(*kind)).collect();
            let groups = 0..open.group_rows().len();
            open.read(file, schema, config, (groups, 1), &mut ids, &mut |batch, _| each(batch))?;
        } else {
            csv::read(file, schema, config, &mut ids, &mut |batch, _| each(batch))?;
        }
        Ok(ids)
    })
    .unwrap_or_else(|| Err(gave_up(file)))
}

/// The error for a file on which a decoder panicked.
pub(super) fn gave_up(file: &InputFile) -> Error {
    Error::damaged(&file.name, "the decoder gave up on it")
}

/// Where each column of the schema comes from.
pub(super) enum Origin {
    /// The file's column of that number.
    File(usize),
    /// A partition folder of that value.
    Partition(String),
    /// Nowhere.
    Absent,
}

/// Finds each column of the schema among the file's columns and its partition folders.
pub(super) fn locate(
    file: &InputFile,
    schema: &Schema,
    config: &TableConfig,
    found: &[String],
) -> Result<Vec<Origin>> {
    let locate_one = |column: &ColumnSpec| {
        let mapped = config.columns.get(column.name);
        let theirs = mapped.map_or(column.name, String::as_str);
        let mut named = (0..found.len()).filter(|at| found[*at] == theirs);
        match (named.next(), named.count()) {
            (Some(at), 0) => return Ok(Origin::File(at)),
            // Taking the first would trace whichever the sender happened to write there.
            (Some(_), more) => {
                return Err(Error::input(
                    &file.name,
                    format!(
                        "column {}: expected one column named {theirs:?}, found {}",
                        column.name,
                        more + 1
                    ),
                    "rename or remove the others",
                ));
            }
            (None, _) => {}
        }
        if let Some((_, value)) = file.partitions.iter().rev().find(|(key, _)| key == theirs) {
            return Ok(Origin::Partition(value.clone()));
        }
        if !column.required && mapped.is_none() {
            return Ok(Origin::Absent);
        }
        let names = found.iter().map(String::as_str);
        let near = did_you_mean(theirs, names.clone()).map(|n| format!(" (perhaps {n:?})"));
        Err(Error::input(
            &file.name,
            format!(
                "column {}: expected a column named {theirs:?}, found {}{}",
                column.name,
                names.map(|n| format!("{n:?}")).collect::<Vec<_>>().join(", "),
                near.unwrap_or_default(),
            ),
            format!(
                "name it with --map {}.{}=THEIRS, or columns = {{ {} = \"THEIRS\" }} in the configuration's [{}]",
                schema.table, column.name, column.name, schema.table
            ),
        ))
    };
    schema.columns.iter().map(locate_one).collect()
}

pub(super) fn no_zone(file: &InputFile, schema: &Schema, column: &str) -> Error {
    Error::input(
        &file.name,
        format!("column {column}: expected times with a zone, found times without"),
        format!(
            "say what zone its clocks showed: --time-zone Asia/Shanghai, or time_zone in the configuration's [{}]",
            schema.table
        ),
    )
}

pub(super) fn no_unit(file: &InputFile, schema: &Schema, column: &str) -> Error {
    Error::input(
        &file.name,
        format!("column {column}: expected a timestamp, found integers"),
        format!(
            "say what they count: --time-unit s|ms|us|ns, or time_unit in the configuration's [{}]",
            schema.table
        ),
    )
}

/// A column whose every cell is the value of a partition folder.
pub(super) fn constant(
    file: &InputFile,
    schema: &Schema,
    spec: &ColumnSpec,
    value: &str,
    rows: usize,
    clock: Clock<'_>,
    ids: &mut [IdTable],
) -> Result<Column> {
    Ok(match spec.kind {
        Kind::Id(_) if value.is_empty() => Column::Ids(vec![NO_KEY; rows]),
        Kind::Id(table) => {
            let mut buffer = String::new();
            let kind = ids[table].ids().kind();
            let key = match crate::ids::convert(Id::Text(value), kind, &mut buffer) {
                Some(id) => ids[table].key_or_insert(id),
                None => BAD_KEY,
            };
            Column::Ids(vec![key; rows])
        }
        Kind::Token(table) => {
            let table = &mut ids[table];
            let key = match value {
                "" => NO_KEY,
                // A folder's text beside a column of integers would need a table of its own; there is no such column.
                value if table.ids().kind() == IdType::Text => table.key_or_insert(Id::Text(value)),
                _ => BAD_KEY,
            };
            Column::Tokens(vec![key; rows].into_iter().collect())
        }
        Kind::Time => {
            let seconds =
                columns::time_from_text(value, clock).ok_or_else(|| no_zone(file, schema, spec.name))?;
            Column::Times(vec![seconds; rows])
        }
        Kind::Word(words) => Column::Words(vec![columns::word(value, words); rows]),
        Kind::Celsius | Kind::Sensor => Column::Celsius(vec![columns::degrees(value, spec.kind); rows]),
        Kind::Text => Column::Texts(vec![(!value.is_empty()).then(|| value.to_string()); rows]),
    })
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// `f()`, or `None` if it panicked. Decoders of foreign formats have panics that hostile bytes can reach; such a
/// file costs an error with its name, not the process, and no backtrace with its content on the screen.
pub(super) fn quiet_panics<T>(f: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                before(info);
            }
        }));
    });
    let outer = QUIET.replace(true);
    let result = catch_unwind(AssertUnwindSafe(f)).ok();
    QUIET.set(outer);
    result
}
