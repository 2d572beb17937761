//! Ids to keys: known ids keep theirs, new ones get the next in the order of the ids' own type, so that keys do not
//! depend on the order in which rows or files came.

use std::collections::HashMap;
use std::ops::Range;

use foldhash::fast::FixedState;

use crate::error::{Error, Result};
use crate::ids::{self, Id, IdColumn, IdTable, IdType, KEYS_MAX, NO_KEY, SIGN};
use crate::records::FileRows;
use crate::records::bulk::Bulk;
use crate::records::scans::{PERSONS, VENUES};
use crate::records::venues::VenueRow;
use crate::store::Venues;
use crate::store::ingest::Report;
use crate::store::ingest::describe::describe;
use crate::store::ingest::first::{CollectedTexts, SeenFile, Texts, fit_both_types};
use crate::store::ingest::ranges::{Distinct, union};

/// The persons of a store and of what is added to it.
///
/// Rows name persons by *tokens*, whose order is that of ids: the ids themselves if those are integers. Texts get
/// their keys first, and these are the tokens.
pub struct Persons<'a> {
    kind: IdType,
    known: Option<&'a IdColumn>,
    /// Rows of `known` whose ids ascend: what one ingest added.
    runs: Vec<Range<usize>>,
    /// Tokens of new integer ids, sorted.
    new: Vec<u64>,
    /// Known and new texts.
    texts: Option<IdTable>,
    /// Tokens of the ids that were read as text, by key among those collected.
    of_texts: Vec<u64>,
}

/// How the cells of a file's person column become tokens.
pub enum ToTokens<'a> {
    /// By turning these bits over.
    Bits(u64),
    /// By key.
    Table(&'a [u64]),
}

impl ToTokens<'_> {
    /// The token of a cell.
    #[inline]
    pub fn of(&self, cell: u64) -> u64 {
        match self {
            ToTokens::Bits(bits) => cell ^ bits,
            ToTokens::Table(tokens) => tokens[cell as usize],
        }
    }
}

impl<'a> Persons<'a> {
    /// The persons, without those new integer ids that [`add`](Self::add) will tell. Without known ids, those of the
    /// delivery decide their type.
    ///
    /// # Errors
    /// `input` for a file with ids that are none of the store's type.
    pub fn new(
        known: Option<&'a IdColumn>,
        bulk: &Bulk<'_>,
        files: &[SeenFile],
        texts: Texts,
    ) -> Result<Persons<'a>> {
        let known = known.filter(|ids| !ids.is_empty());
        let with_rows = (0..files.len()).filter(|file| files[*file].balance.accepted > 0);
        let kinds = with_rows.clone().map(|file| bulk.id_type(file, PERSONS));
        let kind = known.map(IdColumn::kind).or_else(|| common_type(kinds)).unwrap_or(IdType::Text);
        let texts = texts.into_collected();
        let name = |file: usize| files[file].balance.file.clone();
        let mut foreign: Vec<usize> = Vec::new();
        for file in with_rows {
            let own = bulk.id_type(file, PERSONS);
            let fits =
                own == kind || files[file].tokens[PERSONS].is_none_or(|tokens| fit_both_types(tokens, own));
            foreign.extend((!fits).then_some(file));
        }
        let mut persons = Persons {
            kind,
            known: None,
            runs: Vec::new(),
            new: Vec::new(),
            texts: None,
            of_texts: Vec::new(),
        };
        if kind == IdType::Text {
            let mut all = IdTable::from_column(known.cloned().unwrap_or_else(|| IdColumn::new(kind)));
            let keys = all.absorb(&texts.iter().map(|texts| &texts.ids).collect::<Vec<_>>());
            let token = |key: Option<u32>| u64::from(key.expect("a text is a text"));
            persons.of_texts = keys.into_iter().flatten().map(token).collect();
            persons.texts = Some(all);
        } else if let Some(CollectedTexts { ids, files }) = texts {
            let mut buffer = String::new();
            for (row, file) in files.iter().enumerate() {
                match ids::convert(ids.ids().get(row), kind, &mut buffer).and_then(ids::token) {
                    Some(token) => persons.of_texts.push(token),
                    None => foreign.push(*file as usize),
                }
            }
        }
        if let Some(file) = foreign.into_iter().min() {
            return Err(foreign_ids(name(file), "person_id", kind));
        }
        if kind != IdType::Text {
            persons.known = known;
            persons.runs = known.map_or(Vec::new(), ascending_runs);
        }
        Ok(persons)
    }

    /// How the cells of a file whose ids were read as `kind` become tokens; `texts` are the keys of a piece's texts
    /// among those collected.
    pub fn tokens_of<'t>(&self, kind: IdType, texts: &[u32], buffer: &'t mut Vec<u64>) -> ToTokens<'t> {
        if kind != IdType::Text {
            return ToTokens::Bits(if kind == self.kind { 0 } else { SIGN });
        }
        let token = |key: &u32| self.of_texts.get(*key as usize).copied().unwrap_or(u64::MAX);
        *buffer = texts.iter().map(token).collect();
        ToTokens::Table(buffer)
    }

    /// The token of a text that has been collected.
    pub fn token_of_text(&self, text: Id<'_>) -> Option<u64> {
        match &self.texts {
            Some(texts) => texts.key(text).map(u64::from),
            None => ids::convert(text, self.kind, &mut String::new()).and_then(ids::token),
        }
    }

    /// Makes the distinct tokens of the delivery's integer ids known, in the types in which they were read.
    ///
    /// # Errors
    /// As for [`add`](Self::add).
    pub fn add_read(&mut self, [signed, unsigned]: [Distinct; 2]) -> Result<()> {
        if self.kind == IdType::Text {
            return Ok(());
        }
        let read = [(signed, IdType::Int), (unsigned, IdType::Uint)].map(|(distinct, kind)| {
            let mut tokens = distinct.into_sorted();
            if kind != self.kind {
                // All of them are ids of both types, where this keeps the order.
                tokens.iter_mut().for_each(|token| *token ^= SIGN);
            }
            tokens
        });
        let mut texts = self.of_texts.clone();
        texts.sort_unstable();
        texts.dedup();
        let [a, b] = &read;
        let all = if b.is_empty() && texts.is_empty() {
            read.into_iter().next().unwrap_or_default()
        } else {
            union(&union(a, b), &texts)
        };
        self.add(all)
    }

    /// Makes persons known by their sorted, distinct tokens.
    ///
    /// # Errors
    /// `usage` if there are more persons than keys.
    pub fn add(&mut self, mut tokens: Vec<u64>) -> Result<()> {
        if self.kind != IdType::Text {
            // There may be more persons than fit the memory twice.
            if self.len() > 0 {
                let mut keys = self.keys_of(&tokens).into_iter();
                tokens.retain(|_| keys.next() == Some(NO_KEY));
            }
            self.new = if self.new.is_empty() { tokens } else { union(&self.new, &tokens) };
        }
        if self.len() > KEYS_MAX {
            return Err(Error::usage(
                format!("more than {KEYS_MAX} distinct persons"),
                "split the region: a store holds no more",
            ));
        }
        Ok(())
    }

    /// The keys of sorted, distinct tokens; [`NO_KEY`] for those not known.
    pub fn keys_of(&self, tokens: &[u64]) -> Vec<u32> {
        if self.kind == IdType::Text {
            return tokens.iter().map(|token| *token as u32).collect();
        }
        let mut keys = vec![NO_KEY; tokens.len()];
        let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else { return keys };
        if let Some(known) = self.known {
            for run in &self.runs {
                let from = first_at_least(run.clone(), *first, |row| known.token(row));
                find(tokens, &mut keys, (from..run.end).map(|row| (known.token(row), row as u32)), *last);
            }
        }
        let from = self.new.partition_point(|token| token < first);
        let base = self.known_len() as u32;
        let new = (from..self.new.len()).map(|row| (self.new[row], base + row as u32));
        find(tokens, &mut keys, new, *last);
        keys
    }

    /// The token of a key.
    pub fn token_of(&self, key: u32) -> u64 {
        match self.known {
            _ if self.kind == IdType::Text => u64::from(key),
            Some(known) if (key as usize) < known.len() => known.token(key as usize),
            _ => self.new[key as usize - self.known_len()],
        }
    }

    /// A sample of all tokens, about `count` of them, for equal ranges.
    pub fn sample(&self, count: usize) -> Vec<u64> {
        let step = self.len() / count + 1;
        (0..self.len()).step_by(step).map(|key| self.token_of(key as u32)).collect()
    }

    /// The type of their ids.
    pub fn kind(&self) -> IdType {
        self.kind
    }

    fn known_len(&self) -> usize {
        self.known.map_or(0, IdColumn::len)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.texts.as_ref().map_or(self.known_len() + self.new.len(), IdTable::len)
    }

    /// All ids, by key.
    pub fn all_ids(&self) -> IdColumn {
        let mut ids = self.known.cloned().unwrap_or_else(|| IdColumn::new(self.kind));
        match &self.texts {
            Some(texts) => texts.ids().clone(),
            None => {
                ids.extend_tokens(&self.new);
                ids
            }
        }
    }

    /// The ids from key `from` on, which must not be before the first new one.
    pub fn ids_from(&self, from: usize) -> IdColumn {
        let mut ids = IdColumn::new(self.kind);
        match &self.texts {
            Some(texts) => (from..texts.len()).for_each(|row| ids.push(texts.ids().get(row))),
            None => ids.extend_tokens(&self.new[from - self.known_len()..]),
        }
        ids
    }
}

/// Sets the keys of those tokens that the ascending pairs of token and key name.
fn find(tokens: &[u64], keys: &mut [u32], pairs: impl Iterator<Item = (u64, u32)>, last: u64) {
    let mut at = 0;
    for (token, key) in pairs.take_while(|(token, _)| *token <= last) {
        while tokens[at] < token {
            at += 1;
        }
        if tokens[at] == token {
            keys[at] = key;
        }
    }
}

fn first_at_least(rows: Range<usize>, token: u64, token_at: impl Fn(usize) -> u64) -> usize {
    let (mut low, mut high) = (rows.start, rows.end);
    while low < high {
        let middle = low + (high - low) / 2;
        if token_at(middle) < token { low = middle + 1 } else { high = middle }
    }
    low
}

/// The longest runs of rows whose tokens ascend.
fn ascending_runs(ids: &IdColumn) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for row in 0..ids.len() {
        match runs.last_mut() {
            Some(run) if ids.token(row - 1) < ids.token(row) => run.end = row + 1,
            _ => runs.push(row..row + 1),
        }
    }
    runs
}

/// The venues of a store and of what is added to it, and the keys of what was read.
pub struct VenueKeys {
    /// All venues.
    pub venues: Venues,
    /// Keys of the integer ids that were read, signed and unsigned.
    of_tokens: [KeyOf; 2],
    /// The texts that were read, and the key of each.
    texts: Option<IdTable>,
    of_texts: Vec<u32>,
}

/// Keys of integer ids by token.
enum KeyOf {
    /// Of ids close to each other: a key a token from the least on.
    Near { least: u64, keys: Vec<u32> },
    /// Of ids far apart.
    Far(HashMap<u64, u32, FixedState>),
}

/// The places of ids close to each other are at most so many times the ids: the memory that hashing would take.
const NEAR: u64 = 4;

impl KeyOf {
    /// Of sorted tokens.
    fn new(tokens: &[u64], keys: &[Option<u32>]) -> KeyOf {
        let pairs = tokens.iter().zip(keys).map(|(token, key)| (*token, key.unwrap_or(NO_KEY)));
        let (least, most) = (tokens.first().copied().unwrap_or(0), tokens.last().copied().unwrap_or(0));
        if (most - least) / NEAR > tokens.len() as u64 {
            return KeyOf::Far(pairs.collect());
        }
        let mut keys = vec![NO_KEY; (most - least) as usize + 1];
        pairs.for_each(|(token, key)| keys[(token - least) as usize] = key);
        KeyOf::Near { least, keys }
    }

    #[inline]
    fn of(&self, token: u64) -> u32 {
        let key = match self {
            KeyOf::Near { least, keys } => keys.get(token.wrapping_sub(*least) as usize),
            KeyOf::Far(keys) => keys.get(&token),
        };
        key.copied().unwrap_or(NO_KEY)
    }
}

/// How the cells of a file's venue column become keys.
pub enum ToKeys<'a> {
    /// By token.
    Tokens(&'a VenueKeys, IdType),
    /// By key in the piece's table of texts.
    Texts(&'a [u32]),
}

impl ToKeys<'_> {
    /// The keys of cells; [`NO_KEY`] for venues that were not read before.
    pub fn of(&self, cells: &[u64]) -> Vec<u32> {
        match self {
            ToKeys::Tokens(keys, kind) => {
                let keys = &keys.of_tokens[usize::from(*kind == IdType::Uint)];
                cells.iter().map(|cell| keys.of(*cell)).collect()
            }
            ToKeys::Texts(keys) => {
                cells.iter().map(|cell| keys.get(*cell as usize).copied().unwrap_or(NO_KEY)).collect()
            }
        }
    }
}

impl VenueKeys {
    /// The venues; what the venues files say of them is set, and the balance of those files goes to `report`.
    ///
    /// # Errors
    /// `input` for a file with ids that are none of the store's type.
    pub fn new(
        known: Option<&Venues>,
        bulk: &Bulk<'_>,
        files: &[SeenFile],
        (texts, tokens): (Texts, [Distinct; 2]),
        venue_files: Vec<FileRows<Vec<VenueRow>>>,
        report: &mut Report,
    ) -> Result<VenueKeys> {
        let with_rows = || (0..files.len()).filter(|file| files[*file].balance.accepted > 0);
        let described = || venue_files.iter().map(|file| &file.ids[0]);
        // The first ids decide what type ids have; a delivery without rows decides nothing. Venues go by the visits,
        // where the ids of a described venue can be text only because its table came as CSV.
        let mut venues = known.filter(|venues| !venues.ids.is_empty()).cloned().unwrap_or_else(|| {
            let kinds = with_rows().map(|file| bulk.id_type(file, VENUES));
            let kind = common_type(kinds).or_else(|| type_of_tables(described()));
            Venues::new(kind.unwrap_or(IdType::Text))
        });
        let kind = venues.ids.ids().kind();
        let tokens = tokens.map(Distinct::into_sorted);
        let [signed, unsigned] = [IdType::Int, IdType::Uint].map(|kind| {
            let mut ids = IdColumn::new(kind);
            ids.extend_tokens(&tokens[usize::from(kind == IdType::Uint)]);
            IdTable::from_column(ids)
        });
        let texts = texts.into_collected();
        let no_texts = IdTable::new(IdType::Text);
        let mut tables = vec![&signed, &unsigned, texts.as_ref().map_or(&no_texts, |texts| &texts.ids)];
        tables.extend(described());
        let mut keys = venues.ids.absorb(&tables);
        let described_keys = keys.split_off(3);
        venues.parent.resize(venues.ids.len(), NO_KEY);
        venues.facts.grow(venues.ids.len());
        describe(&mut venues, venue_files, &described_keys, report);

        let is_foreign = |file: &usize| {
            let own = bulk.id_type(*file, VENUES);
            let comparable = own != kind && own != IdType::Text && kind != IdType::Text;
            comparable && files[*file].tokens[VENUES].is_some_and(|tokens| !fit_both_types(tokens, own))
        };
        let foreign_text = texts.iter().flat_map(|texts| texts.files.iter().zip(&keys[2]));
        let foreign_text = foreign_text.filter(|(_, key)| key.is_none()).map(|(file, _)| *file as usize);
        if let Some(file) = with_rows().filter(is_foreign).chain(foreign_text).min() {
            return Err(foreign_ids(files[file].balance.file.clone(), "venue_id", kind));
        }
        let of_tokens = [KeyOf::new(&tokens[0], &keys[0]), KeyOf::new(&tokens[1], &keys[1])];
        let of_texts = keys[2].iter().map(|key| key.unwrap_or(NO_KEY)).collect();
        Ok(VenueKeys { venues, of_tokens, texts: texts.map(|texts| texts.ids), of_texts })
    }

    /// How the cells of a file whose ids were read as `kind` become keys; `texts` are the keys of a piece's texts among
    /// those collected.
    pub fn keys_of<'t>(&'t self, kind: IdType, texts: &[u32], buffer: &'t mut Vec<u32>) -> ToKeys<'t> {
        if kind != IdType::Text {
            return ToKeys::Tokens(self, kind);
        }
        let key = |text: &u32| self.of_texts.get(*text as usize).copied().unwrap_or(NO_KEY);
        *buffer = texts.iter().map(key).collect();
        ToKeys::Texts(buffer)
    }

    /// The key of a text that has been collected.
    pub fn key_of_text(&self, text: Id<'_>) -> Option<u32> {
        self.of_texts.get(self.texts.as_ref()?.key(text)? as usize).copied()
    }
}

fn foreign_ids(file: String, column: &str, kind: IdType) -> Error {
    Error::input(
        file,
        format!(
            "column {column}: expected {} ids as the store or the other files have, found others",
            kind.name()
        ),
        "deliver ids in one form; what is read first, and integers before text, decide which",
    )
}

/// The type ids of these tables have together; `None` if there are no ids.
pub fn type_of_tables<'a>(tables: impl Iterator<Item = &'a IdTable>) -> Option<IdType> {
    common_type(tables.filter(|table| !table.is_empty()).map(|table| table.ids().kind()))
}

/// The type ids of these types have together: integers if any are, for a CSV file beside them has only its texts; then
/// every text must be one. Signed if kinds are mixed. `None` if there are no ids. So the type does not depend on
/// whether files came at once or one by one.
fn common_type(kinds: impl Iterator<Item = IdType>) -> Option<IdType> {
    kinds.reduce(|a, b| match (a, b) {
        (a, b) if a == b => a,
        (IdType::Text, integer) | (integer, IdType::Text) => integer,
        _ => IdType::Int,
    })
}
