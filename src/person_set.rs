//! Sets of persons by key: one bit each, so that asking for anyone stays in cache.

/// Persons by key, one bit each.
#[derive(Clone, Debug, Default)]
pub struct PersonSet {
    bits: Vec<u64>,
}

impl PersonSet {
    /// The persons in `keys`, all below `persons`.
    ///
    /// # Panics
    /// If a key is not.
    pub fn new(persons: usize, keys: impl IntoIterator<Item = u32>) -> PersonSet {
        let mut set = PersonSet { bits: vec![0; persons.div_ceil(64)] };
        set.extend(keys);
        set
    }

    /// Adds persons.
    ///
    /// # Panics
    /// If a key is past the set's persons.
    pub fn extend(&mut self, keys: impl IntoIterator<Item = u32>) {
        keys.into_iter().for_each(|key| self.bits[key as usize / 64] |= 1 << (key % 64));
    }

    /// Whether the person is in it.
    #[inline]
    pub fn contains(&self, key: u32) -> bool {
        self.bits.get(key as usize / 64).is_some_and(|word| word >> (key % 64) & 1 == 1)
    }
}

/// Where each person of a sorted list stands in it.
pub struct Places {
    set: PersonSet,
    /// By word of the set: how many persons are in the words before.
    before: Vec<u32>,
}

impl Places {
    /// The places of sorted keys.
    pub fn new(keys: &[u32]) -> Places {
        let set = PersonSet::new(keys.last().map_or(0, |last| *last as usize + 1), keys.iter().copied());
        let mut sum = 0;
        let mut before = Vec::with_capacity(set.bits.len());
        for word in &set.bits {
            before.push(sum);
            sum += word.count_ones();
        }
        Places { set, before }
    }

    /// Whether the person is in the list.
    #[inline]
    pub fn contains(&self, key: u32) -> bool {
        self.set.contains(key)
    }

    /// The person's place.
    #[inline]
    pub fn place(&self, key: u32) -> Option<usize> {
        let (word, bit) = (key as usize / 64, 1u64 << (key % 64));
        let bits = *self.set.bits.get(word)?;
        let before = || self.before[word] as usize + (bits & (bit - 1)).count_ones() as usize;
        (bits & bit != 0).then(before)
    }
}
