//! Which counts of a report are of people, which of them are one or add up, and what follows from them.

use std::collections::{BTreeMap, BTreeSet};

use super::suppress::{self, Counts, is_hidden};
use super::{Audience, Cell, Figure, Section, Table, words};

/// Hides counts of few people, and what would tell them, in a whole report.
pub fn protect(sections: &mut [Section], figures: &mut [Figure], audience: Audience, healthy: &str) {
    if audience.suppress_below == 0 {
        return;
    }
    let tables = sections.iter_mut().flat_map(|section| &mut section.tables);
    let tables = tables.map(|table| (table.id, table)).collect();
    let mut tables: BTreeMap<&'static str, &mut Table> = tables;
    if let Some(releases) = tables.get_mut("releases") {
        without_days(releases, audience.suppress_below);
    }
    let mut book = Book {
        counts: Counts::new(audience.suppress_below),
        places: BTreeMap::new(),
        tables,
        figures,
        of_figures: BTreeMap::new(),
    };
    book.people(audience.public);
    book.colors(healthy);
    book.districts(healthy, audience.public);
    book.contacts();
    if audience.public {
        book.cases();
        book.rows();
    }
    book.counts.settle();
    book.hide();
    book.hide_what_follows(audience.public);
}

/// Makes one row without a day of the changes of few people: on how many days they change would tell how many they are.
fn without_days(releases: &mut Table, least: u64) {
    let number = |row: &[Cell]| if let Cell::Whole(number) = row[3] { number } else { 0 };
    let mut sums: BTreeMap<(String, String), i64> = BTreeMap::new();
    for row in &releases.rows {
        *sums.entry((row[1].in_csv(), row[2].in_csv())).or_default() += number(row);
    }
    for ((before, after), sum) in sums.into_iter().filter(|(_, sum)| *sum < least as i64) {
        let is_of_few = |row: &Vec<Cell>| row[1].in_csv() == before && row[2].in_csv() == after;
        releases.rows.retain(|row| !is_of_few(row));
        releases.rows.push(vec![super::EMPTY, Cell::Text(before), Cell::Text(after), Cell::Whole(sum)]);
    }
}

/// The counts of a report by where they stand.
struct Book<'a> {
    counts: Counts,
    places: BTreeMap<(&'static str, usize, usize), usize>,
    tables: BTreeMap<&'static str, &'a mut Table>,
    figures: &'a mut [Figure],
    of_figures: BTreeMap<&'static str, usize>,
}

impl Book<'_> {
    /// Notes every count of people.
    fn people(&mut self, public: bool) {
        for (table, columns) in [
            ("color_flow", &["persons"][..]),
            ("changes", &["persons"]),
            ("changes_by_rule", &["persons"]),
            ("orders", &["persons"]),
            ("coverage", &["residents", "with_visits"]),
            ("districts", &["residents", "new", "released", "overdue"]),
            ("rules", &["persons", "decides"]),
            ("releases", &["persons"]),
            ("delays", &["persons"]),
            ("rings", &["persons"]),
            ("hot_spots", &["visitors", "contacts"]),
            ("venue_hours", &["persons"]),
            ("observed_by_category", &["contacts"]),
        ] {
            self.note(table, columns);
        }
        let colors = self.district_colors();
        self.note("districts", &colors.iter().map(String::as_str).collect::<Vec<_>>());
        if public {
            self.note("contacts_per_case", &["cases_ring_1", "cases_ring_2"]);
            self.note("contacts_summary", &["cases"]);
            self.note("epidemic_curve", &ONSET);
            self.note("epidemic_curve", &REPORT);
            self.note("balance", &["rows", "accepted", "merged", "rejected"]);
            self.note("rejected", &["rows"]);
        }
        for figure in ["ring_1", "ring_2", "not_healthy", "changed"] {
            self.note_figure(figure);
        }
        // What can be added up from the tables is missed least.
        for figure in ["not_healthy", "changed"].iter().filter_map(|id| self.of_figures.get(id)) {
            self.counts.is_spare(*figure);
        }
        if public {
            self.note_figure("cases");
            self.note_figure("rejected");
        }
    }

    fn note(&mut self, table: &'static str, columns: &[&str]) {
        let Some(rows) = self.tables.get(table) else { return };
        let columns: Vec<usize> = columns.iter().filter_map(|name| column(rows, name)).collect();
        for (at, row) in rows.rows.iter().enumerate() {
            for column in &columns {
                if let Cell::Whole(number) = row[*column] {
                    self.places.insert((table, at, *column), self.counts.shown(number));
                }
            }
        }
    }

    fn note_figure(&mut self, id: &'static str) {
        if let Some(Figure { value: Cell::Whole(number), .. }) =
            self.figures.iter().find(|figure| figure.id == id)
        {
            self.of_figures.insert(id, self.counts.shown(*number));
        }
    }

    /// The counts of a column of a table, by row; none for rows and tables that have no count there.
    fn column(&self, table: &'static str, name: &str) -> Vec<(usize, usize)> {
        let Some(at) = self.tables.get(table).and_then(|rows| column(rows, name)) else { return Vec::new() };
        let of = |row: usize| Some((row, *self.places.get(&(table, row, at))?));
        (0..self.tables[table].rows.len()).filter_map(of).collect()
    }

    /// The count in a cell.
    fn cell(&self, table: &'static str, row: usize, name: &str) -> Option<usize> {
        let at = column(self.tables.get(table)?, name)?;
        self.places.get(&(table, row, at)).copied()
    }

    /// The text of a cell.
    fn text(&self, table: &'static str, row: usize, name: &str) -> String {
        let rows = &self.tables[table];
        column(rows, name).map(|at| rows.rows[row][at].in_csv()).unwrap_or_default()
    }

    /// The counts of a column of the rows whose text in another column is this.
    fn where_is(&self, table: &'static str, name: &str, key: &str, value: &str) -> Vec<usize> {
        let rows = self.column(table, name).into_iter();
        rows.filter(|(row, _)| self.text(table, *row, key) == value).map(|(_, count)| count).collect()
    }

    fn district_colors(&self) -> Vec<String> {
        let of = |table: &&mut Table| -> Vec<String> {
            let names: BTreeSet<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
            let colors = names.iter().filter(|name| names.contains(format!("{name}_rate").as_str()));
            colors.map(|name| name.to_string()).collect()
        };
        self.tables.get("districts").map(of).unwrap_or_default()
    }

    /// A count that the parts add up to, which the report does not have.
    fn implied(&mut self, parts: Vec<usize>) -> usize {
        let sum = parts.iter().map(|part| self.counts.number(*part)).sum();
        let total = self.counts.implied(sum);
        self.counts.sum(total, parts);
        total
    }

    fn figure(&mut self, id: &str, parts: Vec<usize>) {
        if let Some(total) = self.of_figures.get(id) {
            self.counts.sum(*total, parts);
        }
    }

    /// Tonight's colors: the same people by color before, by rule, by district, by the day on which they change next.
    fn colors(&mut self, healthy: &str) {
        for (row, change) in self.column("changes", "persons") {
            let [before, after] = ["color_before", "color_after"].map(|name| self.text("changes", row, name));
            for (other, flow) in self.column("color_flow", "persons") {
                if self.text("color_flow", other, "color_before") == before
                    && self.text("color_flow", other, "color_after") == after
                {
                    self.counts.same(change, flow);
                }
            }
        }
        let all =
            |counts: Vec<(usize, usize)>| counts.into_iter().map(|(_, count)| count).collect::<Vec<_>>();
        let changes = self.column("changes", "persons");
        self.figure("changed", all(changes.clone()));
        let mut colors: BTreeSet<String> =
            changes.iter().map(|(row, _)| self.text("changes", *row, "color_after")).collect();
        for color in &colors {
            let changed = self.where_is("changes", "persons", "color_after", color);
            let changed = self.implied(changed);
            self.counts.sum(changed, self.where_is("changes_by_rule", "persons", "color_after", color));
        }
        let flow = self.column("color_flow", "persons");
        colors.extend(flow.iter().map(|(row, _)| self.text("color_flow", *row, "color_after")));
        colors.remove(healthy);
        let mut totals = Vec::new();
        for color in &colors {
            let with = self.where_is("color_flow", "persons", "color_after", color);
            let with = self.implied(with);
            totals.push(with);
            self.counts.sum(with, all(self.column("districts", color)));
            self.counts.sum(with, self.where_is("rules", "decides", "color", color));
            self.counts.sum(with, self.where_is("releases", "persons", "color_before", color));
        }
        self.figure("not_healthy", totals);
        self.figure("not_healthy", all(self.column("rules", "decides")));
        // Mostly the same people: those with a reason, those it decides for, those whose color it changed.
        for (row, persons) in self.column("rules", "persons") {
            let rule = self.text("rules", row, "rule_id");
            for decides in self.where_is("rules", "decides", "rule_id", &rule) {
                self.counts.same(persons, decides);
                for changed in self.where_is("changes_by_rule", "persons", "rule_id", &rule) {
                    self.counts.same(decides, changed);
                }
            }
            self.counts.sum(persons, self.where_is("orders", "persons", "rule_id", &rule));
        }
    }

    /// Districts: those who live there, were seen there, turned or were released.
    fn districts(&mut self, healthy: &str, public: bool) {
        let homes = self.column("districts", "residents").into_iter();
        let homes: BTreeMap<String, usize> =
            homes.map(|(row, count)| (self.text("districts", row, "region_id"), count)).collect();
        for (row, residents) in self.column("coverage", "residents") {
            if let Some(home) = homes.get(&self.text("coverage", row, "region_id")) {
                self.counts.same(residents, *home);
            }
            if let Some(seen) = self.cell("coverage", row, "with_visits").filter(|_| public) {
                let unseen = self.counts.implied(self.counts.number(residents) - self.counts.number(seen));
                self.counts.sum(residents, vec![seen, unseen]);
            }
        }
        let colors = self.district_colors();
        for (name, key) in [("new", "color_before"), ("released", "color_after")] {
            let turned = self.where_is("changes", "persons", key, healthy);
            let turned = self.implied(turned);
            let of_districts = self.column("districts", name);
            self.counts.sum(turned, of_districts.iter().map(|(_, count)| *count).collect());
            // In the first night everyone with a color is new.
            for (row, count) in of_districts {
                self.counts.is_spare(count);
                let with = colors.iter().filter_map(|color| self.cell("districts", row, color)).collect();
                self.counts.sum(count, with);
            }
        }
    }

    /// Contacts: by ring, by category of venue.
    fn contacts(&mut self) {
        for (row, persons) in self.column("rings", "persons") {
            let figure = format!("ring_{}", self.text("rings", row, "ring"));
            if let Some(figure) = self.of_figures.get(figure.as_str()) {
                self.counts.same(*figure, persons);
            }
        }
        let slots: BTreeSet<String> = self
            .column("venue_hours", "persons")
            .iter()
            .map(|(row, _)| self.text("venue_hours", *row, "venue"))
            .collect();
        for venue in slots {
            let of_venue = self.where_is("venue_hours", "persons", "venue", &venue);
            for contacts in self.where_is("hot_spots", "contacts", "venue", &venue) {
                self.counts.sum(contacts, of_venue.clone());
            }
        }
        let categories = self.column("observed_by_category", "contacts");
        self.figure("ring_1", categories.iter().map(|(_, count)| *count).collect());
        if self.tables.get("hot_spots").is_none_or(|table| column(table, "venue").is_none()) {
            for (row, contacts) in categories {
                let category = self.text("observed_by_category", row, "category");
                for same in self.where_is("hot_spots", "contacts", "category", &category) {
                    self.counts.same(contacts, same);
                }
            }
        }
    }

    /// Cases: by day, by how many contacts they have.
    fn cases(&mut self) {
        let Some(cases) = self.of_figures.get("cases").copied() else { return };
        for days in [ONSET, REPORT] {
            let mut counted: Vec<usize> = days
                .iter()
                .flat_map(|name| self.column("epidemic_curve", name))
                .map(|(_, count)| count)
                .collect();
            let sum: i64 = counted.iter().map(|count| self.counts.number(*count)).sum();
            // Those without such a day, or before the curve begins.
            let rest = self.counts.number(cases) - sum;
            counted.push(self.counts.implied(rest.max(0)));
            self.counts.sum(cases, counted);
        }
        for name in ["cases_ring_1", "cases_ring_2"] {
            let bins = self.column("contacts_per_case", name);
            self.counts.sum(cases, bins.into_iter().map(|(_, count)| count).collect());
        }
        for (_, count) in self.column("contacts_summary", "cases") {
            self.counts.same(cases, count);
        }
    }

    /// Rows of inputs, some of which are a person each.
    fn rows(&mut self) {
        let parts = ["accepted", "merged", "rejected"];
        for (row, rows) in self.column("balance", "rows") {
            let of_row = parts.iter().filter_map(|name| self.cell("balance", row, name)).collect();
            self.counts.sum(rows, of_row);
        }
        for table in [("balance", "rejected"), ("rejected", "rows")] {
            let rejected = self.column(table.0, table.1).into_iter().map(|(_, count)| count).collect();
            self.figure("rejected", rejected);
        }
    }

    fn hide(&mut self) {
        for ((table, row, column), count) in &self.places {
            if let (Some(hidden), Some(table)) = (self.counts.hidden(*count), self.tables.get_mut(table)) {
                table.rows[*row][*column] = hidden;
            }
        }
        for (id, count) in &self.of_figures {
            let figure = self.figures.iter_mut().find(|figure| figure.id == *id);
            if let (Some(hidden), Some(figure)) = (self.counts.hidden(*count), figure) {
                figure.value = hidden;
            }
        }
    }

    /// Hides what a hidden count could be worked out from, or nearly.
    fn hide_what_follows(&mut self, public: bool) {
        for color in self.district_colors() {
            self.follow("districts", &[&color, "residents"], &[&format!("{color}_rate")]);
        }
        self.follow("coverage", &["residents", "with_visits"], &["share"]);
        // All of them but one would give that one.
        if self.is_any_hidden("coverage", &["residents", "with_visits"]) {
            self.withhold_figure("coverage");
        }
        if self.is_any_hidden("coverage", &["residents"]) {
            let homes = words::input("residences").en;
            let of_homes: Vec<bool> = match self.tables.get("balance") {
                Some(balance) => balance.rows.iter().map(|row| row[0].in_csv() == homes).collect(),
                None => Vec::new(),
            };
            self.withhold("balance", &["rows", "accepted", "merged", "rejected"], |row| of_homes[row]);
        }
        // Few contacts are told by how many each case has.
        let few: Vec<bool> = (0..2).map(|at| self.is_ring_hidden(at)).collect();
        self.withhold("contacts_summary", &SUMMARY, |row| few[row]);
        self.follow("orders", &["persons"], &["share"]);
        if self.figures.iter().any(|figure| figure.id == "not_healthy" && is_hidden(&figure.value)) {
            self.withhold("orders", &["share"], |_| true);
        }
        self.follow("rings", &["persons"], &["exposures"]);
        self.follow("delays", &["persons"], &["median", "p90", "longest"]);
        self.follow("hot_spots", &["visitors"], &["expected_cases", "ratio", "p_value"]);
        if !public {
            self.sort_hidden_last();
            return;
        }
        let minutes = ["minutes", "observed_minutes", "inferred_minutes"];
        self.follow("rings", &["persons"], &minutes);
        self.follow("hot_spots", &["contacts"], &minutes);
        self.follow("observed_by_category", &["contacts"], &minutes);
        // The minutes of ring 1 less those of the other categories would be those of one.
        if self.is_any_hidden("observed_by_category", &["minutes"]) {
            self.withhold("rings", &minutes, |row| row == 0);
        }
        self.follow("contacts_summary", &["cases"], &SUMMARY);
        // Quantiles tell bins of few cases.
        for (at, name) in ["cases_ring_1", "cases_ring_2"].into_iter().enumerate() {
            let is_bin_hidden = self.tables.get("contacts_per_case").is_some_and(|bins| {
                column(bins, name).is_some_and(|column| bins.rows.iter().any(|row| is_hidden(&row[column])))
            });
            if is_bin_hidden {
                self.withhold("contacts_summary", &SUMMARY, |row| row == at);
            }
        }
        // A mean of seven days, less that of the day before, tells the first and the last of eight.
        for (days, mean) in [(ONSET, "onset_mean_7"), (REPORT, "report_mean_7")] {
            let Some(curve) = self.tables.get("epidemic_curve") else { continue };
            let columns: Vec<usize> = days.iter().filter_map(|name| column(curve, name)).collect();
            let hides = |row: &Vec<Cell>| columns.iter().any(|column| is_hidden(&row[*column]));
            let hidden: Vec<usize> =
                curve.rows.iter().enumerate().filter(|(_, row)| hides(row)).map(|(at, _)| at).collect();
            self.withhold("epidemic_curve", &[mean], |row| {
                hidden.iter().any(|day| (*day..*day + 7).contains(&row))
            });
        }
    }

    fn is_any_hidden(&self, table: &'static str, columns: &[&str]) -> bool {
        let Some(table) = self.tables.get(table) else { return false };
        let columns: Vec<usize> = columns.iter().filter_map(|name| column(table, name)).collect();
        table.rows.iter().any(|row| columns.iter().any(|at| is_hidden(&row[*at])))
    }

    /// Whether the people of a ring are hidden.
    fn is_ring_hidden(&self, ring: usize) -> bool {
        let Some(rings) = self.tables.get("rings") else { return false };
        let persons = column(rings, "persons");
        rings.rows.get(ring).zip(persons).is_some_and(|(row, persons)| is_hidden(&row[persons]))
    }

    fn withhold_figure(&mut self, id: &str) {
        if let Some(figure) = self.figures.iter_mut().find(|figure| figure.id == id) {
            figure.value = suppress::withheld();
        }
    }

    /// Hot spots come by their chance: those of which it is hidden come last, by id, so that their place does not tell it.
    fn sort_hidden_last(&mut self) {
        let Some(spots) = self.tables.get_mut("hot_spots") else { return };
        let (Some(chance), Some(venue)) = (column(spots, "p_value"), column(spots, "venue")) else { return };
        let rows = std::mem::take(&mut spots.rows).into_iter();
        let (mut hidden, shown): (Vec<_>, Vec<_>) = rows.partition(|row: &Vec<Cell>| is_hidden(&row[chance]));
        hidden.sort_by_key(|row| row[venue].in_csv());
        spots.rows = shown.into_iter().chain(hidden).collect();
    }

    /// Withholds columns of a table in the rows in which one of others is hidden.
    fn follow(&mut self, table: &'static str, counts: &[&str], columns: &[&str]) {
        let Some(rows) = self.tables.get(table) else { return };
        let counts: Vec<usize> = counts.iter().filter_map(|name| column(rows, name)).collect();
        let hides: Vec<bool> =
            rows.rows.iter().map(|row| counts.iter().any(|count| is_hidden(&row[*count]))).collect();
        self.withhold(table, columns, |row| hides[row]);
    }

    fn withhold(&mut self, table: &'static str, columns: &[&str], which: impl Fn(usize) -> bool) {
        let Some(table) = self.tables.get_mut(table) else { return };
        let columns: Vec<usize> = columns.iter().filter_map(|name| column(table, name)).collect();
        for (_, row) in table.rows.iter_mut().enumerate().filter(|(at, _)| which(*at)) {
            columns
                .iter()
                .filter(|at| row[**at] != super::EMPTY)
                .copied()
                .collect::<Vec<_>>()
                .into_iter()
                .for_each(|at| row[at] = suppress::withheld());
        }
    }
}

/// Columns of contacts per case, in numbers.
const SUMMARY: [&str; 7] = ["least", "quarter", "median", "three_quarters", "p90", "most", "mean"];

/// Columns of the epidemic curve that count cases.
const ONSET: [&str; 3] = ["onset_confirmed", "onset_asymptomatic", "onset_suspected"];
const REPORT: [&str; 3] = ["report_confirmed", "report_asymptomatic", "report_suspected"];

fn column(table: &Table, name: &str) -> Option<usize> {
    table.columns.iter().position(|column| column.name == name)
}
