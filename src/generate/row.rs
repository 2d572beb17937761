//! One scan of a day, as a number that sorts by arrival.

use super::DAY;

/// One scan in 16 bytes, whose order as a number is the order of arrival: second of the day (31 bits), person (63),
/// venue (32), direction (2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row(u128);

/// What a scan says about its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Nothing.
    Unknown,
    /// Coming.
    In,
    /// Going.
    Out,
}

impl Row {
    /// A scan at that second of the day, which is past `DAY` for the hours after midnight.
    pub fn new(second: u32, person_id: u64, venue: u32, direction: Direction) -> Self {
        let row = u128::from(second) << 97 | u128::from(person_id) << 34 | u128::from(venue) << 2;
        Row(row | direction as u128)
    }

    /// Second of the day.
    pub fn second(self) -> u32 {
        (self.0 >> 97) as u32
    }

    /// Pseudonym of the person.
    pub fn person_id(self) -> i64 {
        (self.0 >> 34) as i64 & i64::MAX
    }

    /// The venue.
    pub fn venue(self) -> u32 {
        (self.0 >> 2) as u32
    }

    /// The direction.
    pub fn direction(self) -> Direction {
        match self.0 & 3 {
            1 => Direction::In,
            2 => Direction::Out,
            _ => Direction::Unknown,
        }
    }

    /// The same scan, counted from the next midnight.
    pub fn a_day_later(self) -> Self {
        Row(self.0 - (u128::from(DAY) << 97))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_give_back_what_was_put_in_and_sort_by_time_first() {
        let row = Row::new(DAY + 5, (1 << 63) - 1, u32::MAX, Direction::Out);
        assert_eq!((row.second(), row.person_id(), row.venue()), (DAY + 5, i64::MAX, u32::MAX));
        assert_eq!(row.direction(), Direction::Out);
        assert_eq!(row.a_day_later().second(), 5);
        assert!(Row::new(1, 9, 9, Direction::Out) < Row::new(2, 1, 1, Direction::Unknown));
        assert!(Row::new(2, 1, 9, Direction::Out) < Row::new(2, 2, 1, Direction::Unknown));
    }
}
