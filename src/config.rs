//! The checked configuration: what `ringtrace.toml` and the command line ask for, as one plain struct.
//!
//! Nothing below this file knows clap or TOML. Every default is written here once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::schema::{check_columns, did_you_mean};
use crate::time;

/// Bytes of memory taken unless the command line says otherwise: half of a small machine's.
pub const MEMORY: u64 = 4 << 30;

/// A run's configuration, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Zone of zoneless times and of civil days, if one was given.
    pub time_zone: Option<TimeZone>,
    /// Scheme pack: a name or a path.
    pub scheme: String,
    /// Who we are in pushes to other provinces.
    pub origin: String,
    /// Folder of the visit store.
    pub store: PathBuf,
    /// Folder that holds one folder per published night.
    pub runs: PathBuf,
    /// A command that rejected more than this many percent of its rows ends with status 1.
    pub rejects_max_percent: u32,
    /// Input tables by name: all of [`schema::TABLES`](crate::schema::TABLES).
    pub tables: BTreeMap<&'static str, TableConfig>,
    /// How scans become visits.
    pub visits: VisitRules,
    /// What counts as a contact.
    pub contacts: ContactConfig,
    /// When a night waits for an approval.
    pub hold: HoldConfig,
    /// Bytes of memory to take; the command line says.
    pub memory: u64,
    /// BLAKE3 of the configuration text, or of nothing without one.
    pub digest: String,
}

/// Where a table is and how its columns are named.
#[derive(Clone, Debug, Default)]
pub struct TableConfig {
    /// Files, folders or globs, as the user wrote them.
    pub paths: Vec<String>,
    /// Folder that relative paths start from.
    pub base: PathBuf,
    /// Our column name to theirs.
    pub columns: BTreeMap<String, String>,
    /// Unit of integer times.
    pub time_unit: Option<TimeUnit>,
    /// Zone of zoneless times.
    pub time_zone: Option<TimeZone>,
}

impl TableConfig {
    /// A digest of everything that decides what the table's cells mean.
    pub fn read_as(&self) -> String {
        let zone = self.time_zone.as_ref().and_then(TimeZone::iana_name);
        let text = format!("{:?} {:?} {zone:?}", self.columns, self.time_unit);
        blake3::hash(text.as_bytes()).to_hex()[..16].to_string()
    }
}

/// Unit of integer times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, clap::ValueEnum)]
pub enum TimeUnit {
    /// Seconds.
    #[serde(rename = "s")]
    #[value(name = "s")]
    Second,
    /// Milliseconds.
    #[serde(rename = "ms")]
    #[value(name = "ms")]
    Millisecond,
    /// Microseconds.
    #[serde(rename = "us")]
    #[value(name = "us")]
    Microsecond,
    /// Nanoseconds.
    #[serde(rename = "ns")]
    #[value(name = "ns")]
    Nanosecond,
}

impl TimeUnit {
    /// How many of these make a second.
    pub fn per_second(self) -> i64 {
        match self {
            TimeUnit::Second => 1,
            TimeUnit::Millisecond => 1_000,
            TimeUnit::Microsecond => 1_000_000,
            TimeUnit::Nanosecond => 1_000_000_000,
        }
    }
}

/// When a night that turns many people to a worse color waits for an approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldConfig {
    /// More than so many times the median of recent nights are held.
    pub multiple: u64,
    /// How many nights are recent.
    pub nights: usize,
    /// More than so many percent of a region's residents are held.
    pub region_percent: Option<u32>,
    /// Fewer persons are never held.
    pub least: u64,
    /// Folder of approvals, `DATE.toml` each.
    pub approvals: PathBuf,
}

/// How long a stay lasts when no one checked out, by venue category (design, section 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisitRules {
    /// For categories without an entry below.
    pub other: StayRule,
    /// By category, as the venues table spells it.
    pub by_category: BTreeMap<String, StayRule>,
    /// Whether a scan at another venue (not a child of this one) ends the stay here.
    pub next_scan_ends_stay: bool,
    /// Longest stay, seconds.
    pub cap_s: u32,
}

/// The two lengths of a venue category.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StayRule {
    /// Stay after the last scan, seconds.
    pub default_stay_s: u32,
    /// A re-scan within this many seconds of the last scan prolongs the visit.
    pub merge_gap_s: u32,
}

/// What counts as a contact, for whom, and how far to follow (design, section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactConfig {
    /// For categories without an entry below.
    pub other: ContactThreshold,
    /// By category, as the venues table spells it: what differs there.
    pub by_category: BTreeMap<String, ThresholdOverride>,
    /// How many rings to follow.
    pub rings: u8,
    /// A pair counts when its overlaps within a rolling period add up to a threshold.
    pub cumulative: Option<Cumulative>,
    /// Days before onset (or sampling) at which a case's window opens, seconds.
    pub lookback_s: u32,
    /// Seconds after onset (or sampling) at which it closes when the case was not isolated.
    pub infectious_for_s: u32,
    /// Keep every exposure of rings past the first, not only each contact's best.
    pub edges: Edges,
}

/// The threshold of one venue category.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContactThreshold {
    /// Shortest overlap that counts, seconds.
    pub min_overlap_s: u32,
    /// How long a source's visit outlasts the source, seconds.
    pub linger_s: u32,
    /// Whether venues of this category make no contacts at all.
    pub exclude: bool,
}

/// What differs for one venue category; the rest is as everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThresholdOverride {
    /// Shortest overlap that counts, seconds.
    pub min_overlap_s: Option<u32>,
    /// How long a source's visit outlasts the source, seconds.
    pub linger_s: Option<u32>,
    /// Whether venues of this category make no contacts at all.
    pub exclude: bool,
}

/// Overlaps within `period_s` must add up to `threshold_s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cumulative {
    /// Seconds of overlap needed.
    pub threshold_s: u32,
    /// Length of the rolling period, seconds.
    pub period_s: u32,
}

/// Which exposures are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Edges {
    /// All of ring 1, and the best of each contact in deeper rings.
    Best,
    /// All of every ring.
    All,
}

impl Default for Config {
    fn default() -> Self {
        Config::from_text("", Path::new("."), "defaults").expect("the empty configuration is valid")
    }
}

impl Config {
    /// The configuration in the TOML file at `path`; relative paths in it start from its folder.
    ///
    /// # Errors
    /// `usage` if there is none, with line and column for anything in it that is wrong; `storage` if it cannot be read.
    pub fn read(path: &Path) -> Result<Config> {
        let text = std::fs::read_to_string(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Error::usage(
                format!("{}: no configuration here", path.display()),
                "`ringtrace init` writes one to start from",
            ),
            std::io::ErrorKind::InvalidData => Error::usage(
                format!("{}: expected text in UTF-8, found other bytes", path.display()),
                "save it as UTF-8",
            ),
            _ => Error::storage(path, "reading the configuration")(e),
        })?;
        let base = base_of(path);
        Config::from_text(&text, base, &path.display().to_string())
    }

    /// The configuration at `path` with another policy or scheme in it, or both where they share the name, as editions of the
    /// national protocol do. A policy takes the place of what `[contacts]` says of the same things: it is what is asked about.
    ///
    /// # Errors
    /// As for [`Config::read`]; `usage` if nothing is called `name`.
    pub fn supposing(path: &Path, name: &str) -> Result<Config> {
        Config::read(path)?;
        let text =
            std::fs::read_to_string(path).map_err(Error::storage(path, "reading the configuration"))?;
        let mut keys: toml::Table = toml::from_str(&text).map_err(|e| explain_toml(&e, &text, name))?;
        let is_policy = Policy::named(Some(name)).is_ok();
        let scheme = crate::colors::Scheme::load(name, base_of(path));
        if is_policy {
            keys.insert("policy".into(), name.into());
            if let Some(contacts) = keys.get_mut("contacts").and_then(toml::Value::as_table_mut) {
                for decided in ["min_overlap", "rings", "cumulative", "lookback", "infectious_for"] {
                    contacts.remove(decided);
                }
            }
        }
        match scheme {
            Ok(_) => drop(keys.insert("scheme".into(), name.into())),
            Err(error) if !is_policy => return Err(error),
            Err(_) => {}
        }
        let text = toml::to_string(&keys).expect("keys that were read");
        Config::from_text(&text, base_of(path), &path.display().to_string())
    }

    /// The configuration with the tracing parameters of the policy of that name, if there is one; what else `[contacts]` says
    /// stays.
    pub fn under_policy(&self, name: &str) -> Option<Config> {
        let policy = Policy::named(Some(name)).ok()?;
        let mut config = self.clone();
        let contacts = &mut config.contacts;
        contacts.other.min_overlap_s = policy.min_overlap_s;
        (contacts.rings, contacts.cumulative) = (policy.rings, policy.cumulative);
        (contacts.lookback_s, contacts.infectious_for_s) = (policy.lookback_s, policy.infectious_for_s);
        Some(config)
    }

    /// The configuration in `text`. `name` stands for it in messages.
    ///
    /// # Errors
    /// `usage` with line and column for anything in it that is wrong.
    pub fn from_text(text: &str, base: &Path, name: &str) -> Result<Config> {
        let file: ConfigFile = toml::from_str(text).map_err(|e| explain_toml(&e, text, name))?;
        let zone = file.time_zone.as_deref().map(time::zone).transpose()?;
        let policy = Policy::named(file.policy.as_deref())?;
        let mut tables = BTreeMap::new();
        let sections = [
            ("scans", file.scans),
            ("visits", file.visits.table),
            ("venues", file.venues),
            ("cases", file.cases),
            ("windows", file.windows),
            ("residences", file.residences),
            ("communities", file.communities),
            ("regions", file.regions),
            ("tests", file.tests),
            ("clinic_visits", file.clinic_visits),
            ("purchases", file.purchases),
            ("temperatures", file.temperatures),
            ("symptoms", file.symptoms),
            ("checkins", file.checkins),
            ("isolations", file.isolations),
            ("trips", file.trips),
            ("pushes", file.pushes),
            ("orders", file.orders),
            ("confirmations", file.confirmations),
            ("corrections", file.corrections),
            ("appeals", file.appeals),
        ];
        for (table, section) in sections {
            check_columns(table, section.columns.keys())?;
            let own_zone = section.time_zone.as_deref().map(time::zone).transpose()?;
            tables.insert(
                table,
                TableConfig {
                    paths: section.paths,
                    base: base.to_path_buf(),
                    columns: section.columns,
                    time_unit: section.time_unit,
                    time_zone: own_zone.or_else(|| zone.clone()),
                },
            );
        }
        Ok(Config {
            time_zone: zone,
            scheme: file.scheme.unwrap_or_else(|| "five-color".into()),
            origin: file.origin.unwrap_or_else(|| "ringtrace".into()),
            store: base.join(file.store.unwrap_or_else(|| "store".into())),
            runs: base.join(file.runs.unwrap_or_else(|| "runs".into())),
            rejects_max_percent: file.rejects_max_percent.unwrap_or(1),
            tables,
            visits: visit_rules(&file.visits.rules)?,
            contacts: contact_config(&file.contacts, &policy)?,
            hold: HoldConfig {
                multiple: file.hold.multiple.unwrap_or(10),
                nights: file.hold.nights.unwrap_or(7),
                region_percent: file.hold.region_percent,
                least: file.hold.least.unwrap_or(1_000),
                approvals: base.join(file.hold.approvals.unwrap_or_else(|| "approvals".into())),
            },
            memory: MEMORY,
            digest: blake3::hash(text.as_bytes()).to_hex().to_string(),
        })
    }

    /// The table's section; empty if the configuration has none.
    pub fn table(&self, name: &str) -> &TableConfig {
        &self.tables[name]
    }
}

/// The folder a configuration's relative paths start from.
pub fn base_of(config: &Path) -> &Path {
    config.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The JSON Schema of configurations, for editors that know it.
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(ConfigFile).to_value()
}

/// A named edition of a tracing rule: parameters that `[contacts]` can override one by one.
struct Policy {
    min_overlap_s: u32,
    rings: u8,
    lookback_s: u32,
    infectious_for_s: u32,
    cumulative: Option<Cumulative>,
}

const DAY: u32 = time::DAY_S;

impl Policy {
    /// Sources of the figures: the editions' own texts, as summarised in the README's rule table.
    fn named(name: Option<&str>) -> Result<Policy> {
        let base = Policy {
            min_overlap_s: 600,
            rings: 2,
            lookback_s: 2 * DAY,
            infectious_for_s: 10 * DAY,
            cumulative: None,
        };
        let cdc = Cumulative { threshold_s: 900, period_s: DAY };
        Ok(match name {
            None | Some("nhc-7" | "nhc-9") => base,
            Some("nhc-8") => Policy { lookback_s: 4 * DAY, ..base },
            Some("twenty-measures") => Policy { rings: 1, ..base },
            Some("who") => Policy { min_overlap_s: 900, rings: 1, ..base },
            Some("cdc") => Policy { rings: 1, cumulative: Some(cdc), ..base },
            Some("any-overlap") => Policy { min_overlap_s: 0, rings: 1, ..base },
            Some(other) => {
                let known = ["nhc-7", "nhc-8", "nhc-9", "twenty-measures", "who", "cdc", "any-overlap"];
                let help = match did_you_mean(other, known) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => format!("known policies: {}", known.join(", ")),
                };
                return Err(Error::usage(format!("policy {other:?} is not known"), help));
            }
        })
    }
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct ConfigFile {
    time_zone: Option<String>,
    scheme: Option<String>,
    origin: Option<String>,
    policy: Option<String>,
    store: Option<PathBuf>,
    runs: Option<PathBuf>,
    rejects_max_percent: Option<u32>,
    scans: TableSection,
    #[schemars(with = "VisitsKeys")]
    visits: VisitsSection,
    venues: TableSection,
    cases: TableSection,
    windows: TableSection,
    residences: TableSection,
    communities: TableSection,
    regions: TableSection,
    tests: TableSection,
    clinic_visits: TableSection,
    purchases: TableSection,
    temperatures: TableSection,
    symptoms: TableSection,
    checkins: TableSection,
    isolations: TableSection,
    trips: TableSection,
    pushes: TableSection,
    orders: TableSection,
    confirmations: TableSection,
    corrections: TableSection,
    appeals: TableSection,
    contacts: ContactsSection,
    hold: HoldSection,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct HoldSection {
    multiple: Option<u64>,
    nights: Option<usize>,
    region_percent: Option<u32>,
    least: Option<u64>,
    approvals: Option<PathBuf>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct TableSection {
    paths: Vec<String>,
    columns: BTreeMap<String, String>,
    time_unit: Option<TimeUnit>,
    time_zone: Option<String>,
}

/// `[visits]` holds both the visits table and the rules that make visits of scans; serde cannot flatten and refuse
/// unknown keys at once, so the keys are listed and then parted.
#[derive(Default, Deserialize)]
#[serde(from = "VisitsKeys")]
struct VisitsSection {
    table: TableSection,
    rules: VisitRulesSection,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct VisitsKeys {
    paths: Vec<String>,
    columns: BTreeMap<String, String>,
    time_unit: Option<TimeUnit>,
    time_zone: Option<String>,
    default_stay: Option<String>,
    merge_gap: Option<String>,
    next_scan_ends_stay: Option<bool>,
    cap: Option<String>,
    by_category: BTreeMap<String, StaySection>,
}

#[derive(Default)]
struct VisitRulesSection {
    default_stay: Option<String>,
    merge_gap: Option<String>,
    next_scan_ends_stay: Option<bool>,
    cap: Option<String>,
    by_category: BTreeMap<String, StaySection>,
}

impl From<VisitsKeys> for VisitsSection {
    fn from(k: VisitsKeys) -> Self {
        VisitsSection {
            table: TableSection {
                paths: k.paths,
                columns: k.columns,
                time_unit: k.time_unit,
                time_zone: k.time_zone,
            },
            rules: VisitRulesSection {
                default_stay: k.default_stay,
                merge_gap: k.merge_gap,
                next_scan_ends_stay: k.next_scan_ends_stay,
                cap: k.cap,
                by_category: k.by_category,
            },
        }
    }
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct StaySection {
    default_stay: Option<String>,
    merge_gap: Option<String>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct ContactsSection {
    min_overlap: Option<String>,
    rings: Option<u8>,
    linger: Option<String>,
    cumulative: Option<String>,
    lookback: Option<String>,
    infectious_for: Option<String>,
    edges: Option<Edges>,
    by_category: BTreeMap<String, ThresholdSection>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct ThresholdSection {
    min_overlap: Option<String>,
    linger: Option<String>,
    exclude: Option<bool>,
}

/// Minutes of stay by category where a venue's own is not configured: half an hour in a shop, a ride, a meal or an
/// evening, half a working day between scans. Longer defaults make more false contacts, shorter ones miss some.
const STAY_MINUTES: [(&str, u32); 6] =
    [("shop", 30), ("transport", 12), ("meal", 90), ("social", 90), ("school", 120), ("office", 120)];

/// Re-scans further apart than this are two visits whatever the default stay.
const MERGE_GAP_MAX_S: u32 = 3 * 3_600;

impl Config {
    /// The categories of venues that the configuration has a rule for, by the section that names them; not those that
    /// ringtrace itself has a stay for.
    pub fn categories(&self) -> Vec<(&'static str, &str)> {
        let ours = |category: &str| STAY_MINUTES.iter().any(|(known, _)| *known == category);
        let stays = self.visits.by_category.keys().filter(|category| !ours(category));
        let contacts = self.contacts.by_category.keys();
        contacts.map(|c| ("contacts", c.as_str())).chain(stays.map(|c| ("visits", c.as_str()))).collect()
    }
}

fn visit_rules(section: &VisitRulesSection) -> Result<VisitRules> {
    let duration = |text: &Option<String>| text.as_deref().map(time::parse_duration).transpose();
    let gap = duration(&section.merge_gap)?;
    let rule = |stay: u32, own_gap: Option<u32>| StayRule {
        default_stay_s: stay,
        merge_gap_s: own_gap.or(gap).unwrap_or(stay.min(MERGE_GAP_MAX_S)),
    };
    let other_stay = duration(&section.default_stay)?.unwrap_or(3_600);
    let mut by_category: BTreeMap<String, StayRule> = STAY_MINUTES
        .iter()
        .map(|(category, minutes)| (category.to_string(), rule(minutes * 60, None)))
        .collect();
    for (category, own) in &section.by_category {
        let known = by_category.get(category).map_or(other_stay, |r| r.default_stay_s);
        let stay = duration(&own.default_stay)?.unwrap_or(known);
        by_category.insert(category.clone(), rule(stay, duration(&own.merge_gap)?));
    }
    let cap_s = duration(&section.cap)?.unwrap_or(12 * 3_600);
    if cap_s == 0 {
        return Err(Error::usage("visits.cap is 0: no visit could last", "leave it out for 12h"));
    }
    Ok(VisitRules {
        other: rule(other_stay, None),
        by_category,
        next_scan_ends_stay: section.next_scan_ends_stay.unwrap_or(true),
        cap_s,
    })
}

fn contact_config(section: &ContactsSection, policy: &Policy) -> Result<ContactConfig> {
    let duration = |text: &Option<String>| text.as_deref().map(time::parse_duration).transpose();
    let other = ContactThreshold {
        min_overlap_s: duration(&section.min_overlap)?.unwrap_or(policy.min_overlap_s),
        linger_s: duration(&section.linger)?.unwrap_or(0),
        exclude: false,
    };
    let mut by_category = BTreeMap::new();
    for (category, own) in &section.by_category {
        let differs = ThresholdOverride {
            min_overlap_s: duration(&own.min_overlap)?,
            linger_s: duration(&own.linger)?,
            exclude: own.exclude.unwrap_or(false),
        };
        by_category.insert(category.clone(), differs);
    }
    let rings = section.rings.unwrap_or(policy.rings);
    check_rings(rings)?;
    if section.cumulative.is_some() && section.min_overlap.is_some() {
        return Err(Error::usage(
            "[contacts]: a cumulative rule and min_overlap contradict each other",
            "use one of them: a cumulative rule counts every second",
        ));
    }
    let config = ContactConfig {
        other,
        by_category,
        rings,
        cumulative: match &section.cumulative {
            Some(text) => Some(parse_cumulative(text)?),
            // A threshold of its own takes the place of the policy's cumulative rule.
            None if section.min_overlap.is_some() => None,
            None => policy.cumulative,
        },
        lookback_s: duration(&section.lookback)?.unwrap_or(policy.lookback_s),
        infectious_for_s: duration(&section.infectious_for)?.unwrap_or(policy.infectious_for_s),
        edges: section.edges.unwrap_or(Edges::Best),
    };
    config.check()?;
    Ok(config)
}

impl ContactConfig {
    /// # Errors
    /// `usage` if a category has a threshold of its own under a cumulative rule, which knows only sums over all places.
    pub fn check(&self) -> Result<()> {
        if self.cumulative.is_some() && self.by_category.values().any(|own| own.min_overlap_s.is_some()) {
            return Err(Error::usage(
                "a cumulative rule and a category's min_overlap contradict each other",
                "use one of them; linger and exclude by category go with both",
            ));
        }
        Ok(())
    }
}

/// # Errors
/// `usage` for 0 rings.
pub fn check_rings(rings: u8) -> Result<()> {
    if rings == 0 {
        return Err(Error::usage("rings is 0: nothing would be traced", "use 1 for close contacts only"));
    }
    Ok(())
}

/// A cumulative rule from text such as `15m/24h`.
///
/// # Errors
/// `usage` with the form expected.
pub fn parse_cumulative(text: &str) -> Result<Cumulative> {
    let wrong =
        || Error::usage(format!("{text:?} is not a cumulative rule"), "write it as 15m/24h: sum / period");
    let (threshold, period) = text.split_once('/').ok_or_else(wrong)?;
    let rule = Cumulative {
        threshold_s: time::parse_duration(threshold).map_err(|_| wrong())?,
        period_s: time::parse_duration(period).map_err(|_| wrong())?,
    };
    if rule.threshold_s == 0 || rule.threshold_s > rule.period_s {
        return Err(wrong());
    }
    Ok(rule)
}

/// A TOML error as `file:line:column: what`, with the key that was probably meant.
fn explain_toml(error: &toml::de::Error, text: &str, name: &str) -> Error {
    let at = error.span().map_or(0, |span| span.start.min(text.len()));
    let before = &text.as_bytes()[..at];
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let column = at - before.iter().rposition(|b| *b == b'\n').map_or(0, |p| p + 1) + 1;
    let message = error.message().lines().next().unwrap_or_default().to_string();
    let mut quoted = message.split('`').skip(1).step_by(2);
    let help = match (message.starts_with("unknown field"), quoted.next()) {
        (true, Some(unknown)) => match did_you_mean(unknown, quoted) {
            Some(near) => format!("did you mean {near:?}?"),
            None => "remove it, or see `ringtrace init` for every key".into(),
        },
        _ => "`ringtrace init` writes a commented configuration to compare with".into(),
    };
    Error::usage(format!("{name}:{line}:{column}: {message}"), help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config> {
        Config::from_text(text, Path::new("/data"), "night.toml")
    }

    #[test]
    fn defaults_are_those_of_the_readme() {
        let config = read("").unwrap();
        assert_eq!(config.contacts.other.min_overlap_s, 600);
        assert_eq!(config.contacts.rings, 2);
        assert_eq!(config.visits.by_category["shop"], StayRule { default_stay_s: 1_800, merge_gap_s: 1_800 });
        assert_eq!(config.visits.other, StayRule { default_stay_s: 3_600, merge_gap_s: 3_600 });
        assert_eq!(config.visits.cap_s, 43_200);
        assert_eq!(config.store, Path::new("/data/store"));
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest_name() {
        for (text, line, near) in [
            ("time_zon = \"UTC\"", "1:1", "time_zone"),
            ("[contacts]\nmin_overlop = \"5m\"", "2:1", "min_overlap"),
            ("[visits]\n\ndefault_sta = \"5m\"", "3:1", "default_stay"),
            ("policy = \"nhc8\"", "", "nhc-8"),
            ("[scans]\ncolumns = { persn_id = \"uid\" }", "", "person_id"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.to_string().contains(line), "{error}");
            assert_eq!(error.help().unwrap(), format!("did you mean {near:?}?"), "{text}");
            assert_eq!(error.exit_status(), 2);
        }
    }

    #[test]
    fn sections_override_policies() {
        let config = read("policy = \"nhc-8\"\n[contacts]\nmin_overlap = \"5m\"\n[contacts.by_category.mall]\nlinger = \"10m\"")
            .unwrap();
        assert_eq!(config.contacts.lookback_s, 4 * 86_400);
        assert_eq!(config.contacts.other.min_overlap_s, 300);
        assert_eq!(config.contacts.by_category["mall"].min_overlap_s, None);
        assert_eq!(config.contacts.by_category["mall"].linger_s, Some(600));
        assert_eq!(read("policy = \"cdc\"").unwrap().contacts.cumulative.unwrap().threshold_s, 900);
        assert!(read("[contacts]\nrings = 0").is_err());
        assert!(read("[contacts]\ncumulative = \"15m\"").is_err());
    }
}
