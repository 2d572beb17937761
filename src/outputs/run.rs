//! A night's folder: made beside, checked, renamed into place.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use jiff::civil::Date;
use rayon::prelude::*;

use crate::colors::Scheme;
use crate::error::{Error, Result};
use crate::ids::IdType;
use crate::outputs::csv::Reader;
use crate::outputs::read::{Run, id_at};
use crate::outputs::record::{Output, RunRecord};
use crate::outputs::register::{Published, PublishedRow};
use crate::outputs::report::{Audience, Report, Tables};
use crate::outputs::{lists, tables};
use crate::records::rejects::FileBalance;
use crate::store::publish::{self, Lock, UNFINISHED};
use crate::words::Words;

/// The runs folder, held by this process.
pub struct Runs {
    folder: PathBuf,
    _lock: Lock,
}

impl Runs {
    /// Takes the folder and removes what a killed run left there.
    ///
    /// # Errors
    /// `conflict` if another run is going on; `storage`.
    pub fn take(folder: &Path) -> Result<Runs> {
        let lock = Lock::take(folder)?;
        publish::remove_unfinished(folder)?;
        Ok(Runs { folder: folder.into(), _lock: lock })
    }

    /// The folder of a night.
    pub fn place(&self, date: Date) -> PathBuf {
        self.folder.join(date.to_string())
    }

    /// The run of that date, if it has been published.
    ///
    /// # Errors
    /// `integrity` if its record does not read.
    pub fn published(&self, date: Date) -> Result<Option<Run>> {
        let place = self.place(date);
        if !place.exists() {
            return Ok(None);
        }
        if !place.join("run.json").exists() {
            return Err(Error::integrity(
                format!("{}: the folder of this night has no run.json", place.display()),
                "restore the run from a copy, or move the folder away to publish the night anew",
            ));
        }
        Run::open(&place).map(Some)
    }

    /// The nights published before `date`, the latest first, as many as wanted.
    ///
    /// # Errors
    /// `integrity` if a record does not read.
    pub fn recent(&self, date: Date, wanted: usize) -> Result<Vec<Run>> {
        let mut nights = Vec::new();
        let mut before = date;
        while nights.len() < wanted
            && let Some((night, run)) = self.last_before(before)?
        {
            before = night;
            nights.push(run);
        }
        Ok(nights)
    }

    /// The folder for looking at a past night again, with nothing in its place.
    ///
    /// # Errors
    /// `storage`.
    pub fn look_back(&self, date: Date) -> Result<PathBuf> {
        let place = self.folder.join("as-of").join(date.to_string());
        publish::create_folder(place.parent().expect("below the runs folder"))?;
        if place.exists() {
            std::fs::remove_dir_all(&place).map_err(Error::storage(&place, "removing what was there"))?;
        }
        Ok(place)
    }

    /// The folder where a night is kept while it is held.
    pub fn held(&self, date: Date) -> PathBuf {
        self.folder.join("held").join(date.to_string())
    }

    /// The last night published before `date`.
    ///
    /// # Errors
    /// `integrity` if its record is gone or does not read.
    pub fn last_before(&self, date: Date) -> Result<Option<(Date, Run)>> {
        let mut last = None;
        for path in publish::list(&self.folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if let Ok(night) = name.parse::<Date>()
                && night.to_string() == name
            {
                // Names sort as dates do.
                if night < date {
                    last = Some((night, path));
                }
            }
        }
        let Some((night, _)) = last else { return Ok(None) };
        Ok(self.published(night)?.map(|run| (night, run)))
    }
}

/// The register of an earlier night with ids as tonight's.
///
/// # Errors
/// `integrity` if it is not as published, or its ids are of another kind.
pub fn register_of(run: &Run, kind: IdType) -> Result<Published> {
    let table = run.table("colors")?;
    let ids = table.column("person_id")?;
    let texts = |name: &str| -> Result<Vec<String>> {
        (0..table.len()).map(|row| Ok(table.text(name, row)?.unwrap_or_default())).collect()
    };
    let (colors, regions, since) = (texts("color")?, texts("region_id")?, texts("since")?);
    let row = |row: usize| {
        let since = since[row].parse().map_err(|e| Error::damaged("colors.parquet", e))?;
        Ok(PublishedRow { id: id_at(ids, row), color: &colors[row], region: &regions[row], since })
    };
    let rows: Vec<PublishedRow<'_>> = (0..table.len()).map(row).collect::<Result<_>>()?;
    Published::new(
        &rows,
        kind,
        &run.record.identity.scheme.id,
        &format!("the register of {}", run.record.date),
    )
}

/// The tables of a night.
pub struct NightTables {
    /// `contacts.parquet`
    pub contacts: RecordBatch,
    /// `exposures.parquet`
    pub exposures: RecordBatch,
    /// `renewed.parquet`: contacts again, after an appeal that was granted
    pub renewed: RecordBatch,
    /// `colors.parquet`
    pub colors: RecordBatch,
    /// `evidence.parquet`
    pub evidence: RecordBatch,
    /// `changes.parquet` and `.csv`
    pub changes: RecordBatch,
    /// `appeals.parquet` and `.csv`: those without a decision
    pub appeals: RecordBatch,
    /// `calendar.parquet` and `.csv`: the changes of the next 14 days
    pub calendar: RecordBatch,
    /// `overdue.parquet` and `.csv`: those whose term is over
    pub overdue: RecordBatch,
    /// `pushes.parquet`: our colors for other provinces
    pub pushes: RecordBatch,
    /// `facts.parquet`: what the tables of facts say of persons
    pub facts: RecordBatch,
    /// `venues.parquet`: those the exposures name
    pub venues: RecordBatch,
    /// `sources.parquet`: the cases and exposure sites
    pub sources: RecordBatch,
    /// `rejects.parquet`
    pub rejects: RecordBatch,
    /// `links.parquet`: cases exposed to cases
    pub links: RecordBatch,
    /// `districts.parquet`: residents, and those who were seen
    pub districts: RecordBatch,
    /// `traffic.parquet`: arrivals by hour
    pub traffic: RecordBatch,
    /// `inputs.parquet`: where every row went
    pub inputs: RecordBatch,
    /// `rules.parquet`: the rules of the scheme and how many they color
    pub rules: RecordBatch,
    /// `scheme.toml`: the pack as text
    pub scheme: String,
}

impl NightTables {
    /// Every table by name, in the order of names.
    fn all(&self) -> [(&'static str, &RecordBatch); 19] {
        [
            ("appeals", &self.appeals),
            ("calendar", &self.calendar),
            ("changes", &self.changes),
            ("colors", &self.colors),
            ("contacts", &self.contacts),
            ("districts", &self.districts),
            ("evidence", &self.evidence),
            ("exposures", &self.exposures),
            ("facts", &self.facts),
            ("inputs", &self.inputs),
            ("links", &self.links),
            ("overdue", &self.overdue),
            ("pushes", &self.pushes),
            ("rejects", &self.rejects),
            ("renewed", &self.renewed),
            ("rules", &self.rules),
            ("sources", &self.sources),
            ("traffic", &self.traffic),
            ("venues", &self.venues),
        ]
    }
}

impl Tables for NightTables {
    fn columns(&self, table: &str, columns: &[&str]) -> Result<RecordBatch> {
        let (_, batch) =
            self.all().into_iter().find(|(name, _)| *name == table).expect("a table of the night");
        let places: Vec<usize> = columns
            .iter()
            .map(|column| batch.schema().index_of(column).expect("a column of the table"))
            .collect();
        Ok(batch.project(&places).expect("places of columns"))
    }
}

/// Writes a night beside `place`, checks it, and renames it there.
///
/// # Errors
/// `integrity` if a row of the register has no evidence or a balance does not add up; `storage`. The place is then
/// as it was. `held` says why the night is only kept to be looked at.
pub fn publish(
    runs: &Runs,
    place: &Path,
    tables: &NightTables,
    mut record: RunRecord,
    (scheme, held): (&Scheme, Option<&Words>),
) -> Result<()> {
    record.inputs.iter().try_for_each(FileBalance::check)?;
    super::register::check_evidence(&tables.colors, &tables.evidence, &tables.sources)?;
    let work = runs.folder.join(format!("{UNFINISHED}{}", record.date));
    let written = write_all(&work, tables, &mut record, (scheme, held));
    if let Err(error) = written {
        // Whatever is left is removed by the next run too; a failure here would hide the first one.
        let _ = std::fs::remove_dir_all(&work);
        return Err(error);
    }
    publish::publish_folder(&work, place)
}

fn write_all(
    work: &Path,
    tables: &NightTables,
    record: &mut RunRecord,
    (scheme, held): (&Scheme, Option<&Words>),
) -> Result<()> {
    publish::create_folder(work)?;
    let write = |(name, table): &(&str, &RecordBatch)| {
        let path = work.join(format!("{name}.parquet"));
        tables::write_parquet(&path, table)?;
        Ok(path)
    };
    let mut files: Vec<PathBuf> = tables.all().par_iter().map(write).collect::<Result<_>>()?;
    let path = work.join("scheme.toml");
    publish::write_file(&path, tables.scheme.as_bytes())?;
    files.push(path);
    for (name, table) in [
        ("appeals", &tables.appeals),
        ("calendar", &tables.calendar),
        ("changes", &tables.changes),
        ("overdue", &tables.overdue),
    ] {
        let rows: Vec<u32> = (0..table.num_rows() as u32).collect();
        files.extend(super::csv::write(work, name, table, &rows, Reader::Program)?);
    }
    files.extend(lists::write(work, &tables.colors)?);
    files.extend(Report::new(tables, record, scheme, held, Audience::OFFICE)?.write(work, "report")?);
    files.sort();
    let hash = |path: &PathBuf| {
        let bytes = std::fs::read(path).map_err(Error::storage(path, "reading back"))?;
        let name = path.strip_prefix(work).expect("written below it");
        Ok(Output {
            path: name.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/"),
            bytes: bytes.len() as u64,
            blake3: blake3::hash(&bytes).to_hex().to_string(),
        })
    };
    record.outputs = files.par_iter().map(hash).collect::<Result<_>>()?;
    let text = serde_json::to_string_pretty(record).expect("a record is plain data");
    publish::write_file(&work.join("run.json"), text.as_bytes())
}
