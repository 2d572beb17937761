//! The report of a night: the same numbers in the page, its JSON, its CSV files, the night's tables and the queries; small
//! counts hidden; nothing from the data is ever markup.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::{Folder, rows};

const NIGHT: &str = "world/runs/2022-03-10";

/// Two nights of a world with facts of every kind.
fn nights() -> Folder {
    let folder = Folder::new();
    folder.run("generate --people 6000 --days 10 --seed 12 --facts --out world").done();
    for date in ["2022-03-09", "2022-03-10"] {
        folder.run(&format!("run --config world/ringtrace.toml --date {date}")).done();
    }
    folder
}

fn json(folder: &Folder, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
}

/// The table of that name in a report.
fn table<'r>(report: &'r Value, id: &str) -> &'r Value {
    let tables = report["sections"].as_array().unwrap().iter().flat_map(|s| s["tables"].as_array().unwrap());
    tables.clone().find(|table| table["id"] == id).unwrap_or_else(|| panic!("no table {id}"))
}

/// Its rows by column, as texts.
fn cells(table: &Value) -> Vec<BTreeMap<String, String>> {
    let names: Vec<&str> =
        table["columns"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    let text = |cell: &Value| match cell {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Object(words) => words["en"].as_str().unwrap().to_string(),
        other => other.to_string(),
    };
    let row = |row: &Value| {
        names.iter().map(|n| n.to_string()).zip(row.as_array().unwrap().iter().map(text)).collect()
    };
    table["rows"].as_array().unwrap().iter().map(row).collect()
}

/// How often each key comes.
fn counts<K: Ord>(keys: impl IntoIterator<Item = K>) -> BTreeMap<K, u64> {
    let mut counts = BTreeMap::new();
    keys.into_iter().for_each(|key| *counts.entry(key).or_default() += 1);
    counts
}

/// `keys… -> number` of a table of the report.
fn numbers(table: &Value, keys: &[&str], number: &str) -> BTreeMap<Vec<String>, u64> {
    let rows = cells(table);
    let row = |row: &BTreeMap<String, String>| {
        (keys.iter().map(|key| row[*key].clone()).collect(), row[number].parse().unwrap())
    };
    rows.iter().map(row).collect()
}

#[test]
fn page_json_csv_tables_and_queries_agree() {
    let folder = nights();
    // Without suppression, so that every number can be compared.
    folder.run(&format!("report --run {NIGHT} --suppress-below 0 --out all")).done();
    let report = json(&folder, "all/report.json");
    let of = |name: &str, columns: &[&str]| rows(&folder.join(format!("{NIGHT}/{name}.parquet")), columns);

    let changes = counts(of("changes", &["color_before", "color_after"]));
    assert_eq!(numbers(table(&report, "changes"), &["color_before", "color_after"], "persons"), changes);
    let flow = numbers(table(&report, "color_flow"), &["color_before", "color_after"], "persons");
    let moved: BTreeMap<_, _> =
        flow.iter().filter(|(key, _)| key[0] != key[1]).map(|(k, n)| (k.clone(), *n)).collect();
    assert_eq!(moved, changes, "the flow is the changes and who stayed");
    let register = counts(of("colors", &["color"]));
    for (color, count) in &register {
        let into: u64 = flow.iter().filter(|(key, _)| key[1] == color[0]).map(|(_, n)| n).sum();
        assert_eq!(into, *count, "everyone {color:?} tonight came from somewhere");
    }
    let by_rule = counts(of("changes", &["rule_id", "color_after"]));
    assert_eq!(numbers(table(&report, "changes_by_rule"), &["rule_id", "color_after"], "persons"), by_rule);
    let contacts = counts(of("contacts", &["ring"]));
    assert_eq!(numbers(table(&report, "rings"), &["ring"], "persons"), contacts);
    let releases = counts(of("calendar", &["date", "color_before", "color_after"]));
    assert_eq!(
        numbers(table(&report, "releases"), &["date", "color_before", "color_after"], "persons"),
        releases
    );
    let rejected = counts(of("rejects", &["table", "column", "reason"]));
    let told: u64 =
        numbers(table(&report, "rejected"), &["table", "column", "reason"], "rows").values().sum();
    assert_eq!(told, rejected.values().sum::<u64>());

    // The same questions as queries.
    let ask = |words: &str| -> Vec<BTreeMap<String, String>> {
        let answer = folder.json(&format!("query --run {NIGHT} {words}"), 0);
        let text = |cell: &Value| cell.as_str().map_or_else(String::new, String::from);
        let row = |row: &Value| row.as_object().unwrap().iter().map(|(k, v)| (k.clone(), text(v))).collect();
        answer.as_array().unwrap().iter().map(row).collect()
    };
    let rules = ask("rule-counts");
    for row in cells(table(&report, "rules")) {
        let same = rules.iter().find(|rule| rule["rule_id"] == row["rule_id"]).expect("every rule");
        assert_eq!((&same["persons"], &same["decides"]), (&row["persons"], &row["decides"]));
    }
    let rings = ask("ring-sizes");
    for row in cells(table(&report, "rings")) {
        let same = rings.iter().find(|ring| ring["ring"] == row["ring"]).expect("every ring");
        assert_eq!(same["persons"], row["persons"]);
    }
    let districts = cells(table(&report, "districts"));
    for row in ask("register-rates") {
        let same =
            districts.iter().find(|other| other["region_id"] == row["region_id"]).expect("every district");
        let colors = ["purple", "red", "orange", "yellow"].map(|color| same[color].parse::<u64>().unwrap());
        assert_eq!(colors.iter().sum::<u64>().to_string(), row["persons"], "{row:?}");
    }
    let coverage = ask("coverage");
    for row in cells(table(&report, "coverage")) {
        let same =
            coverage.iter().find(|other| other["region_id"] == row["region_id"]).expect("every district");
        assert_eq!(same["with_visits"], row["with_visits"]);
    }
    // run.json too, and the headline figures.
    let record = json(&folder, &format!("{NIGHT}/run.json"));
    let fact = |id: &str| {
        let facts = report["facts"].as_array().unwrap();
        facts.iter().find(|fact| fact["id"] == id).unwrap()["value"].clone()
    };
    assert_eq!(fact("ring_1"), record["counts"]["rings"][0]);
    assert_eq!(fact("cases"), record["counts"]["cases"]);
    assert_eq!(fact("rejected"), record["balance"]["rejected"]);
    assert_eq!(fact("changed"), changes.values().sum::<u64>());
    assert_eq!(fact("not_healthy"), register.values().sum::<u64>());

    // Every CSV holds what the JSON holds, and the page holds the JSON.
    for section in report["sections"].as_array().unwrap() {
        for table in section["tables"].as_array().unwrap() {
            let id = table["id"].as_str().unwrap();
            let mut reader = csv::Reader::from_path(folder.join(format!("all/report/{id}.csv"))).unwrap();
            let of_csv: Vec<BTreeMap<String, String>> =
                reader.deserialize().map(|row| row.unwrap()).collect();
            let shown = cells(table);
            assert_eq!(of_csv.len() as u64, shown.len() as u64 + table["more"].as_u64().unwrap(), "{id}");
            for (csv, json) in of_csv.iter().zip(&shown) {
                for (name, cell) in json {
                    let csv = csv[name].strip_prefix('\'').unwrap_or(&csv[name]);
                    let same = csv == cell
                        || csv.parse::<f64>().ok().zip(cell.parse::<f64>().ok()).is_some_and(|(a, b)| a == b);
                    assert!(same, "{id} {name}: {csv:?} and {cell:?}");
                }
            }
        }
    }
    let page = std::fs::read_to_string(folder.join("all/report.html")).unwrap();
    assert_eq!(data_of(&page), report);
}

/// The JSON inside a page.
fn data_of(page: &str) -> Value {
    let (_, data) =
        page.split_once("<script type=\"application/json\" id=\"data\">").expect("a data element");
    serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap()
}

#[test]
fn a_night_is_published_with_its_report() {
    let folder = nights();
    let page = std::fs::read_to_string(folder.join(format!("{NIGHT}/report.html"))).unwrap();
    assert!(page.len() < 5_000_000, "{} bytes", page.len());
    assert_eq!(data_of(&page), json(&folder, &format!("{NIGHT}/report.json")));
    let policy = page.split("http-equiv=\"Content-Security-Policy\" content=\"").nth(1).unwrap();
    let policy = policy.split('"').next().unwrap().replace("&#x27;", "'");
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    for outside in ["src=\"http", "href=\"http", "@import", "url(http"] {
        assert!(!page.contains(outside), "{outside}");
    }
    // The report is one of the files that a night vouches for, and the same for any number of threads.
    folder.run(&format!("verify --run {NIGHT}")).done();
    let written = folder.json(&format!("report --run {NIGHT} --out again --threads 1"), 0);
    assert_eq!(written["report"], "again/report.html");
    assert_eq!(page, std::fs::read_to_string(folder.join("again/report.html")).unwrap());
    folder.refuses(&format!("report --run {NIGHT} --out again"), 4, "conflict", &["holds a report already"]);
}

#[test]
fn counts_below_ten_are_hidden_and_the_public_sees_no_ids() {
    let folder = nights();
    folder.run(&format!("report --run {NIGHT} --public --out public")).done();
    for (name, public) in [(format!("{NIGHT}/report.json"), false), ("public/report.json".into(), true)] {
        let report = json(&folder, &name);
        // Rows are not people; cases are named one by one where they may be.
        let mut open = vec!["rejected", "balance", "freshness"];
        if !public {
            open.extend([
                "epidemic_curve",
                "transmission",
                "contacts_per_case",
                "contacts_summary",
                "hot_spots",
            ]);
        }
        let no_people = ["ring", "incomplete", "exposures", "generation", "plausible", "age_days", "visits"];
        let mut hidden = 0;
        for table in
            report["sections"].as_array().unwrap().iter().flat_map(|s| s["tables"].as_array().unwrap())
        {
            let id = table["id"].as_str().unwrap();
            let columns = table["columns"].as_array().unwrap();
            for (at, column) in columns.iter().enumerate().filter(|(_, column)| column["kind"] == "count") {
                if open.contains(&id) || no_people.contains(&column["name"].as_str().unwrap()) {
                    continue;
                }
                for row in table["rows"].as_array().unwrap() {
                    let small = row[at].as_u64().is_some_and(|count| (1..10).contains(&count));
                    assert!(!small, "{name}: {id} {}: {}", column["name"], row[at]);
                    hidden += u64::from(row[at].as_str().is_some_and(|text| text.starts_with('<')));
                }
            }
        }
        assert!(hidden > 0, "{name}: something is hidden");
    }
    let everything: String = crate::support::tree(&folder.join("public"))
        .keys()
        .map(|file| std::fs::read_to_string(folder.join(format!("public/{file}"))).unwrap())
        .collect();
    let words: BTreeSet<&str> =
        everything.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').collect();
    let mut ids = 0;
    for (table, column) in [
        ("contacts", "person_id"),
        ("colors", "person_id"),
        ("sources", "source_id"),
        ("exposures", "contact_id"),
        ("links", "case_id"),
    ] {
        for row in rows(&folder.join(format!("{NIGHT}/{table}.parquet")), &[column]) {
            assert!(!words.contains(row[0].as_str()), "{table}: a person's id in the public report");
            ids += 1;
        }
    }
    assert!(ids > 1_000, "{ids}");
    for row in rows(&folder.join(format!("{NIGHT}/venues.parquet")), &["name"]) {
        assert!(row[0].is_empty() || !everything.contains(row[0].as_str()), "a venue's name: {}", row[0]);
    }
}

#[test]
fn names_from_the_data_stay_text() {
    let folder = Folder::new();
    let name =
        "</script><script>window.__hacked=1</script><img src=x onerror=\"window.__hacked=2\">{{ 7*7 }}";
    let visits = "person_id,venue_id,arrived_at,left_at\n\"<b>c</b>\",\"<i>v</i>\",2022-03-01 10:00,2022-03-01 12:00\n\"<b>p</b>\",\"<i>v</i>\",2022-03-01 10:00,2022-03-01 12:00\n";
    folder.write("visits.csv", visits);
    folder.write("cases.csv", "person_id,onset_at\n\"<b>c</b>\",2022-03-01 08:00\n");
    let quoted = name.replace('"', "\"\"");
    folder.write(
        "venues.csv",
        format!("venue_id,category,region_id,name\n\"<i>v</i>\",\"<u>k</u>\",\"<s>r</s>\",\"{quoted}\"\n"),
    );
    folder.write(
        "night.toml",
        "time_zone = \"Asia/Shanghai\"\n[visits]\npaths = [\"visits.csv\"]\n[venues]\npaths = [\"venues.csv\"]\n[cases]\npaths = [\"cases.csv\"]\n",
    );
    folder.run("run --config night.toml --date 2022-03-01").done();
    let page = std::fs::read_to_string(folder.join("runs/2022-03-01/report.html")).unwrap();
    for markup in ["<script>window", "<img src=x", "<b>c", "<b>p", "<i>v", "<u>k", "<s>r"] {
        assert!(!page.contains(markup), "{markup}");
    }
    assert!(page.contains("&lt;img src=x"), "it is there, as text");
    assert!(
        page.contains("{{ 7*7 }}") || page.contains("{{ 7*7 }}".replace('*', "&#x2a;").as_str()),
        "no template is run"
    );
    assert!(data_of(&page).to_string().contains("window.__hacked=1"), "and in the data, as a string");
}

#[test]
fn a_held_night_says_so_on_its_report() {
    let folder = Folder::new();
    folder.run("generate --people 2000 --days 10 --seed 3 --facts --out world").done();
    let config = std::fs::read_to_string(folder.join("world/ringtrace.toml")).unwrap();
    folder.write("world/ringtrace.toml", config + "[hold]\nregion_percent = 1\n");
    let ran = folder.run("run --config world/ringtrace.toml --date 2022-03-10 --metrics m.prom");
    ran.refused(3, "held", &["the night of 2022-03-10 is held"]);
    let page = std::fs::read_to_string(folder.join("world/runs/held/2022-03-10/report.html")).unwrap();
    assert!(page.contains("This night was held and is not published."), "a warning on the first page");
    let metrics = std::fs::read_to_string(folder.join("m.prom")).unwrap();
    assert!(metrics.contains("ringtrace_exit_status 3") && metrics.contains("ringtrace_held 1"), "{metrics}");
    assert!(!metrics.contains("ringtrace_cases"), "a night that is not published has no numbers: {metrics}");
}

#[test]
fn metrics_say_how_a_night_went() {
    let folder = Folder::new();
    folder.run("generate --people 1000 --days 4 --facts --out world").done();
    folder.run("run --config world/ringtrace.toml --date 2022-03-04 --metrics m.prom").done();
    let text = std::fs::read_to_string(folder.join("m.prom")).unwrap();
    let mut values: BTreeMap<&str, f64> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(values.insert(name, value.parse().unwrap()).is_none(), "{name} stands twice");
    }
    let record = json(&folder, "world/runs/2022-03-04/run.json");
    let counts = &record["counts"];
    let whole = |name: &str| values[name] as u64;
    assert_eq!((whole("ringtrace_exit_status"), whole("ringtrace_held")), (0, 0));
    assert_eq!(whole("ringtrace_night_seconds"), 1_646_409_600, "midnight in Shanghai after the night");
    assert_eq!(Some(whole("ringtrace_cases")), counts["cases"].as_u64());
    assert_eq!(Some(whole("ringtrace_contacts{ring=\"1\"}")), counts["rings"][0].as_u64());
    assert_eq!(Some(whole("ringtrace_rows{state=\"accepted\"}")), record["balance"]["accepted"].as_u64());
    for (color, count) in counts["colors"].as_object().unwrap() {
        assert_eq!(Some(whole(&format!("ringtrace_people{{color=\"{color}\"}}"))), count.as_u64());
    }
    assert_eq!(whole("ringtrace_input_age_days{input=\"scans\"}"), 0);
    assert!(text.contains("# TYPE ringtrace_exit_status gauge"), "{text}");
    // However it ends, and only under a name that the collector reads.
    folder.run("run --config world/nowhere.toml --date 2022-03-04 --metrics m.prom").refused(2, "usage", &[]);
    let text = std::fs::read_to_string(folder.join("m.prom")).unwrap();
    assert!(text.contains("ringtrace_exit_status 2") && !text.contains("ringtrace_night_seconds"), "{text}");
    folder.refuses(
        "run --config world/ringtrace.toml --date 2022-03-04 --metrics m.txt",
        2,
        "usage",
        &["m.txt: does not end in .prom"],
    );
    let ran = folder
        .run("run --config world/ringtrace.toml --date 2022-03-04 --metrics world/venues.parquet/m.prom");
    assert_eq!(ran.status, Some(0), "the night is what counts: {}", ran.stderr);
    assert!(ran.stderr.contains("warning: no metrics were written"), "{}", ran.stderr);
}

/// The values that a cell stands for.
fn stands_for(cell: &str, most: u64) -> std::ops::RangeInclusive<u64> {
    match cell {
        "<10" => 1..=9,
        "[c]" => 10..=most,
        shown => shown.parse().map_or(0..=most, |number| number..=number),
    }
}

#[test]
fn no_color_of_few_people_can_be_worked_out_from_a_report() {
    let replay = crate::random::for_seeds("small_reports", 12, |_, random| {
        let folder = Folder::new();
        let people = u64::from(random.within(60..=200));
        let regions = random.within(1..=3);
        let text = |head: &str, rows: Vec<String>| format!("{head}\n{}\n", rows.join("\n"));
        let person = |number: u64| format!("r{number:03}");
        let homes = (0..people).map(|at| format!("{},D{}", person(at), random.below(regions))).collect();
        folder.write("residences.csv", text("person_id,region_id", homes));
        let visit = |at: u64| {
            format!("{},v,2022-03-{:02} 09:00,2022-03-{:02} 09:01", person(at), 1 + at % 14, 1 + at % 14)
        };
        folder.write(
            "visits.csv",
            text("person_id,venue_id,arrived_at,left_at", (0..people).map(visit).collect()),
        );
        let cases = u64::from(random.within(1..=24));
        let case =
            |at: u64| format!("{},confirmed,2022-03-{:02} 10:00,2022-03-13 12:00", person(at), 8 + at % 5);
        folder.write(
            "cases.csv",
            text("person_id,status,onset_at,reported_at", (0..cases).map(case).collect()),
        );
        let ill = u64::from(random.within(1..=24));
        let symptom = |at: u64| format!("{},2022-03-{:02} 10:00,fever", person(30 + at), 2 + at % 13);
        folder.write("symptoms.csv", text("person_id,reported_at,symptom", (0..ill).map(symptom).collect()));
        let tables = ["visits", "cases", "residences", "symptoms"];
        let tables = tables.map(|name| format!("[{name}]\npaths = [\"{name}.csv\"]\n")).concat();
        folder.write("night.toml", format!("time_zone = \"Asia/Shanghai\"\nscheme = \"jiangsu\"\n{tables}"));
        folder.run("run --config night.toml --date 2022-03-14 --quiet").done();
        folder.run("report --run runs/2022-03-14 --public --out public").done();
        for name in ["runs/2022-03-14/report.json", "public/report.json"] {
            let report = json(&folder, name);
            let figures = report["facts"].as_array().unwrap();
            let figure = figures.iter().find(|figure| figure["id"] == "not_healthy").unwrap();
            let figure = figure["value"].as_str().map_or_else(|| figure["value"].to_string(), String::from);
            let cells = |id: &str| cells(table(&report, id));
            let (flow, districts, rules) =
                (cells("color_flow"), cells("districts"), cells("changes_by_rule"));
            let releases = cells("releases");
            // Of every pair of totals: whether all tables agree with it.
            let fits = |color: &str, total: u64| {
                let sum = |cells: Vec<&String>| {
                    let spans = cells.into_iter().map(|cell| stands_for(cell, people));
                    let (low, high) =
                        spans.fold((0, 0), |sum, span| (sum.0 + span.start(), sum.1 + span.end()));
                    (low..=high).contains(&total)
                };
                let of = |rows: &[BTreeMap<String, String>], key: &str| -> bool {
                    let rows: Vec<&BTreeMap<String, String>> =
                        rows.iter().filter(|row| row[key] == color).collect();
                    // The first night: everyone with a color is new.
                    (rows.is_empty() && total == 0) || sum(rows.iter().map(|row| &row["persons"]).collect())
                };
                of(&flow, "color_after")
                    && of(&rules, "color_after")
                    && sum(districts.iter().map(|row| &row[color]).collect())
                    && (releases.iter().all(|row| row["color_before"] != color)
                        || of(&releases, "color_before")
                        || total > 0 && sum_below(&releases, color, total, people))
            };
            let reds: Vec<u64> = (0..=people).filter(|total| fits("red", *total)).collect();
            let yellows: Vec<u64> = (0..=people).filter(|total| fits("yellow", *total)).collect();
            let both = |red: &u64, yellow: &u64| stands_for(&figure, people).contains(&(red + yellow));
            let left = |ours: &[u64], others: &[u64]| {
                ours.iter().filter(|a| others.iter().any(|b| both(a, b))).count()
            };
            for (color, left) in [("red", left(&reds, &yellows)), ("yellow", left(&yellows, &reds))] {
                let is_hidden = flow.iter().any(|row| row["color_after"] == color && row["persons"] == "<10");
                assert!(
                    !is_hidden || left >= 5,
                    "{name}: {color} can only be one of {left} numbers: {figure} {reds:?} {yellows:?} {flow:?} {districts:?} {rules:?} {releases:?}"
                );
            }
        }
    });
    assert!(replay, "no seed was tried");
}

/// Whether those who leave a color in the days to come can be fewer than have it.
fn sum_below(releases: &[BTreeMap<String, String>], color: &str, total: u64, people: u64) -> bool {
    let rows = releases.iter().filter(|row| row["color_before"] == color);
    rows.map(|row| *stands_for(&row["persons"], people).start()).sum::<u64>() <= total
}
