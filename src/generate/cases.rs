//! The planted cases: a line list as a health office keeps it, with its gaps and one case taken back.

use std::ops::Range;

use super::draw::Draw;
use super::world::{DISTRICT, district_name};
use super::{DAY, HOUR, WorldSpec};

/// What the line list says about a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Confirmed by a laboratory, with symptoms.
    Confirmed,
    /// Confirmed by a laboratory, without symptoms and so without an onset.
    Asymptomatic,
    /// Not confirmed yet.
    Suspected,
    /// Confirmed first and withdrawn later: two rows of one person and one sample.
    Withdrawn,
}

/// A case, times in seconds since the world began.
#[derive(Clone, Debug)]
pub struct Case {
    /// The person.
    pub person: u32,
    /// The state in which the last row about the case leaves it.
    pub status: Status,
    /// First symptoms, where known.
    pub onset: Option<u32>,
    /// When the sample was taken.
    pub sampled: u32,
    /// When the case was reported.
    pub reported: u32,
    /// When the case was isolated.
    pub isolated: u32,
    /// When the case was let go, for the few where that is known.
    pub recovered: Option<u32>,
    /// When a withdrawn case was withdrawn.
    pub withdrawn: Option<u32>,
    /// Number of the sample.
    pub lab_ref: String,
    /// Who reported.
    pub reported_by: String,
}

/// Days before the onset, or the sample where no onset is known, from which a case counts as infectious.
const LOOK_BACK: u32 = 2 * DAY;

/// How many people of that world are cases.
pub fn count(spec: &WorldSpec) -> u32 {
    (spec.people / 20_000).max(5)
}

impl Case {
    /// Case `number` of the world. The first four are one of each status and a confirmed one without an onset, so
    /// that the smallest world has them all.
    ///
    /// Onsets lie in the middle and last third, late enough for the look-back and early enough for the report.
    pub fn new(spec: &WorldSpec, number: u32, person: u32, draw: &mut Draw) -> Self {
        let begin = (2 * DAY).max(spec.days * DAY / 3);
        let end = (begin + DAY / 2).max((spec.days * DAY).saturating_sub(5 * DAY / 2));
        let onset = draw.between(begin, end);
        let sampled = onset + draw.between(4 * HOUR, 12 * HOUR);
        let reported = sampled + draw.between(20 * HOUR, 36 * HOUR);
        let isolated = reported + draw.between(2 * HOUR, 8 * HOUR);
        let roll = draw.below(100);
        let status = match (number, roll) {
            (0, _) => Status::Withdrawn,
            (1, _) | (4.., 0..8) => Status::Asymptomatic,
            (2, _) | (4.., 8..16) => Status::Suspected,
            _ => Status::Confirmed,
        };
        let onset_known = status != Status::Asymptomatic && number != 3 && (number < 3 || roll < 95);
        Case {
            person,
            status,
            onset: onset_known.then_some(onset),
            sampled,
            reported,
            isolated,
            recovered: draw.chance(50).then(|| isolated + draw.between(7 * DAY, 10 * DAY)),
            withdrawn: (status == Status::Withdrawn).then(|| reported + draw.between(3 * HOUR, 9 * HOUR)),
            lab_ref: format!("LAB-{:06}", number + 1),
            reported_by: format!("hospital {}, {}", draw.between(1, 3), district_name(person / DISTRICT)),
        }
    }

    /// The time in which others catch it: from the look-back until isolation.
    pub fn window(&self) -> Range<u32> {
        self.onset.unwrap_or(self.sampled) - LOOK_BACK..self.isolated
    }
}
