//! `pushes.parquet`: our colors for other provinces, in the columns that `[pushes]` reads.

use std::cmp::Ordering;

use arrow::array::RecordBatch;
use jiff::civil::Date;

use crate::colors::Scheme;
use crate::error::{Error, Result};
use crate::facts::kind::FactKind;
use crate::ids::{Id, IdColumn, IdType};
use crate::outputs::read::{Run, id_at};
use crate::outputs::register::{Published, PublishedRow, Register};
use crate::outputs::report::rows::Rows;
use crate::outputs::tables::{instants, instants_or_null, table, texts};
use crate::time::{Second, local_date, parse_date, start_of_day};

struct Push<'a> {
    person: Id<'a>,
    since: Date,
    until: Option<Second>,
    color: &'a str,
    scheme: &'a str,
}

/// The pushes of a night that had not ended on it, with ids of `kind`.
///
/// # Errors
/// `integrity` if its table is not as published, or its ids are of another kind.
pub fn standing(run: &Run, kind: IdType) -> Result<Published> {
    let name = format!("the pushes of {}", run.record.date);
    let scheme = &run.record.identity.scheme.id;
    if !run.tables().any(|table| table == "pushes") {
        return Ok(Published::empty(kind));
    }
    let columns = ["person_id", "pushed_at", "color", "until"];
    let batch = run.table_columns("pushes", &columns)?;
    let ids = batch.column(0).clone();
    let rows = Rows::new(batch, "pushes.parquet");
    let zone = crate::time::zone(&run.record.identity.time_zone)?;
    let night = start_of_day(parse_date(&run.record.date)?, &zone);
    let (pushed, colors, until) =
        (rows.instants("pushed_at")?, rows.texts("color")?, rows.instants("until")?);
    let stands = |row: &usize| until[*row].is_none_or(|until| until > night);
    let row = |row: usize| {
        let pushed_at = pushed[row].ok_or_else(|| Error::damaged("pushes.parquet", "no pushed_at"))?;
        let since = local_date(pushed_at, &zone);
        Ok(PublishedRow { id: id_at(&ids, row), color: colors[row].unwrap_or_default(), region: "", since })
    };
    let rows: Vec<PublishedRow<'_>> = (0..rows.len()).filter(stands).map(row).collect::<Result<_>>()?;
    Published::new(&rows, kind, scheme, &name)
}

/// Everyone in the register with the color they have by facts of our own and its end, and everyone of whom the night before
/// said another, with the end that takes it back; sorted by `person_id`, then start.
///
/// A color that rests on nothing but a push from elsewhere is not passed on: two offices that read each other's would keep
/// each other's colors alive for ever. `before` are the pushes of the night before that had not ended, see [`standing`].
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
        let colored = &register.rows[row];
        let own = colored.reasons.iter().chain(&colored.ruled_out);
        let reason =
            own.filter(|reason| reason.fact.kind() != FactKind::Push).min_by_key(|reason| reason.rank)?;
        let until = reason.effect.until.map(|until| start_of_day(until, zone));
        let color = scheme.severity[reason.rank].as_str();
        let person = register.ids.get(row);
        Some(Push { person, since: reason.effect.since, until, color, scheme: &scheme.id })
    };
    let mut pushes: Vec<Push<'_>> = (0..register.rows.len()).filter_map(now).collect();
    let now = pushes.len();
    let mut at = 0;
    let mut ended = Vec::new();
    for (person, color, since) in before.rows() {
        while at < now && pushes[at].person.cmp(&person) == Ordering::Less {
            at += 1;
        }
        let same = pushes[..now].get(at).is_some_and(|now| {
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
