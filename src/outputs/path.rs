//! How two persons are joined: the earliest chain of shared visits in a night's traced graph.

use std::collections::HashMap;

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::contacts::graph::{Link, earliest_chain};
use crate::error::{Error, Result};
use crate::outputs::explain::Identify;
use crate::outputs::read::Run;
use crate::outputs::report::rows::Rows;
use crate::time::{self, Second};

/// One shared visit on the way.
pub struct Meeting {
    /// Who had it.
    pub from: String,
    /// Who got it.
    pub to: String,
    /// When it can have been passed on.
    pub at: Second,
    /// Where.
    pub venue: String,
    /// The venue's name and category, if known.
    pub about: Option<String>,
    /// When they met.
    pub span: (Second, Second),
    /// Seconds of it in which both were observed.
    pub observed_s: u64,
    /// Ring of the one whom the trace reached by this meeting.
    pub ring: i64,
    /// Whether the chain follows the trace, from source to contact, or goes back along it.
    pub as_traced: bool,
}

/// The chain from one person to another.
pub struct Path {
    /// The two.
    pub ends: [String; 2],
    /// The meetings; `None` if none lead there.
    pub meetings: Option<Vec<Meeting>>,
}

/// The earliest chain of shared visits from `a` to `b` in the exposures of a night: meetings of persons, both ways, in the
/// order of time.
///
/// # Errors
/// `usage` if one of them is in no exposure; those of reading the run.
pub fn between(run: &Run, a: &str, b: &str) -> Result<Path> {
    let columns =
        ["source_id", "source_kind", "contact_id", "venue_id", "ring", "from", "until", "observed_overlap_s"];
    let rows = Rows::new(run.table_columns("exposures", &columns)?, "exposures.parquet");
    let (sources, contacts, kinds) =
        (rows.ids("source_id")?, rows.ids("contact_id")?, rows.texts("source_kind")?);
    let (from, until) = (rows.instants("from")?, rows.instants("until")?);
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    let mut links: Vec<(usize, Link)> = Vec::new();
    for row in (0..rows.len()).filter(|row| kinds[*row] == Some("person")) {
        let [source, contact] = [&sources[row], &contacts[row]].map(|id| {
            let next = numbers.len() as u32;
            *numbers.entry(id.as_str()).or_insert(next)
        });
        let (from, until) = (from[row].unwrap_or_default(), until[row].unwrap_or_default());
        links.push((row, Link { source, contact, from, until }));
    }
    let number = |which: &str, id: &str| {
        numbers.get(id).copied().ok_or_else(|| {
            Error::usage(
                format!("the {which} person met no one in this run's exposures"),
                "ids are written as in the input; exposures hold cases and who was traced from them",
            )
        })
    };
    let (first, second) = (number("first", a)?, number("second", b)?);
    let only: Vec<Link> = links.iter().map(|(_, link)| *link).collect();
    let ends = [a.to_string(), b.to_string()];
    let Some(steps) = earliest_chain(&only, first, second) else { return Ok(Path { ends, meetings: None }) };
    let (venues, rings) = (rows.ids("venue_id")?, rows.numbers("ring")?);
    let observed = rows.numbers("observed_overlap_s")?;
    let known = run.table_columns("venues", &["venue_id", "category", "name"])?;
    let known = Rows::new(known, "venues.parquet");
    let (ids, categories, names) = (known.ids("venue_id")?, known.texts("category")?, known.texts("name")?);
    let about = |venue: &String| {
        let row = ids.iter().position(|id| id == venue)?;
        let about: Vec<&str> = [names[row], categories[row]].into_iter().flatten().collect();
        (!about.is_empty()).then(|| about.join(", "))
    };
    let id = |number: u32| numbers.iter().find(|(_, n)| **n == number).map(|(id, _)| id.to_string());
    let meeting = |step: crate::contacts::graph::Step| {
        let (row, link) = links[step.link];
        Meeting {
            from: id(step.from).unwrap_or_default(),
            to: id(step.to).unwrap_or_default(),
            at: step.at,
            venue: venues[row].clone(),
            about: about(&venues[row]),
            span: (link.from, link.until),
            observed_s: observed[row].unwrap_or(0) as u64,
            ring: rings[row].unwrap_or(0),
            as_traced: step.from == link.source,
        }
    };
    Ok(Path { ends, meetings: Some(steps.into_iter().map(meeting).collect()) })
}

impl Path {
    /// How the persons are called: the two as asked, the others only if `identify` says so.
    fn called(&self, identify: Identify) -> Vec<[String; 2]> {
        let meetings = self.meetings.as_deref().unwrap_or_default();
        let name = |at: usize, id: &String| {
            if self.ends.contains(id) || identify == Identify::Everyone {
                id.clone()
            } else {
                format!("person {at} on the way")
            }
        };
        (0..).zip(meetings).map(|(at, m)| [name(at, &m.from), name(at + 1, &m.to)]).collect()
    }

    /// In words.
    pub fn words(&self, zone: &TimeZone, identify: Identify) -> String {
        let [a, b] = &self.ends;
        let Some(meetings) = &self.meetings else {
            return format!(
                "No chain of shared visits leads from {a} to {b} in this run's exposures; cases that met each other are in its links, not there."
            );
        };
        if meetings.is_empty() {
            return format!("{a} is one person.");
        }
        let local = |at| time::format_local(at, zone);
        let mut lines = vec![format!(
            "From {a} to {b} by {}, there from {} on ({}):",
            crate::outputs::summary::many(meetings.len() as u64, "shared visit"),
            local(meetings[meetings.len() - 1].at),
            zone.iana_name().unwrap_or("local time"),
        )];
        for (meeting, [from, to]) in meetings.iter().zip(self.called(identify)) {
            let (start, end) = meeting.span;
            let about = meeting.about.as_ref().map(|about| format!(" ({about})")).unwrap_or_default();
            let back = if meeting.as_traced { "" } else { "; against the direction of the trace" };
            let late =
                if meeting.at > start { format!(", from {} on", local(meeting.at)) } else { String::new() };
            lines.push(format!("  {from} met {to}"));
            lines.push(format!(
                "    {} to {} at {}{about}: {}, {} observed{late}; ring {}{back}",
                local(start),
                local(end),
                meeting.venue,
                time::format_duration(u64::from(end - start)),
                time::format_duration(meeting.observed_s),
                meeting.ring,
            ));
        }
        lines.push("  Of contacts past ring 1 only the best exposure is known here, unless the night kept all (edges = \"all\").".into());
        lines.join("\n")
    }

    /// For a program; persons on the way are null unless `identify` says otherwise.
    pub fn json(&self, identify: Identify) -> Value {
        let shown =
            |id: &String| (self.ends.contains(id) || identify == Identify::Everyone).then(|| id.clone());
        let meeting = |meeting: &Meeting| {
            json!({"from": shown(&meeting.from), "to": shown(&meeting.to), "reached_at": time::format_utc(meeting.at),
                "venue_id": meeting.venue, "met_from": time::format_utc(meeting.span.0), "met_until": time::format_utc(meeting.span.1),
                "observed_overlap_s": meeting.observed_s, "ring": meeting.ring, "as_traced": meeting.as_traced})
        };
        let meetings = self.meetings.as_ref().map(|all| all.iter().map(meeting).collect::<Vec<_>>());
        json!({"a": self.ends[0], "b": self.ends[1], "meetings": meetings})
    }
}
