"use strict";

// Draws the charts of the report from the JSON in the page and switches its language. Whatever comes from the data is only
// ever text: no markup is made of it, and tooltips are drawn on the canvas as well.

const report = JSON.parse(document.getElementById("data").textContent);
const tables = new Map(report.sections.flatMap((section) => section.tables.map((table) => [table.id, table])));

// The longest chart on a screen and on a sheet of paper, in rows; the rest is in the table, and a note says so.
const ROWS_MAX = 60;
// A4 between the margins of page.css, in CSS pixels.
const PAPER_WIDTH = 685;
const PAPER_HEIGHT = 860;

const WORDS = {
  nothing: { en: "Nothing to draw: there are no rows.", zh: "没有可绘制的数据。" },
  failed: { en: "This chart could not be drawn; its numbers are in the table.", zh: "此图无法绘制，数字见表格。" },
  cut: { en: "Drawn: the first {n} of {all} rows.", zh: "图中仅绘制前 {n} 行，共 {all} 行。" },
  withheld: { en: "withheld", zh: "不公布" },
  unknown: { en: "none", zh: "无" },
  persons: { en: "persons", zh: "人数" },
  minutes: { en: "minutes", zh: "分钟" },
  days: { en: "days", zh: "天" },
  cases: { en: "cases", zh: "病例数" },
  share: { en: "share, %", zh: "占比（%）" },
  onset: { en: "By day of onset", zh: "按发病日" },
  reported: { en: "By day of report", zh: "按报告日" },
  confirmed: { en: "confirmed", zh: "确诊" },
  asymptomatic: { en: "asymptomatic", zh: "无症状感染" },
  suspected: { en: "suspected", zh: "疑似" },
  mean: { en: "7-day mean", zh: "7 日均值" },
  incomplete: { en: "day not yet complete", zh: "数据尚不完整" },
  root: { en: "case, infector not known", zh: "病例（感染来源不明）" },
  infected: { en: "case, infector known", zh: "病例（感染来源已知）" },
  plausible: { en: "plausible link", zh: "合理的传播关系" },
  implausible: { en: "implausible link (!)", zh: "存疑的传播关系（!）" },
  before: { en: "before", zh: "之前" },
  tonight: { en: "tonight", zh: "今日" },
  stayed: { en: "Left out: {n} persons who were and stay {color}.", zh: "未绘出：一直为{color}的 {n} 人。" },
  ring: { en: "ring {n}", zh: "第 {n} 圈" },
  color: {
    purple: { en: "purple", zh: "紫码" }, red: { en: "red", zh: "红码" }, orange: { en: "orange", zh: "橙码" },
    yellow: { en: "yellow", zh: "黄码" }, green: { en: "green", zh: "绿码" },
  },
};

// How each chart is read: a note below it and the second half of its name for those who hear the page.
const HOW = {
  color_flow: {
    en: "Each band is a group of persons, from its color before (left) to its color tonight (right); the wider, the more. Bands too thin to be seen are widened.",
    zh: "每条色带代表一组人，左为之前的颜色，右为今日的颜色；色带越宽，人数越多。过细的色带已适当加宽。",
  },
  changes_by_rule: { en: "A bar a rule: persons whose color it changed. Hatch and color show the new color.", zh: "每条横条为一条规则：因其变色的人数。颜色和纹理表示新颜色。" },
  coverage: { en: "A bar a district: residents with at least one visit, in percent.", zh: "每条横条为一个区：至少有一次到访记录的居民所占百分比。" },
  epidemic_curve: {
    en: "A bar a day: cases by status, with the mean of seven days as a line. Gray hatched days are not yet complete.",
    zh: "每根柱为一天：按状态统计的病例数；折线为 7 日均值。灰色斜纹的日子数据尚不完整。",
  },
  transmission: {
    en: "A row a case, placed at its day; an arrow runs from the infector to the case. Dashed arrows marked ! are implausible.",
    zh: "每行为一名病例，横轴为日期；箭头由感染者指向被感染者。带“!”的虚线箭头表示该关系存疑。",
  },
  delays: { en: "Two bars a measure: the median and the 90th percentile, in days.", zh: "每项指标两条横条：中位数和第 90 百分位数（天）。" },
  rings: { en: "A bar a ring: minutes of contact, observed and inferred.", zh: "每条横条为一圈：接触分钟数，分为实测与推算。" },
  contacts_per_case: { en: "How many cases have how many contacts, for each ring.", zh: "各圈中，拥有不同接触者数量的病例有多少。" },
  hot_spots: { en: "Two bars a venue: cases seen and cases expected by chance; at the end of the first, their ratio.", zh: "每个场所两条横条：实际病例数与随机预期病例数；第一条末端为两者之比。" },
  venue_hours: { en: "A row a venue, a column each six hours: the darker (on a dark page, the brighter), the more persons.", zh: "每行为一个场所，每列为 6 小时；颜色越深（深色页面上越亮），人数越多。" },
  observed: { en: "A bar a category of venue: minutes of contact, observed and inferred.", zh: "每条横条为一类场所：接触分钟数，分为实测与推算。" },
  districts: { en: "A bar a district: persons under each color.", zh: "每条横条为一个区：各颜色的人数。" },
  releases: { en: "A bar a day: persons whose color becomes milder, by change.", zh: "每根柱为一天：颜色转轻的人数，按变化分类。" },
};

const LIGHT = {
  ink: "#1b1f24", soft: "#505a66", line: "#d5dae1", page: "#f6f7f9", box: "#ffffff",
  purple: "#6b2fa0", red: "#c62828", orange: "#f08a24", yellow: "#f5d800", green: "#2e8b57",
  one: "#1f5fa8", two: "#f0a030", three: "#8a94a0", heat: ["#e3edf8", "#7fb0dd", "#0d3c73"], heatInk: ["#1b1f24", "#ffffff"],
};
const DARK = {
  ink: "#e9ecf0", soft: "#b0b8c2", line: "#3b434d", page: "#1e2228", box: "#14171b",
  purple: "#b283e6", red: "#f06060", orange: "#f5a04c", yellow: "#f5dc3c", green: "#58bd86",
  one: "#6cabf0", two: "#f2b45c", three: "#98a2ae", heat: ["#22344a", "#3f7fc0", "#d4e8ff"], heatInk: ["#ffffff", "#14171b"],
};
const PAPER = { ...LIGHT, page: "#ffffff" };

// Hatches, so that no bar is told by its color alone.
const INK = "rgba(0, 0, 0, 0.55)";
const PLAIN = { symbol: "none" };
const DOTS = { symbol: "circle", symbolSize: 0.55, dashArrayX: [[6, 6], [0, 6, 6, 0]], dashArrayY: [5, 0], color: INK };
const RISING = { symbol: "rect", dashArrayX: [1, 0], dashArrayY: [1.5, 5], rotation: -Math.PI / 4, color: INK };
const FALLING = { ...RISING, rotation: Math.PI / 4 };
const FLAT = { ...RISING, rotation: 0, dashArrayY: [1.5, 6] };
const SQUARES = { symbol: "rect", symbolSize: 0.6, dashArrayX: [6, 6], dashArrayY: [6, 6], color: INK };
const HATCHES = { purple: { ...DOTS, color: "rgba(255, 255, 255, 0.7)" }, red: { ...RISING, color: "rgba(255, 255, 255, 0.75)" }, orange: FLAT, yellow: SQUARES, green: PLAIN };
const HATCH_ORDER = [PLAIN, RISING, DOTS, FALLING, FLAT, SQUARES];

let language = "en";
let printing = false;

// ---- words and numbers ----

const t = (words) => words?.[language] ?? words?.en ?? "";
const say = (key, values = {}) => Object.entries(values).reduce((text, [name, value]) => text.replace(`{${name}}`, value), t(WORDS[key]));
const colorName = (name) => t(WORDS.color[name]) || name;
const withheld = (cell) => typeof cell === "string" && cell.startsWith("<");
const amount = (cell) => (typeof cell === "number" ? cell : 0);
const number = (n) => new Intl.NumberFormat("en", { maximumFractionDigits: 1 }).format(n);
const short = (n) => new Intl.NumberFormat(language, { notation: "compact", maximumFractionDigits: 1 }).format(n);
const figure = (cell) => (typeof cell === "number" ? number(cell) : String(cell ?? "–"));

/** Text of a cell whatever its kind. */
function text(cell, kind) {
  if (cell === null || cell === undefined) return "–";
  if (kind === "color") return colorName(cell);
  if (typeof cell === "object") return t(cell);
  if (typeof cell === "number" && kind !== "id") return number(cell) + (kind === "share" ? " %" : "");
  return String(cell);
}

/** Rows of a table as objects; the columns with them, for titles and kinds. */
function read(table) {
  const names = table.columns.map((column) => column.name);
  const rows = table.rows.map((row) => Object.fromEntries(row.map((cell, at) => [names[at], cell])));
  const column = (name) => table.columns.find((each) => each.name === name);
  return {
    rows,
    has: (name) => names.includes(name),
    title: (name) => t(column(name)?.title) || name,
    text: (row, name) => text(row[name], column(name)?.kind),
    describe: (row) => table.columns.map((each) => `${t(each.title)}: ${clip(text(row[each.name], each.kind), 90)}`).join("\n"),
  };
}

const isWide = (character) => character.codePointAt(0) > 0x2e7f;
const clip = (words, most) => ([...words].length > most ? [...words].slice(0, most - 1).join("") + "…" : words);
const widthOf = (words, size = 12) => [...words].reduce((sum, each) => sum + (isWide(each) ? size : size * 0.58), 0);

// ---- parts of every chart ----

/** What every chart has: its font, its tooltip, and hatches. */
function frame(look, tip) {
  return {
    animation: false,
    backgroundColor: "transparent",
    textStyle: { fontFamily: look.font, color: look.ink },
    aria: { enabled: true, label: { enabled: false }, decal: { show: true } },
    tooltip: {
      renderMode: "richText", confine: true, transitionDuration: 0, formatter: tip,
      backgroundColor: look.box, borderColor: look.soft, borderWidth: 1, padding: 8,
      textStyle: { color: look.ink, fontSize: 12, lineHeight: 17, fontFamily: look.font, width: Math.min(340, look.width - 50), overflow: "break" },
    },
  };
}

function legend(names, look, extra = {}) {
  return {
    type: "plain", left: 0, top: 0, itemGap: 12, itemWidth: 22, itemHeight: 13, selectedMode: false, data: names,
    textStyle: { color: look.ink, fontSize: 12, width: look.width - 50, overflow: "truncate" }, ...extra,
  };
}

/** Height of a legend that wraps. */
function legendHeight(names, look) {
  let lines = 1;
  let used = 0;
  for (const name of names) {
    const width = Math.min(widthOf(name), look.width - 50) + 22 + 5 + 12;
    if (used > 0 && used + width > look.width) {
      lines += 1;
      used = 0;
    }
    used += width;
  }
  return lines * 26 + 4;
}

/** An axis of names, each broken or cut to its room. */
function nameAxis(names, look, options = {}) {
  return {
    type: "category", data: names.map((_, at) => String(at)),
    axisLine: { lineStyle: { color: look.soft } }, axisTick: { show: false },
    axisLabel: { color: look.ink, fontSize: 12, interval: 0, formatter: (at) => names[at] ?? "", ...options },
  };
}

function valueAxis(name, look, options = {}) {
  return {
    type: "value", name, nameLocation: "middle", nameGap: 26, nameTextStyle: { color: look.soft, fontSize: 12 }, minInterval: 1,
    splitNumber: look.narrow ? 3 : 6, splitLine: { lineStyle: { color: look.line } }, axisLine: { show: false },
    axisLabel: { color: look.soft, fontSize: 12, hideOverlap: true, formatter: (value) => (value >= 10000 ? short(value) : number(value)) },
    ...options,
  };
}

const fill = (color, decal, look) => ({ color, decal, borderColor: look.ink, borderWidth: 0.6 });
const colorFill = (name, look) => fill(look[name] ?? look.three, HATCHES[name] ?? FALLING, look);

/** Bars of rows, lying or upright. `series`: {name, column, style}; `stacked`: one bar a row, with its total at the end. */
function bars({ rows: all, label, series, unit, tip, look, stacked = false, upright = false, most = ROWS_MAX, end, axis = {} }) {
  const rows = upright ? all : all.slice(0, most);
  if (rows.length === 0) return null;
  const hidden = (row) => series.filter((each) => withheld(row[each.column]));
  const anyHidden = rows.some((row) => hidden(row).length > 0);
  const mark = `${say("withheld")} (<${report.suppress_below})`;
  const names = [...series.map((each) => each.name), ...(stacked && anyHidden ? [mark] : [])];
  const showLegend = names.length > 1;
  const top = showLegend ? legendHeight(names, look) : 6;
  const point = (value, at) => (upright ? [at, value] : [value, at]);
  const crowded = upright && rows.length * (stacked ? 34 : 60) > look.width;
  const endText = (row) => {
    const sum = series.reduce((total, each) => total + amount(row[each.column]), 0);
    const less = hidden(row).map((each) => row[each.column]);
    if (less.length === 0) return number(sum);
    const marks = less.length > 1 ? `${less.length} × ${less[0]}` : less[0];
    return sum > 0 ? `${number(sum)} + ${marks}` : marks;
  };
  const drawn = series.map((each) => ({
    type: "bar", name: each.name, stack: stacked ? "all" : undefined, barMaxWidth: upright ? 48 : stacked || series.length === 1 ? 18 : 11,
    barGap: "0%", itemStyle: each.style,
    data: rows.map((row) => ({ value: amount(row[each.column]) })),
    label: {
      show: !stacked && !crowded, position: upright ? "top" : "right", color: look.ink, fontSize: 11, distance: 4,
      formatter: ({ dataIndex: at }) => {
        const cell = rows[at][each.column];
        if (withheld(cell)) return `◇ ${cell}`;
        return cell === null ? "" : number(cell) + (end ? end(rows[at], each.column) : "");
      },
    },
  }));
  if (stacked) {
    drawn.push({
      type: "scatter", name: mark, silent: true, z: 5, itemStyle: { color: look.box, borderColor: look.ink, borderWidth: 1.2 },
      data: rows.map((row, at) => {
        const sum = series.reduce((total, each) => total + amount(row[each.column]), 0);
        return { value: point(sum, at), symbol: "diamond", symbolSize: hidden(row).length > 0 ? 9 : 0, label: { formatter: endText(row) } };
      }),
      label: { show: !crowded, position: upright ? "top" : "right", distance: 6, color: look.ink, fontSize: 11 },
      labelLayout: { hideOverlap: true },
    });
  }
  const names_ = rows.map(label);
  const room = look.narrow ? 108 : Math.min(320, look.width * 0.34);
  const category = upright
    ? nameAxis(names_, look, { interval: "auto", hideOverlap: true })
    : { ...nameAxis(names_, look, { width: room, overflow: "truncate", ellipsis: "…" }), inverse: true };
  const value = valueAxis(unit, look, axis);
  const rowHeight = stacked || series.length === 1 ? 28 : 16 + 12 * series.length;
  return {
    height: upright ? top + 260 : top + rows.length * rowHeight + 52,
    drawn: rows.length, all: all.length,
    option: {
      ...frame(look, (p) => tip(rows[(Array.isArray(p) ? p[0] : p).dataIndex])),
      legend: showLegend ? legend(names, look) : undefined,
      grid: { left: 4, right: upright ? 10 : stacked ? 84 : end ? 92 : 58, top: top + (upright ? 14 : 2), bottom: 4, outerBoundsMode: "same" },
      xAxis: upright ? category : value,
      yAxis: upright ? value : category,
      series: drawn,
    },
  };
}

// ---- the charts: (table, look) -> { option, height, ... } or null where there is nothing to draw ----

function colorFlow(table, look) {
  const { healthy, severity } = report.scheme;
  const order = [...severity.filter((name) => name !== healthy), healthy];
  const rank = (name) => (order.indexOf(name) < 0 ? order.length : order.indexOf(name));
  const stays = (row) => row.color_before === healthy && row.color_after === healthy;
  const rows = table.rows.filter((row) => !stays(row) && (amount(row.persons) > 0 || withheld(row.persons)));
  if (rows.length === 0) return null;
  const total = rows.reduce((sum, row) => sum + amount(row.persons), 0);
  const least = Math.max(1, total * 0.012);
  const nodes = (side, column) =>
    [...new Set(rows.map((row) => row[column]))].sort((a, b) => rank(a) - rank(b)).map((name) => {
      const mine = rows.filter((row) => row[column] === name);
      const sum = mine.reduce((all, row) => all + amount(row.persons), 0);
      const less = mine.map((row) => row.persons).filter(withheld);
      const count = [...(sum > 0 || less.length === 0 ? [number(sum)] : []), ...less].join(" + ");
      return {
        name: `${side}:${name}`, depth: side === "before" ? 0 : 1, itemStyle: colorFill(name, look), count,
        label: { position: side === "before" ? "left" : "right", formatter: `${colorName(name)}\n${clip(count, 16)}` },
      };
    });
  const left = nodes("before", "color_before");
  const right = nodes("after", "color_after");
  const links = rows.map((row) => ({
    source: `before:${row.color_before}`, target: `after:${row.color_after}`, value: Math.max(amount(row.persons), least), row,
    edgeLabel: { show: withheld(row.persons) || (!look.narrow && amount(row.persons) > total * 0.05), formatter: figure(row.persons), color: look.ink, fontSize: 11 },
    lineStyle: { color: look[row.color_after] ?? look.three, opacity: withheld(row.persons) ? 0.25 : 0.45 },
  }));
  const kept = table.rows.find(stays);
  const notes = kept ? [say("stayed", { n: figure(kept.persons), color: colorName(healthy) })] : [];
  const head = (words, side) => ({ text: words, [side]: 0, top: 0, padding: 0, textStyle: { color: look.soft, fontSize: 12, fontWeight: 400 } });
  const margin = look.narrow ? 78 : 110;
  return {
    height: 60 + Math.max(left.length, right.length) * 62, notes,
    option: {
      ...frame(look, (p) => (p.dataType === "edge" ? table.describe(p.data.row) : `${colorName(p.name.split(":")[1])}: ${p.data.count}`)),
      title: [head(report.before ?? say("before"), "left"), head(`${report.date} (${say("tonight")})`, "right")],
      series: [{
        type: "sankey", left: margin, right: margin, top: 40, bottom: 20, nodeWidth: 16, nodeGap: 34, layoutIterations: 0, draggable: false,
        emphasis: { focus: "adjacency" }, label: { color: look.ink, fontSize: 12, lineHeight: 15 }, data: [...left, ...right], links,
      }],
    },
  };
}

function changesByRule(table, look) {
  const colors = [...new Set(table.rows.map((row) => row.color_after))];
  const rows = table.rows.map((row) => ({ ...row, [`to ${row.color_after}`]: row.persons }));
  const chart = bars({
    rows, look, stacked: true, unit: say("persons"), tip: table.describe,
    label: (row) => [row.rule_id, row.basis].filter((each) => each !== null).map((each) => text(each)).join(" · ") || say("unknown"),
    series: colors.map((name) => ({ name: `→ ${colorName(name)}`, column: `to ${name}`, style: colorFill(name, look) })),
  });
  return chart;
}

function coverage(table, look) {
  return bars({
    rows: table.rows, look, unit: say("share"), tip: table.describe, label: (row) => table.text(row, "region_id"),
    series: [{ name: table.title("share"), column: "share", style: fill(look.one, PLAIN, look) }], axis: { max: 100 },
  });
}

function epidemicCurve(table, look) {
  const rows = table.rows;
  if (rows.length === 0) return null;
  const statuses = [
    ["confirmed", fill(look.one, PLAIN, look)], ["asymptomatic", fill(look.two, RISING, look)], ["suspected", fill(look.three, DOTS, look)],
  ];
  const hidden = rows.some((row) => statuses.some(([status]) => withheld(row[`onset_${status}`]) || withheld(row[`report_${status}`])));
  const mark = `${say("withheld")} (<${report.suppress_below})`;
  const names = [...statuses.map(([status]) => say(status)), say("mean"), say("incomplete"), ...(hidden ? [mark] : [])];
  const top = legendHeight(names, look);
  const panel = look.narrow ? 170 : 190;
  const tops = [top + 34, top + 34 + panel + 70];
  const series = ["onset", "report"].flatMap((kind, at) => {
    const place = { xAxisIndex: at, yAxisIndex: at };
    const sum = (row) => statuses.reduce((all, [status]) => all + amount(row[`${kind}_${status}`]), 0);
    const less = (row) => statuses.filter(([status]) => withheld(row[`${kind}_${status}`])).length;
    return [
      {
        ...place, yAxisIndex: at + 2, type: "bar", name: say("incomplete"), barWidth: "100%", silent: true, z: 0,
        itemStyle: { color: look.line, decal: { ...FALLING, color: look.soft }, opacity: 0.55 }, data: rows.map((row) => (row.incomplete ? 1 : 0)),
      },
      ...statuses.map(([status, style]) => ({
        ...place, type: "bar", name: say(status), stack: kind, barCategoryGap: "12%", barMaxWidth: 26, itemStyle: style, z: 2,
        data: rows.map((row) => amount(row[`${kind}_${status}`])),
      })),
      {
        ...place, type: "line", name: say("mean"), showSymbol: false, z: 4, lineStyle: { color: look.ink, width: 2 }, itemStyle: { color: look.ink },
        data: rows.map((row) => (typeof row[`${kind}_mean_7`] === "number" ? row[`${kind}_mean_7`] : null)),
      },
      {
        ...place, type: "scatter", name: mark, silent: true, symbol: "diamond", z: 5, symbolSize: look.narrow ? 5 : 8,
        itemStyle: { color: look.box, borderColor: look.ink, borderWidth: 1 }, data: rows.map((row) => (less(row) > 0 ? sum(row) : null)),
        label: { show: true, position: "top", distance: 3, color: look.ink, fontSize: 10, formatter: `<${report.suppress_below}` },
        labelLayout: { hideOverlap: true },
      },
    ];
  });
  const days = rows.map((row) => String(row.date).slice(5));
  return {
    height: tops[1] + panel + 34,
    option: {
      ...frame(look, (p) => table.describe(rows[p[0].dataIndex])),
      tooltip: { ...frame(look, (p) => table.describe(rows[p[0].dataIndex])).tooltip, trigger: "axis", axisPointer: { type: "shadow" } },
      axisPointer: { link: [{ xAxisIndex: [0, 1] }] },
      legend: legend(names, look),
      title: ["onset", "reported"].map((key, at) => ({ text: say(key), left: 0, top: tops[at] - 26, padding: 0, textStyle: { color: look.ink, fontSize: 13, fontWeight: 600 } })),
      grid: tops.map((y) => ({ left: 4, right: 8, top: y, height: panel, outerBoundsMode: "none", containLabel: false })).map((grid) => ({ ...grid, left: 36 })),
      xAxis: [0, 1].map((at) => ({ ...nameAxis(days, look, { interval: "auto", hideOverlap: true, color: look.soft }), gridIndex: at })),
      yAxis: [
        ...[0, 1].map((at) => valueAxis("", look, { gridIndex: at, splitNumber: 4 })),
        ...[0, 1].map((at) => ({ type: "value", gridIndex: at, min: 0, max: 1, show: false })),
      ],
      series,
    },
  };
}

/** Cases in the order of a tree: each followed by those it infected, earliest first. */
function treeOrder(rows) {
  const known = new Map(rows.map((row) => [row.case, row]));
  const children = new Map();
  for (const row of rows) {
    const parent = known.has(row.infector) && row.infector !== row.case ? row.infector : null;
    children.set(parent, [...(children.get(parent) ?? []), row]);
  }
  const byDay = (a, b) => String(a.day).localeCompare(String(b.day)) || String(a.case).localeCompare(String(b.case));
  const ordered = new Set();
  const visit = (row) => {
    if (ordered.has(row)) return;
    ordered.add(row);
    (children.get(row.case) ?? []).sort(byDay).forEach(visit);
  };
  (children.get(null) ?? []).sort(byDay).forEach(visit);
  rows.forEach(visit);
  return [...ordered];
}

function daysBetween(first, last) {
  const days = [];
  for (let at = Date.parse(first); at <= Date.parse(last) && days.length < 400; at += 86400000) days.push(new Date(at).toISOString().slice(0, 10));
  return days;
}

function transmission(table, look) {
  const all = treeOrder(table.rows.filter((row) => row.day !== null));
  const rows = all.slice(0, ROWS_MAX);
  if (rows.length === 0) return null;
  const sorted = rows.map((row) => row.day).sort();
  const days = daysBetween(sorted[0], sorted.at(-1));
  const at = new Map(rows.map((row, index) => [row.case, index]));
  const day = (row) => days.indexOf(row.day);
  const links = rows.filter((row) => at.has(row.infector)).map((row) => ({ row, to: at.get(row.case), from: at.get(row.infector) }));
  const bad = (row) => row.plausible === 0;
  const names = ["root", "infected", "plausible", "implausible"].map((key) => say(key));
  const top = legendHeight(names, look);
  const arrow = (params, api) => {
    const { row, from, to } = links[params.dataIndex];
    const [x0, y0] = api.coord([day(rows[from]), from]);
    const [x1, y1] = api.coord([day(row), to]);
    const style = { stroke: bad(row) ? look.red : look.soft, fill: "none", lineWidth: bad(row) ? 1.8 : 1.3, lineDash: bad(row) ? [5, 4] : null };
    const flat = Math.abs(x1 - x0) < 12;
    const side = flat ? -1 : Math.sign(x1 - x0);
    const bend = flat ? x0 + 14 : x0;
    const tip = x1 - side * 6;
    const points = flat ? [[x0, y0], [bend, y0], [bend, y1], [tip, y1]] : [[x0, y0], [x0, y1], [tip, y1]];
    const children = [
      { type: "polyline", shape: { points }, style },
      { type: "polygon", shape: { points: [[tip, y1], [tip - side * 7, y1 - 4], [tip - side * 7, y1 + 4]] }, style: { fill: style.stroke } },
    ];
    if (bad(row)) {
      children.push({ type: "text", style: { text: "!", x: flat ? bend + 6 : (x0 + tip) / 2, y: y1 - 1, fill: look.red, font: `bold 14px ${look.font}`, align: "center", verticalAlign: "bottom" } });
    }
    return { type: "group", children };
  };
  const pitch = look.paper ? Math.min(20, PAPER_HEIGHT / rows.length) : 22;
  const dot = (row) => {
    const known = at.has(row.infector);
    return { value: [day(row), at.get(row.case)], symbol: known ? "circle" : "diamond", symbolSize: known ? 10 : 14, itemStyle: { color: known ? look.one : look.two, borderColor: look.ink, borderWidth: 1 } };
  };
  const key = (name, style) => ({ type: "line", name: say(name), data: [], symbol: "none", ...style });
  return {
    height: top + rows.length * pitch + 60, drawn: rows.length, all: all.length,
    option: {
      ...frame(look, (p) => (p.seriesName === "links" ? table.describe(links[p.dataIndex].row) : table.describe(rows[p.dataIndex]))),
      legend: legend([
        { name: names[0], icon: "diamond", itemStyle: { color: look.two, borderColor: look.ink, borderWidth: 1 } },
        { name: names[1], icon: "circle", itemStyle: { color: look.one, borderColor: look.ink, borderWidth: 1 } },
        { name: names[2] }, { name: names[3] },
      ], look),
      grid: { left: 4, right: 18, top: top + 22, bottom: 4, outerBoundsMode: "same" },
      xAxis: {
        ...nameAxis(days.map((each) => each.slice(5)), look, { interval: "auto", hideOverlap: true, color: look.soft }),
        position: "top", splitLine: { show: true, interval: "auto", lineStyle: { color: look.line } },
      },
      yAxis: {
        ...nameAxis(rows.map((row) => middle(table.text(row, "case"), look.narrow ? 11 : 22)), look, { fontSize: pitch < 15 ? 9 : 11 }),
        inverse: true, axisLine: { show: false }, splitLine: { show: true, lineStyle: { color: look.line, opacity: 0.5 } },
      },
      series: [
        { type: "custom", name: "links", renderItem: arrow, data: links.map((link) => [day(link.row), link.to]), z: 2 },
        { type: "scatter", name: "cases", data: rows.map(dot), z: 3 },
        key("root", {}), key("infected", {}),
        key("plausible", { lineStyle: { color: look.soft, type: "solid", width: 1.5 } }),
        key("implausible", { lineStyle: { color: look.red, type: "dashed", width: 2 } }),
      ],
    },
  };
}

/** Long identifiers differ at their ends, so the middle is what goes. */
function middle(words, most) {
  const letters = [...words];
  if (letters.length <= most) return words;
  const end = Math.ceil((most - 1) / 2);
  return `${letters.slice(0, most - 1 - end).join("")}…${letters.slice(-end).join("")}`;
}

function delays(table, look) {
  return bars({
    rows: table.rows, look, unit: say("days"), tip: table.describe,
    label: (row) => `${table.text(row, "measure")} (n=${figure(row.persons)})`,
    series: [
      { name: table.title("median"), column: "median", style: fill(look.one, PLAIN, look) },
      { name: table.title("p90"), column: "p90", style: fill(look.two, RISING, look) },
    ],
  });
}

function minutesBars(table, look, label) {
  return bars({
    rows: table.rows, look, stacked: true, unit: say("minutes"), tip: table.describe, label,
    series: [
      { name: table.title("observed_minutes"), column: "observed_minutes", style: fill(look.one, PLAIN, look) },
      { name: table.title("inferred_minutes"), column: "inferred_minutes", style: fill(look.two, RISING, look) },
    ],
  });
}

const rings = (table, look) => minutesBars(table, look, (row) => `${say("ring", { n: figure(row.ring) })} (${figure(row.persons)} ${say("persons")})`);
const observed = (table, look) => minutesBars(table, look, (row) => table.text(row, "category"));

function contactsPerCase(table, look) {
  return bars({
    rows: table.rows, look, upright: true, unit: say("cases"), tip: table.describe, label: (row) => table.text(row, "contacts"),
    series: [
      { name: table.title("cases_ring_1"), column: "cases_ring_1", style: fill(look.one, PLAIN, look) },
      { name: table.title("cases_ring_2"), column: "cases_ring_2", style: fill(look.two, RISING, look) },
    ],
  });
}

function hotSpots(table, look) {
  const name = ["name", "venue", "category"].find((each) => table.has(each));
  return bars({
    rows: table.rows, look, unit: say("cases"), tip: table.describe, most: 25, label: (row) => table.text(row, name),
    end: (row, column) => (column === "cases" && typeof row.ratio === "number" ? ` (×${number(row.ratio)})` : ""),
    series: [
      { name: table.title("cases"), column: "cases", style: fill(look.one, PLAIN, look) },
      { name: table.title("expected_cases"), column: "expected_cases", style: fill(look.two, RISING, look) },
    ],
  });
}

/** Every slot from the first to the last, also those in which nobody came. */
function everySlot(slots) {
  const instant = (slot) => Date.parse(slot.replace(" ", "T") + "Z");
  const times = [...new Set(slots.map(instant))].sort((a, b) => a - b);
  const step = Math.max(3600000, Math.min(...times.slice(1).map((time, at) => time - times[at]), 21600000));
  const filled = [];
  for (let time = times[0]; time <= times.at(-1) && filled.length < 400; time += step) filled.push(new Date(time).toISOString().slice(0, 16).replace("T", " "));
  return filled;
}

function venueHours(table, look) {
  if (table.rows.length === 0) return null;
  const named = new Map(read(tables.get("hot_spots") ?? { columns: [], rows: [] }).rows.map((row) => [String(row.venue), row.name]));
  const allVenues = [...new Set(table.rows.map((row) => String(row.venue)))];
  const venues = allVenues.slice(0, 40);
  const rows = table.rows.filter((row) => venues.includes(String(row.venue)));
  const slots = everySlot(rows.map((row) => row.slot));
  const most = Math.max(1, ...rows.map((row) => amount(row.persons)));
  const room = look.narrow ? 92 : Math.min(260, look.width * 0.25);
  const cell = (look.width - room - 20) / slots.length;
  const place = (row) => [slots.indexOf(row.slot), venues.indexOf(String(row.venue))];
  const shown = rows.filter((row) => !withheld(row.persons));
  const less = rows.filter((row) => withheld(row.persons));
  return {
    height: 34 + venues.length * 26 + 50, drawn: venues.length, all: allVenues.length,
    option: {
      ...frame(look, (p) => table.describe((p.seriesIndex === 0 ? shown : less)[p.dataIndex])),
      grid: { left: 4, right: 10, top: 28, bottom: 46, outerBoundsMode: "same" },
      xAxis: {
        ...nameAxis(slots, look, {
          color: look.soft, hideOverlap: true, align: "left", interval: (at) => slots[at]?.endsWith("00:00") || at === 0, formatter: (at) => slots[at].slice(5, slots[at].endsWith("00:00") ? 10 : 16),
        }),
        position: "top", axisTick: { show: true, alignWithLabel: false, interval: (at) => slots[at]?.endsWith("00:00"), lineStyle: { color: look.soft } },
      },
      yAxis: {
        ...nameAxis(venues.map((venue) => named.get(venue) ?? venue), look, { width: room, overflow: "truncate", ellipsis: "…" }),
        inverse: true, axisLine: { show: false },
      },
      visualMap: {
        type: "continuous", seriesIndex: 0, dimension: 2, min: 0, max: most, orient: "horizontal", left: "center", bottom: 2, itemWidth: 12, itemHeight: 110,
        inRange: { color: look.heat }, text: [`${number(most)} ${say("persons")}`, "0"], textStyle: { color: look.ink, fontSize: 12 }, calculable: false, hoverLink: false,
      },
      series: [
        {
          type: "heatmap", data: shown.map((row) => [...place(row), amount(row.persons)]), itemStyle: { borderColor: look.page, borderWidth: cell > 10 ? 1 : 0.5 },
          label: { show: cell > 24, fontSize: 11, formatter: (p) => number(p.data[2]) },
        },
        {
          type: "scatter", data: less.map(place), symbol: "diamond", symbolSize: 8, itemStyle: { color: look.box, borderColor: look.ink, borderWidth: 1 },
          label: { show: true, position: "right", distance: 2, fontSize: 10, color: look.ink, formatter: `<${report.suppress_below}` }, labelLayout: { hideOverlap: true },
        },
      ],
    },
  };
}

function districts(table, look) {
  const { healthy, severity } = report.scheme;
  return bars({
    rows: table.rows, look, stacked: true, unit: say("persons"), tip: table.describe, label: (row) => table.text(row, "region_id"),
    series: severity.filter((name) => name !== healthy && table.has(name)).map((name) => ({ name: colorName(name), column: name, style: colorFill(name, look) })),
  });
}

function releases(table, look) {
  const change = (row) => `${row.color_before} ${row.color_after}`;
  const pairs = new Map(table.rows.map((row) => [change(row), row]));
  const days = new Map();
  for (const row of table.rows) {
    const day = days.get(row.date) ?? { date: row.date, rows: [] };
    day[change(row)] = row.persons;
    day.rows.push(row);
    days.set(row.date, day);
  }
  const dates = table.rows.map((row) => row.date).sort();
  const rows = dates.length === 0 ? [] : daysBetween(dates[0], dates.at(-1)).map((date) => days.get(date) ?? { date, rows: [] });
  const line = (row) => `${colorName(row.color_before)} → ${colorName(row.color_after)}: ${figure(row.persons)}`;
  return bars({
    rows, look, stacked: true, upright: true, unit: say("persons"), label: (row) => row.date.slice(5),
    tip: (row) => [row.date, ...row.rows.map(line)].join("\n"),
    series: [...pairs].map(([column, row], at) => ({
      name: `${colorName(row.color_before)} → ${colorName(row.color_after)}`, column,
      style: fill(look[row.color_before] ?? look.three, HATCH_ORDER[at % HATCH_ORDER.length], look),
    })),
  });
}

const CHARTS = {
  color_flow: colorFlow, changes_by_rule: changesByRule, coverage, epidemic_curve: epidemicCurve, transmission, delays, rings,
  contacts_per_case: contactsPerCase, hot_spots: hotSpots, venue_hours: venueHours, observed, districts, releases,
};

// ---- the page ----

const darkScheme = window.matchMedia("(prefers-color-scheme: dark)");

function lookFor(box) {
  const width = printing ? PAPER_WIDTH : box.clientWidth;
  const theme = printing ? PAPER : darkScheme.matches ? DARK : LIGHT;
  return { ...theme, width, narrow: width < 500, paper: printing, font: getComputedStyle(document.body).fontFamily };
}

function sentence(box, words) {
  const line = document.createElement("p");
  line.className = "nothing";
  for (const [lang, each] of Object.entries(words)) {
    const span = document.createElement("span");
    span.lang = lang;
    span.textContent = each;
    line.append(span);
  }
  box.replaceChildren(line);
  box.style.height = "auto";
  box.removeAttribute("role");
  box.removeAttribute("aria-label");
}

function draw(box) {
  const kind = box.dataset.chart;
  const table = tables.get(box.dataset.table);
  const note = document.querySelector(`[data-note="${CSS.escape(table.id)}"]`);
  const look = lookFor(box);
  echarts.getInstanceByDom(box)?.dispose();
  note.textContent = "";
  const chart = CHARTS[kind](read(table), look);
  if (chart === null) return sentence(box, WORDS.nothing);
  box.replaceChildren();
  box.style.height = `${Math.round(chart.height)}px`;
  box.style.width = printing ? `${PAPER_WIDTH}px` : "";
  const cut = chart.drawn < chart.all ? [say("cut", { n: chart.drawn, all: chart.all })] : [];
  note.textContent = [t(HOW[kind]), ...(chart.notes ?? []), ...cut].join(language === "zh" ? "" : " ");
  box.setAttribute("role", "img");
  box.setAttribute("aria-label", `${t(table.title)}. ${note.textContent}`);
  const ratio = printing ? 3 : Math.max(2, window.devicePixelRatio || 1);
  const instance = echarts.init(box, null, { renderer: "canvas", devicePixelRatio: ratio, width: look.width, height: Math.round(chart.height) });
  instance.setOption(chart.option);
  instance.getZr().flush();
  box.dataset.drawn = "true";
}

function drawAll() {
  for (const box of document.querySelectorAll(".chart")) {
    try {
      draw(box);
    } catch (error) {
      console.error(`chart ${box.dataset.chart}:`, error);
      sentence(box, WORDS.failed);
    }
  }
}

function speak(chosen) {
  language = chosen;
  const root = document.documentElement;
  root.lang = chosen === "zh" ? "zh-CN" : "en";
  root.dataset.lang = chosen;
  document.title = root.dataset[chosen === "zh" ? "titleZh" : "titleEn"];
  for (const button of document.querySelectorAll("[data-language]")) button.setAttribute("aria-pressed", String(button.dataset.language === chosen));
  drawAll();
}

function print(on) {
  if (printing === on) return;
  printing = on;
  drawAll();
}

function start() {
  document.documentElement.classList.add("scripted");
  document.querySelector(".languages").hidden = false;
  for (const details of document.querySelectorAll("details")) details.open = false;
  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => {
      history.replaceState(null, "", `#${button.dataset.language}`);
      speak(button.dataset.language);
    });
  }
  // The hash keeps the language, so links to sections scroll without it.
  for (const link of document.querySelectorAll('nav a[href^="#"]')) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const target = document.getElementById(link.getAttribute("href").slice(1));
      target?.scrollIntoView();
      target?.focus({ preventScroll: true });
    });
  }
  const fromHash = () => ["en", "zh"].find((each) => location.hash === `#${each}`);
  window.addEventListener("hashchange", () => fromHash() && speak(fromHash()));
  darkScheme.addEventListener("change", drawAll);
  window.addEventListener("beforeprint", () => print(true));
  window.addEventListener("afterprint", () => print(false));
  let width = document.documentElement.clientWidth;
  let waiting = 0;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      if (printing || document.documentElement.clientWidth === width) return;
      width = document.documentElement.clientWidth;
      drawAll();
    }, 150);
  });
  speak(fromHash() ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en"));
}

start();
