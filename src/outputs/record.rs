//! `run.json`: what a night was made from and what it made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::contacts::graph::cluster_sizes;
use crate::error::Result;
use crate::facts::Facts;
use crate::records::rejects::FileBalance;
use crate::rings::{SourceRef, Traced};
use crate::store::VisitSource;
use crate::words::Words;

/// `run.json`: what a night was made from and what it made. No wall clock: the same inputs give the same record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// The night.
    pub date: String,
    /// Everything that decides the outputs.
    pub identity: Identity,
    /// Where every row of every input file went.
    pub inputs: Vec<FileBalance>,
    /// The sums of `inputs`: rows = accepted + merged + rejected.
    pub balance: Balance,
    /// What was found.
    pub counts: Counts,
    /// What the person who runs this should know.
    pub notes: Vec<Words>,
    /// Files of the run.
    pub outputs: Vec<Output>,
}

/// What a night's outputs are a function of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Version of the program.
    pub ringtrace: String,
    /// BLAKE3 of the configuration.
    pub config: String,
    /// Zone of its civil days.
    pub time_zone: String,
    /// Scheme.
    pub scheme: SchemeIdentity,
    /// Input files: table, name, BLAKE3.
    pub files: Vec<InputIdentity>,
    /// The register changes are counted from.
    pub before: Option<RegisterIdentity>,
}

/// A scheme as used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemeIdentity {
    /// Name.
    pub id: String,
    /// Version.
    pub version: u32,
    /// BLAKE3 of the pack.
    pub blake3: String,
}

/// An input file as used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputIdentity {
    /// Table it was read as.
    pub table: String,
    /// The file.
    pub file: String,
    /// BLAKE3 of its bytes.
    pub blake3: String,
}

/// The register of an earlier night.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterIdentity {
    /// Its night.
    pub date: String,
    /// BLAKE3 of its `colors.parquet`.
    pub blake3: String,
}

/// Rows by where they went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Balance {
    /// Rows read.
    pub rows: u64,
    /// Rows in use.
    pub accepted: u64,
    /// Rows that repeat or prolong an accepted one.
    pub merged: u64,
    /// Rows in rejects.
    pub rejected: u64,
}

impl Balance {
    /// The sums over files.
    ///
    /// # Errors
    /// `integrity` if a file's rows do not add up.
    pub fn of(files: &[FileBalance]) -> Result<Balance> {
        let mut sum = Balance::default();
        for file in files {
            file.check()?;
            sum.rows += file.rows;
            sum.accepted += file.accepted;
            sum.merged += file.merged;
            sum.rejected += file.rejected;
        }
        Ok(sum)
    }

    /// Whether more than `percent` percent of the rows were rejected.
    pub fn rejects_exceed(&self, percent: u32) -> bool {
        u128::from(self.rejected) * 100 > u128::from(self.rows) * u128::from(percent)
    }
}

/// Where the rows of the files that a command read went.
#[derive(Clone, Debug, Default)]
pub struct ReadRows {
    /// All of them.
    pub balance: Balance,
    /// What whoever reads the exit status has to know, in words: more rows were rejected than the limit, or an order was. A
    /// few orders among millions of scans are no share of them, but each would have colored someone.
    pub warnings: Vec<String>,
}

impl ReadRows {
    /// Those of the files; more than `percent` percent of all rows are too many.
    ///
    /// # Errors
    /// `integrity` if a file's rows do not add up.
    pub fn of(files: &[FileBalance], percent: u32) -> Result<ReadRows> {
        let balance = Balance::of(files)?;
        let orders: u64 = files.iter().filter(|file| file.table == "orders").map(|file| file.rejected).sum();
        let mut warnings = Vec::new();
        if balance.rejects_exceed(percent) {
            warnings.push("more rows were rejected than rejects_max_percent allows".to_string());
        }
        if orders > 0 {
            warnings.push(format!("{orders} of the orders were refused and color no one"));
        }
        Ok(ReadRows { balance, warnings })
    }
}

/// A file of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// Path below the run's folder.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// BLAKE3 of its bytes.
    pub blake3: String,
}

/// What a trace found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TraceCounts {
    /// Person ids known: of any visit, or of a case.
    pub persons: u64,
    /// Venues known.
    pub venues: u64,
    /// Visits traced in.
    pub visits: u64,
    /// Days that hold visits.
    pub days: u64,
    /// Persons that are cases.
    pub cases: u64,
    /// Exposure sites at known venues.
    pub windows: u64,
    /// Persons by ring, from ring 1.
    pub rings: Vec<u64>,
    /// Edges written.
    pub exposures: u64,
}

impl TraceCounts {
    /// The counts of a trace that reached so many persons by ring, over so many edges.
    pub fn new(visits: &dyn VisitSource, facts: &Facts, rings: Vec<u64>, exposures: u64) -> TraceCounts {
        let mut cases: Vec<u32> = facts.cases.iter().map(|c| c.case.person).collect();
        cases.sort_unstable();
        cases.dedup();
        TraceCounts {
            persons: facts.persons.len() as u64,
            venues: visits.venues().ids.len() as u64,
            visits: visits.days().iter().map(|d| d.visits).sum(),
            days: visits.arrival_days() as u64,
            cases: cases.len() as u64,
            windows: facts.places.len() as u64,
            rings,
            exposures,
        }
    }
}

/// What a night found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Person ids known: of any visit in the store, or of a case.
    pub persons: u64,
    /// Venues known.
    pub venues: u64,
    /// Visits up to the night.
    pub visits: u64,
    /// Days that hold visits.
    pub days: u64,
    /// Persons that are cases.
    pub cases: u64,
    /// Exposure sites at known venues.
    pub windows: u64,
    /// Persons by ring, from ring 1.
    pub rings: Vec<u64>,
    /// Edges written.
    pub exposures: u64,
    /// Persons in ring 1 whose every second of overlap is inferred rather than observed.
    pub ring_1_only_inferred: u64,
    /// Clusters: groups of persons joined by exposures of ring 1.
    pub clusters: u64,
    /// Persons in the largest of them.
    pub largest_cluster: u64,
    /// Register rows by color.
    pub colors: BTreeMap<String, u64>,
    /// Changes as `before -> after`.
    pub changes: BTreeMap<String, u64>,
    /// Register rows by rule; none in nights of before they were counted.
    #[serde(default)]
    pub rules: BTreeMap<String, RuleCount>,
}

/// How many persons a rule colors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleCount {
    /// Those with a reason of it.
    pub persons: u64,
    /// Those whose color it decides.
    pub decides: u64,
}

impl Counts {
    /// Everything but colors and changes.
    pub fn new(visits: &dyn VisitSource, facts: &Facts, traced: &Traced) -> Counts {
        let mut rings: Vec<u64> = Vec::new();
        for contact in &traced.contacts {
            rings.resize(rings.len().max(usize::from(contact.ring)), 0);
            rings[usize::from(contact.ring) - 1] += 1;
        }
        let persons = facts.persons.len() as u32;
        let node = |source| match source {
            SourceRef::Person(key) => key,
            SourceRef::Window(key) => persons + key,
        };
        let first_ring = traced.edges.iter().filter(|e| e.ring == 1);
        let sizes = cluster_sizes(first_ring.map(|e| (node(e.source), e.exposure.contact)));
        let inferred = |c: &&crate::rings::TracedPerson| c.ring == 1 && c.exposed.observed_overlap_s == 0;
        let all = TraceCounts::new(visits, facts, rings, traced.edges.len() as u64);
        Counts {
            persons: all.persons,
            venues: all.venues,
            visits: all.visits,
            days: all.days,
            cases: all.cases,
            windows: all.windows,
            rings: all.rings,
            exposures: all.exposures,
            ring_1_only_inferred: traced.contacts.iter().filter(inferred).count() as u64,
            clusters: sizes.len() as u64,
            largest_cluster: sizes.first().copied().unwrap_or(0) as u64,
            ..Counts::default()
        }
    }
}
