//! Tables written page by page as their rows are found: results of a trace, which may be large.
//!
//! Columns of whole numbers are most of such a table. They are encoded here, several pages at once and a page's columns
//! one after the other, so that its rows are in a core's cache for all of them; every other column goes through the
//! Arrow writer.

use std::fs::File;
use std::io::BufWriter;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, SchemaRef, UInt8Type};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, Encoding};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::ids::SIGN;
use crate::outputs::tables::{ContactColumns, Names, RowIds, SourceIds, contacts, exposures};
use crate::rings::{Edge, Part, PartEdges, Sink, TracedPerson};
use crate::store::format::{Layout, properties};
use crate::store::paged::{ColumnPages, EncodedPage};
use crate::store::publish::{self, parquet_failed};

/// Rows a page.
const PAGE_ROWS: usize = Layout::WHOLE.page_rows;
/// Rows whose pages are made at once: of two tables, so that there is work for many cores.
const ROWS_TOGETHER: usize = 16 * PAGE_ROWS;
/// Rows a row group, at least: few enough that the next one's columns take the memory of the last one's, enough that its
/// footer and its dictionaries are nothing beside it.
const GROUP_ROWS: usize = 1 << 17;
/// Bytes handed to the system at once.
const WRITTEN_AT_ONCE: usize = 1 << 20;

/// A Parquet file in the making, beside its place.
struct TableFile {
    place: PathBuf,
    unfinished: PathBuf,
    writer: SerializedFileWriter<BufWriter<File>>,
    schema: SchemaRef,
    arrow: ArrowRowGroupWriterFactory,
    groups: usize,
    /// The columns of the row group in the making, and its rows.
    group: Vec<Column>,
    rows: usize,
}

/// A column of a row group in the making.
enum Column {
    Small(ColumnPages<u32>),
    Whole(ColumnPages<u64>),
    Other(Box<ArrowColumnWriter>),
}

/// One page of a column.
enum Cells {
    Small(EncodedPage<u32>),
    Whole(EncodedPage<u64>),
    Other(ArrayRef),
}

/// One page of every column.
struct TablePage {
    columns: Vec<Cells>,
    rows: usize,
}

impl TablePage {
    /// The rows of `batch`, of which there are some.
    fn new(batch: &RecordBatch) -> TablePage {
        let schema = batch.schema();
        let columns = schema.fields().iter().zip(batch.columns());
        TablePage {
            columns: columns.map(|(field, array)| cells(field, array)).collect(),
            rows: batch.num_rows(),
        }
    }
}

/// How the cells of a column are encoded; none where that is left to the Arrow writer.
fn encoding(field: &Field) -> Option<Number> {
    let number = |signed, wide| {
        // Ids of sources come in no order: their differences are as long as they are.
        let plain = wide && field.name().contains("source_id");
        let encoding = if plain { Encoding::PLAIN } else { Encoding::DELTA_BINARY_PACKED };
        Some(Number { encoding, signed, wide })
    };
    match field.data_type() {
        _ if field.is_nullable() => None,
        DataType::UInt8 | DataType::UInt32 => number(false, false),
        DataType::UInt64 => number(false, true),
        DataType::Int64 | DataType::Timestamp(..) => number(true, true),
        _ => None,
    }
}

/// A column of whole numbers.
struct Number {
    encoding: Encoding,
    signed: bool,
    /// Of eight bytes rather than four.
    wide: bool,
}

impl Number {
    /// What has to be added to cells so that they compare as numbers.
    fn sign(&self) -> u64 {
        if self.signed { SIGN } else { 0 }
    }
}

/// A page of cells, of which there are some, encoded as its field says.
fn cells(field: &Field, array: &ArrayRef) -> Cells {
    let Some(number) = encoding(field) else { return Cells::Other(array.clone()) };
    if let Some(small) = array.as_primitive_opt::<UInt8Type>() {
        let cells: Vec<u32> = small.values().iter().map(|cell| u32::from(*cell)).collect();
        return Cells::Small(EncodedPage::delta(&cells, 0));
    }
    let data = array.to_data();
    if !number.wide {
        return Cells::Small(EncodedPage::delta(&data.buffer::<u32>(0)[..array.len()], 0));
    }
    let cells = &data.buffer::<u64>(0)[..array.len()];
    Cells::Whole(match number.encoding {
        Encoding::PLAIN => EncodedPage::plain(cells, number.sign()),
        _ => EncodedPage::delta(cells, number.sign()),
    })
}

impl TableFile {
    /// A file of tables like `empty`.
    ///
    /// # Errors
    /// `storage`; so of the functions below.
    fn create(folder: &Path, name: &str, empty: &RecordBatch) -> Result<TableFile> {
        publish::create_folder(folder)?;
        let place = folder.join(format!("{name}.parquet"));
        let unfinished = folder.join(format!("{}{name}.parquet", publish::UNFINISHED));
        let file = File::create(&unfinished).map_err(Error::storage(&unfinished, "creating"))?;
        let failed = |e| parquet_failed(&unfinished, e);
        let schema = empty.schema();
        let writer = ArrowWriter::try_new(
            BufWriter::with_capacity(WRITTEN_AT_ONCE, file),
            schema.clone(),
            Some(settings()),
        );
        let (writer, arrow) = writer.and_then(ArrowWriter::into_serialized_writer).map_err(failed)?;
        Ok(TableFile { place, unfinished, writer, schema, arrow, groups: 0, group: Vec::new(), rows: 0 })
    }

    /// Appends pages. Where row groups end depends on the rows of the pages alone.
    fn write(&mut self, mut pages: Vec<TablePage>) -> Result<()> {
        while !pages.is_empty() {
            if self.group.is_empty() {
                self.group = self.begin_group().map_err(|e| parquet_failed(&self.unfinished, e))?;
            }
            let mut taken = 0;
            while taken < pages.len() && self.rows < GROUP_ROWS {
                self.rows += pages[taken].rows;
                taken += 1;
            }
            let rest = pages.split_off(taken);
            let mut columns: Vec<Vec<Cells>> = self.group.iter().map(|_| Vec::with_capacity(taken)).collect();
            for page in pages {
                columns.iter_mut().zip(page.columns).for_each(|(column, cells)| column.push(cells));
            }
            let fields = self.schema.fields().par_iter();
            let appended = self.group.par_iter_mut().zip(fields).zip(columns);
            let appended = appended.try_for_each(|((column, field), cells)| {
                cells.into_iter().try_for_each(|cells| column.push(field, cells))
            });
            appended.map_err(|e| parquet_failed(&self.unfinished, e))?;
            if self.rows >= GROUP_ROWS {
                self.end_group()?;
            }
            pages = rest;
        }
        Ok(())
    }

    fn begin_group(&self) -> std::result::Result<Vec<Column>, ParquetError> {
        let arrow = self.arrow.create_column_writers(self.groups)?;
        let column = |(field, arrow): (&Arc<Field>, _)| match encoding(field) {
            None => Column::Other(Box::new(arrow)),
            Some(number) if number.wide => Column::Whole(ColumnPages::new(number.encoding, number.sign())),
            Some(number) => Column::Small(ColumnPages::new(number.encoding, 0)),
        };
        Ok(self.schema.fields().iter().zip(arrow).map(column).collect())
    }

    fn end_group(&mut self) -> Result<()> {
        let group = std::mem::take(&mut self.group);
        self.append_group(group).map_err(|e| parquet_failed(&self.unfinished, e))?;
        self.groups += 1;
        self.rows = 0;
        Ok(())
    }

    fn append_group(&mut self, columns: Vec<Column>) -> std::result::Result<(), ParquetError> {
        let described = self.writer.schema_descr().columns().to_vec();
        let mut group = self.writer.next_row_group()?;
        for (column, described) in columns.into_iter().zip(described) {
            match column {
                Column::Small(pages) => pages.finish(described)?.append_to(&mut group)?,
                Column::Whole(pages) => pages.finish(described)?.append_to(&mut group)?,
                Column::Other(writer) => writer.close()?.append_to_row_group(&mut group)?,
            }
        }
        group.close()?;
        Ok(())
    }

    /// Ends the file; it is still beside its place.
    fn finish(&mut self) -> Result<()> {
        if self.rows > 0 {
            self.end_group()?;
        }
        self.writer.finish().map_err(|e| parquet_failed(&self.unfinished, e))?;
        Ok(())
    }

    /// Puts the finished file in its place.
    fn publish(self) -> Result<()> {
        std::fs::rename(&self.unfinished, &self.place)
            .map_err(Error::storage(&self.place, "renaming into place"))
    }
}

impl Column {
    fn push(&mut self, field: &Field, cells: Cells) -> std::result::Result<(), ParquetError> {
        match (self, cells) {
            (Column::Small(pages), Cells::Small(page)) => pages.push(page),
            (Column::Whole(pages), Cells::Whole(page)) => pages.push(page),
            (Column::Other(writer), Cells::Other(array)) => {
                compute_leaves(field, &array)?.iter().try_for_each(|leaf| writer.write(leaf))
            }
            _ => unreachable!("the field decides both"),
        }
    }
}

impl Drop for TableFile {
    fn drop(&mut self) {
        // Once it is in its place there is nothing here any more; before, what is left is of no use.
        drop(std::fs::remove_file(&self.unfinished));
    }
}

/// Uncompressed: a general compressor hardly makes numbers smaller that are bit-packed, nor words of a dictionary.
fn settings() -> WriterProperties {
    properties(Layout::WHOLE)
        .set_compression(Compression::UNCOMPRESSED)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .build()
}

/// `contacts.parquet` and `exposures.parquet` of a trace, written as the contacts are found.
///
/// They answer one question, so they are not flushed to the disk as a published night is: after a power cut the question
/// is asked again.
pub struct TraceFiles<'a> {
    names: Names<'a>,
    columns: ContactColumns,
    contacts: TableFile,
    exposures: TableFile,
    /// Ids of the sources of the ring being written.
    sources: (u8, SourceIds),
    /// Contacts of this ring not yet written, whose best exposures are their edges, as they came: where pages end must
    /// not depend on how they were found.
    held: Vec<Vec<TracedPerson>>,
    held_rows: usize,
    /// Persons by ring, from ring 1.
    pub rings: Vec<u64>,
    /// Edges written.
    edges: u64,
}

impl<'a> TraceFiles<'a> {
    /// Files in `folder`.
    ///
    /// # Errors
    /// `storage`.
    pub fn create(folder: &Path, names: Names<'a>, columns: ContactColumns) -> Result<TraceFiles<'a>> {
        let none = names.by_number(&[])?;
        let no_ids = RowIds { persons: &names.persons.ids(&[])?, sources: &none };
        let no_contacts = contacts(&[], names, no_ids, columns);
        let no_edges = exposures::<Edge>(&[], names, no_ids, columns.kinds);
        Ok(TraceFiles {
            names,
            columns,
            contacts: TableFile::create(folder, "contacts", &no_contacts)?,
            exposures: TableFile::create(folder, "exposures", &no_edges)?,
            sources: (0, none),
            held: Vec::new(),
            held_rows: 0,
            rings: Vec::new(),
            edges: 0,
        })
    }

    /// Ends both files, writes `rejects.parquet` too, and puts all in their places; how many edges were written.
    ///
    /// # Errors
    /// `storage`.
    pub fn finish(mut self, folder: &Path, rejects: &RecordBatch) -> Result<u64> {
        self.write_held(true)?;
        let mut rejects_file = TableFile::create(folder, "rejects", rejects)?;
        for first in (0..rejects.num_rows()).step_by(PAGE_ROWS) {
            let rows = rejects.slice(first, PAGE_ROWS.min(rejects.num_rows() - first));
            rejects_file.write(vec![TablePage::new(&rows)])?;
        }
        let mut files = [&mut self.contacts, &mut self.exposures, &mut rejects_file];
        files.par_iter_mut().try_for_each(|file| file.finish())?;
        [self.contacts, self.exposures, rejects_file].into_iter().try_for_each(TableFile::publish)?;
        Ok(self.edges)
    }

    /// Writes the pages that the contacts held make, and their edges; what does not fill a page too if no more are to
    /// come.
    fn write_held(&mut self, last: bool) -> Result<()> {
        let held = std::mem::take(&mut self.held);
        let written = if last { self.held_rows } else { self.held_rows / PAGE_ROWS * PAGE_ROWS };
        let (names, columns, sources) = (self.names, self.columns, &self.sources.1);
        let page = |first: usize| {
            let rows = gather(&held, first..written.min(first + PAGE_ROWS));
            let keys: Vec<u32> = rows.iter().map(|contact| contact.person).collect();
            let ids = RowIds { persons: &names.persons.ids(&keys)?, sources };
            let contacts = TablePage::new(&contacts(&rows, names, ids, columns));
            Ok((contacts, TablePage::new(&exposures(&rows, names, ids, columns.kinds))))
        };
        let pages: Vec<usize> = (0..written).step_by(PAGE_ROWS).collect();
        for together in pages.chunks(ROWS_TOGETHER / PAGE_ROWS) {
            let made: Result<Vec<(TablePage, TablePage)>> =
                together.par_iter().map(|first| page(*first)).collect();
            let (contacts, edges): (Vec<_>, Vec<_>) = made?.into_iter().unzip();
            let TraceFiles { contacts: contacts_file, exposures: exposures_file, .. } = self;
            let (one, two) = rayon::join(|| contacts_file.write(contacts), || exposures_file.write(edges));
            one.and(two)?;
        }
        self.edges += written as u64;
        self.held = vec![gather(&held, written..self.held_rows)];
        self.held_rows -= written;
        Ok(())
    }

    /// Writes a ring that comes as a whole, with all its edges.
    fn write_ring(&mut self, rows: &[TracedPerson], edges: &[Edge]) -> Result<()> {
        let (names, columns, sources) = (self.names, self.columns, &self.sources.1);
        let keys: Vec<u32> = rows.iter().map(|contact| contact.person).collect();
        let ids = names.persons.ids(&keys)?;
        let places: Vec<u32> = (0..rows.len() as u32).collect();
        write_rows(&mut self.contacts, rows, &places, |rows, places| {
            contacts(rows, names, RowIds { persons: &ids.take(places), sources }, columns)
        })?;
        write_rows(&mut self.exposures, edges, &places_of(edges, &keys), |edges, places| {
            exposures(edges, names, RowIds { persons: &ids.take(places), sources }, columns.kinds)
        })?;
        self.edges += edges.len() as u64;
        Ok(())
    }
}

/// Writes rows with where their contacts' ids stand, some pages at a time.
fn write_rows<R: Sync>(
    file: &mut TableFile,
    rows: &[R],
    places: &[u32],
    table: impl Fn(&[R], &[u32]) -> RecordBatch + Sync,
) -> Result<()> {
    rows.chunks(ROWS_TOGETHER).zip(places.chunks(ROWS_TOGETHER)).try_for_each(|(rows, places)| {
        let pages = rows.par_chunks(PAGE_ROWS).zip(places.par_chunks(PAGE_ROWS));
        file.write(pages.map(|(rows, places)| TablePage::new(&table(rows, places))).collect())
    })
}

impl Sink for TraceFiles<'_> {
    fn take(&mut self, part: Part) -> Result<()> {
        let Some(first) = part.contacts.first() else { return Ok(()) };
        self.rings.resize(self.rings.len().max(usize::from(first.ring)), 0);
        self.rings[usize::from(first.ring) - 1] += part.contacts.len() as u64;
        if self.sources.0 != first.ring {
            self.write_held(true)?;
            self.sources = (first.ring, self.names.by_number(&part.sources)?);
        }
        if let PartEdges::All(edges) = &part.edges {
            return self.write_ring(&part.contacts, edges);
        }
        self.held_rows += part.contacts.len();
        self.held.push(part.contacts);
        if self.held_rows >= ROWS_TOGETHER { self.write_held(false) } else { Ok(()) }
    }
}

/// Where each edge's contact stands among `contacts`; edges come in the order of their contacts.
fn places_of(edges: &[Edge], contacts: &[u32]) -> Vec<u32> {
    let mut at = 0;
    let place = |edge: &Edge| {
        while contacts[at] != edge.exposure.contact {
            at += 1;
        }
        at as u32
    };
    edges.iter().map(place).collect()
}

/// Rows in a range of several lists, counted through all of them.
fn gather(lists: &[Vec<TracedPerson>], rows: Range<usize>) -> Vec<TracedPerson> {
    let mut gathered = Vec::with_capacity(rows.len());
    let mut first = 0;
    for list in lists {
        let (from, until) = (rows.start.max(first), rows.end.min(first + list.len()));
        if from < until {
            gathered.extend_from_slice(&list[from - first..until - first]);
        }
        first += list.len();
    }
    gathered
}
