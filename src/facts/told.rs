//! Facts told by tables of persons: the last known row about the same thing counts.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use rayon::prelude::*;

use super::kind::{Cell, FactKind, Told, ToldCell};
use super::{Fact, Facts, merge, reject};
use crate::colors::Scheme;
use crate::colors::scheme::EMBEDDED;
use crate::config::Config;
use crate::error::Result;
use crate::ids::IdTable;
use crate::records;
use crate::records::rejects::Reason;
use crate::records::told::{self, FactTable, ToldRow};
use crate::time::{FOREVER, Second};
use crate::words::{Words, w};

impl Facts {
    /// Reads the tables of facts about persons; with `as_of`, what became known then or later is left out.
    ///
    /// # Errors
    /// Those of reading the files.
    pub(super) fn read_told(&mut self, config: &Config, as_of: Option<Second>) -> Result<()> {
        let given = told::TABLES.iter().filter(|of| !config.table(of.schema.table).paths.is_empty());
        given.into_iter().try_for_each(|of| self.read_table(of, config, as_of))
    }

    fn read_table(&mut self, of: &FactTable, config: &Config, as_of: Option<Second>) -> Result<()> {
        let table = config.table(of.schema.table);
        let mut files = told::read(of, &records::stamp(of.schema.table, table)?, table)?;
        let keys = self.persons.absorb(&files.iter().map(|f| &f.ids[0]).collect::<Vec<&IdTable>>())?;
        let end = as_of.unwrap_or(FOREVER);
        let mut rows: Vec<(u32, ToldRow, usize)> = Vec::new();
        for (number, (file, keys)) in files.iter_mut().zip(keys).enumerate() {
            for (row, fact) in std::mem::take(&mut file.rows) {
                if fact.told.known_at >= end {
                    continue;
                }
                let happens = of.kind.times()[0];
                // A correction may name what is still to come.
                let is_event = of.kind.times().len() == 1 && of.kind != FactKind::Correction;
                if fact.told.at >= end && is_event {
                    reject(file, row, happens.word(), Reason::TimeInFuture);
                    continue;
                }
                match keys[fact.person as usize] {
                    Some(person) => rows.push((person, fact, number)),
                    None => reject(file, row, "person_id", Reason::ForeignId),
                }
            }
        }
        // Of rows that tell of the same, the last known counts: it may bring the end.
        rows.par_sort_unstable_by(|(a_person, a, _), (b_person, b, _)| {
            let order = |row: &ToldRow| (Reverse(row.told.known_at), row.told.until.unwrap_or(FOREVER));
            let same = (a_person, a.told.at, &a.told.cells).cmp(&(b_person, b.told.at, &b.told.cells));
            same.then_with(|| order(a).cmp(&order(b))).then_with(|| a.told.basis.cmp(&b.told.basis))
        });
        rows.dedup_by(|next, kept| {
            let same =
                (next.0, next.1.told.at, &next.1.told.cells) == (kept.0, kept.1.told.at, &kept.1.told.cells);
            if same {
                merge(&mut files[next.2]);
            }
            same
        });
        self.told.extend(rows.into_iter().map(|(person, row, _)| (person, row.told)));
        self.close(files);
        Ok(())
    }

    /// What corrections name: person, kind of fact and its time, with when the last of them was made.
    pub(super) fn corrected(&self) -> HashMap<(u32, String, Second), Second> {
        let mut named: HashMap<(u32, String, Second), Second> = HashMap::new();
        for (person, told) in self.told.iter().filter(|(_, told)| told.kind == FactKind::Correction) {
            let Some(Cell::Word(fact)) = told.cell("fact") else { continue };
            let made = named.entry((*person, fact.to_string(), told.at)).or_insert(told.known_at);
            *made = told.known_at.max(*made);
        }
        named
    }

    /// Takes away every fact that a correction names and that was known when it was made: what is told later is what is
    /// right.
    pub(super) fn correct(&mut self) {
        let named = self.corrected();
        if named.is_empty() {
            return;
        }
        let mut found = HashSet::new();
        let before = self.told.len();
        self.told.retain(|(person, told)| {
            let key = (*person, told.kind.word().to_string(), told.at);
            let wrong = named.get(&key).is_some_and(|made| told.known_at <= *made);
            if wrong {
                found.insert(key);
            }
            !wrong
        });
        let (all, taken, idle) = (named.len(), before - self.told.len(), named.len() - found.len());
        self.notes.push(Words::new(
            format!("{all} corrections took back {taken} facts; {idle} name no fact that is known"),
            format!("{all}项更正撤回了{taken}项事实；其中{idle}项所指的事实不存在"),
        ));
    }

    /// Turns the color of every push that names another scheme into this scheme's, and takes away those that have no
    /// counterpart here; a note says what was lost.
    pub fn recognise(&mut self, scheme: &Scheme) {
        let mut lost: BTreeMap<(String, String), u64> = BTreeMap::new();
        let mut known: BTreeMap<(String, String), Option<String>> = BTreeMap::new();
        let mut told: BTreeMap<Words, u64> = BTreeMap::new();
        self.told.retain_mut(|(_, told)| {
            if told.kind != FactKind::Push {
                return true;
            }
            let (Some(Cell::Word(color)), Some(Cell::Word(theirs))) =
                (told.cell("color"), told.cell("scheme"))
            else {
                return true;
            };
            let (color, theirs) = (color.to_string(), theirs.to_string());
            let pair = (theirs.clone(), color.clone());
            let ours = known.entry(pair).or_insert_with(|| scheme.recognised(&color, &theirs));
            match ours {
                Some(ours) => told.cells[0] = Some(ToldCell::Text(ours.as_str().into())),
                None => *lost.entry((theirs, color)).or_default() += 1,
            }
            ours.is_some()
        });
        for ((theirs, color), count) in lost {
            // Text of the input goes into no note: it could be anything.
            let shipped = EMBEDDED.iter().find(|(id, _)| *id == theirs);
            let known = shipped.is_some_and(|(id, text)| {
                Scheme::from_text(text, id).is_ok_and(|known| known.severity.contains(&color))
            });
            let what = match known {
                true => Words::new(format!("{color} of {theirs}"), format!("{theirs} 的 {color}")),
                false => w("an unknown color or scheme", "未知的颜色或方案"),
            };
            *told.entry(what).or_insert(0) += count;
        }
        for (what, count) in told {
            self.notes.push(Words::new(
                format!("{count} pushes are lost: {} has no counterpart in {}", what.en, scheme.id),
                format!("{count}条外地推送未被采用：{}在 {} 中没有对应颜色", what.zh, scheme.id),
            ));
        }
    }

    /// Notes pushes and orders of which no rule of the scheme makes anything.
    pub fn note_unasked(&mut self, scheme: &Scheme) {
        for kind in [FactKind::Push, FactKind::Order] {
            let unasked = |told: &&(u32, Told)| {
                told.1.kind == kind && !scheme.rules.iter().any(|rule| rule.means(&Fact::Told(&told.1)))
            };
            let count = self.told.iter().filter(unasked).count();
            if count > 0 {
                let id = &scheme.id;
                self.notes.push(match kind {
                    FactKind::Push => Words::new(
                        format!("colors pushed from elsewhere that change nothing: {count}; no rule of {id} is about them"),
                        format!("{count}条外地推送的颜色不起作用：{id} 没有相应的规则"),
                    ),
                    _ => Words::new(
                        format!("manual orders that change nothing: {count}; no rule of {id} is about their color"),
                        format!("{count}项人工指令不起作用：{id} 没有针对其颜色的规则"),
                    ),
                });
            }
        }
    }

    /// Notes appeals and confirmations that name no rule of the scheme: they do nothing.
    pub fn note_unknown_rules(&mut self, scheme: &Scheme) {
        let unknown = self.told.iter().filter(|(_, told)| {
            matches!(told.kind, FactKind::Appeal | FactKind::Confirmation)
                && matches!(Fact::Told(told).cell("rule_id"), Some(Cell::Word(id)) if scheme.rule(id).is_none())
        });
        let unknown = unknown.count();
        if unknown > 0 {
            let id = &scheme.id;
            self.notes.push(Words::new(
                format!("{unknown} appeals or confirmations name a rule that {id} does not have"),
                format!("{unknown}项申诉或解除确认所指的规则在 {id} 中不存在"),
            ));
        }
    }
}
