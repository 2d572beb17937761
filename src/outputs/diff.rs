//! Two registers side by side: whose color differs, where, and by which rules.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use rayon::prelude::*;

use crate::colors::Scheme;
use crate::error::Result;
use crate::outputs::csv::{self, Reader};
use crate::outputs::report::rows::{Rows, tally};
use crate::outputs::report::{Cell, EMPTY, Kind, Section, Table, Words, w};
use crate::outputs::summary::n;
use crate::outputs::tables::{table, texts, write_parquet};

/// A register to compare.
pub struct Side {
    /// What it is called.
    pub name: String,
    /// The color of whoever is not in it.
    pub healthy: String,
    /// `person_id, color, rule_id, region_id`, sorted by person.
    pub register: RecordBatch,
}

/// The columns of a register that are compared.
pub const COLUMNS: [&str; 4] = ["person_id", "color", "rule_id", "region_id"];

/// A person's row in one register.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    color: String,
    rule: Option<String>,
    region: String,
}

/// A person whose color or rule differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Their id.
    pub person: String,
    /// Color in the first register.
    pub color_a: String,
    /// Color in the second.
    pub color_b: String,
    /// The rule that decides in the first.
    pub rule_a: Option<String>,
    /// The rule that decides in the second.
    pub rule_b: Option<String>,
    /// Their region, in the second register if they are in it.
    pub region: String,
}

impl Moved {
    fn why(&self) -> Why<'_> {
        (&self.color_a, &self.color_b, self.rule_a.as_deref(), self.rule_b.as_deref())
    }
}

/// How two registers differ.
pub struct Diff {
    names: [String; 2],
    /// Persons by color, in each.
    pub colors: [BTreeMap<String, u64>; 2],
    /// Everyone whose color differs, by id.
    pub moved: Vec<Moved>,
    /// Persons of the same color by another rule.
    pub other_rule: u64,
    /// What the rules of both rest on.
    basis: BTreeMap<String, Words>,
}

/// Compares two registers, each with ids of its own type and made by one of `schemes`; equal ids are those that read the
/// same.
///
/// # Errors
/// `damaged` if a register lacks a column.
pub fn between(a: &Side, b: &Side, schemes: &[&Scheme]) -> Result<Diff> {
    let (before, after) = (rows_of(a)?, rows_of(b)?);
    let mut moved: Vec<Moved> = Vec::new();
    let mut other_rule = 0;
    let absent =
        |side: &Side, of: &Row| Row { color: side.healthy.clone(), rule: None, region: of.region.clone() };
    let mut pair = |person: &str, first: &Row, second: &Row| {
        if first.color != second.color {
            moved.push(Moved {
                person: person.to_string(),
                color_a: first.color.clone(),
                color_b: second.color.clone(),
                rule_a: first.rule.clone(),
                rule_b: second.rule.clone(),
                region: second.region.clone(),
            });
        } else if first.rule != second.rule {
            other_rule += 1;
        }
    };
    let (mut at, mut to) = (0, 0);
    while at < before.len() || to < after.len() {
        let first = before.get(at).filter(|(id, _)| after.get(to).is_none_or(|(other, _)| id <= other));
        let second = after.get(to).filter(|(id, _)| before.get(at).is_none_or(|(other, _)| id <= other));
        match (first, second) {
            (Some((id, first)), Some((_, second))) => pair(id, first, second),
            (Some((id, first)), None) => pair(id, first, &absent(b, first)),
            (None, Some((id, second))) => pair(id, &absent(a, second), second),
            (None, None) => unreachable!("one of the two comes first"),
        }
        at += usize::from(first.is_some());
        to += usize::from(second.is_some());
    }
    let colors =
        |rows: &[(String, Row)]| tally(rows.iter().map(|(_, row)| row.color.clone())).into_iter().collect();
    let rules = schemes.iter().flat_map(|scheme| &scheme.rules);
    Ok(Diff {
        names: [a.name.clone(), b.name.clone()],
        colors: [colors(&before), colors(&after)],
        moved,
        other_rule,
        basis: rules.map(|rule| (rule.id.clone(), Words::new(&rule.basis.en, &rule.basis.zh))).collect(),
    })
}

/// The rows of a register, by the text of the id.
fn rows_of(side: &Side) -> Result<Vec<(String, Row)>> {
    let rows = Rows::new(side.register.clone(), "colors.parquet");
    let (ids, colors) = (rows.ids("person_id")?, rows.texts("color")?);
    let (rules, regions) = (rows.texts("rule_id")?, rows.texts("region_id")?);
    let row = |(at, id): (usize, String)| {
        let text = |cell: Option<&str>| cell.unwrap_or_default().to_string();
        let rule = rules[at].map(str::to_string);
        (id, Row { color: text(colors[at]), rule, region: text(regions[at]) })
    };
    let mut rows: Vec<(String, Row)> = ids.into_iter().enumerate().map(row).collect();
    rows.par_sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(rows)
}

impl Diff {
    /// Persons by color in both, and region.
    pub fn by_region(&self) -> Vec<((&str, &str, &str), u64)> {
        tally(self.moved.iter().map(|m| (m.region.as_str(), m.color_a.as_str(), m.color_b.as_str())))
    }

    /// Persons by color in both.
    pub fn by_color(&self) -> Vec<((&str, &str), u64)> {
        tally(self.moved.iter().map(|m| (m.color_a.as_str(), m.color_b.as_str())))
    }

    /// Persons by color in both and the rules that decide in both.
    pub fn by_rule(&self) -> Vec<(Why<'_>, u64)> {
        tally(self.moved.iter().map(Moved::why))
    }

    /// A rule and what it rests on, in English.
    fn rule(&self, rule: Option<&str>) -> String {
        let Some(id) = rule else { return "no reason".into() };
        self.basis.get(id).map_or_else(|| id.to_string(), |basis| format!("{id} ({})", basis.en))
    }

    /// What a rule rests on, in both languages.
    fn basis(&self, rule: Option<&str>) -> Cell {
        match rule {
            Some(id) => self.basis.get(id).cloned().map_or(EMPTY, Cell::Words),
            None => Cell::Words(w("no reason", "无任何理由")),
        }
    }

    /// In words, for the screen.
    pub fn words(&self) -> String {
        let [a, b] = &self.names;
        let colors = |side: usize| {
            let all: Vec<String> =
                self.colors[side].iter().map(|(color, count)| format!("{} {color}", n(*count))).collect();
            if all.is_empty() { "no one".into() } else { all.join(", ") }
        };
        let mut lines = vec![
            format!("A  {a}: {}", colors(0)),
            format!("B  {b}: {}", colors(1)),
            format!(
                "{} people change color from A to B, {} keep it by another rule",
                n(self.moved.len() as u64),
                n(self.other_rule)
            ),
        ];
        for ((from, to), count) in self.by_color() {
            lines.push(format!("  {:>10}  {from} -> {to}", n(count)));
            for ((_, _, rule_a, rule_b), count) in
                self.by_rule().into_iter().filter(|(why, _)| (why.0, why.1) == (from, to))
            {
                lines.push(format!("  {:>14}  {} -> {}", n(count), self.rule(rule_a), self.rule(rule_b)));
            }
        }
        let mut regions: BTreeMap<&str, u64> = BTreeMap::new();
        self.by_region()
            .into_iter()
            .for_each(|((region, ..), count)| *regions.entry(region).or_default() += count);
        let mut regions: Vec<(&str, u64)> = regions.into_iter().collect();
        regions.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        if !regions.is_empty() {
            let shown: Vec<String> =
                regions.iter().take(10).map(|(region, count)| format!("{region} {}", n(*count))).collect();
            let more =
                if regions.len() > 10 { format!(" and {} more", regions.len() - 10) } else { String::new() };
            lines.push(format!("by district: {}{more}", shown.join(", ")));
        }
        lines.join("\n")
    }

    /// The same for a program.
    pub fn json(&self) -> serde_json::Value {
        let by_rule = self.by_rule().into_iter().map(|((color_a, color_b, rule_a, rule_b), persons)| {
            serde_json::json!({"color_a": color_a, "color_b": color_b, "rule_a": rule_a, "rule_b": rule_b, "persons": persons})
        });
        let by_region = self.by_region().into_iter().map(|((region, color_a, color_b), persons)| {
            serde_json::json!({"region_id": region, "color_a": color_a, "color_b": color_b, "persons": persons})
        });
        serde_json::json!({
            "a": {"name": self.names[0], "colors": self.colors[0]},
            "b": {"name": self.names[1], "colors": self.colors[1]},
            "changed": self.moved.len(), "other_rule": self.other_rule,
            "by_rule": by_rule.collect::<Vec<_>>(), "by_region": by_region.collect::<Vec<_>>(),
        })
    }

    /// Writes `diff.parquet` and `diff.csv` into a folder that is there: a row a person whose color differs.
    ///
    /// # Errors
    /// `storage`.
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let moved = || self.moved.iter();
        let rows = table(vec![
            ("person_id", texts(moved().map(|m| Some(&m.person)))),
            ("color_a", texts(moved().map(|m| Some(&m.color_a)))),
            ("color_b", texts(moved().map(|m| Some(&m.color_b)))),
            ("rule_a", texts(moved().map(|m| m.rule_a.as_ref()))),
            ("rule_b", texts(moved().map(|m| m.rule_b.as_ref()))),
            ("region_id", texts(moved().map(|m| Some(&m.region)))),
        ]);
        let path = folder.join("diff.parquet");
        write_parquet(&path, &rows)?;
        let numbers: Vec<u32> = (0..rows.num_rows() as u32).collect();
        let mut files = vec![path];
        files.extend(csv::write(folder, "diff", &rows, &numbers, Reader::Program)?);
        Ok(files)
    }

    /// As a section of a page.
    pub fn section(&self) -> Section {
        let [a, b] = &self.names;
        let name = |en: &str, zh: &str| Words::new(format!("{en}: {a} → {b}"), format!("{zh}：{a} → {b}"));
        let colors = |table: Table| {
            table
                .column("color_before", Kind::Color, Words::new(format!("A: {a}"), format!("A：{a}")))
                .column("color_after", Kind::Color, Words::new(format!("B: {b}"), format!("B：{b}")))
        };
        let text = |text: &str| Cell::Text(text.into());
        let flow = self
            .by_color()
            .into_iter()
            .map(|((from, to), count)| vec![text(from), text(to), Cell::count(count)]);
        let flow = colors(Table::new(
            "color_flow",
            name("Whose color differs", "颜色不同者"),
            w("People of another color in B than in A.", "在B中与A中颜色不同的人数。"),
            Some("color_flow"),
        ))
        .column("persons", Kind::Count, w("people", "人数"))
        .rows(flow.collect());
        let why = self.by_rule().into_iter().map(|((from, to, rule_a, rule_b), count)| {
            let [a, b] = [rule_a, rule_b].map(|rule| (Cell::text(rule), self.basis(rule)));
            vec![text(from), text(to), a.0, a.1, b.0, b.1, Cell::count(count)]
        });
        let why = colors(Table::new(
            "diff_by_rule",
            name("Why", "原因"),
            w(
                "The rules that decide in A and in B; none where the person is healthy.",
                "A与B中起决定作用的规则；健康者无规则。",
            ),
            None,
        ))
        .column("rule_a", Kind::Id, w("rule in A", "A中的规则"))
        .column("basis_a", Kind::Word, w("why in A", "A中的原因"))
        .column("rule_b", Kind::Id, w("rule in B", "B中的规则"))
        .column("basis_b", Kind::Word, w("why in B", "B中的原因"))
        .column("persons", Kind::Count, w("people", "人数"))
        .rows(why.collect());
        let rows = self
            .by_region()
            .into_iter()
            .map(|((region, from, to), count)| vec![text(region), text(from), text(to), Cell::count(count)]);
        let regions = Table::new(
            "diff_by_district",
            name("Districts", "各地区"),
            w("People of another color in B than in A, by district.", "各地区在B中与A中颜色不同的人数。"),
            None,
        )
        .column("region_id", Kind::Text, w("district", "地区"));
        let regions =
            colors(regions).column("persons", Kind::Count, w("people", "人数")).rows(rows.collect());
        Section { id: "diff", title: w("Difference", "差异"), tables: vec![flow, why, regions] }
    }
}

/// Colors in both registers, and the rules that decide in both.
pub type Why<'a> = (&'a str, &'a str, Option<&'a str>, Option<&'a str>);
