//! Every query that comes with the program, against plain loops over the rows of the same tables.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use ringtrace::outputs::query::{self, Named};
use ringtrace::outputs::read::Run;

use crate::support::{Folder, rows};

/// Names of parameters with values.
type Values = &'static [(&'static str, &'static str)];
/// A row of an answer.
type Cells = Vec<Option<String>>;
/// How an answer is found by hand.
type ByHand = fn(&Asked<'_>) -> Vec<Cells>;

/// Each query with the defaults of its parameters, some other values, and its answer by hand.
const CHECKS: [(&str, Values, Values, ByHand); 35] = [
    ("venue-hotspots", &[("days", "14"), ("top", "20"), HOURS], &[("days", "4"), ("top", "5")], venue_hotspots),
    ("ring-sizes", &[], &[], ring_sizes),
    ("contacts-per-case", &[], &[], contacts_per_case),
    ("attack-rates", &[], &[], attack_rates),
    ("repeat-exposures", &[("top", "100"), HOURS], &[("top", "2"), WEST], repeat_exposures),
    ("symptoms-after-exposure", &[("fever", "37.30"), ("top", "100")], &[("fever", "38.50")], symptoms_after),
    ("untested-contacts", &[("days", "3"), HOURS], &[("days", "5"), WEST], untested_contacts),
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
    ("releases-per-day", &[("region", "all"), ("healthy", "green")], &[("region", "D001")], releases_per_day),
    ("due-this-week", &[("days", "7")], &[("days", "1")], due_this_week),
    ("test-compliance", &[("by", "rule"), HOURS], &[("by", "region"), WEST], test_compliance),
    ("who-is-overdue", &[("region", "all")], &[("region", "D002")], who_is_overdue),
    ("open-appeals", &[("days", "0")], &[("days", "3")], open_appeals),
    ("orders-in-force", &[HOURS], &[WEST], orders_in_force),
    ("pushes-received", &[HOURS], &[WEST], pushes_received),
    ("isolation-places", &[("days", "3"), HOURS], &[("days", "1"), WEST], isolation_places),
    ("scans-by-hour", &[HOURS], &[WEST], scans_by_hour),
    ("input-rates", &[], &[], input_rates),
    ("late-facts", &[("hours", "24")], &[("hours", "100")], late_facts),
    ("reject-reasons", &[], &[], reject_reasons),
    ("coverage", &[], &[], coverage),
];
const HOURS: (&str, &str) = ("utc_offset_hours", "8");
const WEST: (&str, &str) = ("utc_offset_hours", "-5");

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

/// A world in which also contacts fell ill, were tested, isolated, and so on.
fn world() -> Folder {
    let folder = Folder::new();
    folder.run("generate --people 12000 --days 10 --seed 5 --facts --out world").done();
    let path = folder.join("world/truth/contacts.parquet");
    let planted = rows(&path, &["source_id", "contact_id", "ring", "from"]);
    let mut cases = "person_id,status,onset_at,sampled_at,isolated_at,reported_at\n".to_string();
    let (mut ill, mut others) = (BTreeSet::new(), Vec::new());
    for (number, row) in planted.iter().enumerate() {
        let (from, person): (i64, &str) = (row[3].parse().unwrap(), &row[1]);
        let after = |hours: i64| jiff::Timestamp::from_second(from + hours * 3_600).unwrap().to_string();
        let infected = if row[2] == "1" { number % 3 != 0 } else { ill.contains(&row[0]) };
        if !infected || after(64) >= "2022-03-09".into() {
            others.push(person);
            continue;
        }
        ill.insert(person.to_string());
        let (onset, status) =
            if number % 4 == 3 { (String::new(), "asymptomatic") } else { (after(45), "confirmed") };
        let rest = [after(52), after(60), after(57)].join(",");
        cases.push_str(&format!("{person},{status},{onset},{rest}\n"));
    }
    folder.write("world/facts/more_cases.csv", cases);
    let mut known_late = std::fs::read_to_string(folder.join("world/facts/symptoms.csv")).unwrap();
    known_late = known_late.replace("symptom\n", "symptom,known_at\n");
    let mut more: BTreeMap<&str, String> = BTreeMap::new();
    let mut add = |table, row: String| more.entry(table).or_default().push_str(&(row + "\n"));
    for (number, person) in others.into_iter().enumerate() {
        let day = 5 + number % 4;
        let result = if number % 4 == 1 { "positive" } else { "negative" };
        add("tests", format!("{person},2022-03-0{} 10:00,{result}", day + 1));
        add("checkins", format!("{person},2022-03-0{day} 08:00,{},", ["well", "unwell"][number % 2]));
        add("temperatures", format!("{person},2022-03-09 12:00,3{}.4", 6 + number % 3));
        let until = ["", "2022-03-09 20:00", "2022-03-11 04:00", "2022-03-30 09:00"][number % 4];
        add("isolations", format!("{person},2022-03-0{day} 11:00,{until},{}", ["home", "central"][number % 2]));
        add("pushes", format!("{person},2022-03-0{day} 00:00,red,south,{},{until}", ["", "jiangsu"][number % 2]));
        add("appeals", format!("{person},2022-03-0{day} 09:30,open,FC-O{},hotline,", 1 + number % 2));
        let end = format!("2022-03-{:02} 01:00", 9 + number % 8);
        add("orders", format!("{person},2022-03-0{day} 13:00,{end},red,one officer,another,article 39"));
        let known_at = ["", "2022-03-09 21:00"][number % 2];
        known_late += &format!("{person},2022-03-0{day} 07:00,fever,{known_at}\n");
    }
    for (table, rows) in more {
        let name = format!("world/facts/{table}.csv");
        let before = std::fs::read_to_string(folder.join(&name)).unwrap();
        folder.write(&name, before + &rows);
    }
    let lines = known_late.lines().map(|line| if line.matches(',').count() < 3 { [line, ","].concat() } else { line.into() });
    folder.write("world/facts/symptoms.csv", lines.collect::<Vec<String>>().join("\n") + "\n");
    folder
}

/// Two nights, and the second by another scheme.
fn nights(folder: &Folder) -> Vec<Night> {
    let config = std::fs::read_to_string(folder.join("world/ringtrace.toml")).unwrap();
    let config = config.replace("[\"cases.parquet\"]", "[\"cases.parquet\", \"facts/more_cases.csv\"]");
    folder.write("world/ringtrace.toml", &config);
    let other = config.replace("five-color", "hangzhou-release").replace("\"runs\"", "\"other-runs\"");
    folder.write("world/other.toml", other);
    for (config, date) in
        [("ringtrace", "2022-03-09"), ("ringtrace", "2022-03-10"), ("other", "2022-03-09"), ("other", "2022-03-10")]
    {
        folder.run(&format!("run --config world/{config}.toml --date {date}")).done();
    }
    let places = ["runs/2022-03-09", "runs/2022-03-10", "other-runs/2022-03-10"];
    places.map(|place| Night::read(Run::open(&folder.join("world").join(place)).unwrap())).into()
}

/// A row of a table: the texts of its cells by column, without nulls.
struct Row(BTreeMap<String, String>);

impl Row {
    fn get(&self, column: &str) -> Option<&str> {
        self.0.get(column).map(String::as_str)
    }

    fn text(&self, column: &str) -> &str {
        self.get(column).unwrap_or_else(|| panic!("null in {column}: {:?}", self.0))
    }

    fn is(&self, column: &str, text: &str) -> bool {
        self.get(column) == Some(text)
    }

    fn number(&self, column: &str) -> i64 {
        self.text(column).parse().unwrap()
    }

    /// The instant in a cell, in seconds.
    fn at(&self, column: &str) -> Option<i64> {
        self.get(column).map(|text| text.parse::<jiff::Timestamp>().unwrap().as_second())
    }
}

/// A night's tables.
struct Night {
    run: Run,
    day: i64,
    tables: BTreeMap<String, Vec<Row>>,
    /// Category by venue.
    categories: BTreeMap<String, String>,
    /// Row of the register by person.
    register: BTreeMap<String, usize>,
}

impl Night {
    fn read(run: Run) -> Night {
        let table_rows = |name: &str| -> Vec<Row> {
            let table = run.table(name).unwrap();
            let columns: Vec<String> = table.batch.schema().fields().iter().map(|f| f.name().clone()).collect();
            let cell = |column: &String, row| Some((column.clone(), table.text(column, row).unwrap()?));
            (0..table.len()).map(|row| Row(columns.iter().filter_map(|c| cell(c, row)).collect())).collect()
        };
        let tables: BTreeMap<String, Vec<Row>> =
            run.tables().map(|name| (name.to_string(), table_rows(name))).collect();
        let venue = |row: &Row| Some((row.text("venue_id").to_string(), row.get("category")?.to_string()));
        let categories = tables["venues"].iter().filter_map(venue).collect();
        let persons = tables["colors"].iter().map(|row| row.text("person_id").to_string());
        let register = persons.zip(0..).collect();
        Night { day: day(&run.record.date), run, categories, register, tables }
    }
}

/// A question to a night.
struct Asked<'a> {
    night: &'a Night,
    params: BTreeMap<&'a str, &'a str>,
}

impl<'a> Asked<'a> {
    fn rows(&self, table: &str) -> &'a [Row] {
        &self.night.tables[table]
    }

    fn ring_1(&self) -> impl Iterator<Item = &'a Row> {
        self.rows("exposures").iter().filter(|row| row.is("ring", "1"))
    }

    /// Exposures of ring 1 to cases, not to exposure sites.
    fn to_cases(&self) -> impl Iterator<Item = &'a Row> {
        self.ring_1().filter(|row| row.is("source_kind", "person"))
    }

    fn cases(&self) -> impl Iterator<Item = &'a Row> {
        self.rows("sources").iter().filter(|row| row.is("source_kind", "person"))
    }

    /// Links that are of the forest.
    fn forest(&self) -> impl Iterator<Item = &'a Row> {
        self.rows("links").iter().filter(|row| row.get("generation").is_some())
    }

    fn facts(&self, kind: &'static str) -> impl Iterator<Item = &'a Row> {
        self.rows("facts").iter().filter(move |row| row.is("fact", kind))
    }

    fn number(&self, param: &str) -> i64 {
        self.params[param].parse().unwrap()
    }

    fn category(&self, venue: &str) -> &'a str {
        self.night.categories.get(venue).map_or("unknown", String::as_str)
    }

    /// The person's cell in the register.
    fn register(&self, person: &str, column: &str) -> Option<&'a str> {
        self.rows("colors")[*self.night.register.get(person)?].get(column)
    }

    fn local_day(&self, at: i64) -> i64 {
        (at + self.number("utc_offset_hours") * 3_600).div_euclid(86_400)
    }

    /// Local days from the night to the end of something; `None` without one.
    fn days_left(&self, row: &Row) -> Option<i64> {
        row.at("until").map(|until| self.local_day(until) - self.night.day)
    }

    /// Whether the parameter is `all` or this.
    fn takes(&self, param: &str, cell: &str) -> bool {
        self.params[param] == "all" || self.params[param] == cell
    }

    /// As many as the parameter `top` says, in the order of their keys.
    fn top<K: Ord>(&self, found: Vec<(K, Cells)>) -> Vec<Cells> {
        let mut found = sorted(found);
        found.truncate(self.number("top") as usize);
        found
    }
}

/// A cell of an answer.
trait Cell {
    fn cell(self) -> Option<String>;
}

impl Cell for i64 {
    fn cell(self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Cell for String {
    fn cell(self) -> Option<String> {
        Some(self)
    }
}

impl Cell for &str {
    fn cell(self) -> Option<String> {
        Some(self.to_string())
    }
}

impl<T: Cell> Cell for Option<T> {
    fn cell(self) -> Option<String> {
        self.and_then(T::cell)
    }
}

macro_rules! cells {
    ($($cell:expr),* $(,)?) => { vec![$(Cell::cell($cell)),*] };
}

const EPOCH: Date = Date::constant(1970, 1, 1);

fn day(date: &str) -> i64 {
    i64::from((date.parse::<Date>().unwrap() - EPOCH).get_days())
}

fn date_of(day: i64) -> String {
    EPOCH.saturating_add(jiff::Span::new().days(day)).to_string()
}

fn groups<'r, K: Ord>(
    rows: impl IntoIterator<Item = &'r Row>,
    key: impl Fn(&'r Row) -> K,
) -> BTreeMap<K, Vec<&'r Row>> {
    let mut groups: BTreeMap<K, Vec<&Row>> = BTreeMap::new();
    rows.into_iter().for_each(|row| groups.entry(key(row)).or_default().push(row));
    groups
}

fn distinct<'r, K: Ord>(rows: &[&'r Row], key: impl Fn(&'r Row) -> K) -> i64 {
    rows.iter().map(|row| key(row)).collect::<BTreeSet<K>>().len() as i64
}

fn count(rows: &[&Row], wanted: impl Fn(&Row) -> bool) -> i64 {
    rows.iter().filter(|row| wanted(row)).count() as i64
}

fn many(rows: &[&Row]) -> i64 {
    rows.len() as i64
}

fn sum(rows: &[&Row], column: &str) -> i64 {
    rows.iter().map(|row| row.number(column)).sum()
}

/// The least of the cells: of instants written alike the earliest.
fn least<'r>(rows: &[&'r Row], column: &str) -> Option<&'r str> {
    rows.iter().filter_map(|row| row.get(column)).min()
}

fn most<'r>(rows: &[&'r Row], column: &str) -> Option<&'r str> {
    rows.iter().filter_map(|row| row.get(column)).max()
}

fn per_mille(part: i64, whole: i64) -> Option<i64> {
    (whole > 0).then(|| part * 1_000 / whole)
}

fn sorted<K: Ord>(mut found: Vec<(K, Cells)>) -> Vec<Cells> {
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found.into_iter().map(|(_, cells)| cells).collect()
}

fn source(row: &Row) -> (&str, &str) {
    (row.text("source_kind"), row.text("source_id"))
}

fn venue_hotspots(q: &Asked<'_>) -> Vec<Cells> {
    let after = q.night.day - q.number("days");
    let lately = q.ring_1().filter(|row| q.local_day(row.at("from").unwrap()) > after);
    let row = |(venue, met): (&str, Vec<&Row>)| {
        let contacts = distinct(&met, |row| row.text("contact_id"));
        let about = q.rows("venues").iter().find(|row| row.is("venue_id", venue));
        let about = |column: &str| about.and_then(|row| row.get(column));
        let visitors = about("visitors").map(|cell| cell.parse::<i64>().unwrap());
        let cells = cells![
            venue,
            contacts,
            distinct(&met, source),
            many(&met),
            sum(&met, "overlap_s") / 60,
            least(&met, "from"),
            most(&met, "until"),
            q.category(venue),
            about("region_id"),
            about("name"),
            visitors,
            visitors.and_then(|visitors| per_mille(contacts, visitors)),
        ];
        ((Reverse(contacts), Reverse(many(&met)), venue.parse::<i64>().unwrap()), cells)
    };
    q.top(groups(lately, |row| row.text("venue_id")).into_iter().map(row).collect())
}

fn ring_sizes(q: &Asked<'_>) -> Vec<Cells> {
    let row = |(ring, persons): (&str, Vec<&Row>)| {
        let (overlap, observed) = (sum(&persons, "overlap_s"), sum(&persons, "observed_overlap_s"));
        let (first, last) = (least(&persons, "first_exposed_at"), most(&persons, "last_exposed_at"));
        let (exposures, part) = (sum(&persons, "exposures"), per_mille(observed, overlap));
        cells![ring, many(&persons), exposures, overlap / 60, observed / 60, first, last, part]
    };
    groups(q.rows("contacts"), |row| row.text("ring")).into_iter().map(row).collect()
}

fn contacts_per_case(q: &Asked<'_>) -> Vec<Cells> {
    let cases = q.cases().map(|row| row.text("source_id")).collect::<BTreeSet<_>>().len() as i64;
    let row = |(category, met): (&str, Vec<&Row>)| {
        let by_case = groups(met.iter().copied(), |row| row.text("source_id"));
        let of: Vec<i64> =
            by_case.values().map(|met| distinct(met, |row| row.text("contact_id"))).collect();
        let contacts: i64 = of.iter().sum();
        let (exposing, of_most) = (of.len() as i64, of.iter().max().copied());
        cells![category, cases, exposing, contacts, many(&met), contacts * 100 / cases, of_most]
    };
    groups(q.to_cases(), |row| q.category(row.text("venue_id"))).into_iter().map(row).collect()
}

fn attack_rates(q: &Asked<'_>) -> Vec<Cells> {
    let mut at: BTreeMap<&str, [BTreeSet<&str>; 3]> = BTreeMap::new();
    for row in q.to_cases() {
        at.entry(q.category(row.text("venue_id"))).or_default()[0].insert(row.text("contact_id"));
    }
    for row in q.rows("links") {
        let sets = at.entry(q.category(row.text("best_venue_id"))).or_default();
        let infected = row.get("generation").is_some();
        let counts = [true, infected, infected && row.is("verdict", "plausible")];
        for (set, _) in sets.iter_mut().zip(counts).filter(|(_, counts)| *counts) {
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
    for (person, met) in groups(q.ring_1(), |row| row.text("contact_id")) {
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
        let after = signs.get(person).into_iter().flatten().copied().filter(|sign| sign.text("at") >= exposed);
        let after: Vec<&Row> = after.collect();
        let Some(first) = least(&after, "at") else { continue };
        let region = q.register(person, "region_id").unwrap_or("unknown");
        let color = q.register(person, "color");
        let key = (row.number("ring"), first, row.number("person_id"));
        let last = most(&after, "at");
        found.push((key, cells![person, row.text("ring"), many(&after), first, last, exposed, region, color]));
    }
    q.top(found)
}

fn untested_contacts(q: &Asked<'_>) -> Vec<Cells> {
    let tests = groups(q.facts("test"), |row| row.text("person_id"));
    let contacts = q.rows("contacts").iter().filter(|row| row.is("ring", "1"));
    let region = |row: &Row| q.register(row.text("person_id"), "region_id").unwrap_or("unknown");
    let row = |(region, contacts): (&str, Vec<&Row>)| {
        let tested = |row: &Row| {
            let own = tests.get(row.text("person_id")).into_iter().flatten();
            own.into_iter().any(|test| test.text("at") >= row.text("last_exposed_at"))
        };
        let days_ago = |row: &Row| q.night.day - q.local_day(row.at("last_exposed_at").unwrap());
        let number = count(&contacts, tested);
        let long = count(&contacts, |row| !tested(row) && days_ago(row) >= q.number("days"));
        cells![region, many(&contacts), number, many(&contacts) - number, long]
    };
    groups(contacts, region).into_iter().map(row).collect()
}

fn lost_at_threshold(q: &Asked<'_>) -> Vec<Cells> {
    let met = groups(q.ring_1(), |row| row.text("contact_id"));
    let contacts = q.rows("contacts").iter().filter(|row| row.is("ring", "1"));
    let short = |row: &&Row| row.number("overlap_s") < q.number("minutes") * 60;
    let row = |(category, contacts): (&str, Vec<&Row>)| {
        let lost = count(&contacts, |row| met[row.text("person_id")].iter().all(short));
        cells![category, many(&contacts), lost, per_mille(lost, many(&contacts))]
    };
    groups(contacts, |row| q.category(row.text("best_venue_id"))).into_iter().map(row).collect()
}

fn observed_overlap(q: &Asked<'_>) -> Vec<Cells> {
    let row = |(category, met): (&str, Vec<&Row>)| {
        let (overlap, observed) = (sum(&met, "overlap_s"), sum(&met, "observed_overlap_s"));
        let inferred = count(&met, |row| row.is("observed_overlap_s", "0"));
        let part = per_mille(observed, overlap);
        cells![category, many(&met), inferred, overlap / 60, observed / 60, (overlap - observed) / 60, part]
    };
    groups(q.ring_1(), |row| q.category(row.text("venue_id"))).into_iter().map(row).collect()
}

fn epidemic_curve(q: &Asked<'_>) -> Vec<Cells> {
    let linked: BTreeSet<&str> = q.forest().map(|row| row.text("case_id")).collect();
    let mut days: BTreeMap<i64, [i64; 3]> = BTreeMap::new();
    for (case, rows) in groups(q.cases(), |row| row.text("source_id")) {
        let first = |column| rows.iter().filter_map(|row| row.at(column)).min();
        let began = ["onset_at", "sampled_at", "reported_at", "infectious_from"].into_iter().find_map(first);
        let counts = [true, first("onset_at").is_some(), linked.contains(case)];
        let day = days.entry(q.local_day(began.unwrap())).or_default();
        day.iter_mut().zip(counts).for_each(|(number, counts)| *number += i64::from(counts));
    }
    let row = |(day, [cases, onsets, linked]): (i64, [i64; 3])| {
        cells![date_of(day), cases, onsets, linked, cases - linked]
    };
    days.into_iter().map(row).collect()
}

fn case_delays(q: &Asked<'_>) -> Vec<Cells> {
    let hours = |row: &Row, from: &str, to: &str| Some((row.at(to)? - row.at(from)?) as f64 / 3_600.0);
    let tenth = |hours: f64| ((hours * 10.0).round() / 10.0).to_string();
    let row = |(by, cases): (&str, Vec<&Row>)| {
        let all = |from: &str, to: &str| -> Vec<f64> {
            cases.iter().filter_map(|row| hours(row, from, to)).collect()
        };
        let mean = |from: &str, to: &str| {
            let hours = all(from, to);
            (!hours.is_empty()).then(|| tenth(hours.iter().sum::<f64>() / hours.len() as f64))
        };
        cells![
            by,
            many(&cases),
            mean("onset_at", "sampled_at"),
            mean("sampled_at", "reported_at"),
            mean("reported_at", "isolated_at"),
            mean("onset_at", "isolated_at"),
            all("onset_at", "isolated_at").into_iter().max_by(f64::total_cmp).map(tenth),
        ]
    };
    groups(q.cases(), |row| row.get("reported_by").unwrap_or("unknown")).into_iter().map(row).collect()
}

fn unlinked_cases(q: &Asked<'_>) -> Vec<Cells> {
    let linked: BTreeSet<&str> = q.forest().map(|row| row.text("case_id")).collect();
    let all = groups(q.cases(), |row| row.text("source_id")).into_iter();
    let row = |(case, rows): (&str, Vec<&Row>)| {
        let candidates = q.rows("links").iter().filter(|row| row.is("case_id", case)).count() as i64;
        let [status, onset, sample, report, by] =
            ["status", "onset_at", "sampled_at", "reported_at", "reported_by"].map(|name| least(&rows, name));
        cells![case, status, onset, sample, report, by, candidates]
    };
    all.filter(|(case, _)| !linked.contains(case)).map(row).collect()
}

fn link_verdicts(q: &Asked<'_>) -> Vec<Cells> {
    let row = |(verdict, links): (&str, Vec<&Row>)| {
        let (overlap, observed) = (sum(&links, "overlap_s"), sum(&links, "observed_overlap_s"));
        let first = count(&links, |row| row.is("rank", "1"));
        let cases = distinct(&links, |row| row.text("case_id"));
        let infectors = distinct(&links, |row| row.text("infector_id"));
        let part = per_mille(observed, overlap);
        cells![verdict, many(&links), first, cases, infectors, overlap / 60, part]
    };
    groups(q.rows("links"), |row| row.text("verdict")).into_iter().map(row).collect()
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
    let row = |(case, links): (&str, Vec<&Row>)| {
        let contacts = met.get(case).map_or(0, |met| distinct(met, |row| row.text("contact_id")));
        let venues = distinct(&links, |row| row.text("best_venue_id"));
        let (first, last) = (least(&links, "first_at"), most(&links, "last_at"));
        ((Reverse(many(&links)), case.to_string()), cells![case, many(&links), venues, first, last, contacts])
    };
    let infectors = groups(q.forest(), |row| row.text("infector_id")).into_iter();
    sorted(infectors.filter(|(_, links)| many(links) >= q.number("cases")).map(row).collect())
}

fn color_by_district(q: &Asked<'_>) -> Vec<Cells> {
    let persons = q.rows("colors").iter().filter(|row| row.is("color", q.params["color"]));
    let row = |((region, rule), persons): ((&str, &str), Vec<&Row>)| {
        let (first, last) = (least(&persons, "since"), most(&persons, "since"));
        let endless = count(&persons, |row| row.get("until").is_none());
        cells![region, rule, many(&persons), first, last, endless]
    };
    groups(persons, |row| (row.text("region_id"), row.text("rule_id"))).into_iter().map(row).collect()
}

fn register_rates(q: &Asked<'_>) -> Vec<Cells> {
    let mut regions: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for row in q.rows("districts") {
        regions.entry(row.text("region_id")).or_default().0 += row.number("residents");
    }
    for row in q.rows("colors").iter().filter(|row| q.takes("color", row.text("color"))) {
        regions.entry(row.text("region_id")).or_default().1 += 1;
    }
    let row = |(region, (residents, persons)): (&str, (i64, i64))| {
        let rate = (residents > 0).then(|| persons * 100_000 / residents);
        cells![region, residents, persons, rate]
    };
    regions.into_iter().map(row).collect()
}

fn rule_counts(q: &Asked<'_>) -> Vec<Cells> {
    let row = |row: &Row| {
        let rule = row.text("rule_id");
        let changes = q.rows("changes").iter().filter(|change| change.is("rule_id", rule)).count() as i64;
        let (persons, decides) = (row.number("persons"), row.number("decides"));
        (rule.to_string(), cells![rule, row.get("color"), persons, decides, changes, row.get("basis_en")])
    };
    sorted(q.rows("rules").iter().map(row).collect())
}

fn several_reasons(q: &Asked<'_>) -> Vec<Cells> {
    let evidence = groups(q.rows("evidence"), |row| row.text("person_id"));
    let rules = |row: &Row| distinct(&evidence[row.text("person_id")], |row| row.text("rule_id"));
    let several = q.rows("colors").iter().filter(|row| rules(row) >= q.number("rules"));
    let row = |((color, reasons), persons): ((&str, &str), Vec<&Row>)| {
        let rows: i64 = persons.iter().map(|row| many(&evidence[row.text("person_id")])).sum();
        let keep = count(&persons, |row| row.is("color_without", color));
        let key = (Reverse(many(&persons)), color.to_string(), reasons.to_string());
        (key, cells![color, reasons, many(&persons), rows, keep])
    };
    sorted(groups(several, |row| (row.text("color"), row.text("reasons"))).into_iter().map(row).collect())
}

fn only_inferred(q: &Asked<'_>) -> Vec<Cells> {
    let evidence = groups(q.rows("evidence"), |row| row.text("person_id"));
    let contacts = groups(q.rows("contacts"), |row| row.text("person_id"));
    let mut found = Vec::new();
    for row in q.rows("colors") {
        let person = row.text("person_id");
        let own: Vec<&&Row> =
            evidence[person].iter().filter(|reason| reason.is("color", row.text("color"))).collect();
        let (&[reason], Some(contact)) = (own.as_slice(), contacts.get(person)) else { continue };
        let contact = contact[0];
        let inferred = reason.is("fact", "contact") && contact.is("observed_overlap_s", "0");
        if !inferred || contact.number("ring") > q.number("ring") {
            continue;
        }
        let (ring, minutes) = (contact.number("ring"), contact.number("overlap_s") / 60);
        let [region, color, without] = ["region_id", "color", "color_without"].map(|name| row.get(name));
        let [rule, source, venue] = ["rule_id", "source_id", "venue_id"].map(|name| reason.text(name));
        let (category, until) = (q.category(venue), row.get("until"));
        let cells =
            cells![person, region, color, without, rule, ring, source, venue, category, minutes, until];
        found.push(((ring, minutes, row.number("person_id")), cells));
    }
    q.top(found)
}

fn changes_tonight(q: &Asked<'_>) -> Vec<Cells> {
    let key = |row: &Row| {
        let rule = row.get("rule_id").unwrap_or("none");
        [row.text("region_id"), row.text("color_before"), row.text("color_after"), rule].map(String::from)
    };
    let groups = groups(q.rows("changes"), key).into_iter();
    groups.map(|([region, before, after, rule], rows)| cells![region, before, after, rule, many(&rows)]).collect()
}

fn releases_per_day(q: &Asked<'_>) -> Vec<Cells> {
    let rows = q.rows("calendar").iter().filter(|row| q.takes("region", row.text("region_id")));
    let row = |(date, changes): (&str, Vec<&Row>)| {
        let released = count(&changes, |row| row.is("color_after", q.params["healthy"]));
        let regions = distinct(&changes, |row| row.text("region_id"));
        cells![date, released, many(&changes) - released, regions]
    };
    groups(rows, |row| row.text("date")).into_iter().map(row).collect()
}

fn due_this_week(q: &Asked<'_>) -> Vec<Cells> {
    let end = q.night.day + q.number("days");
    let due = q.rows("colors").iter().filter(|row| row.get("next_due").is_some_and(|due| day(due) < end));
    let groups = groups(due, |row| (row.text("next_due"), row.text("region_id"), row.text("color")));
    groups.into_iter().map(|((due, region, color), rows)| cells![due, region, color, many(&rows)]).collect()
}

fn test_compliance(q: &Asked<'_>) -> Vec<Cells> {
    let tests = groups(q.facts("test"), |row| row.text("person_id"));
    let taken = |row: &Row| -> Vec<&Row> {
        let in_time = |test: &&Row| q.local_day(test.at("at").unwrap()) >= day(row.text("since"));
        tests.get(row.text("person_id")).into_iter().flatten().copied().filter(in_time).collect()
    };
    let row = |(group, persons): (&str, Vec<&Row>)| {
        let waits = |row: &Row| row.text("missing").contains("negative test");
        let due = count(&persons, |row| row.get("next_due").is_some_and(|due| day(due) == q.night.day));
        let tested = count(&persons, |row| !taken(row).is_empty());
        let waiting = count(&persons, |row| waits(row) && taken(row).is_empty());
        let positive = count(&persons, |row| taken(row).iter().any(|test| test.is("what", "positive")));
        let untested = many(&persons) - tested;
        cells![group, many(&persons), count(&persons, waits), due, tested, untested, waiting, positive]
    };
    let column = if q.params["by"] == "region" { "region_id" } else { "rule_id" };
    groups(q.rows("colors"), |row| row.text(column)).into_iter().map(row).collect()
}

fn who_is_overdue(q: &Asked<'_>) -> Vec<Cells> {
    let row = |row: &Row| {
        let person = row.text("person_id");
        let last = |kind| {
            let own = q.facts(kind).filter(|fact| fact.is("person_id", person)).collect::<Vec<_>>();
            most(&own, "at").map(String::from)
        };
        let (region, since) = (row.text("region_id").to_string(), row.text("since").to_string());
        let days = q.night.day - day(&since);
        let [color, rule, missing, without] =
            ["color", "rule_id", "missing", "color_without"].map(|name| row.get(name));
        let (test, checkin) = (last("test"), last("checkin"));
        let key = (region.clone(), since.clone(), row.number("person_id"));
        (key, cells![region, person, color, rule, since, days, missing, test, checkin, without])
    };
    let rows = q.rows("overdue").iter().filter(|row| q.takes("region", row.text("region_id")));
    sorted(rows.map(row).collect())
}

fn open_appeals(q: &Asked<'_>) -> Vec<Cells> {
    let row = |row: &Row| {
        let (person, age) = (row.text("person_id"), row.number("age_days"));
        let region = q.register(person, "region_id").unwrap_or("unknown");
        let [filed, rule, file] = ["filed_on", "rule_id", "input_file"].map(|name| row.text(name).to_string());
        let (color, line) = (q.register(person, "color"), row.number("input_row"));
        let key = (Reverse(age), row.number("person_id"), rule.clone(), file.clone(), line);
        (key, cells![age, filed, person, rule, color, region, file, line])
    };
    let waiting = q.rows("appeals").iter().filter(|row| row.number("age_days") >= q.number("days"));
    sorted(waiting.map(row).collect())
}

fn orders_in_force(q: &Asked<'_>) -> Vec<Cells> {
    let row = |row: &Row| {
        let person = row.text("person_id");
        let region = q.register(person, "region_id").unwrap_or("unknown");
        let [color, rule] = ["color", "rule_id"].map(|name| q.register(person, name));
        let (ordered, from, until) = (row.get("what"), row.text("at").to_string(), row.get("until"));
        let (file, line) = (row.text("input_file").to_string(), row.number("input_row"));
        let key = (row.number("person_id"), from.clone(), file.clone(), line);
        let left = q.days_left(row);
        (key, cells![person, ordered, from, until, left, color, rule, region, file, line])
    };
    let in_force = |row: &&Row| q.days_left(row).is_none_or(|days| days > 0);
    sorted(q.facts("order").filter(in_force).map(row).collect())
}

fn pushes_received(q: &Asked<'_>) -> Vec<Cells> {
    let key = |row: &Row| {
        let [origin, scheme] = ["which", "place_id"].map(|name| row.get(name).unwrap_or("unknown").to_string());
        (origin, scheme, row.text("what").to_string())
    };
    let row = |((origin, scheme, color), pushes): (_, Vec<&Row>)| {
        let persons = distinct(&pushes, |row| row.text("person_id"));
        let in_force = count(&pushes, |row| q.days_left(row).is_none_or(|days| days > 0));
        let last = most(&pushes, "at");
        cells![origin, scheme, color, many(&pushes), persons, in_force, last]
    };
    groups(q.facts("push"), key).into_iter().map(row).collect()
}

fn isolation_places(q: &Asked<'_>) -> Vec<Cells> {
    let stays = q.facts("isolation").filter(|row| q.days_left(row).is_none_or(|days| days > 0));
    let row = |(kind, stays): (&str, Vec<&Row>)| {
        let persons = |wanted: &dyn Fn(Option<i64>) -> bool| {
            let wanted = stays.iter().filter(|row| wanted(q.days_left(row)));
            wanted.map(|row| row.text("person_id")).collect::<BTreeSet<_>>().len() as i64
        };
        let leaving = persons(&|left| left.is_some_and(|days| days <= q.number("days")));
        let endless = persons(&|left| left.is_none());
        cells![kind, persons(&|_| true), leaving, endless, least(&stays, "at")]
    };
    groups(stays, |row| row.text("what")).into_iter().map(row).collect()
}

fn scans_by_hour(q: &Asked<'_>) -> Vec<Cells> {
    let mut of: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for row in q.rows("traffic").iter().filter(|row| row.number("arrivals") > 0) {
        let hour = row.at("hour").unwrap() / 3_600 + q.number("utc_offset_hours");
        of.entry(hour.rem_euclid(24)).or_default().push(row.number("arrivals"));
    }
    let all: i64 = of.values().flatten().sum();
    let row = |(hour, arrivals): (i64, Vec<i64>)| {
        let sum: i64 = arrivals.iter().sum();
        cells![hour, sum, arrivals.len() as i64, arrivals.iter().max().copied(), per_mille(sum, all)]
    };
    of.into_iter().map(row).collect()
}

fn input_rates(q: &Asked<'_>) -> Vec<Cells> {
    let row = |(table, files): (&str, Vec<&Row>)| {
        let [rows, accepted, merged, rejected] =
            ["rows", "accepted", "merged", "rejected"].map(|name| sum(&files, name));
        assert_eq!(rows, accepted + merged + rejected, "{table}");
        let (repeated, refused) = (per_mille(merged, rows), per_mille(rejected, rows));
        cells![table, many(&files), rows, accepted, merged, rejected, repeated, refused]
    };
    groups(q.rows("inputs"), |row| row.text("table")).into_iter().map(row).collect()
}

fn late_facts(q: &Asked<'_>) -> Vec<Cells> {
    let row = |(kind, facts): (&str, Vec<&Row>)| {
        let delay = |row: &Row| (row.at("known_at").unwrap() - row.at("at").unwrap()).max(0);
        let late = count(&facts, |row| delay(row) > q.number("hours") * 3_600);
        let sum: i64 = facts.iter().map(|row| delay(row)).sum();
        let longest = facts.iter().map(|row| delay(row)).max().map(|seconds| seconds / 3_600);
        let mean = sum / many(&facts) / 3_600;
        cells![kind, many(&facts), late, per_mille(late, many(&facts)), mean, longest]
    };
    groups(q.rows("facts"), |row| row.text("fact")).into_iter().map(row).collect()
}

fn reject_reasons(q: &Asked<'_>) -> Vec<Cells> {
    let key = |row: &Row| ["table", "file", "column", "reason"].map(|name| row.text(name).to_string());
    let row = |([table, file, column, reason], rows): ([String; 4], Vec<&Row>)| {
        let first = rows.iter().map(|row| row.number("row")).min();
        cells![table, file, column, reason, many(&rows), first]
    };
    groups(q.rows("rejects"), key).into_iter().map(row).collect()
}

fn coverage(q: &Asked<'_>) -> Vec<Cells> {
    let row = |row: &Row| {
        let (residents, seen) = (row.number("residents"), row.number("with_visits"));
        let region = row.text("region_id").to_string();
        (region.clone(), cells![region, residents, seen, residents - seen, per_mille(seen, residents)])
    };
    sorted(q.rows("districts").iter().map(row).collect())
}
