//! The color stage: everyone's facts to colors with every reason, under each scheme.

use std::sync::Arc;

use jiff::civil::Date;
use ringtrace::colors::scheme::EMBEDDED;
use ringtrace::colors::vectors::contact;
use ringtrace::colors::{Scheme, assign};
use ringtrace::facts::Fact;
use ringtrace::facts::kind::{Basis, FactKind, Told, ToldCell};
use ringtrace::records::InputRow;
use ringtrace::rings::TracedPerson;

use crate::{Size, best_of, report};

const DAY: u32 = 86_400;

/// Twenty million people, of whom 1.7 million were traced and 2 million facts are told.
pub fn run(size: Size) {
    let (people, contacts, told): (u32, u32, u32) = match size {
        Size::Smoke => (20_000, 1_700, 2_000),
        Size::Real => (20_000_000, 1_700_000, 2_000_000),
    };
    let mut state = 7u64;
    let mut below = |bound: u32| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % u64::from(bound)) as u32
    };
    let night = 19_000 * DAY;
    let traced: Vec<(u32, TracedPerson)> = (0..contacts)
        .map(|number| (below(people), contact(1 + u8::from(number % 40 > 0), night - below(14 * DAY))))
        .collect();
    let file: Arc<str> = "facts.parquet".into();
    let told: Vec<(u32, Told)> = (0..told)
        .map(|number| {
            let (person, at) = (below(people), night - below(14 * DAY));
            let (kind, cell) = match number % 4 {
                0 => (FactKind::Test, ToldCell::Word("negative")),
                1 => (FactKind::Temperature, ToldCell::Number(3_600 + i64::from(below(200)))),
                2 => (FactKind::Checkin, ToldCell::Word("well")),
                _ => (FactKind::Symptom, ToldCell::Word("dry_cough")),
            };
            let basis = Basis::Row(InputRow { file: file.clone(), row: number.into() });
            let cells = [Some(cell), None, None, None];
            (person, Told { kind, at, until: None, known_at: at, cells, place: None, basis })
        })
        .collect();
    let mut facts: Vec<(u32, Fact<'_>)> =
        traced.iter().map(|(person, c)| (*person, Fact::Contact(c))).collect();
    facts.extend(told.iter().map(|(person, told)| (*person, Fact::Told(told))));
    facts.sort_by_key(|(person, _)| *person);
    let date = Date::constant(2022, 1, 8);
    println!("\ncolors: {} facts of {people} people", facts.len());
    for (name, _) in EMBEDDED {
        let scheme = Scheme::load(name, std::path::Path::new("")).expect("it comes with the program");
        let (took, colored) = best_of(3, || assign(&facts, &scheme, date));
        // Whoever has a reason has a fact that a rule means; the plainest count there is.
        let meant = |own: &&[(u32, Fact<'_>)]| {
            own.iter().any(|(_, fact)| scheme.rules.iter().any(|rule| rule.means(fact)))
        };
        let most = facts.chunk_by(|a, b| a.0 == b.0).filter(meant).count();
        assert!(
            colored.len() <= most && colored.is_empty() == (most == 0),
            "{name}: {} of {most}",
            colored.len()
        );
        report(
            &format!("{name}: {} not {}", colored.len(), scheme.healthy()),
            took,
            facts.len() as u64,
            "facts",
        );
    }
}
