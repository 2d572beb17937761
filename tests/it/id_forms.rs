//! Ids come back out exactly as they came in, whatever they are made of, and join across file formats.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, DictionaryArray, UInt64Array};
use arrow::datatypes::{DataType, Int32Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::support::{Folder, MARCH, cast_to, ints, rows, texts};

const TRACE: &str = "trace --time-unit s --cases CASES --out out --visits visits.parquet";

/// Traces a venue all of `persons` visit at once, the first being the case; returns the contacts' ids and the type
/// of their column.
fn contacts_of(folder: &Folder, persons: ArrayRef, cases: &str) -> (Vec<String>, DataType) {
    let many = persons.len();
    let columns = [
        ("person_id", persons),
        ("venue_id", texts(&vec!["v1"; many])),
        ("arrived_at", ints(&vec![MARCH; many])),
        ("left_at", ints(&vec![MARCH + 3_600; many])),
    ];
    folder.write_parquet("visits.parquet", &columns);
    folder.json(&TRACE.replace("CASES", cases), 0);
    let out = folder.join("out/contacts.parquet");
    let contacts = rows(&out, &["person_id"]).concat();
    let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(out).unwrap()).unwrap();
    (contacts, reader.schema().field_with_name("person_id").unwrap().data_type().clone())
}

/// A cases table of one person, as CSV.
fn case(folder: &Folder, id: &str) {
    let quoted = id.replace('"', "\"\"");
    folder.write("cases.csv", format!("person_id,onset_at\n\"{quoted}\",{MARCH}\n"));
}

#[test]
fn texts_of_every_kind() {
    let folder = Folder::new();
    let odd = [
        "007",
        "7",
        "+7",
        " 7 ",
        "a,b",
        "say \"hi\"",
        "two\nlines",
        "=cmd()",
        "张伟",
        "e\u{301}",
        "é",
        "\u{1f600}",
        "NULL",
    ];
    case(&folder, "007");
    let mut expected: Vec<&str> = odd[1..].to_vec();
    expected.sort();
    assert_eq!(
        contacts_of(&folder, texts(&odd), "cases.csv"),
        (expected.into_iter().map(String::from).collect(), DataType::Utf8)
    );
    for id in ["two\nlines", "say \"hi\"", "张伟", "a,b", " 7 "] {
        case(&folder, id);
        let (contacts, _) = contacts_of(&folder, texts(&odd), "cases.csv");
        assert_eq!(contacts.len(), odd.len() - 1, "{id:?} is found as the case");
        assert!(!contacts.contains(&id.to_string()), "{id:?}");
    }
}

#[test]
fn csv_ids_come_back_from_a_csv() {
    let folder = Folder::with_case();
    let mut table = String::from(
        "person_id,venue_id,arrived_at,left_at\nzoe-7731,v1,2022-03-01T08:00:00Z,2022-03-01T09:00:00Z\n",
    );
    for id in ["007", "\"a,b\"", "\"say \"\"hi\"\"\"", "\"two\nlines\"", "张伟", " 7 "] {
        table += &format!("{id},v1,2022-03-01T08:00:00Z,2022-03-01T09:00:00Z\n");
    }
    folder.write("visits.csv", table);
    folder.run("trace --visits visits.csv --cases cases.csv --out out").done();
    let contacts = rows(&folder.join("out/contacts.parquet"), &["person_id"]).concat();
    assert_eq!(contacts, [" 7 ", "007", "a,b", "say \"hi\"", "two\nlines", "张伟"]);
}

#[test]
fn integers_of_every_width() {
    let folder = Folder::new();
    case(&folder, "1");
    for (kind, low, high) in [
        (DataType::Int8, -128_i64, 127_i64),
        (DataType::Int16, -32_768, 32_767),
        (DataType::Int32, i64::from(i32::MIN), i64::from(i32::MAX)),
        (DataType::Int64, i64::MIN, i64::MAX),
        (DataType::UInt8, 0, 255),
        (DataType::UInt32, 0, i64::from(u32::MAX)),
    ] {
        let persons = cast_to(&ints(&[1, high, low, 5]), kind.clone());
        let expected = [low, 5, high].map(|id| id.to_string()).to_vec();
        assert_eq!(contacts_of(&folder, persons, "cases.csv"), (expected, DataType::Int64), "{kind}");
    }
    let persons: ArrayRef = Arc::new(UInt64Array::from(vec![1, u64::MAX, 0, 5]));
    let expected = ["0", "5", "18446744073709551615"].map(String::from).to_vec();
    assert_eq!(
        contacts_of(&folder, persons, "cases.csv"),
        (expected, DataType::UInt64),
        "by value, not by text"
    );
}

#[test]
fn dictionaries_and_large_texts() {
    let folder = Folder::new();
    case(&folder, "a");
    let expected = (vec!["b".to_string(), "c".to_string()], DataType::Utf8);
    let dictionary: DictionaryArray<Int32Type> = ["a", "c", "b", "a"].into_iter().collect();
    assert_eq!(contacts_of(&folder, Arc::new(dictionary), "cases.csv"), expected);
    for kind in [DataType::LargeUtf8, DataType::Utf8View] {
        assert_eq!(
            contacts_of(&folder, cast_to(&texts(&["a", "b", "c"]), kind.clone()), "cases.csv"),
            expected,
            "{kind}"
        );
    }
}

#[test]
fn csv_cases_meet_integer_visits_only_where_they_are_the_same_id() {
    let folder = Folder::new();
    let persons = || ints(&[-5, 7, 9]);
    case(&folder, "-5");
    assert_eq!(contacts_of(&folder, persons(), "cases.csv").0, ["7", "9"]);
    let onset = MARCH;
    folder.write(
        "cases.csv",
        format!("person_id,onset_at\n7,{onset}\n007,{onset}\n+9,{onset}\nnine,{onset}\n"),
    );
    let answer = folder.json(&TRACE.replace("CASES", "cases.csv"), 1);
    assert_eq!(answer["balance"]["rejected"], 3);
    let rejects = rows(&folder.join("out/rejects.parquet"), &["table", "file", "row", "column", "reason"]);
    let expected =
        ["2", "3", "4"].map(|row| ["cases", "cases.csv", row, "person_id", "foreign_id"].map(String::from));
    assert_eq!(rejects, expected);
    assert_eq!(rows(&folder.join("out/contacts.parquet"), &["person_id"]).concat(), ["-5", "9"]);
}

#[test]
fn ids_of_a_store_keep_their_form() {
    let folder = Folder::new();
    folder.write("one.csv", "person_id,venue_id,arrived_at,left_at\nyan-8842,v1,0,900\n");
    folder.run("ingest --store text --visits one.csv --time-unit s").done();
    let columns = [
        ("person_id", ints(&[4])),
        ("venue_id", texts(&["v1"])),
        ("arrived_at", ints(&[0])),
        ("left_at", ints(&[900])),
    ];
    folder.write_parquet("two.parquet", &columns);
    folder.run("ingest --store text --visits two.parquet --time-unit s").done();
    folder.run("ingest --store ints --visits two.parquet --time-unit s").done();
    folder.refuses(
        "ingest --store ints --visits one.csv --time-unit s",
        2,
        "input",
        &["one.csv: column person_id: expected integer ids as the store or the other files have, found others"],
    );
    folder.run("contacts --store text --out out").done();
    assert_eq!(rows(&folder.join("out/pairs.parquet"), &["person_a", "person_b"]), [["4", "yan-8842"]]);
}
