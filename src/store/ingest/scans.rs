//! A feed of scans: all of them are held at once, because a late scan can change visits on any side of it.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::error::Result;
use crate::ids::{IdColumn, IdTable, IdType, SIGN};
use crate::records::bulk::{Bulk, Piece};
use crate::records::scans::{PERSONS, ScanRows, VENUES};
use crate::store::VisitSource;
use crate::store::disk::DiskStore;
use crate::store::format::RejectRow;
use crate::store::ingest::budget::Spare;
use crate::store::ingest::first::{self, Remember, Seen, SeenPiece};
use crate::store::ingest::keys::{Persons, VenueKeys};
use crate::store::ingest::write::{StoreDays, digest};
use crate::store::ingest::{Added, Feed, NewFiles, new_files};
use crate::store::merge::{self, Changes, Existing, FromFile, Nothing};
use crate::visits::{Scan, Visits};

/// Makes visits of the feed's scans, each day sorted by person.
///
/// # Errors
/// Those of reading; `usage` if they do not fit the memory given.
pub fn hold(feed: &Feed<'_>) -> Result<(Added, BTreeMap<u32, Visits>)> {
    let (added, changes) = read(feed, None)?;
    Ok((added, changes.visits))
}

/// Adds the feed's scans to a store, and writes the days that change.
///
/// # Errors
/// Those of reading and writing; `usage` if they do not fit the memory given.
pub fn add(feed: &Feed<'_>, current: Option<&DiskStore>, days: &StoreDays<'_>) -> Result<Added> {
    let (added, changes) = read(feed, current)?;
    days.write(changes)?;
    Ok(added)
}

fn read(feed: &Feed<'_>, current: Option<&DiskStore>) -> Result<(Added, Changes)> {
    let NewFiles { unread, venue_files, mut report } = new_files(feed, current)?;
    let known = current.map(DiskStore::person_ids).transpose()?;
    let known = known.as_ref();
    let as_text = known.is_some_and(|ids| !ids.is_empty() && ids.kind() == IdType::Text);
    let bulk = Bulk::open::<ScanRows>(&unread, feed.table, as_text, feed.budget.piece_rows)?;
    let known_persons = known.map_or(0, IdColumn::len);
    Spare::new(feed.budget, bulk.rows, known_persons as u64).check_scans(bulk.rows)?;
    let seen = first::read::<ScanRows>(&bulk, Remember { rows: true, persons: true })?;
    let Seen { mut files, pieces, texts: [persons, venues], tokens: [person_tokens, venue_tokens], .. } =
        seen;
    let mut persons = Persons::new(known, &bulk, &files, persons)?;
    persons.add_read(person_tokens)?;
    let (known_venues, venues) = (current.map(DiskStore::venues), (venues, venue_tokens));
    let venues = VenueKeys::new(known_venues, &bulk, &files, venues, venue_files, &mut report)?;
    let rows = keyed(&bulk, pieces, &persons, &venues);

    let rules = venues.venues.stay_rules(feed.rules);
    let rebuild = current.is_some_and(|c| {
        let before = c.venues().stay_rules(feed.rules);
        let known = before.by_venue.len();
        c.manifest().visit_rules != digest(feed.rules)
            || before.by_venue[..] != rules.by_venue[..known]
            || before.parent[..] != rules.parent[..known]
    });
    let existing: &dyn Existing = current.map_or(&Nothing, |c| c);
    let changes = merge::scans(existing, rows, files.len(), &rules, rebuild)?;
    let mut fed_rejects = Vec::new();
    for (file, (merged, kept)) in files.iter_mut().zip(changes.merged.iter().zip(&changes.kept)) {
        (file.balance.merged, file.balance.accepted) = (*merged, *kept);
        fed_rejects.extend(RejectRow::of(&file.balance, &file.rejects));
    }
    let added = Added {
        new_persons: persons.ids_from(known_persons),
        venues: venues.venues,
        directed: changes.directed,
        fed_files: files.into_iter().map(|file| file.balance).collect(),
        fed_rejects,
        report,
    };
    Ok((added, changes))
}

/// The rows with keys in place of ids, in any order.
fn keyed(
    bulk: &Bulk<'_>,
    pieces: Vec<SeenPiece<ScanRows>>,
    persons: &Persons<'_>,
    venues: &VenueKeys,
) -> Vec<FromFile<Scan>> {
    // Texts have their keys; integers are looked up.
    let ids = (persons.kind() != IdType::Text).then(|| IdTable::from_column(persons.all_ids()));
    let sign = if persons.kind() == IdType::Int { SIGN } else { 0 };
    let key = |token: u64| match &ids {
        Some(ids) => ids.int_key((token ^ sign) as i64).expect("every accepted row's person has been added"),
        None => token as u32,
    };
    let piece = |(piece, seen): (&Piece, SeenPiece<ScanRows>)| {
        let (mut of_persons, mut of_venues) = (Vec::new(), Vec::new());
        let [person_type, venue_type] = [PERSONS, VENUES].map(|table| bulk.id_type(piece.file, table));
        let tokens = persons.tokens_of(person_type, &seen.texts[PERSONS], &mut of_persons);
        let venues = venues.keys_of(venue_type, &seen.texts[VENUES], &mut of_venues);
        let mut keyed = Vec::with_capacity(seen.chunks.iter().map(|rows| rows.person.len()).sum());
        for rows in seen.chunks {
            let venue = venues.of(&rows.venue);
            keyed.extend((0..rows.person.len()).map(|row| {
                let scan = Scan {
                    person: key(tokens.of(rows.person[row])),
                    venue: venue[row],
                    at: rows.at[row],
                    direction: rows.direction[row],
                    left: rows.left[row],
                    celsius: rows.celsius[row],
                };
                (scan, piece.file as u32)
            }));
        }
        keyed
    };
    let keyed: Vec<Vec<FromFile<Scan>>> = bulk.pieces.par_iter().zip(pieces).map(piece).collect();
    keyed.concat()
}
