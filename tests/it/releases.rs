//! What releases a person: what is waited for, what is due, what comes after.

use crate::facts::world;
use crate::packs::{pack, world_of};
use crate::support::{Folder, rows};

/// A table of a night, a line a row.
pub fn night(folder: &Folder, date: &str, table: &str, columns: &[&str]) -> Vec<String> {
    let path = folder.join(format!("runs/{date}"));
    if !path.exists() {
        folder.run(&format!("run --config ringtrace.toml --date {date} --quiet")).done();
    }
    rows(&path.join(format!("{table}.parquet")), columns).into_iter().map(|row| row.join(" ")).collect()
}

#[track_caller]
fn explains(folder: &Folder, date: &str, who: &str, says: &[&str], never: &[&str]) {
    let words = folder.run(&format!("explain --run runs/{date} {who}")).done().stdout;
    says.iter().for_each(|part| assert!(words.contains(part), "{part}: {words}"));
    never.iter().for_each(|part| assert!(!words.contains(part), "{part}: {words}"));
}

#[test]
fn an_end_of_the_fact_itself_is_what_is_waited_for() {
    let order = "person_id,issued_at,until,color,author,approver,basis\no1,2022-03-02 09:00,2022-03-12 09:00,red,A,B,law 1\n";
    let tables = [
        (
            "pushes",
            "person_id,pushed_at,color,origin,until\np1,2022-03-01 09:00,red,Anhui,2022-03-06 09:00\n",
        ),
        ("clinic_visits", "person_id,visited_at\no1,2022-03-02 08:00\n"),
        ("orders", order),
        ("communities", "community_id,status,from,until\nK1,sealed,2022-03-01 08:00,2022-03-10 08:00\n"),
        ("residences", "person_id,region_id,community_id\nk1,R1,K1\n"),
    ];
    let folder = world("red-code", &tables);
    let columns = ["person_id", "until", "next_due", "missing"];
    assert_eq!(
        night(&folder, "2022-03-03", "colors", &columns),
        [
            "k1 2022-03-10 2022-03-10 7 days",
            "o1 2022-03-12 2022-03-12 9 days",
            "p1 2022-03-06 2022-03-06 3 days"
        ]
    );
    assert_eq!(night(&folder, "2022-03-05", "colors", &columns)[2], "p1 2022-03-06 2022-03-06 1 day");
    let end = "ends with the order (until 2022-03-12 09:00): 2022-03-12 is the first day after";
    explains(&folder, "2022-03-03", "o1", &[end, "9 days"], &["14 days", "2022-03-17"]);
    let end = "随指令结束（结束 2022-03-12 09:00）：2022-03-12 为其后第一天";
    explains(&folder, "2022-03-03", "o1 --language zh", &[end, "9 天"], &["14 天", "2022-03-17"]);
    let end = "ends with the residence (until 2022-03-10 08:00): 2022-03-10 is the first day after";
    explains(&folder, "2022-03-03", "k1", &[end], &[]);
}

#[test]
fn a_condition_that_cannot_matter_any_more_is_not_missing() {
    let rule = r#"
[[rule]]
id = "E-1"
fact = "push"
phases = [
    { color = "red", days = 14, tests_on = [2, 9], release = { checkins = 3, negative_tests_on = [1], confirmation = true } },
    { color = "yellow", days = 2 },
]
anchor = ["pushed_at"]
ends = "until"
basis = { en = "pushed", zh = "推送" }
"#;
    let pushes = "person_id,pushed_at,color,origin,until\na1,2022-03-01 09:00,red,Anhui,2022-03-09 09:00\nb1,2022-03-01 09:00,red,Anhui,2022-03-20 09:00\n";
    let folder = world_of(&pack(rule), &[("pushes", pushes)]);
    let columns = ["person_id", "until", "next_due", "missing"];
    let all = "3 daily check-ins, 1 negative test (next from 2022-03-03), an office's confirmation";
    assert_eq!(
        night(&folder, "2022-03-03", "colors", &columns),
        ["a1 2022-03-09 2022-03-03 6 days".to_string(), format!("b1 2022-03-20 2022-03-03 13 days, {all}")],
        "a1's test of day 2 is still due, and the yellow days of b1 would end on 03-18"
    );
    let says = [
        "ends with the push (until 2022-03-09 09:00): 2022-03-09 is the first day after",
        "test due on day 2,",
    ];
    let never =
        ["14 days", "check-ins in a row", "negative test of", "confirmation", "then yellow", "day 9,"];
    explains(&folder, "2022-03-03", "a1", &says, &never);
    let says = [
        "14 days: day 14 after 2022-03-01 is the last, 2022-03-16 the first day after",
        "ends with the push at the latest (until 2022-03-20 09:00): 2022-03-20 is the first day after",
        "an office's confirmation: missing",
        "test due on day 9, 2022-03-10",
        "then yellow, 2 days",
    ];
    explains(&folder, "2022-03-03", "b1", &says, &[]);
    // Three check-ins from 03-16 on end red on 03-19; from 03-17 on they are of no use.
    let overdue = ["person_id", "missing"];
    assert_eq!(
        night(&folder, "2022-03-16", "overdue", &overdue),
        ["b1 3 daily check-ins, 1 negative test (next from 2022-03-16), an office's confirmation"]
    );
    assert_eq!(night(&folder, "2022-03-17", "overdue", &overdue), [""; 0]);
    assert_eq!(night(&folder, "2022-03-17", "colors", &columns), ["b1 2022-03-20 2022-03-20 3 days"]);
}

#[test]
fn a_test_that_was_sampled_is_not_due_any_more() {
    let rule = r#"
[[rule]]
id = "E-1"
fact = "push"
phases = [{ color = "red", days = 7, tests_on = [1, 4, 7] }]
anchor = ["pushed_at"]
basis = { en = "pushed", zh = "推送" }
"#;
    let pushed: String =
        ["a", "b", "c", "d", "e"].map(|who| format!("{who},2022-03-01 09:00,red,Anhui\n")).concat();
    let tests = "person_id,sampled_at,result\na,2022-03-05 09:00,negative\na,2022-03-08 09:00,negative\nc,2022-03-04 23:59:59,negative\nd,2022-03-05 00:00,positive\ne,2022-03-02 09:00,negative\n";
    let tables =
        [("pushes", &format!("person_id,pushed_at,color,origin\n{pushed}") as &str), ("tests", tests)];
    let folder = world_of(&pack(rule), &tables);
    let columns = ["person_id", "next_due"];
    assert_eq!(
        night(&folder, "2022-03-05", "colors", &columns),
        ["a 2022-03-08", "b 2022-03-05", "c 2022-03-05", "d 2022-03-08", "e 2022-03-05"],
        "a and d were sampled that day; c's sample counts for day 1"
    );
    let says = ["test due on day 4, 2022-03-05: sampled 2022-03-05", "next due    2022-03-08"];
    explains(&folder, "2022-03-05", "a", &says, &[]);
    let says = ["test due on day 1, 2022-03-02: sampled 2022-03-04", "next due    2022-03-05"];
    explains(&folder, "2022-03-05", "c", &says, &[]);
    assert_eq!(
        night(&folder, "2022-03-08", "colors", &columns)[..2],
        ["a 2022-03-09", "b 2022-03-08"],
        "nothing is due of a but the end"
    );
}

#[test]
fn overdue_says_what_the_color_would_be_by_now() {
    let rule = r#"
[[rule]]
id = "T-1"
fact = "temperature"
phases = [{ color = "red", days = 7, release = { negative_tests_on = [7] } }, { color = "yellow", days = 7 }]
anchor = ["measured_at"]
basis = { en = "fever", zh = "发热" }

[[rule]]
id = "T-2"
fact = "symptom"
phases = [{ color = "orange", days = 2 }]
anchor = ["reported_at"]
basis = { en = "ill", zh = "有症状" }

[[rule]]
id = "T-3"
fact = "purchase"
phases = [{ color = "red", release = { confirmation = true } }, { color = "orange", days = 3, release = { checkins = 3 } }, { color = "yellow" }]
anchor = ["purchased_at"]
basis = { en = "bought", zh = "购药" }
"#;
    let tables = [
        (
            "temperatures",
            "person_id,measured_at,celsius\na,2022-03-01 09:00,38\nb,2022-03-01 09:00,38\nb,2022-03-02 09:00,38\nc,2022-03-01 09:00,38\nd,2022-03-01 09:00,38\n",
        ),
        ("symptoms", "person_id,reported_at,symptom\nc,2022-03-11 09:00,fever\n"),
        ("tests", "person_id,sampled_at,result\nd,2022-03-09 09:00,negative\n"),
        ("purchases", "person_id,purchased_at\ne,2022-03-09 09:00\n"),
    ];
    let folder = world_of(&pack(rule), &tables);
    let columns = ["person_id", "color", "missing", "color_without"];
    let test = "1 negative test (next from 2022-03-12)";
    assert_eq!(
        night(&folder, "2022-03-12", "overdue", &columns),
        [
            format!("a red {test} yellow"),
            format!("b red {test} yellow"),
            format!("c red {test} orange"),
            "e red an office's confirmation orange".to_string()
        ],
        "day 11: seven red days and some yellow ones; d was released late, and waits for nothing"
    );
    let without = |date: &str| night(&folder, date, "overdue", &["person_id", "color_without"]);
    assert_eq!(without("2022-03-15")[0], "a yellow");
    assert_eq!(without("2022-03-16"), ["a green", "b yellow", "c green", "e yellow"]);
    assert_eq!(without("2022-03-17")[1], "b green");
}

#[test]
fn whoever_has_recovered_is_yellow_for_14_days_in_jiangsu() {
    let folder = world("jiangsu", &[]);
    folder.write(
        "cases.csv",
        "person_id,status,sampled_at,reported_at,recovered_at\nc1,confirmed,2022-03-01 09:00,2022-03-01 10:00,2022-03-08 09:00\nc2,asymptomatic,2022-03-01 09:00,2022-03-01 10:00,2022-03-20 09:00\nc3,suspected,2022-03-01 09:00,2022-03-01 10:00,2022-03-08 09:00\n",
    );
    let columns = ["person_id", "color", "rule_id", "until"];
    let colors = |date: &str| night(&folder, date, "colors", &columns);
    assert_eq!(
        colors("2022-03-07"),
        ["c1 red JS-R1 2022-03-08", "c2 red JS-R2 2022-03-20", "c3 red JS-R1 2022-03-08"]
    );
    assert_eq!(colors("2022-03-08"), ["c1 yellow JS-Y2b 2022-03-23", "c2 red JS-R2 2022-03-20"]);
    assert_eq!(colors("2022-03-22"), ["c1 yellow JS-Y2b 2022-03-23", "c2 yellow JS-Y2b 2022-04-04"]);
    assert_eq!(colors("2022-03-23"), ["c2 yellow JS-Y2b 2022-04-04"]);
    let calendar = ["date", "person_id", "color_before", "color_after", "rule_id"];
    assert_eq!(
        night(&folder, "2022-03-07", "calendar", &calendar),
        [
            "2022-03-08 c1 red yellow JS-Y2b",
            "2022-03-08 c3 red green JS-R1",
            "2022-03-20 c2 red yellow JS-Y2b"
        ]
    );
}
