//! Contacts: how many, of whom, where, and how much of it was observed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::rows::{Rows, mean, quantile, tally};
use super::words::{self, NO_CATEGORY, w};
use super::{Cell, EMPTY, Kind, Section, Source, Table};
use crate::error::Result;
use crate::time::{self, Second};

/// Venues of the timeline.
const TIMELINE_VENUES: usize = 12;
/// Length of a slot of the timeline, hours of the local day.
const SLOT_HOURS: i8 = 6;
/// Upper bounds of the bins of contacts per case, each bin from the one before.
const BINS: [u64; 7] = [0, 4, 9, 19, 49, 99, u64::MAX];

pub fn section(source: &Source<'_>) -> Result<Section> {
    let exposures = Exposures::read(source)?;
    let (bins, summary) = per_case(source, &exposures)?;
    let venues = Venues::read(source)?;
    let mut tables = vec![rings(source)?, bins, summary, hot_spots(source, &exposures, &venues)?];
    if !source.audience.public {
        tables.push(venue_hours(source, &exposures, &venues));
    }
    tables.push(by_category(&exposures, &venues)?);
    Ok(Section { id: "contacts", title: w("Contacts", "接触者"), tables })
}

/// The exposures of ring 1; persons and venues by number.
struct Exposures {
    rows: Vec<Exposure>,
    sources: Vec<(String, bool)>,
    venues: Vec<String>,
}

struct Exposure {
    source: usize,
    contact: usize,
    venue: usize,
    from: Second,
    overlap_s: u64,
    observed_s: u64,
}

/// Numbers texts in the order in which they come.
#[derive(Default)]
struct Numbers<K> {
    of: HashMap<K, usize>,
    all: Vec<K>,
}

impl<K: Clone + Eq + std::hash::Hash> Numbers<K> {
    fn number(&mut self, key: K) -> usize {
        if let Some(number) = self.of.get(&key) {
            return *number;
        }
        self.all.push(key.clone());
        self.of.insert(key, self.all.len() - 1);
        self.all.len() - 1
    }
}

impl Exposures {
    fn read(source: &Source<'_>) -> Result<Exposures> {
        let rows = source.rows(
            "exposures",
            &[
                "source_id",
                "source_kind",
                "contact_id",
                "venue_id",
                "ring",
                "from",
                "overlap_s",
                "observed_overlap_s",
            ],
        )?;
        let rings = rows.numbers("ring")?;
        // Rings come one after the other.
        let close = rings.partition_point(|ring| *ring <= Some(1));
        let rows = rows.first(close);
        let (ids, kinds) = (rows.ids("source_id")?, rows.texts("source_kind")?);
        let (contacts, venues) = (rows.ids("contact_id")?, rows.ids("venue_id")?);
        let from = rows.instants("from")?;
        let (overlap, observed) = (rows.numbers("overlap_s")?, rows.numbers("observed_overlap_s")?);
        let (mut sources, mut persons, mut places) =
            (Numbers::default(), Numbers::default(), Numbers::default());
        let seconds = |cell: Option<i64>| cell.unwrap_or(0) as u64;
        let mut all = Vec::with_capacity(close);
        for row in 0..rows.len() {
            all.push(Exposure {
                source: sources.number((ids[row].clone(), kinds[row] == Some("person"))),
                contact: persons.number(contacts[row].as_str()),
                venue: places.number(venues[row].as_str()),
                from: from[row].unwrap_or_default(),
                overlap_s: seconds(overlap[row]),
                observed_s: seconds(observed[row]),
            });
        }
        let venues = places.all.iter().map(|id| id.to_string()).collect();
        Ok(Exposures { rows: all, sources: sources.all, venues })
    }
}

/// What is known of the venues of the night.
struct Venues {
    rows: Rows,
    at: HashMap<String, usize>,
}

impl Venues {
    fn read(source: &Source<'_>) -> Result<Venues> {
        let columns =
            ["venue_id", "category", "region_id", "name", "cases", "visitors", "expected_cases", "chance"];
        let rows = source.rows("venues", &columns)?;
        let at = rows.ids("venue_id")?.into_iter().enumerate().map(|(row, id)| (id, row)).collect();
        Ok(Venues { rows, at })
    }

    fn text(&self, column: &str, row: usize) -> Option<String> {
        self.rows.texts(column).ok().and_then(|cells| cells[row].map(str::to_string))
    }
}

fn minutes(seconds: u64) -> Cell {
    Cell::count(seconds / 60)
}

fn rings(source: &Source<'_>) -> Result<Table> {
    let contacts = source.rows("contacts", &["ring", "exposures", "overlap_s", "observed_overlap_s"])?;
    let columns = ["ring", "exposures", "overlap_s", "observed_overlap_s"];
    let [ring, exposures, overlap, observed] = columns.map(|name| contacts.numbers(name));
    let (ring, exposures, overlap, observed) = (ring?, exposures?, overlap?, observed?);
    let mut sums: BTreeMap<i64, [u64; 4]> = BTreeMap::new();
    for row in 0..contacts.len() {
        let sum = sums.entry(ring[row].unwrap_or(0)).or_default();
        let add = [Some(1), exposures[row], overlap[row], observed[row]];
        sum.iter_mut().zip(add).for_each(|(sum, add)| *sum += add.unwrap_or(0) as u64);
    }
    let row = |(ring, [persons, exposures, overlap, observed]): (i64, [u64; 4])| {
        let inferred = overlap / 60 - (observed / 60).min(overlap / 60);
        vec![
            Cell::Whole(ring),
            Cell::count(persons),
            Cell::count(exposures),
            minutes(overlap),
            minutes(observed),
            Cell::count(inferred),
        ]
    };
    let rows: Vec<Vec<Cell>> = sums.into_iter().map(row).collect();
    Ok(Table::new(
        "rings",
        w("Rings", "接触圈"),
        w(
            "Ring 1 are close contacts, ring 2 secondary contacts. Observed is time in which scans show both there; inferred follows from an assumed length of stay. Minutes are rounded down.",
            "第1圈为密接者，第2圈为次密接者。“观察”指扫码显示两人均在场的时间；“推断”由假定的停留时长得出。分钟数向下取整。",
        ),
        Some("rings"),
    )
    .column("ring", Kind::Count, w("ring", "圈"))
    .column("persons", Kind::Count, w("people", "人数"))
    .column("exposures", Kind::Count, w("exposures", "暴露次数"))
    .column("minutes", Kind::Minutes, w("minutes shared", "共处分钟数"))
    .column("observed_minutes", Kind::Minutes, w("observed minutes", "观察到的分钟数"))
    .column("inferred_minutes", Kind::Minutes, w("inferred minutes", "推断的分钟数"))
    .rows(rows))
}

/// Contacts per case: of ring 1 everyone exposed to it, of ring 2 those whose longest exposure leads to it.
fn per_case(source: &Source<'_>, exposures: &Exposures) -> Result<(Table, Table)> {
    let sources = source.rows("sources", &["source_id", "source_kind"])?;
    let kinds = sources.texts("source_kind")?;
    let ids = sources.ids("source_id")?;
    let cases: BTreeSet<&str> =
        (0..sources.len()).filter(|row| kinds[*row] == Some("person")).map(|row| ids[row].as_str()).collect();
    let mut close: Vec<(usize, usize)> =
        exposures.rows.iter().map(|exposure| (exposure.source, exposure.contact)).collect();
    close.sort_unstable();
    close.dedup();
    let mut first: HashMap<&str, u64> = HashMap::new();
    for (source, count) in tally(close.iter().map(|(source, _)| *source)) {
        let (id, is_person) = &exposures.sources[source];
        if *is_person {
            first.insert(id, count);
        }
    }
    let contacts = source.rows("contacts", &["person_id", "ring", "best_source_id", "best_source_kind"])?;
    let (persons, best) = (contacts.ids("person_id")?, contacts.ids("best_source_id")?);
    let (rings, kinds) = (contacts.numbers("ring")?, contacts.texts("best_source_kind")?);
    let mut case_of: HashMap<&str, &str> = HashMap::new();
    let mut second: HashMap<&str, u64> = HashMap::new();
    for row in 0..contacts.len() {
        match rings[row] {
            Some(1) if kinds[row] == Some("person") => drop(case_of.insert(&persons[row], &best[row])),
            Some(2) => {
                if let Some(case) = case_of.get(best[row].as_str()) {
                    *second.entry(case).or_default() += 1;
                }
            }
            _ => {}
        }
    }
    let counts = |of: &HashMap<&str, u64>| -> Vec<i64> {
        let mut counts: Vec<i64> =
            cases.iter().map(|case| of.get(case).copied().unwrap_or(0) as i64).collect();
        counts.sort_unstable();
        counts
    };
    let counts = [counts(&first), counts(&second)];
    let bin = |at: usize| {
        let least = if at == 0 { 0 } else { BINS[at - 1] + 1 };
        let name = match BINS[at] {
            0 => "0".to_string(),
            u64::MAX => format!("{least}+"),
            most => format!("{least}–{most}"),
        };
        let within = |counts: &Vec<i64>| {
            let inside = |count: &&i64| (least..=BINS[at]).contains(&(**count as u64));
            Cell::count(counts.iter().filter(inside).count() as u64)
        };
        vec![Cell::Text(name), within(&counts[0]), within(&counts[1])]
    };
    let rows: Vec<Vec<Cell>> = (0..BINS.len()).map(bin).collect();
    let bins = Table::new(
        "contacts_per_case",
        w("Contacts per case", "每例病例的接触者"),
        w(
            "Cases by how many contacts they have: close contacts exposed to the case; secondary contacts of whom the longest exposures lead to it.",
            "按接触者人数分组的病例数：密接者为暴露于该病例者；次密接者按其最长暴露归属。",
        ),
        Some("contacts_per_case"),
    )
    .column("contacts", Kind::Text, w("contacts", "接触者人数"))
    .column("cases_ring_1", Kind::Count, w("cases by close contacts", "病例数（按密接者）"))
    .column("cases_ring_2", Kind::Count, w("cases by secondary contacts", "病例数（按次密接者）"))
    .rows(rows);
    let row = |(ring, counts): (i64, &Vec<i64>)| {
        let cell = |percent| quantile(counts, percent).map_or(EMPTY, Cell::Whole);
        let sum: i64 = counts.iter().sum();
        let cases = counts.len() as u64;
        let least = counts.first().copied().map_or(EMPTY, Cell::Whole);
        let mean = Cell::tenths(mean(sum as u64, cases));
        vec![
            Cell::Whole(ring),
            Cell::count(cases),
            least,
            cell(25),
            cell(50),
            cell(75),
            cell(90),
            cell(100),
            mean,
        ]
    };
    let rows: Vec<Vec<Cell>> = (1..).zip(&counts).map(row).collect();
    let summary = Table::new(
        "contacts_summary",
        w("Contacts per case, in numbers", "每例病例接触者数：统计"),
        w(
            "Nearest-rank quantiles over all cases, those without contacts too.",
            "全部病例（含无接触者的病例）的最近秩分位数。",
        ),
        None,
    )
    .column("ring", Kind::Count, w("ring", "圈"))
    .column("cases", Kind::Count, w("cases", "病例"))
    .column("least", Kind::Count, w("fewest", "最少"))
    .column("quarter", Kind::Count, w("25%", "25%"))
    .column("median", Kind::Count, w("median", "中位数"))
    .column("three_quarters", Kind::Count, w("75%", "75%"))
    .column("p90", Kind::Count, w("90%", "90%"))
    .column("most", Kind::Count, w("most", "最多"))
    .column("mean", Kind::Decimal, w("mean", "均值"))
    .rows(rows);
    Ok((bins, summary))
}

/// What happened at a venue, or venues of a kind, in ring 1.
#[derive(Default)]
struct Spot {
    contacts: BTreeSet<usize>,
    overlap_s: u64,
    observed_s: u64,
}

fn spots<K: Ord>(exposures: &Exposures, of: impl Fn(usize) -> K) -> BTreeMap<K, Spot> {
    let mut spots: BTreeMap<K, Spot> = BTreeMap::new();
    for exposure in &exposures.rows {
        let spot = spots.entry(of(exposure.venue)).or_default();
        spot.contacts.insert(exposure.contact);
        spot.overlap_s += exposure.overlap_s;
        spot.observed_s += exposure.observed_s;
    }
    spots
}

fn category_of(venues: &Venues, exposures: &Exposures) -> Result<Vec<String>> {
    let categories = venues.rows.texts("category")?;
    let of = |id: &String| {
        let row = venues.at.get(id).copied();
        row.and_then(|row| categories[row]).unwrap_or(NO_CATEGORY).to_string()
    };
    Ok(exposures.venues.iter().map(of).collect())
}

fn hot_spots(source: &Source<'_>, exposures: &Exposures, venues: &Venues) -> Result<Table> {
    let about = w(
        "Cases among the visitors of the last 14 days against as many as chance would bring, were cases people like any other; the chance is that of as many or more (hypergeometric), not yet corrected for looking at many venues.",
        "近14天访客中的病例数，与假定病例与他人无异时随机期望的数目相比；概率为出现同样多或更多病例的概率（超几何分布），未作多重比较校正。",
    );
    let title = w("Venue hot spots", "热点场所");
    if source.audience.public {
        return by_kind(exposures, venues);
    }
    let of_venue = spots(exposures, |venue| exposures.venues[venue].as_str());
    let (cases, visitors) = (venues.rows.numbers("cases")?, venues.rows.numbers("visitors")?);
    let [expected, chances, names, categories, regions] =
        ["expected_cases", "chance", "name", "category", "region_id"].map(|c| venues.rows.texts(c));
    let (expected, chances, names, categories, regions) =
        (expected?, chances?, names?, categories?, regions?);
    let thousandths =
        |text: Option<&str>| text.and_then(|text| text.replacen('.', "", 1).parse::<i64>().ok());
    let mut found: Vec<(f64, i64, &String, usize)> = venues
        .at
        .iter()
        .filter_map(|(id, row)| Some((chances[*row]?.parse().unwrap_or(1.0), -cases[*row]?, id, *row)))
        .collect();
    found.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| (a.1, a.2).cmp(&(b.1, b.2))));
    let none = Spot::default();
    let row = |(_, _, id, row): &(f64, i64, &String, usize)| {
        let spot = of_venue.get(id.as_str()).unwrap_or(&none);
        let (cases, expected) = (cases[*row].unwrap_or(0), thousandths(expected[*row]));
        let ratio = expected.filter(|by| *by > 0).map(|by| (cases * 10_000 + by / 2) / by);
        vec![
            Cell::text(Some(*id)),
            Cell::text(names[*row]),
            categories[*row].map_or(EMPTY, |name| Cell::Words(words::category(name))),
            regions[*row].map_or(EMPTY, |name| Cell::Words(words::district(name))),
            visitors[*row].map_or(EMPTY, Cell::Whole),
            Cell::Whole(cases),
            expected.map_or(EMPTY, Cell::Thousandths),
            Cell::tenths(ratio),
            Cell::count(spot.contacts.len() as u64),
            minutes(spot.overlap_s),
            Cell::text(chances[*row]),
        ]
    };
    let rows: Vec<Vec<Cell>> = found.iter().map(row).collect();
    Ok(Table::new("hot_spots", title, about, Some("hot_spots"))
        .column("venue", Kind::Id, w("venue", "场所"))
        .column("name", Kind::Text, w("name", "名称"))
        .column("category", Kind::Text, w("category", "类别"))
        .column("region_id", Kind::Text, w("district", "辖区"))
        .column("visitors", Kind::Count, w("visitors", "访客"))
        .column("cases", Kind::Count, w("cases", "病例"))
        .column("expected_cases", Kind::Decimal, w("expected by chance", "随机期望"))
        .column("ratio", Kind::Decimal, w("times the expected", "为期望的倍数"))
        .column("contacts", Kind::Count, w("close contacts", "密接者"))
        .column("minutes", Kind::Minutes, w("minutes shared", "共处分钟数"))
        .column("p_value", Kind::Text, w("chance of as many or more", "出现同样多或更多的概率"))
        .rows(rows))
}

/// Hot spots by category of venue, for everyone.
fn by_kind(exposures: &Exposures, venues: &Venues) -> Result<Table> {
    let categories = category_of(venues, exposures)?;
    let row = |(category, spot): (&str, Spot)| {
        let name = Cell::Words(words::category(category));
        vec![name, Cell::count(spot.contacts.len() as u64), minutes(spot.overlap_s)]
    };
    let rows: Vec<Vec<Cell>> =
        spots(exposures, |venue| categories[venue].as_str()).into_iter().map(row).collect();
    let title = w("Close contacts by category of venue", "各类场所的密接者");
    let about = w(
        "Exposed in venues of a category; whoever was in several counts in each.",
        "曾在该类场所暴露者；涉及多类场所的在每类中各计一次。",
    );
    Ok(Table::new("hot_spots", title, about, Some("contacts_by_kind"))
        .column("category", Kind::Text, w("category", "类别"))
        .column("contacts", Kind::Count, w("close contacts", "密接者"))
        .column("minutes", Kind::Minutes, w("minutes shared", "共处分钟数"))
        .rows(rows))
}

fn venue_hours(source: &Source<'_>, exposures: &Exposures, venues: &Venues) -> Table {
    let mut busiest: Vec<(usize, usize)> = spots(exposures, |venue| venue)
        .into_iter()
        .map(|(venue, spot)| (spot.contacts.len(), venue))
        .collect();
    busiest.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| exposures.venues[a.1].cmp(&exposures.venues[b.1])));
    busiest.truncate(TIMELINE_VENUES);
    let zone = &source.scheme.time_zone;
    let slot = |at: Second| {
        let date = time::local_date(at, zone);
        let hour = time::local_hour(at, zone);
        format!("{date} {:02}:00", hour - hour % SLOT_HOURS)
    };
    let mut rows = Vec::new();
    for (_, venue) in busiest {
        let of_venue = exposures.rows.iter().filter(|exposure| exposure.venue == venue);
        let mut slots: Vec<(String, usize)> =
            of_venue.map(|exposure| (slot(exposure.from), exposure.contact)).collect();
        slots.sort_unstable();
        slots.dedup();
        let id = &exposures.venues[venue];
        let name = venues.at.get(id).and_then(|row| venues.text("name", *row));
        for (slot, persons) in tally(slots.into_iter().map(|(slot, _)| slot)) {
            let name = Cell::text(name.clone());
            rows.push(vec![Cell::text(Some(id)), name, Cell::Text(slot), Cell::count(persons)]);
        }
    }
    Table::new(
        "venue_hours",
        w("When people were exposed where", "暴露的时间与地点"),
        w(
            "Close contacts whose exposure began in a slot of six hours, at the venues with most of them.",
            "密接者最多的场所中，暴露始于各6小时时段的人数。",
        ),
        Some("venue_hours"),
    )
    .column("venue", Kind::Id, w("venue", "场所"))
    .column("name", Kind::Text, w("name", "名称"))
    .column("slot", Kind::Time, w("from", "时段始"))
    .column("persons", Kind::Count, w("people", "人数"))
    .rows(rows)
}

fn by_category(exposures: &Exposures, venues: &Venues) -> Result<Table> {
    let categories = category_of(venues, exposures)?;
    let row = |(category, spot): (&str, Spot)| {
        let (overlap, observed) = (spot.overlap_s / 60, (spot.observed_s / 60).min(spot.overlap_s / 60));
        vec![
            Cell::Words(words::category(category)),
            Cell::count(spot.contacts.len() as u64),
            Cell::count(overlap),
            Cell::count(observed),
            Cell::count(overlap - observed),
        ]
    };
    let rows: Vec<Vec<Cell>> =
        spots(exposures, |venue| categories[venue].as_str()).into_iter().map(row).collect();
    Ok(Table::new(
        "observed_by_category",
        w("Observed and inferred time", "观察与推断的时间"),
        w(
            "Minutes that close contacts shared with a source, by category of venue. Where people only check in, most of it is inferred. Minutes are rounded down.",
            "密接者与传染源共处的分钟数，按场所类别。只签到、不签离的场所，时长大多为推断。分钟数向下取整。",
        ),
        Some("observed"),
    )
    .column("category", Kind::Text, w("category", "类别"))
    .column("contacts", Kind::Count, w("close contacts", "密接者"))
    .column("minutes", Kind::Minutes, w("minutes shared", "共处分钟数"))
    .column("observed_minutes", Kind::Minutes, w("observed minutes", "观察到的分钟数"))
    .column("inferred_minutes", Kind::Minutes, w("inferred minutes", "推断的分钟数"))
    .rows(rows))
}
