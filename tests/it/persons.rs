//! Person ids read as far as they are asked for, against a map of all of them.

use std::collections::{BTreeSet, HashMap};

use arrow::array::Array;
use ringtrace::ids::{Id, IdColumn, IdTable, IdType, NO_KEY};
use ringtrace::store::format::Layout;
use ringtrace::store::persons::Persons;

use crate::random::{Random, alone, for_seeds};
use crate::stored::{short_pages, write_ids};
use crate::worlds::{OwnId, table};

/// An id, often one of those at which types end.
fn id(random: &mut Random, kind: IdType) -> OwnId {
    let number = match random.below(4) {
        0 => random.pick(&[0, 1, u64::MAX, 1 << 63, (1 << 63) - 1, (1 << 63) + 1]),
        1 => random.next(),
        _ => u64::from(random.below(3_000)),
    };
    match kind {
        IdType::Int => OwnId::Int(number as i64),
        IdType::Uint => OwnId::Uint(number),
        IdType::Text => OwnId::Text(random.pick(&["", "007", "é", "-1"]).to_string() + &number.to_string()),
    }
}

/// The same characters as an id of another type, if there are any.
fn told(id: Id<'_>, kind: IdType) -> Option<OwnId> {
    let text = id.to_string();
    let same = |id: OwnId| (id.borrow().to_string() == text).then_some(id);
    match kind {
        IdType::Int => text.parse().ok().and_then(|id| same(OwnId::Int(id))),
        IdType::Uint => text.parse().ok().and_then(|id| same(OwnId::Uint(id))),
        IdType::Text => Some(OwnId::Text(text)),
    }
}

/// What persons are to know: every id by key, and every key by id.
struct Model {
    kind: IdType,
    ids: Vec<OwnId>,
    keys: HashMap<OwnId, u32>,
}

impl Model {
    fn new(kind: IdType, ids: Vec<OwnId>) -> Model {
        let keys = ids.iter().cloned().zip(0..).collect();
        Model { kind, ids, keys }
    }

    fn key(&self, id: Id<'_>) -> Option<u32> {
        self.keys.get(&told(id, self.kind)?).copied()
    }

    /// New ids get their keys in the order of ids.
    fn absorb(&mut self, others: &[Vec<OwnId>]) -> Vec<Vec<Option<u32>>> {
        let all = others.iter().flatten().filter_map(|id| told(id.borrow(), self.kind));
        let new: BTreeSet<OwnId> = all.filter(|id| !self.keys.contains_key(id)).collect();
        for id in new {
            self.keys.insert(id.clone(), self.ids.len() as u32);
            self.ids.push(id);
        }
        others.iter().map(|ids| ids.iter().map(|id| self.key(id.borrow())).collect()).collect()
    }

    fn column(&self, keys: &[u32]) -> IdColumn {
        let mut column = IdColumn::new(self.kind);
        keys.iter().for_each(|key| column.push(self.ids[*key as usize].borrow()));
        column
    }

    /// Compares everything that can be asked.
    fn check(&self, persons: &Persons, random: &mut Random) {
        assert_eq!((persons.len(), persons.kind()), (self.ids.len(), self.kind));
        let all: Vec<u32> = (0..self.ids.len() as u32).collect();
        assert_eq!(persons.ids(&all).unwrap(), self.column(&all));
        let some: Vec<u32> = all.iter().copied().filter(|_| random.chance(10)).collect();
        assert_eq!(persons.ids(&some).unwrap(), self.column(&some), "{some:?}");
        if !all.is_empty() {
            let any = |random: &mut Random| random.below(all.len() as u32);
            let mixed: Vec<u32> = (0..random.below(30)).map(|_| any(random)).collect();
            assert_eq!(persons.ids(&mixed).unwrap(), self.column(&mixed), "{mixed:?}");
            let holes: Vec<u32> =
                mixed.iter().map(|key| if random.chance(30) { NO_KEY } else { *key }).collect();
            let array = persons.to_arrow(&holes).unwrap();
            let expected = self.column(&all).to_arrow(holes.iter().copied());
            assert_eq!((&array, array.null_count()), (&expected, expected.null_count()));
        }
        for (key, id) in (0..).zip(&self.ids).filter(|_| self.ids.len() < 200 || random.chance(5)) {
            assert_eq!(persons.key(id.borrow()).unwrap(), Some(key), "{id:?}");
        }
        for _ in 0..40 {
            let kind = random.pick(&[IdType::Int, IdType::Uint, IdType::Text]);
            let other = id(random, kind);
            assert_eq!(persons.key(other.borrow()).unwrap(), self.key(other.borrow()), "{other:?}");
        }
    }
}

#[test]
fn oracle_persons_are_a_map_of_ids() {
    for_seeds("oracle_persons_are_a_map_of_ids", 1_000, |_, random| alone(|| check_persons(random)));
}

fn check_persons(random: &mut Random) {
    let kind = random.pick(&[IdType::Int, IdType::Uint, IdType::Text]);
    let count = random.pick(&[0, 1, 5, 40, 40, 40, 2_500]);
    let mut ids: BTreeSet<OwnId> = (0..count).map(|_| id(random, kind)).collect();
    let mut ends = Vec::new();
    let mut by_key: Vec<OwnId> = Vec::new();
    // Each ingest adds some of them, in their order.
    while !ids.is_empty() {
        let share = if ends.len() == 3 { 100 } else { random.pick(&[20, 60, 100]) };
        let run: Vec<OwnId> = ids.iter().filter(|_| random.chance(share)).cloned().collect();
        ids.retain(|id| run.binary_search(id).is_err());
        by_key.extend(run);
        if by_key.len() > ends.last().copied().unwrap_or(0) {
            ends.push(by_key.len());
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let short = short_pages(random);
    let layout = random.pick(&[Layout::LOOKED_UP, short]);
    let files = write_ids(folder.path(), kind, &by_key, &ends, layout);
    let known = by_key.len();
    let stored = Persons::stored(folder.path(), kind, &files).unwrap();
    let held = Persons::held(table(kind, &by_key));
    assert_eq!(Persons::load(folder.path(), kind, &files).unwrap(), *table(kind, &by_key).ids());
    for mut persons in [stored, held] {
        let mut model = Model::new(kind, by_key.clone());
        model.check(&persons, random);
        assert_eq!((persons.with_visits(), persons.is_empty()), (known, known == 0));
        assert!(by_key.is_sorted() || !persons.in_key_order(), "said to be in order");
        assert!(ends.len() > 1 || persons.in_key_order(), "one run is in order");
        for _ in 0..2 {
            let others: Vec<(IdType, Vec<OwnId>)> = (0..random.below(3))
                .map(|_| {
                    let kind = random.pick(&[IdType::Int, IdType::Uint, IdType::Text, kind]);
                    let ids: BTreeSet<OwnId> = (0..random.below(9)).map(|_| id(random, kind)).collect();
                    let mut ids: Vec<OwnId> = ids.into_iter().collect();
                    random.shuffle(&mut ids);
                    (kind, ids)
                })
                .collect();
            let tables: Vec<IdTable> = others.iter().map(|(kind, ids)| table(*kind, ids)).collect();
            let tables: Vec<&IdTable> = tables.iter().collect();
            if persons.is_empty() {
                // The first ids decide what type ids have.
                let kind = ringtrace::store::ingest::type_of_tables(tables.iter().copied());
                model.kind = kind.unwrap_or(model.kind);
            }
            let ids: Vec<Vec<OwnId>> = others.into_iter().map(|(_, ids)| ids).collect();
            assert_eq!(persons.absorb(&tables).unwrap(), model.absorb(&ids));
            model.check(&persons, random);
            assert_eq!(persons.with_visits(), known, "the others have no visits");
        }
    }
}
