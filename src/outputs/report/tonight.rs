//! First page: what changed tonight and why, what was lost, what was decided by hand, whom the night can see.

use std::collections::{BTreeMap, HashMap};

use super::rows::{Rows, share, tally};
use super::words::{self, w};
use super::{Cell, EMPTY, Figure, Kind, Section, Source, Table};
use crate::error::Result;
use crate::outputs::survey::SURVEY_DAYS;
use crate::time;

pub fn section(source: &Source<'_>) -> Result<Section> {
    let tables = vec![
        changes(source)?,
        changes_by_rule(source)?,
        rejected(source)?,
        balance(source),
        orders(source)?,
        coverage(source)?,
        freshness(source)?,
    ];
    Ok(Section { id: "tonight", title: w("Tonight", "今晚"), tables })
}

impl Source<'_> {
    /// Some columns of a table of the night.
    pub fn rows(&self, table: &str, columns: &[&str]) -> Result<Rows> {
        Ok(Rows::new(self.tables.columns(table, columns)?, table))
    }

    /// What a rule rests on, in both languages.
    pub fn basis(&self, rule: Option<&str>) -> Cell {
        let found = rule.and_then(|id| self.scheme.rules.iter().find(|rule| rule.id == id));
        found.map_or(EMPTY, |rule| Cell::Words(words::Words::new(&rule.basis.en, &rule.basis.zh)))
    }

    /// Where a color stands, worst first; one that the scheme does not know, from the night before, comes last.
    fn rank(&self, color: &str) -> usize {
        let severity = &self.scheme.severity;
        severity.iter().position(|known| known == color).unwrap_or(severity.len())
    }
}

/// A change: color before, after, and the rule that decides.
type Change = (String, String, Option<String>);

/// Tonight's changes, how many of each.
fn counted(source: &Source<'_>) -> Result<Vec<(Change, u64)>> {
    let changes = source.rows("changes", &["color_before", "color_after", "rule_id"])?;
    let (before, after) = (changes.texts("color_before")?, changes.texts("color_after")?);
    let rules = changes.texts("rule_id")?;
    let row = |row: usize| {
        let color = |color: Option<&str>| color.unwrap_or_default().to_string();
        (color(before[row]), color(after[row]), rules[row].map(str::to_string))
    };
    Ok(tally((0..changes.len()).map(row)))
}

fn changes(source: &Source<'_>) -> Result<Table> {
    let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
    for ((before, after, _), count) in counted(source)? {
        *counts.entry((before, after)).or_default() += count;
    }
    let row = |((before, after), count)| vec![Cell::Text(before), Cell::Text(after), Cell::count(count)];
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|((before, after), _)| (source.rank(after), source.rank(before)));
    let rows: Vec<Vec<Cell>> = counts.into_iter().map(row).collect();
    Ok(Table::new(
        "changes",
        w("Color changes tonight", "今晚的变码"),
        w(
            "People whose color differs from the night before; the first night counts from everyone green.",
            "与前一晚颜色不同的人数；首晚以全员绿码为起点。",
        ),
        None,
    )
    .column("color_before", Kind::Color, w("before", "之前"))
    .column("color_after", Kind::Color, w("after", "之后"))
    .column("persons", Kind::Count, w("people", "人数"))
    .rows(rows))
}

fn changes_by_rule(source: &Source<'_>) -> Result<Table> {
    let mut counts: BTreeMap<(String, Option<String>), u64> = BTreeMap::new();
    for ((_, after, rule), count) in counted(source)? {
        *counts.entry((after, rule)).or_default() += count;
    }
    let row = |((after, rule), count): ((String, Option<String>), u64)| {
        let basis = match &rule {
            Some(_) => source.basis(rule.as_deref()),
            None => Cell::Words(w("no reason is left", "已无任何理由")),
        };
        vec![Cell::text(rule), basis, Cell::Text(after), Cell::count(count)]
    };
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|((after, _), _)| source.rank(after));
    let rows: Vec<Vec<Cell>> = counts.into_iter().map(row).collect();
    Ok(Table::new(
        "changes_by_rule",
        w("Why colors changed", "变码原因"),
        w(
            "People whose color changed tonight, by the rule that decides their new color.",
            "今晚变码的人数，按决定新颜色的规则。",
        ),
        Some("changes_by_rule"),
    )
    .column("rule_id", Kind::Id, w("rule", "规则"))
    .column("basis", Kind::Word, w("why", "原因"))
    .column("color_after", Kind::Color, w("new color", "新颜色"))
    .column("persons", Kind::Count, w("people", "人数"))
    .rows(rows))
}

fn rejected(source: &Source<'_>) -> Result<Table> {
    let rejects = source.rows("rejects", &["table", "column", "reason"])?;
    let (tables, columns) = (rejects.texts("table")?, rejects.texts("column")?);
    let reasons = rejects.texts("reason")?;
    type Reject<'a> = (Option<&'a str>, Option<&'a str>, Option<&'a str>);
    let key = |row: usize| (tables[row], columns[row], reasons[row]);
    let row = |((table, column, reason), count): (Reject<'_>, u64)| {
        vec![
            Cell::Words(words::input(table.unwrap_or_default())),
            Cell::text(column),
            Cell::Words(words::reject(reason.unwrap_or_default())),
            Cell::count(count),
        ]
    };
    Ok(Table::new(
        "rejected",
        w("Rows that could not be used", "无法使用的数据行"),
        match source.audience.public {
            true => w(
                "Rows, some of which are a person each: small numbers are withheld.",
                "此处为行数；部分行即一人，小数值不公布。",
            ),
            false => w(
                "Each stands with file and row in rejects.parquet. Rows, not people: nothing is withheld.",
                "每行的文件与行号见 rejects.parquet。此处为行数而非人数，全部列出。",
            ),
        },
        None,
    )
    .column("table", Kind::Word, w("input", "输入"))
    .column("column", Kind::Text, w("column", "列"))
    .column("reason", Kind::Word, w("reason", "原因"))
    .column("rows", Kind::Count, w("rows", "行数"))
    .rows(tally((0..rejects.len()).map(key)).into_iter().map(row).collect()))
}

fn balance(source: &Source<'_>) -> Table {
    let mut sums: BTreeMap<&str, [u64; 5]> = BTreeMap::new();
    for file in &source.record.inputs {
        let sum = sums.entry(&file.table).or_default();
        let add = [1, file.rows, file.accepted, file.merged, file.rejected];
        sum.iter_mut().zip(add).for_each(|(sum, add)| *sum += add);
    }
    let row = |(table, counts): (&str, [u64; 5])| {
        let counts = counts.into_iter().map(Cell::count);
        [Cell::Words(words::input(table))].into_iter().chain(counts).collect()
    };
    Table::new(
        "balance",
        w("Where every row went", "每一行数据的去向"),
        match source.audience.public {
            true => w(
                "Rows read = accepted + merged (repeats of an accepted row) + rejected, for every file read so far. Some rows are a person each: small numbers are withheld.",
                "读取行数＝采用＋合并（与已采用行重复）＋拒绝，含迄今读取的每个文件。部分行即一人，小数值不公布。",
            ),
            false => w(
                "Rows read = accepted + merged (repeats of an accepted row) + rejected, for every file read so far.",
                "读取行数＝采用＋合并（与已采用行重复）＋拒绝，含迄今读取的每个文件。",
            ),
        },
        None,
    )
    .column("table", Kind::Word, w("input", "输入"))
    .column("files", Kind::Count, w("files", "文件"))
    .column("rows", Kind::Count, w("rows", "行数"))
    .column("accepted", Kind::Count, w("accepted", "采用"))
    .column("merged", Kind::Count, w("merged", "合并"))
    .column("rejected", Kind::Count, w("rejected", "拒绝"))
    .rows(sums.into_iter().map(row).collect())
}

fn orders(source: &Source<'_>) -> Result<Table> {
    let evidence = source.rows("evidence", &["person_id", "rule_id", "color", "fact"])?;
    let (facts, rules) = (evidence.texts("fact")?, evidence.texts("rule_id")?);
    let (colors, persons) = (evidence.texts("color")?, evidence.ids("person_id")?);
    let mut of: Vec<(Option<&str>, Option<&str>, &str)> = (0..evidence.len())
        .filter(|row| facts[*row] == Some("order"))
        .map(|row| (colors[row], rules[row], persons[row].as_str()))
        .collect();
    of.sort_unstable();
    of.dedup();
    let register = source.record.counts.colors.values().sum();
    let row = |((color, rule), count): ((Option<&str>, Option<&str>), u64)| {
        let part = share(count, register);
        vec![Cell::text(color), Cell::text(rule), Cell::count(count), Cell::tenths(part)]
    };
    let rows: Vec<Vec<Cell>> =
        tally(of.iter().map(|(color, rule, _)| (*color, *rule))).into_iter().map(row).collect();
    Ok(Table::new(
        "orders",
        w("Manual orders in force", "有效的人工指令"),
        w(
            "People with a color by order of an office, and their share of everyone who is not green. Refused orders are among the rejected rows.",
            "由机构人工指令赋码的人数，及其占全部非绿码人员的比例。被拒绝的指令列在无法使用的数据行中。",
        ),
        None,
    )
    .column("color", Kind::Color, w("color", "颜色"))
    .column("rule_id", Kind::Id, w("rule", "规则"))
    .column("persons", Kind::Count, w("people", "人数"))
    .column("share", Kind::Share, w("share of everyone not green", "占非绿码人数的比例"))
    .rows(rows))
}

fn coverage(source: &Source<'_>) -> Result<Table> {
    let districts = source.rows("districts", &["region_id", "residents", "with_visits"])?;
    let (regions, residents) = (districts.texts("region_id")?, districts.numbers("residents")?);
    let seen = districts.numbers("with_visits")?;
    let row = |row: usize| {
        let (all, seen) = (residents[row].unwrap_or(0) as u64, seen[row].unwrap_or(0) as u64);
        let district = Cell::Words(words::district(regions[row].unwrap_or_default()));
        vec![district, Cell::count(all), Cell::count(seen), Cell::tenths(share(seen, all))]
    };
    let rows: Vec<Vec<Cell>> = (0..districts.len()).map(row).collect();
    Ok(Table::new(
        "coverage",
        w("Whom the night can see", "扫码覆盖"),
        w(
            "Residents with any visit in the last 14 days. Contacts are a lower bound: whoever did not scan is not there. What is not all is never shown as 100 %.",
            "近14天内有任何到访记录的居民。接触者数为下限：未扫码者不在其中。不足全部者不显示为100%。",
        ),
        Some("coverage"),
    )
    .column("region_id", Kind::Text, w("district", "辖区"))
    .column("residents", Kind::Count, w("residents", "居民"))
    .column("with_visits", Kind::Count, w("with visits", "有到访者"))
    .column("share", Kind::Share, w("share", "比例"))
    .rows(rows))
}

/// Newest event and newest day of knowledge of an input.
type Newest = (Option<time::Second>, Option<time::Second>);

/// The inputs in use, by name: `scans` or `visits`, `cases`, and the kinds of facts.
fn newest(source: &Source<'_>) -> Result<Vec<(String, Newest)>> {
    let mut newest: HashMap<String, Newest> = HashMap::new();
    let visits =
        if source.record.inputs.iter().any(|file| file.table == "scans") { "scans" } else { "visits" };
    let traffic = source.rows("traffic", &["hour"])?;
    newest.insert(visits.into(), (traffic.instants("hour")?.into_iter().flatten().max(), None));
    let cases = source.rows("sources", &["source_kind", "onset_at", "reported_at"])?;
    let latest = |cells: Vec<Option<time::Second>>| cells.into_iter().flatten().max();
    newest.insert(
        "cases".into(),
        (latest(cases.instants("onset_at")?), latest(cases.instants("reported_at")?)),
    );
    let facts = source.rows("facts", &["fact", "at", "known_at"])?;
    let (kinds, at) = (facts.texts("fact")?, facts.instants("at")?);
    let known = facts.instants("known_at")?;
    for row in 0..facts.len() {
        let kind = kinds[row].unwrap_or_default();
        if !newest.contains_key(kind) {
            newest.insert(kind.into(), (None, None));
        }
        let of_kind = newest.get_mut(kind).expect("there by now");
        *of_kind = (of_kind.0.max(at[row]), of_kind.1.max(known[row]));
    }
    let mut newest: Vec<(String, Newest)> = newest.into_iter().collect();
    newest.sort();
    Ok(newest)
}

/// Local days from the newest of an input to the night.
fn age(source: &Source<'_>, (event, known): Newest) -> Option<i64> {
    let day = |at| time::local_date(at, &source.scheme.time_zone);
    known.or(event).map(|at| i64::from((source.date - day(at)).get_days().max(0)))
}

/// How old the newest row of each input is, in local days, by input.
pub fn ages(source: &Source<'_>) -> Result<Vec<(String, u64)>> {
    let age = |(input, newest)| Some((input, age(source, newest)? as u64));
    Ok(newest(source)?.into_iter().filter_map(age).collect())
}

fn freshness(source: &Source<'_>) -> Result<Table> {
    let row = |(kind, newest): (String, Newest)| {
        let zone = &source.scheme.time_zone;
        let local = |at: Option<time::Second>| Cell::text(at.map(|at| time::format_local(at, zone)));
        let age = age(source, newest).map_or(EMPTY, Cell::Whole);
        vec![Cell::Words(words::input(&kind)), local(newest.0), local(newest.1), age]
    };
    Ok(Table::new(
        "freshness",
        w("How fresh the inputs are", "输入数据的时效"),
        w(
            "Newest event, and newest time something became known, of scans or visits (to the hour), cases, and the facts about persons that are asked for; tables of places and corrections are not listed. An old date may mean a delivery that did not come.",
            "扫码或到访记录（精确到小时）、病例及所用的个人事实的最新事件时间与最新获知时间；场所类表格与更正不在此列。日期过旧可能意味着数据未送达。",
        ),
        None,
    )
    .column("table", Kind::Word, w("input", "输入"))
    .column("newest_event", Kind::Time, w("newest event", "最新事件"))
    .column("newest_known", Kind::Time, w("newest known at", "最新获知"))
    .column("age_days", Kind::Days, w("days before the night", "距当晚天数"))
    .rows(newest(source)?.into_iter().map(row).collect()))
}

/// The headline figures.
pub fn figures(source: &Source<'_>) -> Result<Vec<Figure>> {
    let record = source.record;
    let districts = source.rows("districts", &["residents", "with_visits"])?;
    let sum = |column| -> Result<u64> {
        Ok(districts.numbers(column)?.into_iter().flatten().map(|count| count as u64).sum())
    };
    let (residents, seen) = (sum("residents")?, sum("with_visits")?);
    let arrivals =
        source.rows("traffic", &["arrivals"])?.numbers("arrivals")?.into_iter().flatten().sum::<i64>();
    let ring = |at: usize| Cell::count(record.counts.rings.get(at).copied().unwrap_or(0));
    let figures = vec![
        Figure {
            id: "visits",
            title: w("visits", "到访次数"),
            value: Cell::Whole(arrivals),
            about: w(&format!("begun in the last {SURVEY_DAYS} days"), &format!("近{SURVEY_DAYS}天内开始")),
        },
        Figure {
            id: "coverage",
            title: w("coverage, %", "扫码覆盖率，%"),
            value: Cell::tenths(share(seen, residents)),
            about: w(
                "of known residents have a visit in the last 14 days",
                "近14天有到访记录者占已知居民的比例",
            ),
        },
        Figure {
            id: "cases",
            title: w("cases", "病例"),
            value: Cell::count(record.counts.cases),
            about: w("valid cases, by the case table", "病例表中有效的病例"),
        },
        Figure {
            id: "ring_1",
            title: w("close contacts", "密接者"),
            value: ring(0),
            about: w("ring 1: exposed to a case or at an exposure site", "第1圈：曾暴露于病例或暴露场所"),
        },
        Figure {
            id: "ring_2",
            title: w("secondary contacts", "次密接者"),
            value: ring(1),
            about: w("ring 2: exposed to a close contact", "第2圈：曾暴露于密接者"),
        },
        Figure {
            id: "not_healthy",
            title: w(
                &format!("not {}", source.scheme.healthy()),
                &format!("非{}人数", words::color(source.scheme.healthy()).zh),
            ),
            value: Cell::count(record.counts.colors.values().sum()),
            about: w("people with another color tonight", "今晚持其他颜色者"),
        },
        Figure {
            id: "changed",
            title: w("changed color", "变码人数"),
            value: Cell::count(record.counts.changes.values().sum()),
            about: match record.identity.before {
                Some(_) => w("since the night before", "较前一晚"),
                None => w("since everyone was green; this is the first night", "以全员绿码为起点（首晚）"),
            },
        },
        Figure {
            id: "rejected",
            title: w("rows rejected", "被拒绝的行"),
            value: Cell::count(record.balance.rejected),
            about: w("of everything read so far", "迄今读取的全部数据中"),
        },
    ];
    Ok(figures)
}
