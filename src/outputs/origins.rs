//! Where cases were infected, as tables: places that several share, and who likely infected whom.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;

use crate::backward::links::CaseLink;
use crate::backward::shared::{Shared, SharedPlaces};
use crate::backward::{CasePerson, links};
use crate::error::Result;
use crate::ids::IdColumn;
use crate::outputs::report::rows::{Rows, tally};
use crate::outputs::summary::{many, n};
use crate::outputs::survey::{self, chance, thousandths, whole};
use crate::outputs::tables::{Names, instants, table, texts};
use crate::records::venues::VenueFacts;
use crate::store::Venues;
use crate::time::{self, Second};
use jiff::tz::TimeZone;

/// Places and chains that are shown on the screen; the files hold all.
const SHOWN: usize = 10;

/// Where cases may have been infected, and by whom.
pub struct Origins {
    /// `source_venues.parquet`: venues that several cases visited in their incubation windows, the least likely by chance
    /// first: `venue_id, cases, visitors, expected_cases, chance, chance_adjusted, case_ids, category, region_id, name`.
    pub venues: RecordBatch,
    /// `source_hours.parquet`: venues and hours likewise, with `hour` after `venue_id`.
    pub hours: RecordBatch,
    /// `links.parquet`: as in a night.
    pub links: RecordBatch,
    /// Persons who are cases, with visits or without.
    pub cases: u64,
    /// Cases that were anywhere in the period looked at.
    pub seen: u64,
    /// Venues looked at.
    pub looked_at_venues: u64,
    /// Hours of the period looked at.
    pub looked_at_hours: u64,
    /// Ids of the cases, in order, with the local day on which each fell ill.
    people: Vec<(String, String)>,
    /// Infector of each case, if any is plausible, by place.
    forest: BTreeMap<usize, usize>,
    /// By case, its best link where that is implausible.
    implausible: BTreeMap<usize, (usize, links::Verdict)>,
}

impl Origins {
    /// Makes the tables.
    ///
    /// # Errors
    /// Those of reading the ids.
    pub fn new(
        cases: &[CasePerson],
        places: &SharedPlaces,
        links: &[CaseLink],
        names: Names<'_>,
        venues: &Venues,
        zone: &TimeZone,
    ) -> Result<Origins> {
        let ids = survey::case_ids(cases, names)?;
        let of: BTreeMap<u32, usize> = cases.iter().enumerate().map(|(at, case)| (case.person, at)).collect();
        let best = || links.iter().filter(|link| link.rank == 1);
        let people = cases
            .iter()
            .enumerate()
            .map(|(at, case)| (ids.get(at).to_string(), time::local_date(case.began_at, zone).to_string()));
        let place = |shared: &[Shared], by_hour| table_of(shared, by_hour, places, (&ids, &of), venues);
        Ok(Origins {
            venues: place(&places.at_venues, false),
            hours: place(&places.at_hours, true),
            links: survey::links(links, &ids, venues),
            cases: cases.len() as u64,
            seen: places.seen,
            looked_at_venues: places.venues,
            looked_at_hours: places.hours,
            people: people.collect(),
            forest: best().filter(|l| l.verdict.can_be()).map(|link| (link.case, link.infector)).collect(),
            implausible: best()
                .filter(|link| !link.verdict.can_be())
                .map(|link| (link.case, (link.infector, link.verdict)))
                .collect(),
        })
    }

    /// In words, for the screen.
    ///
    /// # Errors
    /// `damaged` never: the tables are our own.
    pub fn words(&self, zone: &TimeZone) -> Result<String> {
        let mut lines = vec![format!(
            "{}, {} of them somewhere in the days 14 to 1 before they fell ill",
            many(self.cases, "case"),
            n(self.seen)
        )];
        let looked_at = n(self.looked_at_venues);
        lines.push(format!("\nplaces several cases visited then, the least likely by chance first ({looked_at} venues looked at):"));
        self.places(&self.venues, None, &mut lines)?;
        lines.push(format!("\n… and hours ({looked_at} venues times {} hours):", n(self.looked_at_hours)));
        self.places(&self.hours, Some(zone), &mut lines)?;
        let (likely, odd) = (self.forest.len() as u64, self.implausible.len() as u64);
        lines.push(format!(
            "\nmost plausible chains: {} of {} cases have a plausible infector among the others",
            n(likely),
            n(self.cases)
        ));
        let mut shown = 0;
        let roots = (0..self.people.len()).filter(|case| !self.forest.contains_key(case));
        let mut roots: Vec<(usize, usize)> = roots.map(|root| (self.infected_by(root).len(), root)).collect();
        roots.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        for (children, root) in roots {
            if children == 0 || shown >= 3 * SHOWN {
                break;
            }
            self.chain(root, 0, &mut lines, &mut shown);
        }
        if odd > 0 {
            lines.push(format!(
                "\n! {} met other cases only when that cannot have been the infection:",
                many(odd, "case")
            ));
            for (case, (infector, verdict)) in self.implausible.iter().take(SHOWN) {
                let [(case, day), (infector, _)] = [case, infector].map(|at| &self.people[*at]);
                lines.push(format!("  ! {case} ({day}) met {infector}: {}", verdict.words()));
            }
        }
        Ok(lines.join("\n"))
    }

    fn infected_by(&self, case: usize) -> Vec<usize> {
        self.forest.iter().filter(|(_, infector)| **infector == case).map(|(case, _)| *case).collect()
    }

    fn chain(&self, case: usize, depth: usize, lines: &mut Vec<String>, shown: &mut usize) {
        let (id, day) = &self.people[case];
        lines.push(format!("  {}{id} ({day})", "    ".repeat(depth)));
        *shown += 1;
        for next in self.infected_by(case) {
            self.chain(next, depth + 1, lines, shown);
        }
    }

    fn places(&self, found: &RecordBatch, hours: Option<&TimeZone>, lines: &mut Vec<String>) -> Result<()> {
        let rows = Rows::new(found.clone(), "places");
        let (venues, cases) = (rows.ids("venue_id")?, rows.numbers("cases")?);
        let (expected, adjusted) = (rows.texts("expected_cases")?, rows.texts("chance_adjusted")?);
        let (visitors, names) = (rows.numbers("visitors")?, rows.texts("name")?);
        let at = match hours {
            Some(zone) => {
                let local = |at: Option<Second>| at.map(|at| time::format_local(at, zone));
                rows.instants("hour")?.into_iter().map(local).collect()
            }
            None => vec![None; rows.len()],
        };
        for row in 0..rows.len().min(SHOWN) {
            let hour = at[row].as_ref().map(|at| format!(" from {at}")).unwrap_or_default();
            let name = names[row].map(|name| format!(" ({name})")).unwrap_or_default();
            lines.push(format!(
                "  {} cases, {} by chance, of {} visitors: {}{name}{hour}; chance {} after correction",
                cases[row].unwrap_or(0),
                expected[row].unwrap_or("0"),
                n(visitors[row].unwrap_or(0) as u64),
                venues[row],
                adjusted[row].unwrap_or("1"),
            ));
        }
        match rows.len() {
            0 => lines.push("  none".into()),
            all if all > SHOWN => {
                lines.push(format!("  … and {} more in the files", n((all - SHOWN) as u64)))
            }
            _ => {}
        }
        Ok(())
    }

    /// In numbers, for a program.
    ///
    /// # Errors
    /// `damaged` never: the tables are our own.
    pub fn json(&self) -> Result<serde_json::Value> {
        let links = Rows::new(self.links.clone(), "links");
        let verdicts = tally(links.texts("verdict")?);
        let verdicts: serde_json::Map<String, serde_json::Value> =
            verdicts.into_iter().map(|(verdict, n)| (verdict.unwrap_or_default().into(), n.into())).collect();
        Ok(serde_json::json!({
            "cases": self.cases, "cases_seen": self.seen,
            "venues": self.venues.num_rows(), "hours": self.hours.num_rows(),
            "looked_at": {"venues": self.looked_at_venues, "hours": self.looked_at_hours},
            "links": verdicts, "with_plausible_infector": self.forest.len(),
        }))
    }
}

/// Places as a table. `chance_adjusted` is the chance times the places looked at (Bonferroni), at most 1.
fn table_of(
    shared: &[Shared],
    by_hour: bool,
    places: &SharedPlaces,
    (ids, of): (&IdColumn, &BTreeMap<u32, usize>),
    venues: &Venues,
) -> RecordBatch {
    let text = |cell: fn(&VenueFacts) -> &Option<String>| {
        texts(shared.iter().map(|s| cell(&venues.facts[s.venue as usize]).as_deref()))
    };
    let who = |shared: &Shared| {
        let mut who: Vec<usize> = shared.who.iter().map(|person| of[person]).collect();
        who.sort_unstable();
        let who: Vec<String> = who.into_iter().map(|at| ids.get(at).to_string()).collect();
        who.join("; ")
    };
    let mut columns = vec![("venue_id", venues.ids.ids().to_arrow(shared.iter().map(|s| s.venue)))];
    if by_hour {
        columns.push(("hour", instants(shared.iter().map(|s| s.hour.expect("of an hour")))));
    }
    columns.extend([
        ("cases", whole(shared.iter().map(Shared::cases))),
        ("visitors", whole(shared.iter().map(|s| s.visitors))),
        (
            "expected_cases",
            texts(shared.iter().map(|s| Some(thousandths(places.expected_thousandths(s.visitors))))),
        ),
        ("chance", texts(shared.iter().map(|s| Some(chance(s.chance))))),
        ("chance_adjusted", texts(shared.iter().map(|s| Some(chance(places.adjusted(s)))))),
        ("case_ids", texts(shared.iter().map(|s| Some(who(s))))),
        ("category", text(|f| &f.category)),
        ("region_id", text(|f| &f.region_id)),
        ("name", text(|f| &f.name)),
    ]);
    table(columns)
}
