//! What the venues table says of venues.

use std::collections::HashMap;

use crate::ids::NO_KEY;
use crate::records::FileRows;
use crate::records::rejects::{Reason, Reject};
use crate::records::venues::{VenueFacts, VenueRow};
use crate::store::Venues;
use crate::store::format::RejectRow;
use crate::store::ingest::Report;

/// Sets what the venues files say. The first row of a venue counts, in the order of files and rows; a later one is
/// merged if it says the same and rejected if it does not.
pub fn describe(
    venues: &mut Venues,
    files: Vec<FileRows<Vec<VenueRow>>>,
    keys: &[Vec<Option<u32>>],
    report: &mut Report,
) {
    if files.is_empty() {
        return;
    }
    venues.parent.fill(NO_KEY);
    venues.facts.clear();
    let mut seen: HashMap<u32, (u32, VenueFacts)> = HashMap::new();
    for (mut file, keys) in files.into_iter().zip(keys) {
        for row in std::mem::take(&mut file.rows) {
            let mut reject = |column, reason| {
                file.rejects.push(Reject { row: row.row, column, reason });
                file.balance.accepted -= 1;
                file.balance.rejected += 1;
            };
            let Some(venue) = keys[row.venue as usize] else {
                reject("venue_id", Reason::ForeignId);
                continue;
            };
            let parent = if row.parent == NO_KEY { Some(NO_KEY) } else { keys[row.parent as usize] };
            let Some(parent) = parent else {
                reject("parent_venue_id", Reason::ForeignId);
                continue;
            };
            match seen.get(&venue) {
                Some(known) if *known == (parent, row.facts.clone()) => {
                    file.balance.accepted -= 1;
                    file.balance.merged += 1;
                }
                Some(_) => reject("venue_id", Reason::Contradicts),
                None => {
                    seen.insert(venue, (parent, row.facts.clone()));
                    venues.parent[venue as usize] = parent;
                    venues.facts.set(venue, row.facts);
                }
            }
        }
        file.rejects.sort();
        report.rejects.extend(RejectRow::of(&file.balance, &file.rejects));
        report.files.push(file.balance);
    }
}
