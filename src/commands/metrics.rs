//! `run --metrics`: how a run ended, as gauges for the textfile collector of node_exporter (docs/operations.md).

use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Outcome;
use crate::error::{Error, Result};
use crate::outputs::read::Run;
use crate::outputs::report;
use crate::pipeline::Night;
use crate::store::publish;
use crate::time;

type Number = Gauge<f64, AtomicU64>;
type Labels = Vec<(&'static str, String)>;
type Numbers = Family<Labels, Number>;

/// Runs a night and writes how it ended to `file`, which is moved into place whole. That the file cannot be written is
/// only a warning: the night is what counts, and an old file raises its own alarm.
///
/// # Errors
/// `usage` if the file's name does not end in `.prom`; those of the night.
pub fn told(file: &Path, run: impl FnOnce() -> Result<(Outcome, Night)>) -> Result<Outcome> {
    if file.extension().is_none_or(|extension| extension != "prom") {
        let help = "the textfile collector reads no others: write --metrics ringtrace.prom";
        return Err(Error::usage(format!("{}: does not end in .prom", file.display()), help));
    }
    let began = Instant::now();
    let ended = run();
    let status = match &ended {
        Ok((Outcome::Done, _)) => 0,
        Ok((Outcome::ManyRejects, _)) => 1,
        Err(error) => error.exit_status(),
    };
    let night = ended.as_ref().ok().map(|(_, night)| night);
    let written = text(status, began.elapsed().as_secs_f64(), night).and_then(|text| {
        let place = std::path::absolute(file).map_err(Error::storage(file, "finding"))?;
        publish::write_file(&place, text.as_bytes())
    });
    if let Err(error) = written {
        eprintln!("warning: no metrics were written: {error}");
    }
    ended.map(|(outcome, _)| outcome)
}

/// The gauges as text.
fn text(status: u8, took_s: f64, night: Option<&Night>) -> Result<String> {
    let mut registry = Registry::with_prefix("ringtrace");
    let mut one = |name: &str, help: &str, value: f64| {
        let gauge = Number::default();
        gauge.set(value);
        registry.register(name, help, gauge);
    };
    one("exit_status", "How the run ended: 0 done, 1 many rejects, 3 held, else failed", f64::from(status));
    one("duration_seconds", "How long the run took", took_s);
    one("held", "1 if the night is held for approval", f64::from(u8::from(status == 3)));
    if let Some(night) = night {
        let (record, counts) = (&night.record, &night.record.counts);
        let end = time::end_of_day(time::parse_date(&record.date)?, &night.scheme.time_zone)?;
        one("night_seconds", "The night: its local end, in Unix seconds", f64::from(end));
        one("cases", "Persons that are cases", counts.cases as f64);
        let mut many = |name: &str, help: &str, values: Vec<(Labels, u64)>| {
            let family = Numbers::default();
            for (labels, value) in values {
                family.get_or_create(&labels).set(value as f64);
            }
            registry.register(name, help, family);
        };
        let rows = [
            ("accepted", night.read.balance.accepted),
            ("merged", night.read.balance.merged),
            ("rejected", night.read.balance.rejected),
        ];
        let rows = rows.map(|(state, rows)| (vec![("state", state.to_string())], rows));
        many("rows", "Where the rows read by this run went", rows.into());
        let rings = (1..).zip(&counts.rings).map(|(ring, n): (u8, _)| (vec![("ring", ring.to_string())], *n));
        many("contacts", "Contacts by ring", rings.collect());
        let colors = counts.colors.iter().map(|(color, n)| (vec![("color", color.clone())], *n));
        many("people", "The register: people by color, the healthy left out", colors.collect());
        let changes = counts.changes.iter().filter_map(|(change, n)| {
            let (before, after) = change.split_once(" -> ")?;
            Some((vec![("before", before.to_string()), ("after", after.to_string())], *n))
        });
        many("changes", "People whose color changed since the night before", changes.collect());
        let ages = report::input_ages(&Run::open(&night.folder)?)?;
        let ages = ages.into_iter().map(|(input, days)| (vec![("input", input)], days));
        many("input_age_days", "How old the newest row of an input is, in local days", ages.collect());
    }
    let mut text = String::new();
    encode(&mut text, &registry).expect("a string takes all text");
    Ok(text)
}
