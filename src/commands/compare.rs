//! `diff`, and `run --what-if` and `--min-overlap`: nights side by side, published or only supposed.

use std::path::{Path, PathBuf};

use jiff::civil::Date;
use serde_json::{Value, json};

use super::{Outcome, say, within};
use crate::cli::{Common, Supposing};
use crate::colors::Scheme;
use crate::config::{Config, base_of};
use crate::error::{Error, Result};
use crate::outputs::diff::{self, Diff, Side};
use crate::outputs::read::Run;
use crate::outputs::report::{Report, Section, Words};
use crate::outputs::sweep::Sweep;
use crate::pipeline::{self, Supposed};
use crate::progress::Screen;
use crate::store::publish;
use crate::time;

/// Compares two published nights.
///
/// # Errors
/// `usage` if one is not a night; `conflict` if `out` holds a comparison already; those of reading and writing.
pub fn runs(folders: [&Path; 2], out: Option<&Path>, common: &Common) -> Result<Outcome> {
    let [a, b] = folders.map(Run::open);
    let (a, b) = (a?, b?);
    let (scheme_a, scheme_b) = (a.scheme()?, b.scheme()?);
    let side = |run: &Run, folder: &Path, scheme: &Scheme| -> Result<Side> {
        let register = run.table_columns("colors", &diff::COLUMNS)?;
        Ok(Side { name: folder.display().to_string(), healthy: scheme.healthy().into(), register })
    };
    let sides = (side(&a, folders[0], &scheme_a)?, side(&b, folders[1], &scheme_b)?);
    let diff = diff::between(&sides.0, &sides.1, &[&scheme_a, &scheme_b])?;
    let date = time::parse_date(&b.record.date)?;
    let title = Words::new(
        format!("{} and {}", a.record.date, b.record.date),
        format!("{} 与 {}", a.record.date, b.record.date),
    );
    tell(&diff, &diff.words(), out, (date, &scheme_b, title), common)
}

/// What a night would be under other rules, and how that differs from what it would be otherwise.
///
/// # Errors
/// `usage` for a name that is no policy and no scheme, or thresholds that are none; those of the night.
pub fn suppose(
    config: &Path,
    date: Date,
    supposing: &Supposing,
    common: &Common,
    screen: &Screen,
) -> Result<Outcome> {
    let out = supposing.out.as_deref();
    refuse_occupied(out)?;
    if !supposing.min_overlap.is_empty() {
        return sweep(config, date, &supposing.min_overlap, out, common, screen);
    }
    let named = |name: Option<&str>| -> Result<(String, Config)> {
        match name {
            Some(name) => Ok((name.into(), within(common, Config::supposing(config, name)?))),
            None => Ok(("the configuration".into(), within(common, Config::read(config)?))),
        }
    };
    let configs = [named(supposing.against.as_deref())?, named(supposing.what_if.as_deref())?];
    let nights = pipeline::suppose(&configs, base_of(config), date, screen)?;
    let [a, b]: [Supposed; 2] = nights.try_into().ok().expect("a night a configuration");
    let rings = |night: &Supposed| json!({"name": night.name, "rings": night.rings});
    let (sides, schemes) = ((side_of(&a), side_of(&b)), [&a.scheme, &b.scheme]);
    let diff = diff::between(&sides.0, &sides.1, &schemes)?;
    let words = format!("{}\n{}", rings_words(&a, &b), diff.words());
    let title = Words::new(
        format!("Night of {date}: {} and {}", a.name, b.name),
        format!("{date} 夜：{} 与 {}", a.name, b.name),
    );
    let files = write(&diff, out, (date, &b.scheme, title))?;
    let nights = json!({"a": rings(&a), "b": rings(&b)});
    say(
        common,
        || with_files(&words, &files),
        || json!({"nights": nights, "diff": diff.json(), "files": files}),
    )?;
    Ok(Outcome::Done)
}

fn sweep(
    config: &Path,
    date: Date,
    thresholds: &[String],
    out: Option<&Path>,
    common: &Common,
    screen: &Screen,
) -> Result<Outcome> {
    let mut seconds: Vec<u32> =
        thresholds.iter().map(|text| time::parse_duration(text)).collect::<Result<_>>()?;
    seconds.sort_unstable();
    seconds.dedup();
    let one = |seconds: &u32| -> Result<(String, Config)> {
        let mut config = within(common, Config::read(config)?);
        config.contacts.other.min_overlap_s = *seconds;
        config.contacts.cumulative = None;
        Ok((time::format_duration(u64::from(*seconds)), config))
    };
    let configs: Vec<(String, Config)> = seconds.iter().map(one).collect::<Result<_>>()?;
    let nights = pipeline::suppose(&configs, base_of(config), date, screen)?;
    let sides: Vec<Side> = nights.iter().map(side_of).collect();
    let points: Vec<(u32, &[u64], &Side)> = seconds
        .iter()
        .zip(&nights)
        .zip(&sides)
        .map(|((seconds, night), side)| (*seconds, night.rings.as_slice(), side))
        .collect();
    let scheme = &nights[0].scheme;
    let sweep = Sweep::new(scheme, &points)?;
    let mut files = Vec::new();
    if let Some(out) = out {
        publish::create_folder(out)?;
        let title = Words::new(
            format!("Night of {date} under other thresholds"),
            format!("{date} 夜：不同阈值下的结果"),
        );
        files = report(out, "sweep", (date, scheme, title), sweep.section())?;
    }
    say(common, || with_files(&sweep.words(), &files), || json!({"sweep": sweep.json(), "files": files}))?;
    Ok(Outcome::Done)
}

fn side_of(night: &Supposed) -> Side {
    Side {
        name: night.name.clone(),
        healthy: night.scheme.healthy().into(),
        register: night.register.clone(),
    }
}

fn rings_words(a: &Supposed, b: &Supposed) -> String {
    let line = |letter: &str, night: &Supposed| {
        let rings: Vec<String> = night
            .rings
            .iter()
            .enumerate()
            .map(|(at, persons)| format!("ring {}: {}", at + 1, crate::outputs::summary::n(*persons)))
            .collect();
        let rings = if rings.is_empty() { "no one was exposed".into() } else { rings.join(", ") };
        format!("{letter}  {}: {rings}", night.name)
    };
    format!("{}\n{}", line("A", a), line("B", b))
}

/// Prints a comparison, and writes it if that is wanted.
fn tell(
    diff: &Diff,
    words: &str,
    out: Option<&Path>,
    heading: (Date, &Scheme, Words),
    common: &Common,
) -> Result<Outcome> {
    refuse_occupied(out)?;
    let files = write(diff, out, heading)?;
    let json = || -> Value { json!({"diff": diff.json(), "files": files}) };
    say(common, || with_files(words, &files), json)?;
    Ok(Outcome::Done)
}

fn with_files(words: &str, files: &[PathBuf]) -> String {
    let page = files.iter().find(|file| file.extension().is_some_and(|extension| extension == "html"));
    page.map_or_else(|| words.to_string(), |page| format!("{words}\n  {}", page.display()))
}

/// Writes a comparison's tables and page into `out`, if there is one.
fn write(diff: &Diff, out: Option<&Path>, heading: (Date, &Scheme, Words)) -> Result<Vec<PathBuf>> {
    let Some(out) = out else { return Ok(Vec::new()) };
    publish::create_folder(out)?;
    let mut files = diff.write(out)?;
    files.extend(report(out, "diff", heading, diff.section())?);
    Ok(files)
}

fn report(
    out: &Path,
    name: &str,
    (date, scheme, title): (Date, &Scheme, Words),
    section: Section,
) -> Result<Vec<PathBuf>> {
    let folder = std::path::absolute(out).map_err(Error::storage(out, "finding"))?;
    let files = Report::of_sections(date, scheme, title, vec![section]).write(&folder, name)?;
    Ok(files.into_iter().map(|file| out.join(file.strip_prefix(&folder).expect("written there"))).collect())
}

/// A comparison is never written over another.
fn refuse_occupied(out: Option<&Path>) -> Result<()> {
    match out {
        Some(out) if !publish::list(out)?.is_empty() => Err(Error::Conflict {
            what: format!("{}: is not empty", out.display()),
            help: "choose another folder with --out".into(),
        }),
        _ => Ok(()),
    }
}
