//! Laws of nights over a random month: each is the night from scratch, whatever the order of rows, and a fact concerns no one
//! but its person.

use crate::facts::{colors, listed, night, world};
use crate::random::{Random, for_seeds};
use crate::support::Folder;

/// Rows of facts about `people` over a month, by table; each with its person. Some become known days later.
fn random_month(random: &mut Random, people: u32) -> Vec<(&'static str, &'static str, Vec<String>)> {
    let mut tables: Vec<(&str, &str, Vec<String>)> = vec![
        ("tests", "person_id,sampled_at,known_at,result", Vec::new()),
        ("checkins", "person_id,checked_in_at,known_at,status", Vec::new()),
        ("temperatures", "person_id,measured_at,known_at,celsius", Vec::new()),
        ("symptoms", "person_id,reported_at,known_at,symptom", Vec::new()),
        ("trips", "person_id,from,known_at,region_id,until", Vec::new()),
        ("appeals", "person_id,decided_at,known_at,rule_id,decision,decided_by", Vec::new()),
    ];
    for person in 0..people {
        for (at, (name, _, rows)) in tables.iter_mut().enumerate() {
            let often = if at == 1 { 25 } else { random.below(4) };
            for _ in 0..often {
                let (day, hour) = (random.within(1..=30), random.below(24));
                let known = (day + random.pick(&[0, 0, 0, 1, 5])).min(30);
                let rest = match *name {
                    "tests" => random.pick(&["negative", "negative", "positive"]).to_string(),
                    "checkins" => random.pick(&["well", "well", "", "unwell"]).to_string(),
                    "temperatures" => random.pick(&["36.5", "37.3", "38"]).to_string(),
                    "symptoms" => random.pick(&["fever", "fatigue"]).to_string(),
                    "trips" => format!("{},2022-04-{day:02} {hour:02}:30", random.pick(&["M", "H", "N"])),
                    _ => format!(
                        "{},{},office",
                        random.pick(&["HR-R2", "HR-Y2"]),
                        random.pick(&["open", "overturned", "rejected"])
                    ),
                };
                let times = format!("2022-04-{day:02} {hour:02}:00,2022-04-{known:02} {hour:02}:30");
                rows.push(format!("p{person:02},{times},{rest}"));
            }
        }
    }
    tables
}

const REGIONS: &str =
    "region_id,level,from,until\nM,medium,2022-04-03 00:00,2022-04-20 00:00\nH,high,2022-04-10 00:00,\n";

fn month_world(tables: &[(&'static str, &'static str, Vec<String>)]) -> Folder {
    let texts: Vec<(&str, String)> =
        tables.iter().map(|(name, head, rows)| (*name, format!("{head}\n{}\n", rows.join("\n")))).collect();
    let mut given: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (*name, text.as_str())).collect();
    given.push(("regions", REGIONS));
    world("hangzhou-release", &given)
}

/// What a night says, but for what changed since the night before.
fn said(folder: &Folder, date: &str) -> Vec<Vec<u8>> {
    let file = |name: &str| std::fs::read(folder.join(format!("runs/{date}/{name}.parquet"))).unwrap();
    ["colors", "evidence", "calendar", "overdue", "appeals"].map(file).to_vec()
}

#[test]
fn night_after_night_is_each_night_from_scratch() {
    for_seeds("night_after_night_is_each_night_from_scratch", 2, |_, random| {
        let mut tables = random_month(random, 12);
        let folder = month_world(&tables);
        let mut colored = 0;
        for day in 1..=30 {
            let date = format!("2022-04-{day:02}");
            night(&folder, &date).done();
            if day % 6 != 0 {
                continue;
            }
            // The same rows in another order, in two files.
            tables.iter_mut().for_each(|(_, _, rows)| random.shuffle(rows));
            let fresh = month_world(&tables);
            night(&fresh, &date).done();
            // Where a row stands is not what it says.
            let columns =
                ["person_id", "color", "rule_id", "since", "until", "earliest_free", "missing", "reasons"];
            assert_eq!(listed(&folder, &date, "colors", &columns), listed(&fresh, &date, "colors", &columns));
            let again = month_world(&tables);
            night(&again, &date).done();
            assert!(said(&fresh, &date) == said(&again, &date), "{date} from scratch twice");
            colored += colors(&folder, &date).len();
        }
        assert!(colored > 20, "{colored}");
    });
}

#[test]
fn a_fact_taken_away_changes_no_one_else() {
    for_seeds("a_fact_taken_away_changes_no_one_else", 4, |_, random| {
        let mut tables = random_month(random, 10);
        let date = "2022-04-24";
        let columns = ["person_id", "color", "rule_id", "until", "earliest_free", "reasons"];
        let folder = month_world(&tables);
        night(&folder, date).done();
        let before = listed(&folder, date, "colors", &columns);
        let person = format!("p{:02}", random.below(10));
        for (_, _, rows) in &mut tables {
            let own: Vec<usize> = (0..rows.len()).filter(|row| rows[*row].starts_with(&person)).collect();
            if !own.is_empty() {
                rows.remove(random.pick(&own));
            }
        }
        let folder = month_world(&tables);
        night(&folder, date).done();
        let after = listed(&folder, date, "colors", &columns);
        let others = |rows: &[String]| -> Vec<String> {
            rows.iter().filter(|row| !row.starts_with(&person)).cloned().collect()
        };
        assert_eq!(others(&before), others(&after));
    });
}

#[test]
fn rows_in_any_order_and_twice_give_the_same_colors() {
    let text = "person_id,pushed_at,color,origin,until,known_at\nq1,2022-03-02 09:00,red,Anhui,,2022-03-02 10:00\nq1,2022-03-02 09:00,red,Anhui,2022-03-20 09:00,2022-03-04 10:00\nq2,2022-03-02 09:00,red,Anhui,,\nq3,2022-03-01 09:00,red,Jiangsu,,\n";
    let published = |text: &str, copies: usize| {
        let folder = world("red-code", &[("pushes", text)]);
        for copy in 1..copies {
            folder.write(&format!("again-{copy}.csv"), text);
        }
        let config = std::fs::read_to_string(folder.join("ringtrace.toml")).unwrap();
        folder.write(
            "ringtrace.toml",
            config
                .replace("[\"pushes.csv\"]", "[\"pushes.csv\", \"again-*.csv\"]")
                .replace(", \"again-*.csv\"", if copies > 1 { ", \"again-*.csv\"" } else { "" }),
        );
        night(&folder, "2022-03-05").done();
        std::fs::read(folder.join("runs/2022-03-05/colors.parquet")).unwrap()
    };
    let once = published(text, 1);
    let mut lines: Vec<&str> = text.lines().collect();
    lines[1..].reverse();
    assert!(published(&lines.join("\n"), 1) == once, "in another order");
    assert!(published(text, 3) == once, "three times");
}
