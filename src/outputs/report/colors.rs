//! Colors: from yesterday to today, by district and by rule, and who is released when.

use std::collections::BTreeMap;

use super::rows::{rate, tally};
use super::tonight::{hidden_changes, hide_derived, suppress_parts};
use super::words::{self, w};
use super::{Cell, EMPTY, Kind, Section, Source, Table, suppress};
use crate::error::Result;
use crate::outputs::tables::NO_REGION;

pub fn section(source: &Source<'_>) -> Result<Section> {
    let flow = flow(source)?;
    let rules = rules(source, &flow);
    let tables = vec![flow, districts(source)?, rules, releases(source)?];
    Ok(Section { id: "colors", title: w("Colors", "颜色"), tables })
}

fn flow(source: &Source<'_>) -> Result<Table> {
    let changes = source.rows("changes", &["color_before", "color_after"])?;
    let (before, after) = (changes.texts("color_before")?, changes.texts("color_after")?);
    let mut flows: BTreeMap<(usize, usize), u64> = BTreeMap::new();
    let severity = &source.scheme.severity;
    // The healthy come after every color; a color of another scheme, from the night before, after them.
    let rank = |color: Option<&str>| {
        let color = color.unwrap_or_default();
        severity.iter().position(|known| known == color).unwrap_or(severity.len())
    };
    let mut stayed: BTreeMap<usize, u64> =
        source.record.counts.colors.iter().map(|(color, count)| (rank(Some(color)), *count)).collect();
    for ((before, after), count) in tally((0..changes.len()).map(|row| (rank(before[row]), rank(after[row]))))
    {
        *flows.entry((before, after)).or_default() += count;
        if let Some(stayed) = stayed.get_mut(&after) {
            *stayed = stayed.saturating_sub(count);
        }
    }
    for (color, count) in stayed.into_iter().filter(|(_, count)| *count > 0) {
        *flows.entry((color, color)).or_default() += count;
    }
    let color =
        |rank: usize| Cell::text(Some(severity.get(rank).map_or(source.scheme.healthy(), String::as_str)));
    let row = |((before, after), count)| vec![color(before), color(after), Cell::count(count)];
    let mut rows: Vec<Vec<Cell>> = flows.into_iter().map(row).collect();
    source.suppress(&mut rows, 2);
    let hidden = hidden_changes(source)?;
    let marked: Vec<bool> =
        rows.iter().map(|row| hidden.contains(&(row[0].in_csv(), row[1].in_csv()))).collect();
    suppress::beside(rows.iter_mut().map(|row| &mut row[2]), &marked);
    Ok(Table::new(
        "color_flow",
        w("From the night before to tonight", "从前一晚到今晚"),
        w(
            &format!(
                "People by color before and tonight; whoever was and is {} is left out.",
                source.scheme.healthy()
            ),
            &format!("按前后颜色统计的人数；前后均为{}者不列。", words::color(source.scheme.healthy()).zh),
        ),
        Some("color_flow"),
    )
    .column("color_before", Kind::Color, w("before", "之前"))
    .column("color_after", Kind::Color, w("tonight", "今晚"))
    .column("persons", Kind::Count, w("people", "人数"))
    .rows(rows))
}

/// Counts of one district.
#[derive(Default)]
struct District {
    residents: Option<u64>,
    colors: BTreeMap<String, u64>,
    new: u64,
    released: u64,
    overdue: u64,
}

fn districts(source: &Source<'_>) -> Result<Table> {
    let mut found: BTreeMap<String, District> = BTreeMap::new();
    let residents = source.rows("districts", &["region_id", "residents"])?;
    let counts = residents.numbers("residents")?;
    for (region, count) in residents.texts("region_id")?.into_iter().zip(counts) {
        found.entry(region.unwrap_or(NO_REGION).into()).or_default().residents =
            count.map(|count| count as u64);
    }
    let register = source.rows("colors", &["region_id", "color"])?;
    let (regions, colors) = (register.texts("region_id")?, register.texts("color")?);
    for ((region, color), count) in tally((0..register.len()).map(|row| (regions[row], colors[row]))) {
        let district = found.entry(region.unwrap_or(NO_REGION).into()).or_default();
        district.colors.insert(color.unwrap_or_default().into(), count);
    }
    let changes = source.rows("changes", &["region_id", "color_before", "color_after"])?;
    let regions = changes.texts("region_id")?;
    let (before, after) = (changes.texts("color_before")?, changes.texts("color_after")?);
    let healthy = Some(source.scheme.healthy());
    for row in 0..changes.len() {
        let district = found.entry(regions[row].unwrap_or(NO_REGION).into()).or_default();
        district.new += u64::from(before[row] == healthy);
        district.released += u64::from(after[row] == healthy);
    }
    let overdue = source.rows("overdue", &["region_id"])?;
    for (region, count) in tally(overdue.texts("region_id")?) {
        found.entry(region.unwrap_or(NO_REGION).into()).or_default().overdue = count;
    }
    let severity: Vec<&String> =
        source.scheme.severity.iter().filter(|color| Some(color.as_str()) != healthy).collect();
    let row = |(region, district): (String, District)| {
        let mut row =
            vec![Cell::Words(words::district(&region)), district.residents.map_or(EMPTY, Cell::count)];
        for color in &severity {
            let count = district.colors.get(*color).copied().unwrap_or(0);
            row.push(Cell::count(count));
            row.push(Cell::tenths(district.residents.and_then(|all| rate(count, all))));
        }
        row.extend([district.new, district.released, district.overdue].map(Cell::count));
        row
    };
    let mut rows: Vec<Vec<Cell>> = found.into_iter().map(row).collect();
    let last = 2 + 2 * severity.len();
    [1].into_iter()
        .chain((2..last).step_by(2))
        .chain(last..last + 3)
        .for_each(|column| source.suppress(&mut rows, column));
    // In the first night everyone with a color is new: the sum of a row of which all but one are shown.
    let hides = |row: &Vec<Cell>| (2..last).step_by(2).any(|column| suppress::is_hidden(&row[column]));
    let marked: Vec<bool> = rows.iter().map(hides).collect();
    suppress::beside(rows.iter_mut().map(|row| &mut row[last]), &marked);
    for color in 0..severity.len() {
        hide_derived(&mut rows, 2 + 2 * color, &[3 + 2 * color]);
        hide_derived(&mut rows, 1, &[3 + 2 * color]);
    }
    let mut table = Table::new(
        "districts",
        w("Districts", "各地区"),
        w(
            "People by color in each district, also for every 100,000 residents; those newly colored tonight, released tonight, and overdue: their term is over but something is missing.",
            "各地区各颜色人数及每10万居民的比率；今晚新赋码、今晚解除，以及逾期者：期限已满但仍缺条件。",
        ),
        Some("districts"),
    )
    .column("region_id", Kind::Text, w("district", "地区"))
    .column("residents", Kind::Count, w("residents", "居民"));
    for color in severity {
        let title = words::color(color);
        let per = w(&format!("{}, per 100,000", title.en), &format!("{}，每10万", title.zh));
        table = table.column(color, Kind::Count, title).column(format!("{color}_rate"), Kind::Decimal, per);
    }
    Ok(table
        .column("new", Kind::Count, w("newly colored", "今晚新赋码"))
        .column("released", Kind::Count, w("released tonight", "今晚解除"))
        .column("overdue", Kind::Count, w("overdue", "逾期"))
        .rows(rows))
}

fn rules(source: &Source<'_>, flow: &Table) -> Table {
    let counts = &source.record.counts.rules;
    let row = |rule: &crate::colors::scheme::Rule| {
        let count = counts.get(&rule.id).copied().unwrap_or_default();
        let color = rule.phases.first().map(|phase| phase.color.clone());
        vec![
            Cell::text(Some(&rule.id)),
            source.basis(Some(&rule.id)),
            Cell::text(color),
            Cell::count(count.persons),
            Cell::count(count.decides),
        ]
    };
    let mut rows: Vec<Vec<Cell>> = source.scheme.rules.iter().map(row).collect();
    source.suppress(&mut rows, 4);
    let hidden =
        |color: &str| flow.rows.iter().any(|row| row[1].in_csv() == color && suppress::is_hidden(&row[2]));
    suppress_parts(&mut rows, 2, 4, hidden);
    suppress::each(rows.iter_mut().map(|row| &mut row[3]), source.audience.suppress_below);
    // Most people have one reason: whoever has it is nearly whom it decides for.
    for row in rows.iter_mut().filter(|row| row[4] == suppress::withheld()) {
        row[3] = row[4].clone();
    }
    Table::new(
        "rules",
        w("Rules at work", "各规则的作用"),
        w(
            "People with a reason by each rule tonight, and those whose color it decides. A reason whose term is over counts no more: not every contact has one.",
            "今晚各规则涉及的人数，以及由其决定颜色的人数。期限已满的原因不再计入，因此并非每名接触者都有原因。",
        ),
        None,
    )
    .column("rule_id", Kind::Id, w("rule", "规则"))
    .column("basis", Kind::Word, w("why", "原因"))
    .column("color", Kind::Color, w("color", "颜色"))
    .column("persons", Kind::Count, w("people with it", "涉及人数"))
    .column("decides", Kind::Count, w("decides for", "由其定码人数"))
    .rows(rows)
}

fn releases(source: &Source<'_>) -> Result<Table> {
    let calendar = source.rows("calendar", &["date", "color_before", "color_after"])?;
    let dates = calendar.dates("date")?;
    let (before, after) = (calendar.texts("color_before")?, calendar.texts("color_after")?);
    type Change<'a> = (Option<jiff::civil::Date>, Option<&'a str>, Option<&'a str>);
    let key = |row: usize| (dates[row], before[row], after[row]);
    let row = |((date, before, after), count): (Change<'_>, u64)| {
        let date = Cell::text(date.map(|date| date.to_string()));
        vec![date, Cell::text(before), Cell::text(after), Cell::count(count)]
    };
    let mut rows: Vec<Vec<Cell>> = tally((0..calendar.len()).map(key)).into_iter().map(row).collect();
    suppress::each(rows.iter_mut().map(|row| &mut row[3]), source.audience.suppress_below);
    Ok(Table::new(
        "releases",
        w("The next 14 days", "未来14天"),
        w(
            "People who change color on each day, if nothing else becomes known: the load of tests and releases to come.",
            "若无新情况，各日将变码的人数：即将到来的检测与解除工作量。",
        ),
        Some("releases"),
    )
    .column("date", Kind::Date, w("day", "日期"))
    .column("color_before", Kind::Color, w("before", "之前"))
    .column("color_after", Kind::Color, w("after", "之后"))
    .column("persons", Kind::Count, w("people", "人数"))
    .rows(rows))
}
