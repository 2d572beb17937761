//! The pack language: what its vectors mean, what a mistake in it is told, what every pack that is shipped holds to.

use std::path::Path;

use ringtrace::colors::Scheme;
use ringtrace::colors::scheme::EMBEDDED;
use ringtrace::facts::kind::FactKind;

use crate::facts::world;
use crate::releases::night;
use crate::support::Folder;

/// A small pack, with these rules.
pub fn pack(rules: &str) -> String {
    format!(
        r#"id = "mine"
version = 1
name = {{ en = "mine", zh = "自用" }}
time_zone = "Asia/Shanghai"
severity = ["red", "orange", "yellow", "green"]
holds_last_day = true
{rules}"#
    )
}

/// A world under that pack.
pub fn world_of(pack: &str, tables: &[(&str, &str)]) -> Folder {
    let folder = world("mine.toml", tables);
    folder.write("mine.toml", pack);
    folder
}
#[test]
fn packs_load_by_name() {
    for (name, _) in EMBEDDED {
        assert_eq!(Scheme::load(name, Path::new(".")).unwrap().id, name);
    }
}

#[test]
fn a_contact_of_a_vector_has_the_times_it_says() {
    let rule = r#"
[[rule]]
id = "C-1"
fact = "contact"
phases = [{ color = "red", days = 2 }]
anchor = ["first_exposed_at"]
basis = { en = "met", zh = "接触" }
vectors = [
    { shows = "the last day after the first exposure", date = "2022-03-03", color = "red", until = "2022-03-04", facts = [{ fact = "contact", first_exposed_at = "2022-03-01 10:00", last_exposed_at = "2022-03-05 10:00" }] },
    { shows = "the first free day", date = "2022-03-04", color = "green", facts = [{ fact = "contact", first_exposed_at = "2022-03-01 10:00", last_exposed_at = "2022-03-05 10:00" }] },
    { shows = "without the first, a quarter of an hour", date = "2022-03-03", color = "red", until = "2022-03-04", facts = [{ fact = "contact", last_exposed_at = "2022-03-02 00:10" }] },
    { shows = "without the last, a quarter of an hour", date = "2022-03-03", color = "red", until = "2022-03-04", facts = [{ fact = "contact", first_exposed_at = "2022-03-01 23:50" }] },
]
"#;
    let folder = Folder::new();
    folder.write("mine.toml", pack(rule));
    let found = folder.json("verify --scheme mine.toml", 0);
    assert_eq!(found["scheme"]["unnoticed"], serde_json::json!([]));
}

#[test]
fn daily_is_every_civil_day_also_when_clocks_change() {
    let rule = r#"
[[rule]]
id = "C-1"
fact = "temperature"
phases = [{ color = "red", release = { checkins = 3 } }]
anchor = ["measured_at"]
basis = { en = "fever", zh = "发热" }
vectors = [
    { shows = "late in the evening, before a day of 23 hours", date = "2022-03-28", color = "red", until = "2022-03-29", facts = [{ fact = "temperature", celsius = 38, measured_at = "2022-03-25 10:00" }, { fact = "checkin", checked_in_at = "2022-03-26 23:30", daily = 3 }] },
    { shows = "at night, before a day of 25 hours", date = "2022-10-31", color = "red", until = "2022-11-01", facts = [{ fact = "temperature", celsius = 38, measured_at = "2022-10-28 10:00" }, { fact = "checkin", checked_in_at = "2022-10-29 00:30", daily = 3 }] },
    { shows = "in an hour that one of the days does not have", date = "2022-03-28", color = "red", until = "2022-03-29", facts = [{ fact = "temperature", celsius = 38, measured_at = "2022-03-25 10:00" }, { fact = "checkin", checked_in_at = "2022-03-26 02:30", daily = 3 }] },
]
"#;
    let folder = Folder::new();
    folder.write("mine.toml", pack(rule).replace("Asia/Shanghai", "Europe/Berlin"));
    folder.run("verify --scheme mine.toml").done();
}

/// What a mistake makes of the pack below, where it then stands, and what is said of it.
type Mistake = (&'static str, &'static str, &'static str, &'static [&'static str]);

const MISTAKES: [Mistake; 44] = [
    (
        "Asia/Shanghai",
        "Asia/Shangai",
        "time_zone",
        &["time zone \"Asia/Shangai\" is not known", "did you mean \"Asia/Shanghai\"?"],
    ),
    ("Asia/Shanghai", "Beijing", "time_zone", &["time zone \"Beijing\" is not known", "Europe/Berlin"]),
    ("time_zone = \"Asia/Shanghai\"", "time_zone = 8", "time_zone", &["expected a string"]),
    ("version = 1", "version = -1", "version", &["-1", "a whole number, 0 or more"]),
    ("id = \"mine\"", "id = \"my pack\"", "my pack", &["\"my pack\" is no name"]),
    ("id = \"mine\"", "id = \"Mine\"", "Mine", &["in lower case"]),
    ("[\"red\", \"yellow\", \"green\"]", "[]", "severity", &["severity lists no color"]),
    (
        "[\"red\", \"yellow\", \"green\"]",
        "[\"green\"]",
        "severity",
        &["severity lists only \"green\"", "worst first"],
    ),
    (
        "[\"red\", \"yellow\", \"green\"]",
        "[\"green\", \"yellow\", \"red\"]",
        "severity",
        &["\"red\"", "without any reason", "worst first"],
    ),
    (
        "[\"red\", \"yellow\", \"green\"]",
        "[\"red\", \"yellow\", \"red\", \"green\"]",
        "severity",
        &["\"red\" twice"],
    ),
    (
        "not_also = { red = [\"yellow\"] }",
        "not_also = { red = [\"yelow\"] }",
        "not_also",
        &["not_also", "\"yelow\" is not in severity", "did you mean \"yellow\"?"],
    ),
    (
        "not_also = { red = [\"yellow\"] }",
        "not_also = { yellow = [\"red\"] }",
        "not_also",
        &["\"red\" is not milder than \"yellow\""],
    ),
    (
        "to = { red = \"red\" }",
        "to = { rde = \"red\" }",
        "national",
        &["\"rde\" is not in severity", "did you mean \"red\"?"],
    ),
    (
        "to = { red = \"red\" }",
        "to = { red = \"green\" }",
        "national",
        &["\"green\" is not a color of the platform", "red, yellow"],
    ),
    (
        "from = { red = \"red\" }",
        "from = { red = \"orange\" }",
        "national",
        &["\"orange\" is not in severity"],
    ),
    (
        "holds_last_day = true",
        "holds_last_day = true\nfever_celsius = nan",
        "fever_celsius",
        &["no temperature"],
    ),
    (
        "holds_last_day = true",
        "holds_last_day = true\nfever_celcius = 38.0",
        "fever_celcius",
        &["unknown field `fever_celcius`", "did you mean \"fever_celsius\"?"],
    ),
    ("fact = \"symptom\"\n", "", "[[rule]]", &["missing field `fact`"]),
    ("id = \"M-2\"", "id = \"M-1\"", "id = \"M-1\"\nfact = \"contact\"", &["rule M-1", "used twice"]),
    (
        "fact = \"contact\"\n",
        "fact = \"contacts\"\n",
        "contacts",
        &["unknown variant `contacts`", "did you mean \"contact\"?"],
    ),
    (
        "where = { symptom = \"fever\" }",
        "where = { symptoms = \"fever\" }",
        "where",
        &["rule M-1", "no column \"symptoms\"", "did you mean \"symptom\"?"],
    ),
    (
        "where = { symptom = \"fever\" }",
        "where = { symptom = \"fevre\" }",
        "where",
        &["one of fever", "did you mean \"fever\"?"],
    ),
    ("where = { symptom = \"fever\" }", "where = { symptom = [] }", "where", &["may hold nothing"]),
    (
        "where = { symptom = \"fever\" }",
        "where = { symptom = { min = \"fever\" } }",
        "where",
        &["rule M-1", "symptom", "a range is of numbers", "one of fever, dry_cough"],
    ),
    (
        "where = { symptom = \"fever\" }",
        "where = { symptom = true }",
        "where",
        &["`true`", "a value such as \"fever\"", "{ min = 37.3 }"],
    ),
    (
        "where = { symptom = \"fever\" }",
        "where = { symptom = [true] }",
        "where",
        &["`true`", "a word in quotes or a number"],
    ),
    (
        "where = { ring = 1 }",
        "where = { ring = { least = 1 } }",
        "where = { ring",
        &["unknown field `least`", "`min`"],
    ),
    (
        "where = { ring = 1 }",
        "where = { ring = { min = 1.5 } }",
        "where = { ring",
        &["ring 1.5 is not a whole number"],
    ),
    (
        "where = { ring = 1 }",
        "where = { ring = { min = 3, max = 2 } }",
        "where = { ring",
        &["from 3 to 2 there is nothing"],
    ),
    (
        "color = \"yellow\", days = 3",
        "color = \"yelow\", days = 3",
        "yelow",
        &["rule M-1", "\"yelow\" is not in severity", "did you mean \"yellow\"?"],
    ),
    (
        "{ color = \"red\", days = 14 }",
        "{ color = \"green\", days = 14 }",
        "phases = [{ color = \"green\"",
        &["rule M-2", "colors no one"],
    ),
    ("days = 3 ", "days = -3 ", "days = -3", &["-3", "a number of days, 0 or more"]),
    ("days = 3 ", "days = 3.5 ", "days = 3.5", &["3.5", "a number of days, 0 or more"]),
    ("days = 3 ", "days = 36501 ", "days = 36501", &["36500 days"]),
    ("tests_on = [1, 4]", "tests_on = [1, -4]", "tests_on", &["-4", "a number of days, 0 or more"]),
    ("tests_on = [1, 4]", "tests_on = 4", "tests_on", &["a list of days such as [1, 7, 14]"]),
    ("tests_on = [1, 4]", "hours = 24", "hours", &["days or hours, not both"]),
    ("checkins = 7", "checkins = -7", "checkins", &["-7", "a number of days, 0 or more"]),
    (
        "anchor = [\"reported_at\"]",
        "anchor = [\"measured_at\"]",
        "measured_at",
        &["rule M-1", "no time measured_at", "reported_at"],
    ),
    (
        "date = \"2022-03-15\"",
        "date = \"2022-03-16\"",
        "the last day",
        &["rule M-2", "vector \"the last day\"", "expected red until 2022-03-16", "found green"],
    ),
    (
        "color = \"red\", until",
        "color = \"rde\", until",
        "the last day",
        &["\"rde\" is not in severity", "did you mean \"red\"?"],
    ),
    (
        "until = \"2022-03-16\"",
        "until = \"2022-03-16\", by = \"M-3\"",
        "the last day",
        &["no rule \"M-3\"", "did you mean \"M-1\"?"],
    ),
    (
        "first_exposed_at = \"2022-03-01 09:00\"",
        "first_exposed_at = \"2022-03-01 11:00\"",
        "the last day",
        &["first_exposed_at", "after last_exposed_at"],
    ),
    (
        "first_exposed_at = \"2022-03-01 09:00\"",
        "first_exposed_at = \"yesterday\"",
        "the last day",
        &["first_exposed_at: \"yesterday\" is no time", "2022-03-01 10:00"],
    ),
];

#[test]
fn a_mistake_in_a_pack_is_told_with_its_line_and_what_was_meant() {
    let rules = r#"not_also = { red = ["yellow"] }
national = { to = { red = "red" }, from = { red = "red" } }

[[rule]]
id = "M-1"
fact = "symptom"
where = { symptom = "fever" }
phases = [
    { color = "red", days = 7, tests_on = [1, 4], release = { checkins = 7 } },
    { color = "yellow", days = 3 },
]
anchor = ["reported_at"]
basis = { en = "ill", zh = "有症状" }

[[rule]]
id = "M-2"
fact = "contact"
where = { ring = 1 }
phases = [{ color = "red", days = 14 }]
anchor = ["last_exposed_at"]
basis = { en = "met", zh = "接触" }
vectors = [
    { shows = "the first free day", date = "2022-03-16", color = "green", facts = [{ fact = "contact", last_exposed_at = "2022-03-01 10:00" }] },
    { shows = "the last day", date = "2022-03-15", color = "red", until = "2022-03-16", facts = [{ fact = "contact", first_exposed_at = "2022-03-01 09:00", last_exposed_at = "2022-03-01 10:00" }] },
]
"#;
    let right = pack(rules).replace("\"red\", \"orange\", \"yellow\"", "\"red\", \"yellow\"");
    let folder = Folder::new();
    folder.write("mine.toml", &right);
    folder.run("verify --scheme mine.toml").done();
    for (from, to, stands, says) in MISTAKES {
        assert_eq!(right.matches(from).count(), 1, "{from} is there once");
        let wrong = right.replacen(from, to, 1);
        let line = 1 + wrong[..wrong.find(stands).unwrap()].matches('\n').count();
        folder.write("mine.toml", &wrong);
        let place = format!("scheme mine.toml: line {line}: ");
        folder.refuses("verify --scheme mine.toml", 2, "usage", &[&[&place as &str], says].concat());
    }
}

/// What is wrong with a value under a JSON Schema: keys it does not know, keys that are not there.
fn misfits(
    value: &serde_json::Value,
    schema: &serde_json::Value,
    root: &serde_json::Value,
    at: &str,
) -> Vec<String> {
    if let Some(name) = schema.get("$ref").and_then(|path| path.as_str()) {
        let definition = root.pointer(name.strip_prefix('#').expect("a place in this schema"));
        return misfits(value, definition.expect(name), root, at);
    }
    if let Some(ways) = schema.get("anyOf").or(schema.get("oneOf")).and_then(|ways| ways.as_array()) {
        let tried = ways.iter().map(|way| misfits(value, way, root, at));
        return tried.min_by_key(Vec::len).unwrap();
    }
    let kinds = match &schema["type"] {
        serde_json::Value::String(kind) => vec![kind.as_str()],
        kinds => kinds.as_array().into_iter().flatten().filter_map(|kind| kind.as_str()).collect(),
    };
    let is = match value {
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "boolean",
        serde_json::Value::Number(number) if number.is_i64() => "integer",
        serde_json::Value::Number(_) => "number",
        serde_json::Value::String(_) => "string",
        serde_json::Value::Array(_) => "array",
        serde_json::Value::Object(_) => "object",
    };
    let fits = kinds.contains(&is) || is == "integer" && kinds.contains(&"number");
    if !kinds.is_empty() && !fits {
        return vec![format!("{at} is a {is}, not {kinds:?}")];
    }
    let known =
        [schema.get("const")].into_iter().flatten().chain(schema["enum"].as_array().into_iter().flatten());
    let known: Vec<_> = known.collect();
    if !known.is_empty() && !known.contains(&value) {
        return vec![format!("{at} holds {value}")];
    }
    let mut found = Vec::new();
    if let Some(items) = value.as_array() {
        for (number, item) in items.iter().enumerate() {
            found.extend(misfits(item, &schema["items"], root, &format!("{at}[{number}]")));
        }
    }
    if let Some(cells) = value.as_object() {
        let required = schema["required"].as_array().into_iter().flatten().filter_map(|key| key.as_str());
        found
            .extend(required.filter(|key| !cells.contains_key(*key)).map(|key| format!("{at} has no {key}")));
        for (key, cell) in cells {
            let inside = format!("{at}.{key}");
            match (schema["properties"].get(key), &schema["additionalProperties"]) {
                (Some(of_key), _) => found.extend(misfits(cell, of_key, root, &inside)),
                (None, serde_json::Value::Object(_)) => {
                    found.extend(misfits(cell, &schema["additionalProperties"], root, &inside));
                }
                (None, _) => found.push(format!("{inside} is not known")),
            }
        }
    }
    found
}

#[test]
fn every_pack_is_one_by_the_json_schema() {
    let schema = ringtrace::colors::scheme::json_schema();
    let misfits = |text: &str| {
        let value: serde_json::Value = toml::from_str(text).unwrap();
        misfits(&value, &schema, &schema, "pack")
    };
    for (name, text) in EMBEDDED {
        assert_eq!(misfits(text), [""; 0], "{name}");
    }
    let (_, text) = EMBEDDED[4];
    for (from, to, found) in [
        ("holds_last_day = true", "", "pack has no holds_last_day"),
        ("holds_last_day", "holds_first_day = true\nholds_last_day", "pack.holds_first_day is not known"),
        ("version = ", "version = 0.5 # ", "pack.version is a number, not [\"integer\"]"),
        ("days = 14", "days = 14, hour = 1", "pack.rule[2].phases[0].hour is not known"),
        ("color = \"red\", facts", "facts", "pack.rule[0].vectors[0] has no color"),
        ("fact = \"case\"", "fact = \"cases\"", "pack.rule[0].fact holds \"cases\""),
        ("status = [\"asymptomatic\"]", "status = [true]", "pack.rule[1].where.status"),
    ] {
        assert!(text.contains(from), "{from}");
        let misfits = misfits(&text.replacen(from, to, 1));
        assert!(misfits.len() == 1 && misfits[0].starts_with(found), "{found}: {misfits:?}");
    }
}

#[test]
fn stays_in_regions_count_from_their_end_in_every_pack() {
    for (name, _) in EMBEDDED {
        let scheme = Scheme::load(name, Path::new(".")).unwrap();
        assert!(scheme.counts_from_end_alone(FactKind::RegionStay), "{name}");
        assert!(!scheme.counts_from_end_alone(FactKind::Case), "{name}");
        assert!(scheme.counts_from_end_alone(FactKind::Checkin), "{name}: no rule counts from one");
    }
    let rule = r#"
[[rule]]
id = "A-1"
fact = "region_stay"
phases = [{ color = "red", days = 2 }]
anchor = ["until"]
basis = { en = "stayed", zh = "停留" }
"#;
    let counts = |anchor: &str| {
        let more = rule.replace("A-1", "A-2").replace("[\"until\"]", anchor);
        let scheme = Scheme::from_text(&pack(&[rule, &more].concat()), "a pack").unwrap();
        scheme.counts_from_end_alone(FactKind::RegionStay)
    };
    assert_eq!(
        ["[\"until\"]", "[\"from\"]", "[\"until\", \"from\"]", "[\"from\", \"until\"]"].map(counts),
        [true, false, false, false]
    );
}

#[test]
fn every_rule_of_every_pack_says_who_may_lift_its_color() {
    for (name, _) in EMBEDDED {
        for rule in &Scheme::load(name, Path::new(".")).unwrap().rules {
            let by = rule.lifted_by.as_ref().unwrap_or_else(|| panic!("{name}: {}", rule.id));
            assert!(!by.en.is_empty() && !by.zh.is_empty(), "{name}: {}", rule.id);
        }
    }
    let rules = r#"lifted_by = { en = "the office", zh = "防控办" }
[[rule]]
id = "L-1"
fact = "symptom"
phases = [{ color = "red", days = 2 }]
anchor = ["reported_at"]
basis = { en = "ill", zh = "有症状" }
[[rule]]
id = "L-2"
fact = "purchase"
phases = [{ color = "red", days = 2 }]
anchor = ["purchased_at"]
lifted_by = { en = "the pharmacy", zh = "药店" }
basis = { en = "bought", zh = "购药" }
"#;
    let tables = [
        ("symptoms", "person_id,reported_at,symptom\na,2022-03-02 10:00,fever\n"),
        ("purchases", "person_id,purchased_at\nb,2022-03-02 10:00\n"),
    ];
    let columns = ["person_id", "lifted_by_en", "lifted_by_zh"];
    let folder = world_of(&pack(rules), &tables);
    assert_eq!(
        night(&folder, "2022-03-02", "colors", &columns),
        ["a the office 防控办", "b the pharmacy 药店"]
    );
    let (_, without) = rules.split_once('\n').unwrap();
    let folder = world_of(&pack(without), &tables);
    assert_eq!(night(&folder, "2022-03-02", "colors", &columns), ["a  ", "b the pharmacy 药店"]);
}
