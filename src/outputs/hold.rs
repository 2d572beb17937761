//! A night that would turn far more people to a worse color than usual is held until two people have approved it.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::RecordBatch;
use jiff::civil::Date;
use serde::Deserialize;

use crate::colors::Scheme;
use crate::config::HoldConfig;
use crate::error::{Error, Result};
use crate::outputs::csv::plain;
use crate::outputs::record::Counts;
use crate::records::told::same_name;
use crate::store::format::{Layout, properties, to_bytes};
use crate::words::Words;

/// Nights before which nothing is usual.
const NIGHTS_MIN: usize = 3;

/// What an approval file says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Approval {
    /// The digest of the changes that are approved.
    changes: String,
    /// Who approves.
    approved_by: Vec<String>,
}

/// A digest of a table of changes: an approval holds for these and no others.
pub fn digest(changes: &RecordBatch) -> Result<String> {
    let bytes = to_bytes(changes, properties(Layout::WHOLE).build())?;
    Ok(blake3::hash(&bytes).to_hex()[..32].to_string())
}

/// How many persons turned to a worse color in an earlier night.
pub fn turned_worse(counts: &Counts, scheme: &Scheme) -> u64 {
    let worse = |change: &str| {
        change.split_once(" -> ").is_some_and(|(before, after)| is_worse(scheme, before, after))
    };
    counts.changes.iter().filter(|(change, _)| worse(change)).map(|(_, count)| count).sum()
}

fn is_worse(scheme: &Scheme, before: &str, after: &str) -> bool {
    let rank = |color: &str| scheme.severity.iter().position(|known| known == color);
    match (rank(before), rank(after)) {
        (Some(before), Some(after)) => after < before,
        // Of another scheme: whoever is not healthy counts.
        _ => after != scheme.healthy(),
    }
}

/// Fewer people of a region than these are no reason to hold a night, whatever share they are.
const REGION_LEAST: u64 = 10;

/// Why a night is out of the ordinary, if it is: against the median of `recent` nights, latest first, and against how
/// many `residents` a region has; `homes` are the regions where those of each change live, as far as they are known.
pub fn unusual(
    config: &HoldConfig,
    changes: &RecordBatch,
    recent: &[u64],
    (residents, homes): (&BTreeMap<String, u64>, &[Option<&str>]),
    scheme: &Scheme,
) -> Option<Words> {
    assert_eq!(homes.len(), changes.num_rows(), "a home, if known, of everyone who changes");
    let cell = |name: &str, row: usize| {
        plain(changes.column_by_name(name).expect("a column of changes"), row).unwrap_or_default()
    };
    let mut by_region: BTreeMap<&str, u64> = BTreeMap::new();
    let mut worse = 0;
    for (row, home) in homes.iter().enumerate() {
        if is_worse(scheme, &cell("color_before", row), &cell("color_after", row)) {
            worse += 1;
            if let Some(home) = home {
                *by_region.entry(home).or_default() += 1;
            }
        }
    }
    let mut sorted: Vec<u64> = recent.iter().take(config.nights).copied().collect();
    sorted.sort_unstable();
    if worse >= config.least && sorted.len() >= NIGHTS_MIN {
        // Of an even number the larger of the two in the middle, so that there is no fraction.
        let median = sorted[sorted.len() / 2];
        if worse > median.saturating_mul(config.multiple) {
            let (nights, multiple) = (sorted.len(), config.multiple);
            return Some(Words::new(
                format!(
                    "{worse} persons would turn to a worse color; the median of the last {nights} nights is {median}, and \
                     more than {multiple} times as many are held"
                ),
                format!(
                    "将有{worse}人颜色加重；最近{nights}晚的中位数为{median}，超过其{multiple}倍即被扣留"
                ),
            ));
        }
    }
    let percent = config.region_percent?;
    let over = |(region, worse): &(&&str, &u64)| {
        let residents = residents.get(**region).copied().unwrap_or(0);
        **worse >= REGION_LEAST && u128::from(**worse) * 100 > u128::from(residents) * u128::from(percent)
    };
    by_region.iter().find(over).map(|(region, worse)| {
        let all = residents[*region];
        Words::new(
            format!("{worse} of {all} residents of region {region} would turn to a worse color; more than {percent} percent are held"),
            format!("地区 {region} 的{all}名居民中将有{worse}人颜色加重；超过{percent}%即被扣留"),
        )
    })
}

/// Who approved these changes.
///
/// # Errors
/// `held` if nobody has; `usage` for an approval that does not read, is of other changes, or names fewer than two people.
pub fn approval(
    config: &HoldConfig,
    date: Date,
    digest: &str,
    why: &Words,
    place: &Path,
) -> Result<Vec<String>> {
    let path = config.approvals.join(format!("{date}.toml"));
    if !path.exists() {
        return Err(Error::Held {
            what: format!("the night of {date} is held: {}", why.en),
            help: format!(
                "look at {}; to publish it write {}:\n    changes = \"{digest}\"\n    approved_by = [\"…\", \"…\"]\n  with two names, and run the same command again",
                place.display(),
                path.display()
            ),
        });
    }
    let text = std::fs::read_to_string(&path).map_err(Error::storage(&path, "reading the approval"))?;
    let wrong = |what: String| {
        Error::usage(format!("{}: {what}", path.display()), "the night is still held; mend the approval")
    };
    let approval: Approval = toml::from_str(&text).map_err(|e| wrong(e.message().replace('\n', " ")))?;
    if approval.changes != digest {
        return Err(wrong(format!(
            "approves {:?}, but tonight's changes are \"{digest}\"",
            approval.changes
        )));
    }
    let mut names: Vec<String> = approval
        .approved_by
        .iter()
        .map(|name| name.trim().to_string())
        .filter(|name| !name.is_empty())
        .collect();
    names.sort_by_key(|name| (same_name(name), name.clone()));
    names.dedup_by_key(|name| same_name(name));
    if names.len() < 2 {
        return Err(wrong("approved_by needs two different people".into()));
    }
    Ok(names)
}
