//! What stands and what does not: orders and what they rest on, appeals and what is new since, pushes that go round, levels
//! of places around places, words that were wrong.

use crate::facts::{colors, night, record, rejects, table, world};
use crate::support::{Folder, rows};

/// Orders of persons issued on 3 March at 09:00 for a week.
fn ordered(persons: &[&str]) -> String {
    let row = |person: &&str| format!("{person},2022-03-03 09:00,2022-03-10 09:00,red,A,B,article 39\n");
    let rows: String = persons.iter().map(row).collect();
    format!("person_id,issued_at,until,color,author,approver,basis\n{rows}")
}

/// Persons with an order that stands on a night.
fn standing(folder: &Folder, date: &str) -> Vec<String> {
    let all = rows(&folder.join(format!("runs/{date}/colors.parquet")), &["person_id", "reasons"]);
    all.into_iter().filter(|row| row[1].contains("RC-4")).map(|row| row[0].clone()).collect()
}

/// In Zhengzhou, in June 2022, 1,317 persons were made red by order of officials, without a health fact.
#[test]
fn orders_without_a_health_fact_color_no_one() {
    let mut orders = String::from("person_id,issued_at,until,color,author,approver,basis\n");
    (0..1_317)
        .for_each(|n| orders.push_str(&format!("z{n},2022-03-02 09:00,2022-03-10 09:00,red,A,B,notice\n")));
    let folder = world("red-code", &[("orders", &orders)]);
    // However many scans there are beside them.
    let scans: String = (0..150_000).map(|n| format!("s{n},hall,2022-03-02 10:00,in\n")).collect();
    folder.write("scans.csv", format!("person_id,venue_id,scanned_at,direction\n{scans}"));
    let ran = night(&folder, "2022-03-03");
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("1317 of the orders were refused and color no one"), "{}", ran.stderr);
    assert_eq!(colors(&folder, "2022-03-03"), [""; 0]);
    let rejects = rejects(&folder, "2022-03-03");
    assert_eq!(rejects.len(), 1_317);
    assert!(
        (1..)
            .zip(&rejects)
            .all(|(row, reject): (u32, &String)| *reject == format!("orders {row} person_id no_health_fact"))
    );
    let record = std::fs::read_to_string(folder.join("runs/2022-03-03/run.json")).unwrap();
    assert!(
        record.contains("1317 orders refused: no health fact of the person was known when it was issued"),
        "{record}"
    );
}

#[test]
fn an_order_needs_two_people_and_a_fact_of_its_time() {
    let folder = world(
        "red-code",
        &[
            (
                "symptoms",
                "person_id,reported_at,symptom\ns1,2022-03-02 10:00,fever\ns2,2022-03-04 10:00,fever\n",
            ),
            (
                "orders",
                "person_id,issued_at,until,color,author,approver,basis\n\
                 s1,2022-03-03 10:00,2022-03-09 10:00,RED ,An Li,Bo,article 39\n\
                 s1,2022-03-03 11:00,2022-03-09 10:00,red,An Li,An  li,article 39\n\
                 s1,2022-03-03 12:00,2022-03-09 10:00,red,An Li,Ａｎ\u{3000}Li,article 39\n\
                 s1,2022-03-03 13:00,2022-03-09 10:00,red,An Li,   ,article 39\n\
                 s1,2022-03-03 14:00,2022-03-09 10:00,red,An Li,Bo, \n\
                 s2,2022-03-03 10:00,2022-03-09 10:00,red,An Li,Bo,article 39\n\
                 s1,2022-03-03 15:00,2022-03-09 10:00,mauve,An Li,Bo,article 39\n",
            ),
        ],
    );
    assert_eq!(night(&folder, "2022-03-05").status, Some(1), "more rejects than the limit");
    assert_eq!(
        rejects(&folder, "2022-03-05"),
        [
            "orders 2 approver not_approved",
            "orders 3 approver not_approved",
            "orders 4 approver missing",
            "orders 5 basis missing",
            "orders 6 person_id no_health_fact"
        ],
        "what s2 fell ill with later supports no earlier order"
    );
    assert_eq!(
        table(&folder, "2022-03-05", "evidence", &["person_id", "rule_id", "input_row"]),
        ["s1 RC-4 1"]
    );
    let notes = record(&folder, "2022-03-05")["notes"].to_string();
    assert!(
        notes.contains("manual orders that change nothing: 1; no rule of red-code is about their color"),
        "{notes}"
    );
}

#[test]
fn an_order_rests_only_on_what_was_known_when_it_was_issued() {
    let warm = "person_id,measured_at,celsius,known_at\n\
        warm,2022-03-02 10:00,38.2,\nlate,2022-03-02 10:00,38.2,2022-03-05 08:00\nwrong,2022-03-02 10:00,38.2,\n";
    let corrections = "person_id,happened_at,fact,corrected_by,known_at\nwrong,2022-03-02 10:00,temperature,clinic,2022-03-02 12:00\n";
    let isolations = "person_id,from,kind\nhome,2022-03-03 08:59,home\ncenter,2022-03-03 08:59,central\nward,2022-03-03 08:00,hospital\n";
    // The stay of `level` was before its region had a level; that of `trip` was not.
    let regions = "region_id,level,from\nR-old,high,2022-02-01 08:00\nR-new,high,2022-03-06 08:00\n";
    let trips = "person_id,region_id,from,until\ntrip,R-old,2022-03-01 08:00,2022-03-02 12:00\nlevel,R-new,2022-03-01 08:00,2022-03-09 12:00\n";
    let persons = ["warm", "late", "wrong", "home", "center", "ward", "level", "trip"];
    let folder = world(
        "red-code",
        &[
            ("temperatures", warm),
            ("corrections", corrections),
            ("isolations", isolations),
            ("regions", regions),
            ("trips", trips),
            ("orders", &ordered(&persons)),
        ],
    );
    for date in ["2022-03-03", "2022-03-06", "2022-03-08"] {
        let ran = night(&folder, date);
        assert_eq!(ran.status, Some(1), "an order refused is never quiet: {}", ran.stderr);
        assert!(
            ran.stderr.contains("warning: 5 of the orders were refused and color no one"),
            "{}",
            ran.stderr
        );
        assert_eq!(standing(&folder, date), ["trip", "ward", "warm"], "{date}");
    }
    let evidence = ["person_id", "support_fact", "support_at", "support_file", "support_row"];
    let of_orders: Vec<String> = table(&folder, "2022-03-03", "evidence", &evidence)
        .into_iter()
        .filter(|row| row.split(' ').nth(1) != Some(""))
        .collect();
    assert_eq!(
        of_orders,
        [
            "trip region_stay 1646092800 trips.csv 1",
            "ward isolation 1646265600 isolations.csv 3",
            "warm temperature 1646186400 temperatures.csv 1"
        ]
    );
    let words = folder.run("explain --run runs/2022-03-03 warm").done().stdout;
    for part in [
        "by A, approved by B, legal basis: article 39",
        "the order rests on: temperature of 2022-03-02 10:00, temperatures.csv row 1",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
    let chinese = folder.run("explain --run runs/2022-03-03 warm --language zh").done().stdout;
    assert!(chinese.contains("签发：A") && chinese.contains("该指令依据的健康事实"), "{chinese}");
    let json = folder.json("explain --run runs/2022-03-03 warm", 0);
    assert_eq!(json["reasons"][0]["support"]["input_row"], 1);
}

#[test]
fn an_order_rests_on_any_exposure_that_was_known_not_on_the_longest() {
    let folder = Folder::new();
    // a met c1, known since 2 March, and for longer c2, known since 5 March; b met c2 and, when a was a contact already, a;
    // d met c2 alone.
    folder.write(
        "visits.csv",
        "person_id,venue_id,arrived_at,left_at\n\
         c1,hall,2022-03-01 10:00,2022-03-01 10:30\na,hall,2022-03-01 10:00,2022-03-01 10:30\n\
         c2,park,2022-03-02 10:00,2022-03-02 12:00\na,park,2022-03-02 10:00,2022-03-02 12:00\n\
         b,park,2022-03-02 10:00,2022-03-02 12:00\n\
         c2,shop,2022-03-02 14:00,2022-03-02 15:00\nd,shop,2022-03-02 14:00,2022-03-02 15:00\n",
    );
    folder.write(
        "cases.csv",
        "person_id,status,onset_at,reported_at\nc1,confirmed,2022-03-01 08:00,2022-03-02 20:00\nc2,confirmed,2022-03-02 08:00,2022-03-05 20:00\na,confirmed,2022-03-05 08:00,2022-03-07 20:00\n",
    );
    folder.write("orders.csv", ordered(&["a", "b", "d"]));
    let tables =
        ["visits", "cases", "orders"].map(|name| format!("[{name}]\npaths = [\"{name}.csv\"]\n")).concat();
    folder.write("ringtrace.toml", format!("time_zone = \"Asia/Shanghai\"\nscheme = \"red-code\"\n{tables}"));
    // c2 becomes known on the 5th, a's own illness on the 7th: what was known of a and b on the 3rd stays known.
    for date in ["2022-03-03", "2022-03-06", "2022-03-08"] {
        night(&folder, date);
        let all = standing(&folder, date);
        assert!(all.contains(&"a".into()) && all.contains(&"b".into()), "{date}: {all:?}");
        for person in ["a", "b"] {
            folder.run(&format!("explain --run runs/{date} {person}")).done();
        }
    }
    let best = table(&folder, "2022-03-06", "contacts", &["person_id", "ring", "best_source_id"]);
    assert_eq!(best, ["a 1 c2", "b 1 c2", "d 1 c2"]);
    let refused = table(&folder, "2022-03-06", "rejects", &["table", "row", "reason"]);
    assert_eq!(refused, ["orders 3 no_health_fact"], "of d nothing was known by then");
}

#[test]
fn an_order_does_not_rest_on_a_contact_who_was_one_later_or_was_not_known_to_be() {
    let folder = Folder::new();
    // q met late, known since 6 March, on the 1st, and early, known since 2 March, on the 2nd; p met q in between.
    folder.write(
        "visits.csv",
        "person_id,venue_id,arrived_at,left_at\n\
         late,hall,2022-03-01 10:00,2022-03-01 11:00\nq,hall,2022-03-01 10:00,2022-03-01 11:00\n\
         q,park,2022-03-02 10:00,2022-03-02 11:00\np,park,2022-03-02 10:00,2022-03-02 11:00\n\
         early,shop,2022-03-02 14:00,2022-03-02 15:00\nq,shop,2022-03-02 14:00,2022-03-02 15:00\n",
    );
    folder.write(
        "cases.csv",
        "person_id,status,onset_at,reported_at\nlate,confirmed,2022-03-01 08:00,2022-03-06 20:00\nearly,confirmed,2022-03-02 08:00,2022-03-02 20:00\n",
    );
    folder.write("orders.csv", ordered(&["p", "q"]));
    let tables = ["visits", "cases", "orders"];
    let tables = tables.map(|name| format!("[{name}]\npaths = [\"{name}.csv\"]\n")).concat();
    folder.write("ringtrace.toml", format!("time_zone = \"Asia/Shanghai\"\nscheme = \"red-code\"\n{tables}"));
    for date in ["2022-03-03", "2022-03-07"] {
        night(&folder, date);
        assert_eq!(
            standing(&folder, date),
            ["q"],
            "{date}: who infected q before p met q was not known then"
        );
    }
    let traced = table(&folder, "2022-03-07", "contacts", &["person_id", "ring"]);
    assert_eq!(traced, ["q 1", "p 2"], "p is a contact, if not by what was known");
}

#[test]
fn an_order_stands_whatever_happens_after_it() {
    let folder = world(
        "red-code",
        &[
            ("regions", "region_id,level,from\nR-high,high,2022-02-01 00:00\nR-far,high,2022-02-01 00:00\n"),
            (
                "trips",
                "person_id,region_id,from,until\nt1,R-far,2022-03-01 08:00,2022-03-02 08:00\nt1,R-far,2022-03-06 08:00,2022-03-07 08:00\n",
            ),
            (
                "orders",
                "person_id,issued_at,until,color,author,approver,basis\nt1,2022-03-03 10:00,2022-03-12 10:00,red,An,Bo,x\nv1,2022-03-03 10:00,2022-03-12 10:00,red,An,Bo,x\n",
            ),
        ],
    );
    folder.write(
        "scans.csv",
        "person_id,venue_id,scanned_at,direction\nv1,hall,2022-03-01 10:00,in\nv1,hall,2022-03-01 12:00,out\nv1,hall,2022-03-06 10:00,in\nv1,hall,2022-03-06 12:00,out\n",
    );
    for date in ["2022-03-04", "2022-03-08", "2022-05-20"] {
        night(&folder, date).done();
        assert_eq!(rejects(&folder, date), [""; 0], "{date}: a later stay, and time, leave it as it was");
    }
    let reasons = table(&folder, "2022-03-08", "colors", &["person_id", "reasons"]);
    assert_eq!(reasons, ["t1 RC-2a; RC-4", "v1 RC-2a; RC-4"]);
}

#[test]
fn an_order_of_fourteen_civil_days_may_cross_a_clock_change() {
    let warm = "person_id,measured_at,celsius\na,2021-10-24 10:00,38.2\nb,2021-10-24 10:00,38.2\n";
    let orders = "person_id,issued_at,until,color,author,approver,basis\n\
        a,2021-10-25 09:00,2021-11-08 09:00,red,A,B,law\nb,2021-10-25 09:00,2021-11-08 09:01,red,A,B,law\n";
    let folder = world("red-code", &[("temperatures", warm), ("orders", orders)]);
    let config = std::fs::read_to_string(folder.join("ringtrace.toml")).unwrap();
    folder.write("ringtrace.toml", config.replace("Asia/Shanghai", "Europe/Berlin"));
    assert_eq!(night(&folder, "2021-10-26").status, Some(1));
    assert_eq!(standing(&folder, "2021-10-26"), ["a"]);
    assert_eq!(rejects(&folder, "2021-10-26"), ["orders 2 until term_too_long"]);
}

/// The world of an appeal: `a` met case `c1` on 1 March and appealed with success on 5 March at 09:00.
fn appealed(scheme: &str, rule: &str, more_visits: &str, more_cases: &str) -> Folder {
    let folder = Folder::new();
    folder.write(
        "visits.csv",
        format!(
            "person_id,venue_id,arrived_at,left_at\n\
             c1,hall,2022-03-01 10:00,2022-03-01 12:00\na,hall,2022-03-01 10:00,2022-03-01 12:00\n{more_visits}"
        ),
    );
    folder.write(
        "cases.csv",
        format!("person_id,status,onset_at,reported_at\nc1,confirmed,2022-03-01 08:00,2022-03-02 08:00\n{more_cases}"),
    );
    folder.write(
        "appeals.csv",
        format!(
            "person_id,decided_at,decision,rule_id,decided_by\na,2022-03-05 09:00,overturned,{rule},office\n"
        ),
    );
    folder.write(
        "ringtrace.toml",
        format!(
            "time_zone = \"Asia/Shanghai\"\nscheme = \"{scheme}\"\n[visits]\npaths = [\"visits.csv\"]\n\
             [cases]\npaths = [\"cases.csv\"]\n[appeals]\npaths = [\"appeals.csv\"]\n"
        ),
    );
    folder
}

/// The color and rule of `a`.
fn of_a(folder: &Folder, date: &str) -> String {
    night(folder, date).done();
    let all = table(folder, date, "colors", &["person_id", "color", "rule_id"]);
    all.into_iter().find_map(|row| row.strip_prefix("a ").map(String::from)).unwrap_or("green".into())
}

#[test]
fn what_is_new_since_a_granted_appeal_counts_in_whatever_ring() {
    let met_b = "c1,shop,2022-03-02 10:00,2022-03-02 12:00\nb,shop,2022-03-02 10:00,2022-03-02 12:00\n";
    let again = "b,park,2022-03-06 10:00,2022-03-06 11:00\na,park,2022-03-06 10:00,2022-03-06 11:00\n";
    let before = "b,park,2022-03-04 10:00,2022-03-04 11:00\na,park,2022-03-04 10:00,2022-03-04 11:00\n";
    // What was so and known by the decision is over, in every ring.
    let folder = appealed("five-color", "FC-O1", &format!("{met_b}{before}"), "");
    assert_eq!(of_a(&folder, "2022-03-04"), "orange FC-O1");
    assert_eq!(of_a(&folder, "2022-03-05"), "green");
    // A secondary contact after it.
    let folder = appealed("five-color", "FC-O1", &format!("{met_b}{again}"), "");
    assert_eq!(of_a(&folder, "2022-03-05"), "green");
    assert_eq!(of_a(&folder, "2022-03-07"), "orange FC-O2");
    let renewed = ["person_id", "ring", "best_source_id", "best_venue_id", "after_at"];
    assert_eq!(table(&folder, "2022-03-07", "renewed", &renewed), ["a 2 b park 1646442000"]);
    assert_eq!(
        table(&folder, "2022-03-07", "contacts", &["person_id", "ring"]),
        ["a 1", "b 1"],
        "the trace itself knows of no appeal"
    );
    let words = folder.run("explain --run runs/2022-03-07 a").done().stdout;
    assert!(words.contains("new since the appeal was granted (2022-03-05 09:00)"), "{words}");
    assert!(!words.contains(" b ") && !words.contains("c1"), "{words}");
    // A close contact after it, by the same rule.
    let close = "c2,park,2022-03-06 10:00,2022-03-06 11:00\na,park,2022-03-06 10:00,2022-03-06 11:00\n";
    let folder = appealed("five-color", "FC-O1", close, "c2,confirmed,2022-03-06 08:00,2022-03-06 20:00\n");
    assert_eq!(of_a(&folder, "2022-03-05"), "green");
    assert_eq!(of_a(&folder, "2022-03-06"), "orange FC-O1");
}

#[test]
fn a_case_that_becomes_known_after_a_granted_appeal_is_new_evidence() {
    let close = "c2,park,2022-03-04 10:00,2022-03-04 11:00\na,park,2022-03-04 10:00,2022-03-04 11:00\n";
    let late = "c2,confirmed,2022-03-05 08:00,2022-03-07 20:00\n";
    let folder = appealed("jiangsu", "JS-R3", close, late);
    assert_eq!(of_a(&folder, "2022-03-04"), "red JS-R3");
    assert_eq!(of_a(&folder, "2022-03-06"), "green", "not known yet");
    assert_eq!(of_a(&folder, "2022-03-07"), "red JS-R3");
    folder.run("explain --run runs/2022-03-07 a").done();
    let early = "c2,confirmed,2022-03-05 08:00,2022-03-05 08:30\n";
    let folder = appealed("jiangsu", "JS-R3", close, early);
    assert_eq!(of_a(&folder, "2022-03-07"), "green", "it was known when the appeal was decided");
}

#[test]
fn two_offices_that_read_each_other_let_go() {
    let north = world("red-code", &[]);
    north.write(
        "cases.csv",
        "person_id,status,sampled_at,reported_at\nc1,suspected,2022-03-01 10:00,2022-03-02 10:00\nc1,withdrawn,,2022-03-04 10:00\n",
    );
    let south = world("red-code", &[]);
    for (folder, origin) in [(&north, "North"), (&south, "South")] {
        let config = std::fs::read_to_string(folder.join("ringtrace.toml")).unwrap();
        folder.write(
            "ringtrace.toml",
            format!("origin = \"{origin}\"\n{config}[pushes]\npaths = [\"in/*.parquet\"]\n"),
        );
        // An empty delivery, so that there is something to read.
        std::fs::create_dir_all(folder.join("in")).unwrap();
        let bare = world("red-code", &[]);
        night(&bare, "2022-03-01").done();
        std::fs::copy(bare.join("runs/2022-03-01/pushes.parquet"), folder.join("in/none.parquet")).unwrap();
    }
    let colored = |folder: &Folder, date: &str| table(folder, date, "colors", &["person_id", "rule_id"]);
    for date in ["2022-03-02", "2022-03-03", "2022-03-04", "2022-03-05"] {
        for (from, to) in [(&north, &south), (&south, &north)] {
            night(from, date).done();
            let name = format!("in/{date}.parquet");
            std::fs::copy(from.join(format!("runs/{date}/pushes.parquet")), to.join(name)).unwrap();
        }
        let own = table(&south, date, "pushes", &["person_id"]);
        assert_eq!(own, [""; 0], "{date}: what rests on a push alone is not passed on");
    }
    assert_eq!(colored(&north, "2022-03-03"), ["c1 RC-1a"]);
    assert_eq!(colored(&south, "2022-03-03"), ["c1 RC-3"]);
    for folder in [&north, &south] {
        assert_eq!(colored(folder, "2022-03-04"), [""; 0], "withdrawn, and free everywhere the same night");
        assert_eq!(colored(folder, "2022-03-05"), [""; 0]);
    }
}

#[test]
fn a_level_holds_in_all_that_lies_within() {
    let trips = "person_id,region_id,from,until\n\
        street,S1,2022-03-02 08:00,2022-03-03 12:00\nbeside,S2,2022-03-02 08:00,2022-03-03 12:00\nfar,X9,2022-03-02 08:00,2022-03-03 12:00\n";
    let levels = |rows: &str| {
        format!(
            "region_id,level,from,county_id\nS1,low,2022-02-01 08:00,County\nS2,low,2022-02-01 08:00,County\n\
             X9,low,2022-02-01 08:00,Elsewhere\nCounty,low,2022-02-01 08:00,City\n{rows}"
        )
    };
    for (rows, jiangsu, red_code) in [
        (
            "County,high,2022-03-01 08:00,\n",
            &["beside JS-R4", "street JS-R4"][..],
            &["beside RC-2a", "street RC-2a"][..],
        ),
        (
            "City,high,2022-03-01 08:00,\n",
            &["beside JS-R4", "street JS-R4"],
            &["beside RC-2a", "street RC-2a"],
        ),
        ("S1,high,2022-03-01 08:00,\n", &["street JS-R4"], &["beside RC-2b", "street RC-2a"]),
        ("Elsewhere,medium,2022-03-01 08:00,\n", &["far JS-Y1"], &["far RC-2a"]),
    ] {
        for (scheme, expected) in [("jiangsu", jiangsu), ("red-code", red_code)] {
            let folder = world(scheme, &[("trips", trips), ("regions", &levels(rows))]);
            night(&folder, "2022-03-05").done();
            let found = table(&folder, "2022-03-05", "colors", &["person_id", "rule_id"]);
            assert_eq!(found, expected, "{scheme}: {rows}");
        }
    }
    // Counties that name each other as theirs end no night.
    let circle = "region_id,level,from,county_id\nS1,high,2022-03-01 08:00,P\nP,low,2022-03-01 08:00,Q\nQ,low,2022-03-01 08:00,P\n";
    let folder = world("jiangsu", &[("trips", trips), ("regions", circle)]);
    night(&folder, "2022-03-05").done();
    assert_eq!(colors(&folder, "2022-03-05"), ["street red JS-R4 2022-03-18"]);
}

#[test]
fn a_level_that_was_wrong_is_replaced_by_what_is_known_later() {
    let trips = "person_id,region_id,from,until\nt,S1,2022-03-02 08:00,2022-03-03 12:00\n";
    let regions = "region_id,level,from,known_at\nS1,high,2022-03-01 08:00,2022-03-01 09:00\nS1,low,2022-03-01 08:00,2022-03-06 09:00\n";
    let folder = world("jiangsu", &[("trips", trips), ("regions", regions)]);
    night(&folder, "2022-03-05").done();
    assert_eq!(colors(&folder, "2022-03-05"), ["t red JS-R4 2022-03-18"]);
    night(&folder, "2022-03-06").done();
    assert_eq!(colors(&folder, "2022-03-06"), [""; 0]);
}

#[test]
fn more_stays_never_mean_less_color() {
    let pack = |anchor: &str| {
        format!(
            "id = \"mine\"\nversion = 1\nname = {{ en = \"m\", zh = \"m\" }}\ntime_zone = \"Asia/Shanghai\"\n\
             severity = [\"red\", \"green\"]\nholds_last_day = true\n[[rule]]\nid = \"M-1\"\nfact = \"region_stay\"\n\
             where = {{ level = [\"high\"], reach = \"region\" }}\nanchor = [\"{anchor}\"]\n\
             phases = [{{ color = \"red\", days = 14 }}]\nbasis = {{ en = \"b\", zh = \"b\" }}\n"
        )
    };
    let regions = "region_id,level,from\nS1,high,2022-02-01 08:00\n";
    let trips = "person_id,region_id,from,until\na,S1,2022-03-10 08:00,2022-03-11 12:00\na,S1,2022-03-01 08:00,2022-03-20 12:00\nb,S1,2022-03-10 08:00,2022-03-11 12:00\n";
    for (anchor, expected) in [
        ("from", ["a red M-1 2022-03-25", "b red M-1 2022-03-25"]),
        ("until", ["a red M-1 2022-04-04", "b red M-1 2022-03-26"]),
    ] {
        let folder = world("mine.toml", &[("trips", trips), ("regions", regions)]);
        folder.write("mine.toml", pack(anchor));
        night(&folder, "2022-03-20").done();
        assert_eq!(colors(&folder, "2022-03-20"), expected, "{anchor}");
    }
}

#[test]
fn a_past_night_knows_no_site_and_no_residence_told_later() {
    let folder = Folder::new();
    folder.write(
        "visits.csv",
        "person_id,venue_id,arrived_at,left_at\na,hall,2022-03-02 10:00,2022-03-02 11:00\nb,park,2022-03-02 10:00,2022-03-02 11:00\n",
    );
    folder.write(
        "windows.csv",
        "window_id,venue_id,from,until,known_at\nW1,hall,2022-03-02 09:00,2022-03-02 12:00,2022-03-02 20:00\nW2,park,2022-03-02 09:00,2022-03-02 12:00,2022-03-04 20:00\n",
    );
    folder.write(
        "residences.csv",
        "person_id,region_id,known_at\na,R1,2022-03-01 20:00\nb,R2,2022-03-04 20:00\n",
    );
    folder.write(
        "ringtrace.toml",
        "time_zone = \"Asia/Shanghai\"\n[visits]\npaths = [\"visits.csv\"]\n[windows]\npaths = [\"windows.csv\"]\n[residences]\npaths = [\"residences.csv\"]\n",
    );
    night(&folder, "2022-03-04").done();
    let columns = ["person_id", "region_id"];
    assert_eq!(table(&folder, "2022-03-04", "colors", &columns), ["a R1", "b R2"]);
    folder.run("run --config ringtrace.toml --as-of 2022-03-03").done();
    let past = rows(&folder.join("runs/as-of/2022-03-03/colors.parquet"), &columns);
    assert_eq!(past, [["a", "R1"]], "W2 and where b lives were not known");
    let sites = rows(&folder.join("runs/2022-03-04/sources.parquet"), &["source_id", "reported_at"]);
    assert_eq!(sites[0], ["W1", "1646222400"]);
}

#[test]
fn a_correction_may_name_an_order_that_is_still_to_come() {
    let warm = "person_id,measured_at,celsius\na,2022-03-02 10:00,38.2\n";
    let orders = "person_id,issued_at,until,color,author,approver,basis,known_at\na,2022-03-06 09:00,2022-03-12 09:00,red,A,B,law,2022-03-02 12:00\n";
    let corrections = "person_id,happened_at,fact,corrected_by,known_at\na,2022-03-06 09:00,order,office,2022-03-03 09:00\n";
    let folder =
        world("red-code", &[("temperatures", warm), ("orders", orders), ("corrections", corrections)]);
    night(&folder, "2022-03-04").done();
    assert_eq!(rejects(&folder, "2022-03-04"), [""; 0]);
    assert_eq!(table(&folder, "2022-03-04", "calendar", &["person_id"]), [""; 0], "no red is forecast");
    assert!(record(&folder, "2022-03-04")["notes"].to_string().contains("1 corrections took back 1 facts"));
}
