//! Rows that cannot be used: exactly they are in rejects, with file, row, column and reason, and no row is lost.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, TimestampMicrosecondArray, TimestampSecondArray};

use crate::support::{Folder, MARCH, ints, rows, texts};

const TRACE: &str = "trace --cases cases.csv --out out --visits";

/// Traces the visits in the file that `words` begin with; compares the balance of all rows, the case's included, and
/// the rejects of the visits.
fn check(folder: &Folder, words: &str, balance: [u64; 4], rejects: &[(u64, &str, &str)]) {
    let visits = words.split(' ').next().unwrap();
    let status = i32::from(balance[3] > 0);
    let answer = folder.json(&format!("{TRACE} {words}"), status);
    let found =
        ["rows", "accepted", "merged", "rejected"].map(|name| answer["balance"][name].as_u64().unwrap());
    assert_eq!(found, balance, "{visits}: rows, accepted, merged, rejected");
    assert_eq!(found[0], found[1] + found[2] + found[3], "{visits}");
    let found = rows(&folder.join("out/rejects.parquet"), &["table", "file", "row", "column", "reason"]);
    let expected: Vec<Vec<String>> = rejects
        .iter()
        .map(|(row, column, reason)| {
            ["visits", visits, &row.to_string(), column, reason].map(String::from).to_vec()
        })
        .collect();
    assert_eq!(found, expected, "{visits}");
}

const HEADER: &str = "person_id,venue_id,arrived_at,left_at";

/// Spans of one person at one venue, as CSV.
fn spans(spans: &[(&str, &str)]) -> String {
    let lines = spans.iter().map(|(from, until)| format!("yan-8842,v1,{from},{until}\n"));
    format!("{HEADER}\n{}", lines.collect::<String>())
}

#[test]
fn csv_cells_that_cannot_be_used() {
    let folder = Folder::with_case();
    let (eight, nine) = ("2022-03-01T08:00:00Z", "2022-03-01T09:00:00Z");
    let table = format!(
        "{HEADER}\n\
         zoe-7731,v1,{eight},{nine}\n\
         ,v1,{eight},{nine}\n\
         yan-8842,,{eight},{nine}\n\
         yan-8842,v1,yesterday,{nine}\n\
         yan-8842,v1,{eight},\n\
         yan-8842,v1,{eight},2022-13-01T09:00:00Z\n\
         yan-8842,v1,{eight},{nine},more\n\
         yan-8842,v1,{eight}\n\
         yan-8842,v1,{eight},{nine}\n"
    );
    folder.write("visits.csv", table);
    let rejects = [
        (2, "person_id", "missing"),
        (3, "venue_id", "missing"),
        (4, "arrived_at", "unreadable"),
        (5, "left_at", "missing"),
        (6, "left_at", "unreadable"),
        (7, "", "field_count"),
        (8, "", "field_count"),
    ];
    check(&folder, "visits.csv", [10, 3, 0, 7], &rejects);
    let contacts = rows(&folder.join("out/contacts.parquet"), &["person_id", "ring", "overlap_s"]);
    assert_eq!(contacts, [["yan-8842", "1", "3600"]], "the good rows are used");
}

#[test]
fn csv_bytes_that_are_no_text() {
    let folder = Folder::with_case();
    let mut table = format!("{HEADER}\n").into_bytes();
    for id in [&b"yan-8842"[..], b"yan-\xff\xfe", b"xue-9953"] {
        table.extend([id, b",v1,2022-03-01T08:00:00Z,2022-03-01T09:00:00Z\n"].concat());
    }
    table.extend(b"yan-8842,v1,2022-03-01T10:00:00Z,2022-03-01T1\xc3\x28:00:00Z\n");
    folder.write("visits.csv", table);
    let rejects = [(2, "person_id", "unreadable"), (4, "left_at", "unreadable")];
    check(&folder, "visits.csv", [5, 3, 0, 2], &rejects);
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_name() {
    let folder = Folder::with_case();
    for header in ["\u{feff}person_id", "\u{feff}\"person_id\""] {
        let line = "yan-8842,v1,2022-03-01T08:00:00Z,2022-03-01T09:00:00Z";
        folder.write("visits.csv", format!("{header},venue_id,arrived_at,left_at\r\n{line}\r\n"));
        check(&folder, "visits.csv", [2, 2, 0, 0], &[]);
    }
}

#[test]
fn spans_that_are_none() {
    let folder = Folder::with_case();
    let table = spans(&[
        ("2022-03-01T08:00:00Z", "2022-03-01T07:59:59Z"),
        ("2022-03-01T08:00:00Z", "2022-03-01T08:00:00Z"),
        ("2022-03-01T08:00:00Z", "2022-03-01T08:00:00.9Z"),
        ("2022-03-01T08:00:00+01:00", "2022-03-01T07:00:00Z"),
        ("2022-03-01T08:00:00Z", "2022-03-01T08:00:01Z"),
    ]);
    folder.write("visits.csv", table);
    let rejects = [
        (1, "left_at", "ends_before_start"),
        (2, "left_at", "empty_span"),
        (3, "left_at", "empty_span"),
        (4, "left_at", "empty_span"),
    ];
    check(&folder, "visits.csv", [6, 2, 0, 4], &rejects);
}

#[test]
fn times_outside_the_range() {
    let folder = Folder::with_case();
    let table = spans(&[
        ("1969-12-31T23:59:59Z", "1970-01-01T00:00:01Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z"),
        ("2106-02-07T06:28:13Z", "2106-02-07T06:28:14Z"),
        ("2106-02-07T06:28:14Z", "2106-02-07T06:28:15Z"),
        ("2022-03-01T08:00:00Z", "9999-12-30T00:00:00Z"),
        ("0001-01-01T00:00:00Z", "2022-03-01T08:00:00Z"),
    ]);
    folder.write("visits.csv", table);
    let far = "time_out_of_range";
    check(
        &folder,
        "visits.csv",
        [7, 3, 0, 4],
        &[(1, "arrived_at", far), (4, "left_at", far), (5, "left_at", far), (6, "arrived_at", far)],
    );
}

#[test]
fn times_at_the_ends_of_their_type() {
    let folder = Folder::with_case();
    let ends = [i64::MIN, i64::MAX, -1, MARCH * 1_000_000];
    let good = vec![(MARCH + 60) * 1_000_000; 4];
    let ids: ArrayRef = texts(&["yan-8842"; 4]);
    let venues: ArrayRef = texts(&["v1"; 4]);
    let far = [
        (1, "arrived_at", "time_out_of_range"),
        (2, "arrived_at", "time_out_of_range"),
        (3, "arrived_at", "time_out_of_range"),
    ];
    for zone in [Some("UTC"), None] {
        let time = |cells: Vec<i64>| -> ArrayRef {
            Arc::new(TimestampMicrosecondArray::from(cells).with_timezone_opt(zone))
        };
        let columns = [
            ("person_id", ids.clone()),
            ("venue_id", venues.clone()),
            ("arrived_at", time(ends.to_vec())),
            ("left_at", time(good.clone())),
        ];
        folder.write_parquet("visits.parquet", &columns);
        check(&folder, "visits.parquet --time-zone Pacific/Auckland", [5, 2, 0, 3], &far);
    }
}

#[test]
fn null_and_empty_ids_in_parquet() {
    let folder = Folder::with_case();
    let ids: ArrayRef = Arc::new(StringArray::from(vec![Some("yan-8842"), None, Some(""), Some("xue-9953")]));
    let venues: ArrayRef = Arc::new(StringArray::from(vec![Some("v1"), Some("v1"), Some("v1"), None]));
    let time =
        |at: i64| -> ArrayRef { Arc::new(TimestampSecondArray::from(vec![at; 4]).with_timezone("UTC")) };
    let columns = [
        ("person_id", ids),
        ("venue_id", venues),
        ("arrived_at", time(MARCH)),
        ("left_at", time(MARCH + 900)),
    ];
    folder.write_parquet("visits.parquet", &columns);
    let rejects = [(2, "person_id", "missing"), (3, "person_id", "missing"), (4, "venue_id", "missing")];
    check(&folder, "visits.parquet", [5, 2, 0, 3], &rejects);
}

#[test]
fn repeated_rows_are_merged() {
    let folder = Folder::with_case();
    let same = ("2022-03-01T08:00:00Z", "2022-03-01T09:00:00Z");
    let table = spans(&[same, same, ("2022-03-01T09:00:00Z", "2022-03-01T10:00:00Z"), same]);
    folder.write("visits.csv", table);
    check(&folder, "visits.csv", [5, 2, 3, 0], &[]);
}

#[test]
fn tables_without_rows() {
    let folder = Folder::with_case();
    folder.write("visits.csv", format!("{HEADER}\n"));
    check(&folder, "visits.csv", [1, 1, 0, 0], &[]);
    let none: ArrayRef = texts(&[]);
    let columns =
        [("person_id", none.clone()), ("venue_id", none), ("arrived_at", ints(&[])), ("left_at", ints(&[]))];
    folder.write_parquet("visits.parquet", &columns);
    let answer = folder.json(&format!("{TRACE} visits.parquet --time-unit s"), 0);
    assert_eq!(answer["balance"]["rows"], 1);
    assert!(rows(&folder.join("out/contacts.parquet"), &["person_id"]).is_empty());
}

#[test]
fn row_numbers_go_on_past_a_batch() {
    let folder = Folder::with_case();
    let mut table = format!("{HEADER}\n");
    for row in 1..=40_000 {
        let person = if row % 17_000 == 0 { "" } else { "yan-8842" };
        table += &format!("{person},v{row},2022-03-01T08:00:00Z,2022-03-01T09:00:00Z\n");
    }
    folder.write("visits.csv", table);
    folder.json(&format!("{TRACE} visits.csv"), 0);
    let found = rows(&folder.join("out/rejects.parquet"), &["row", "reason"]);
    assert_eq!(found, [["17000", "missing"], ["34000", "missing"]], "2 of 40,000 are below the limit of 1 %");
}

#[test]
fn rejected_cases_and_windows() {
    let folder = Folder::new();
    folder.write("visits.csv", spans(&[("2022-03-01T08:00:00Z", "2022-03-01T09:00:00Z")]));
    folder.write(
        "cases.csv",
        "person_id,status,onset_at,infectious_from,infectious_until\n\
         zoe-7731,confirmed,2022-03-01T00:00:00Z,,\n\
         zoe-7731,certain,2022-03-01T00:00:00Z,,\n\
         zoe-7731,CONFIRMED,,,\n\
         zoe-7731,,,2022-03-02T00:00:00Z,2022-03-01T00:00:00Z\n\
         xue-9953,withdrawn,,,\n",
    );
    folder.write(
        "windows.csv",
        "window_id,venue_id,from,until\n\
         w1,v1,2022-03-01T08:00:00Z,2022-03-01T08:00:00Z\n\
         w2,v1,2022-03-01T08:00:00Z,2022-03-01T08:30:00Z\n\
         ,v1,2022-03-01T08:00:00Z,2022-03-01T08:30:00Z\n",
    );
    let words = "trace --visits visits.csv --cases cases.csv --windows windows.csv --out out";
    let balance = &folder.json(words, 1)["balance"];
    assert_eq!(
        (&balance["rows"], &balance["accepted"], &balance["rejected"]),
        (&9.into(), &4.into(), &5.into())
    );
    let found = rows(&folder.join("out/rejects.parquet"), &["table", "row", "column", "reason"]);
    let expected = [
        ["cases", "2", "status", "unknown_word"],
        ["cases", "3", "onset_at", "no_window"],
        ["cases", "4", "infectious_until", "ends_before_start"],
        ["windows", "1", "until", "empty_span"],
        ["windows", "3", "window_id", "missing"],
    ];
    assert_eq!(found, expected);
    let contacts =
        rows(&folder.join("out/contacts.parquet"), &["person_id", "best_source_id", "best_source_kind"]);
    assert_eq!(contacts, [["yan-8842", "w2", "window"]]);
}
