//! Tables written a row group at a time, every column on its own thread: results of a trace, which may be large.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::basic::{Compression, Encoding};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::ids::IdColumn;
use crate::outputs::tables::{ContactColumns, Names, RowIds, SourceIds, ToEdge, contacts, exposures};
use crate::rings::{Edge, Part, PartEdges, Sink, TracedPerson};
use crate::store::format::{Layout, properties};
use crate::store::publish::{self, parquet_failed};

/// A Parquet file in the making, beside its place.
struct TableFile {
    place: PathBuf,
    unfinished: PathBuf,
    writer: SerializedFileWriter<BufWriter<File>>,
    columns: ArrowRowGroupWriterFactory,
    groups: usize,
    /// The columns of the row group in the making, and its rows.
    group: Vec<ArrowColumnWriter>,
    rows: usize,
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
        let writer =
            ArrowWriter::try_new(BufWriter::new(file), empty.schema(), Some(settings(&empty.schema())));
        let (writer, columns) = writer.and_then(ArrowWriter::into_serialized_writer).map_err(failed)?;
        Ok(TableFile { place, unfinished, writer, columns, groups: 0, group: Vec::new(), rows: 0 })
    }

    /// Appends rows.
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let failed = |e| parquet_failed(&self.unfinished, e);
        if self.group.is_empty() {
            self.group = self.columns.create_column_writers(self.groups).map_err(failed)?;
        }
        let schema = batch.schema();
        let columns = schema.fields().par_iter().zip(batch.columns());
        let written = self.group.par_iter_mut().zip(columns).try_for_each(|(writer, (field, column))| {
            compute_leaves(field, column)?.iter().try_for_each(|leaf| writer.write(leaf))
        });
        written.map_err(failed)?;
        self.rows += batch.num_rows();
        if self.rows >= GROUP_ROWS { self.end_group() } else { Ok(()) }
    }

    fn end_group(&mut self) -> Result<()> {
        let failed = |e| parquet_failed(&self.unfinished, e);
        let columns = std::mem::take(&mut self.group).into_par_iter().map(ArrowColumnWriter::close);
        let encoded: std::result::Result<Vec<ArrowColumnChunk>, ParquetError> = columns.collect();
        let mut group = self.writer.next_row_group().map_err(failed)?;
        for chunk in encoded.map_err(failed)? {
            chunk.append_to_row_group(&mut group).map_err(failed)?;
        }
        group.close().map_err(failed)?;
        self.groups += 1;
        self.rows = 0;
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

impl Drop for TableFile {
    fn drop(&mut self) {
        // Once it is in its place there is nothing here any more; before, what is left is of no use.
        drop(std::fs::remove_file(&self.unfinished));
    }
}

/// Numbers as bit-packed differences, which a general compressor hardly makes smaller; ids of sources, whose differences
/// are as long as they are, plain; words by dictionary.
fn settings(schema: &Arc<Schema>) -> WriterProperties {
    let mut builder = properties(Layout::WHOLE)
        .set_compression(Compression::UNCOMPRESSED)
        .set_statistics_enabled(EnabledStatistics::Chunk);
    for field in schema.fields() {
        if matches!(field.data_type(), DataType::Utf8) {
            continue;
        }
        let is_source = field.name().contains("source_id");
        let encoding = if is_source { Encoding::PLAIN } else { Encoding::DELTA_BINARY_PACKED };
        let path = ColumnPath::from(field.name().as_str());
        builder =
            builder.set_column_dictionary_enabled(path.clone(), false).set_column_encoding(path, encoding);
    }
    builder.build()
}

/// Rows a row group, at least.
const GROUP_ROWS: usize = 1 << 20;
/// Rows turned into columns and encoded at a time: their columns stay in cache.
const BATCH_ROWS: usize = 1 << 16;

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
    /// Contacts until a batch is full: where pages end must not depend on how the contacts were found.
    held: Vec<TracedPerson>,
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
        let no_ids = RowIds { persons: &names.persons.ids(&[])?, places: &[], sources: &none };
        let no_contacts = contacts(&[], names, no_ids, columns)?;
        let no_edges = exposures::<Edge>(&[], names, no_ids, columns.kinds)?;
        Ok(TraceFiles {
            names,
            columns,
            contacts: TableFile::create(folder, "contacts", &no_contacts)?,
            exposures: TableFile::create(folder, "exposures", &no_edges)?,
            sources: (0, none),
            held: Vec::new(),
            rings: Vec::new(),
            edges: 0,
        })
    }

    /// Ends both files, writes `rejects.parquet` too, and puts all in their places; how many edges were written.
    ///
    /// # Errors
    /// `storage`.
    pub fn finish(mut self, folder: &Path, rejects: &RecordBatch) -> Result<u64> {
        self.write_held(0)?;
        let mut rejects_file = TableFile::create(folder, "rejects", rejects)?;
        rejects_file.write(rejects)?;
        let files = [&mut self.contacts, &mut self.exposures, &mut rejects_file];
        files.into_iter().try_for_each(TableFile::finish)?;
        [self.contacts, self.exposures, rejects_file].into_iter().try_for_each(TableFile::publish)?;
        Ok(self.edges)
    }
}

impl TraceFiles<'_> {
    /// Writes the contacts held, with their best exposures, in whole batches until at most `left` are held.
    fn write_held(&mut self, left: usize) -> Result<()> {
        while self.held.len() > left {
            let rest = self.held.split_off(self.held.len().min(BATCH_ROWS));
            let batch = std::mem::replace(&mut self.held, rest);
            self.write(&batch, &PartEdges::Best)?;
        }
        Ok(())
    }

    fn write(&mut self, rows: &[TracedPerson], edges: &PartEdges) -> Result<()> {
        let (names, columns) = (self.names, self.columns);
        let keys: Vec<u32> = rows.iter().map(|contact| contact.person).collect();
        let persons = &names.persons.ids(&keys)?;
        let places: Vec<u32> = (0..keys.len() as u32).collect();
        let TraceFiles { contacts: contacts_file, exposures: exposures_file, sources: (_, sources), .. } =
            self;
        let sources = &*sources;
        let write_contacts = || {
            let batches = rows.chunks(BATCH_ROWS).zip(places.chunks(BATCH_ROWS));
            for (rows, places) in batches {
                let ids = RowIds { persons, places, sources };
                contacts_file.write(&contacts(rows, names, ids, columns)?)?;
            }
            Ok(())
        };
        let write_edges = || match edges {
            PartEdges::All(edges) => {
                let places = places_of(edges, &keys);
                write_exposures(exposures_file, edges, &places, names, persons, sources, columns)
            }
            PartEdges::Best => {
                write_exposures(exposures_file, rows, &places, names, persons, sources, columns)
            }
        };
        let (one, two) = rayon::join(write_contacts, write_edges);
        self.edges += two?;
        one
    }
}

impl Sink for TraceFiles<'_> {
    fn take(&mut self, part: Part) -> Result<()> {
        let Some(first) = part.contacts.first() else { return Ok(()) };
        self.rings.resize(self.rings.len().max(usize::from(first.ring)), 0);
        self.rings[usize::from(first.ring) - 1] += part.contacts.len() as u64;
        if self.sources.0 != first.ring {
            self.write_held(0)?;
            self.sources = (first.ring, self.names.by_number(&part.sources)?);
        }
        match &part.edges {
            PartEdges::All(_) => self.write(&part.contacts, &part.edges),
            PartEdges::Best => {
                self.held.extend(part.contacts);
                self.write_held(BATCH_ROWS - 1)
            }
        }
    }
}

/// Writes edges, batch by batch; how many.
fn write_exposures<E: ToEdge>(
    file: &mut TableFile,
    edges: &[E],
    places: &[u32],
    names: Names<'_>,
    persons: &IdColumn,
    sources: &SourceIds,
    columns: ContactColumns,
) -> Result<u64> {
    for (rows, places) in edges.chunks(BATCH_ROWS).zip(places.chunks(BATCH_ROWS)) {
        file.write(&exposures(rows, names, RowIds { persons, places, sources }, columns.kinds)?)?;
    }
    Ok(edges.len() as u64)
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
