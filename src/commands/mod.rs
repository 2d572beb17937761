//! What each command does, in terms of the stages; and what it prints.

mod backward;
mod compare;
mod doctor;
mod metrics;
mod questions;

use std::path::Path;

use clap::CommandFactory;
use serde_json::json;

use crate::cli::{AnswerFormat, Cli, Command, Common, ContactsArgs, SchemaOf, TraceArgs, exit_codes};
use crate::colors::{Scheme, vectors};
use crate::config::{Config, base_of};
use crate::error::{EXIT_CODES, Error, Result};
use crate::generate::{self, WorldSpec};
use crate::once::{self, From, Selection};
use crate::outputs::explain::{self, Identify};
use crate::outputs::export::{self, Sormas, Wanted};
use crate::outputs::query;
use crate::outputs::read::{Run, id_at};
use crate::outputs::record::{Balance, ReadRows};
use crate::outputs::report::{Audience, Report, SUPPRESS_BELOW};
use crate::outputs::summary::{self, many, n};
use crate::pipeline::{self, Night, Purpose};
use crate::progress::Screen;
use crate::store::ingest;
use crate::store::publish;
use crate::time;

/// How a command ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, or nothing to do.
    Done,
    /// Done, with more rejects than the limit, or an order refused; standard error has said so.
    ManyRejects,
}

/// Runs what was typed.
///
/// # Errors
/// Those of the command.
pub fn execute(cli: Cli) -> Result<Outcome> {
    let common = cli.common;
    if let Some(threads) = common.threads {
        // Fails only if a pool exists already, and nothing has run yet.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(usize::from(threads)).build_global();
    }
    let screen = Screen::new(common.quiet);
    match cli.command {
        Command::Demo { out, open } => demo(&out, open, &common, &screen),
        Command::Generate { people, days, seed, first_day, facts, out } => {
            let date = time::parse_date(&first_day)?;
            let first_day = (date - jiff::civil::Date::constant(1970, 1, 1)).get_days();
            let first_day = u32::try_from(first_day)
                .map_err(|_| Error::usage(format!("{date} is before 1970"), "choose a later first day"))?;
            let world = generate::write(&WorldSpec { people, days, seed, first_day, facts }, &out)?;
            say(
                &common,
                || {
                    format!(
                        "{} scans of {} people at {} venues, {} cases, {} planted contacts\n  {}\n  next: ringtrace run --config {} --date {}",
                        n(world.scans),
                        n(world.people),
                        n(world.venues),
                        world.cases,
                        world.planted,
                        out.display(),
                        out.join("ringtrace.toml").display(),
                        date.saturating_add(jiff::Span::new().days(i64::from(days) - 1)),
                    )
                },
                || json!({"people": world.people, "venues": world.venues, "scans": world.scans, "cases": world.cases, "planted": world.planted, "files": world.files}),
            )?;
            Ok(Outcome::Done)
        }
        Command::Ingest { store, input } => {
            let config = within(&common, input.config(&[])?);
            let folder = store.unwrap_or_else(|| config.store.clone());
            let report = ingest::ingest(&folder, &pipeline::feed(&config)?)?.report;
            let balance = Balance::of(&report.files)?;
            for file in report.changed_files.iter().filter(|_| !common.quiet) {
                eprintln!(
                    "note: {file} was delivered again with other content; rows it no longer holds stay in the store"
                );
            }
            say(
                &common,
                || {
                    format!(
                        "{}\n{}\n  {}",
                        pipeline::ingest_words(&report),
                        balance_words(&balance),
                        folder.display()
                    )
                },
                || json!({"store": folder, "version": report.version, "files": report.files, "known_files": report.known_files, "changed_files": report.changed_files, "changed_days": report.changed_days.iter().map(|d| time::utc_day_name(*d)).collect::<Vec<_>>(), "balance": balance}),
            )?;
            Ok(outcome(&ReadRows::of(&report.files, config.rejects_max_percent)?))
        }
        Command::Trace(args) => trace(&args, &common, &screen),
        Command::Contacts(args) => contacts(&args, &common, &screen),
        Command::Run { config, date, as_of, supposing, metrics } => {
            if supposing.out.is_some() && !supposing.is_asked() {
                let help = "give --what-if or --min-overlap, or leave --out away: a night goes where the configuration says";
                return Err(Error::usage("--out is for what is only supposed", help));
            }
            let purpose = if as_of.is_some() { Purpose::LookBack } else { Purpose::Publish };
            let date = date.or(as_of).expect("clap asks for one");
            if supposing.is_asked() {
                return compare::suppose(&config, time::parse_date(&date)?, &supposing, &common, &screen);
            }
            match metrics {
                Some(file) => metrics::told(&file, || run(&config, &date, purpose, &common, &screen)),
                None => run(&config, &date, purpose, &common, &screen).map(|(outcome, _)| outcome),
            }
        }
        Command::Sources(args) => backward::sources(&args, &common, &screen),
        Command::Path { run, a, b, time_zone, identify } => {
            let identify = if identify { Identify::Everyone } else { Identify::NoOneElse };
            backward::path(&run, [&a, &b], time_zone.as_deref(), identify, &common)
        }
        Command::Diff { a, b, out } => compare::runs([&a, &b], out.as_deref(), &common),
        Command::Explain { run, person_id, time_zone, config, language, identify, evidence_pack } => {
            let folder = run;
            let run = Run::open(&folder)?;
            let scheme = run.scheme()?;
            let zone = time::zone(time_zone.as_deref().unwrap_or(&run.record.identity.time_zone))?;
            let config = match config {
                Some(path) => Ok(Config::read(&path)?),
                None => config_beside(&folder),
            };
            let config = config.as_ref().map_err(Clone::clone);
            let explanation = explain::gather(&run, &person_id, &scheme, config)?;
            if let Some(path) = evidence_pack {
                let pack = explanation.evidence_pack(&run, &scheme, &zone);
                write_new(
                    &path,
                    "--evidence-pack",
                    &(serde_json::to_string_pretty(&pack).expect("plain data") + "\n"),
                )?;
                say(&common, || format!("{} written", path.display()), || json!({"evidence_pack": path}))?;
                return Ok(Outcome::Done);
            }
            let identify = if identify { Identify::Everyone } else { Identify::NoOneElse };
            let words = || explanation.words(&scheme, &zone, language, identify);
            say(&common, words, || explanation.json(&scheme, identify))?;
            Ok(Outcome::Done)
        }
        Command::Query { list: true, .. } => questions::list(&common),
        Command::Query { tables: true, .. } => {
            print(query::TABLES.as_bytes())?;
            Ok(Outcome::Done)
        }
        Command::Query { run, name, sql, param, format, csv, .. } => {
            let format = match (csv, common.json) {
                (true, _) => AnswerFormat::Csv,
                (_, true) => AnswerFormat::Json,
                _ => format,
            };
            let run = Run::open(&run.expect("clap asks for it"))?;
            let answer = match (&sql, &name) {
                (Some(sql), _) => query::run(&run, sql)?,
                (None, Some(name)) => questions::ask(&run, name, &param)?,
                (None, None) => unreachable!("clap asks for one"),
            };
            questions::print_answer(&answer, format)
        }
        Command::Export { run, format, out, rings, max, sormas } => {
            let wanted = Wanted {
                format,
                rings,
                most: max.unwrap_or(format.most()),
                sormas: Sormas {
                    disease: sormas.disease,
                    date_format: sormas.date_format,
                    separator: sormas.separator,
                    place: sormas.region.zip(sormas.district),
                },
            };
            let done = export::write(&Run::open(&run)?, &wanted, &out)?;
            let words = || {
                let mut lines =
                    vec![format!("{}, {}", many(done.persons, "person"), many(done.meetings, "meeting"))];
                lines.extend(done.notes.iter().map(|note| format!("note: {note}")));
                lines.extend(done.files.iter().map(|file| format!("  {}", file.display())));
                lines.join("\n")
            };
            say(
                &common,
                words,
                || json!({"files": done.files, "persons": done.persons, "meetings": done.meetings, "notes": done.notes}),
            )?;
            Ok(Outcome::Done)
        }
        Command::Report { run, out, public, suppress_below, open } => {
            if public && suppress_below < SUPPRESS_BELOW {
                return Err(Error::usage(
                    format!("--suppress-below {suppress_below} is too little for the public"),
                    format!("with --public give {SUPPRESS_BELOW} or more"),
                ));
            }
            let run = Run::open(&run)?;
            let audience = Audience { public, suppress_below };
            let report = Report::new(&run, &run.record, &run.scheme()?, None, audience)?;
            let page = out.join("report.html");
            if page.exists() || out.join("report.json").exists() || out.join("report").exists() {
                return Err(Error::Conflict {
                    what: format!("{}: holds a report already", out.display()),
                    help: "choose another folder with --out".into(),
                });
            }
            publish::create_folder(&out)?;
            let out = std::path::absolute(&out).map_err(Error::storage(&out, "finding"))?;
            let files = report.write(&out, "report")?;
            say(
                &common,
                || {
                    format!(
                        "{} written, with {} beside it",
                        page.display(),
                        many(files.len() as u64 - 1, "file")
                    )
                },
                || json!({"report": page, "files": files}),
            )?;
            if open {
                open_page(&page)?;
            }
            Ok(Outcome::Done)
        }
        Command::Verify { scheme, run } => verify(scheme.as_deref(), run.as_deref(), &common),
        Command::Init { json_schema: Some(of), .. } => {
            let schema = match of {
                SchemaOf::Config => crate::config::json_schema(),
                SchemaOf::Pack => crate::colors::scheme::json_schema(),
            };
            let text = serde_json::to_string_pretty(&schema).expect("a schema is plain data");
            print(format!("{text}\n").as_bytes())?;
            Ok(Outcome::Done)
        }
        Command::Init { scheme: Some(name), .. } => {
            print(Scheme::load(&name, Path::new(""))?.text.as_bytes())?;
            Ok(Outcome::Done)
        }
        Command::Init { out, json_schema: None, scheme: None } => {
            write_new(&out, "--out", TEMPLATE)?;
            say(
                &common,
                || {
                    format!(
                        "{} written; fill in [scans], [cases] and time_zone, then: ringtrace doctor --config {}",
                        out.display(),
                        out.display()
                    )
                },
                || json!({"config": out}),
            )?;
            Ok(Outcome::Done)
        }
        Command::Doctor { config } => doctor::run(config.as_deref(), &common),
        Command::ExitCodes => {
            let code = |(status, means, then): &(u8, &str, &str)| json!({"status": status, "means": means, "then": then});
            say(
                &common,
                || exit_codes().trim_end().to_string(),
                || json!(EXIT_CODES.iter().map(code).collect::<Vec<_>>()),
            )?;
            Ok(Outcome::Done)
        }
        Command::Man { out } => {
            publish::create_folder(&out)?;
            clap_mangen::generate_to(Cli::command(), &out).map_err(Error::storage(&out, "writing"))?;
            let pages = publish::list(&out)?;
            say(
                &common,
                || format!("{} in {}", many(pages.len() as u64, "page"), out.display()),
                || json!({"out": out}),
            )?;
            Ok(Outcome::Done)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "ringtrace", &mut script);
            print(&script)?;
            Ok(Outcome::Done)
        }
    }
}

/// One night, told on the screen.
fn run(
    path: &Path,
    date: &str,
    purpose: Purpose,
    common: &Common,
    screen: &Screen,
) -> Result<(Outcome, Night)> {
    let config = within(common, Config::read(path)?);
    let night = pipeline::night(&config, base_of(path), time::parse_date(date)?, purpose, screen)?;
    print_night(&night, common)?;
    Ok((outcome(&night.read), night))
}

/// Writes a file that is not there yet.
fn write_new(path: &Path, option: &str, text: &str) -> Result<()> {
    if path.exists() {
        return Err(Error::Conflict {
            what: format!("{}: is there already", path.display()),
            help: format!("choose another name with {option}, or move it away"),
        });
    }
    publish::write_file(&std::path::absolute(path).map_err(Error::storage(path, "finding"))?, text.as_bytes())
}

/// The configuration that lies beside the folder of runs, as `init`, `generate` and `demo` put it; else why there is none.
fn config_beside(run: &Path) -> std::result::Result<Config, Option<String>> {
    let folder = std::path::absolute(run).map_err(|_| None)?;
    // A held night and a look back lie one folder deeper.
    let beside = folder.ancestors().skip(2).take(2).map(|folder| folder.join("ringtrace.toml"));
    let path = beside.into_iter().find(|path| path.exists()).ok_or(None)?;
    Config::read(&path).map_err(|error| Some(error.to_string()))
}

/// Checks a pack, a night, or both.
fn verify(scheme: Option<&str>, run: Option<&Path>, common: &Common) -> Result<Outcome> {
    let mut lines = Vec::new();
    let mut found = serde_json::Map::new();
    if let Some(name) = scheme {
        let scheme = Scheme::load(name, Path::new(""))?;
        vectors::check(&scheme)?;
        let held = scheme.rules.iter().map(|rule| rule.vectors.len()).sum::<usize>();
        lines.push(format!(
            "scheme {} version {}: {}, {} hold",
            scheme.id,
            scheme.version,
            many(scheme.rules.len() as u64, "rule"),
            many(held as u64, "vector")
        ));
        let unshown = vectors::unshown(&scheme);
        let unnoticed = vectors::unnoticed(&scheme);
        lines.extend(
            unshown.iter().map(|id| format!("note: rule {id}: no vector shows it holding and another not")),
        );
        lines.extend(unnoticed.iter().map(|what| format!("note: no vector would notice {what}")));
        found.insert(
            "scheme".into(),
            json!({"id": scheme.id, "version": scheme.version, "rules": scheme.rules.len(), "vectors": held,
                "unshown": unshown, "unnoticed": unnoticed}),
        );
    }
    if let Some(folder) = run {
        let run = Run::open(folder)?;
        run.check_whole()?;
        let files = run.record.outputs.len();
        lines.push(format!("run {}: {} as published", run.record.date, many(files as u64, "file")));
        found.insert("run".into(), json!({"date": run.record.date, "files": files}));
    }
    say(common, || lines.join("\n"), || json!(found))?;
    Ok(Outcome::Done)
}

/// A configuration that shows every key with its default.
pub const TEMPLATE: &str = include_str!("template.toml");

/// Prints a result for a person or for a program.
fn say(
    common: &Common,
    words: impl FnOnce() -> String,
    json: impl FnOnce() -> serde_json::Value,
) -> Result<()> {
    let text = if common.json {
        serde_json::to_string_pretty(&json()).expect("a value is plain data")
    } else {
        words()
    };
    print(format!("{text}\n").as_bytes())
}

/// Writes to standard output. A reader that has gone away (`| head`) is no error; a full disk is.
fn print(bytes: &[u8]) -> Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::storage(Path::new("standard output"), "writing")(e))
        }
        _ => Ok(()),
    }
}

/// The configuration with the memory that was typed.
fn within(common: &Common, config: Config) -> Config {
    Config { memory: common.memory.as_u64(), ..config }
}

/// How a command ended that read these rows; standard error says what is wrong with them.
fn outcome(read: &ReadRows) -> Outcome {
    read.warnings.iter().for_each(|warning| eprintln!("warning: {warning}; rejects.parquet says why"));
    if read.warnings.is_empty() { Outcome::Done } else { Outcome::ManyRejects }
}

/// Opens a page in the browser.
fn open_page(page: &Path) -> Result<()> {
    open::that_detached(page).map_err(Error::storage(page, "opening in a browser"))
}

fn balance_words(b: &Balance) -> String {
    format!(
        "{} rows = {} accepted + {} merged + {} rejected",
        n(b.rows),
        n(b.accepted),
        n(b.merged),
        n(b.rejected)
    )
}

/// The demo's world: large enough for two rings and a crowd, small enough for a first minute.
const DEMO: WorldSpec = WorldSpec { people: 60_000, days: 14, seed: 7, first_day: 19_052, facts: true };

fn demo(out: &Path, open: bool, common: &Common, screen: &Screen) -> Result<Outcome> {
    let config_path = out.join("ringtrace.toml");
    if let Ok(text) = std::fs::read_to_string(&config_path)
        && text != DEMO.config()
    {
        return Err(Error::Conflict {
            what: format!("{}: holds a configuration that is not the demo's", out.display()),
            help: "choose another folder with --out".into(),
        });
    }
    if !config_path.exists() {
        let occupied = !publish::list(out)?.is_empty();
        if occupied {
            return Err(Error::Conflict {
                what: format!("{}: is not empty and not a demo", out.display()),
                help: "choose another folder with --out".into(),
            });
        }
        crate::pipeline::Progress::begin(screen, "a sample world");
        let place = std::path::absolute(out).map_err(Error::storage(out, "finding"))?;
        let name = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let work = place.with_file_name(format!("{}{name}", publish::UNFINISHED));
        if work.exists() {
            std::fs::remove_dir_all(&work).map_err(Error::storage(&work, "removing"))?;
        }
        let world = generate::write(&DEMO, &work)?;
        if place.exists() {
            std::fs::remove_dir(&place).map_err(Error::storage(&place, "replacing"))?;
        }
        publish::publish_folder(&work, &place)?;
        crate::pipeline::Progress::end(
            screen,
            &format!("{} scans of {} people", n(world.scans), n(world.people)),
        );
    }
    let config = within(common, Config::read(&config_path)?);
    let date = time::parse_date(&time::utc_day_name(DEMO.first_day + DEMO.days - 1))?;
    let night = pipeline::night(&config, out, date, Purpose::Publish, screen)?;
    print_night(&night, common)?;
    if !common.json {
        let side_by_side = pipeline::side_by_side(&config, date)?;
        say(common, || summary::side_by_side(&side_by_side), || json!(null))?;
        let next = next_commands(&night.folder)?;
        say(common, || next, || json!(null))?;
    }
    if open {
        open_page(&night.folder.join("report.html"))?;
    }
    Ok(outcome(&night.read))
}

/// Commands to go on with, about a close and a secondary contact of the demo.
fn next_commands(folder: &Path) -> Result<String> {
    let contacts = Run::open(folder)?.table("contacts")?;
    let mut lines = vec!["\n  next:".to_string()];
    for ring in ["1", "2"] {
        if let Some(row) = contacts.rows_where("ring", ring)?.first() {
            let person = id_at(contacts.column("person_id")?, *row);
            lines.push(format!("    ringtrace explain --run {} {person}", folder.display()));
        }
    }
    lines.push(format!("    ringtrace query --run {} venue-hotspots", folder.display()));
    lines.push("  (ringtrace is `cargo run --release --` here, or target/release/ringtrace)".into());
    lines.push(format!("\n  report: {}  (--open opens it)", folder.join("report.html").display()));
    Ok(lines.join("\n"))
}

fn print_night(night: &Night, common: &Common) -> Result<()> {
    let words = || {
        let text = summary::text(&night.record, &night.scheme, &night.folder);
        if night.known {
            format!("{text}\n\n  Published before from the same inputs: nothing was done.")
        } else {
            text
        }
    };
    let json = || {
        json!({"status": if night.known { "unchanged" } else { "published" }, "folder": night.folder, "date": night.record.date,
            "counts": night.record.counts, "balance": night.record.balance, "notes": summary::notes(&night.record.notes)})
    };
    say(common, words, json)
}

fn trace(args: &TraceArgs, common: &Common, screen: &Screen) -> Result<Outcome> {
    let config = within(common, args.config()?);
    let from = args.store.as_deref().map_or(From::Files, From::Store);
    let trace = once::trace(&config, &from, args.sources, &args.out, screen)?;
    let words = || {
        let counts = &trace.counts;
        let mut lines =
            vec![format!("{}, {}", many(counts.cases, "case"), many(counts.windows, "exposure site"))];
        for (at, persons) in trace.counts.rings.iter().enumerate() {
            lines.push(format!("ring {}: {}", at + 1, many(*persons, "person")));
        }
        if trace.counts.rings.is_empty() {
            lines.push("no one was exposed".into());
        }
        lines.push(balance_words(&trace.read.balance));
        lines.extend(summary::notes(&trace.notes).iter().map(|note| format!("note: {note}")));
        lines.push(format!("  {}", args.out.display()));
        lines.join("\n")
    };
    let json = || json!({"out": args.out, "counts": trace.counts, "balance": trace.read.balance, "notes": summary::notes(&trace.notes)});
    say(common, words, json)?;
    Ok(outcome(&trace.read))
}

fn contacts(args: &ContactsArgs, common: &Common, screen: &Screen) -> Result<Outcome> {
    let (config, period) = args.config()?;
    let config = within(common, config);
    let from = args.store.as_deref().map_or(From::Files, From::Store);
    let selection = Selection { period, venues: args.venue.clone(), region: args.region.clone() };
    let (pairs, read) = once::contacts(&config, &from, &selection, &args.out, screen)?;
    let seconds: u64 = pairs.iter().map(|p| p.overlap_s).sum();
    let exposures: u64 = pairs.iter().map(|p| u64::from(p.exposures)).sum();
    say(
        common,
        || {
            format!(
                "{} pairs, {} overlaps, {} together\n  {}",
                n(pairs.len() as u64),
                n(exposures),
                time::format_duration(seconds),
                args.out.join("pairs.parquet").display()
            )
        },
        || json!({"out": args.out, "pairs": pairs.len(), "exposures": exposures, "overlap_s": seconds, "balance": read.balance}),
    )?;
    Ok(outcome(&read))
}
