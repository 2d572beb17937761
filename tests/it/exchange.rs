//! What other tools import, from a night full of ids and names that would do harm if they were taken for anything but text.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::Value;

use crate::support::{Folder, rows};

/// Ids that a spreadsheet, an XML reader or a page could take for something else.
const PERSONS: [&str; 16] = [
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "＝HYPERLINK(\"http://x\")",
    "|calc",
    "%0A=1",
    "'quoted",
    "<b>&amp;\"'</b>",
    "</script><script>window.__hacked=1</script>",
    "a,b;c",
    "back\\slash\"quote",
    "two\nlines",
    "bell\u{7}",
    "-5",
    "张三",
];
const VENUE: &str = "=v<1>";
const NAME: &str = "</script><img src=x onerror=\"window.__hacked=1\">\"=2+2";
const RUN: &str = "runs/2022-03-03";

/// A night on which a case met every one of them, one of whom met another later, and an exposure site caught a third.
fn night() -> Folder {
    let folder = Folder::new();
    let table = |name: &str, header: &[&str], rows: Vec<Vec<String>>| {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(header).unwrap();
        rows.iter().for_each(|row| writer.write_record(row).unwrap());
        folder.write(name, writer.into_inner().unwrap());
    };
    let text = |cells: [&str; 4]| cells.map(String::from).to_vec();
    let mut visits = vec![text(["case 1", VENUE, "2022-03-01 08:00", "2022-03-01 20:00"])];
    visits.push(text(["case 1", "plain", "2022-03-02 08:00", "2022-03-02 20:00"]));
    for (at, person) in PERSONS.iter().enumerate() {
        let hour = 8 + at % 10;
        visits.push(text([
            person,
            VENUE,
            &format!("2022-03-01 {hour:02}:00"),
            &format!("2022-03-01 {:02}:40", hour + 1),
        ]));
    }
    // Twice with the same one, touching nothing in between; a second ring; a second case; and someone at a site.
    visits.push(text([PERSONS[0], "plain", "2022-03-02 09:00", "2022-03-02 10:00"]));
    visits.push(text([PERSONS[0], "later", "2022-03-03 09:00", "2022-03-03 12:00"]));
    visits.push(text(["second ring", "later", "2022-03-03 10:00", "2022-03-03 11:00"]));
    visits.push(text(["case 2", VENUE, "2022-03-01 12:00", "2022-03-01 13:00"]));
    visits.push(text(["at the site", "site", "2022-03-02 10:00", "2022-03-02 11:00"]));
    table("visits.csv", &["person_id", "venue_id", "arrived_at", "left_at"], visits);
    table(
        "venues.csv",
        &["venue_id", "category", "region_id", "name"],
        vec![text([VENUE, "@meal", "../=R", NAME]), text(["plain", "shop", "R2", "+shop"])],
    );
    table(
        "cases.csv",
        &["person_id", "status", "onset_at", "reported_at"],
        vec![
            text(["case 1", "confirmed", "2022-03-01 09:00", "2022-03-02 07:00"]),
            text(["case 2", "confirmed", "2022-03-03 08:00", "2022-03-03 12:00"]),
        ],
    );
    table(
        "windows.csv",
        &["window_id", "venue_id", "from", "until"],
        vec![text(["=W", "site", "2022-03-02 09:00", "2022-03-02 12:00"])],
    );
    folder.write(
        "night.toml",
        "time_zone = \"Asia/Shanghai\"\n[visits]\npaths = [\"visits.csv\"]\n[venues]\npaths = [\"venues.csv\"]\n\
         [cases]\npaths = [\"cases.csv\"]\n[windows]\npaths = [\"windows.csv\"]\n",
    );
    folder.run("run --config night.toml --date 2022-03-03").done();
    folder
}

/// A CSV file with its cells.
fn table(folder: &Folder, name: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(folder.join(name)).unwrap();
    let header = reader.headers().unwrap().clone();
    let record = |record: csv::StringRecord| {
        header.iter().map(String::from).zip(record.iter().map(String::from)).collect()
    };
    reader.records().map(|row| record(row.unwrap())).collect()
}

/// An id as it was before it was made safe for spreadsheets.
fn plain(cell: &str) -> String {
    cell.strip_prefix('\'').unwrap_or(cell).to_string()
}

/// Exposures between persons, and links between cases, of the night: `source, contact, ring`, sorted.
fn meetings(folder: &Folder) -> Vec<[String; 3]> {
    let columns = ["source_id", "contact_id", "ring", "source_kind"];
    let exposures = rows(&folder.join(format!("{RUN}/exposures.parquet")), &columns);
    let between_persons = exposures.iter().filter(|row| row[3] == "person");
    let mut all: Vec<[String; 3]> =
        between_persons.map(|row| [row[0].clone(), row[1].clone(), row[2].clone()]).collect();
    let links = rows(&folder.join(format!("{RUN}/links.parquet")), &["infector_id", "case_id"]);
    assert_eq!(links, [["case 2", "case 1"], ["case 1", "case 2"]]);
    all.extend(links.into_iter().map(|row| [row[0].clone(), row[1].clone(), "0".into()]));
    all.sort();
    all
}

/// Everyone in the night's graph.
fn everyone() -> BTreeSet<String> {
    let others = ["case 1", "case 2", "second ring", "at the site"];
    PERSONS.iter().chain(&others).map(|id| id.to_string()).collect()
}

#[test]
fn no_cell_of_any_export_starts_a_formula() {
    let folder = night();
    for tool in ["epicontacts", "godata", "sormas"] {
        folder.run(&format!("export --run {RUN} --for {tool} --out {tool}")).done();
    }
    let mut cells = 0;
    for name in [
        "epicontacts/linelist.csv",
        "epicontacts/contacts.csv",
        "godata/cases.csv",
        "godata/contacts.csv",
        "godata/contacts_of_contacts.csv",
        "sormas/contacts.csv",
    ] {
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).from_path(folder.join(name)).unwrap();
        for cell in reader.records().flat_map(|row| row.unwrap().iter().map(String::from).collect::<Vec<_>>())
        {
            let first = cell.trim_start().chars().next();
            let sign = matches!(first, Some('=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠' | '|' | '%'));
            assert!(!sign || cell.parse::<f64>().is_ok(), "{name}: {cell:?}");
            cells += 1;
        }
    }
    assert!(cells > 500, "{cells}");
}

#[test]
fn epicontacts_gets_unique_ids_and_contacts_from_one_to_another() {
    let folder = night();
    let done = folder.json(&format!("export --run {RUN} --for epicontacts --out out"), 0);
    let (linelist, contacts) = (table(&folder, "out/linelist.csv"), table(&folder, "out/contacts.csv"));
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    assert!(text("out/linelist.csv").starts_with("id,") && text("out/contacts.csv").starts_with("from,to,"));
    // Line breaks, other control characters and the backslash are written as escapes: R takes every line break for the same.
    let plain = |cell: &str| {
        let parts: Vec<String> = plain(cell)
            .split("\\\\")
            .map(|part| part.replace("\\n", "\n").replace("\\u{7}", "\u{7}"))
            .collect();
        parts.join("\\")
    };
    let ids: Vec<String> = linelist.iter().map(|row| plain(&row["id"])).collect();
    assert_eq!(ids.len(), everyone().len(), "each once");
    assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), everyone());
    let mut found: Vec<[String; 3]> =
        contacts.iter().map(|row| [plain(&row["from"]), plain(&row["to"]), row["ring"].clone()]).collect();
    found.sort();
    assert_eq!(found, meetings(&folder));
    assert_eq!(done["meetings"], found.len());
    assert!(done["notes"][0].as_str().unwrap().starts_with("1 exposures to sites are left out"), "{done}");
    for row in &contacts {
        assert!(row["start"] < row["end"], "{row:?}");
    }
}

#[test]
fn godata_gets_everyone_with_the_person_they_lead_from() {
    let folder = night();
    folder.run(&format!("export --run {RUN} --for godata --out out")).done();
    let [cases, first, second] =
        ["cases", "contacts", "contacts_of_contacts"].map(|name| table(&folder, &format!("out/{name}.csv")));
    let ids = |rows: &[BTreeMap<String, String>]| -> BTreeSet<String> {
        rows.iter().map(|row| row["visualId"].clone()).collect()
    };
    assert_eq!(
        (cases.len(), first.len(), second.len()),
        (2, PERSONS.len(), 1),
        "the one at the site has no source"
    );
    assert!(first.iter().all(|row| ids(&cases).contains(&row["relationship.relatedId"])));
    assert!(second.iter().all(|row| ids(&first).contains(&row["relationship.relatedId"])));
    assert!(first.iter().all(|row| row["relationship.contactDate"] == "2022-03-01"), "the longest meeting");
}

#[test]
fn godata_and_sormas_name_only_who_is_there() {
    let folder = Folder::new();
    // s was exposed to a site only, t to s; d met the case and lay in hospital before that.
    folder.write(
        "visits.csv",
        "person_id,venue_id,arrived_at,left_at\n\
         s,site,2022-03-01 10:00,2022-03-01 12:00\ns,park,2022-03-02 10:00,2022-03-02 12:00\nt,park,2022-03-02 10:00,2022-03-02 12:00\n\
         c,hall,2022-03-02 10:00,2022-03-02 12:00\nd,hall,2022-03-02 10:00,2022-03-02 12:00\n\
         d,shop,2022-03-03 10:00,2022-03-03 12:00\ne,shop,2022-03-03 10:00,2022-03-03 12:00\n",
    );
    folder.write(
        "cases.csv",
        "person_id,status,onset_at,reported_at\nc,confirmed,2022-03-02 08:00,2022-03-03 08:00\n",
    );
    folder.write("windows.csv", "window_id,venue_id,from,until\nw,site,2022-03-01 09:00,2022-03-01 13:00\n");
    folder
        .write("isolations.csv", "person_id,from,until,kind\nd,2022-02-25 08:00,2022-03-01 08:00,hospital\n");
    let tables = ["visits", "cases", "windows", "isolations"];
    let tables = tables.map(|name| format!("[{name}]\npaths = [\"{name}.csv\"]\n")).concat();
    folder.write("night.toml", format!("time_zone = \"Asia/Shanghai\"\n{tables}"));
    folder.run("run --config night.toml --date 2022-03-04").done();
    folder.run("export --run runs/2022-03-04 --for godata --out godata").done();
    let listed = |name: &str| -> Vec<[String; 2]> {
        let rows = table(&folder, &format!("godata/{name}.csv"));
        rows.iter().map(|row| [row["visualId"].clone(), row["relationship.relatedId"].clone()]).collect()
    };
    assert_eq!(listed("contacts"), [["d", "c"]]);
    assert_eq!(listed("contacts_of_contacts"), [["e", "d"]], "t leads to s, who leads to no person");
    folder.run("export --run runs/2022-03-04 --for sormas --out sormas").done();
    let text = std::fs::read_to_string(folder.join("sormas/contacts.csv")).unwrap();
    let lines: Vec<Vec<String>> = text.lines().map(|line| opencsv(line, ',')).collect();
    let column = |name: &str| lines[1].iter().position(|cell| cell == name).unwrap();
    let of = |person: &str, name: &str| -> String {
        let row = lines.iter().find(|row| row.get(column("externalID")).is_some_and(|id| id == person));
        row.unwrap_or_else(|| panic!("no row of {person}"))[column(name)].clone()
    };
    let cases: Vec<String> = ["d", "e", "s", "t"].map(|person| of(person, "caseIdExternalSystem")).into();
    assert_eq!(cases, ["c", "c", "", ""], "the case, also of a contact's contact");
    assert_eq!(of("d", "multiDayContact"), "false");
    assert_ne!(of("d", "quarantine"), "HOSPITAL", "that was before");
    folder.refuses(
        "export --run runs/2022-03-04 --for sormas --date-format abc --out no",
        2,
        "usage",
        &["--date-format"],
    );
}

/// Cells of a line as opencsv reads them: quotes doubled, the backslash an escape.
fn opencsv(line: &str, separator: char) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => cell.push(letters.next().expect("an escape escapes something")),
            '"' if quoted && letters.peek() == Some(&'"') => cell.push(letters.next().unwrap()),
            '"' => quoted = !quoted,
            c if c == separator && !quoted => cells.push(std::mem::take(&mut cell)),
            c => cell.push(c),
        }
    }
    assert!(!quoted, "{line}");
    cells.push(cell);
    cells
}

#[test]
fn sormas_gets_its_four_head_lines_and_quarantine_dates() {
    let folder = night();
    let words = format!("export --run {RUN} --for sormas");
    for (options, separator, date) in
        [("--out a", ',', "03/03/2022"), ("--separator ; --date-format %d.%m.%Y --out b", ';', "03.03.2022")]
    {
        let done = folder.json(&format!("{words} {options}"), 0);
        let text = std::fs::read_to_string(folder.join(done["files"][0].as_str().unwrap())).unwrap();
        let lines: Vec<&str> = text.strip_suffix('\n').unwrap().split('\n').collect();
        assert_eq!(lines.len(), 4 + PERSONS.len() + 2, "a line break in an id starts no row");
        let (entities, columns) = (opencsv(lines[0], separator), opencsv(lines[1], separator));
        assert!(lines[2].starts_with("##") && lines[3].starts_with("##"));
        assert_eq!(entities.len(), columns.len());
        for (entity, column) in entities.iter().zip(&columns) {
            assert_eq!(entity == "Person", column.starts_with("person."));
        }
        let mut persons = BTreeSet::new();
        for line in &lines[4..] {
            let row: BTreeMap<&str, String> =
                columns.iter().map(String::as_str).zip(opencsv(line, separator)).collect();
            assert_eq!(row["reportDateTime"], date);
            assert_eq!(row["overwriteFollowUpUntil"] == "true", !row["followUpUntil"].is_empty());
            assert!(!row["quarantineFrom"].is_empty() && !row["quarantineTo"].is_empty(), "{row:?}");
            persons.insert(plain(&row["person.lastName"]));
        }
        let lines_joined = |id: &str| id.replace('\n', " ");
        let expected: BTreeSet<String> =
            everyone().iter().filter(|id| !id.starts_with("case")).map(|id| lines_joined(id)).collect();
        assert_eq!(persons, expected);
    }
    folder.run(&format!("{words} --region North --district Center --out c")).done();
    let text = std::fs::read_to_string(folder.join("c/contacts.csv")).unwrap();
    assert!(text.lines().skip(4).all(|line| line.ends_with("\"North\",\"Center\"")), "{text}");
    folder.refuses(&format!("{words} --date-format %Q9 --out d"), 2, "usage", &["--date-format"]);
}

/// The elements of a document by name: attributes, and the text within.
fn elements(bytes: &[u8]) -> Vec<(String, BTreeMap<String, String>, String)> {
    let mut reader = Reader::from_reader(bytes);
    reader.config_mut().check_end_names = true;
    let mut found: Vec<(String, BTreeMap<String, String>, String)> = Vec::new();
    let mut open = Vec::new();
    loop {
        let event = reader.read_event().unwrap();
        match &event {
            Event::Start(tag) | Event::Empty(tag) => {
                let attribute = |a: quick_xml::events::attributes::Attribute<'_>| {
                    let key = a.key.as_ref().to_string();
                    let value = a.value.to_string();
                    (key, quick_xml::escape::unescape(&value).unwrap().into_owned())
                };
                let attributes = tag.attributes().map(|a| attribute(a.unwrap())).collect();
                found.push((tag.name().as_ref().to_string(), attributes, String::new()));
                if matches!(event, Event::Start(_)) {
                    open.push(found.len() - 1);
                }
            }
            Event::Text(text) => {
                if let Some(at) = open.last() {
                    found[*at].2 += &**text;
                }
            }
            Event::GeneralRef(entity) => {
                let name = entity.to_string();
                let at = *open.last().unwrap();
                found[at].2 += &quick_xml::escape::unescape(&format!("&{name};")).unwrap();
            }
            Event::End(_) => drop(open.pop()),
            Event::Eof => return found,
            _ => {}
        }
    }
}

#[test]
fn graphs_hold_everyone_and_every_meeting() {
    let folder = night();
    let printable = |id: &String| id.replace('\u{7}', "\u{fffd}");
    let expected: BTreeSet<String> = everyone().iter().map(printable).collect();
    folder.run(&format!("export --run {RUN} --for graphml --out g")).done();
    folder.run(&format!("export --run {RUN} --for gexf --out x")).done();
    let graphml = elements(&std::fs::read(folder.join("g/contacts.graphml")).unwrap());
    let ids = graphml.iter().filter(|(tag, at, _)| tag == "data" && at["key"] == "node-person_id");
    assert_eq!(ids.map(|(.., text)| text.clone()).collect::<BTreeSet<_>>(), expected);
    let keys: HashSet<&String> = graphml.iter().filter(|e| e.0 == "key").map(|e| &e.1["id"]).collect();
    assert!(
        graphml.iter().filter(|e| e.0 == "data").all(|e| keys.contains(&e.1["key"])),
        "every key is declared"
    );
    let all = meetings(&folder);
    let pairs: BTreeSet<[&String; 2]> = all.iter().map(|[from, to, _]| [from, to]).collect();
    let gexf = elements(&std::fs::read(folder.join("x/contacts.gexf")).unwrap());
    let ids = gexf.iter().filter(|(tag, at, _)| tag == "attvalue" && at["for"] == "person_id");
    assert_eq!(ids.map(|(_, at, _)| at["value"].clone()).collect::<BTreeSet<_>>(), expected);
    for (graph, expected) in [(&graphml, all.len()), (&gexf, pairs.len())] {
        let nodes: HashSet<&String> = graph.iter().filter(|e| e.0 == "node").map(|e| &e.1["id"]).collect();
        assert_eq!(nodes.len(), everyone().len());
        let edges: Vec<_> = graph.iter().filter(|e| e.0 == "edge").collect();
        assert_eq!(edges.len(), expected);
        assert!(edges.iter().all(|e| nodes.contains(&e.1["source"]) && nodes.contains(&e.1["target"])));
    }
    let spells: Vec<_> = gexf.iter().filter(|e| e.0 == "spell").collect();
    assert!(spells.iter().all(|spell| spell.1["start"] < spell.1["end"]));
    let attributes: HashSet<&String> =
        gexf.iter().filter(|e| e.0 == "attribute").map(|e| &e.1["id"]).collect();
    assert!(gexf.iter().filter(|e| e.0 == "attvalue").all(|e| attributes.contains(&e.1["for"])));
}

#[test]
fn fhir_resources_refer_to_each_other() {
    let folder = night();
    folder.run(&format!("export --run {RUN} --for fhir --out out")).done();
    let read = |name: &str| -> Vec<Value> {
        let text = std::fs::read_to_string(folder.join(format!("out/{name}.ndjson"))).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let [patients, locations, observations] = ["Patient", "Location", "Observation"].map(read);
    let key = |resource: &Value| {
        format!("{}/{}", resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap())
    };
    let all: Vec<String> = [&patients, &locations, &observations].into_iter().flatten().map(key).collect();
    let known: HashSet<&String> = all.iter().collect();
    assert_eq!(known.len(), all.len(), "every id once");
    let ids: BTreeSet<String> =
        patients.iter().map(|p| p["identifier"][0]["value"].as_str().unwrap().to_string()).collect();
    assert_eq!(ids, everyone());
    assert_eq!(observations.len(), meetings(&folder).len());
    for observation in &observations {
        let focus = observation["focus"].as_array().unwrap().iter();
        for reference in focus.chain([&observation["subject"]]) {
            assert!(known.contains(&reference["reference"].as_str().unwrap().to_string()), "{reference}");
        }
        let period = &observation["effectivePeriod"];
        assert!(period["start"].as_str() < period["end"].as_str());
    }
}

#[test]
fn what_is_too_large_for_a_tool_is_refused_not_cut() {
    let folder = night();
    let words = format!("export --run {RUN} --for gexf --out out");
    // A site's exposure is one too, links are not.
    let size = (meetings(&folder).len() - 2 + 1).to_string();
    folder.refuses(
        &format!("{words} --max 5"),
        2,
        "usage",
        &[
            "more than the 5 that are of use for gexf",
            "--rings 1 takes less",
            &format!("--max {size} writes them"),
        ],
    );
    folder.run(&format!("{words} --max {size}")).done();
    folder.refuses(&words, 4, "conflict", &["out: is not empty", "--out"]);
    let first = folder.json(&format!("export --run {RUN} --for epicontacts --rings 1 --out one"), 0);
    assert_eq!(first["persons"], PERSONS.len() + 3, "without the second ring");
    folder.refuses("export --run runs --for gexf --out two", 2, "usage", &["no published run here"]);
    let unknown = folder.run(&format!("export --run {RUN} --for excel --out two"));
    assert_eq!(unknown.status, Some(2), "{}", unknown.stderr);
}
