//! What offices, laboratories and clinics tell of the people of a world: small tables beside it, a few rows wrong on
//! purpose.

use std::collections::HashMap;
use std::path::Path;

use super::draw::{Draw, Purpose, key};
use super::planted::Planted;
use super::world::{Atlas, DISTRICT, district_name};
use super::{DAY, HOUR, WorldSpec};
use crate::error::{Error, Result};
use crate::time::utc_day_name;

/// The sections that name the tables.
pub const CONFIG: &str = r#"
# What offices, laboratories and clinics tell; docs/schemes.md says what each table holds.
[temperatures]
paths = ["facts/temperatures.csv"]
[symptoms]
paths = ["facts/symptoms.csv"]
[tests]
paths = ["facts/tests.csv"]
[checkins]
paths = ["facts/checkins.csv"]
[clinic_visits]
paths = ["facts/clinic_visits.csv"]
[purchases]
paths = ["facts/purchases.csv"]
[isolations]
paths = ["facts/isolations.csv"]
[regions]
paths = ["facts/regions.csv"]
[trips]
paths = ["facts/trips.csv"]
[communities]
paths = ["facts/communities.csv"]
[pushes]
paths = ["facts/pushes.csv"]
[orders]                      # add "facts/orders-refused.csv" to see orders refused, and status 1
paths = ["facts/orders.csv"]
[appeals]
paths = ["facts/appeals.csv"]
[corrections]
paths = ["facts/corrections.csv"]
"#;

/// A table as it is being made.
struct Rows(String);

impl Rows {
    fn new(header: &str) -> Rows {
        Rows(format!("{header}\n"))
    }

    fn add(&mut self, cells: &[&str]) {
        self.0.push_str(&cells.join(","));
        self.0.push('\n');
    }
}

/// Someone something is told of, with the day and the time of day.
struct Told {
    id: String,
    district: u32,
    day: u32,
    draw: Draw,
}

/// Contacts of cases who fell ill themselves, of a thousand.
const INFECTED: u32 = 550;

/// The planted contacts who were infected: those of cases first, and of theirs whose source was, with the start of the
/// meeting, if their illness is known before the world ends.
fn later_cases(spec: &WorldSpec, planted: &Planted, atlas: &Atlas) -> Rows {
    let mut rows = Rows::new("person_id,status,onset_at,sampled_at,isolated_at,reported_at,reported_by");
    let at = |second: u32| {
        let (day, minute) = (second / DAY, second % DAY / 60);
        format!("{} {:02}:{:02}", utc_day_name(spec.first_day + day), minute / 60, minute % 60)
    };
    let mut ill: HashMap<u32, u32> = HashMap::new();
    for (number, contact) in (0..).zip(&planted.contacts) {
        let mut draw = Draw::new(key(spec.seed, Purpose::Facts, 10), number);
        let infectious = contact.ring == 1
            || ill.get(&contact.source).is_some_and(|onset| onset - DAY < contact.span.start);
        let onset = contact.span.start + draw.between(2 * DAY, 5 * DAY);
        let sampled = onset + draw.between(4 * HOUR, 12 * HOUR);
        let reported = sampled + draw.between(6 * HOUR, 20 * HOUR);
        let known = reported < spec.days * DAY;
        if !(infectious && known && draw.chance(INFECTED)) || ill.contains_key(&contact.contact) {
            continue;
        }
        ill.insert(contact.contact, onset);
        let id = (atlas.pseudonym(contact.contact) as i64).to_string();
        let office = ["hospital 1", "hospital 2", "clinic"][draw.below(3) as usize];
        rows.add(&[&id, "confirmed", &at(onset), &at(sampled), &at(reported + HOUR), &at(reported), office]);
    }
    rows
}

/// Writes the tables into `out/facts`.
///
/// # Errors
/// `storage` if something cannot be written.
pub fn write(spec: &WorldSpec, planted: &Planted, out: &Path) -> Result<()> {
    let atlas = Atlas::new(spec);
    let day_name = |day: u32| format!("{} 00:00", utc_day_name(spec.first_day + day));
    let at = |day: u32, draw: &mut Draw| {
        let (hour, minute) = (draw.between(8, 20), draw.below(60));
        format!("{} {hour:02}:{minute:02}", utc_day_name(spec.first_day + day))
    };
    let last = spec.days - 1;
    let people = |table: u32, one_in: u32| {
        let some = (spec.people / one_in).max(2);
        let atlas = &atlas;
        (0..some).map(move |index| {
            let mut draw = Draw::new(key(spec.seed, Purpose::Facts, table), index);
            let person = draw.below(spec.people);
            let (id, district) = ((atlas.pseudonym(person) as i64).to_string(), person / DISTRICT);
            let day = draw.below(spec.days);
            Told { id, district, day, draw }
        })
    };
    let mut temperatures = Rows::new("person_id,measured_at,celsius");
    let mut tests = Rows::new("person_id,sampled_at,result");
    let mut checkins = Rows::new("person_id,checked_in_at,status,celsius");
    let mut appeals = Rows::new("person_id,decided_at,decision,rule_id,decided_by,basis");
    let mut corrections = Rows::new("person_id,happened_at,fact,corrected_by,basis,known_at");
    for (number, mut told) in people(0, 200).enumerate() {
        let warm = told.draw.chance(100);
        let tenths = if warm { told.draw.between(373, 392) } else { told.draw.between(360, 371) };
        let measured = at(told.day, &mut told.draw);
        temperatures.add(&[&told.id, &measured, &format!("{}.{}", tenths / 10, tenths % 10)]);
        if !warm {
            continue;
        }
        // Whoever has a fever is followed up: check-ins every day, some missed, and tests.
        for day in told.day + 1..=last {
            if told.draw.chance(930) {
                let when = at(day, &mut told.draw);
                checkins.add(&[&told.id, &when, "well", if told.draw.chance(500) { "36.6" } else { "" }]);
            }
        }
        for day in [1, 7, 14].map(|day| told.day + day).into_iter().filter(|day| *day <= last) {
            let when = at(day, &mut told.draw);
            tests.add(&[&told.id, &when, if told.draw.chance(30) { "positive" } else { "negative" }]);
        }
        match number % 40 {
            1 => appeals.add(&[&told.id, &at(last, &mut told.draw), "open", "FC-Y1", "hotline", ""]),
            2 => appeals.add(&[
                &told.id,
                &at(last, &mut told.draw),
                "overturned",
                "FC-Y1",
                "office",
                "sensor was wrong",
            ]),
            3 => corrections.add(&[
                &told.id,
                &measured,
                "temperature",
                "shop",
                "another person's",
                &at(last, &mut told.draw),
            ]),
            _ => {}
        }
    }
    let mut symptoms = Rows::new("person_id,reported_at,symptom");
    let orders_head = "person_id,issued_at,until,color,author,approver,basis";
    let (mut orders, mut refused) = (Rows::new(orders_head), Rows::new(orders_head));
    for (number, mut told) in people(1, 2_500).enumerate() {
        let symptom = ["fever", "dry_cough", "fatigue", "respiratory"][told.draw.below(4) as usize];
        symptoms.add(&[&told.id, &at(told.day, &mut told.draw), symptom]);
        if number < 2 {
            // The second is approved by its own author.
            let approver = ["second officer", "first officer"][number];
            let until = day_name(told.day + 8);
            [&mut orders, &mut refused][number].add(&[
                &told.id,
                &day_name(told.day + 1),
                &until,
                "red",
                "first officer",
                approver,
                "article 39",
            ]);
        }
    }
    let stranger = people(9, spec.people).next().expect("two at least").id;
    let until = day_name(last + 7);
    refused.add(&[
        &stranger,
        &day_name(last),
        &until,
        "red",
        "first officer",
        "second officer",
        "none given",
    ]);
    let mut clinic_visits = Rows::new("person_id,visited_at");
    people(2, 1_500).for_each(|mut told| clinic_visits.add(&[&told.id, &at(told.day, &mut told.draw)]));
    let mut purchases = Rows::new("person_id,purchased_at");
    people(3, 800).for_each(|mut told| purchases.add(&[&told.id, &at(told.day, &mut told.draw)]));
    let mut isolations = Rows::new("person_id,from,until,kind");
    for mut told in people(4, 4_000) {
        let until = at(told.day + told.draw.between(3, 10), &mut told.draw);
        isolations.add(&[&told.id, &at(told.day, &mut told.draw), &until, "central"]);
    }
    let mut regions = Rows::new("region_id,level,from,until,county_id");
    regions.add(&["north", "high", &day_name(0), "", ""]);
    regions.add(&["south", "reported", &day_name(0), "", ""]);
    // A district is visited by thousands every day: its level is that of the last day.
    regions.add(&[&district_name(2 % atlas.districts()), "medium", &day_name(last), "", ""]);
    let mut trips = Rows::new("person_id,region_id,from,until");
    for mut told in people(5, 3_000) {
        let (from, until) = (at(told.day, &mut told.draw), at(told.day + 1, &mut told.draw));
        trips.add(&[&told.id, if told.draw.chance(500) { "north" } else { "south" }, &from, &until]);
    }
    let mut communities = Rows::new("community_id,status,from,until");
    communities.add(&["garden", "sealed", &day_name(9.min(last)), ""]);
    communities.add(&["riverside", "closed", &day_name(7.min(last)), &day_name(last + 3)]);
    let mut residents = Rows::new("person_id,region_id,community_id");
    for mut told in people(6, 1_000) {
        let community = if told.draw.chance(400) { "garden" } else { "riverside" };
        residents.add(&[&told.id, &district_name(told.district), community]);
    }
    let mut pushes = Rows::new("person_id,pushed_at,color,origin,scheme,until");
    for mut told in people(7, 6_000) {
        let until = if told.draw.chance(200) { at(told.day + 1, &mut told.draw) } else { String::new() };
        let when = day_name(told.day);
        let color = if told.draw.chance(800) { "red" } else { "yellow" };
        pushes.add(&[&told.id, &when, color, "north", "jiangsu", &until]);
    }
    let folder = out.join("facts");
    std::fs::create_dir_all(&folder).map_err(Error::storage(&folder, "creating"))?;
    for (name, rows) in [
        ("cases", later_cases(spec, planted, &atlas)),
        ("temperatures", temperatures),
        ("tests", tests),
        ("checkins", checkins),
        ("appeals", appeals),
        ("corrections", corrections),
        ("symptoms", symptoms),
        ("orders", orders),
        ("orders-refused", refused),
        ("clinic_visits", clinic_visits),
        ("purchases", purchases),
        ("isolations", isolations),
        ("regions", regions),
        ("trips", trips),
        ("communities", communities),
        ("residents", residents),
        ("pushes", pushes),
    ] {
        let path = folder.join(format!("{name}.csv"));
        std::fs::write(&path, rows.0).map_err(Error::storage(&path, "writing"))?;
    }
    Ok(())
}
