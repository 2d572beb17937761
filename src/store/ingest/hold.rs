//! A feed of visits into memory, for one trace: keys for persons, then every row to its place by venue.
//!
//! ```text
//! persons ──by range of ids──▶ distinct ones ──▶ keys, back to their rows
//! rows    ──by range of venues──▶ placed by venue, sorted by arrival, joined where a person's overlap or touch
//! ```
//!
//! One trace needs no order of persons, so nothing is sorted by person as it is for a store. A range of either kind fits
//! a core's own cache.

use std::collections::HashMap;
use std::ops::Range;

use foldhash::fast::FixedState;
use rayon::prelude::*;

use crate::error::Result;
use crate::ids::IdType;
use crate::records::bulk::{Bulk, Piece};
use crate::records::scans::{PERSONS, VENUES, VisitRows};
use crate::store::by_venue::VenueRanges;
use crate::store::format::RejectRow;
use crate::store::ingest::budget::Spare;
use crate::store::ingest::first::{self, Remember, Seen, SeenPiece};
use crate::store::ingest::join::{BUCKET_ROWS, BUCKETS_MAX};
use crate::store::ingest::keys::{Persons, VenueKeys};
use crate::store::ingest::ranges::Ranges;
use crate::store::ingest::{Added, Feed, NewFiles, new_files};
use crate::time::Second;
use crate::visits::{EndSource, Visits};

/// Reads the feed's visits into memory, all days together, sorted by venue, arrival, person; `None` if they do not fit the
/// memory given.
///
/// # Errors
/// Those of reading.
pub fn hold(feed: &Feed<'_>) -> Result<Option<(Added, Visits)>> {
    let NewFiles { unread, venue_files, mut report } = new_files(feed, None)?;
    let bulk = Bulk::open::<VisitRows>(&unread, feed.table, false, feed.budget.piece_rows)?;
    if !Spare::new(feed.budget, bulk.rows, 0).holds(bulk.rows) {
        return Ok(None);
    }
    let seen = first::read::<VisitRows>(&bulk, Remember { rows: true, persons: false })?;
    let Seen { mut files, pieces, texts: [persons, venues], tokens: [_, venue_tokens], .. } = seen;
    let mut persons = Persons::new(None, &bulk, &files, persons)?;
    let venues = VenueKeys::new(None, &bulk, &files, (venues, venue_tokens), venue_files, &mut report)?;

    let mut chunks = chunks(&bulk, pieces, &persons, &venues);
    give_keys(&mut chunks, &mut persons)?;
    let (visits, merged) = by_venue(chunks, venues.venues.ids.len(), files.len());

    let mut fed_rejects = Vec::new();
    for (file, merged) in files.iter_mut().zip(merged) {
        file.balance.merged = merged;
        file.balance.accepted -= merged;
        fed_rejects.extend(RejectRow::of(&file.balance, &file.rejects));
    }
    let added = Added {
        new_persons: persons.ids_from(0),
        venues: venues.venues,
        directed: false,
        fed_files: files.into_iter().map(|file| file.balance).collect(),
        fed_rejects,
        report,
    };
    Ok(Some((added, visits)))
}

/// Some rows of a file.
struct Chunk {
    file: u32,
    /// Tokens of persons; none once they have keys.
    tokens: Vec<u64>,
    person: Vec<u32>,
    venue: Vec<u32>,
    arrived: Vec<Second>,
    left: Vec<Second>,
}

/// The rows as they were read, with tokens for their persons and keys for their venues.
fn chunks(
    bulk: &Bulk<'_>,
    pieces: Vec<SeenPiece<VisitRows>>,
    persons: &Persons<'_>,
    venues: &VenueKeys,
) -> Vec<Chunk> {
    let of_piece = |(piece, seen): (&Piece, SeenPiece<VisitRows>)| -> Vec<Chunk> {
        let (mut of_persons, mut of_venues) = (Vec::new(), Vec::new());
        let [person_type, venue_type] = [PERSONS, VENUES].map(|table| bulk.id_type(piece.file, table));
        let tokens = persons.tokens_of(person_type, &seen.texts[PERSONS], &mut of_persons);
        let venues = venues.keys_of(venue_type, &seen.texts[VENUES], &mut of_venues);
        let chunk = |rows: VisitRows| {
            let VisitRows { person: mut cells, venue, arrived, left } = rows;
            cells.iter_mut().for_each(|cell| *cell = tokens.of(*cell));
            let venue = venues.of(&venue);
            Chunk { file: piece.file as u32, tokens: cells, person: Vec::new(), venue, arrived, left }
        };
        seen.chunks.into_iter().map(chunk).collect()
    };
    let chunks: Vec<Vec<Chunk>> = bulk.pieces.par_iter().zip(pieces).map(of_piece).collect();
    chunks.into_iter().flatten().collect()
}

/// Gives the persons of the rows their keys, which are in the order of ids.
///
/// # Errors
/// `usage` if there are more persons than keys.
fn give_keys(chunks: &mut [Chunk], persons: &mut Persons<'_>) -> Result<()> {
    if persons.kind() == IdType::Text {
        // Their tokens are their keys.
        chunks.par_iter_mut().for_each(|chunk| {
            chunk.person = std::mem::take(&mut chunk.tokens).into_iter().map(|token| token as u32).collect();
        });
        return Ok(());
    }
    let rows: usize = chunks.iter().map(|chunk| chunk.tokens.len()).sum();
    let count = (rows as u64).div_ceil(BUCKET_ROWS).clamp(1, BUCKETS_MAX) as usize;
    let step = rows / (32 * count) + 1;
    let sample = chunks.iter().flat_map(|chunk| chunk.tokens.iter().step_by(step)).copied().collect();
    let ranges = Ranges::of_sample(sample, count);
    let split = |chunk: &mut Chunk| {
        let tokens = std::mem::take(&mut chunk.tokens);
        let of: Vec<u16> = tokens.iter().map(|token| ranges.of(*token) as u16).collect();
        let split = Split::new(&of, ranges.len(), |row| tokens[row]);
        (of, split)
    };
    let split: Vec<(Vec<u16>, Split<u64>)> = chunks.par_iter_mut().map(split).collect();
    let keyed = |range: usize| Keyed::new(split.iter().map(|(_, split)| split.of(range)));
    let mut keyed: Vec<Keyed> = (0..ranges.len()).into_par_iter().map(keyed).collect();
    let of: Vec<Vec<u16>> = split.into_iter().map(|(of, _)| of).collect();

    let mut first = Vec::with_capacity(keyed.len());
    let mut all = Vec::with_capacity(keyed.iter().map(|part| part.persons.len()).sum());
    for part in &mut keyed {
        first.push(all.len() as u32);
        all.extend(std::mem::take(&mut part.persons));
    }
    persons.add(all)?;
    chunks.par_iter_mut().zip(of).enumerate().for_each(|(at, (chunk, of))| {
        let mut next: Vec<std::slice::Iter<'_, u32>> = keyed.iter().map(|part| part.of(at).iter()).collect();
        let key = |range: &u16| {
            let place = next[usize::from(*range)].next().expect("as many as were split off");
            first[usize::from(*range)] + place
        };
        chunk.person = of.iter().map(key).collect();
    });
    Ok(())
}

/// The persons of a range of tokens.
struct Keyed {
    /// Their tokens, sorted.
    persons: Vec<u64>,
    /// By row, chunk after chunk: the place of its person among them.
    places: Vec<u32>,
    /// Where each chunk's end.
    ends: Vec<u32>,
}

impl Keyed {
    fn new<'a>(chunks: impl Iterator<Item = &'a [u64]> + Clone) -> Keyed {
        let mut numbers: HashMap<u64, u32, FixedState> = HashMap::default();
        let mut places: Vec<u32> = Vec::with_capacity(chunks.clone().map(<[u64]>::len).sum());
        let mut ends = Vec::new();
        for tokens in chunks {
            places.extend(tokens.iter().map(|token| {
                let next = numbers.len() as u32;
                *numbers.entry(*token).or_insert(next)
            }));
            ends.push(places.len() as u32);
        }
        let mut persons: Vec<(u64, u32)> = numbers.into_iter().collect();
        persons.sort_unstable();
        let mut place = vec![0; persons.len()];
        (0..).zip(&persons).for_each(|(at, (_, number))| place[*number as usize] = at);
        places.iter_mut().for_each(|number| *number = place[*number as usize]);
        Keyed { persons: persons.into_iter().map(|(token, _)| token).collect(), places, ends }
    }

    /// The places of a chunk's rows.
    fn of(&self, chunk: usize) -> &[u32] {
        let from = if chunk == 0 { 0 } else { self.ends[chunk - 1] };
        &self.places[from as usize..self.ends[chunk] as usize]
    }
}

/// What a chunk's rows hold, those of one range together, in their order.
struct Split<T> {
    items: Vec<T>,
    /// Where each range starts; one more at the end.
    starts: Vec<u32>,
}

impl<T: Copy + Default> Split<T> {
    /// Splits rows by `of`, the range of each.
    fn new(of: &[u16], ranges: usize, item: impl Fn(usize) -> T) -> Split<T> {
        let mut starts = vec![0_u32; ranges + 1];
        of.iter().for_each(|range| starts[usize::from(*range) + 1] += 1);
        for range in 0..ranges {
            starts[range + 1] += starts[range];
        }
        let mut next = starts.clone();
        let mut items = vec![T::default(); of.len()];
        for (row, range) in of.iter().enumerate() {
            let place = &mut next[usize::from(*range)];
            items[*place as usize] = item(row);
            *place += 1;
        }
        Split { items, starts }
    }

    fn of(&self, range: usize) -> &[T] {
        &self.items[self.starts[range] as usize..self.starts[range + 1] as usize]
    }
}

/// A row on its way to its venue.
#[derive(Clone, Copy, Default)]
struct Row {
    venue: u32,
    person: u32,
    arrived: Second,
    left: Second,
}

/// A row at its venue.
#[derive(Clone, Copy, Default)]
struct Placed {
    arrived: Second,
    person: u32,
    left: Second,
    file: u32,
}

/// The visits that the rows make, by venue, arrival, person, and how many rows of each file are part of another's visit.
fn by_venue(chunks: Vec<Chunk>, venues: usize, files: usize) -> (Visits, Vec<u64>) {
    let rows: usize = chunks.iter().map(|chunk| chunk.person.len()).sum();
    let counts = rows_by_venue(&chunks, venues);
    let ranges = VenueRanges::of_counts(&counts);
    let files_of: Vec<u32> = chunks.iter().map(|chunk| chunk.file).collect();
    let split = |chunk: Chunk| {
        let of: Vec<u16> = chunk.venue.iter().map(|venue| ranges.of(*venue) as u16).collect();
        let Chunk { person, venue, arrived, left, .. } = &chunk;
        let row =
            |at: usize| Row { venue: venue[at], person: person[at], arrived: arrived[at], left: left[at] };
        Split::new(&of, ranges.len(), row)
    };
    let split: Vec<Split<Row>> = chunks.into_par_iter().map(split).collect();

    let mut visits = Visits {
        person: vec![0; rows],
        venue: vec![0; rows],
        arrived: vec![0; rows],
        left: vec![0; rows],
        seen_until: Vec::new(),
        end_source: Vec::new(),
    };
    let mut left = [&mut visits.person[..], &mut visits.venue, &mut visits.arrived, &mut visits.left];
    let mut places = Vec::with_capacity(ranges.len());
    let mut lengths = Vec::with_capacity(ranges.len());
    for range in 0..ranges.len() {
        let length = counts[venue_range(&ranges, range)].iter().map(|count| *count as usize).sum();
        lengths.push(length);
        places.push(left.each_mut().map(|column| column.split_off_mut(..length).expect("a place a row")));
    }
    let joined = places.into_par_iter().enumerate().map_init(AtVenue::default, |room, (range, place)| {
        let first = ranges.venues(range).start;
        let rows = || split.iter().zip(&files_of).map(|(split, file)| (split.of(range), *file));
        room.place(rows, first, &counts[venue_range(&ranges, range)]);
        room.join(place, first)
    });
    let joined: Vec<(usize, Vec<u32>)> = joined.collect();
    drop(split);

    let mut merged = vec![0; files];
    joined.iter().flat_map(|(_, merged)| merged).for_each(|file| merged[*file as usize] += 1);
    // What was joined has left gaps, at the end of each range.
    let columns = [&mut visits.person, &mut visits.venue, &mut visits.arrived, &mut visits.left];
    columns.into_par_iter().for_each(|column| {
        let (mut to, mut from) = (0, 0);
        for ((kept, _), length) in joined.iter().zip(&lengths) {
            if to < from {
                column.copy_within(from..from + kept, to);
            }
            (to, from) = (to + kept, from + length);
        }
        column.truncate(to);
    });
    visits.seen_until = visits.left.clone();
    visits.end_source = vec![EndSource::CheckOut; visits.len()];
    (visits, merged)
}

/// How many rows each venue has.
fn rows_by_venue(chunks: &[Chunk], venues: usize) -> Vec<u32> {
    let count = |mut counts: Vec<u32>, chunk: &Chunk| {
        chunk.venue.iter().for_each(|venue| counts[*venue as usize] += 1);
        counts
    };
    let sum = |mut one: Vec<u32>, two: Vec<u32>| {
        one.iter_mut().zip(two).for_each(|(one, two)| *one += two);
        one
    };
    let none = || vec![0_u32; venues];
    let at_once = chunks.len().div_ceil(rayon::current_num_threads()).max(1);
    chunks.par_iter().with_min_len(at_once).fold(none, count).reduce(none, sum)
}

fn venue_range(ranges: &VenueRanges, range: usize) -> Range<usize> {
    let venues = ranges.venues(range);
    venues.start as usize..venues.end as usize
}

/// The rows of a range of venues, and room to work in.
#[derive(Default)]
struct AtVenue {
    rows: Vec<Placed>,
    /// Where each venue's rows end.
    ends: Vec<u32>,
    heads: Heads,
}

impl AtVenue {
    /// Places rows by venue; `counts` are those of each.
    fn place<'a, R: Iterator<Item = (&'a [Row], u32)>>(
        &mut self,
        rows: impl Fn() -> R,
        first: u32,
        counts: &[u32],
    ) {
        let mut next = 0;
        self.ends.clear();
        self.ends.extend(counts.iter().map(|count| {
            next += count;
            next - count
        }));
        self.rows.clear();
        self.rows.resize(next as usize, Placed::default());
        for (rows, file) in rows() {
            for Row { venue, person, arrived, left } in rows {
                let place = &mut self.ends[(venue - first) as usize];
                self.rows[*place as usize] = Placed { arrived: *arrived, person: *person, left: *left, file };
                *place += 1;
            }
        }
    }

    /// Writes the visits that the rows make to the start of `place`; how many there are, and the files of the rows that
    /// are part of another's visit.
    ///
    /// Rows of a person at a venue that overlap or touch are one visit, which counts for the file of its first row: that
    /// with the earliest arrival, then the earliest end, then the first file.
    fn join(&mut self, place: [&mut [u32]; 4], first: u32) -> (usize, Vec<u32>) {
        let [persons, venues, arrivals, ends] = place;
        let (mut kept, mut from, mut merged) = (0, 0, Vec::new());
        for (venue, end) in (first..).zip(&self.ends) {
            let rows = &mut self.rows[from..*end as usize];
            from = *end as usize;
            sort(rows);
            self.heads.clear(rows.len());
            for row in rows {
                let head = self.heads.of(row.person, kept as u32, &persons[..kept]);
                if *head != kept as u32 && row.arrived <= ends[*head as usize] {
                    let end = &mut ends[*head as usize];
                    *end = row.left.max(*end);
                    merged.push(row.file);
                    continue;
                }
                *head = kept as u32;
                (persons[kept], venues[kept]) = (row.person, venue);
                (arrivals[kept], ends[kept]) = (row.arrived, row.left);
                kept += 1;
            }
        }
        (kept, merged)
    }
}

/// Sorts a venue's rows by arrival, person, end, file. Deliveries often come in the order of arrival, but for those who
/// came together.
fn sort(rows: &mut [Placed]) {
    if rows.is_sorted_by_key(|row| row.arrived) {
        let together = rows.chunk_by_mut(|a, b| a.arrived == b.arrived).filter(|rows| rows.len() > 1);
        together.for_each(|rows| rows.sort_unstable_by_key(|row| (row.person, row.left, row.file)));
        return;
    }
    rows.sort_unstable_by(|a, b| {
        let order = |row: &Placed| u64::from(row.arrived) << 32 | u64::from(row.person);
        order(a).cmp(&order(b)).then_with(|| (a.left, a.file).cmp(&(b.left, b.file)))
    });
}

/// The last visit so far of each person at a venue: open addressing, sized for the venue, so that it stays in cache.
#[derive(Default)]
struct Heads {
    visits: Vec<u32>,
    shift: u32,
}

/// No visit.
const NONE: u32 = u32::MAX;

impl Heads {
    /// Forgets all; makes room for `persons`.
    fn clear(&mut self, persons: usize) {
        let bits = (2 * persons).next_power_of_two().trailing_zeros().max(1);
        self.shift = 32 - bits;
        self.visits.clear();
        self.visits.resize(1 << bits, NONE);
    }

    /// The person's last visit, `new` if there is none yet; `persons` are those of the visits.
    #[inline]
    fn of(&mut self, person: u32, new: u32, persons: &[u32]) -> &mut u32 {
        // Multiplying by 2^32 over the golden ratio scatters keys that follow each other (Knuth, 6.4).
        let mut at = (person.wrapping_mul(0x9e37_79b1) >> self.shift) as usize;
        loop {
            match self.visits[at] {
                NONE => {
                    self.visits[at] = new;
                    break;
                }
                visit if persons[visit as usize] == person => break,
                _ => at = (at + 1) & (self.visits.len() - 1),
            }
        }
        &mut self.visits[at]
    }
}
