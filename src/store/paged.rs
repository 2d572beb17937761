//! A file of dense integers with its page index, written a row group at a time: neither its columns nor its bytes are ever
//! whole in memory. Results of a trace have columns made of the same pages.

use std::io::Write;
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
use parquet::file::writer::{
    SerializedFileWriter, SerializedPageWriter, SerializedRowGroupWriter, TrackedWrite,
};
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

impl Encoded {
    /// Appends it to a row group.
    ///
    /// # Errors
    /// Those of writing.
    pub fn append_to<W: Write + Send>(
        self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> std::result::Result<(), ParquetError> {
        group.append_column(&self.bytes, self.close)
    }
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
    let mut pages = ColumnPages::new(Encoding::DELTA_BINARY_PACKED, sign);
    let mut cells = Vec::with_capacity(page_rows);
    for page in rows.chunks(page_rows) {
        cells.clear();
        cells.extend(page.iter().map(&cell));
        pages.push(EncodedPage::delta(&cells, sign))?;
    }
    pages.finish(column)
}

/// A page of a column.
pub struct EncodedPage<V> {
    encoding: Encoding,
    sign: V,
    data: Vec<u8>,
    rows: usize,
    /// The smallest and the greatest cell.
    extremes: (V, V),
}

impl<V: Value + Ord> EncodedPage<V> {
    /// Cells as differences; `sign` as in [`encode`].
    ///
    /// # Panics
    /// Without cells; so below.
    pub fn delta(cells: &[V], sign: V) -> EncodedPage<V> {
        let mut data = Vec::with_capacity(4 * cells.len());
        delta::encode(cells, &mut data);
        EncodedPage::new(Encoding::DELTA_BINARY_PACKED, data, cells, sign)
    }

    /// Cells as they are.
    pub fn plain(cells: &[V], sign: V) -> EncodedPage<V> {
        let mut data = Vec::with_capacity(size_of_val(cells));
        cells.iter().for_each(|cell| data.extend_from_slice(&bytes_of(*cell)[..V::BITS / 8]));
        EncodedPage::new(Encoding::PLAIN, data, cells, sign)
    }

    fn new(encoding: Encoding, data: Vec<u8>, cells: &[V], sign: V) -> EncodedPage<V> {
        EncodedPage { encoding, sign, data, rows: cells.len(), extremes: extremes(cells, sign) }
    }
}

fn extremes<V: Value + Ord>(cells: &[V], sign: V) -> (V, V) {
    let first = cells[0].plus(sign);
    let low = cells.iter().fold(first, |low, cell| low.min(cell.plus(sign)));
    let high = cells.iter().fold(first, |high, cell| high.max(cell.plus(sign)));
    (low.minus(sign), high.minus(sign))
}

fn bytes_of<V: Value>(cell: V) -> [u8; 8] {
    cell.signed().to_le_bytes()
}

/// Pages of one column of a row group.
pub struct ColumnPages<V> {
    encoding: Encoding,
    sign: V,
    sink: TrackedWrite<Vec<u8>>,
    places: Vec<Place>,
    offsets: OffsetIndexBuilder,
    index: ColumnIndexBuilder,
    rows: usize,
    /// Of all pages, and of the last.
    extremes: Option<(V, V)>,
    before: Option<(V, V)>,
    rising: bool,
}

impl<V: Value + Ord> ColumnPages<V> {
    /// None yet; `sign` as in [`encode`].
    pub fn new(encoding: Encoding, sign: V) -> ColumnPages<V> {
        ColumnPages {
            encoding,
            sign,
            sink: TrackedWrite::new(Vec::new()),
            places: Vec::new(),
            offsets: OffsetIndexBuilder::new(),
            index: ColumnIndexBuilder::new(kind::<V>()),
            rows: 0,
            extremes: None,
            before: None,
            rising: true,
        }
    }

    /// Appends a page.
    ///
    /// # Errors
    /// Those of encoding.
    ///
    /// # Panics
    /// If it was encoded otherwise than the column.
    pub fn push(&mut self, page: EncodedPage<V>) -> std::result::Result<(), ParquetError> {
        let EncodedPage { encoding, sign, data, rows, extremes: (low, high) } = page;
        assert!(encoding == self.encoding && sign == self.sign, "a page of this column");
        let key = |cell: V| cell.plus(self.sign);
        self.rising &= self.before.is_none_or(|(before_low, before_high)| {
            key(before_low) <= key(low) && key(before_high) <= key(high)
        });
        self.before = Some((low, high));
        self.extremes = Some(self.extremes.map_or((low, high), |(least, most)| {
            (if key(low) < key(least) { low } else { least }, if key(high) > key(most) { high } else { most })
        }));
        let width = V::BITS / 8;
        self.index.append(false, bytes_of(low)[..width].to_vec(), bytes_of(high)[..width].to_vec(), 0, None);
        let (length, check) = (data.len(), crc32fast::hash(&data));
        let whole = Page::DataPageV2 {
            buf: Bytes::from(data),
            num_values: rows as u32,
            encoding: self.encoding,
            num_nulls: 0,
            num_rows: rows as u32,
            def_levels_byte_len: 0,
            rep_levels_byte_len: 0,
            is_compressed: false,
            statistics: None,
        };
        let mut writer = SerializedPageWriter::new(&mut self.sink);
        let spec = writer.write_page(CompressedPage::new(whole, length))?;
        self.offsets.append_row_count(rows as i64);
        self.offsets.append_offset_and_size(spec.offset as i64, spec.bytes_written as i32);
        let header = spec.bytes_written - length as u64;
        self.places.push(Place { offset: spec.offset + header, length: length as u32, check });
        self.rows += rows;
        Ok(())
    }

    /// The column.
    ///
    /// # Errors
    /// Those of encoding.
    pub fn finish(mut self, column: ColumnDescPtr) -> std::result::Result<Encoded, ParquetError> {
        let bytes = Bytes::from(self.sink.into_inner()?);
        let order = if self.rising { BoundaryOrder::ASCENDING } else { BoundaryOrder::UNORDERED };
        self.index.set_boundary_order(order);
        let (least, most) = self.extremes.map(|(least, most)| (least.signed(), most.signed())).unzip();
        let statistics = match kind::<V>() {
            Type::INT32 => {
                Statistics::int32(least.map(|n| n as i32), most.map(|n| n as i32), None, Some(0), false)
            }
            _ => Statistics::int64(least, most, None, Some(0), false),
        };
        let metadata = ColumnChunkMetaData::builder(column)
            .set_encodings(vec![self.encoding])
            .set_num_values(self.rows as i64)
            .set_total_compressed_size(bytes.len() as i64)
            .set_total_uncompressed_size(bytes.len() as i64)
            .set_data_page_offset(0)
            .set_statistics(statistics)
            .build()?;
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: self.rows as u64,
            metadata,
            bloom_filter: None,
            column_index: Some(self.index.build()?),
            offset_index: Some(self.offsets.build()),
        };
        Ok(Encoded { bytes, places: self.places, close })
    }
}

/// What Parquet calls integers of that width.
fn kind<V: Value>() -> Type {
    if V::BITS == 32 { Type::INT32 } else { Type::INT64 }
}
