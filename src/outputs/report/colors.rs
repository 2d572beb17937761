//! Colors: from yesterday to today, by district and by rule, and who is released when.

use std::collections::BTreeMap;

use super::rows::{rate, tally};
use super::words::{self, w};
use super::{Cell, EMPTY, Kind, Section, Source, Table, suppress};
use crate::error::Result;
use crate::outputs::tables::NO_REGION;

pub fn section(source: &Source<'_>) -> Result<Section> {
    let flow = flow(source)?;
    let rules = rules(source);
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
    let rows: Vec<Vec<Cell>> = flows.into_iter().map(row).collect();
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
    /// Everyone on its lists.
    colors: BTreeMap<String, u64>,
    /// Those of them who live there, which the rates count.
    at_home: BTreeMap<String, u64>,
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
    let register = source.rows("colors", &["region_id", "region_by", "color"])?;
    let (regions, colors) = (register.texts("region_id")?, register.texts("color")?);
    let by = register.texts("region_by")?;
    let key = |row: usize| (regions[row].unwrap_or(NO_REGION), by[row] == Some("residence"), colors[row]);
    for ((region, lives_there, color), count) in tally((0..register.len()).map(key)) {
        let color: String = color.unwrap_or_default().into();
        *found.entry(region.into()).or_default().colors.entry(color.clone()).or_default() += count;
        // Whoever has no known residence is among the residents of no district.
        let home = if lives_there { region } else { NO_REGION };
        *found.entry(home.into()).or_default().at_home.entry(color).or_default() += count;
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
            let at_home = district.at_home.get(*color).copied().unwrap_or(0);
            // The rate tells how many of them live there, and so how many do not.
            let least = source.audience.suppress_below;
            let tells = [at_home, count.abs_diff(at_home)].iter().any(|few| (1..least).contains(few));
            row.push(match tells && count != at_home {
                true => suppress::withheld(),
                false => Cell::tenths(district.residents.and_then(|all| rate(at_home, all))),
            });
        }
        row.extend([district.new, district.released, district.overdue].map(Cell::count));
        row
    };
    let rows: Vec<Vec<Cell>> = found.into_iter().map(row).collect();
    let mut table = Table::new(
        "districts",
        w("Districts", "各辖区"),
        w(
            "People by color on the lists of each district; of those who live there, also for every 100,000 residents; those newly colored tonight, released tonight, and overdue: their term is over but something is missing.",
            "各辖区名单上各颜色人数；其中居住在该辖区者另列每10万居民的比率；今晚新赋码、今晚解除，以及逾期者：期限已满但仍缺条件。",
        ),
        Some("districts"),
    )
    .column("region_id", Kind::Text, w("district", "辖区"))
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

fn rules(source: &Source<'_>) -> Table {
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
    let rows: Vec<Vec<Cell>> = source.scheme.rules.iter().map(row).collect();
    Table::new(
        "rules",
        w("Rules at work", "各规则的作用"),
        w(
            "People with a reason by each rule tonight, and those whose color it decides. A reason whose term is over counts no more: not every contact has one.",
            "今晚各规则涉及的人数，以及由其决定颜色的人数。期限已满的原因不再计入，所以并非每名接触者都列有原因。",
        ),
        None,
    )
    .column("rule_id", Kind::Id, w("rule", "规则"))
    .column("basis", Kind::Word, w("why", "原因"))
    .column("color", Kind::Color, w("color", "颜色"))
    .column("persons", Kind::Count, w("people with it", "涉及人数"))
    .column("decides", Kind::Count, w("decides for", "由其决定颜色的人数"))
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
    let rows: Vec<Vec<Cell>> = tally((0..calendar.len()).map(key)).into_iter().map(row).collect();
    Ok(Table::new(
        "releases",
        w("The next 14 days", "未来14天"),
        w(
            "People who change color on each day, if nothing else becomes known: the load of tests and releases to come. Changes of few people are listed without a day.",
            "若无新情况，各日将变码的人数：即将到来的检测与解除工作量。人数很少的变化不列日期。",
        ),
        Some("releases"),
    )
    .column("date", Kind::Date, w("day", "日期"))
    .column("color_before", Kind::Color, w("before", "之前"))
    .column("color_after", Kind::Color, w("after", "之后"))
    .column("persons", Kind::Count, w("people", "人数"))
    .rows(rows))
}
