//! The tables of facts, from files to colors.

use crate::support::{Folder, Ran, rows};

const TABLES: [&str; 15] = [
    "communities",
    "regions",
    "tests",
    "clinic_visits",
    "purchases",
    "temperatures",
    "symptoms",
    "checkins",
    "isolations",
    "trips",
    "pushes",
    "orders",
    "confirmations",
    "corrections",
    "appeals",
];

/// A place with one visit, one case, and these tables.
pub fn world(scheme: &str, tables: &[(&str, &str)]) -> Folder {
    let folder = Folder::new();
    folder.write(
        "scans.csv",
        "person_id,venue_id,scanned_at,direction\nv1,hall,2022-03-01 10:00,in\nv1,hall,2022-03-01 12:00,out\n",
    );
    folder.write("venues.csv", "venue_id,category,region_id\nhall,shop,R-high\n");
    folder.write("cases.csv", "person_id,status,sampled_at,reported_at\n");
    let mut config = format!(
        "time_zone = \"Asia/Shanghai\"\nscheme = \"{scheme}\"\nrejects_max_percent = 10\n[scans]\npaths = [\"scans.csv\"]\n[venues]\npaths = [\"venues.csv\"]\n[cases]\npaths = [\"cases.csv\"]\n"
    );
    for (name, rows) in tables {
        folder.write(&format!("{name}.csv"), rows);
        config.push_str(&format!("[{name}]\npaths = [\"{name}.csv\"]\n"));
    }
    folder.write("ringtrace.toml", config);
    folder
}

pub fn night(folder: &Folder, date: &str) -> Ran {
    folder.run(&format!("run --config ringtrace.toml --date {date} --quiet"))
}

pub fn colors(folder: &Folder, date: &str) -> Vec<String> {
    let path = folder.join(format!("runs/{date}/colors.parquet"));
    rows(&path, &["person_id", "color", "rule_id", "until"]).into_iter().map(|row| row.join(" ")).collect()
}

pub fn rejects(folder: &Folder, date: &str) -> Vec<String> {
    let path = folder.join(format!("runs/{date}/rejects.parquet"));
    rows(&path, &["table", "row", "column", "reason"]).into_iter().map(|row| row.join(" ")).collect()
}

#[test]
fn every_table_of_facts_colors_someone() {
    let jiangsu = [
        (
            "isolations",
            "person_id,from,until,kind\ni1,2022-02-20 08:00,2022-03-02 09:00,hospital\ni2,2022-02-20 08:00,,central\n",
        ),
        ("symptoms", "person_id,reported_at,symptom\ns1,2022-03-03 10:00,Fever\n"),
        (
            "regions",
            "region_id,level,from,until,county_id\nR-high,high,2022-02-28 00:00,,C1\nR-mid,medium,2022-02-28 00:00,2022-03-02 00:00,C2\n",
        ),
        (
            "trips",
            "person_id,region_id,from,until\nt1,R-mid,2022-02-27 08:00,2022-02-28 12:00\nt2,R-mid,2022-03-02 08:00,2022-03-03 12:00\nt3,R-none,2022-03-02 08:00,2022-03-03 12:00\n",
        ),
    ];
    let folder = world("jiangsu", &jiangsu);
    night(&folder, "2022-03-05").done();
    assert_eq!(
        colors(&folder, "2022-03-05"),
        [
            "i1 yellow JS-Y2 2022-03-17",
            "s1 yellow JS-Y3 2022-03-18",
            "t1 yellow JS-Y1 2022-03-15",
            "v1 red JS-R4 2022-03-16"
        ],
        "t2 came when the level was over; v1 scanned in a high-risk region"
    );
    let six = [
        ("clinic_visits", "person_id,visited_at\nc1,2022-03-02 09:00\n"),
        (
            "purchases",
            "person_id,purchased_at,known_at\np1,2022-03-02 09:00,2022-03-02 10:00\np2,2022-03-02 09:00,2022-03-06 10:00\n",
        ),
        (
            "communities",
            "community_id,status,from,until\nK1,sealed,2022-03-01 08:00,\nK1,sealed,2022-03-01 08:00,2022-03-07 08:00\nK2,open,2022-03-01 08:00,\n",
        ),
        ("residences", "person_id,region_id,community_id\nk1,R1,K1\nk2,R1,K2\nk3,R1,\n"),
    ];
    let folder = world("orange-six", &six);
    night(&folder, "2022-03-05").done();
    assert_eq!(
        colors(&folder, "2022-03-05"),
        ["c1 orange OS-1 2022-03-17", "k1 orange OS-5 2022-03-07", "p1 orange OS-6 2022-03-07"],
        "p2's purchase is not known yet"
    );
    night(&folder, "2022-03-06").done();
    assert_eq!(
        colors(&folder, "2022-03-06")[2..],
        ["p1 orange OS-6 2022-03-07", "p2 orange OS-6 2022-03-07"]
    );
    night(&folder, "2022-03-07").done();
    assert_eq!(colors(&folder, "2022-03-07"), ["c1 orange OS-1 2022-03-17"]);

    let checkins: String = (2..=15).map(|day| format!("h1,2022-03-{day:02} 08:00,,36.6\n")).collect();
    let release = [
        (
            "temperatures",
            "person_id,measured_at,celsius\nh1,2022-03-01 09:00,37.3\nh2,2022-03-01 09:00,37.29\nh3,2022-03-01 09:00,99\n",
        ),
        ("checkins", &format!("person_id,checked_in_at,status,celsius\n{checkins}") as &str),
        (
            "tests",
            "person_id,sampled_at,result\nh1,2022-03-02 09:00,negative\nh1,2022-03-08 09:00,negative\nh1,2022-03-15 09:00,NEGATIVE\n",
        ),
        ("confirmations", "person_id,confirmed_at,confirmed_by\nh1,2022-03-15 09:00,office 1\n"),
    ];
    let folder = world("hangzhou-release", &release);
    assert_eq!(night(&folder, "2022-03-14").status, Some(0));
    assert_eq!(colors(&folder, "2022-03-14"), ["h1 red HR-R3 "]);
    assert_eq!(rejects(&folder, "2022-03-14"), ["temperatures 3 celsius unreadable"]);
    night(&folder, "2022-03-15").done();
    assert_eq!(colors(&folder, "2022-03-15"), ["h1 red HR-R3 2022-03-16"]);
    night(&folder, "2022-03-16").done();
    assert_eq!(colors(&folder, "2022-03-16"), [""; 0]);

    let red = [
        (
            "pushes",
            "person_id,pushed_at,color,origin,until,known_at\nq1,2022-03-02 09:00,red,Anhui,,2022-03-02 10:00\nq1,2022-03-02 09:00,red,Anhui,2022-03-04 09:00,2022-03-04 10:00\nq2,2022-03-02 09:00,yellow,Anhui,,\n",
        ),
        ("clinic_visits", "person_id,visited_at\no1,2022-03-02 09:00\n"),
        (
            "orders",
            "person_id,issued_at,until,color,author,approver,basis\no1,2022-03-02 09:00,2022-03-10 09:00,red,A,B,law 1\no2,2022-03-02 09:00,2022-03-10 09:00,red,A,B,law 1\no1,2022-03-03 09:00,2022-03-10 09:00,red,A,A,law 1\no1,2022-03-04 09:00,2022-03-18 09:00:01,red,A,B,law 1\no1,2022-03-03 09:00,2022-03-10 09:00,red,A,B,\n",
        ),
    ];
    let folder = world("red-code", &red);
    let ran = night(&folder, "2022-03-03");
    assert_eq!(ran.status, Some(1), "most orders are refused: {}", ran.stderr);
    assert_eq!(colors(&folder, "2022-03-03"), ["o1 red RC-4 2022-03-10", "q1 red RC-3 2022-03-17"]);
    let refused = [
        "orders 2 person_id no_health_fact",
        "orders 3 approver not_approved",
        "orders 4 until term_too_long",
        "orders 5 basis missing",
    ];
    assert_eq!(rejects(&folder, "2022-03-03"), refused);
    night(&folder, "2022-03-04");
    assert_eq!(colors(&folder, "2022-03-04"), ["o1 red RC-4 2022-03-10"], "the push was taken back");
}

/// The rows of a night's table.
pub fn listed(folder: &Folder, date: &str, name: &str, columns: &[&str]) -> Vec<String> {
    let path = folder.join(format!("runs/{date}/{name}.parquet"));
    rows(&path, columns).into_iter().map(|row| row.join(" ")).collect()
}

#[test]
fn what_comes_next_and_what_is_overdue_is_listed() {
    let tables = [
        ("temperatures", "person_id,measured_at,celsius\nh1,2022-03-01 09:00,38.5\n"),
        (
            "checkins",
            "person_id,checked_in_at\nh1,2022-03-14 08:00\nh1,2022-03-15 08:00\nh1,2022-03-16 08:00\n",
        ),
        (
            "tests",
            "person_id,sampled_at,result\nh1,2022-03-02 09:00,negative\nh1,2022-03-08 09:00,negative\n",
        ),
        ("regions", "region_id,level,from\nR-high,medium,2022-02-28 00:00\n"),
    ];
    let folder = world("hangzhou-release", &tables);
    let date = "2022-03-16";
    night(&folder, date).done();
    let columns = ["person_id", "color", "rule_id", "missing", "earliest_free"];
    assert_eq!(
        listed(&folder, date, "overdue", &columns),
        [
            "h1 red HR-R3 11 daily check-ins, 1 negative test (next from 2022-03-16) 2022-03-28",
            "v1 yellow HR-Y2 7 daily check-ins 2022-03-23"
        ]
    );
    assert_eq!(listed(&folder, date, "calendar", &["date", "person_id"]), [""; 0], "nothing ends by itself");
    let words = folder.run(&format!("explain --run runs/{date} h1")).done().stdout;
    for part in [
        "RED",
        "on 2022-03-28 at the earliest",
        "11 daily check-ins, 1 negative test",
        "temperatures.csv row 1",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
    let folder = world("jiangsu", &tables[3..]);
    night(&folder, "2022-03-05").done();
    assert_eq!(
        listed(
            &folder,
            "2022-03-05",
            "calendar",
            &["date", "person_id", "color_before", "color_after", "rule_id"]
        ),
        ["2022-03-16 v1 yellow green JS-Y1"]
    );
    night(&folder, "2022-03-16").done();
    assert_eq!(
        listed(&folder, "2022-03-16", "changes", &["person_id", "color_before", "color_after"]),
        ["v1 yellow green"],
        "as the calendar said"
    );
}

#[test]
fn an_overturned_color_falls_until_there_is_new_evidence() {
    let symptoms = "person_id,reported_at,symptom\ns1,2022-03-02 10:00,fever\ns1,2022-03-06 10:00,fever\ns2,2022-03-02 10:00,fever\n";
    let appeals = "person_id,decided_at,decision,rule_id,decided_by,known_at\n\
        s1,2022-03-03 09:00,open,JS-Y3,desk,\ns1,2022-03-04 09:00,overturned,JS-Y3,office,\n\
        s2,2022-03-03 09:00,open,JS-Y3,desk,\ns2,2022-03-01 09:00,overturned,JS-Y3,office,\ns2,2022-03-05 09:00,overturned,JS-R1,office,\n";
    let folder = world("jiangsu", &[("symptoms", symptoms), ("appeals", appeals)]);
    night(&folder, "2022-03-03").done();
    assert_eq!(colors(&folder, "2022-03-03"), ["s1 yellow JS-Y3 2022-03-17", "s2 yellow JS-Y3 2022-03-17"]);
    let open = ["filed_on", "age_days", "person_id", "rule_id"];
    assert_eq!(
        listed(&folder, "2022-03-03", "appeals", &open),
        ["2022-03-03 0 s1 JS-Y3", "2022-03-03 0 s2 JS-Y3"]
    );
    night(&folder, "2022-03-05").done();
    assert_eq!(colors(&folder, "2022-03-05"), ["s2 yellow JS-Y3 2022-03-17"]);
    assert_eq!(listed(&folder, "2022-03-05", "appeals", &open), ["2022-03-03 2 s2 JS-Y3"]);
    night(&folder, "2022-03-06").done();
    assert_eq!(colors(&folder, "2022-03-06"), ["s1 yellow JS-Y3 2022-03-21", "s2 yellow JS-Y3 2022-03-17"]);
}

#[test]
fn an_unusual_night_is_held_until_two_people_approve() {
    let purchases = |of_night: &dyn Fn(u32) -> u32| {
        let mut text = String::from("person_id,purchased_at\n");
        for night in 1..=6 {
            (0..of_night(night))
                .for_each(|n| text.push_str(&format!("p{night}-{n},2022-03-0{night} 09:00\n")));
        }
        text
    };
    let residences: String = (0..40).map(|n| format!("p5-{n},R{}\n", n / 20)).collect();
    let tables = [
        ("purchases", &purchases(&|night| if night == 5 { 31 } else { 3 }) as &str),
        ("residences", &format!("person_id,region_id\n{residences}")),
    ];
    let folder = world("orange-six", &tables);
    let config = std::fs::read_to_string(folder.join("ringtrace.toml")).unwrap();
    folder.write("ringtrace.toml", format!("{config}[hold]\nleast = 5\n"));
    for night_before in ["2022-03-02", "2022-03-03", "2022-03-04"] {
        night(&folder, night_before).done();
    }
    let held = "runs/held/2022-03-05";
    let parts = ["31 persons", "the median of the last 3 nights is 3", held, "approvals/2022-03-05.toml"];
    night(&folder, "2022-03-05").refused(3, "held", &parts);
    assert!(!folder.join("runs/2022-03-05").exists() && folder.join(held).join("changes.csv").exists());
    // The night after does not take the held one for published.
    night(&folder, "2022-03-05").refused(3, "held", &parts);
    let help = night(&folder, "2022-03-05").stderr;
    let digest = help.split("changes = \"").nth(1).unwrap().split('"').next().unwrap();
    for (changes, by, part) in [
        (digest, "[\"A\"]", "two different people"),
        (digest, "[\"A\", \" A \"]", "two different people"),
        ("0", "[\"A\", \"B\"]", "tonight's changes are"),
        (digest, "\"A and B\"", "2022-03-05.toml"),
    ] {
        folder.write("approvals/2022-03-05.toml", format!("changes = \"{changes}\"\napproved_by = {by}\n"));
        night(&folder, "2022-03-05").refused(2, "usage", &[part, "still held"]);
    }
    folder.write(
        "approvals/2022-03-05.toml",
        format!("changes = \"{digest}\"\napproved_by = [\"B\", \"A\"]\n"),
    );
    night(&folder, "2022-03-05").done();
    assert!(!folder.join(held).exists());
    let record = std::fs::read_to_string(folder.join("runs/2022-03-05/run.json")).unwrap();
    assert!(record.contains("held and approved by A, B: 31 persons"), "{record}");
    night(&folder, "2022-03-06").done();

    let folder = world("orange-six", &tables);
    folder.write("ringtrace.toml", format!("{config}[hold]\nleast = 5\nregion_percent = 60\n"));
    night(&folder, "2022-03-05").refused(3, "held", &["20 of 20 residents of region R0", "60 percent"]);
    // A small region is looked at whatever `least` says; of its people only those who live there count.
    folder.write("ringtrace.toml", format!("{config}[hold]\nregion_percent = 60\n"));
    night(&folder, "2022-03-05").refused(3, "held", &["20 of 20 residents of region R0"]);
    folder.write("residences.csv", "person_id,region_id\np5-1,R0\nq,R0\n");
    night(&folder, "2022-03-05").done();
}

#[test]
fn a_pack_is_verified_and_a_mistake_in_it_has_a_line() {
    let folder = world("mine.toml", &[]);
    let found = folder.json("verify --scheme hangzhou-release", 0);
    assert_eq!(
        (&found["scheme"]["rules"], &found["scheme"]["unnoticed"]),
        (&5.into(), &serde_json::json!([]))
    );
    let pack = folder.run("init --scheme jiangsu").done().stdout;
    folder.write("mine.toml", pack.replacen("days = 14", "days = 15", 1));
    folder.run("verify --scheme mine.toml").refused(2, "usage", &["give your pack an id of its own"]);
    let pack = pack.replacen("id = \"jiangsu\"", "id = \"mine\"", 1);
    let line = |part: &str| 1 + pack.lines().position(|line| line.contains(part)).unwrap();
    folder.write("mine.toml", pack.replace("id = \"JS-Y3\"", "id = \"JS-Y3\"\ncolour = \"red\""));
    let at = format!("line {}", line("id = \"JS-Y3\"") + 1);
    folder.run("verify --scheme mine.toml").refused(2, "usage", &[&at, "colour"]);
    for (wrong, right, parts) in [
        ("where = { level = [\"hihg\"]", "where = { level = [\"high\"]", ["JS-R4", "did you mean \"high\"?"]),
        (
            "where = { levle = [\"high\"]",
            "where = { level = [\"high\"]",
            ["JS-R4", "did you mean \"level\"?"],
        ),
        ("anchor = [\"reported_on\"]", "anchor = [\"reported_at\"]", ["reported_on", "line"]),
        ("fact = \"symptoms\"\nphases", "fact = \"symptom\"\nphases", ["symptoms", "line"]),
        ("color = \"yelow\", days", "color = \"yellow\", days", ["\"yelow\" is not in severity", "line"]),
        (
            "days = 13 }]\nanchor = [\"reported_at\"]",
            "days = 14 }]\nanchor = [\"reported_at\"]",
            ["JS-Y3", "expected"],
        ),
    ] {
        assert!(pack.contains(right), "{right}");
        folder.write("mine.toml", pack.replacen(right, wrong, 1));
        folder.run("verify --scheme mine.toml").refused(2, "usage", &parts);
    }
    let (rule, _) = pack.split_once("vectors = [").unwrap();
    folder.write("mine.toml", format!("{rule}vectors = []\n"));
    let found = folder.json("verify --scheme mine.toml", 0);
    assert_eq!(found["scheme"]["unshown"], serde_json::json!(["JS-R1"]));
    assert!(found["scheme"]["unnoticed"].as_array().unwrap().len() >= 2);
    let folder = world("jiangsu", &[]);
    night(&folder, "2022-03-05").done();
    folder.json("verify --run runs/2022-03-05", 0);
    folder.write("runs/2022-03-05/changes.csv", "person_id\n");
    folder.run("verify --run runs/2022-03-05").refused(6, "integrity", &["changes.csv"]);
    assert_eq!(folder.run("verify").status, Some(2));
}

#[test]
fn the_columns_a_configuration_may_map_are_those_that_are_read() {
    for table in TABLES {
        let folder = world("red-code", &[(table, "nothing\n1\n")]);
        let ran = folder.run("doctor --config ringtrace.toml");
        assert!(ran.stdout.contains(table), "{table}: {}", ran.stdout);
        for (name, columns) in ringtrace::schema::TABLES.iter().filter(|(name, _)| *name == table) {
            let header: Vec<&str> = columns.iter().map(|column| column.trim_end_matches('*')).collect();
            let folder = world("red-code", &[(name, &format!("{}\n", header.join(",")))]);
            night(&folder, "2022-03-05").done();
            for missing in columns.iter().filter_map(|column| column.strip_suffix('*')) {
                let rest: Vec<&str> = header.iter().copied().filter(|column| *column != missing).collect();
                let folder = world("red-code", &[(name, &format!("{}\n", rest.join(",")))]);
                // Trips are of no use without regions, and are not opened.
                if *name != "trips" {
                    night(&folder, "2022-03-05").refused(2, "input", &[missing]);
                }
            }
        }
    }
}

#[test]
fn nothing_that_is_still_to_come_colors_anyone() {
    let tables = [
        (
            "regions",
            "region_id,level,from,until,known_at\nR-high,high,2022-03-01 00:00,,\nM,medium,2022-03-01 00:00,,\nM,low,2022-03-04 00:00,,\nS,medium,2022-03-09 00:00,,2022-03-02 00:00\n",
        ),
        (
            "trips",
            "person_id,region_id,from,until,known_at\nt1,M,2022-03-01 08:00,2022-03-20 08:00,2022-03-02 08:00\nt2,M,2022-03-06 08:00,2022-03-07 08:00,2022-03-02 08:00\nt3,S,2022-03-01 08:00,2022-03-04 08:00,2022-03-04 08:00\nt4,R-high,2022-03-01 08:00,2022-03-20 08:00,2022-03-02 08:00\n",
        ),
    ];
    let folder = world("jiangsu", &tables);
    let scans = std::fs::read_to_string(folder.join("scans.csv")).unwrap();
    folder.write("scans.csv", format!("{scans}v2,hall,2022-03-06 02:00,in\n"));
    night(&folder, "2022-03-05").done();
    assert_eq!(
        colors(&folder, "2022-03-05"),
        ["t1 yellow JS-Y1 2022-03-19", "t4 red JS-R4 2022-03-20", "v1 red JS-R4 2022-03-16"],
        "M's medium level ended on 4 March; v2, t2 and S's level come later"
    );
}

#[test]
fn a_recovery_told_by_a_later_row_frees() {
    let folder = world("red-code", &[]);
    let cases = "person_id,status,sampled_at,reported_at,recovered_at\nc1,suspected,2022-03-01 09:00,2022-03-01 10:00,\nc1,confirmed,2022-03-01 09:00,2022-03-03 10:00,2022-03-08 09:00\n";
    folder.write("cases.csv", cases);
    night(&folder, "2022-03-07").done();
    assert_eq!(colors(&folder, "2022-03-07"), ["c1 red RC-1a 2022-03-08"]);
    night(&folder, "2022-03-08").done();
    assert_eq!(colors(&folder, "2022-03-08"), [""; 0]);
}

/// The named columns of a night's table, a line a row.
pub fn table(folder: &Folder, date: &str, name: &str, columns: &[&str]) -> Vec<String> {
    let path = folder.join(format!("runs/{date}/{name}.parquet"));
    rows(&path, columns).into_iter().map(|row| row.join(" ")).collect()
}

pub fn record(folder: &Folder, date: &str) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(folder.join(format!("runs/{date}/run.json"))).unwrap()).unwrap()
}

#[test]
fn a_stay_rests_on_a_visit_or_a_trip_a_residence_on_its_row() {
    let folder = world(
        "red-code",
        &[
            ("regions", "region_id,level,from\nR-far,low,2022-02-01 00:00\nR-high,high,2022-02-28 00:00\n"),
            (
                "trips",
                "person_id,region_id,from,until\nt0,R-far,2022-03-01 08:00,2022-03-02 09:00\nt1,R-high,2022-03-01 08:00,2022-03-02 09:00\n",
            ),
            (
                "communities",
                "community_id,status,from\nK0,open,2022-02-01 00:00\nK1,sealed,2022-03-01 08:00\n",
            ),
            ("residences", "person_id,region_id,community_id\nk0,R1,K0\nk1,R1,K1\n"),
        ],
    );
    night(&folder, "2022-03-05").done();
    let columns = ["person_id", "rule_id", "venue_id", "input_file", "input_row", "place_file", "place_row"];
    assert_eq!(
        table(&folder, "2022-03-05", "evidence", &columns),
        [
            "k1 RC-1d  residences.csv 2 communities.csv 2",
            "t1 RC-2a  trips.csv 2 regions.csv 2",
            "v1 RC-2a hall   regions.csv 2"
        ]
    );
    let rules = &record(&folder, "2022-03-05")["counts"]["rules"];
    assert_eq!(rules["RC-2a"], serde_json::json!({"persons": 2, "decides": 2}));
    assert_eq!(
        rules["RC-4"],
        serde_json::json!({"persons": 0, "decides": 0}),
        "rules that color no one are told too"
    );
}

#[test]
fn a_correction_takes_back_one_fact_from_the_night_it_is_known() {
    let folder = world(
        "hangzhou-release",
        &[
            (
                "temperatures",
                "person_id,measured_at,celsius\nh1,2022-03-02 10:00,38.2\nh1,2022-03-02 11:00,38.4\nh2,2022-03-02 10:00,38.2\n",
            ),
            (
                "corrections",
                "person_id,happened_at,fact,corrected_by,known_at\nh2,2022-03-02 10:00,temperature,lab,2022-03-04 09:00\nh1,2022-03-02 10:00,temperature,lab,2022-03-04 09:00\nh1,2022-03-02 10:00,symptom,lab,2022-03-04 09:00\n",
            ),
        ],
    );
    night(&folder, "2022-03-03").done();
    assert_eq!(table(&folder, "2022-03-03", "colors", &["person_id", "color"]), ["h1 red", "h2 red"]);
    night(&folder, "2022-03-04").done();
    assert_eq!(table(&folder, "2022-03-04", "colors", &["person_id", "color"]), ["h1 red"], "h1 has another");
    assert_eq!(
        table(&folder, "2022-03-04", "evidence", &["person_id", "input_row"]),
        ["h1 2"],
        "what was taken back is evidence of nothing"
    );
    let notes = record(&folder, "2022-03-04")["notes"].to_string();
    assert!(notes.contains("3 corrections took back 2 facts; 1 name no fact that is known"), "{notes}");
}

#[test]
fn a_case_is_what_the_last_row_of_its_sample_says() {
    let folder = world("jiangsu", &[]);
    folder.write(
        "cases.csv",
        "person_id,status,sampled_at,reported_at,lab_ref\nc1,asymptomatic,2022-03-01 10:00,2022-03-02 10:00,L1\nc1,confirmed,2022-03-01 10:00,2022-03-04 10:00,L1\nc2,asymptomatic,2022-03-01 10:00,2022-03-02 10:00,L2\nc2,confirmed,2022-03-01 10:00,2022-03-04 10:00,L3\n",
    );
    night(&folder, "2022-03-03").done();
    let columns = ["person_id", "rule_id", "reasons"];
    assert_eq!(table(&folder, "2022-03-03", "colors", &columns), ["c1 JS-R2 JS-R2", "c2 JS-R2 JS-R2"]);
    night(&folder, "2022-03-04").done();
    assert_eq!(
        table(&folder, "2022-03-04", "colors", &columns),
        ["c1 JS-R1 JS-R1", "c2 JS-R1 JS-R1; JS-R2"],
        "another sample is another fact"
    );
}

#[test]
fn a_planned_discharge_is_in_the_calendar_of_a_healthy_person() {
    let isolations = "person_id,from,until,kind\ni1,2022-03-01 08:00,2022-03-08 09:00,central\n";
    let folder = world("jiangsu", &[("isolations", isolations)]);
    night(&folder, "2022-03-05").done();
    assert_eq!(colors(&folder, "2022-03-05"), [""; 0]);
    let columns = ["date", "person_id", "color_before", "color_after", "rule_id"];
    assert_eq!(table(&folder, "2022-03-05", "calendar", &columns), ["2022-03-08 i1 green yellow JS-Y2"]);
    night(&folder, "2022-03-08").done();
    assert_eq!(colors(&folder, "2022-03-08"), ["i1 yellow JS-Y2 2022-03-23"]);
}

#[test]
fn pushes_go_from_one_province_to_another_and_are_taken_back() {
    let theirs =
        world("five-color", &[("temperatures", "person_id,measured_at,celsius\nw1,2022-03-02 10:00,38.2\n")]);
    theirs.write("cases.csv", "person_id,status,sampled_at,reported_at\nc1,confirmed,2022-03-01 10:00,2022-03-02 10:00\nc2,confirmed,2022-03-01 10:00,2022-03-02 10:00\nc2,withdrawn,,2022-03-03 10:00\n");
    let config = std::fs::read_to_string(theirs.join("ringtrace.toml")).unwrap();
    theirs.write("ringtrace.toml", format!("origin = \"Far\"\n{config}"));
    let ours = world("red-code", &[]);
    let config = std::fs::read_to_string(ours.join("ringtrace.toml")).unwrap();
    ours.write("ringtrace.toml", config + "[pushes]\npaths = [\"in/*.parquet\"]\n");
    let deliver = |date: &str| {
        night(&theirs, date).done();
        std::fs::create_dir_all(ours.join("in")).unwrap();
        let file = format!("runs/{date}/pushes.parquet");
        std::fs::copy(theirs.join(file), ours.join(format!("in/{date}.parquet"))).unwrap();
        night(&ours, date).done();
    };
    deliver("2022-03-02");
    let columns = ["person_id", "color", "origin", "scheme", "until"];
    assert_eq!(
        table(&theirs, "2022-03-02", "pushes", &columns),
        ["c1 purple Far five-color ", "c2 purple Far five-color ", "w1 yellow Far five-color 1646323200"]
    );
    assert_eq!(
        table(&ours, "2022-03-02", "colors", &["person_id", "color", "rule_id"]),
        ["c1 red RC-3", "c2 red RC-3"],
        "purple there is red here; yellow has no counterpart"
    );
    let notes = record(&ours, "2022-03-02")["notes"].to_string();
    assert!(
        notes.contains("1 pushes are lost: yellow of five-color has no counterpart in red-code"),
        "{notes}"
    );
    deliver("2022-03-03");
    assert_eq!(
        table(&ours, "2022-03-03", "colors", &["person_id", "color", "rule_id"]),
        ["c1 red RC-3"],
        "the case of c2 was withdrawn there, so the push is taken back here the same night"
    );
}

#[test]
fn a_temperature_beside_a_scan_is_a_fact_with_its_place() {
    let folder = world("national", &[]);
    let scans = |rows: &str| format!("person_id,venue_id,scanned_at,direction,temperature_c\n{rows}");
    let first = "w1,hall,2022-03-01 10:00,in,37.3\nw2,hall,2022-03-01 10:00,in,37.2\nw3,hall,2022-03-01 10:00,in,0\nw4,hall,2022-03-01 10:00,in,\n";
    folder.write("scans.csv", scans(first));
    night(&folder, "2022-03-01").done();
    assert_eq!(
        table(&folder, "2022-03-01", "colors", &["person_id", "color", "rule_id"]),
        ["w1 yellow NP-Y1"]
    );
    let columns = ["person_id", "fact", "venue_id", "from", "input_file"];
    assert_eq!(table(&folder, "2022-03-01", "evidence", &columns), ["w1 temperature hall 1646100000 "]);
    assert_eq!(rejects(&folder, "2022-03-01"), [""; 0], "a sensor that is off spoils no scan");
    assert_eq!(
        table(&folder, "2022-03-01", "facts", &["person_id", "what"]),
        ["w1 37.30"],
        "only what can matter"
    );
    let words = folder.run("explain --run runs/2022-03-01 w1").done().stdout;
    for part in ["37.30 °C", "evidence: at hall (shop, R-high), 2022-03-01 10:00", "so does the visit store"]
    {
        assert!(words.contains(part), "{part}: {words}");
    }
    // A later delivery that changes the visits of that day keeps the temperatures; the file itself may be gone.
    std::fs::remove_file(folder.join("scans.csv")).unwrap();
    folder
        .write("scans2.csv", scans("w2,hall,2022-03-01 11:00,out,38.1\nw1,hall,2022-03-01 10:30,out,36.5\n"));
    let config = std::fs::read_to_string(folder.join("ringtrace.toml")).unwrap();
    folder.write("ringtrace.toml", config.replace("scans.csv", "scans2.csv"));
    night(&folder, "2022-03-02").done();
    assert_eq!(table(&folder, "2022-03-02", "facts", &["person_id", "what"]), ["w1 37.30", "w2 38.10"]);
    // The same facts as from a table of temperatures.
    let told = world(
        "national",
        &[(
            "temperatures",
            "person_id,measured_at,celsius\nw1,2022-03-01 10:00,37.3\nw2,2022-03-01 11:00,38.1\n",
        )],
    );
    night(&told, "2022-03-02").done();
    assert_eq!(colors(&folder, "2022-03-02"), colors(&told, "2022-03-02"));
}

#[test]
fn a_run_is_verified_whole() {
    let folder = world("red-code", &[]);
    night(&folder, "2022-03-05").done();
    let verify = "verify --run runs/2022-03-05";
    folder.run(verify).done();
    folder.write("runs/2022-03-05/lists/red/forged.csv", "person_id\n");
    folder.refuses(verify, 6, "integrity", &["forged.csv", "was not published with the run"]);
    std::fs::remove_dir_all(folder.join("runs/2022-03-05/lists")).unwrap();
    let record = folder.join("runs/2022-03-05/run.json");
    let text = std::fs::read_to_string(&record).unwrap();
    std::fs::write(&record, text.replace("\"date\": \"2022-03-05\"", "\"date\": \"2022-03-06\"")).unwrap();
    folder.refuses(verify, 6, "integrity", &["it is of another date than its folder"]);
    std::fs::remove_file(&record).unwrap();
    for date in ["2022-03-05", "2022-03-06"] {
        // Nor does a later night count its changes from everyone green.
        folder.refuses(
            &format!("run --config ringtrace.toml --date {date}"),
            6,
            "integrity",
            &["has no run.json"],
        );
    }
}

#[test]
fn a_corrected_trip_colors_no_one_and_a_corrected_value_counts() {
    let folder = world(
        "red-code",
        &[
            ("regions", "region_id,level,from\nR-far,high,2022-02-01 00:00\n"),
            (
                "trips",
                "person_id,region_id,from,until\nt1,R-far,2022-03-01 08:00,2022-03-02 08:00\nt2,R-far,2022-03-01 08:00,2022-03-02 08:00\n",
            ),
            (
                "corrections",
                "person_id,happened_at,fact,corrected_by,known_at\nt1,2022-03-01 08:00,trip,office,2022-03-04 09:00\n",
            ),
        ],
    );
    night(&folder, "2022-03-03").done();
    assert_eq!(table(&folder, "2022-03-03", "colors", &["person_id"]), ["t1", "t2"]);
    night(&folder, "2022-03-04").done();
    assert_eq!(table(&folder, "2022-03-04", "colors", &["person_id"]), ["t2"]);
    let folder = world(
        "national",
        &[
            (
                "temperatures",
                "person_id,measured_at,celsius,known_at\nw1,2022-03-04 10:00,39,\nw1,2022-03-04 10:00,37.9,2022-03-05 10:00\n",
            ),
            (
                "corrections",
                "person_id,happened_at,fact,corrected_by,known_at\nw1,2022-03-04 10:00,temperature,office,2022-03-05 09:00\n",
            ),
        ],
    );
    night(&folder, "2022-03-05").done();
    assert_eq!(
        table(&folder, "2022-03-05", "facts", &["fact", "what"]),
        ["temperature 37.90", "correction temperature"]
    );
}

#[test]
fn a_past_night_again_knows_what_was_known_then() {
    let temperatures = "person_id,measured_at,celsius,known_at\nw1,2022-03-03 10:00,38.5,2022-03-03 11:00\n";
    let folder = world("national", &[("temperatures", temperatures)]);
    night(&folder, "2022-03-03").done();
    let published = folder.tree();
    let late = "w2,2022-03-03 10:00,38.5,2022-03-03 12:00\nw3,2022-03-03 10:00,38.5,2022-03-05 12:00\n";
    folder.write("temperatures.csv", format!("{temperatures}{late}"));
    let refused = "run --config ringtrace.toml --date 2022-03-03";
    folder.refuses(refused, 4, "conflict", &["published from other inputs"]);
    folder.run("run --config ringtrace.toml --as-of 2022-03-03 --quiet").done();
    let again = rows(&folder.join("runs/as-of/2022-03-03/colors.parquet"), &["person_id"]).concat();
    assert_eq!(again, ["w1", "w2"], "a row that came later counts as of when it became known");
    folder.run("run --config ringtrace.toml --as-of 2022-03-03 --quiet").done();
    let kept = folder.tree().into_iter().filter(|(name, _)| name.starts_with("runs/2022")).count();
    assert_eq!(kept, published.keys().filter(|name| name.starts_with("runs/2022")).count());
    folder.run("verify --run runs/as-of/2022-03-03").done();
    let words = folder.run("explain --run runs/as-of/2022-03-03 w2").done().stdout;
    assert!(words.contains("YELLOW") && words.contains("so does the visit store"), "{words}");
    night(&folder, "2022-03-04").done();
    assert_eq!(colors(&folder, "2022-03-04"), ["w1 yellow NP-Y1 2022-03-05", "w2 yellow NP-Y1 2022-03-05"]);
}
