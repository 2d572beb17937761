//! Synthetic worlds with planted truth: scans, venues, residences and cases to run on, and the contacts to be found.
//!
//! The same specification gives the same bytes, on any number of threads and any platform.
//!
//! ```text
//! scans/day=2022-03-01/part-0.parquet    person_id, venue_id, scanned_at, direction; in order of arrival
//! venues.parquet  residences.parquet  cases.parquet
//! truth/visits.parquet                   the stays of the planted people, to the second
//! truth/contacts.parquet                 their meetings; chance meetings come on top
//! facts/                                 (if asked for) what offices, laboratories and clinics tell
//! ringtrace.toml                         a configuration that runs on all this
//! ```

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::time::{DAY_S as DAY, utc_day_name};

mod draw;
mod world;
mod cases;
mod row;
mod planted;
mod day;
mod tables;
mod facts;

const MINUTE: u32 = 60;
const HOUR: u32 = 60 * MINUTE;

/// The civil time of a world is UTC+8 all year, as in Asia/Shanghai.
const OFFSET: u32 = 8 * HOUR;

/// What to generate.
#[derive(Clone, Debug)]
pub struct WorldSpec {
    /// Number of people, 100 or more.
    pub people: u32,
    /// Number of days, 3 or more.
    pub days: u32,
    /// Worlds of different seeds have nothing in common but their shape.
    pub seed: u64,
    /// The first day, as days since 1970-01-01 on a calendar in UTC+8.
    pub first_day: u32,
    /// Whether to write tables of facts, too.
    pub facts: bool,
}

/// What was generated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// People, each with a residence.
    pub people: u64,
    /// Venues.
    pub venues: u64,
    /// Rows in `scans/`.
    pub scans: u64,
    /// People in `cases.parquet`, among them one whose case is withdrawn.
    pub cases: u64,
    /// Rows in `truth/contacts.parquet`.
    pub planted: u64,
    /// Every file written.
    pub files: Vec<PathBuf>,
}

/// Writes a world into the folder `out`, which is created if need be.
///
/// About one scan a person a day. One case in 20,000 people, at least 5; every case that is not withdrawn has 3 to 6
/// planted companions inside its window, and the first of them two of their own afterwards.
///
/// - **Memory**: about 50 bytes for each scan of one day, and 60 MB for writing.
///
/// # Errors
/// `usage` for a world that is too small or reaches past 2105; `conflict` if `out` is there and not an empty folder;
/// `storage` if something cannot be written, with what was written so far left behind.
///
/// # Examples
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// # let out = folder.path().join("world");
/// use ringtrace::generate::{WorldSpec, write};
/// let world = write(&WorldSpec { people: 1_000, days: 7, seed: 1, first_day: 19_052, facts: false }, &out)?;
/// assert_eq!((world.people, world.cases), (1_000, 5));
/// # Ok::<(), ringtrace::error::Error>(())
/// ```
pub fn write(spec: &WorldSpec, out: &Path) -> Result<World> {
    spec.check()?;
    claim(out)?;
    let atlas = world::Atlas::new(spec);
    let planted = planted::Planted::new(spec, &atlas);
    let start = spec.start();

    let mut files = Vec::new();
    let mut file = |name: &str| {
        files.push(out.join(name));
        out.join(name)
    };
    create_folder(&out.join("truth"))?;
    let config = file("ringtrace.toml");
    std::fs::write(&config, spec.config()).map_err(Error::storage(&config, "writing"))?;
    tables::venues(&file("venues.parquet"), &atlas)?;
    tables::cases(&file("cases.parquet"), &planted.cases, &atlas, start)?;
    tables::true_visits(&file("truth/visits.parquet"), &planted, &atlas, start)?;
    tables::true_contacts(&file("truth/contacts.parquet"), &planted, &atlas, start)?;
    let residences = file("residences.parquet");
    let (residences, scans) = rayon::join(
        || tables::residences(&residences, &atlas),
        || write_scans(spec, &atlas, &planted, out, &mut files),
    );
    residences?;
    if spec.facts {
        facts::write(spec, &planted, out)?;
    }

    Ok(World {
        people: u64::from(spec.people),
        venues: atlas.venues().len() as u64,
        scans: scans?,
        cases: planted.cases.len() as u64,
        planted: planted.contacts.len() as u64,
        files,
    })
}

/// Writes all days of scans, each while the next is being drawn, and returns the number of rows.
fn write_scans(
    spec: &WorldSpec,
    atlas: &world::Atlas,
    planted: &planted::Planted,
    out: &Path,
    files: &mut Vec<PathBuf>,
) -> Result<u64> {
    let (mut rows, mut late) = (0, Vec::new());
    let mut today = day::scans(spec, atlas, planted, 0, &mut late);
    for day in 0..spec.days {
        let path = tables::scans_path(out, &utc_day_name(spec.first_day + day));
        create_folder(path.parent().expect("a day has a folder"))?;
        let midnight = spec.start() + i64::from(day) * i64::from(DAY);
        let (written, tomorrow) = rayon::join(
            || tables::scans(&path, &today, midnight),
            || match day + 1 < spec.days {
                true => day::scans(spec, atlas, planted, day + 1, &mut late),
                false => Vec::new(),
            },
        );
        written?;
        rows += today.len() as u64;
        files.push(path);
        today = tomorrow;
    }
    Ok(rows)
}

impl WorldSpec {
    /// The configuration beside the data.
    pub fn config(&self) -> String {
        if !self.facts {
            return CONFIG.into();
        }
        let residences = r#"paths = ["residences.parquet"]"#;
        let with_communities = r#"paths = ["residences.parquet", "facts/residents.csv"]"#;
        let cases = r#"paths = ["cases.parquet"]"#;
        let with_later = r#"paths = ["cases.parquet", "facts/cases.csv"]   # the second: contacts who fell ill themselves"#;
        CONFIG.replace(residences, with_communities).replace(cases, with_later) + facts::CONFIG
    }

    /// The UTC second at which the first day begins.
    fn start(&self) -> i64 {
        i64::from(self.first_day) * i64::from(DAY) - i64::from(OFFSET)
    }

    fn check(&self) -> Result<()> {
        if self.people < 100 {
            let what = format!("a world of {} people is too small for its cases", self.people);
            return Err(Error::usage(what, "ask for 100 people or more"));
        }
        if self.days < 3 {
            let what = format!("a world of {} days is too short to look back from a case", self.days);
            return Err(Error::usage(what, "ask for 3 days or more"));
        }
        // 49,000 days is 2104; the planted times of a world reach a month past its end.
        if self.first_day == 0 || 49_000 < u64::from(self.first_day) + u64::from(self.days) {
            let what =
                format!("{} days from day {} do not lie between 1970 and 2104", self.days, self.first_day);
            return Err(Error::usage(what, "choose an earlier or later first day, or fewer days"));
        }
        Ok(())
    }
}

/// Makes sure that `out` is an empty folder.
fn claim(out: &Path) -> Result<()> {
    let taken = |what| Error::Conflict { what, help: "name a new or empty folder".into() };
    match std::fs::read_dir(out).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(taken(format!("{} is not empty", out.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => create_folder(out),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            Err(taken(format!("{} is not a folder", out.display())))
        }
        Err(error) => Err(Error::storage(out, "reading")(error)),
    }
}

fn create_folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(Error::storage(path, "creating"))
}

/// The configuration of a world without facts; its paths count from its own folder.
const CONFIG: &str = r#"# A synthetic world. Nobody in it exists.
#
# truth/contacts.parquet lists planted contacts that a run must find, to the second; contacts by chance come on top.

time_zone = "Asia/Shanghai"   # civil days of the scans and of every rule that counts days
scheme = "five-color"
store = "store"               # the sorted visits, made by the first run
runs = "runs"                 # one folder a night

[scans]                       # person_id, venue_id, scanned_at, direction (in, out or empty)
paths = ["scans/day=*/*.parquet"]

[venues]                      # categories decide how long a stay without a check-out is taken to be
paths = ["venues.parquet"]

[cases]                       # some without an onset, one withdrawn later
paths = ["cases.parquet"]

[residences]                  # which district's list a person is on
paths = ["residences.parquet"]

[contacts]
min_overlap = "10m"
rings = 2                     # close contacts and secondary contacts
"#;

#[cfg(test)]
mod tests;
