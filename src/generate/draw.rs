//! Random draws that depend on nothing but their key: any person's day can be drawn alone, in any order.
//!
//! Everything is integer arithmetic, because a platform's `exp` or `ln` may differ in the last bit and with it the
//! bytes of a world. Shapes come from quantile tables instead.

/// What a sequence of draws decides. Separate purposes give unrelated sequences for the same person and day.
#[derive(Clone, Copy)]
pub enum Purpose {
    /// The pseudonyms of all people.
    Pseudonym,
    /// What stays the same about a person: work, regular shops.
    Person,
    /// One person's day.
    PersonDay,
    /// One household's day.
    HouseholdDay,
    /// What stays the same about a venue: where it is, how it scans.
    Venue,
    /// The sizes of workplaces.
    Office,
    /// What stays the same about a city.
    City,
    /// The planted cases and their companions.
    Planted,
    /// What offices, laboratories and clinics tell.
    Facts,
}

/// The key of all draws for one purpose on one day; day 0 also stands for "always".
pub fn key(seed: u64, purpose: Purpose, day: u32) -> u64 {
    mix(mix(seed ^ mix(purpose as u64 + 1)).wrapping_add(u64::from(day)))
}

/// A sequence of draws.
pub struct Draw(u64);

impl Draw {
    /// The sequence of subject `index` (a person, a venue …) under `key`.
    pub fn new(key: u64, index: u32) -> Self {
        Draw(mix(key ^ (u64::from(index) << 20)))
    }

    /// 64 fresh bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        mix(self.0)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u32) -> u32 {
        (((self.bits() >> 32) * u64::from(n)) >> 32) as u32
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(high - low + 1)
    }

    /// True `per_mille` times in a thousand.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        self.below(1_000) < per_mille
    }

    /// A normal draw cut at 2.6 standard deviations, and at 0.
    pub fn normal(&mut self, mean: u32, deviation: u32) -> u32 {
        let z = self.quantile(&NORMAL);
        (i64::from(mean) + i64::from(deviation) * z / 1_000).max(0) as u32
    }

    /// A lognormal draw with sigma 0.5, cut at 2.6 standard deviations.
    pub fn lognormal(&mut self, median: u32) -> u32 {
        (u64::from(median) * self.quantile(&LOGNORMAL) as u64 / 1_000) as u32
    }

    /// A lognormal draw with sigma 1.5 and median 1,000: the spread of workplace sizes.
    pub fn wide_lognormal(&mut self) -> u64 {
        let x = self.quantile(&LOGNORMAL) as u64;
        x * x * x / 1_000_000
    }

    /// A point on a quantile curve, straight between its 65 marks.
    fn quantile(&mut self, marks: &[i16; 65]) -> i64 {
        let bits = self.bits();
        let at = (bits >> 58) as usize;
        let fraction = (bits >> 32 & 0xFFFF) as i64;
        let (low, high) = (i64::from(marks[at]), i64::from(marks[at + 1]));
        low + (((high - low) * fraction) >> 16)
    }
}

/// Ranks 0, 1, 2 … drawn with weights 1 / (rank + flatness): Zipf's law with a flattened head, so that the first
/// venue of a district is busy without swallowing it. A table of 1,024 slots makes a draw one look-up.
pub struct Ranks([u8; SLOTS]);

const SLOTS: usize = 1_024;

impl Ranks {
    /// The table for `count` ranks, at most 256.
    pub fn new(count: u32, flatness: u64) -> Self {
        assert!(0 < count && count <= 256, "ranks are bytes");
        let weights: Vec<u64> = (0..u64::from(count)).map(|rank| 1_000_000_000 / (rank + flatness)).collect();
        let total: u64 = weights.iter().sum();
        let mut slots = [0; SLOTS];
        let (mut rank, mut until) = (0, weights[0]);
        for (slot, entry) in slots.iter_mut().enumerate() {
            while until <= slot as u64 * total / SLOTS as u64 {
                rank += 1;
                until += weights[rank];
            }
            *entry = rank as u8;
        }
        Ranks(slots)
    }

    /// A rank.
    pub fn pick(&self, draw: &mut Draw) -> u32 {
        u32::from(self.0[(draw.bits() >> 54) as usize])
    }
}

/// The odd step of splitmix64.
pub const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// The output function of splitmix64, a bijection.
pub fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// splitmix64 on 63-bit words: the same steps modulo 2^63. Adding, multiplying by an odd number and folding the high
/// bits down each stay one-to-one there, so different indices under one key never share a result, which is what
/// dropping a bit of the 64-bit function could not promise.
pub fn mix63(key: u64, index: u64) -> u64 {
    const WORD: u64 = (1 << 63) - 1;
    let mut x = key.wrapping_add(index.wrapping_mul(GAMMA)) & WORD;
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9) & WORD;
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB) & WORD;
    x ^ (x >> 31)
}

/// 1,000 z at the quantiles 0/64 to 64/64 of the standard normal, the ends cut.
const NORMAL: [i16; 65] = [
    -2_612, -2_154, -1_863, -1_676, -1_534, -1_418, -1_318, -1_230, -1_150, -1_078, -1_010, -947, -887, -831,
    -776, -725, -674, -626, -579, -533, -489, -445, -402, -360, -319, -278, -237, -197, -157, -118, -78, -39,
    0, 39, 78, 118, 157, 197, 237, 278, 319, 360, 402, 445, 489, 533, 579, 626, 674, 725, 776, 831, 887, 947,
    1_010, 1_078, 1_150, 1_230, 1_318, 1_418, 1_534, 1_676, 1_863, 2_154, 2_612,
];

/// 1,000 exp(z / 2) at the same quantiles.
const LOGNORMAL: [i16; 65] = [
    271, 341, 394, 433, 464, 492, 517, 541, 563, 583, 604, 623, 642, 660, 678, 696, 714, 731, 749, 766, 783,
    800, 818, 835, 853, 870, 888, 906, 924, 943, 962, 981, 1_000, 1_020, 1_040, 1_061, 1_082, 1_104, 1_126,
    1_149, 1_173, 1_197, 1_223, 1_249, 1_277, 1_306, 1_336, 1_368, 1_401, 1_437, 1_474, 1_515, 1_558, 1_605,
    1_657, 1_714, 1_777, 1_850, 1_933, 2_032, 2_153, 2_312, 2_538, 2_936, 3_691,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_keep_to_their_bounds_and_their_mean() {
        let mut draw = Draw::new(key(7, Purpose::Person, 0), 3);
        let mut sum = 0;
        for _ in 0..10_000 {
            assert!((5..=9).contains(&draw.between(5, 9)));
            let x = draw.normal(10_000, 1_000);
            assert!((7_380..=12_620).contains(&x), "{x}");
            sum += u64::from(x);
        }
        assert!(sum.abs_diff(100_000_000) < 300_000, "{sum}");
    }

    #[test]
    fn lower_ranks_come_more_often_and_every_rank_comes() {
        let ranks = Ranks::new(60, 10);
        let mut counts = [0_u32; 60];
        let mut draw = Draw::new(1, 1);
        for _ in 0..100_000 {
            counts[ranks.pick(&mut draw) as usize] += 1;
        }
        assert!(counts.iter().all(|c| 0 < *c), "{counts:?}");
        assert!(counts[59] * 4 < counts[0] && counts[0] < 6_000, "{counts:?}");
    }

    #[test]
    fn pseudonyms_are_distinct_and_positive() {
        let mut seen: Vec<u64> = (0..100_000).map(|i| mix63(9, i)).collect();
        assert!(seen.iter().all(|id| id >> 63 == 0));
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 100_000);
    }
}
