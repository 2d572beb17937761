//! The command line as typed, and the checked configuration it becomes. Nothing below this file knows clap.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Config, Edges, TimeUnit};
use crate::error::{EXIT_CODES, Error, Result};
use crate::outputs::explain::Language;
use crate::outputs::export;
use crate::schema;
use crate::time::{self, Reading};

/// Batch contact tracing: venue scans in, rings of contacts and health-code colors out, each with its evidence.
#[derive(Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true, after_help = EXIT_STATUS)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Options of every command.
    #[command(flatten)]
    pub common: Common,
}

const EXIT_STATUS: &str = "Exit status: 0 done or nothing to do, 1 done with rejects above the limit or an order \
refused, 2 usage or input table, 3 held for approval, 4 conflict or locked, 5 storage, 6 integrity refused, 130 \
interrupted; `ringtrace help exit-codes` says what to do on each.";

/// The exit statuses, a line each, with what to do.
pub fn exit_codes() -> String {
    EXIT_CODES.iter().map(|(status, means, then)| format!("{status:>3}  {means}\n     {then}\n")).collect()
}

/// Options of every command.
#[derive(Args, Clone)]
pub struct Common {
    /// Threads to use; all cores without it
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub threads: Option<u16>,
    /// Memory to take, such as 8GiB: an ingest of visits goes by groups of days to stay below it, a trace by ranges of
    /// persons; what cannot, such as a whole graph, is refused
    #[arg(long, global = true, value_name = "SIZE", default_value = "4GiB")]
    pub memory: bytesize::ByteSize,
    /// Say nothing but results and errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Results as JSON, for programs
    #[arg(long, global = true)]
    pub json: bool,
}

/// The commands.
#[derive(Subcommand)]
pub enum Command {
    /// Make a sample world and run a whole night on it; needs no argument
    Demo {
        /// Folder to make it in
        #[arg(long, value_name = "DIR", default_value = "./ringtrace-demo")]
        out: PathBuf,
        /// Open the night's report in the browser
        #[arg(long)]
        open: bool,
    },
    /// Make a synthetic world with planted cases and known truth
    Generate {
        /// How many people
        #[arg(long, value_name = "N", default_value_t = 100_000)]
        people: u32,
        /// How many days
        #[arg(long, value_name = "N", default_value_t = 14)]
        days: u32,
        /// The same seed gives the same world
        #[arg(long, default_value_t = 7)]
        seed: u64,
        /// First day of the world
        #[arg(long, value_name = "YYYY-MM-DD", default_value = "2022-03-01")]
        first_day: String,
        /// Write tables of facts too: tests, check-ins, region levels, orders, appeals and more
        #[arg(long)]
        facts: bool,
        /// Folder to write it to; must be empty or absent
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Add files to a visit store
    Ingest {
        /// Folder of the store; made if absent
        #[arg(long, value_name = "DIR")]
        store: Option<PathBuf>,
        /// What to read.
        #[command(flatten)]
        input: InputArgs,
    },
    /// Trace the contacts of cases once
    Trace(Box<TraceArgs>),
    /// The whole contact graph of a period
    Contacts(Box<ContactsArgs>),
    /// Where cases were infected: places that several visited before they fell ill, and who likely infected whom
    Sources(Box<SourcesArgs>),
    /// Run a night: ingest, trace, color, publish
    Run {
        /// The configuration; `ringtrace init` writes one
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The night
        #[arg(long, value_name = "YYYY-MM-DD", required_unless_present = "as_of", conflicts_with = "as_of")]
        date: Option<String>,
        /// A past night again, from what was known then: written to the folder as-of below the runs, published nights stay
        #[arg(long, value_name = "YYYY-MM-DD")]
        as_of: Option<String>,
        /// What else it would be; nothing is published then.
        #[command(flatten)]
        supposing: Supposing,
        /// Write gauges for the textfile collector of node_exporter, however it ends; the name must end in .prom
        #[arg(long, value_name = "FILE", conflicts_with_all = ["what_if", "min_overlap"])]
        metrics: Option<PathBuf>,
    },
    /// Compare two nights: whose color differs, where, and by which rules
    Diff {
        /// Folder of the first night
        #[arg(value_name = "RUN_A")]
        a: PathBuf,
        /// Folder of the second
        #[arg(value_name = "RUN_B")]
        b: PathBuf,
        /// Folder to write diff.parquet, diff.csv and diff.html to; must be empty or absent
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Why a person has the color they have
    Explain {
        /// Folder of the night, such as runs/2022-03-14
        #[arg(long, value_name = "DIR")]
        run: PathBuf,
        /// The person, written as in the input
        #[arg(allow_hyphen_values = true)]
        person_id: String,
        /// Zone to show times in; the run's without it
        #[arg(long, value_name = "ZONE")]
        time_zone: Option<String>,
        /// The configuration of the night, to check against its visit store; without it ringtrace.toml beside the folder of runs
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Language of the words
        #[arg(long, value_name = "LANGUAGE", default_value = "en")]
        language: Language,
        /// Name the other persons on the way back to a source, too
        #[arg(long, conflicts_with = "evidence_pack")]
        identify: bool,
        /// Write everything the color rests on to a JSON file, without anyone else's identity, such as for an appeal
        #[arg(long, value_name = "FILE")]
        evidence_pack: Option<PathBuf>,
    },
    /// How two persons are joined: the earliest chain of shared visits in a run's exposures
    Path {
        /// Folder of the night
        #[arg(long, value_name = "DIR")]
        run: PathBuf,
        /// Where the chain starts, written as in the input
        #[arg(allow_hyphen_values = true)]
        a: String,
        /// Where it ends
        #[arg(allow_hyphen_values = true)]
        b: String,
        /// Zone to show times in; the run's without it
        #[arg(long, value_name = "ZONE")]
        time_zone: Option<String>,
        /// Name the persons on the way, too
        #[arg(long)]
        identify: bool,
    },
    /// Ask a run's tables in SQL
    Query {
        /// Folder of the night
        #[arg(long, value_name = "DIR", required_unless_present_any = ["list", "tables"])]
        run: Option<PathBuf>,
        /// A query that comes with ringtrace
        #[arg(required_unless_present_any = ["sql", "list", "tables"], conflicts_with = "sql")]
        name: Option<String>,
        /// A query of your own
        #[arg(long)]
        sql: Option<String>,
        /// A parameter of the query, as days=7; repeatable
        #[arg(long, value_name = "NAME=VALUE", requires = "name", conflicts_with = "sql")]
        param: Vec<String>,
        /// List the queries that come with ringtrace, with their parameters
        #[arg(long)]
        list: bool,
        /// What the tables hold, column by column
        #[arg(long, conflicts_with_all = ["list", "run", "name", "sql"])]
        tables: bool,
        /// How the answer is written; --json is the same as --format json
        #[arg(long, value_name = "FORMAT", default_value = "table", conflicts_with_all = ["json", "csv"])]
        format: AnswerFormat,
        /// The answer as CSV: the same as --format csv
        #[arg(long, conflicts_with = "json")]
        csv: bool,
    },
    /// Write a night's traced graph for another tool
    Export {
        /// Folder of the night
        #[arg(long, value_name = "DIR")]
        run: PathBuf,
        /// The tool
        #[arg(long = "for", value_name = "TOOL")]
        format: export::Format,
        /// Folder to write to; must be empty or absent
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Only rings up to this one
        #[arg(long, value_name = "N", default_value_t = u8::MAX, hide_default_value = true, value_parser = clap::value_parser!(u8).range(1..))]
        rings: u8,
        /// Contacts or exposures at most; without it as many as are of use for the tool
        #[arg(long, value_name = "N")]
        max: Option<u64>,
        /// What SORMAS has to be told.
        #[command(flatten)]
        sormas: SormasArgs,
    },
    /// Write the report of a night anew, such as for the public
    Report {
        /// Folder of the night
        #[arg(long, value_name = "DIR")]
        run: PathBuf,
        /// Folder to write report.html, report.json and report/TABLE.csv to; must hold none
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Without ids of persons or venues, every small count suppressed
        #[arg(long)]
        public: bool,
        /// Suppress counts of fewer people than this; 0 shows all
        #[arg(long, value_name = "N", default_value_t = crate::outputs::report::SUPPRESS_BELOW)]
        suppress_below: u64,
        /// Open it in the browser
        #[arg(long)]
        open: bool,
    },
    /// Check a scheme pack against its own vectors, or a published night against its hashes
    #[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
    Verify {
        /// The name of a scheme, or the path of a pack
        #[arg(long, value_name = "FILE", group = "what")]
        scheme: Option<String>,
        /// Folder of a night
        #[arg(long, value_name = "DIR", group = "what")]
        run: Option<PathBuf>,
    },
    /// Write a commented configuration to start from
    Init {
        /// Print the JSON Schema of configurations or of scheme packs instead, for editors
        #[arg(long, value_name = "WHAT", conflicts_with = "out")]
        json_schema: Option<SchemaOf>,
        /// Print a scheme pack that comes with ringtrace instead, to start your own from
        #[arg(long, value_name = "NAME", conflicts_with_all = ["out", "json_schema"])]
        scheme: Option<String>,
        /// File to write; must not exist
        #[arg(long, value_name = "FILE", default_value = "ringtrace.toml")]
        out: PathBuf,
    },
    /// Check that this machine and configuration can run a night
    Doctor {
        /// The configuration to check
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// What the exit status of every command means
    #[command(after_long_help = exit_codes())]
    ExitCodes,
    /// Manual pages, one a command
    Man {
        /// Folder to write ringtrace.1, ringtrace-run.1 and so on to
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Shell completions, on standard output
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// How the answer of a query is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum AnswerFormat {
    /// Columns for the eye
    Table,
    /// CSV that no spreadsheet takes for formulas
    Csv,
    /// Parquet, with types
    Parquet,
    /// JSON: an array of objects
    Json,
}

/// What a JSON Schema is of.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum SchemaOf {
    /// Configurations
    Config,
    /// Scheme packs
    Pack,
}

/// Which files to read, and how.
#[derive(Args)]
pub struct InputArgs {
    /// Scans: files, folders or globs
    #[arg(long, value_name = "PATH", num_args = 1.., conflicts_with = "visits")]
    pub scans: Vec<String>,
    /// Visits instead of scans: files, folders or globs
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub visits: Vec<String>,
    /// Venues: category, region, parent, name
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub venues: Vec<String>,
    /// Configuration; options on the command line override it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A column under another name: TABLE.OURS=THEIRS, such as visits.arrived_at=start_ts; repeatable
    #[arg(long, value_name = "TABLE.OURS=THEIRS")]
    pub map: Vec<String>,
    /// Unit of times that are integers
    #[arg(long, value_name = "UNIT")]
    pub time_unit: Option<TimeUnit>,
    /// Zone of times that carry none, such as Asia/Shanghai
    #[arg(long, value_name = "ZONE")]
    pub time_zone: Option<String>,
}

/// What a night would be under other rules. Nothing is published; the visit store takes in new files as a night would.
#[derive(Args)]
pub struct Supposing {
    /// Under another policy or scheme, or both where they share a name, as nhc-9 does
    #[arg(long, value_name = "NAME", conflicts_with = "as_of")]
    pub what_if: Option<String>,
    /// What to compare that with; the configuration as it is without it
    #[arg(long, value_name = "NAME", requires = "what_if")]
    pub against: Option<String>,
    /// Under several thresholds, as 5m,10m,15m,30m: contacts and colors by each; thresholds of single categories stay as they are,
    /// a cumulative rule is left out
    #[arg(long, value_name = "TIME,…", value_delimiter = ',', conflicts_with_all = ["what_if", "as_of"])]
    pub min_overlap: Vec<String>,
    /// Folder to write tables and a page with a chart to; must be empty or absent
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

impl Supposing {
    /// Whether anything is supposed.
    pub fn is_asked(&self) -> bool {
        self.what_if.is_some() || !self.min_overlap.is_empty()
    }
}

/// Options of `trace`.
#[derive(Args)]
pub struct TraceArgs {
    /// Trace in a store
    #[arg(long, value_name = "DIR", conflicts_with_all = ["scans", "visits", "venues"])]
    pub store: Option<PathBuf>,
    /// What to read, without a store.
    #[command(flatten)]
    pub input: InputArgs,
    /// Cases to start from
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub cases: Vec<String>,
    /// Exposure sites to start from
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub windows: Vec<String>,
    /// Folder to write contacts.parquet, exposures.parquet and rejects.parquet to
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// What counts.
    #[command(flatten)]
    pub rule: RuleArgs,
    /// How many rings to follow
    #[arg(long, value_name = "N")]
    pub rings: Option<u8>,
    /// How long a source's visit outlasts the source
    #[arg(long, value_name = "TIME")]
    pub linger: Option<String>,
    /// Exposures to write: every one of ring 1 and the best of each deeper contact, or all
    #[arg(long)]
    pub edges: Option<Edges>,
    /// Count each contact's distinct sources
    #[arg(long)]
    pub sources: bool,
}

/// What a SORMAS server is set up for.
#[derive(Args)]
#[command(next_help_heading = "For SORMAS")]
pub struct SormasArgs {
    /// The disease, as SORMAS spells it
    #[arg(long, value_name = "NAME", default_value = "CORONAVIRUS")]
    pub disease: String,
    /// How it reads dates
    #[arg(long, value_name = "FORMAT", default_value = "%m/%d/%Y")]
    pub date_format: String,
    /// What parts cells
    #[arg(long, value_name = "CHARACTER", default_value_t = ',')]
    pub separator: char,
    /// Region of the contacts, by its name there
    #[arg(long, value_name = "NAME", requires = "district")]
    pub region: Option<String>,
    /// District of the contacts, by its name there
    #[arg(long, value_name = "NAME", requires = "region")]
    pub district: Option<String>,
}

/// Options of `sources`.
#[derive(Args)]
pub struct SourcesArgs {
    /// Look in a store
    #[arg(long, value_name = "DIR", conflicts_with_all = ["scans", "visits", "venues"])]
    pub store: Option<PathBuf>,
    /// What to read, without a store.
    #[command(flatten)]
    pub input: InputArgs,
    /// The cases
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub cases: Vec<String>,
    /// Cases that make a place worth naming
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    pub at_least: u64,
    /// Folder to write source_venues, source_hours and links to, as Parquet and CSV
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// What counts as a meeting of two cases.
    #[command(flatten)]
    pub rule: RuleArgs,
}

/// What counts as a contact.
#[derive(Args)]
pub struct RuleArgs {
    /// Shortest overlap that counts; 0 means any
    #[arg(long, value_name = "TIME")]
    pub min_overlap: Option<String>,
    /// A pair counts when its overlaps within a rolling period add up, as 15m/24h
    #[arg(long, value_name = "SUM/PERIOD", conflicts_with = "min_overlap")]
    pub cumulative: Option<String>,
}

/// Options of `contacts`.
#[derive(Args)]
pub struct ContactsArgs {
    /// Take the visits of a store
    #[arg(long, value_name = "DIR", conflicts_with_all = ["scans", "visits", "venues"])]
    pub store: Option<PathBuf>,
    /// What to read, without a store.
    #[command(flatten)]
    pub input: InputArgs,
    /// Start of the period
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// End of the period
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Only these venues
    #[arg(long, value_name = "ID", num_args = 1..)]
    pub venue: Vec<String>,
    /// Only venues of this region
    #[arg(long, value_name = "ID")]
    pub region: Option<String>,
    /// What counts.
    #[command(flatten)]
    pub rule: RuleArgs,
    /// Folder to write pairs.parquet to
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

impl InputArgs {
    /// The configuration with what was typed put over it. `tables` are further tables and their paths.
    ///
    /// # Errors
    /// `usage` for a wrong configuration, mapping or zone.
    pub fn config(&self, tables: &[(&'static str, &Vec<String>)]) -> Result<Config> {
        let mut config = match &self.config {
            Some(path) => Config::read(path)?,
            None => Config::default(),
        };
        let typed = [("scans", &self.scans), ("visits", &self.visits), ("venues", &self.venues)];
        for (table, paths) in typed.into_iter().chain(tables.iter().copied()) {
            if paths.is_empty() {
                continue;
            }
            let section = config.tables.get_mut(table).expect("every table has a section");
            section.paths = paths.clone();
            section.base = PathBuf::new();
            // What was typed takes the place of the configuration's other kind of input.
            let other = match table {
                "scans" => "visits",
                "visits" => "scans",
                _ => continue,
            };
            config.tables.get_mut(other).expect("every table has a section").paths.clear();
        }
        for map in &self.map {
            let wrong = || {
                Error::usage(
                    format!("--map {map:?} is not TABLE.OURS=THEIRS"),
                    "write --map visits.arrived_at=start_ts",
                )
            };
            let (ours, theirs) = map.split_once('=').ok_or_else(wrong)?;
            let (table, column) = ours.split_once('.').ok_or_else(wrong)?;
            let Some(section) = config.tables.get_mut(table) else {
                let near = schema::did_you_mean(table, schema::TABLES.map(|(name, _)| name));
                let all = schema::TABLES.map(|(name, _)| name).join(", ");
                let help = near.map_or(format!("tables: {all}"), |n| format!("did you mean {n:?}?"));
                return Err(Error::usage(format!("no table is called {table:?}"), help));
            };
            schema::check_columns(table, [&column.to_string()])?;
            section.columns.insert(column.into(), theirs.into());
        }
        let zone = self.time_zone.as_deref().map(time::zone).transpose()?;
        for section in config.tables.values_mut() {
            section.time_unit = self.time_unit.or(section.time_unit);
            section.time_zone = zone.clone().or(section.time_zone.take());
        }
        config.time_zone = zone.or(config.time_zone);
        Ok(config)
    }
}

impl RuleArgs {
    /// Puts what was typed over the configuration's rule.
    ///
    /// # Errors
    /// `usage` for a text that is no duration or rule.
    pub fn apply(&self, config: &mut Config) -> Result<()> {
        if let Some(text) = &self.min_overlap {
            config.contacts.other.min_overlap_s = time::parse_duration(text)?;
            config.contacts.cumulative = None;
        }
        if let Some(text) = &self.cumulative {
            config.contacts.cumulative = Some(config::parse_cumulative(text)?);
        }
        config.contacts.check()
    }
}

impl TraceArgs {
    /// The checked configuration of this trace.
    ///
    /// # Errors
    /// `usage`.
    pub fn config(&self) -> Result<Config> {
        let mut config = self.input.config(&[("cases", &self.cases), ("windows", &self.windows)])?;
        self.rule.apply(&mut config)?;
        if let Some(rings) = self.rings {
            config::check_rings(rings)?;
            config.contacts.rings = rings;
        }
        if let Some(text) = &self.linger {
            config.contacts.other.linger_s = time::parse_duration(text)?;
        }
        config.contacts.edges = self.edges.unwrap_or(config.contacts.edges);
        only_tables(&mut config, &["scans", "visits", "venues", "cases", "windows"]);
        Ok(config)
    }
}

impl SourcesArgs {
    /// The checked configuration.
    ///
    /// # Errors
    /// `usage`.
    pub fn config(&self) -> Result<Config> {
        let mut config = self.input.config(&[("cases", &self.cases)])?;
        self.rule.apply(&mut config)?;
        only_tables(&mut config, &["scans", "visits", "venues", "cases"]);
        Ok(config)
    }
}

/// A question that colors no one reads, of the small tables, only those it starts from.
fn only_tables(config: &mut Config, needed: &[&str]) {
    let others = config.tables.iter_mut().filter(|(table, _)| !needed.contains(table));
    others.for_each(|(_, section)| section.paths.clear());
}

impl ContactsArgs {
    /// The checked configuration, and the period.
    ///
    /// # Errors
    /// `usage`.
    pub fn config(&self) -> Result<(Config, (time::Second, time::Second))> {
        let mut config = self.input.config(&[])?;
        self.rule.apply(&mut config)?;
        let instant = |text: &Option<String>, absent| match text {
            Some(text) => parse_instant(text, &config),
            None => Ok(absent),
        };
        let period = (instant(&self.from, 0)?, instant(&self.until, time::FOREVER)?);
        if period.0 >= period.1 {
            return Err(Error::usage("the period is empty", "--until must be later than --from"));
        }
        Ok((config, period))
    }
}

fn parse_instant(text: &str, config: &Config) -> Result<time::Second> {
    let form = "write 2022-03-01T08:00:00+08:00, or give --time-zone";
    match time::parse_instant(text, config.time_zone.as_ref()) {
        Reading::At(at) if (0..=i64::from(time::FOREVER)).contains(&at) => Ok(at as time::Second),
        Reading::At(_) => Err(Error::usage(format!("{text:?} is before 1970 or after 2106"), form)),
        Reading::Zoneless => Err(Error::usage(format!("{text:?} has no time zone"), form)),
        Reading::Nothing => Err(Error::usage(format!("{text:?} is not a time"), form)),
    }
}
