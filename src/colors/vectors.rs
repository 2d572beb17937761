//! The vectors in a pack: facts with the color and end they must give, checked before the pack is used.

use std::collections::BTreeMap;

use super::scheme::{FactKind, Instant, Scheme, Vector};
use crate::error::{Error, Result};
use crate::facts::{CaseFact, Fact};
use crate::records::cases::{CaseRow, Status};
use crate::rings::{Best, Edge, Exposed, Exposure, SourceRef, TracedPerson};
use crate::time::{Reading, Second, parse_date, parse_instant};

/// Applies the pack to its own vectors, in its own time zone.
///
/// # Errors
/// `usage` for the first vector that gives something else, or cannot be read.
pub fn check(scheme: &Scheme) -> Result<()> {
    scheme.vectors.iter().enumerate().try_for_each(|(at, vector)| check_one(scheme, at + 1, vector))
}

fn check_one(scheme: &Scheme, number: usize, vector: &Vector) -> Result<()> {
    let wrong = |what: String| {
        Error::usage(format!("scheme {}: vector {number}: {what}", scheme.id), "mend the rule or the vector")
    };
    let mut times: BTreeMap<Instant, Second> = BTreeMap::new();
    for (instant, text) in &vector.times {
        match parse_instant(text, None) {
            Reading::At(seconds) if Second::try_from(seconds).is_ok() => {
                times.insert(*instant, seconds as Second);
            }
            _ => return Err(wrong(format!("{text:?} is no time with a zone"))),
        }
    }
    let status = match vector.status.as_deref() {
        None | Some("confirmed") => Status::Confirmed,
        Some("suspected") => Status::Suspected,
        Some("asymptomatic") => Status::Asymptomatic,
        Some(other) => return Err(wrong(format!("status {other:?} is not known"))),
    };
    let case = case(status, &times);
    let last = times.get(&Instant::LastExposedAt).copied().unwrap_or(900);
    let (person, edge) = contact(vector.ring.unwrap_or(1), last);
    let fact = match vector.fact {
        FactKind::Case => Fact::Case(&case),
        FactKind::Contact => Fact::Contact(&person, edge),
    };
    let colored = super::assign(&[(0, fact)], scheme, parse_date(&vector.date)?);
    let reason = colored.first().map(|c| &c.reasons[0]);
    let color = reason.map_or(scheme.healthy(), |r| &scheme.severity[r.rank]);
    let until = reason.and_then(|r| r.effect.until).map(|d| d.to_string());
    if (color, &until) != (vector.color.as_str(), &vector.until) {
        let end = |until: &Option<String>| until.clone().unwrap_or_else(|| "open".into());
        return Err(wrong(format!(
            "expected {} until {}, found {color} until {}",
            vector.color,
            end(&vector.until),
            end(&until)
        )));
    }
    Ok(())
}

/// A case with these times.
pub(super) fn case(status: Status, times: &BTreeMap<Instant, Second>) -> CaseFact {
    let time = |i| times.get(&i).copied();
    let case = CaseRow {
        person: 0,
        status,
        onset_at: time(Instant::OnsetAt),
        sampled_at: time(Instant::SampledAt),
        isolated_at: time(Instant::IsolatedAt),
        infectious_from: time(Instant::InfectiousFrom),
        infectious_until: None,
        recovered_at: time(Instant::RecoveredAt),
        reported_at: time(Instant::ReportedAt),
        lab_ref: None,
        reported_by: None,
    };
    CaseFact { case, file: "cases.csv".into(), row: 1 }
}

/// A contact whose last exposure ended then.
pub(super) fn contact(ring: u8, last_exposed_at: Second) -> (TracedPerson, Edge) {
    let from = last_exposed_at.saturating_sub(900);
    let best = Best { from, overlap_s: 900, source: 0, venue: 0, observed_s: 0 };
    let exposed = Exposed {
        first_exposed_at: from,
        last_exposed_at,
        overlap_s: 900,
        observed_overlap_s: 0,
        exposures: 1,
        best,
    };
    let exposure = Exposure { contact: 0, source: 0, from, until: last_exposed_at, venue: 0, observed_s: 0 };
    let source = SourceRef::Person(1);
    (
        TracedPerson { person: 0, ring, exposed, best_source: source, sources: None },
        Edge { source, ring, exposure },
    )
}
