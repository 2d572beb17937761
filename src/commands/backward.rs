//! `sources` and `path`: where cases were infected, and how two persons are joined.

use std::path::Path;

use serde_json::json;

use super::{Outcome, balance_words, outcome, say, within};
use crate::cli::{Common, SourcesArgs};
use crate::error::Result;
use crate::once::{self, From};
use crate::outputs::explain::Identify;
use crate::outputs::path;
use crate::outputs::read::Run;
use crate::progress::Screen;
use crate::time;

/// Where the cases were infected.
///
/// # Errors
/// Those of [`once::sources`].
pub fn sources(args: &SourcesArgs, common: &Common, screen: &Screen) -> Result<Outcome> {
    let config = within(common, args.config()?);
    let from = args.store.as_deref().map_or(From::Files, From::Store);
    let (found, read) = once::sources(&config, &from, args.at_least, &args.out, screen)?;
    let zone = config.time_zone.as_ref().expect("sources asks for one");
    let (words, mut object) = (found.words(zone)?, found.json()?);
    object["balance"] = json!(read.balance);
    object["out"] = json!(args.out);
    say(
        common,
        || format!("{words}\n{}\n  {}", balance_words(&read.balance), args.out.display()),
        || object,
    )?;
    Ok(outcome(&read))
}

/// How two persons are joined.
///
/// # Errors
/// Those of [`path::between`].
pub fn path(
    run: &Path,
    [a, b]: [&str; 2],
    time_zone: Option<&str>,
    identify: Identify,
    common: &Common,
) -> Result<Outcome> {
    let run = Run::open(run)?;
    let zone = time::zone(time_zone.unwrap_or(&run.record.identity.time_zone))?;
    let path = path::between(&run, a, b)?;
    say(common, || path.words(&zone, identify), || path.json(identify))?;
    Ok(Outcome::Done)
}
