//! Words of a report in both languages.

pub use crate::words::{Words, w};

use crate::outputs::tables::NO_REGION;

/// Stands for the category of a venue that has none.
pub const NO_CATEGORY: &str = "unknown";

/// A code word with its meaning; one without a translation stays as it is.
fn among(word: &str, known: &[(&str, &str, &str)]) -> Words {
    let found = known.iter().find(|(code, ..)| *code == word);
    found.map_or_else(|| w(word, word), |(_, en, zh)| w(en, zh))
}

/// The name of an input table or a kind of fact.
pub fn input(name: &str) -> Words {
    among(
        name,
        &[
            ("scans", "scans", "扫码记录"),
            ("visits", "visits", "到访记录"),
            ("venues", "venues", "场所"),
            ("cases", "cases", "病例"),
            ("windows", "exposure sites", "暴露场所"),
            ("residences", "residences", "居住地"),
            ("residence", "residences", "居住地"),
            ("tests", "tests", "核酸检测"),
            ("test", "tests", "核酸检测"),
            ("clinic_visits", "fever clinic visits", "发热门诊就诊"),
            ("clinic_visit", "fever clinic visits", "发热门诊就诊"),
            ("purchases", "purchases of antipyretics", "退热药购买"),
            ("purchase", "purchases of antipyretics", "退热药购买"),
            ("temperatures", "temperatures", "体温"),
            ("temperature", "temperatures", "体温"),
            ("symptoms", "symptoms", "症状"),
            ("symptom", "symptoms", "症状"),
            ("checkins", "daily check-ins", "每日健康打卡"),
            ("checkin", "daily check-ins", "每日健康打卡"),
            ("isolations", "isolation stays", "隔离"),
            ("isolation", "isolation stays", "隔离"),
            ("regions", "risk levels of regions", "地区风险等级"),
            ("region_stay", "stays in regions (from visits and trips)", "地区停留（由到访与行程得出）"),
            ("trips", "trips", "行程"),
            ("trip", "trips", "行程"),
            ("communities", "communities", "社区"),
            ("pushes", "pushes from elsewhere", "外地推送"),
            ("push", "pushes from elsewhere", "外地推送"),
            ("orders", "manual orders", "人工指令"),
            ("order", "manual orders", "人工指令"),
            ("confirmations", "confirmations of release", "解除确认"),
            ("confirmation", "confirmations of release", "解除确认"),
            ("corrections", "corrections", "更正"),
            ("correction", "corrections", "更正"),
            ("appeals", "appeals", "申诉"),
            ("appeal", "appeals", "申诉"),
        ],
    )
}

/// Why a row was rejected.
pub fn reject(reason: &str) -> Words {
    among(
        reason,
        &[
            ("missing", "a required cell is empty", "必填项为空"),
            ("unreadable", "a cell cannot be read", "内容无法读取"),
            ("time_out_of_range", "a time before 1970 or after 2106", "时间早于1970年或晚于2106年"),
            ("ends_before_start", "ends before it starts", "结束早于开始"),
            ("empty_span", "a span without length", "时段长度为零"),
            ("unknown_word", "an unknown word", "未知的取值"),
            ("field_count", "too many or too few fields", "字段数不符"),
            ("contradicts", "contradicts another row", "与另一行矛盾"),
            ("foreign_id", "an id of another type", "编号类型不符"),
            ("no_window", "a case without any time", "病例没有任何时间"),
            ("time_in_future", "lies after the night", "时间晚于当晚"),
            ("not_approved", "approved by its own author", "由签发人自己批准"),
            ("term_too_long", "longer than 14 days", "期限超过14天"),
            ("no_health_fact", "no health fact is known", "没有任何健康事实"),
        ],
    )
}

/// What a link between cases amounts to.
pub fn verdict(verdict: &str) -> Words {
    among(
        verdict,
        &[
            ("plausible", "plausible", "合理"),
            ("unknown_onset", "plausible, onset unknown", "合理（发病日不详）"),
            (
                "infector_later",
                "implausible: the infector did not fall ill before",
                "不合理：传播者发病不早于该病例",
            ),
            (
                "exposed_too_early",
                "implausible: exposed over 14 days before onset",
                "不合理：暴露早于发病14天以上",
            ),
            ("exposed_too_late", "implausible: already ill when exposed", "不合理：暴露时已发病"),
        ],
    )
}

/// The name of a district; only that of an unknown one is ours.
pub fn district(name: &str) -> Words {
    among(name, &[(NO_REGION, "unknown", "不详")])
}

/// The category of a venue; words that venue tables commonly have are known in both languages.
pub fn category(name: &str) -> Words {
    among(
        name,
        &[
            (NO_CATEGORY, "unknown", "不详"),
            ("shop", "shop", "商店"),
            ("supermarket", "supermarket", "超市"),
            ("market", "market", "市场"),
            ("mall", "mall", "商场"),
            ("restaurant", "restaurant", "餐馆"),
            ("meal", "meal", "餐饮"),
            ("school", "school", "学校"),
            ("office", "office", "办公场所"),
            ("work", "work", "工作场所"),
            ("transport", "transport", "交通"),
            ("bus", "bus", "公交车"),
            ("metro", "metro", "地铁"),
            ("train", "train", "火车"),
            ("taxi", "taxi", "出租车"),
            ("hospital", "hospital", "医院"),
            ("clinic", "clinic", "诊所"),
            ("pharmacy", "pharmacy", "药店"),
            ("hotel", "hotel", "酒店"),
            ("gym", "gym", "健身房"),
            ("bar", "bar", "酒吧"),
            ("cinema", "cinema", "电影院"),
            ("park", "park", "公园"),
            ("home", "home", "住所"),
            ("social", "social", "社交场所"),
        ],
    )
}

/// The name of a color; those of a pack of one's own stay as they are.
pub fn color(name: &str) -> Words {
    among(
        name,
        &[
            ("green", "green", "绿码"),
            ("yellow", "yellow", "黄码"),
            ("orange", "orange", "橙码"),
            ("red", "red", "红码"),
            ("purple", "purple", "紫码"),
        ],
    )
}
