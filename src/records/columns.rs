//! Cells of foreign tables as checked columns: ids to local keys, times to UTC seconds, words to small numbers.

use std::borrow::Cow;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Int64Type, TimeUnit as ArrowUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt64Type,
};
use jiff::tz::TimeZone;

use crate::config::TimeUnit;
use crate::ids::{Id, IdTable, IdType, NO_KEY, SIGN};
use crate::records::rejects::Reason;
use crate::time::{self, Reading};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Identifiers, collected in the file's id table of this number.
    Id(usize),
    /// Identifiers of the large tables: integers stay numbers, only texts are collected in the table, for looking up each
    /// of billions would cost more than finding the distinct ones later.
    Token(usize),
    /// Instants.
    Time,
    /// One of these words, lower case.
    Word(&'static [&'static str]),
    /// Any text.
    Text,
    /// Temperatures in degrees Celsius.
    Celsius,
    /// As [`Kind::Celsius`], beside something else: a reading that is no temperature of a person, such as the 0 of a sensor
    /// that is switched off, counts as empty and does not spoil its row.
    Sensor,
}

/// The checked cells of one column of one batch.
#[derive(Debug)]
pub enum Column {
    /// Keys into the file's id table; [`NO_KEY`] where empty, [`BAD_KEY`] where unreadable.
    Ids(Vec<u32>),
    /// A number for each id.
    Tokens(Tokens),
    /// UTC seconds in `0..FOREVER`, or one of the negative marks below.
    Times(Vec<i64>),
    /// Index of the word, [`NO_WORD`] or [`BAD_WORD`].
    Words(Vec<u8>),
    /// Texts; empty ones are `None`.
    Texts(Vec<Option<String>>),
    /// Hundredths of a degree, [`NO_CELSIUS`] or [`BAD_CELSIUS`].
    Celsius(Vec<i32>),
}

/// Ids as numbers: tokens of integers, in the order of the ids, or keys of texts in the file's id table.
#[derive(Debug, Default)]
pub struct Tokens {
    /// A number a row; of no meaning where the cell has a fault.
    pub cells: Vec<u64>,
    /// Rows without a readable id, in order; `None` where the cell is empty.
    pub faults: Vec<(usize, Option<Reason>)>,
}

impl Tokens {
    fn push_key(&mut self, key: u32) {
        match key {
            NO_KEY => self.faults.push((self.cells.len(), None)),
            BAD_KEY => self.faults.push((self.cells.len(), Some(Reason::Unreadable))),
            _ => {}
        }
        self.cells.push(u64::from(key));
    }
}

impl FromIterator<u32> for Tokens {
    /// The keys of texts, [`NO_KEY`] where empty, [`BAD_KEY`] where unreadable.
    fn from_iter<I: IntoIterator<Item = u32>>(keys: I) -> Self {
        let mut tokens = Tokens::default();
        keys.into_iter().for_each(|key| tokens.push_key(key));
        tokens
    }
}

/// An id that cannot be read.
pub const BAD_KEY: u32 = NO_KEY - 1;
/// An empty time cell.
pub const NO_TIME: i64 = -1;
/// A time cell that is no time.
pub const BAD_TIME: i64 = -2;
/// A time outside `0..FOREVER`.
pub const FAR_TIME: i64 = -3;
/// An empty temperature cell.
pub const NO_CELSIUS: i32 = i32::MIN;
/// A temperature cell that is no temperature of a person.
pub const BAD_CELSIUS: i32 = i32::MIN + 1;
/// An empty word cell.
pub const NO_WORD: u8 = u8::MAX;
/// A text whose bytes are not UTF-8. Two such texts must not pass for equal, so the row is rejected.
pub const BAD_TEXT: &str = "\u{FFFD}";
/// A word that is none of the column's.
pub const BAD_WORD: u8 = u8::MAX - 1;

impl Column {
    /// What is wrong with the cell at `row`; an empty cell only if `required`.
    pub fn fault(&self, row: usize, required: bool) -> Option<Reason> {
        let missing = required.then_some(Reason::Missing);
        match self {
            Column::Ids(keys) => match keys[row] {
                NO_KEY => missing,
                BAD_KEY => Some(Reason::Unreadable),
                _ => None,
            },
            Column::Tokens(tokens) => match tokens.faults.binary_search_by_key(&row, |(row, _)| *row) {
                Ok(at) => tokens.faults[at].1.or(missing),
                Err(_) => None,
            },
            Column::Times(times) => match times[row] {
                NO_TIME => missing,
                BAD_TIME => Some(Reason::Unreadable),
                FAR_TIME => Some(Reason::TimeOutOfRange),
                _ => None,
            },
            Column::Words(words) => match words[row] {
                NO_WORD => missing,
                BAD_WORD => Some(Reason::UnknownWord),
                _ => None,
            },
            Column::Celsius(degrees) => match degrees[row] {
                NO_CELSIUS => missing,
                BAD_CELSIUS => Some(Reason::Unreadable),
                _ => None,
            },
            Column::Texts(texts) => match texts[row].as_deref() {
                None => missing,
                Some(BAD_TEXT) => Some(Reason::Unreadable),
                Some(_) => None,
            },
        }
    }
}

impl Column {
    /// Whether no cell has a fault: what [`fault`](Self::fault) says of every row, in one pass without branches.
    pub fn is_clean(&self, required: bool) -> bool {
        match self {
            Column::Ids(keys) if required => keys.iter().all(|key| *key < BAD_KEY),
            Column::Ids(keys) => keys.iter().all(|key| *key != BAD_KEY),
            Column::Tokens(tokens) if required => tokens.faults.is_empty(),
            Column::Tokens(tokens) => tokens.faults.iter().all(|(_, reason)| reason.is_none()),
            Column::Times(times) => {
                let least = if required { 0 } else { NO_TIME };
                times.iter().fold(true, |clean, time| clean & (least <= *time))
            }
            Column::Words(words) => {
                words.iter().all(|word| *word < BAD_WORD || !required && *word == NO_WORD)
            }
            Column::Texts(texts) => (0..texts.len()).all(|row| self.fault(row, required).is_none()),
            Column::Celsius(degrees) => (0..degrees.len()).all(|row| self.fault(row, required).is_none()),
        }
    }
}

/// UTC seconds of `value` units since 1970, or [`FAR_TIME`].
pub fn in_range(value: i64, unit: TimeUnit) -> i64 {
    clamp(value.div_euclid(unit.per_second()))
}

fn clamp(seconds: i64) -> i64 {
    if (0..i64::from(time::FOREVER)).contains(&seconds) { seconds } else { FAR_TIME }
}

/// Whether a Parquet column of this type can be read as `kind`; if not, what was expected.
pub fn expected_type(kind: Kind, found: &DataType) -> Option<&'static str> {
    let text = matches!(found, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let text =
        text || matches!(found, DataType::Dictionary(_, value) if expected_type(Kind::Text, value).is_none());
    let null = matches!(found, DataType::Null);
    match kind {
        Kind::Id(_) | Kind::Token(_) => (!text && !found.is_integer()).then_some("text or integers"),
        Kind::Time => {
            let time = matches!(found, DataType::Timestamp(_, _) | DataType::Date32);
            (!time && !found.is_integer() && !null)
                .then_some("Timestamp, Date32 or integers with a time unit")
        }
        Kind::Word(_) | Kind::Text => (!text && !null).then_some("text"),
        Kind::Celsius | Kind::Sensor => (!text && !null && !found.is_numeric()).then_some("degrees Celsius"),
    }
}

/// How the integers and zoneless readings of one column become UTC seconds.
#[derive(Clone, Copy)]
pub struct Clock<'a> {
    /// Unit of integers.
    pub unit: Option<TimeUnit>,
    /// Zone of zoneless readings.
    pub zone: Option<&'a TimeZone>,
}

/// The Arrow array as checked cells. Its type has passed [`expected_type`] and the reader's checks of unit and zone.
pub fn from_arrow(
    array: &ArrayRef,
    kind: Kind,
    clock: Clock<'_>,
    ids: &mut [IdTable],
) -> Result<Column, String> {
    match kind {
        Kind::Id(table) => id_keys(array, &mut ids[table]).map(Column::Ids),
        Kind::Token(table) => tokens(array, &mut ids[table]).map(Column::Tokens),
        Kind::Time => times(array, clock).map(Column::Times),
        Kind::Word(words) => {
            let text = as_text(array)?;
            let text = text.as_string::<i32>();
            Ok(Column::Words(
                text.iter().map(|cell| cell.map_or(NO_WORD, |cell| word(cell, words))).collect(),
            ))
        }
        Kind::Celsius | Kind::Sensor => {
            // The shortest text of a float is the decimal that was meant.
            let text = as_text(array)?;
            let cells = text.as_string::<i32>().iter();
            let read = |cell| degrees(cell, kind);
            Ok(Column::Celsius(cells.map(|cell| cell.map_or(NO_CELSIUS, read)).collect()))
        }
        Kind::Text => {
            let text = as_text(array)?;
            let text = text.as_string::<i32>();
            Ok(Column::Texts(
                text.iter().map(|cell| cell.filter(|c| !c.is_empty()).map(String::from)).collect(),
            ))
        }
    }
}

fn as_text(array: &ArrayRef) -> Result<ArrayRef, String> {
    cast(array, &DataType::Utf8).map_err(|e| e.to_string())
}

/// The index of `cell` among `words`, whatever its case; an empty cell is no word.
pub fn word(cell: &str, words: &[&str]) -> u8 {
    let cell = cell.trim();
    if cell.is_empty() {
        return NO_WORD;
    }
    words.iter().position(|w| w.eq_ignore_ascii_case(cell)).map_or(BAD_WORD, |at| at as u8)
}

/// Hundredths of a degree in a cell of a column of temperatures.
pub fn degrees(cell: &str, kind: Kind) -> i32 {
    match celsius(cell) {
        BAD_CELSIUS if kind == Kind::Sensor => NO_CELSIUS,
        degrees => degrees,
    }
}

/// Hundredths of a degree in a decimal such as `37.3`; nobody is colder than 20 or warmer than 50 degrees.
pub fn celsius(cell: &str) -> i32 {
    let cell = cell.trim();
    if cell.is_empty() {
        return NO_CELSIUS;
    }
    let (whole, part) = cell.split_once('.').unwrap_or((cell, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let part = part.trim_end_matches('0');
    if whole.len() != 2 || !digits(whole) || part.len() > 2 || !digits(part) {
        return BAD_CELSIUS;
    }
    let hundredths = format!("{whole}{part:0<2}").parse().unwrap_or(BAD_CELSIUS);
    if (2_000..=5_000).contains(&hundredths) { hundredths } else { BAD_CELSIUS }
}

/// The type ids of a Parquet column of this type have.
pub fn id_type(found: &DataType) -> IdType {
    match found {
        DataType::UInt64 => IdType::Uint,
        found if found.is_integer() => IdType::Int,
        _ => IdType::Text,
    }
}

fn id_keys(array: &ArrayRef, table: &mut IdTable) -> Result<Vec<u32>, String> {
    let kind = table.ids().kind();
    let array = cast(array, &kind.arrow()).map_err(|e| e.to_string())?;
    Ok(match kind {
        IdType::Int => int_keys(array.as_primitive::<Int64Type>(), table, |id| id),
        IdType::Uint => int_keys(array.as_primitive::<UInt64Type>(), table, |id| id as i64),
        IdType::Text => text_keys(array.as_string::<i32>(), table).collect(),
    })
}

fn int_keys<T: ArrowPrimitiveType>(
    cells: &PrimitiveArray<T>,
    table: &mut IdTable,
    bits: impl Fn(T::Native) -> i64,
) -> Vec<u32> {
    if cells.null_count() > 0 {
        let key = |cell: Option<T::Native>| cell.map_or(NO_KEY, |id| table.int_key_or_insert(bits(id)));
        return cells.iter().map(key).collect();
    }
    cells.values().iter().map(|id| table.int_key_or_insert(bits(*id))).collect()
}

fn tokens(array: &ArrayRef, table: &mut IdTable) -> Result<Tokens, String> {
    let kind = table.ids().kind();
    let array = cast(array, &kind.arrow()).map_err(|e| e.to_string())?;
    let cells = match kind {
        IdType::Int => {
            array.as_primitive::<Int64Type>().values().iter().map(|id| *id as u64 ^ SIGN).collect()
        }
        IdType::Uint => array.as_primitive::<UInt64Type>().values().to_vec(),
        IdType::Text => return Ok(text_keys(array.as_string::<i32>(), table).collect()),
    };
    let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
    let faults = nulls.map_or(Vec::new(), |nulls| {
        (0..array.len()).filter(|row| nulls.is_null(*row)).map(|row| (row, None)).collect()
    });
    Ok(Tokens { cells, faults })
}

/// An empty text is no id: a list that says "person ''" is red helps no one.
fn text_keys(cells: &StringArray, table: &mut IdTable) -> impl Iterator<Item = u32> {
    let key = |cell: Option<&str>| match cell {
        None | Some("") => NO_KEY,
        Some(id) => table.key_or_insert(Id::Text(id)),
    };
    cells.iter().map(key)
}

fn times(array: &ArrayRef, clock: Clock<'_>) -> Result<Vec<i64>, String> {
    let zone_of_wall = match array.data_type() {
        DataType::Timestamp(_, None) | DataType::Date32 => clock.zone,
        _ => None,
    };
    let unit = match array.data_type() {
        DataType::Timestamp(ArrowUnit::Second, _) => TimeUnit::Second,
        DataType::Timestamp(ArrowUnit::Millisecond, _) => TimeUnit::Millisecond,
        DataType::Timestamp(ArrowUnit::Microsecond, _) => TimeUnit::Microsecond,
        DataType::Timestamp(ArrowUnit::Nanosecond, _) => TimeUnit::Nanosecond,
        DataType::Null => return Ok(vec![NO_TIME; array.len()]),
        DataType::Date32 => TimeUnit::Second,
        _ => clock.unit.ok_or("integers without a time unit")?,
    };
    let cells: Cow<'_, [i64]> = match array.data_type() {
        DataType::Timestamp(ArrowUnit::Second, _) => {
            array.as_primitive::<TimestampSecondType>().values()[..].into()
        }
        DataType::Timestamp(ArrowUnit::Millisecond, _) => {
            array.as_primitive::<TimestampMillisecondType>().values()[..].into()
        }
        DataType::Timestamp(ArrowUnit::Microsecond, _) => {
            array.as_primitive::<TimestampMicrosecondType>().values()[..].into()
        }
        DataType::Timestamp(ArrowUnit::Nanosecond, _) => {
            array.as_primitive::<TimestampNanosecondType>().values()[..].into()
        }
        DataType::Date32 => {
            array.as_primitive::<Date32Type>().values().iter().map(|d| i64::from(*d) * 86_400).collect()
        }
        DataType::UInt64 => {
            let cells = array.as_primitive::<UInt64Type>().values();
            cells.iter().map(|v| i64::try_from(*v).unwrap_or(i64::MAX)).collect()
        }
        DataType::Int64 => array.as_primitive::<Int64Type>().values()[..].into(),
        _ => {
            let wide = cast(array, &DataType::Int64).map_err(|e| e.to_string())?;
            wide.as_primitive::<Int64Type>().values().to_vec().into()
        }
    };
    let mut seconds: Vec<i64> = match (zone_of_wall, unit) {
        (Some(zone), _) => {
            let utc = |value: &i64| time::local_to_utc(value.div_euclid(unit.per_second()), zone);
            cells.iter().map(|value| utc(value).map_or(FAR_TIME, clamp)).collect()
        }
        // Each unit by itself: a division by a constant costs a tenth of one by a number.
        (None, TimeUnit::Second) => cells.iter().map(|value| clamp(*value)).collect(),
        (None, TimeUnit::Millisecond) => cells.iter().map(|value| clamp(value.div_euclid(1_000))).collect(),
        (None, TimeUnit::Microsecond) => {
            cells.iter().map(|value| clamp(value.div_euclid(1_000_000))).collect()
        }
        (None, TimeUnit::Nanosecond) => {
            cells.iter().map(|value| clamp(value.div_euclid(1_000_000_000))).collect()
        }
    };
    if let Some(nulls) = array.nulls().filter(|nulls| nulls.null_count() > 0) {
        seconds
            .iter_mut()
            .enumerate()
            .filter(|(row, _)| nulls.is_null(*row))
            .for_each(|(_, cell)| *cell = NO_TIME);
    }
    Ok(seconds)
}

/// A CSV cell as UTC seconds or a mark: an integer where the table has a time unit, else text of a date and time.
/// `None` where the reading is zoneless and no zone is known.
pub fn time_from_text(cell: &str, clock: Clock<'_>) -> Option<i64> {
    let cell = cell.trim();
    if cell.is_empty() {
        return Some(NO_TIME);
    }
    if let (Some(unit), Ok(value)) = (clock.unit, cell.parse::<i64>()) {
        return Some(in_range(value, unit));
    }
    match time::parse_instant(cell, clock.zone) {
        Reading::At(seconds) => Some(clamp(seconds)),
        Reading::Zoneless => None,
        Reading::Nothing => Some(BAD_TIME),
    }
}
