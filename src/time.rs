//! Times: UTC seconds, civil days of the configured zone, durations as text.
//!
//! Every span in this crate is half-open: `[from, until)` holds `from` and does not hold `until`.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::error::{Error, Result};

/// A UTC instant in whole seconds since 1970-01-01, good until 2106. Dense, because a store holds billions of them.
pub type Second = u32;

/// The end of an unbounded span. No visit starts here: times at or past it are rejected as out of range.
pub const FOREVER: Second = u32::MAX;

/// Seconds in a day without clock changes, as UTC days are.
pub const DAY_S: u32 = 86_400;

/// The UTC day an instant falls in, counted from 1970-01-01. Store partitions are UTC days.
pub fn utc_day(at: Second) -> u32 {
    at / DAY_S
}

/// `YYYY-MM-DD` of a UTC day number.
pub fn utc_day_name(day: u32) -> String {
    let date = Date::constant(1970, 1, 1).checked_add(jiff::Span::new().days(i64::from(day)));
    date.expect("a u32 second lies before 2106-02-07").to_string()
}

/// The time zone of that IANA name.
///
/// # Errors
/// `usage` if the name is not in the time-zone database.
pub fn zone(name: &str) -> Result<TimeZone> {
    TimeZone::get(name).map_err(|_| {
        Error::usage(
            format!("time zone {name:?} is not known"),
            "use a name of the IANA database such as Asia/Shanghai, Europe/Berlin or UTC",
        )
    })
}

/// The civil date on which `at` falls in `zone`.
pub fn local_date(at: Second, zone: &TimeZone) -> Date {
    zone.to_datetime(timestamp(at)).date()
}

/// The first second of a civil day, at the ends of what seconds can hold where it lies beyond.
pub fn start_of_day(date: Date, zone: &TimeZone) -> Second {
    let start = date.to_zoned(zone.clone()).map_or(0, |zoned| zoned.timestamp().as_second());
    start.clamp(0, i64::from(FOREVER)) as Second
}

/// The instant so many civil days later, at the same time of day in `zone`; without one, of 24 hours each.
pub fn days_later(at: Second, days: u32, zone: Option<&TimeZone>) -> Second {
    let utc = TimeZone::UTC;
    let local = timestamp(at).to_zoned(zone.unwrap_or(&utc).clone());
    let later = local.checked_add(jiff::Span::new().days(i64::from(days)));
    later.map_or(FOREVER, |later| later.timestamp().as_second().clamp(0, i64::from(FOREVER)) as Second)
}

/// The instant at which the day after `date` begins in `zone`.
///
/// # Errors
/// `usage` if that is before 1970 or after 2106.
pub fn end_of_day(date: Date, zone: &TimeZone) -> Result<Second> {
    let next = date.tomorrow().and_then(|next| next.to_zoned(zone.clone()));
    let end = next.ok().and_then(|z| Second::try_from(z.timestamp().as_second()).ok());
    end.filter(|end| *end > 0).ok_or_else(|| {
        Error::usage(format!("{date} is not a night this program can run"), "choose a date from 1970 to 2105")
    })
}

/// `at` as RFC 3339 in UTC, to the second.
pub fn format_utc(at: Second) -> String {
    timestamp(at).to_string()
}

/// The hour of the local day, 0 to 23.
pub fn local_hour(at: Second, zone: &TimeZone) -> i8 {
    zone.to_datetime(timestamp(at)).hour()
}

/// `at` as `YYYY-MM-DD HH:MM` in `zone`, for people to read.
pub fn format_local(at: Second, zone: &TimeZone) -> String {
    zone.to_datetime(timestamp(at)).strftime("%Y-%m-%d %H:%M").to_string()
}

fn timestamp(at: Second) -> jiff::Timestamp {
    jiff::Timestamp::from_second(i64::from(at)).expect("u32 seconds are in jiff's range")
}

/// A civil date from `YYYY-MM-DD`.
///
/// # Errors
/// `usage` with the form expected.
pub fn parse_date(text: &str) -> Result<Date> {
    text.parse().map_err(|_| Error::usage(format!("{text:?} is not a date"), "write a date as 2022-03-01"))
}

/// What a text says about an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// UTC seconds since 1970.
    At(i64),
    /// A date and time, but no zone is known to read it in.
    Zoneless,
    /// No date and time.
    Nothing,
}

/// Seconds from UTC of the clocks that are furthest from it.
const OFFSET_MAX_S: u32 = 14 * 3_600;

/// An instant from text: RFC 3339 with offset or `Z`, or a zoneless date and time read in `zone`; a bare date is the
/// start of that day. Fractions of a second are dropped, towards the past.
pub fn parse_instant(text: &str, zone: Option<&TimeZone>) -> Reading {
    let text = text.trim();
    let seconds = |at: jiff::Timestamp| Reading::At(at.as_nanosecond().div_euclid(1_000_000_000) as i64);
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        // No clock of the world is further from UTC: another offset is a slip of the pen.
        let offset =
            jiff::fmt::temporal::Pieces::parse(text).ok().and_then(|pieces| pieces.to_numeric_offset());
        let is_far = offset.is_some_and(|offset| offset.seconds().unsigned_abs() > OFFSET_MAX_S);
        return if is_far { Reading::Nothing } else { seconds(at) };
    }
    let local = match text.parse::<jiff::civil::DateTime>() {
        Ok(local) => local,
        Err(_) => match text.parse::<Date>() {
            Ok(date) => date.at(0, 0, 0, 0),
            Err(_) => return Reading::Nothing,
        },
    };
    let Some(zone) = zone else { return Reading::Zoneless };
    zone.to_timestamp(local).map_or(Reading::Nothing, seconds)
}

/// UTC seconds of a wall-clock reading in `zone`, given as the seconds a UTC clock with that reading would show.
/// A reading skipped by a clock change moves forward, one that occurs twice is the first (jiff's "compatible").
pub fn local_to_utc(wall: i64, zone: &TimeZone) -> Option<i64> {
    let wall = jiff::Timestamp::from_second(wall).ok()?;
    let local = TimeZone::UTC.to_datetime(wall);
    zone.to_timestamp(local).ok().map(|t| t.as_second())
}

/// Whole seconds from text such as `600s`, `10m`, `1h30m`, `24h`, `14d`; `0` needs no unit.
///
/// # Errors
/// `usage` with the form expected, also for durations past 2^31 seconds.
pub fn parse_duration(text: &str) -> Result<u32> {
    let wrong = || {
        Error::usage(
            format!("{text:?} is not a duration"),
            "write a duration as 600s, 10m, 1h30m, 24h or 14d",
        )
    };
    let mut total: u64 = 0;
    let mut rest = text.trim();
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let amount: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match rest[..letters].trim() {
            "s" | "sec" | "seconds" => 1,
            "m" | "min" | "minutes" => 60,
            "h" | "hours" => 3_600,
            "d" | "days" => 86_400,
            _ => return Err(wrong()),
        };
        rest = &rest[letters..];
        total = amount.checked_mul(unit).and_then(|s| s.checked_add(total)).ok_or_else(wrong)?;
    }
    u32::try_from(total).ok().filter(|s| *s <= i32::MAX as u32).ok_or_else(wrong)
}

/// Text such as `1h 30m` for a number of seconds, for people to read.
pub fn format_duration(seconds: u64) -> String {
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (h, m, s) {
        (0, 0, s) => format!("{s} s"),
        (0, m, 0) => format!("{m} min"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, 0, _) => format!("{h} h"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_back() {
        for (text, seconds) in
            [("0", 0), ("600s", 600), ("10m", 600), ("1h30m", 5_400), ("24h", 86_400), ("14d", 1_209_600)]
        {
            assert_eq!(parse_duration(text).unwrap(), seconds, "{text}");
        }
        for text in ["", "ten", "10", "5x", "-5m", "99999999999d", "m"] {
            assert_eq!(parse_duration(text).unwrap_err().code(), "usage", "{text}");
        }
    }

    #[test]
    fn instants_need_a_zone_unless_they_carry_one() {
        let shanghai = zone("Asia/Shanghai").unwrap();
        assert_eq!(parse_instant("2022-03-01T08:00:00+08:00", None), Reading::At(1_646_092_800));
        assert_eq!(parse_instant("2022-03-01T00:00:00Z", None), Reading::At(1_646_092_800));
        assert_eq!(parse_instant("2022-03-01T14:00:00+14:00", None), Reading::At(1_646_092_800));
        assert_eq!(parse_instant("2022-03-01T14:00:00+14:01", None), Reading::Nothing);
        assert_eq!(parse_instant("2022-03-01T10:00:00-25:00", None), Reading::Nothing);
        assert_eq!(parse_instant("2022-03-01 08:00:00", Some(&shanghai)), Reading::At(1_646_092_800));
        assert_eq!(parse_instant("2022-03-01 08:00:00", None), Reading::Zoneless);
        assert_eq!(parse_instant("2022-03-01", Some(&shanghai)), Reading::At(1_646_064_000));
        assert_eq!(parse_instant("yesterday", Some(&shanghai)), Reading::Nothing);
        assert_eq!(parse_instant("1969-12-31T23:59:59.5Z", None), Reading::At(-1), "fractions round down");
    }

    #[test]
    fn clock_changes_move_forward_or_take_the_first() {
        let auckland = zone("Pacific/Auckland").unwrap();
        let wall = |text: &str| match parse_instant(&format!("{text}Z"), None) {
            Reading::At(seconds) => seconds,
            other => panic!("{text}: {other:?}"),
        };
        let utc = |text: &str| local_to_utc(wall(text), &auckland).unwrap();
        assert_eq!(utc("2021-09-26T02:30:00"), wall("2021-09-25T14:30:00"), "skipped hour moves forward");
        assert_eq!(utc("2022-04-03T02:30:00"), wall("2022-04-02T13:30:00"), "repeated hour is the first");
    }

    #[test]
    fn civil_days_follow_the_zone() {
        let shanghai = zone("Asia/Shanghai").unwrap();
        let late: Second = 1_646_154_000; // 2022-03-01 17:00 UTC
        assert_eq!(local_date(late, &shanghai).to_string(), "2022-03-02");
        assert_eq!(end_of_day(local_date(late, &shanghai), &shanghai).unwrap(), late - 3_600 + 86_400);
        for far in
            [jiff::civil::date(9999, 12, 31), jiff::civil::date(2107, 1, 1), jiff::civil::date(1969, 1, 1)]
        {
            assert_eq!(end_of_day(far, &shanghai).unwrap_err().code(), "usage", "{far}");
        }
        assert_eq!(utc_day_name(utc_day(late)), "2022-03-01");
    }
}
