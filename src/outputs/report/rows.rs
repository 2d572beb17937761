//! Columns of a night's tables, cell by cell.

use std::collections::HashMap;
use std::hash::Hash;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType, UInt8Type, UInt32Type};
use jiff::civil::Date;

use crate::error::{Error, Result};
use crate::outputs::csv::plain;
use crate::time::Second;

/// The rows of a table, of which some columns were read.
pub struct Rows {
    batch: RecordBatch,
    name: String,
}

impl Rows {
    /// Rows of the table of that name.
    pub fn new(batch: RecordBatch, name: &str) -> Rows {
        Rows { batch, name: name.into() }
    }

    /// The first so many of them.
    pub fn first(&self, rows: usize) -> Rows {
        Rows { batch: self.batch.slice(0, rows), name: self.name.clone() }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    fn column(&self, name: &str) -> Result<&ArrayRef> {
        self.batch.column_by_name(name).ok_or_else(|| Error::damaged(&self.name, format!("no column {name}")))
    }

    /// The texts of a column.
    pub fn texts(&self, name: &str) -> Result<Vec<Option<&str>>> {
        let cells = self.column(name)?.as_string_opt::<i32>();
        let cells = cells.ok_or_else(|| Error::damaged(&self.name, format!("{name} is no text")))?;
        Ok(cells.iter().collect())
    }

    /// The ids of a column, as texts.
    pub fn ids(&self, name: &str) -> Result<Vec<String>> {
        let column = self.column(name)?;
        Ok((0..self.len()).map(|row| plain(column, row).unwrap_or_default()).collect())
    }

    /// The whole numbers of a column.
    pub fn numbers(&self, name: &str) -> Result<Vec<Option<i64>>> {
        let column = self.column(name)?;
        let wrong = || Error::damaged(&self.name, format!("{name} is no number"));
        if let Some(cells) = column.as_primitive_opt::<Int64Type>() {
            return Ok(cells.iter().collect());
        }
        if let Some(cells) = column.as_primitive_opt::<UInt32Type>() {
            return Ok(cells.iter().map(|cell| cell.map(i64::from)).collect());
        }
        let cells = column.as_primitive_opt::<UInt8Type>().ok_or_else(wrong)?;
        Ok(cells.iter().map(|cell| cell.map(i64::from)).collect())
    }

    /// The instants of a column.
    pub fn instants(&self, name: &str) -> Result<Vec<Option<Second>>> {
        let cells = self.column(name)?.as_primitive_opt::<TimestampMicrosecondType>();
        let cells = cells.ok_or_else(|| Error::damaged(&self.name, format!("{name} is no time")))?;
        let second = |micros: i64| Second::try_from(micros.div_euclid(1_000_000)).unwrap_or_default();
        Ok(cells.iter().map(|cell| cell.map(second)).collect())
    }

    /// The days of a column.
    pub fn dates(&self, name: &str) -> Result<Vec<Option<Date>>> {
        let column = self.column(name)?;
        Ok((0..self.len()).map(|row| plain(column, row).and_then(|text| text.parse().ok())).collect())
    }
}

/// How often each key comes, in the order of the keys.
pub fn tally<K: Hash + Ord>(keys: impl IntoIterator<Item = K>) -> Vec<(K, u64)> {
    let mut counts: HashMap<K, u64> = HashMap::new();
    keys.into_iter().for_each(|key| *counts.entry(key).or_default() += 1);
    let mut counts: Vec<(K, u64)> = counts.into_iter().collect();
    counts.sort_unstable();
    counts
}

/// The nearest-rank quantile of sorted values: the smallest that at least `percent` percent do not exceed.
pub fn quantile(sorted: &[i64], percent: usize) -> Option<i64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// `part` of `whole` in tenths of a percent, rounded; what is not all is not 100 percent.
pub fn share(part: u64, whole: u64) -> Option<i64> {
    let rounded = |whole: u128| ((u128::from(part) * 1_000 + whole / 2) / whole) as i64;
    let share = (whole > 0).then(|| rounded(whole.into()))?;
    Some(if part < whole { share.min(999) } else { share })
}

/// `part` for every 100,000 of `whole`, in tenths, rounded.
pub fn rate(part: u64, whole: u64) -> Option<i64> {
    let whole_wide = u128::from(whole);
    (whole > 0).then(|| ((u128::from(part) * 1_000_000 + whole_wide / 2) / whole_wide) as i64)
}

/// `sum` over `number`, in tenths, rounded half up.
pub fn mean(sum: u64, number: u64) -> Option<i64> {
    (number > 0).then(|| ((sum * 10 + number / 2) / number) as i64)
}
