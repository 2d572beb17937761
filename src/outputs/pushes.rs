//! `pushes.parquet`: our colors for other provinces, in the columns that `[pushes]` reads.

use std::cmp::Ordering;

use arrow::array::RecordBatch;
use jiff::civil::Date;

use crate::colors::Scheme;
use crate::ids::{Id, IdColumn};
use crate::outputs::register::{Published, Register};
use crate::outputs::tables::{instants, instants_or_null, table, texts};
use crate::time::{Second, start_of_day};

struct Push<'a> {
    person: Id<'a>,
    since: Date,
    until: Option<Second>,
    color: &'a str,
    scheme: &'a str,
}

/// Everyone in the register with color and end, and everyone who no longer has the color of the night before, with the end
/// that takes it back; sorted by `person_id`, then start.
///
/// `person_id, pushed_at, color, origin, scheme, until, known_at`: `pushed_at` is the start of the color's first day, so that
/// a later night's row about the same color takes the place of the earlier one; `known_at` is the night's end. Who reads
/// them turns the color into that of the own scheme.
pub fn out(
    register: &Register<'_>,
    before: &Published,
    scheme: &Scheme,
    origin: &str,
    date: Date,
) -> RecordBatch {
    let zone = &scheme.time_zone;
    let tonight = start_of_day(date, zone);
    let now = |row: usize| {
        let reason = &register.rows[row].reasons[0];
        let until = reason.effect.until.map(|until| start_of_day(until, zone));
        let color = scheme.severity[reason.rank].as_str();
        Push { person: register.ids.get(row), since: reason.effect.since, until, color, scheme: &scheme.id }
    };
    let mut pushes: Vec<Push<'_>> = (0..register.rows.len()).map(now).collect();
    let mut at = 0;
    let mut ended = Vec::new();
    for (person, color, since) in before.rows() {
        while at < register.rows.len() && register.ids.get(at).cmp(&person) == Ordering::Less {
            at += 1;
        }
        let same = pushes.get(at).is_some_and(|now| {
            (now.person, now.color, now.since, now.scheme) == (person, color, since, before.scheme.as_str())
        });
        if !same {
            let until = tonight.max(start_of_day(since, zone));
            ended.push(Push { person, since, until: Some(until), color, scheme: &before.scheme });
        }
    }
    pushes.append(&mut ended);
    pushes.sort_by(|a, b| (a.person, a.since, a.color).cmp(&(b.person, b.since, b.color)));
    let mut ids = IdColumn::new(register.ids.kind());
    pushes.iter().for_each(|push| ids.push(push.person));
    let known_at = start_of_day(date.saturating_add(jiff::Span::new().days(1)), zone).saturating_sub(1);
    table(vec![
        ("person_id", ids.to_arrow(0..pushes.len() as u32)),
        ("pushed_at", instants(pushes.iter().map(|push| start_of_day(push.since, zone)))),
        ("color", texts(pushes.iter().map(|push| Some(push.color)))),
        ("origin", texts(pushes.iter().map(|_| Some(origin)))),
        ("scheme", texts(pushes.iter().map(|push| Some(push.scheme)))),
        ("until", instants_or_null(pushes.iter().map(|push| push.until))),
        ("known_at", instants(pushes.iter().map(|_| known_at))),
    ])
}
