//! Backward tracing: shared places against plain loops, likely infectors against published chains, paths in a night.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::civil::Date;

use crate::random::{Random, for_seeds};
use crate::support::{Folder, MARCH, rows};

const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;

/// One visit: person, venue, arrival, departure.
type Visit = (u32, u32, i64, i64);

/// `ways` to choose `k` of `n`.
fn choose(n: u64, k: u64) -> u128 {
    if k > n {
        return 0;
    }
    (0..u128::from(k)).fold(1, |ways, i| ways * (u128::from(n) - i) / (i + 1))
}

/// The chance of `here` or more of `cases` of `persons` being among `visitors`, by counting draws.
fn chance(persons: u64, visitors: u64, cases: u64, here: u64) -> f64 {
    let draws =
        (here..=cases).map(|k| choose(visitors, k) * choose(persons - visitors, cases - k)).sum::<u128>();
    draws as f64 / choose(persons, cases) as f64
}

/// A place as the tables have it: venue, hour (or none), cases, visitors, ids of cases, and the chance.
type Place = (String, String, u64, u64, String, f64);

/// Shared places by going through all visits for every place.
fn by_loops(visits: &[Visit], onsets: &BTreeMap<u32, i64>, least: u64, by_hour: bool) -> Vec<Place> {
    let window = |onset: i64| {
        let day = onset.div_euclid(DAY) * DAY;
        (day - 14 * DAY, day)
    };
    let period = (
        onsets.values().map(|onset| window(*onset).0).min().unwrap(),
        onsets.values().map(|onset| window(*onset).1).max().unwrap(),
    );
    let arrived: BTreeSet<u32> =
        visits.iter().filter(|v| (period.0..period.1).contains(&v.2)).map(|v| v.0).collect();
    let persons = arrived.len() as u64;
    let cases = onsets.keys().filter(|person| arrived.contains(person)).count() as u64;
    let hours: Vec<Option<i64>> = match by_hour {
        true => (period.0 / HOUR - 24..period.1 / HOUR + 24).map(|hour| Some(hour * HOUR)).collect(),
        false => vec![None],
    };
    let venues: BTreeSet<u32> = visits.iter().map(|v| v.1).collect();
    let mut found = Vec::new();
    for (venue, hour) in venues.iter().flat_map(|venue| hours.iter().map(move |hour| (*venue, *hour))) {
        let meets =
            |v: &&Visit, from: i64, until: i64| v.1 == venue && v.2 < until && from < v.3 && v.2 < v.3;
        let slot = hour.map_or((i64::MIN, i64::MAX), |hour| (hour, hour + HOUR));
        let there = |(person, onset): &(&u32, &i64)| {
            let (from, until) = window(**onset);
            let (from, until) = (from.max(slot.0), until.min(slot.1));
            from < until && visits.iter().filter(|v| v.0 == **person).any(|v| meets(&v, from, until))
        };
        let who: Vec<u32> = onsets.iter().filter(there).map(|(person, _)| *person).collect();
        let here = who.len() as u64;
        if here < least {
            continue;
        }
        let visitors: BTreeSet<u32> = visits
            .iter()
            .filter(|v| match hour {
                None => v.1 == venue && (period.0..period.1).contains(&v.2),
                Some(_) => meets(v, slot.0, slot.1),
            })
            .map(|v| v.0)
            .collect();
        let visitors = (visitors.len() as u64).max(here).min(persons.max(here));
        let ids: Vec<String> = who.iter().map(u32::to_string).collect();
        let hour = hour.map(|hour| hour.to_string()).unwrap_or_default();
        found.push((
            venue.to_string(),
            hour,
            here,
            visitors,
            ids.join("; "),
            chance(persons, visitors, cases, here),
        ));
    }
    found
}

#[test]
fn oracle_shared_places_by_going_through_all_visits() {
    for_seeds("oracle_shared_places_by_going_through_all_visits", 25, |_, random| {
        let folder = Folder::new();
        let (first, people, venues) = (100, random.within(8..=30), random.within(2..=6));
        let mut visits: Vec<Visit> = Vec::new();
        for person in first..first + people {
            for _ in 0..random.below(8) {
                let arrived = MARCH + i64::from(random.below(20 * 96)) * 900;
                let stay = i64::from(random.within(1..=20)) * 900;
                visits.push((person, random.below(venues), arrived, arrived + stay));
            }
        }
        // Visits of one person at one venue that overlap or touch are one.
        visits.sort_unstable();
        let mut joined: Vec<Visit> = Vec::new();
        for visit in visits {
            match joined.last_mut() {
                Some(last) if (last.0, last.1) == (visit.0, visit.1) && visit.2 <= last.3 => {
                    last.3 = last.3.max(visit.3);
                }
                _ => joined.push(visit),
            }
        }
        let onsets: BTreeMap<u32, i64> = (0..random.within(2..=6))
            .map(|_| {
                (first + random.below(people), MARCH + 4 * DAY + i64::from(random.below(16 * 24)) * HOUR)
            })
            .collect();
        if joined.is_empty() {
            return;
        }
        let table = |head: &str, rows: Vec<String>| format!("{head}\n{}\n", rows.join("\n"));
        let visit = |v: &Visit| format!("{},{},{},{}", v.0, v.1, v.2, v.3);
        folder.write(
            "v.csv",
            table("person_id,venue_id,arrived_at,left_at", joined.iter().map(visit).collect()),
        );
        let case = |(person, onset): (&u32, &i64)| format!("{person},{onset}");
        folder.write("c.csv", table("person_id,onset_at", onsets.iter().map(case).collect()));
        let least = u64::from(random.within(1..=2));
        folder
            .run(&format!(
                "sources --visits v.csv --cases c.csv --time-unit s --time-zone UTC --at-least {least} --out out -q"
            ))
            .done();
        for (name, by_hour) in [("source_venues", false), ("source_hours", true)] {
            let mut columns = vec![
                "venue_id",
                "cases",
                "visitors",
                "case_ids",
                "chance",
                "chance_adjusted",
                "expected_cases",
            ];
            if by_hour {
                columns.push("hour");
            }
            let mut found = rows(&folder.join(format!("out/{name}.parquet")), &columns);
            let chances: Vec<f64> = found.iter().map(|row| row[4].parse().unwrap()).collect();
            assert!(chances.is_sorted(), "the least likely by chance first: {chances:?}");
            let mut expected = by_loops(&joined, &onsets, least, by_hour);
            expected.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
            found.sort_by(|a, b| (&a[0], a.get(7)).cmp(&(&b[0], b.get(7))));
            let exact = |row: &Vec<String>| {
                let hour = row.get(7).cloned().unwrap_or_default();
                (row[0].clone(), hour, row[1].parse().unwrap(), row[2].parse().unwrap(), row[3].clone())
            };
            let without =
                |place: &Place| (place.0.clone(), place.1.clone(), place.2, place.3, place.4.clone());
            assert_eq!(
                found.iter().map(exact).collect::<Vec<_>>(),
                expected.iter().map(without).collect::<Vec<_>>(),
                "{name}"
            );
            for (row, place) in found.iter().zip(&expected) {
                let told: f64 = row[4].parse().unwrap();
                assert!((told - place.5).abs() <= 0.06 * place.5 + 1e-9, "{name}: {told} and {}", place.5);
                assert!(row[5].parse::<f64>().unwrap() >= told * 0.9, "corrected upwards");
            }
        }
    });
}

/// The folder of the real data, or `None` with a message.
fn shared(test: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if !folder.is_dir() {
        println!("skipped: {test}: ../shared/data is absent");
        return None;
    }
    Some(folder)
}

/// The records of a CSV file by column.
fn records(path: &Path) -> Vec<BTreeMap<String, String>> {
    csv::Reader::from_path(path).unwrap().deserialize().map(|row| row.unwrap()).collect()
}

/// A person of a published outbreak: first symptoms, and the day of report where those are not known.
struct Ill {
    onset: Option<Date>,
    reported: Option<Date>,
}

/// Makes visits of an outbreak (each case shared three hours with its published infector five days before it fell ill; with
/// others it shared less time, or time that cannot have been the infection), asks who infected whom, and compares with the
/// published links: the forest, offspring of each case, generations.
fn check_chains(ill: &BTreeMap<String, Ill>, links: &BTreeMap<String, String>, plausible_min: usize) {
    let folder = Folder::new();
    let began = |id: &String| ill[id].onset.or(ill[id].reported).unwrap();
    let day = |date: Date| i64::from((date - Date::constant(1970, 1, 1)).get_days());
    let mut cases = String::from("person_id,onset_at,reported_at,infectious_from,infectious_until\n");
    for (id, person) in ill {
        let text = |date: Option<Date>| date.map(|date| date.to_string()).unwrap_or_default();
        let (from, until) = (day(began(id)) - 60, day(began(id)) + 60);
        let date =
            |days: i64| Date::constant(1970, 1, 1).saturating_add(jiff::Span::new().days(days)).to_string();
        let window = [date(from), date(until)].join(",");
        cases += &format!("{id},{},{},{window}\n", text(person.onset), text(person.reported));
    }
    let ids: Vec<&String> = ill.keys().collect();
    let mut random = Random::new(1861);
    let mut visits = String::from("person_id,venue_id,arrived_at,left_at\n");
    let mut venue = 0;
    let mut meet = |a: &str, b: &str, from: i64, minutes: i64| {
        venue += 1;
        for person in [a, b] {
            visits += &format!("{person},v{venue},{from},{}\n", from + minutes * 60);
        }
    };
    for (case, infector) in links {
        let exposed = (day(began(case)) - 5) * DAY + 9 * HOUR;
        meet(infector, case, exposed, 180);
        // On the same day less time with someone else who was ill before, and after onset a whole day with a third.
        let earlier: Vec<&&String> =
            ids.iter().filter(|id| began(id) < began(case) && **id != infector).collect();
        if !earlier.is_empty() {
            meet(earlier[random.below(earlier.len() as u32) as usize], case, exposed + 6 * HOUR, 20);
        }
        let ill_by_then =
            |id: &&&String| day(began(id)) <= day(began(case)) + 2 && **id != case && **id != infector;
        let others: Vec<&&String> = ids.iter().filter(ill_by_then).collect();
        meet(others[random.below(others.len() as u32) as usize], case, (day(began(case)) + 3) * DAY, 600);
    }
    folder.write("v.csv", visits);
    folder.write("c.csv", cases);
    folder
        .run("sources --visits v.csv --cases c.csv --time-unit s --time-zone UTC --min-overlap 5m --out out -q")
        .done();
    let columns = ["case_id", "infector_id", "rank", "generation", "verdict"];
    let found = rows(&folder.join("out/links.parquet"), &columns);
    let forest: BTreeMap<String, String> =
        found.iter().filter(|row| !row[3].is_empty()).map(|row| (row[0].clone(), row[1].clone())).collect();
    // A published link is possible if the infector fell ill first.
    let possible: BTreeMap<String, String> = links
        .iter()
        .filter(|(case, of)| began(of) < began(case))
        .map(|(a, b)| (a.clone(), b.clone()))
        .collect();
    assert!(possible.len() >= plausible_min, "{} of {} links are possible", possible.len(), links.len());
    for (case, infector) in &possible {
        assert_eq!(forest.get(case), Some(infector), "who infected {case}");
    }
    for (case, infector) in links.iter().filter(|(case, _)| !possible.contains_key(*case)) {
        let verdict =
            found.iter().find(|row| (&row[0], &row[1]) == (case, infector)).map(|row| row[4].as_str());
        assert_eq!(verdict, Some("infector_later"), "{case} by {infector} is marked");
    }
    let offspring = |forest: &BTreeMap<String, String>| -> BTreeMap<usize, usize> {
        let mut children: BTreeMap<&String, usize> = BTreeMap::new();
        forest.values().for_each(|infector| *children.entry(infector).or_default() += 1);
        let mut counts = BTreeMap::new();
        children.values().for_each(|count| *counts.entry(*count).or_default() += 1);
        counts
    };
    let of_published = |case: &&String| possible.contains_key(*case);
    let kept: BTreeMap<String, String> =
        forest.iter().filter(|(case, _)| of_published(case)).map(|(a, b)| (a.clone(), b.clone())).collect();
    assert_eq!(offspring(&kept), offspring(&possible), "how many infected how many");
    let generation = |case: &String| {
        std::iter::successors(forest.get(case), |infector| forest.get(*infector)).count().to_string()
    };
    for row in found.iter().filter(|row| !row[3].is_empty()) {
        assert_eq!(row[3], generation(&row[0]), "generation of {}", row[0]);
    }
}

#[test]
fn oracle_chains_of_measles_in_hagelloch() {
    let Some(data) = shared("chains of Hagelloch") else { return };
    let table = records(&data.join("chains_hagelloch_1861.csv"));
    // Instants begin in 1970: 150 years later, the same days.
    let date = |text: &String| {
        let date: Date = text.parse().unwrap();
        Date::new(date.year() + 150, date.month(), date.day()).unwrap()
    };
    let id = |text: &String| format!("h{text:0>3}");
    let ill = table.iter().map(|row| {
        (id(&row["case_ID"]), Ill { onset: Some(date(&row["date_of_prodrome"])), reported: None })
    });
    let ill: BTreeMap<String, Ill> = ill.collect();
    let links = table.iter().filter(|row| ill.contains_key(&id(&row["infector"])));
    let links: BTreeMap<String, String> =
        links.map(|row| (id(&row["case_ID"]), id(&row["infector"]))).collect();
    assert_eq!((ill.len(), links.len()), (188, 184));
    check_chains(&ill, &links, 180);
}

#[test]
fn oracle_chains_of_mers_in_korea() {
    let Some(data) = shared("chains of MERS in Korea") else { return };
    let date = |text: &String| text.parse::<Date>().ok();
    let ill = records(&data.join("mers_korea_2015_linelist.csv"));
    let ill = ill.iter().map(|row| {
        (row["id"].clone(), Ill { onset: date(&row["dt_onset"]), reported: date(&row["dt_report"]) })
    });
    let ill: BTreeMap<String, Ill> = ill.collect();
    let published = records(&data.join("chains_mers_korea_2015.csv"));
    // Three cases have two infectors each in the data: the one named first is taken.
    let mut links: BTreeMap<String, String> = BTreeMap::new();
    for row in &published {
        links.entry(row["to"].clone()).or_insert_with(|| row["from"].clone());
    }
    assert_eq!((published.len(), links.len()), (98, 95));
    check_chains(&ill, &links, 90);
}

#[test]
fn sources_are_refused_without_cases_or_a_zone() {
    let folder = Folder::with_case();
    folder.write("v.csv", "person_id,venue_id,arrived_at,left_at\na,v,0,900\n");
    folder.refuses("sources --visits v.csv --time-unit s --out out", 2, "usage", &["no cases", "--cases"]);
    folder.refuses(
        "sources --visits v.csv --time-unit s --cases cases.csv --out out",
        2,
        "usage",
        &["local days", "--time-zone"],
    );
}

#[test]
fn a_path_between_two_contacts_names_no_one_else() {
    let folder = Folder::new();
    folder.run("generate --people 2000 --days 6 --seed 3 --out world").done();
    folder.run("run --config world/ringtrace.toml --date 2022-03-06").done();
    let run = "world/runs/2022-03-06";
    let columns = ["source_id", "contact_id", "ring", "from", "until", "source_kind"];
    let exposures = rows(&folder.join(format!("{run}/exposures.parquet")), &columns);
    let second = exposures.iter().find(|row| row[2] == "2").expect("a secondary contact");
    let first = exposures.iter().find(|row| row[1] == second[0]).expect("its close contact");
    let (case, contact, person) = (&first[0], &second[0], &second[1]);
    let words = folder.run(&format!("path --run {run} {case} {person}")).done().stdout;
    assert!(words.contains(case.as_str()) && words.contains(person.as_str()), "{words}");
    assert!(words.contains("shared visit"), "{words}");
    let json = folder.json(&format!("path --run {run} {case} {person}"), 0);
    let meetings = json["meetings"].as_array().unwrap();
    assert_eq!(meetings[0]["from"], case.as_str());
    assert_eq!(meetings.last().unwrap()["to"], person.as_str());
    if meetings.len() > 1 {
        assert!(!words.contains(contact.as_str()) && meetings[0]["to"].is_null(), "{words}");
        let named = folder.json(&format!("path --run {run} {case} {person} --identify"), 0);
        for (before, after) in
            named["meetings"].as_array().unwrap().iter().zip(&named["meetings"].as_array().unwrap()[1..])
        {
            assert_eq!(before["to"], after["from"]);
            assert!(before["reached_at"].as_str() <= after["reached_at"].as_str());
        }
    }
    let ran = folder.run(&format!("path --run {run} {case} nobody"));
    ran.refused(2, "usage", &["the second person met no one"]);
}

#[test]
fn whoever_was_there_before_the_period_began_is_among_the_visitors() {
    let folder = Folder::new();
    // 40 people in a hotel over the first midnight of the last 14 days; two of them are cases.
    let guest = |at: u32| format!("g{at:02},hotel,2022-03-01 20:00,2022-03-02 08:00\n");
    let visits: String = (0..40).map(guest).collect();
    folder.write("visits.csv", format!("person_id,venue_id,arrived_at,left_at\n{visits}"));
    folder.write(
        "cases.csv",
        "person_id,status,onset_at,reported_at\ng00,confirmed,2022-03-03 08:00,2022-03-14 08:00\ng01,confirmed,2022-03-03 08:00,2022-03-14 08:00\n",
    );
    let tables = ["visits", "cases"].map(|name| format!("[{name}]\npaths = [\"{name}.csv\"]\n")).concat();
    folder.write("night.toml", format!("time_zone = \"Asia/Shanghai\"\n{tables}"));
    folder.run("run --config night.toml --date 2022-03-15").done();
    let hotel = rows(&folder.join("runs/2022-03-15/venues.parquet"), &["visitors", "cases", "chance"]);
    assert_eq!(hotel, [["40", "2", "1.00"]], "everyone was there, so any two are");
}
