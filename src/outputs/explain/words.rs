//! An explanation as text for people, in English and in Chinese.

use std::fmt::Write;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::language::{Language, tr};
use super::{Against, Explanation, Identify, LISTED, ReasonTold, Role, Step, Who};
use crate::colors::Scheme;
use crate::facts::kind::{Cell, FactKind, Told};
use crate::outputs::tables::NO_REGION;
use crate::time::{Second, format_local, local_date};

/// A region of the trip code.
pub struct Trip {
    /// The region.
    pub region: String,
    /// Its level while the person was there, if it had one.
    pub level: Option<String>,
    /// Start.
    pub from: Second,
    /// End.
    pub until: Second,
}

/// A stay shows in the trip code from so long on.
const TRIP_S: u32 = 4 * 3_600;
/// The trip code looks back so many days, ending yesterday.
const TRIP_DAYS: i64 = 14;

impl Explanation {
    /// In words, with times in `zone`.
    pub fn words(&self, scheme: &Scheme, zone: &TimeZone, language: Language, identify: Identify) -> String {
        let mut text = String::new();
        let writer = Writer { told: self, scheme, zone, language, identify };
        writer.write(&mut text).expect("writing to a String does not fail");
        text
    }

    /// The trip code: regions of the trips that lasted more than 4 hours, of the 14 days that end yesterday.
    pub fn trips(&self, scheme: &Scheme) -> Vec<Trip> {
        let day = |at: Second| local_date(at, &scheme.time_zone);
        let before = |days: i64| self.date.saturating_sub(jiff::Span::new().days(days));
        let word = |told: &Told, column: &str| match told.cell(column) {
            Some(Cell::Word(word)) => word.to_string(),
            _ => String::new(),
        };
        let recent = self.told.iter().filter(|told| {
            let until = told.until.unwrap_or(told.at);
            told.kind == FactKind::Trip
                && until.saturating_sub(told.at) > TRIP_S
                && day(told.at) <= before(1)
                && before(TRIP_DAYS) <= day(until)
        });
        let trip = |told: &Told| {
            let (region, until) = (word(told, "region_id"), told.until.unwrap_or(told.at));
            let stay = self.told.iter().find(|stay| {
                stay.kind == FactKind::RegionStay
                    && word(stay, "reach") == "region"
                    && word(stay, "region_id") == region
                    && stay.at < until
                    && stay.until.is_none_or(|left| told.at < left)
            });
            let level = stay.map(|stay| word(stay, "level"));
            Trip { region: super::printable(&region), level, from: told.at, until }
        };
        recent.map(trip).collect()
    }
}

struct Writer<'a> {
    told: &'a Explanation,
    scheme: &'a Scheme,
    zone: &'a TimeZone,
    language: Language,
    identify: Identify,
}

impl Writer<'_> {
    /// Whether the id is in no input.
    fn is_unknown(&self) -> bool {
        let told = self.told;
        let in_store = !matches!(told.against, Against::Store { knows: false, .. });
        !(in_store || told.register.is_some() || told.contact.is_some())
            && told.told.is_empty()
            && told.cases.is_empty()
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let (told, language) = (self.told, self.language);
        let (person, date, name) = (&told.person, told.date, language.of(&self.scheme.name));
        let color = match language {
            Language::En => told.color.to_uppercase(),
            Language::Zh => language.word(&told.color),
        };
        if self.is_unknown() {
            writeln!(
                out,
                "{}",
                tr!(
                    language,
                    "The visit store does not know this id, nor does any table: check that it is written as in the input.",
                    "到访库和各表中都没有这个编号：请核对写法。"
                )
            )?;
        }
        writeln!(
            out,
            "{}",
            tr!(
                language,
                "Person {person} on {date}: {color} ({name})",
                "人员 {person}，{date}：{color}（{name}）"
            )
        )?;
        match &told.register {
            Some(register) => {
                self.write_register(out, register)?;
                writeln!(out, "\n{}", tr!(language, "Why", "原因"))?;
                for (at, reason) in told.reasons.iter().take(LISTED).enumerate() {
                    self.write_reason(out, at + 1, reason)?;
                }
                let more = told.reasons.len().saturating_sub(LISTED);
                if more > 0 {
                    writeln!(out, "  {}", tr!(language, "and {more} more", "另有 {more} 条"))?;
                }
            }
            None => self.write_healthy(out)?,
        }
        self.write_taken_away(out)?;
        self.write_trips(out)?;
        self.write_chain(out)?;
        self.write_checked(out)
    }

    fn write_healthy(&self, out: &mut String) -> std::fmt::Result {
        let language = self.language;
        writeln!(
            out,
            "\n{}",
            tr!(language, "No fact of this run colors this person.", "本次运行中没有使此人变码的事实。")
        )?;
        if let Some(contact) = &self.told.contact {
            let ring = &contact["ring"];
            return writeln!(
                out,
                "{}",
                tr!(
                    language,
                    "Traced in ring {ring}, but no rule of the scheme holds for it on this date.",
                    "追踪到第 {ring} 圈，但该日没有规则适用。"
                )
            );
        }
        writeln!(
            out,
            "{}",
            tr!(
                language,
                "Not traced: no exposure within the rings followed.",
                "未被追踪到：在所追踪的各圈内没有暴露。"
            )
        )?;
        if !self.told.told.is_empty() || !self.told.cases.is_empty() {
            let facts = self.told.told.len() + self.told.cases.len();
            return writeln!(
                out,
                "{}",
                tr!(
                    language,
                    "Known of the person: {facts} facts, none of which holds under a rule on this date.",
                    "已知此人 {facts} 条事实，该日均不适用任何规则。"
                )
            );
        }
        if self.is_unknown() {
            return Ok(());
        }
        writeln!(
            out,
            "{}",
            tr!(
                language,
                "A run lists only who was reached, so a misspelt id reads like this too: check the id.",
                "运行结果只列出涉及的人员，写错的编号也会得到同样的结果：请核对编号。"
            )
        )
    }

    fn write_register(
        &self,
        out: &mut String,
        register: &std::collections::BTreeMap<&'static str, String>,
    ) -> std::fmt::Result {
        let language = self.language;
        let or = |name: &str, other: String| {
            if register[name].is_empty() { other } else { register[name].clone() }
        };
        let mut line = |en: &str, zh: &str, value: String| match language {
            Language::En => writeln!(out, "  {en:<11} {value}"),
            Language::Zh => writeln!(out, "  {zh}：{value}"),
        };
        let first = self.told.reasons.first().map(|reason| &reason.effect.missing);
        let waits =
            first.is_some_and(|missing| missing.checkins > 0 || missing.tests > 0 || missing.confirmation);
        let end = &register["until"];
        let until = match (end.is_empty(), waits) {
            (false, _) => {
                tr!(language, "{end} (the first day without this color)", "{end}（此日起不再是此色）")
            }
            (true, true) => tr!(language, "open: until what is missing is there", "未定：待所缺条件满足"),
            (true, false) => tr!(
                language,
                "open: ends with a fact still to come, such as recovery",
                "未定：须有新的事实，例如康复"
            ),
        };
        line("since", "起始", register["since"].clone())?;
        line("until", "解除日", until)?;
        let earliest = &register["earliest_free"];
        let healthy = match earliest.is_empty() {
            true => tr!(language, "no date can be given", "无法给出日期"),
            false => tr!(language, "on {earliest} at the earliest", "最早 {earliest}"),
        };
        line("healthy", "恢复健康码", healthy)?;
        let missing = match language {
            Language::En => register["missing"].clone(),
            Language::Zh => self.told.reasons.first().map(missing_zh).unwrap_or_default(),
        };
        let missing = match missing.is_empty() {
            true if !register["until"].is_empty() => {
                tr!(language, "nothing but the time until then", "只需等到该日")
            }
            true => tr!(language, "nothing that has a date", "没有可注明日期的条件"),
            false => missing,
        };
        line("missing", "尚缺", missing)?;
        let by = if language == Language::En { "lifted_by_en" } else { "lifted_by_zh" };
        if !register[by].is_empty() {
            line("lifted by", "可由谁解除", register[by].clone())?;
        }
        line("next due", "下一期限", or("next_due", tr!(language, "nothing dated", "无")))?;
        let region = super::printable(&register["region_id"]);
        let region = if region == NO_REGION { language.word(&region) } else { region };
        line("region", "辖区", region)?;
        let without = match language {
            Language::En => register["color_without"].clone(),
            Language::Zh => language.word(&register["color_without"]),
        };
        writeln!(
            out,
            "  {}",
            tr!(language, "without the first reason: {without}", "若第一条原因不成立：{without}")
        )
    }

    fn write_reason(&self, out: &mut String, number: usize, reason: &ReasonTold) -> std::fmt::Result {
        let (language, rule) = (self.language, &self.scheme.rules[reason.rule]);
        let basis = language.of(&rule.basis);
        writeln!(out, "  {number}. {} {basis}", rule.id)?;
        let effect = &reason.effect;
        let until = effect.until.map_or(tr!(language, "further notice", "解除时间另行通知"), |day| {
            match language {
                Language::En => day.to_string(),
                Language::Zh => format!("{day} 解除"),
            }
        });
        let (color, since) = (color_word(language, &reason.color), effect.since);
        writeln!(
            out,
            "     {}",
            tr!(language, "{color} from {since} until {until}", "{color}：{since} 起，{until}")
        )?;
        let kind = language.word(reason.fact.word());
        let word = |(name, cell): &(&str, String)| match (*name, language) {
            ("ring", Language::En) => format!("ring {cell}"),
            ("ring", Language::Zh) => format!("第 {cell} 圈"),
            ("celsius", _) => format!("{cell} °C"),
            ("author", Language::En) => format!("by {cell}"),
            ("author", Language::Zh) => format!("签发：{cell}"),
            ("approver", Language::En) => format!("approved by {cell}"),
            ("approver", Language::Zh) => format!("批准：{cell}"),
            ("basis", Language::En) => format!("legal basis: {cell}"),
            ("basis", Language::Zh) => format!("法律依据：{cell}"),
            _ => language.word(cell),
        };
        let cells: Vec<String> = reason.cells.iter().map(word).collect();
        let cells = match (cells.is_empty(), language) {
            (true, _) => String::new(),
            (false, Language::En) => format!(", {}", cells.join(", ")),
            (false, Language::Zh) => format!("，{}", cells.join("，")),
        };
        let (anchor, zero) =
            (language.word(reason.anchor.0.trim_end_matches("_at")), reason.arithmetic.day_zero);
        let anchor = if language == Language::Zh { language.word(reason.anchor.0) } else { anchor };
        let at = format_local(reason.anchor.1, self.zone);
        writeln!(
            out,
            "     {}",
            tr!(
                language,
                "{kind}{cells}; day 0 is {zero} ({anchor} {at})",
                "{kind}{cells}；第 0 天为 {zero}（{anchor} {at}）"
            )
        )?;
        self.write_arithmetic(out, reason)?;
        if let (Some(after), Some(venue)) = (reason.after, &reason.venue) {
            let after = format_local(after, self.zone);
            let times: Vec<String> =
                reason.times.iter().map(|(_, at)| format_local(*at, self.zone)).collect();
            let (words, en, zh) = (self.venue_words(venue), times.join(" to "), times.join(" 至 "));
            writeln!(
                out,
                "     {}",
                tr!(
                    language,
                    "evidence: new since the appeal was granted ({after}): {en}, longest at {words}",
                    "证据：申诉成立（{after}）之后的新暴露：{zh}，最长者在 {words}"
                )
            )?;
        } else if reason.fact == FactKind::Contact {
            writeln!(out, "     {}", tr!(language, "evidence: the exposures below", "证据：见下列暴露"))?;
        }
        if let Some((file, row)) = &reason.row {
            writeln!(
                out,
                "     {}",
                tr!(language, "evidence: {file} row {row}", "证据：{file} 第 {row} 行")
            )?;
        }
        if let Some(support) = &reason.support {
            let (fact, at) = (language.word(&support.fact), format_local(support.at, self.zone));
            let row = support
                .row
                .as_ref()
                .map(|(file, row)| tr!(language, ", {file} row {row}", "，{file} 第 {row} 行"));
            let row = row.unwrap_or_default();
            writeln!(
                out,
                "     {}",
                tr!(
                    language,
                    "the order rests on: {fact} of {at}{row}",
                    "该指令依据的健康事实：{fact}，{at}{row}"
                )
            )?;
        }
        if let (Some(venue), true) = (&reason.venue, reason.fact != FactKind::Contact) {
            let time = |(_, at): &(&str, Second)| format_local(*at, self.zone);
            let times: Vec<String> = reason.times.iter().map(time).collect();
            let (words, times_en, times_zh) =
                (self.venue_words(venue), times.join(" to "), times.join(" 至 "));
            writeln!(
                out,
                "     {}",
                match language {
                    Language::En => format!("evidence: at {venue}{words}, {times_en}"),
                    Language::Zh => format!("证据：到访 {venue}{words}，{times_zh}"),
                }
            )?;
        }
        if let Some((file, row)) = &reason.place {
            writeln!(
                out,
                "     {}",
                tr!(language, "the place: {file} row {row}", "该地情况：{file} 第 {row} 行")
            )?;
        }
        Ok(())
    }

    /// How the term runs and what each condition of release has.
    fn write_arithmetic(&self, out: &mut String, reason: &ReasonTold) -> std::fmt::Result {
        let (language, rule) = (self.language, &self.scheme.rules[reason.rule]);
        let (sum, effect) = (&reason.arithmetic, &reason.effect);
        for (phase, (from, until)) in rule.phases.iter().zip(&sum.over) {
            let color = color_word(language, &phase.color);
            writeln!(
                out,
                "     {}",
                tr!(
                    language,
                    "over: {color} {from} to the day before {until}",
                    "已结束：{color} {from} 至 {until} 前一日"
                )
            )?;
        }
        if !effect.by_fact {
            self.write_term(out, reason)?;
        }
        if let (Some((end, at)), Some(ended)) = (reason.ends, sum.ended) {
            let (kind, at) = (language.word(reason.fact.word()), format_local(at, self.zone));
            let end = if language == Language::Zh { end } else { end.trim_end_matches("_at") };
            let end = language.word(end);
            let words = match effect.by_fact {
                true => tr!(
                    language,
                    "ends with the {kind} ({end} {at}): {ended} is the first day after",
                    "随{kind}结束（{end} {at}）：{ended} 为其后第一天"
                ),
                false => tr!(
                    language,
                    "ends with the {kind} at the latest ({end} {at}): {ended} is the first day after",
                    "最迟随{kind}结束（{end} {at}）：{ended} 为其后第一天"
                ),
            };
            writeln!(out, "     {words}")?;
        }
        for test in &sum.due {
            let (day, due) = (test.day, test.on);
            let state = match test.sampled {
                Some(sampled) => tr!(language, "sampled {sampled}", "已于 {sampled} 采样"),
                None if self.told.date < due => tr!(language, "to come", "未到"),
                None => tr!(language, "missed so far", "尚未采样"),
            };
            writeln!(
                out,
                "     {}",
                tr!(language, "test due on day {day}, {due}: {state}", "第 {day} 天（{due}）应检测：{state}")
            )?;
        }
        if !effect.by_fact {
            self.write_conditions(out, reason)?;
            for phase in &rule.phases[reason.phase + 1..] {
                let color = color_word(language, &phase.color);
                let days = phase.days.map_or(tr!(language, "until released", "至解除为止"), |days| {
                    tr!(language, "{days} days", "{days} 天")
                });
                writeln!(out, "     {}", tr!(language, "then {color}, {days}", "之后为{color}，{days}"))?;
            }
        }
        let earliest = match effect.earliest {
            Some(day) => tr!(language, "over on {day} at the earliest", "最早于 {day} 全部结束"),
            None => tr!(language, "no date can be given for its end", "无法给出结束日期"),
        };
        writeln!(out, "     {earliest}")
    }

    /// How long the phase lasts.
    fn write_term(&self, out: &mut String, reason: &ReasonTold) -> std::fmt::Result {
        let (language, sum) = (self.language, &reason.arithmetic);
        let phase = &self.scheme.rules[reason.rule].phases[reason.phase];
        let held = self.scheme.holds_last_day;
        if let (Some(days), Some(end)) = (phase.days, sum.term) {
            let zero = sum.zero;
            let length = plural(days);
            writeln!(
                out,
                "     {}",
                match held {
                    true => tr!(
                        language,
                        "{length}: day {days} after {zero} is the last, {end} the first day after",
                        "{days} 天：自 {zero} 起第 {days} 天为最后一天，{end} 为其后第一天"
                    ),
                    false => tr!(
                        language,
                        "{length} from {zero}: {end} is the first day after",
                        "自 {zero} 起 {days} 天：{end} 为其后第一天"
                    ),
                }
            )?;
        }
        if let (Some(hours), Some(end)) = (phase.hours, sum.term) {
            let at = format_local(reason.anchor.1, self.zone);
            writeln!(
                out,
                "     {}",
                tr!(
                    language,
                    "{hours} hours from {at}: {end} is the first day after",
                    "自 {at} 起 {hours} 小时：{end} 为其后第一天"
                )
            )?;
        }
        Ok(())
    }

    /// What must be true beside the term, and what of it is.
    fn write_conditions(&self, out: &mut String, reason: &ReasonTold) -> std::fmt::Result {
        let (language, sum, effect) = (self.language, &reason.arithmetic, &reason.effect);
        let release = &self.scheme.rules[reason.rule].phases[reason.phase].release;
        if release.checkins > 0 {
            let (wanted, left, gaps) = (release.checkins, effect.missing.checkins, release.gaps);
            let (done, start) = (wanted - left.min(wanted), sum.start);
            writeln!(
                out,
                "     {}",
                tr!(
                    language,
                    "check-ins in a row since {start}: {done} of {wanted}, {left} left, up to {gaps} days may be missed",
                    "自 {start} 起连续打卡：{done}/{wanted}，还差 {left} 次，允许漏 {gaps} 天"
                )
            )?;
        }
        for ((due, sampled), day) in sum.tests.iter().zip(&release.negative_tests_on) {
            let state = match sampled {
                Some(sampled) => tr!(language, "sampled {sampled}", "已于 {sampled} 采样"),
                None => tr!(language, "missing", "缺"),
            };
            writeln!(
                out,
                "     {}",
                tr!(
                    language,
                    "negative test of day {day} (counts from {due}): {state}",
                    "第 {day} 天核酸阴性（{due} 起有效）：{state}"
                )
            )?;
        }
        if release.confirmation {
            let state = match sum.confirmed {
                Some(day) => tr!(language, "given on {day}", "已于 {day} 确认"),
                None => tr!(language, "missing", "缺"),
            };
            writeln!(
                out,
                "     {}",
                tr!(language, "an office's confirmation: {state}", "主管部门确认：{state}")
            )?;
        }
        Ok(())
    }

    /// Appeals, and corrections: what does not count because someone said so.
    fn write_taken_away(&self, out: &mut String) -> std::fmt::Result {
        let language = self.language;
        for told in self.told.told.iter() {
            let word = |column: &str| match told.cell(column) {
                Some(Cell::Word(word)) => super::printable(word),
                _ => String::new(),
            };
            let at = format_local(told.at, self.zone);
            let words = match told.kind {
                FactKind::Appeal => {
                    let (rule, decision) = (word("rule_id"), word("decision"));
                    match (decision.as_str(), language) {
                        ("overturned", Language::En) => format!(
                            "Appeal on {rule}, overturned {at}: what had happened and was known by then does not count under it"
                        ),
                        ("overturned", Language::Zh) => {
                            format!("对 {rule} 的申诉于 {at} 成立：此前已发生且已知的事实不再计入该规则")
                        }
                        (_, Language::En) => format!("Appeal on {rule}: {decision} ({at})"),
                        ("open", Language::Zh) => format!("对 {rule} 的申诉待决（{at}）"),
                        (_, Language::Zh) => format!("对 {rule} 的申诉未获支持（{at}）"),
                    }
                }
                FactKind::Correction => {
                    let fact = language.word(&word("fact"));
                    tr!(language, "Corrected: the {fact} of {at} does not count", "已更正：{at} 的{fact}不计")
                }
                _ => continue,
            };
            writeln!(out, "\n{words}")?;
        }
        Ok(())
    }

    fn write_trips(&self, out: &mut String) -> std::fmt::Result {
        let language = self.language;
        if !self.told.told.iter().any(|told| told.kind == FactKind::Trip) {
            return Ok(());
        }
        let trips = self.told.trips(self.scheme);
        let name = |trip: &super::words::Trip| match &trip.level {
            Some(level) => format!("{} ({})", trip.region, language.word(level)),
            None => trip.region.clone(),
        };
        let regions: Vec<String> = trips.iter().map(name).collect();
        let regions = if regions.is_empty() { tr!(language, "no region", "无") } else { regions.join(", ") };
        let until = self.told.date.saturating_sub(jiff::Span::new().days(1));
        writeln!(
            out,
            "\n{}",
            tr!(
                language,
                "Trip code, stays of more than 4 hours in the 14 days up to {until}: {regions}",
                "行程码（截至 {until} 的 14 天内停留超过 4 小时）：{regions}"
            )
        )?;
        let risky = trips.iter().any(|trip| matches!(trip.level.as_deref(), Some("medium" | "high")));
        match (risky, self.told.register.is_some()) {
            (false, true) => writeln!(
                out,
                "{}",
                tr!(
                    language,
                    "The two disagree: the trip code shows no risk, for it knows only where the person was; the color has\nthe reasons above.",
                    "两码不一致：行程码只反映到过的地方，未显示风险；健康码的原因见上。"
                )
            ),
            (true, false) => writeln!(
                out,
                "{}",
                tr!(
                    language,
                    "The two disagree: a stay in a region at risk, but no rule of the scheme makes a color of it on this date.",
                    "两码不一致：到过风险地区，但该日没有规则因此变码。"
                )
            ),
            _ => Ok(()),
        }
    }

    fn write_chain(&self, out: &mut String) -> std::fmt::Result {
        let (told, language) = (self.told, self.language);
        if told.chain.is_empty() {
            return Ok(());
        }
        if let Some(contact) = &told.contact {
            let seconds = |name: &str| language.duration(contact[name].parse().unwrap_or(0));
            let (overlap, observed) = (seconds("overlap_s"), seconds("observed_overlap_s"));
            let zone = self.zone.iana_name().unwrap_or("UTC");
            let times = contact["exposures"].as_str();
            let count = if times == "1" {
                tr!(language, "once", "1 次")
            } else {
                tr!(language, "{times} times", "{times} 次")
            };
            writeln!(
                out,
                "\n{}",
                tr!(
                    language,
                    "Exposed {count}: {overlap} together, {observed} of it observed (times in {zone})",
                    "暴露 {count}：共处 {overlap}，其中 {observed} 有扫码记录（时区 {zone}）"
                )
            )?;
            for step in told.exposures.iter().take(LISTED) {
                writeln!(out, "  {}", self.where_and_when(step))?;
            }
            let listed = told.exposures.len().min(LISTED);
            let all = contact["exposures"].parse().unwrap_or(listed);
            if all > listed {
                let more = all - listed;
                writeln!(out, "  {}", tr!(language, "and {more} more", "另有 {more} 次"))?;
            }
        }
        writeln!(out, "\n{}", tr!(language, "The way back to a source", "回到来源的路径"))?;
        for step in &told.chain {
            let contact = told.name(step.contact, self.identify);
            let (source, ring) = (self.source_words(step.source), step.ring);
            writeln!(
                out,
                "  {}",
                tr!(
                    language,
                    "{contact} (ring {ring}) met {source}",
                    "{contact}（第 {ring} 圈）接触 {source}"
                )
            )?;
            writeln!(out, "    {}", self.where_and_when(step))?;
        }
        writeln!(
            out,
            "\n{}",
            tr!(
                language,
                "A shared venue is not a meeting: scans show presence, not distance. Time that is not observed is\ninferred from the venue's default stay.",
                "同在一处不等于见面：扫码只说明到场，不说明距离。没有扫码记录的时间按场所的默认停留时间推算。"
            )
        )
    }

    fn source_words(&self, source: Who) -> String {
        let (told, language) = (self.told, self.language);
        let name = told.name(source, self.identify);
        let Who::Other(at) = source else {
            return match source {
                Who::Site(_) => tr!(language, "exposure site {name}", "暴露场所 {name}"),
                _ => name,
            };
        };
        let other = &told.others[at];
        let role = match &other.role {
            Role::Case(status) => {
                let status = language.word(status);
                tr!(language, "{status} case", "{status}病例")
            }
            Role::Ring(1) => tr!(language, "close contact", "密切接触者"),
            Role::Ring(2) => tr!(language, "secondary contact", "次密接"),
            Role::Ring(ring) => tr!(language, "contact of ring {ring}", "第 {ring} 圈接触者"),
        };
        match (self.identify, other.case.first()) {
            (Identify::Everyone, Some(row)) => format!("{name} ({role}, {row})"),
            (_, _) if language == Language::Zh => format!("{name}（{role}）"),
            _ => format!("{name} ({role})"),
        }
    }

    fn write_checked(&self, out: &mut String) -> std::fmt::Result {
        let language = self.language;
        let words = match &self.told.against {
            Against::Store { persons, .. } => tr!(
                language,
                "Checked: the facts of the run give the same color again; so does the visit store for the exposures of\neveryone on the way: {persons}.",
                "已核对：由本次运行的事实重新推出同样的颜色；路径上 {persons} 人的暴露与到访库一致。"
            ),
            Against::NoConfig => tr!(
                language,
                "Checked: the facts of the run give the same color again. Not checked against the visit store: there is no\nringtrace.toml beside the folder of runs; give --config.",
                "已核对：由本次运行的事实重新推出同样的颜色。未与到访库核对：运行目录旁没有 ringtrace.toml，请用 --config 指定。"
            ),
            Against::OtherConfig => tr!(
                language,
                "Checked: the facts of the run give the same color again. Not checked against the visit store: the configuration\nhas changed since that night.",
                "已核对：由本次运行的事实重新推出同样的颜色。未与到访库核对：配置在该日之后已改动。"
            ),
            Against::NoStore(why) => tr!(
                language,
                "Checked: the facts of the run give the same color again. Not checked against the visit store: {why}.",
                "已核对：由本次运行的事实重新推出同样的颜色。未与到访库核对：{why}。"
            ),
        };
        writeln!(out, "\n{words}")
    }

    fn venue_words(&self, venue: &str) -> String {
        let known = self.told.venues.get(venue).filter(|words| !words.is_empty());
        known.map(|words| format!(" ({words})")).unwrap_or_default()
    }

    fn where_and_when(&self, step: &Step) -> String {
        let (from, until) = (format_local(step.from, self.zone), format_local(step.until, self.zone));
        let (until, venue, words) = (&until[11..], &step.venue, self.venue_words(&step.venue));
        let language = self.language;
        let (overlap, observed) = (language.duration(step.overlap_s), language.duration(step.observed_s));
        tr!(
            language,
            "{from} to {until} at {venue}{words}: {overlap}, {observed} observed",
            "{from} 至 {until}，{venue}{words}：{overlap}，其中 {observed} 有记录"
        )
    }
}

fn color_word(language: Language, color: &str) -> String {
    match language {
        Language::En => color.to_string(),
        Language::Zh => language.word(color),
    }
}

fn plural(days: u32) -> String {
    if days == 1 { "1 day".into() } else { format!("{days} days") }
}

/// What the reason waits for.
fn missing_zh(reason: &ReasonTold) -> String {
    let missing = &reason.effect.missing;
    let from = |day: Option<Date>| day.map(|day| format!("（下一次 {day} 起有效）")).unwrap_or_default();
    let parts = [
        (missing.days > 0).then(|| format!("{} 天", missing.days)),
        (missing.checkins > 0).then(|| format!("{} 次每日打卡", missing.checkins)),
        (missing.tests > 0).then(|| format!("{} 次核酸阴性{}", missing.tests, from(missing.test_from))),
        missing.confirmation.then(|| "主管部门确认".to_string()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("，")
}
