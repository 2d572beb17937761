//! Cases: when they fell ill and were reported, who likely infected whom, how long it took.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::civil::Date;

use super::rows::{mean, quantile};
use super::words::{self, w};
use super::{Cell, EMPTY, Kind, Section, Source, Table};
use crate::error::Result;
use crate::time::{Second, local_date};

/// Days that the epidemic curve shows at most.
const CURVE_DAYS: i32 = 60;
/// Days at the end of the curve that count as incomplete where no delays are known.
const INCOMPLETE_DAYS: i64 = 3;
/// Statuses in the order they are stacked.
const STATUSES: [&str; 3] = ["confirmed", "asymptomatic", "suspected"];

/// A case as the report sees it.
struct Case {
    status: String,
    onset: Option<Date>,
    reported: Option<Date>,
    /// Onset, else sample, else report.
    began: Option<Date>,
}

pub fn section(source: &Source<'_>) -> Result<Section> {
    let cases = cases_of(source)?;
    let mut tables = vec![curve(source, &cases)];
    if !source.audience.public {
        tables.push(transmission(source, &cases)?);
    }
    tables.push(delays(source, &cases)?);
    Ok(Section { id: "cases", title: w("Cases", "病例"), tables })
}

/// The cases by id, each over all its rows.
fn cases_of(source: &Source<'_>) -> Result<BTreeMap<String, Case>> {
    let rows = source
        .rows("sources", &["source_id", "source_kind", "status", "onset_at", "sampled_at", "reported_at"])?;
    let (ids, kinds, statuses) = (rows.ids("source_id")?, rows.texts("source_kind")?, rows.texts("status")?);
    let days = |name: &str| -> Result<Vec<Option<Date>>> {
        let local = |at: Second| local_date(at, &source.scheme.time_zone);
        Ok(rows.instants(name)?.into_iter().map(|at| at.map(local)).collect())
    };
    let (onset, sampled, reported) = (days("onset_at")?, days("sampled_at")?, days("reported_at")?);
    let mut cases: BTreeMap<String, Case> = BTreeMap::new();
    let earlier = |a: Option<Date>, b: Option<Date>| a.into_iter().chain(b).min();
    for row in (0..rows.len()).filter(|row| kinds[*row] == Some("person")) {
        let status = statuses[row].unwrap_or_default().to_string();
        let case = cases.entry(ids[row].clone()).or_insert(Case {
            status,
            onset: None,
            reported: None,
            began: None,
        });
        case.onset = earlier(case.onset, onset[row]);
        case.reported = earlier(case.reported, reported[row]);
        case.began = earlier(case.began, onset[row].or(sampled[row]).or(reported[row]));
    }
    Ok(cases)
}

fn days_between(from: Date, until: Date) -> i64 {
    i64::from((until - from).get_days())
}

fn curve(source: &Source<'_>, cases: &BTreeMap<String, Case>) -> Table {
    let last = source.date;
    let days = cases.values().flat_map(|case| [case.onset, case.reported]).flatten();
    let first = days.filter(|day| *day <= last).min().unwrap_or(last);
    let first = first.max(last.saturating_sub(jiff::Span::new().days(CURVE_DAYS - 1)));
    let mut delays: Vec<i64> =
        cases.values().filter_map(|case| Some(days_between(case.onset?, case.reported?))).collect();
    delays.sort_unstable();
    let incomplete = quantile(&delays, 90).unwrap_or(INCOMPLETE_DAYS).clamp(1, 14);
    let without = cases.values().filter(|case| case.onset.is_none()).count() as u64;
    let on = |day: Date, status: Option<&str>, at: fn(&Case) -> Option<Date>| {
        let is = |case: &&Case| at(case) == Some(day) && status.is_none_or(|status| case.status == status);
        cases.values().filter(is).count() as u64
    };
    let mut rows = Vec::new();
    let mut day = first;
    while day <= last {
        let mut row = vec![Cell::Text(day.to_string())];
        for at in [(|case: &Case| case.onset) as fn(&Case) -> Option<Date>, |case| case.reported] {
            row.extend(STATUSES.map(|status| Cell::count(on(day, Some(status), at))));
            let week = (0..7).map(|back| on(day.saturating_sub(jiff::Span::new().days(back)), None, at));
            row.push(Cell::tenths(mean(week.sum(), 7)));
        }
        row.push(Cell::Whole(i64::from(days_between(day, last) < incomplete)));
        rows.push(row);
        day = day.saturating_add(jiff::Span::new().days(1));
    }
    let status = |status: &str| match status {
        "confirmed" => w("confirmed", "确诊"),
        "asymptomatic" => w("asymptomatic", "无症状"),
        _ => w("suspected", "疑似"),
    };
    let mut table = Table::new(
        "epidemic_curve",
        w("Epidemic curve", "流行曲线"),
        about_curve(incomplete, !delays.is_empty(), without, source),
        Some("epidemic_curve"),
    )
    .column("date", Kind::Date, w("day", "日期"));
    for (by, en, zh) in [("onset", "onset", "发病"), ("report", "report", "报告")] {
        for name in STATUSES {
            let words = status(name);
            let title = w(&format!("{en}: {}", words.en), &format!("{zh}：{}", words.zh));
            table = table.column(format!("{by}_{name}"), Kind::Count, title);
        }
        let title = w(&format!("{en}: 7-day mean"), &format!("{zh}：7日移动平均"));
        table = table.column(format!("{by}_mean_7"), Kind::Decimal, title);
    }
    table
        .column("incomplete", Kind::Count, w("onset incomplete (1 = yes)", "发病数不完整（1＝是）"))
        .rows(rows)
}

fn about_curve(incomplete: i64, known: bool, without: u64, source: &Source<'_>) -> super::Words {
    let (why, why_zh) = match known {
        true => ("nine of ten cases so far were reported within that time", "迄今九成病例在该时限内报告"),
        false => ("how long reports take is not known yet", "报告所需时间尚不可知"),
    };
    let (left_out, left_out_zh) = match source.audience.public {
        true => (
            "Cases without a day of onset are not counted by onset.".into(),
            "无发病日的病例不按发病日计入。".into(),
        ),
        false => (
            format!("Cases without a day of onset, not counted by onset: {without}."),
            format!("无发病日、不按发病日计入的病例：{without}例。"),
        ),
    };
    w(
        &format!(
            "Cases by day of onset and by day of report, with the mean of the last 7 days. By onset, the last days are incomplete, {incomplete} in number: {why}. {left_out}"
        ),
        &format!(
            "按发病日与报告日统计的病例，并附7日移动平均。按发病日，最近{incomplete}天的数据尚不完整：{why_zh}。{left_out_zh}"
        ),
    )
}

fn transmission(source: &Source<'_>, cases: &BTreeMap<String, Case>) -> Result<Table> {
    let links = source.rows(
        "links",
        &["infector_id", "case_id", "best_venue_id", "serial_days", "verdict", "rank", "generation"],
    )?;
    let (infectors, of) = (links.ids("infector_id")?, links.ids("case_id")?);
    let (venues, serial) = (links.ids("best_venue_id")?, links.numbers("serial_days")?);
    let (verdicts, ranks) = (links.texts("verdict")?, links.numbers("rank")?);
    let generations = links.numbers("generation")?;
    let first: HashMap<&str, usize> =
        (0..links.len()).filter(|row| ranks[*row] == Some(1)).map(|row| (of[row].as_str(), row)).collect();
    let mut order: Vec<(&String, &Case)> = cases.iter().collect();
    order.sort_by_key(|(id, case)| (case.began, *id));
    let whole = |number: Option<i64>| number.map_or(EMPTY, Cell::Whole);
    let row = |(id, case): (&String, &Case)| {
        let day = Cell::text(case.began.map(|day| day.to_string()));
        let Some(row) = first.get(id.as_str()).copied() else {
            let none = Cell::Words(w("no link found", "未发现关联"));
            return vec![Cell::text(Some(id)), EMPTY, day, EMPTY, EMPTY, EMPTY, none, EMPTY];
        };
        let verdict = verdicts[row].unwrap_or_default();
        vec![
            Cell::text(Some(id)),
            Cell::text(Some(&infectors[row])),
            day,
            whole(generations[row]),
            Cell::text(Some(&venues[row])),
            whole(serial[row]),
            Cell::Words(words::verdict(verdict)),
            Cell::Whole(i64::from(generations[row].is_some())),
        ]
    };
    Ok(Table::new(
        "transmission",
        w("Most plausible links between cases", "病例间最可能的传播关联"),
        w(
            "For each case the most plausible of the cases it was exposed to while they could infect: shared time, weighed by how likely the incubation is. A shared venue is not proof. Implausible ones are marked and not counted as a generation.",
            "对每个病例，列出最可能的传染来源：在其传染期内与该病例共处过的其他病例，按共处时间并以潜伏期可能性加权。同处一地不等于证据。不合理的关联已标出，不计入代际。",
        ),
        Some("transmission"),
    )
    .column("case", Kind::Id, w("case", "病例"))
    .column("infector", Kind::Id, w("likely infected by", "可能的传染来源"))
    .column("day", Kind::Date, w("fell ill (else sample, report)", "发病日（否则采样、报告日）"))
    .column("generation", Kind::Count, w("generation", "代际"))
    .column("venue", Kind::Id, w("venue", "场所"))
    .column("serial_days", Kind::Days, w("days between onsets", "发病间隔（天）"))
    .column("verdict", Kind::Word, w("judged", "判断"))
    .column("plausible", Kind::Count, w("plausible (1 = yes)", "合理（1＝是）"))
    .rows(order.into_iter().map(row).collect()))
}

fn delays(source: &Source<'_>, cases: &BTreeMap<String, Case>) -> Result<Table> {
    let changes = source.rows("changes", &["person_id", "color_before"])?;
    let (changed, before) = (changes.ids("person_id")?, changes.texts("color_before")?);
    let healthy = source.scheme.healthy();
    let colored: HashSet<&str> = (0..changes.len())
        .filter(|row| before[*row] == Some(healthy))
        .map(|row| changed[row].as_str())
        .collect();
    let rows = source
        .rows("contacts", &["person_id", "ring", "first_exposed_at", "best_source_id", "best_source_kind"])?;
    let (rings, first) = (rows.numbers("ring")?, rows.instants("first_exposed_at")?);
    let close: Vec<usize> = (0..rows.len()).filter(|row| rings[*row] == Some(1)).collect();
    let (persons, sources) = (rows.ids("person_id")?, rows.ids("best_source_id")?);
    let kinds = rows.texts("best_source_kind")?;
    let mut days: [Vec<i64>; 3] = Default::default();
    for row in close.into_iter().filter(|row| colored.contains(persons[*row].as_str())) {
        let exposed = local_date(first[row].unwrap_or_default(), &source.scheme.time_zone);
        days[2].push(days_between(exposed, source.date).max(0));
        let case = cases.get(&sources[row]).filter(|_| kinds[row] == Some("person"));
        if let Some(reported) = case.and_then(|case| case.reported) {
            days[0].push(days_between(exposed, reported).max(0));
            days[1].push(days_between(reported, source.date).max(0));
        }
    }
    let measures = [
        w("exposure to report of the case", "从暴露到病例报告"),
        w("report of the case to color", "从病例报告到赋码"),
        w("exposure to color", "从暴露到赋码"),
    ];
    let row = |(measure, mut days): (_, Vec<i64>)| {
        days.sort_unstable();
        let cell = |percent| quantile(&days, percent).map_or(EMPTY, Cell::Whole);
        vec![Cell::Words(measure), Cell::count(days.len() as u64), cell(50), cell(90), cell(100)]
    };
    let rows: Vec<Vec<Cell>> = measures.into_iter().zip(days).map(row).collect();
    Ok(Table::new(
        "delays",
        w("How long it took", "耗时"),
        w(
            "Close contacts who were colored tonight: days from their first exposure to the report of the case, from that to their color, and both together. Days are those of the calendar in the time zone above.",
            "今晚被赋码的密接者：从首次暴露到病例报告、从报告到赋码，以及两者合计的天数。按上方时区的日历天计。",
        ),
        Some("delays"),
    )
    .column("measure", Kind::Word, w("from … to …", "起止"))
    .column("persons", Kind::Count, w("people", "人数"))
    .column("median", Kind::Days, w("median", "中位数"))
    .column("p90", Kind::Days, w("90th percentile", "第90百分位数"))
    .column("longest", Kind::Days, w("longest", "最长"))
    .rows(rows))
}
