//! Every query that comes with the program, against plain loops over the rows of the same tables.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use ringtrace::outputs::query::{self, Named};
use ringtrace::outputs::read::Run;
use serde_json::{Value, json};

use crate::asked::*;
use crate::support::{Folder, rows};

/// Names of parameters with values.
type Values = &'static [(&'static str, &'static str)];
/// How an answer is found by hand.
type ByHand = fn(&Asked<'_>) -> Vec<Cells>;

/// Hours that local time is ahead of UTC: the default, and those of another place.
const HOURS: (&str, &str) = ("utc_offset_hours", "8");
const WEST: (&str, &str) = ("utc_offset_hours", "-5");
const DAYS: (&str, &str) = ("days", "3");
const ANY: (&str, &str) = ("region", "all");

/// Each query with the defaults of its parameters, some other values, and its answer by hand.
const CHECKS: [(&str, Values, Values, ByHand); 35] = [
    ("venue-hotspots", &[("days", "14"), ("top", "20"), HOURS], &[DAYS, ("top", "5")], venue_hotspots),
    ("ring-sizes", &[], &[], ring_sizes),
    ("contacts-per-case", &[], &[], contacts_per_case),
    ("attack-rates", &[], &[], attack_rates),
    ("repeat-exposures", &[("top", "100"), HOURS], &[("top", "2"), WEST], repeat_exposures),
    ("symptoms-after-exposure", &[("fever", "37.30"), ("top", "100")], &[("fever", "38.50")], symptoms_after),
    ("untested-contacts", &[DAYS, HOURS], &[("days", "5"), WEST], untested_contacts),
    ("lost-at-threshold", &[("minutes", "15")], &[("minutes", "40")], lost_at_threshold),
    ("observed-overlap", &[], &[], observed_overlap),
    ("epidemic-curve", &[HOURS], &[WEST], epidemic_curve),
    ("case-delays", &[], &[], case_delays),
    ("unlinked-cases", &[], &[], unlinked_cases),
    ("link-verdicts", &[], &[], link_verdicts),
    ("serial-intervals", &[], &[], serial_intervals),
    ("longest-chains", &[("top", "50")], &[("top", "1")], longest_chains),
    ("superspreaders", &[("cases", "2")], &[("cases", "1")], superspreaders),
    ("color-by-district", &[("color", "red")], &[("color", "yellow")], color_by_district),
    ("register-rates", &[("color", "all")], &[("color", "red")], register_rates),
    ("rule-counts", &[], &[], rule_counts),
    ("several-reasons", &[("rules", "2")], &[("rules", "1")], several_reasons),
    ("only-inferred", &[("ring", "2"), ("top", "100")], &[("ring", "1"), ("top", "7")], only_inferred),
    ("changes-tonight", &[], &[], changes_tonight),
    ("releases-per-day", &[ANY, ("healthy", "green")], &[("region", "D001")], releases_per_day),
    ("due-this-week", &[("days", "7")], &[("days", "1")], due_this_week),
    ("test-compliance", &[("by", "rule"), HOURS], &[("by", "region"), WEST], test_compliance),
    ("who-is-overdue", &[ANY], &[("region", "D002")], who_is_overdue),
    ("open-appeals", &[("days", "0")], &[DAYS], open_appeals),
    ("orders-in-force", &[HOURS], &[WEST], orders_in_force),
    ("pushes-received", &[HOURS], &[WEST], pushes_received),
    ("isolation-places", &[DAYS, HOURS], &[("days", "1"), WEST], isolation_places),
    ("scans-by-hour", &[HOURS], &[WEST], scans_by_hour),
    ("input-rates", &[], &[], input_rates),
    ("late-facts", &[("hours", "24")], &[("hours", "60")], late_facts),
    ("reject-reasons", &[], &[], reject_reasons),
    ("coverage", &[], &[], coverage),
];

#[test]
fn every_query_answers_as_loops_over_the_rows_do() {
    let folder = world();
    let nights = nights(&folder);
    for (name, defaults, others, by_hand) in CHECKS {
        let named = Named::find(name).unwrap();
        let (mut found, variants): (usize, [Values; 2]) = (0, [&[], others]);
        for (night, values) in nights.iter().flat_map(|night| variants.map(|values| (night, values))) {
            let params = defaults.iter().chain(values).copied().collect();
            let expected = by_hand(&Asked { night, params });
            let text = |cell: &Value| cell.as_str().map_or_else(|| cell.to_string(), String::from);
            let row = |row: &Cells| row.iter().map(|cell| (!cell.is_null()).then(|| text(cell))).collect();
            let expected: Vec<Vec<Option<String>>> = expected.iter().map(row).collect();
            let answer = query::ask(&night.run, &named, values).unwrap();
            let columns: Vec<&str> = named.columns.iter().map(|(column, _)| *column).collect();
            assert_eq!(answer.columns, columns, "{name}");
            assert_eq!(answer.rows, expected, "{name} {values:?} on {}", night.run.record.date);
            found += expected.len();
        }
        assert!(found > 0, "{name}: nothing was compared");
    }
    let checked: Vec<&str> = CHECKS.iter().map(|check| check.0).collect();
    assert_eq!(query::named().iter().map(|named| named.name).collect::<Vec<_>>(), checked);
}

/// A world in which contacts fell ill and were tested, with an exposure site and a venue that no table lists.
fn world() -> Folder {
    let folder = Folder::new();
    folder.run("generate --people 12000 --days 10 --seed 5 --facts --out world").done();
    let truth = folder.join("world/truth/contacts.parquet");
    let mut more: BTreeMap<&str, String> = BTreeMap::new();
    let mut add = |table, row: String| *more.entry(table).or_default() += &(row + "\n");
    add("more_cases", "person_id,status,onset_at,sampled_at,isolated_at,reported_at,reported_by".into());
    add("more_scans", "person_id,venue_id,scanned_at,direction".into());
    add("late_tests", "person_id,sampled_at,result,known_at".into());
    add("sites", "window_id,venue_id,from,until".into());
    add("more_scans", ",987654,2022-03-03 10:00,in".into());
    let (mut ill, mut others) = (BTreeSet::new(), Vec::new());
    let planted = rows(&truth, &["source_id", "contact_id", "ring", "from", "venue_id"]);
    for (number, row) in planted.iter().enumerate() {
        let [source, person, ring, from, venue] = [0, 1, 2, 3, 4].map(|at| row[at].as_str());
        let from: i64 = from.parse().unwrap();
        let after = |hours: i64| jiff::Timestamp::from_second(from + hours * 3_600).unwrap().to_string();
        add("more_scans", format!("{source},987654,{},in\n{person},987654,{},in", after(2), after(2)));
        if number % 5 == 0 {
            add("sites", format!("{source},{venue},{},{}", after(-1), after(2)));
        }
        let infected = if ring == "1" { number % 3 != 0 } else { ill.contains(source) };
        if !infected || *after(64) >= *"2022-03-09" {
            others.push(person.to_string());
            continue;
        }
        ill.insert(person.to_string());
        let onset = if number % 4 == 3 { String::new() } else { after(45) };
        let times = [onset, after(52), after(60), after(57)].join(",");
        add("more_cases", format!("{person},confirmed,{times},office {}", number % 2));
        add("more_cases", format!("{person},suspected,,{},{},{},", after(50), after(60), after(53)));
    }
    let visits = std::fs::read_to_string(folder.join("world/facts/clinic_visits.csv")).unwrap();
    others.extend(visits.lines().skip(1).map(|line| line.split(',').next().unwrap().to_string()));
    for (number, person) in others.iter().enumerate() {
        let (day, odd) = (5 + number % 4, number % 2);
        let until = ["", "2022-03-09 20:00", "2022-03-11 04:00", "2022-03-30 09:00"][number % 4];
        let (result, at) = (["negative", "positive"][odd], format!("2022-03-0{day}"));
        add("late_tests", format!("{person},{at} 21:00,{result},2022-03-09 06:00"));
        add("late_tests", format!("{person},2022-03-04 21:00,indeterminate,"));
        for (table, cells) in [
            ("checkins", format!("{at} 08:00,{},", ["well", "unwell"][odd])),
            ("symptoms", format!("{at} 22:00,fever")),
            ("temperatures", format!("2022-03-09 12:00,3{}.3", 6 + number % 3)),
            ("isolations", format!("{at} 11:00,{until},{}", ["home", "central"][odd])),
            ("isolations", format!("2022-03-04 11:00,{until},{}", ["home", "central"][odd])),
            ("pushes", format!("{at} 00:00,red,south,{},{until}", ["", "jiangsu"][odd])),
            ("pushes", format!("2022-03-03 00:00,red,south,{},{until}", ["", "jiangsu"][odd])),
            ("appeals", format!("{at} 09:30,open,FC-O{},hotline,", 1 + odd)),
            ("orders", format!("{at} 23:00,2022-03-{:02} 02:00,red,one,another,law", 9 + number % 8)),
        ] {
            add(table, format!("{person},{cells}"));
        }
    }
    for (table, rows) in more {
        let name = format!("world/facts/{table}.csv");
        let before = std::fs::read_to_string(folder.join(&name)).unwrap_or_default();
        folder.write(&name, before + &rows);
    }
    folder
}

/// Two nights, and the second by other schemes, too.
fn nights(folder: &Folder) -> Vec<Night> {
    let config = std::fs::read_to_string(folder.join("world/ringtrace.toml")).unwrap();
    let beside = |config: String, file: &str, other: &str| {
        config.replace(&format!("\"{file}\""), &format!("\"{file}\", \"facts/{other}.csv\""))
    };
    let config = beside(config, "cases.parquet", "more_cases");
    let config = beside(config, "facts/tests.csv", "late_tests");
    let config = beside(config, "scans/day=*/*.parquet", "more_scans");
    let config = config + "[windows]\npaths = [\"facts/sites.csv\"]\n";
    folder.write("world/five.toml", &config);
    let other = config.replace("five-color", "hangzhou-release").replace("\"runs\"", "\"other-runs\"");
    folder.write("world/other.toml", other);
    // The one that heeds orders and pushes.
    let red = config.replace("five-color", "red-code").replace("\"runs\"", "\"red-runs\"");
    folder.write("world/red.toml", red);
    let night = |(config, runs, day): (&str, &str, u32)| {
        folder.run(&format!("run --config world/{config}.toml --date 2022-03-{day:02}")).done();
        Night::read(Run::open(&folder.join(format!("world/{runs}/2022-03-{day:02}"))).unwrap())
    };
    [("five", "runs", 9), ("five", "runs", 10), ("other", "other-runs", 10), ("red", "red-runs", 9)]
        .map(night)
        .into()
}

fn venue_hotspots(q: &Asked<'_>) -> Vec<Cells> {
    let after = q.night.day - q.number("days");
    let lately = q.only("exposures", "ring", "1").filter(|row| q.local_day(row.at("from").unwrap()) > after);
    let mut found = Vec::new();
    for (venue, met) in groups(lately, |row| row.text("venue_id")) {
        let (contacts, sources) = (distinct(&met, |row| row.text("contact_id")), distinct(&met, source));
        let about = |column: &str| q.only("venues", "venue_id", venue).find_map(|row| row.get(column));
        let visitors = about("visitors").map(|cell| cell.parse::<i64>().unwrap());
        let rate = visitors.and_then(|visitors| per_mille(contacts, visitors));
        let (first, last, minutes) = (least(&met, "from"), most(&met, "until"), sum(&met, "overlap_s") / 60);
        let mut cells = cells![venue, contacts, sources, many(&met), minutes, first, last];
        cells.extend(cells![q.category(venue), about("region_id"), about("name"), visitors, rate]);
        found.push(((Reverse(contacts), Reverse(many(&met)), venue.parse::<i64>().unwrap()), cells));
    }
    q.top(found)
}

fn ring_sizes(q: &Asked<'_>) -> Vec<Cells> {
    each(groups(q.rows("contacts"), |row| row.text("ring")), |ring, persons| {
        let (overlap, observed) = (sum(persons, "overlap_s"), sum(persons, "observed_overlap_s"));
        let (first, last) = (least(persons, "first_exposed_at"), most(persons, "last_exposed_at"));
        let (exposures, part) = (sum(persons, "exposures"), per_mille(observed, overlap));
        cells![ring, many(persons), exposures, overlap / 60, observed / 60, first, last, part]
    })
}

fn contacts_per_case(q: &Asked<'_>) -> Vec<Cells> {
    let cases = q
        .only("sources", "source_kind", "person")
        .map(|row| row.text("source_id"))
        .collect::<BTreeSet<_>>()
        .len() as i64;
    each(groups(q.to_cases(), |row| q.category(row.text("venue_id"))), |category, met| {
        let by_case = groups(met.iter().copied(), |row| row.text("source_id"));
        let of: Vec<i64> = by_case.values().map(|met| distinct(met, |row| row.text("contact_id"))).collect();
        let contacts: i64 = of.iter().sum();
        let (exposing, of_most) = (of.len() as i64, of.iter().max().copied());
        cells![category, cases, exposing, contacts, many(met), contacts * 100 / cases, of_most]
    })
}

fn attack_rates(q: &Asked<'_>) -> Vec<Cells> {
    let mut at: BTreeMap<&str, [BTreeSet<&str>; 3]> = BTreeMap::new();
    for row in q.to_cases() {
        at.entry(q.category(row.text("venue_id"))).or_default()[0].insert(row.text("contact_id"));
    }
    for row in q.rows("links") {
        let infected = row.get("generation").is_some();
        let number = if infected && row.is("verdict", "plausible") { 3 } else { 1 + usize::from(infected) };
        let sets = at.entry(q.category(row.text("best_venue_id"))).or_default();
        for set in &mut sets[..number] {
            set.insert(row.text("case_id"));
        }
    }
    let row = |(category, sets): (&str, [BTreeSet<&str>; 3])| {
        let [exposed, infected, with_onset] = sets.map(|set| set.len() as i64);
        cells![category, exposed, infected, with_onset, per_mille(infected, exposed)]
    };
    at.into_iter().map(row).collect()
}

fn repeat_exposures(q: &Asked<'_>) -> Vec<Cells> {
    let mut found = Vec::new();
    for (person, met) in groups(q.only("exposures", "ring", "1"), |row| row.text("contact_id")) {
        let sources = distinct(&met, source);
        let days = distinct(&met, |row| q.local_day(row.at("from").unwrap()));
        let (venues, minutes) = (distinct(&met, |row| row.text("venue_id")), sum(&met, "overlap_s") / 60);
        let (first, last) = (least(&met, "from"), most(&met, "until"));
        if sources > 1 || days > 1 {
            let key = (Reverse((sources, days, minutes)), person.parse::<i64>().unwrap());
            found.push((key, cells![person, sources, days, venues, many(&met), minutes, first, last]));
        }
    }
    q.top(found)
}

fn symptoms_after(q: &Asked<'_>) -> Vec<Cells> {
    let fever: f64 = q.params["fever"].parse().unwrap();
    let warm = |cell: Option<&str>| cell.is_some_and(|cell| cell.parse::<f64>().unwrap() >= fever);
    let is_sign = |row: &&Row| match row.text("fact") {
        "symptom" | "clinic_visit" => true,
        "temperature" => warm(row.get("what")),
        "checkin" => row.is("what", "unwell") || warm(row.get("which")),
        _ => false,
    };
    let signs = groups(q.rows("facts").iter().filter(is_sign), |row| row.text("person_id"));
    let mut found = Vec::new();
    for row in q.rows("contacts") {
        let (person, exposed) = (row.text("person_id"), row.text("first_exposed_at"));
        let own = signs.get(person).into_iter().flatten().copied();
        let own: Vec<&Row> = own.filter(|sign| sign.text("at") >= exposed).collect();
        let (Some(first), last) = (least(&own, "at"), most(&own, "at")) else { continue };
        let region = q.register(person, "region_id").unwrap_or("unknown");
        let (ring, color) = (row.number("ring"), q.register(person, "color"));
        let cells = cells![person, ring, many(&own), first, last, exposed, region, color];
        found.push(((ring, first, row.number("person_id")), cells));
    }
    q.top(found)
}

fn untested_contacts(q: &Asked<'_>) -> Vec<Cells> {
    let tests = groups(q.only("facts", "fact", "test"), |row| row.text("person_id"));
    let contacts = q.only("contacts", "ring", "1");
    let region = |person| q.register(person, "region_id").unwrap_or("unknown");
    each(groups(contacts, |row| region(row.text("person_id"))), |region, contacts| {
        let tested = |row: &Row| {
            let own = tests.get(row.text("person_id")).into_iter().flatten();
            own.into_iter().any(|test| test.text("at") >= row.text("last_exposed_at"))
        };
        let days_ago = |row: &Row| q.night.day - q.local_day(row.at("last_exposed_at").unwrap());
        let number = count(contacts, tested);
        let long = count(contacts, |row| !tested(row) && days_ago(row) >= q.number("days"));
        cells![region, many(contacts), number, many(contacts) - number, long]
    })
}

fn lost_at_threshold(q: &Asked<'_>) -> Vec<Cells> {
    let met = groups(q.only("exposures", "ring", "1"), |row| row.text("contact_id"));
    let contacts = q.only("contacts", "ring", "1");
    let short = |row: &&Row| row.number("overlap_s") < q.number("minutes") * 60;
    each(groups(contacts, |row| q.category(row.text("best_venue_id"))), |category, contacts| {
        let lost = count(contacts, |row| met[row.text("person_id")].iter().all(short));
        cells![category, many(contacts), lost, per_mille(lost, many(contacts))]
    })
}

fn observed_overlap(q: &Asked<'_>) -> Vec<Cells> {
    each(groups(q.only("exposures", "ring", "1"), |row| q.category(row.text("venue_id"))), |category, met| {
        let (overlap, observed) = (sum(met, "overlap_s"), sum(met, "observed_overlap_s"));
        let inferred = count(met, |row| row.is("observed_overlap_s", "0"));
        let part = per_mille(observed, overlap);
        cells![category, many(met), inferred, overlap / 60, observed / 60, (overlap - observed) / 60, part]
    })
}

fn epidemic_curve(q: &Asked<'_>) -> Vec<Cells> {
    let linked: BTreeSet<&str> = q.forest().map(|row| row.text("case_id")).collect();
    let mut days: BTreeMap<i64, [i64; 3]> = BTreeMap::new();
    for (case, rows) in groups(q.only("sources", "source_kind", "person"), |row| row.text("source_id")) {
        let first = |column| rows.iter().filter_map(|row| row.at(column)).min();
        let began = ["onset_at", "sampled_at", "reported_at", "infectious_from"].into_iter().find_map(first);
        let counts = [true, first("onset_at").is_some(), linked.contains(case)];
        let day = days.entry(q.local_day(began.unwrap())).or_default();
        day.iter_mut().zip(counts).for_each(|(number, counts)| *number += i64::from(counts));
    }
    let row = |(day, [cases, onsets, linked]): (i64, [i64; 3])| {
        let date = EPOCH.saturating_add(jiff::Span::new().days(day));
        cells![date.to_string(), cases, onsets, linked, cases - linked]
    };
    days.into_iter().map(row).collect()
}

fn case_delays(q: &Asked<'_>) -> Vec<Cells> {
    let cases = q.only("sources", "source_kind", "person");
    let hours = |row: &Row, from: &str, to: &str| Some((row.at(to)? - row.at(from)?) as f64 / 3_600.0);
    let tenth = |hours: f64| ((hours * 10.0 + 0.5).floor() / 10.0).to_string();
    each(groups(cases, |row| row.get("reported_by").unwrap_or("unknown")), |by, cases| {
        let all =
            |from: &str, to: &str| cases.iter().filter_map(|row| hours(row, from, to)).collect::<Vec<f64>>();
        let mean = |[from, to]: [&str; 2]| {
            let hours = all(from, to);
            (!hours.is_empty()).then(|| tenth(hours.iter().sum::<f64>() / hours.len() as f64))
        };
        let (onset, sample, report, isolation) = ("onset_at", "sampled_at", "reported_at", "isolated_at");
        let [a, b, c, d] =
            [[onset, sample], [sample, report], [report, isolation], [onset, isolation]].map(mean);
        let longest = all(onset, isolation).into_iter().max_by(f64::total_cmp).map(tenth);
        cells![by, many(cases), a, b, c, d, longest]
    })
}

fn unlinked_cases(q: &Asked<'_>) -> Vec<Cells> {
    let linked: BTreeSet<&str> = q.forest().map(|row| row.text("case_id")).collect();
    let cases =
        q.only("sources", "source_kind", "person").filter(|row| !linked.contains(row.text("source_id")));
    each(groups(cases, |row| row.text("source_id")), |case, rows| {
        let candidates = q.only("links", "case_id", case).count() as i64;
        let [status, onset, sample, report, by] =
            ["status", "onset_at", "sampled_at", "reported_at", "reported_by"].map(|name| least(rows, name));
        cells![case, status, onset, sample, report, by, candidates]
    })
}

fn link_verdicts(q: &Asked<'_>) -> Vec<Cells> {
    each(groups(q.rows("links"), |row| row.text("verdict")), |verdict, links| {
        let (overlap, observed) = (sum(links, "overlap_s"), sum(links, "observed_overlap_s"));
        let first = count(links, |row| row.is("rank", "1"));
        let cases = distinct(links, |row| row.text("case_id"));
        let infectors = distinct(links, |row| row.text("infector_id"));
        cells![verdict, many(links), first, cases, infectors, overlap / 60, per_mille(observed, overlap)]
    })
}

fn serial_intervals(q: &Asked<'_>) -> Vec<Cells> {
    let mut numbers: BTreeMap<(&str, bool, i64), i64> = BTreeMap::new();
    for row in q.rows("links").iter().filter(|row| row.is("rank", "1") && row.is("verdict", "plausible")) {
        for (measure, column) in [("incubation", "incubation_days"), ("serial", "serial_days")] {
            let days: Option<i64> = row.get(column).map(|cell| cell.parse().unwrap());
            *numbers.entry((measure, days.is_none(), days.unwrap_or_default())).or_default() += 1;
        }
    }
    let numbers = numbers.into_iter();
    numbers.map(|((measure, null, days), links)| cells![measure, (!null).then_some(days), links]).collect()
}

fn longest_chains(q: &Asked<'_>) -> Vec<Cells> {
    let parents: BTreeMap<&str, &str> =
        q.forest().map(|row| (row.text("case_id"), row.text("infector_id"))).collect();
    let infectors: BTreeSet<&str> = parents.values().copied().collect();
    let mut found = Vec::new();
    for row in q.forest().filter(|row| !infectors.contains(row.text("case_id"))) {
        let case = row.text("case_id");
        let mut up = std::iter::successors(parents.get(case), |infector| parents.get(*infector)).copied();
        let [first, second, third, fourth] = std::array::from_fn(|_| up.next());
        let category = q.category(row.text("best_venue_id"));
        let (generation, at) = (row.number("generation"), row.text("first_at"));
        let key = (Reverse(generation), case);
        found.push((key, cells![generation, case, first, second, third, fourth, at, category]));
    }
    q.top(found)
}

fn superspreaders(q: &Asked<'_>) -> Vec<Cells> {
    let met = groups(q.to_cases(), |row| row.text("source_id"));
    let mut found = Vec::new();
    for (case, links) in groups(q.forest(), |row| row.text("infector_id")) {
        let contacts = met.get(case).map_or(0, |met| distinct(met, |row| row.text("contact_id")));
        let venues = distinct(&links, |row| row.text("best_venue_id"));
        let (first, last) = (least(&links, "first_at"), most(&links, "last_at"));
        let infected = many(&links);
        if infected >= q.number("cases") {
            found.push(((Reverse(infected), case), cells![case, infected, venues, first, last, contacts]));
        }
    }
    sorted(found)
}

fn color_by_district(q: &Asked<'_>) -> Vec<Cells> {
    let persons = q.only("colors", "color", q.params["color"]);
    each(groups(persons, |row| (row.text("region_id"), row.text("rule_id"))), |(region, rule), persons| {
        let (first, last) = (least(persons, "since"), most(persons, "since"));
        let endless = count(persons, |row| row.get("until").is_none());
        cells![region, rule, many(persons), first, last, endless]
    })
}

fn register_rates(q: &Asked<'_>) -> Vec<Cells> {
    let persons = q.rows("colors").iter().filter(|row| q.takes("color", row.text("color")));
    let home = |row: &Row| match row.get("residents").is_some() || row.get("region_by") == Some("residence") {
        true => row.text("region_id").to_string(),
        false => "unknown".into(),
    };
    each(groups(q.rows("districts").iter().chain(persons), home), |region, rows| {
        let persons = count(rows, |row| row.get("residents").is_none());
        let residents: i64 = rows.iter().filter_map(|row| row.get("residents")?.parse::<i64>().ok()).sum();
        cells![region, residents, persons, (residents > 0).then(|| persons * 100_000 / residents)]
    })
}

fn rule_counts(q: &Asked<'_>) -> Vec<Cells> {
    each(groups(q.rows("rules"), |row| row.text("rule_id")), |rule, rows| {
        let changes = q.only("changes", "rule_id", rule).count();
        let [color, basis] = ["color", "basis_en"].map(|name| rows[0].get(name));
        cells![rule, color, sum(rows, "persons"), sum(rows, "decides"), changes, basis]
    })
}

fn several_reasons(q: &Asked<'_>) -> Vec<Cells> {
    let evidence = groups(q.rows("evidence"), |row| row.text("person_id"));
    let rules = |row: &Row| distinct(&evidence[row.text("person_id")], |row| row.text("rule_id"));
    let several = q.rows("colors").iter().filter(|row| rules(row) >= q.number("rules"));
    let mut found = Vec::new();
    for ((color, reasons), persons) in groups(several, |row| (row.text("color"), row.text("reasons"))) {
        let rows: i64 = persons.iter().map(|row| many(&evidence[row.text("person_id")])).sum();
        let keep = count(&persons, |row| row.is("color_without", color));
        let number = many(&persons);
        found.push(((Reverse(number), color, reasons), cells![color, reasons, number, rows, keep]));
    }
    sorted(found)
}

fn only_inferred(q: &Asked<'_>) -> Vec<Cells> {
    let evidence = groups(q.rows("evidence"), |row| (row.text("person_id"), row.text("color")));
    let contacts = groups(q.rows("contacts"), |row| row.text("person_id"));
    let mut found = Vec::new();
    for row in q.rows("colors") {
        let [person, color] = ["person_id", "color"].map(|name| row.text(name));
        let (&[reason], Some(contact)) = (&*evidence[&(person, color)], contacts.get(person)) else {
            continue;
        };
        let (ring, minutes) = (contact[0].number("ring"), contact[0].number("overlap_s") / 60);
        let inferred = reason.is("fact", "contact") && contact[0].is("observed_overlap_s", "0");
        if inferred && ring <= q.number("ring") {
            let [region, without, until] = ["region_id", "color_without", "until"].map(|name| row.get(name));
            let [rule, source, venue] = ["rule_id", "source_id", "venue_id"].map(|name| reason.text(name));
            let mut cells = cells![person, region, color, without, rule, ring, source, venue];
            cells.extend(cells![q.category(venue), minutes, until]);
            found.push(((ring, minutes, row.number("person_id")), cells));
        }
    }
    q.top(found)
}

fn changes_tonight(q: &Asked<'_>) -> Vec<Cells> {
    let key = |row: &Row| {
        let rule = row.get("rule_id").unwrap_or("none");
        [row.text("region_id"), row.text("color_before"), row.text("color_after"), rule].map(String::from)
    };
    each(groups(q.rows("changes"), key), |[region, before, after, rule], rows| {
        cells![region, before, after, rule, many(rows)]
    })
}

fn releases_per_day(q: &Asked<'_>) -> Vec<Cells> {
    let rows = q.rows("calendar").iter().filter(|row| q.takes("region", row.text("region_id")));
    each(groups(rows, |row| row.text("date")), |date, changes| {
        let released = count(changes, |row| row.is("color_after", q.params["healthy"]));
        let regions = distinct(changes, |row| row.text("region_id"));
        cells![date, released, many(changes) - released, regions]
    })
}

fn due_this_week(q: &Asked<'_>) -> Vec<Cells> {
    let end = q.night.day + q.number("days");
    let due = q.rows("colors").iter().filter(|row| row.get("next_due").is_some_and(|due| day(due) < end));
    let key = |row: &'_ Row| ["next_due", "region_id", "color"].map(|name| row.text(name).to_string());
    each(groups(due, key), |[due, region, color], rows| cells![due, region, color, many(rows)])
}

fn test_compliance(q: &Asked<'_>) -> Vec<Cells> {
    let tests = groups(q.only("facts", "fact", "test"), |row| row.text("person_id"));
    let taken = |row: &Row| -> Vec<&Row> {
        let in_time = |test: &&Row| q.local_day(test.at("at").unwrap()) >= day(row.text("since"));
        tests.get(row.text("person_id")).into_iter().flatten().copied().filter(in_time).collect()
    };
    let column = if q.params["by"] == "region" { "region_id" } else { "rule_id" };
    each(groups(q.rows("colors"), |row| row.text(column)), |group, persons| {
        let waits = |row: &Row| row.text("missing").contains("negative test");
        let due = count(persons, |row| row.get("next_due").is_some_and(|due| day(due) == q.night.day));
        let tested = count(persons, |row| !taken(row).is_empty());
        let waiting = count(persons, |row| waits(row) && taken(row).is_empty());
        let positive = count(persons, |row| taken(row).iter().any(|test| test.is("what", "positive")));
        let untested = many(persons) - tested;
        cells![group, many(persons), count(persons, waits), due, tested, untested, waiting, positive]
    })
}

fn who_is_overdue(q: &Asked<'_>) -> Vec<Cells> {
    let mut found = Vec::new();
    for row in q.rows("overdue").iter().filter(|row| q.takes("region", row.text("region_id"))) {
        let (region, person, since) = (row.text("region_id"), row.text("person_id"), row.text("since"));
        let own = |kind| q.only("facts", "person_id", person).filter(move |fact| fact.is("fact", kind));
        let [test, checkin] = ["test", "checkin"].map(|kind| own(kind).map(|fact| fact.text("at")).max());
        let [color, rule, missing, without] =
            ["color", "rule_id", "missing", "color_without"].map(|name| row.get(name));
        let days = q.night.day - day(since);
        let cells = cells![region, person, color, rule, since, days, missing, test, checkin, without];
        found.push(((region, since, row.number("person_id")), cells));
    }
    sorted(found)
}

fn open_appeals(q: &Asked<'_>) -> Vec<Cells> {
    let mut found = Vec::new();
    for row in q.rows("appeals").iter().filter(|row| row.number("age_days") >= q.number("days")) {
        let (person, age, line) = (row.text("person_id"), row.number("age_days"), row.number("input_row"));
        let [filed, rule, file] = ["filed_on", "rule_id", "input_file"].map(|name| row.text(name));
        let (color, region) = (q.register(person, "color"), q.register(person, "region_id"));
        let cells = cells![age, filed, person, rule, color, region.unwrap_or("unknown"), file, line];
        found.push(((Reverse(age), row.number("person_id"), rule, file, line), cells));
    }
    sorted(found)
}

fn orders_in_force(q: &Asked<'_>) -> Vec<Cells> {
    let mut found = Vec::new();
    let counts = |row: &Row| {
        let rows = ["input_file", "input_row"];
        q.only("evidence", "fact", "order")
            .any(|of| rows.map(|name| of.get(name)) == rows.map(|name| row.get(name)))
    };
    for row in q.only("facts", "fact", "order").filter(|row| q.in_force(row) && counts(row)) {
        let [person, from, file] = ["person_id", "at", "input_file"].map(|name| row.text(name));
        let [color, rule, region] = ["color", "rule_id", "region_id"].map(|name| q.register(person, name));
        let (region, line) = (region.unwrap_or("unknown"), row.number("input_row"));
        let (ordered, until, left) = (row.get("what"), row.get("until"), q.days_left(row));
        let cells = cells![person, ordered, from, until, left, color, rule, region, file, line];
        found.push(((row.number("person_id"), from, file, line), cells));
    }
    sorted(found)
}

fn pushes_received(q: &Asked<'_>) -> Vec<Cells> {
    let key =
        |row: &Row| ["which", "place_id", "what"].map(|name| row.get(name).unwrap_or("unknown").to_string());
    each(groups(q.only("facts", "fact", "push"), key), |[origin, scheme, color], pushes| {
        let persons = distinct(pushes, |row| row.text("person_id"));
        let in_force = count(pushes, |row| q.in_force(row));
        let last = most(pushes, "at");
        cells![origin, scheme, color, many(pushes), persons, in_force, last]
    })
}

fn isolation_places(q: &Asked<'_>) -> Vec<Cells> {
    let stays = q.only("facts", "fact", "isolation").filter(|row| q.in_force(row));
    each(groups(stays, |row| row.text("what")), |kind, stays| {
        let persons = |wanted: fn(i64, i64) -> bool| {
            let left = |row: &Row| q.days_left(row).unwrap_or(i64::MAX);
            let wanted = stays.iter().filter(|row| wanted(left(row), q.number("days")));
            wanted.map(|row| row.text("person_id")).collect::<BTreeSet<_>>().len()
        };
        let (leaving, endless) = (persons(|left, soon| left <= soon), persons(|left, _| left == i64::MAX));
        cells![kind, persons(|_, _| true), leaving, endless, least(stays, "at")]
    })
}

fn scans_by_hour(q: &Asked<'_>) -> Vec<Cells> {
    let hour = |row: &Row| row.at("hour").unwrap() / 3_600 + q.number("utc_offset_hours");
    let all = q.rows("traffic").iter().map(|row| row.number("arrivals")).sum();
    each(groups(q.rows("traffic"), |row| hour(row).rem_euclid(24)), |hour, rows| {
        let (arrivals, most) = (sum(rows, "arrivals"), rows.iter().map(|row| row.number("arrivals")).max());
        cells![hour, arrivals, many(rows), most, per_mille(arrivals, all)]
    })
}

fn input_rates(q: &Asked<'_>) -> Vec<Cells> {
    each(groups(q.rows("inputs"), |row| row.text("table")), |table, files| {
        let [rows, accepted, merged, rejected] =
            ["rows", "accepted", "merged", "rejected"].map(|name| sum(files, name));
        assert_eq!(rows, accepted + merged + rejected, "{table}");
        let (repeated, refused) = (per_mille(merged, rows), per_mille(rejected, rows));
        cells![table, many(files), rows, accepted, merged, rejected, repeated, refused]
    })
}

fn late_facts(q: &Asked<'_>) -> Vec<Cells> {
    each(groups(q.rows("facts"), |row| row.text("fact")), |kind, facts| {
        let delay = |row: &Row| (row.at("known_at").unwrap() - row.at("at").unwrap()).max(0);
        let late = count(facts, |row| delay(row) > q.number("hours") * 3_600);
        let sum: i64 = facts.iter().map(|row| delay(row)).sum();
        let longest = facts.iter().map(|row| delay(row)).max().map(|seconds| seconds / 3_600);
        cells![kind, many(facts), late, per_mille(late, many(facts)), sum / many(facts) / 3_600, longest]
    })
}

fn reject_reasons(q: &Asked<'_>) -> Vec<Cells> {
    let key = |row: &Row| ["table", "file", "column", "reason"].map(|name| row.text(name).to_string());
    each(groups(q.rows("rejects"), key), |[table, file, column, reason], rows| {
        let first = rows.iter().map(|row| row.number("row")).min();
        cells![table, file, column, reason, many(rows), first]
    })
}

fn coverage(q: &Asked<'_>) -> Vec<Cells> {
    each(groups(q.rows("districts"), |row| row.text("region_id")), |region, rows| {
        let (residents, seen) = (sum(rows, "residents"), sum(rows, "with_visits"));
        cells![region, residents, seen, residents - seen, per_mille(seen, residents)]
    })
}

#[test]
fn hours_are_those_of_the_night_s_own_zone() {
    let folder = Folder::new();
    folder.write(
        "visits.csv",
        "person_id,venue_id,arrived_at,left_at\na,v,2022-03-01 08:10,2022-03-01 09:00\n",
    );
    folder.write(
        "cases.csv",
        "person_id,status,onset_at,reported_at\na,confirmed,2022-03-01 08:00,2022-03-01 09:00\n",
    );
    let tables = ["visits", "cases"].map(|name| format!("[{name}]\npaths = [\"{name}.csv\"]\n")).concat();
    folder.write("night.toml", format!("time_zone = \"America/New_York\"\n{tables}"));
    folder.run("run --config night.toml --date 2022-03-01").done();
    let hour = |more: &str| {
        let answer = folder.json(&format!("query --run runs/2022-03-01 scans-by-hour {more}"), 0);
        answer[0]["hour_of_day"].as_str().map(String::from)
    };
    assert_eq!(hour("").as_deref(), Some("8"));
    assert_eq!(hour("--param utc_offset_hours=0").as_deref(), Some("13"));
    // 13:00 UTC is the hour of the visit; half past six in the evening in India.
    assert_eq!(hour("--param utc_offset_hours=5.5").as_deref(), Some("18"));
    for wrong in ["utc_offset_hours=99", "utc_offset_hours=0.3", "utc_offset_hours=x", "days=3"] {
        let words = format!("query --run runs/2022-03-01 scans-by-hour --param {wrong}");
        folder.refuses(&words, 2, "usage", &[]);
    }
    let twice = "query --run runs/2022-03-01 venue-hotspots --param top=1 --param top=2";
    folder.refuses(twice, 2, "usage", &["given twice"]);
    folder.refuses("query --run runs/2022-03-01 venue-hotspots --param top=-1", 2, "usage", &["from 0"]);
    folder.refuses(
        "query --run runs/2022-03-01 test-compliance --param by=xx",
        2,
        "usage",
        &["'rule', 'region'"],
    );
}
