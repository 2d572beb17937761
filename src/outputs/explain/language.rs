//! The two languages of an explanation, and the program's own words in both.

use crate::time::format_duration;
use crate::words::Words;

/// The language of an explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// English.
    En,
    /// Chinese.
    Zh,
}

/// The text of the language, each a format string.
macro_rules! tr {
    ($language:expr, $en:literal, $zh:literal) => {
        match $language {
            Language::En => format!($en),
            Language::Zh => format!($zh),
        }
    };
}
pub(super) use tr;

/// Words of the program with their Chinese; others, such as the colors of a pack of one's own, stay as they are.
const ZH: [(&str, &str); 69] = [
    ("purple", "紫码"),
    ("red", "红码"),
    ("orange", "橙码"),
    ("yellow", "黄码"),
    ("green", "绿码"),
    ("case", "病例"),
    ("contact", "接触者"),
    ("test", "核酸检测"),
    ("clinic_visit", "发热门诊就诊"),
    ("purchase", "购买退热药"),
    ("temperature", "体温"),
    ("symptom", "症状"),
    ("checkin", "每日打卡"),
    ("isolation", "隔离"),
    ("region_stay", "区域停留"),
    ("trip", "行程"),
    ("residence", "居住地"),
    ("push", "外地推送"),
    ("order", "指令"),
    ("confirmation", "解除确认"),
    ("appeal", "申诉"),
    ("confirmed", "确诊"),
    ("suspected", "疑似"),
    ("asymptomatic", "无症状感染"),
    ("negative", "阴性"),
    ("positive", "阳性"),
    ("indeterminate", "待定"),
    ("fever", "发热"),
    ("dry_cough", "干咳"),
    ("fatigue", "乏力"),
    ("respiratory", "呼吸道症状"),
    ("well", "健康"),
    ("unwell", "不适"),
    ("hospital", "住院"),
    ("central", "集中隔离"),
    ("home", "居家隔离"),
    ("low", "低风险"),
    ("medium", "中风险"),
    ("high", "高风险"),
    ("reported", "有报告病例、等级未调整"),
    ("region", "本区域"),
    ("county", "同一县区"),
    ("open", "开放"),
    ("closed", "封闭管理"),
    ("sealed", "封控"),
    ("onset_at", "发病"),
    ("sampled_at", "采样"),
    ("reported_at", "报告"),
    ("isolated_at", "开始隔离"),
    ("infectious_from", "传染期开始"),
    ("recovered_at", "康复"),
    ("first_exposed_at", "首次接触"),
    ("last_exposed_at", "末次接触"),
    ("visited_at", "就诊"),
    ("purchased_at", "购买"),
    ("measured_at", "测量"),
    ("from", "开始"),
    ("until", "结束"),
    ("pushed_at", "推送"),
    ("issued_at", "签发"),
    ("checked_in_at", "打卡"),
    ("confirmed_at", "确认"),
    ("decided_at", "决定"),
    ("happened_at", "发生"),
    ("correction", "更正"),
    ("upheld", "维持"),
    ("rejected", "驳回"),
    ("overturned", "撤销"),
    ("unknown", "未知"),
];

impl Language {
    /// A word of the program in this language.
    pub(super) fn word(self, word: &str) -> String {
        match self {
            Language::En => word.replace('_', " "),
            Language::Zh => ZH.iter().find(|(en, _)| *en == word).map_or(word, |(_, zh)| *zh).to_string(),
        }
    }

    /// The text of this language.
    pub(super) fn of(self, wording: &Words) -> &str {
        match self {
            Language::En => &wording.en,
            Language::Zh => &wording.zh,
        }
    }

    /// A length of time in words.
    pub(super) fn duration(self, seconds: u64) -> String {
        match self {
            Language::En => format_duration(seconds),
            Language::Zh => {
                let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
                let part = |number: u64, unit: &str| (number > 0).then(|| format!("{number} {unit}"));
                let parts = [part(hours, "小时"), part(minutes, "分钟"), part(seconds, "秒")];
                let words: Vec<String> = parts.into_iter().flatten().collect();
                if words.is_empty() { "0 秒".into() } else { words.join(" ") }
            }
        }
    }
}
