//! A copy of a day's visits, written a row group at a time.
//!
//! ```text
//! rows in order ──1,024 pages──▶ row group ──column by column, in parallel──▶ pages ──▶ file, hashed as it goes
//!                                                                               └─▶ page index
//! ```

use std::path::Path;

use rayon::prelude::*;

use crate::error::Result;
use crate::store::format::{Layout, Order, PAGED_COLUMNS, order_key, visits_schema};
use crate::store::manifest::DataFile;
use crate::store::paged::{PagedWriter, encode};
use crate::time::Second;
use crate::visits::{EndSource, Visit};

/// A visit as a row of a copy.
pub trait Row: Copy + Send + Sync {
    /// The visit.
    fn visit(&self) -> Visit;
}

impl Row for Visit {
    fn visit(&self) -> Visit {
        *self
    }
}

/// A visit of a table of visits: seen until it ends, by its own word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatedStay {
    /// Person key.
    pub person: u32,
    /// Venue key.
    pub venue: u32,
    /// Start.
    pub arrived: Second,
    /// End.
    pub left: Second,
}

impl Row for StatedStay {
    #[inline]
    fn visit(&self) -> Visit {
        let StatedStay { person, venue, arrived, left } = *self;
        Visit { person, venue, arrived, left, seen_until: left, end_source: EndSource::CheckOut }
    }
}

/// A copy in the making.
pub struct CopyFile<T> {
    file: PagedWriter,
    order: Order,
    layout: Layout,
    /// Rows of the row group in the making.
    group: Vec<T>,
    last: u64,
    arrived_min: Second,
    left_max: Second,
}

/// A finished copy: its file, first arrival and last departure.
pub struct Copied {
    /// Its file.
    pub file: DataFile,
    /// First arrival.
    pub arrived_min: Second,
    /// Last departure.
    pub left_max: Second,
}

impl<T: Row> CopyFile<T> {
    /// An empty one in `store/folder`.
    ///
    /// # Errors
    /// `storage`; so of the functions below.
    pub fn create(store: &Path, folder: &str, order: Order, layout: Layout) -> Result<CopyFile<T>> {
        let file = PagedWriter::create(store, folder, visits_schema(), layout, PAGED_COLUMNS.len())?;
        let (group, arrived_min) = (Vec::new(), Second::MAX);
        Ok(CopyFile { file, order, layout, group, last: 0, arrived_min, left_max: 0 })
    }

    /// Appends rows, which come in the order of the copy.
    ///
    /// # Panics
    /// If they do not.
    pub fn push(&mut self, mut rows: &[T]) -> Result<()> {
        let most = self.layout.group_rows();
        while !rows.is_empty() {
            let (now, later) = rows.split_at((most - self.group.len()).min(rows.len()));
            rows = later;
            if now.len() == most {
                self.write_group(now)?;
                continue;
            }
            self.group.extend_from_slice(now);
            if self.group.len() == most {
                let group = std::mem::take(&mut self.group);
                self.write_group(&group)?;
                self.group = group;
                self.group.clear();
            }
        }
        Ok(())
    }

    /// Ends the file and puts it in its place, with its page index beside it.
    pub fn finish(mut self, store: &Path) -> Result<Copied> {
        let group = std::mem::take(&mut self.group);
        if !group.is_empty() {
            self.write_group(&group)?;
        }
        drop(group);
        let (arrived_min, left_max) = (self.arrived_min, self.left_max);
        Ok(Copied { file: self.file.finish(store)?, arrived_min, left_max })
    }

    fn write_group(&mut self, rows: &[T]) -> Result<()> {
        let starts = self.check(rows);
        let page_rows = self.layout.page_rows;
        let columns = self.file.columns().into_par_iter().enumerate().map(|(at, column)| {
            // Each by itself, so that the cell is known where it is encoded.
            match at {
                0 => encode(rows, page_rows, column, 0, |row| row.visit().person),
                1 => encode(rows, page_rows, column, 0, |row| row.visit().venue),
                2 => encode(rows, page_rows, column, 0, |row| row.visit().arrived),
                3 => encode(rows, page_rows, column, 0, |row| row.visit().left - row.visit().arrived),
                4 => encode(rows, page_rows, column, 0, |row| row.visit().left - row.visit().seen_until),
                _ => encode(rows, page_rows, column, 0, |row| u32::from(row.visit().end_source as u8)),
            }
        });
        let columns: Vec<_> = columns.collect();
        let pages: Vec<(usize, u64, Second)> = rows
            .chunks(page_rows)
            .zip(starts)
            .map(|(page, start)| (page.len(), start, self.bound(page)))
            .collect();
        self.file.write_group(columns, pages.into_iter())
    }

    /// Order keys of the rows at which pages begin.
    fn check(&mut self, rows: &[T]) -> Vec<u64> {
        let order = self.order;
        let key = |row: &T| {
            let visit = row.visit();
            order_key(if order == Order::Person { visit.person } else { visit.venue }, visit.arrived)
        };
        assert!(key(&rows[0]) >= self.last && rows.is_sorted_by_key(key), "visits are sorted");
        self.last = key(&rows[rows.len() - 1]);
        rows.iter().step_by(self.layout.page_rows).map(key).collect()
    }

    /// The greatest departure of a page.
    fn bound(&mut self, page: &[T]) -> Second {
        let least = page.iter().fold(Second::MAX, |least, row| least.min(row.visit().arrived));
        let most = page.iter().fold(0, |most, row| most.max(row.visit().left));
        self.arrived_min = self.arrived_min.min(least);
        self.left_max = self.left_max.max(most);
        most
    }
}
