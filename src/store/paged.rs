//! A file of dense integers with its page index, written a row group at a time: neither its columns nor its bytes are ever
//! whole in memory.

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::Schema;
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

use crate::error::Result;
use crate::store::delta::{self, Value};
use crate::store::format::{self, Layout};
use crate::store::manifest::DataFile;
use crate::store::pages::{Index, Place};
use crate::store::publish::{ContentFile, parquet_failed};

/// Such a file in the making.
pub struct PagedWriter {
    file: SerializedFileWriter<ContentFile>,
    /// How many of its columns, from the first, are read page by page.
    paged: usize,
    index: Index,
    rows: u64,
}

impl PagedWriter {
    /// An empty one in `store/folder`, whose first `paged` columns are read page by page.
    ///
    /// # Errors
    /// `storage`; so of the functions below.
    pub fn create(
        store: &Path,
        folder: &str,
        schema: Arc<Schema>,
        layout: Layout,
        paged: usize,
    ) -> Result<PagedWriter> {
        let settings = format::dense(schema.fields().iter().map(|field| field.name().as_str()), layout);
        let writer = ArrowWriter::try_new(ContentFile::create(store, folder)?, schema, Some(settings))
            .and_then(ArrowWriter::into_serialized_writer);
        let (file, _) = writer.map_err(|e| parquet_failed(&store.join(folder), e))?;
        Ok(PagedWriter { file, paged, index: Index::new(layout.page_rows, paged), rows: 0 })
    }

    /// What Parquet calls each column.
    pub fn columns(&self) -> Vec<ColumnDescPtr> {
        self.file.schema_descr().columns().to_vec()
    }

    /// Appends a row group of encoded columns. Of each page: how many rows it has, the order key of its first, and its
    /// greatest bound.
    pub fn write_group(
        &mut self,
        columns: Vec<std::result::Result<Encoded, ParquetError>>,
        pages: impl Iterator<Item = (usize, u64, u32)>,
    ) -> Result<()> {
        let places = columns
            .into_iter()
            .collect::<std::result::Result<Vec<Encoded>, ParquetError>>()
            .and_then(|columns| self.append(columns))
            .map_err(|e| self.file.inner().failed(e))?;
        for (page, (rows, start, bound)) in pages.enumerate() {
            self.index.push(rows, start, bound, places.iter().map(|column| column[page]));
            self.rows += rows as u64;
        }
        Ok(())
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
        places.truncate(self.paged);
        Ok(places)
    }

    /// Ends the file and puts it in its place, with its page index beside it.
    pub fn finish(self, store: &Path) -> Result<DataFile> {
        let file = self.file.into_inner().map_err(|e| parquet_failed(store, e))?;
        file.finish(store, self.rows, &self.index.finish())
    }
}

/// A column of a row group.
pub struct Encoded {
    bytes: Bytes,
    places: Vec<Place>,
    close: ColumnCloseResult,
}

/// Encodes one column of rows, with the statistics that let other readers skip pages. `sign` is what has to be added to
/// cells so that they compare as the column's type does: none for unsigned ones.
pub fn encode<T, V: Value + Ord>(
    rows: &[T],
    page_rows: usize,
    column: ColumnDescPtr,
    sign: V,
    cell: impl Fn(&T) -> V,
) -> std::result::Result<Encoded, ParquetError> {
    let kind = if V::BITS == 32 { Type::INT32 } else { Type::INT64 };
    let bytes_of = |cell: V| cell.signed().to_le_bytes()[..V::BITS / 8].to_vec();
    let mut sink = TrackedWrite::new(Vec::with_capacity(rows.len()));
    let mut writer = SerializedPageWriter::new(&mut sink);
    let (mut offsets, mut index) = (OffsetIndexBuilder::new(), ColumnIndexBuilder::new(kind));
    let mut places = Vec::with_capacity(rows.len().div_ceil(page_rows));
    let (mut cells, mut data) = (Vec::with_capacity(page_rows), Vec::new());
    let mut extremes: Option<(V, V)> = None;
    let (mut before, mut rising) = (None, true);
    for page in rows.chunks(page_rows) {
        cells.clear();
        cells.extend(page.iter().map(&cell));
        data.clear();
        delta::encode(&cells, &mut data);
        let first = cells[0].plus(sign);
        let low = cells.iter().fold(first, |low, cell| low.min(cell.plus(sign)));
        let high = cells.iter().fold(first, |high, cell| high.max(cell.plus(sign)));
        rising &= before.is_none_or(|(before_low, before_high)| before_low <= low && before_high <= high);
        before = Some((low, high));
        extremes = Some(extremes.map_or((low, high), |(least, most)| (low.min(least), high.max(most))));
        index.append(false, bytes_of(low.minus(sign)), bytes_of(high.minus(sign)), 0, None);
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
    let (least, most) =
        extremes.map(|(least, most)| (least.minus(sign).signed(), most.minus(sign).signed())).unzip();
    let statistics = match kind {
        Type::INT32 => {
            Statistics::int32(least.map(|n| n as i32), most.map(|n| n as i32), None, Some(0), false)
        }
        _ => Statistics::int64(least, most, None, Some(0), false),
    };
    let metadata = ColumnChunkMetaData::builder(column)
        .set_encodings(vec![Encoding::DELTA_BINARY_PACKED])
        .set_num_values(rows.len() as i64)
        .set_total_compressed_size(bytes.len() as i64)
        .set_total_uncompressed_size(bytes.len() as i64)
        .set_data_page_offset(0)
        .set_statistics(statistics)
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
