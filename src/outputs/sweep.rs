//! A night under several thresholds of overlap: how many contacts and colors each makes.

use crate::colors::Scheme;
use crate::error::Result;
use crate::outputs::diff::Side;
use crate::outputs::report::rows::{Rows, tally};
use crate::outputs::report::{Cell, Kind, Section, Table, Words, w, words};
use crate::outputs::summary::n;
use crate::time;

/// What one threshold makes of the night.
pub struct Point {
    /// Shortest overlap that counts, seconds.
    pub min_overlap_s: u32,
    /// Persons by ring, from ring 1.
    pub rings: Vec<u64>,
    /// Persons by color, in the order of severity; the healthy left out.
    pub colors: Vec<u64>,
}

/// The same night under several thresholds.
pub struct Sweep {
    points: Vec<Point>,
    colors: Vec<String>,
}

impl Sweep {
    /// Counts the registers made under each threshold. `nights` are thresholds with persons by ring and the register.
    ///
    /// # Errors
    /// `damaged` if a register lacks its column.
    pub fn new(scheme: &Scheme, nights: &[(u32, &[u64], &Side)]) -> Result<Sweep> {
        let colors: Vec<String> =
            scheme.severity.iter().filter(|color| *color != scheme.healthy()).cloned().collect();
        let point = |(min_overlap_s, rings, side): &(u32, &[u64], &Side)| {
            let register = Rows::new(side.register.clone(), "colors.parquet");
            let counts = tally(register.texts("color")?);
            let of = |color: &String| {
                counts.iter().find(|(name, _)| *name == Some(color.as_str())).map_or(0, |(_, count)| *count)
            };
            let colors = colors.iter().map(of).collect();
            Ok(Point { min_overlap_s: *min_overlap_s, rings: rings.to_vec(), colors })
        };
        let points = nights.iter().map(point).collect::<Result<_>>()?;
        Ok(Sweep { points, colors })
    }

    /// Rings that any threshold reaches.
    fn depth(&self) -> usize {
        self.points.iter().map(|point| point.rings.len()).max().unwrap_or(0)
    }

    fn ring(point: &Point, ring: usize) -> u64 {
        point.rings.get(ring).copied().unwrap_or(0)
    }

    /// In words, for the screen: a line a threshold.
    pub fn words(&self) -> String {
        let titles = (1..=self.depth()).map(|ring| format!("ring {ring}")).chain(self.colors.iter().cloned());
        let mut lines =
            vec![titles.fold(format!("{:<12}", "min_overlap"), |line, t| line + &format!("{t:>14}"))];
        for point in &self.points {
            let rings = (0..self.depth()).map(|ring| Sweep::ring(point, ring));
            let line = format!("{:<12}", time::format_duration(u64::from(point.min_overlap_s)));
            let counts = rings.chain(point.colors.iter().copied());
            lines.push(counts.fold(line, |line, count| line + &format!("{:>14}", n(count))));
        }
        lines.join("\n")
    }

    /// The same for a program.
    pub fn json(&self) -> serde_json::Value {
        let point = |point: &Point| {
            let colors: serde_json::Map<String, serde_json::Value> =
                self.colors.iter().cloned().zip(point.colors.iter().map(|count| (*count).into())).collect();
            serde_json::json!({"min_overlap_s": point.min_overlap_s, "rings": point.rings, "colors": colors})
        };
        serde_json::json!(self.points.iter().map(point).collect::<Vec<_>>())
    }

    /// As a section of a page.
    pub fn section(&self) -> Section {
        let threshold = |table: Table| {
            table.column("min_overlap", Kind::Text, w("shortest overlap that counts", "计入的最短重叠时间"))
        };
        let label = |point: &Point| Cell::Text(time::format_duration(u64::from(point.min_overlap_s)));
        let mut contacts = threshold(Table::new(
            "sweep_contacts",
            w("Contacts against the threshold", "接触者人数与阈值"),
            w(
                "People in each ring, by the shortest overlap that counts.",
                "按计入的最短重叠时间，各圈的人数。",
            ),
            Some("sweep"),
        ));
        for ring in 1..=self.depth() {
            let title = w(&format!("ring {ring}"), &format!("第{ring}圈"));
            contacts = contacts.column(format!("ring_{ring}"), Kind::Count, title);
        }
        let row = |point: &Point| {
            let rings = (0..self.depth()).map(|ring| Cell::count(Sweep::ring(point, ring)));
            [label(point)].into_iter().chain(rings).collect()
        };
        let contacts = contacts.rows(self.points.iter().map(row).collect());
        let mut colors = threshold(Table::new(
            "sweep_colors",
            w("Colors against the threshold", "颜色人数与阈值"),
            w(
                "People under each color, by the shortest overlap that counts; whoever has a color for another reason keeps it.",
                "按计入的最短重叠时间，各颜色的人数；因其他原因赋码者不受影响。",
            ),
            Some("sweep"),
        ));
        for color in &self.colors {
            colors = colors.column(color, Kind::Count, words::color(color));
        }
        let row = |point: &Point| {
            [label(point)].into_iter().chain(point.colors.iter().map(|count| Cell::count(*count))).collect()
        };
        let colors = colors.rows(self.points.iter().map(row).collect());
        Section { id: "sweep", title: Words::new("Thresholds", "阈值"), tables: vec![contacts, colors] }
    }
}
