//! A copy of a day's visits, written a row group at a time: neither its columns nor its bytes are ever whole in memory.
//!
//! ```text
//! rows in order ──1,024 pages──▶ row group ──column by column, in parallel──▶ pages ──▶ file, hashed as it goes
//!                                                                               └─▶ page index
//! ```

use std::path::Path;

use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::{BoundaryOrder, Encoding, Type};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedFileWriter, SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use rayon::prelude::*;

use crate::error::Result;
use crate::store::delta;
use crate::store::format::{self, COLUMNS, Layout, Order, PAGED_COLUMNS, order_key};
use crate::store::manifest::DataFile;
use crate::store::pages::{Index, Place};
use crate::store::publish::{ContentFile, parquet_failed};
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
pub struct Stay {
    /// Person key.
    pub person: u32,
    /// Venue key.
    pub venue: u32,
    /// Start.
    pub arrived: Second,
    /// End.
    pub left: Second,
}

impl Row for Stay {
    #[inline]
    fn visit(&self) -> Visit {
        let Stay { person, venue, arrived, left } = *self;
        Visit { person, venue, arrived, left, seen_until: left, end_source: EndSource::CheckOut }
    }
}

/// A copy in the making.
pub struct CopyFile<T> {
    file: SerializedFileWriter<ContentFile>,
    order: Order,
    layout: Layout,
    index: Index,
    /// Rows of the row group in the making.
    group: Vec<T>,
    rows: u64,
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
        let file = ContentFile::create(store, folder)?;
        let writer =
            ArrowWriter::try_new(file, format::visits_schema(), Some(format::visits_settings(layout)))
                .and_then(ArrowWriter::into_serialized_writer);
        let (file, _) = writer.map_err(|e| parquet_failed(&store.join(folder), e))?;
        let index = Index::new(layout.page_rows, PAGED_COLUMNS.len());
        let (group, arrived_min) = (Vec::new(), Second::MAX);
        Ok(CopyFile { file, order, layout, index, group, rows: 0, last: 0, arrived_min, left_max: 0 })
    }

    /// Appends rows, which come in the order of the copy.
    ///
    /// # Panics
    /// If they do not.
    pub fn push(&mut self, mut rows: &[T]) -> Result<()> {
        let most = self.layout.page_rows * self.layout.group_pages;
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

    /// Whether it has no rows yet.
    pub fn is_empty(&self) -> bool {
        self.rows == 0 && self.group.is_empty()
    }

    /// Ends the file and puts it in its place, with its page index beside it.
    pub fn finish(mut self, store: &Path) -> Result<Copied> {
        let group = std::mem::take(&mut self.group);
        if !group.is_empty() {
            self.write_group(&group)?;
        }
        drop(group);
        let (arrived_min, left_max, rows) = (self.arrived_min, self.left_max, self.rows);
        let file = self.file.into_inner().map_err(|e| parquet_failed(store, e))?;
        Ok(Copied { file: file.finish(store, rows, &self.index.finish())?, arrived_min, left_max })
    }

    fn write_group(&mut self, rows: &[T]) -> Result<()> {
        let starts = self.check(rows);
        let page_rows = self.layout.page_rows;
        let descr = |column: usize| self.file.schema_descr().column(column);
        let columns: Vec<ColumnDescPtr> = (0..COLUMNS).map(descr).collect();
        let encoded: std::result::Result<Vec<Encoded>, ParquetError> = columns
            .into_par_iter()
            .enumerate()
            .map(|(at, column)| match at {
                0 => encode(rows, page_rows, column, |v| v.person),
                1 => encode(rows, page_rows, column, |v| v.venue),
                2 => encode(rows, page_rows, column, |v| v.arrived),
                3 => encode(rows, page_rows, column, |v| v.left - v.arrived),
                4 => encode(rows, page_rows, column, |v| v.left - v.seen_until),
                _ => encode(rows, page_rows, column, |v| u32::from(v.end_source as u8)),
            })
            .collect();
        let (places, bounds) = encoded
            .and_then(|encoded| self.append(encoded))
            .map(|places| (places, rows.chunks(page_rows).map(|page| self.bound(page)).collect::<Vec<_>>()))
            .map_err(|e| self.file.inner().failed(e))?;
        for (page, rows) in rows.chunks(page_rows).enumerate() {
            self.index.push(rows.len(), starts[page], bounds[page], places.iter().map(|column| column[page]));
        }
        self.rows += rows.len() as u64;
        Ok(())
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

    /// Appends the columns of a row group; returns where the pages of those lie that are read page by page.
    fn append(&mut self, columns: Vec<Encoded>) -> std::result::Result<Vec<Vec<Place>>, ParquetError> {
        let mut start = self.file.bytes_written() as u64;
        let mut group = self.file.next_row_group()?;
        let mut places = Vec::with_capacity(columns.len());
        for Encoded { bytes, places: mut pages, close } in columns {
            pages.iter_mut().for_each(|place| place.offset += start);
            start += bytes.len() as u64;
            group.append_column(&bytes, close)?;
            places.push(pages);
        }
        group.close()?;
        places.truncate(PAGED_COLUMNS.len());
        Ok(places)
    }
}

/// A column of a row group.
struct Encoded {
    bytes: Bytes,
    places: Vec<Place>,
    close: ColumnCloseResult,
}

/// Encodes one column of rows, with the statistics that let other readers skip pages.
fn encode<T: Row>(
    rows: &[T],
    page_rows: usize,
    column: ColumnDescPtr,
    cell: impl Fn(Visit) -> u32,
) -> std::result::Result<Encoded, ParquetError> {
    let mut sink = TrackedWrite::new(Vec::with_capacity(rows.len()));
    let mut writer = SerializedPageWriter::new(&mut sink);
    let (mut offsets, mut index) = (OffsetIndexBuilder::new(), ColumnIndexBuilder::new(Type::INT32));
    let mut places = Vec::with_capacity(rows.len().div_ceil(page_rows));
    let (mut cells, mut data) = (Vec::with_capacity(page_rows), Vec::new());
    let (mut before, mut least, mut most, mut rising) = ((0, 0), u32::MAX, 0, true);
    for page in rows.chunks(page_rows) {
        cells.clear();
        cells.extend(page.iter().map(|row| cell(row.visit())));
        data.clear();
        delta::encode(&cells, &mut data);
        let low = cells.iter().fold(u32::MAX, |low, cell| low.min(*cell));
        let high = cells.iter().fold(0, |high, cell| high.max(*cell));
        rising &= before.0 <= low && before.1 <= high;
        before = (low, high);
        (least, most) = (least.min(low), most.max(high));
        index.append(false, low.to_le_bytes().into(), high.to_le_bytes().into(), 0, None);
        let count = page.len() as u32;
        let whole = Page::DataPageV2 {
            buf: Bytes::copy_from_slice(&data),
            num_values: count,
            encoding: Encoding::DELTA_BINARY_PACKED,
            num_nulls: 0,
            num_rows: count,
            def_levels_byte_len: 0,
            rep_levels_byte_len: 0,
            is_compressed: false,
            statistics: None,
        };
        let spec = writer.write_page(CompressedPage::new(whole, data.len()))?;
        offsets.append_row_count(i64::from(count));
        offsets.append_offset_and_size(spec.offset as i64, spec.bytes_written as i32);
        let header = spec.bytes_written - data.len() as u64;
        let (offset, length) = (spec.offset + header, data.len() as u32);
        places.push(Place { offset, length, check: crc32fast::hash(&data) });
    }
    let bytes = Bytes::from(sink.into_inner()?);
    index.set_boundary_order(if rising { BoundaryOrder::ASCENDING } else { BoundaryOrder::UNORDERED });
    let metadata = ColumnChunkMetaData::builder(column)
        .set_encodings(vec![Encoding::DELTA_BINARY_PACKED])
        .set_num_values(rows.len() as i64)
        .set_total_compressed_size(bytes.len() as i64)
        .set_total_uncompressed_size(bytes.len() as i64)
        .set_data_page_offset(0)
        .set_statistics(Statistics::int32(Some(least as i32), Some(most as i32), None, Some(0), false))
        .build()?;
    let close = ColumnCloseResult {
        bytes_written: bytes.len() as u64,
        rows_written: rows.len() as u64,
        metadata,
        bloom_filter: None,
        column_index: Some(index.build()?),
        offset_index: Some(offsets.build()),
    };
    Ok(Encoded { bytes, places, close })
}
