"use strict";

// Draws the charts of the report from the JSON in the page and switches its language. Whatever comes from the data is only
// ever text: no markup is made of it, and tooltips are drawn on the canvas as well.

const report = JSON.parse(document.getElementById("data").textContent);
const tables = new Map(report.sections.flatMap((section) => section.tables.map((table) => [table.id, table])));

// The most rows and days a chart shows; the rest is in the table, and a note says so.
const ROWS_MAX = 60;
const SPOTS_MAX = 20;
const DAYS_MAX = 400;
// A4 between the margins of page.css, in CSS pixels; the height leaves room for a heading.
const PAPER = { width: 685, height: 800 };

const WORDS = {
  nothing: { en: "Nothing to draw: there are no rows.", zh: "没有可绘制的数据。" },
  failed: { en: "This chart could not be drawn; its numbers are in the table.", zh: "此图无法绘制，数字见表格。" },
  cut: { en: "Drawn are the first {n} of {all}.", zh: "图中仅绘制前{n}项，共{all}项。" },
  stayed: { en: "Left out: {n} people who were and stay {color}.", zh: "未绘出前后均为{color}的{n}人。" },
  withheld: { en: "withheld: of any length", zh: "不公布，长度不定" },
  allWithheld: { en: "Not drawn: all its numbers are withheld.", zh: "未绘制：全部数值均不公布。" },
  dayless: { en: "Not drawn: changes of few people, which the table lists without a day.", zh: "未绘出：人数很少的变化，见表格（不列日期）。" },
  noRule: { en: "no rule: no reason is left", zh: "无规则（已无赋码原因）" },
  persons: { en: "people", zh: "人数" },
  contacts: { en: "close contacts", zh: "密接者人数" },
  perCase: { en: "contacts per case", zh: "每例病例的接触者数" },
  minutes: { en: "minutes", zh: "分钟" },
  days: { en: "days", zh: "天" },
  cases: { en: "cases", zh: "病例数" },
  share: { en: "share, %", zh: "比例（%）" },
  ring: { en: "ring {n}\n({persons} people)", zh: "第{n}圈\n（{persons}人）" },
  onset: { en: "Cases by day of onset", zh: "病例数，按发病日" },
  report: { en: "Cases by day of report", zh: "病例数，按报告日" },
  confirmed: { en: "confirmed", zh: "确诊" },
  asymptomatic: { en: "asymptomatic", zh: "无症状" },
  suspected: { en: "suspected", zh: "疑似" },
  mean: { en: "7-day mean", zh: "7日移动平均" },
  incomplete: { en: "day not yet complete", zh: "数据尚不完整" },
  root: { en: "case, no infector found", zh: "病例（未找到传染来源）" },
  infected: { en: "case with a likely infector", zh: "病例（已找到可能的传染来源）" },
  plausible: { en: "plausible link", zh: "合理的关联" },
  implausible: { en: "implausible link (!)", zh: "不合理的关联（!）" },
  before: { en: "before", zh: "之前" },
  tonight: { en: "{date} (tonight)", zh: "{date}（今晚）" },
  purple: { en: "purple", zh: "紫码" },
  red: { en: "red", zh: "红码" },
  orange: { en: "orange", zh: "橙码" },
  yellow: { en: "yellow", zh: "黄码" },
  green: { en: "green", zh: "绿码" },
};

const LIGHT = {
  ink: "#1b1f24", soft: "#505a66", line: "#d5dae1", box: "#ffffff", hatch: "rgba(0, 0, 0, 0.6)",
  purple: "#6b2fa0", red: "#c62828", orange: "#f08a24", yellow: "#f5d800", green: "#2e8b57",
  one: "#1f5fa8", two: "#f0a030", three: "#a9b2bc", heat: ["#c3daf1", "#8fbce4", "#4f8fce", "#2262a8", "#0d3c73"], heatInk: ["#1b1f24", "#1b1f24", "#000000", "#ffffff", "#ffffff"],
};
const DARK = {
  ink: "#e9ecf0", soft: "#b0b8c2", line: "#3b434d", box: "#14171b", hatch: "rgba(0, 0, 0, 0.65)",
  purple: "#b283e6", red: "#f06060", orange: "#f5a04c", yellow: "#f5dc3c", green: "#58bd86",
  one: "#6cabf0", two: "#f2b45c", three: "#98a2ae", heat: ["#2b4a6c", "#3a6ea5", "#6ca6dd", "#a5cdf3", "#d9ebff"], heatInk: ["#ffffff", "#ffffff", "#000000", "#000000", "#000000"],
};

// Hatches, so that no bar is told by its color alone.
const STRIPES = { symbol: "rect", dashArrayX: [1, 0], dashArrayY: [1.5, 5] };
const HATCHES = {
  plain: { symbol: "none" },
  rising: { ...STRIPES, rotation: -Math.PI / 4 },
  dots: { symbol: "circle", symbolSize: 0.6, dashArrayX: [[5, 5], [0, 5, 5, 0]], dashArrayY: [5, 0] },
  falling: { ...STRIPES, rotation: Math.PI / 4 },
  flat: { ...STRIPES, rotation: 0, dashArrayY: [1.5, 5] },
  upright: { ...STRIPES, rotation: Math.PI / 2 },
};
const HATCH_OF_COLOR = { purple: "dots", red: "rising", orange: "flat", yellow: "upright", green: "plain" };

let language = "en";
let printing = false;

// ---- words and numbers ----

const t = (words) => words?.[language] ?? words?.en ?? "";
const say = (key, values = {}) => t(WORDS[key]).replace(/\{(\w+)\}/g, (_, name) => values[name]);
const colorName = (name) => t(WORDS[name]) || name;
const isWithheld = (cell) => typeof cell === "string" && (cell === "[c]" || cell.startsWith("<"));
const amount = (cell) => (typeof cell === "number" ? cell : 0);
// Below one, a decimal is told to the third digit: 0.007 cases by chance are not none.
const number = (n, digits = 0) => n.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: n > 0 && n < 1 ? 3 : 1 });
const short = (n) => n.toLocaleString(language, { notation: "compact", maximumFractionDigits: 1 });
/** What stands for withheld cells, such as `2 × <10`; empty without any. */
const withheldOf = (cells) =>
  [...new Set(cells.filter(isWithheld))].sort().map((mark) => ({ mark, n: cells.filter((cell) => cell === mark).length })).map(({ mark, n }) => (n > 1 ? `${n} × ${mark}` : mark)).join(" + ");
const sumOf = (row, columns) => columns.reduce((sum, column) => sum + amount(row[column]), 0);
// Characters that are not seen, or turn a line around, are shown as what they are.
const visible = (words) =>
  words.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, (c) => `⟨${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
const clip = (words, most) => ([...words].length > most ? `${[...words].slice(0, most - 1).join("")}…` : words);

/** Text of a cell of any kind. */
function text(cell, kind) {
  if (cell === null || cell === undefined) return "–";
  if (kind === "color") return colorName(cell);
  if (typeof cell === "object") return visible(t(cell));
  if (typeof cell !== "number" || kind === "id") return visible(String(cell));
  return number(cell, kind === "share" || kind === "decimal" ? 1 : 0) + (kind === "share" ? " %" : "");
}

/** A table with its rows as objects. */
function read(table) {
  const columns = new Map(table.columns.map((column) => [column.name, column]));
  const names = [...columns.keys()];
  const show = (row, name) => text(row[name], columns.get(name)?.kind);
  return {
    rows: table.rows.map((row) => Object.fromEntries(row.map((cell, at) => [names[at], cell]))),
    names,
    has: (name) => columns.has(name),
    title: (name) => t(columns.get(name)?.title) || name,
    show,
    describe: (row) => names.map((name) => `${t(columns.get(name).title)}: ${clip(show(row, name), 90)}`).join("\n"),
  };
}

const pen = document.createElement("canvas").getContext("2d");

function widthOf(words, look, size = 12) {
  pen.font = `${size}px ${look.font}`;
  return pen.measureText(words).width;
}

/** Words on lines of `room` pixels, at most `most` of them, the rest cut; "\n" begins a new one. */
function wrap(words, room, look, most = 2) {
  const lines = [];
  for (const part of words.split("\n")) {
    let letters = [...part.trim()];
    while (letters.length > 0) {
      let n = letters.length;
      while (n > 1 && widthOf(letters.slice(0, n).join(""), look) > room) n -= 1;
      if (n < letters.length) {
        const space = letters.slice(0, n + 1).lastIndexOf(" ");
        if (space > n / 3) n = space;
        // No line begins with a mark that ends something.
        else while (n > 1 && /[,.;:!?)\]%，。、；：！？）】]/.test(letters[n])) n -= 1;
      }
      lines.push(letters.slice(0, n).join("").trim());
      letters = [...letters.slice(n).join("").trim()];
    }
  }
  if (lines.length <= most) return lines.join("\n");
  return [...lines.slice(0, most - 1), `${[...lines[most - 1]].slice(0, -1).join("")}…`].join("\n");
}

/** Long identifiers differ at their ends, so the middle is what goes. */
function withoutMiddle(words, most) {
  const half = Math.floor((most - 1) / 2);
  return words.length > most ? `${words.slice(0, half)}…${words.slice(-half)}` : words;
}

function daysBetween(first, last) {
  const days = [];
  for (let at = Date.parse(first); at <= Date.parse(last) && days.length < DAYS_MAX; at += 86400000) days.push(new Date(at).toISOString().slice(0, 10));
  return days;
}

// ---- parts of every chart ----

/** What every chart has: its font, its hatches, and a tooltip of `tip(what is pointed at)`. */
function frame(look, tip, trigger = "item") {
  return {
    animation: false,
    textStyle: { fontFamily: look.font, color: look.ink },
    aria: { enabled: true, label: { enabled: false }, decal: { show: true } },
    tooltip: {
      trigger, axisPointer: { type: "shadow" }, renderMode: "richText", confine: true, transitionDuration: 0, padding: 8,
      formatter: (at) => tip(Array.isArray(at) ? at[0] : at),
      backgroundColor: look.box, borderColor: look.soft, borderWidth: 1,
      textStyle: { color: look.ink, fontSize: 12, lineHeight: 17, fontFamily: look.font, width: Math.min(340, look.width - 50), overflow: "break" },
    },
  };
}

/** A legend that wraps, and its height. An entry is the name of a series of bars, or what ECharts wants for another. */
function legend(entries, look) {
  const data = entries.map((entry) => (typeof entry === "string" ? { name: entry, icon: "rect" } : entry));
  let lines = 1;
  let used = 0;
  for (const { name } of data) {
    const width = 22 + 5 + widthOf(name, look) + 14;
    if (used > 0 && used + width > look.width - 10) [lines, used] = [lines + 1, 0];
    used += width;
  }
  return {
    height: lines * 24 + 8,
    option: {
      data, left: 0, top: 0, padding: 2, itemGap: 12, itemWidth: 22, itemHeight: 13, selectedMode: false,
      itemStyle: { borderWidth: 0.8 }, textStyle: { color: look.ink, fontSize: 12 },
    },
  };
}

function nameAxis(names, look, label = {}) {
  return {
    type: "category", data: names.map((_, at) => at), axisLine: { lineStyle: { color: look.soft } }, axisTick: { show: false },
    axisLabel: { color: look.ink, fontSize: 12, lineHeight: 14, interval: 0, formatter: (at) => names[at] ?? "", ...label },
  };
}

const thinned = (look) => ({ interval: "auto", hideOverlap: true, color: look.soft });

function valueAxis(name, look, options = {}) {
  return {
    type: "value", name, nameLocation: "middle", nameGap: 26, nameTextStyle: { color: look.soft, fontSize: 12 }, minInterval: 1,
    splitNumber: Math.max(2, Math.min(6, Math.round(look.width / 150))), splitLine: { lineStyle: { color: look.line } },
    axisLabel: { color: look.soft, fontSize: 12, hideOverlap: true, formatter: short }, ...options,
  };
}

function fill(look, color, hatch) {
  const ink = color === "purple" || color === "red" || color === "one" ? look.box : look.hatch;
  return { color: look[color] ?? look.three, decal: { ...HATCHES[hatch], color: ink }, borderColor: look.ink, borderWidth: 0.6 };
}

const colorFill = (look, color) => fill(look, color, HATCH_OF_COLOR[color] ?? "falling");

/** Marks of withheld numbers, which have no length. */
const diamonds = (look) => ({ type: "scatter", silent: true, symbol: "diamond", z: 5, itemStyle: { opacity: 1, color: look.box, borderColor: look.ink, borderWidth: 1.2, decal: HATCHES.plain } });

/**
 * Bars, lying or upright: one for each row and each of `series` ({ name, column, style }), or one a row if `stacked`.
 * `label(row)` names a row; `end(row, column)` is written at the end of a bar, `total(row, sum)` at that of a stack. Series
 * of the same name share an entry of the legend.
 */
function bars(table, look, {
  rows: all = table.rows, series, label, unit, tip = table.describe, stacked = false, upright = false, end = table.show, total = (_, sum) => number(sum),
  axis, of = "", most = ROWS_MAX, lines = 3,
}) {
  if (all.length === 0) return null;
  const columns = series.map((each) => each.column);
  const isHidden = (row) => columns.some((column) => isWithheld(row[column]));
  if (all.some(isHidden) && all.every((row) => sumOf(row, columns) === 0)) return "allWithheld";
  const entries = [...new Set(series.map((each) => each.name))];
  if (all.some(isHidden)) entries.push({ name: say("withheld"), icon: "diamond", itemStyle: { color: look.box, borderColor: look.ink, borderWidth: 1.2, decal: HATCHES.plain } });
  const key = entries.length > 1 || stacked ? legend(entries, look) : { height: 4 };
  const nameRoom = Math.min(320, look.width * 0.36);
  const names = all.slice(0, upright ? DAYS_MAX : most).map((row) => (upright ? label(row) : wrap(label(row), nameRoom, look, lines)));
  const highest = Math.max(...names.map((name) => name.split("\n").length));
  const linesOfEnd = stacked ? Math.max(...all.slice(0, most).map((row) => total(row, sumOf(row, columns)).split("\n").length)) : 1;
  const pitch = Math.max(stacked || series.length === 1 ? 31 : 18 + 14 * series.length, 14 * highest + 10, 14 * linesOfEnd + 4);
  const fits = look.paper && !upright ? Math.floor((PAPER.height - key.height - 60) / pitch) : all.length;
  const rows = all.slice(0, Math.min(names.length, fits));
  const endOfStack = (row) => {
    const sum = sumOf(row, columns);
    const withheld = withheldOf(columns.map((column) => row[column]));
    return [...(sum > 0 || !withheld ? [total(row, sum)] : []), ...(withheld ? [withheld] : [])].join(" + ");
  };
  const endOfBar = (row, column) => (isWithheld(row[column]) ? `◇ ${row[column]}` : end(row, column));
  const words = rows.flatMap((row) => (stacked ? [endOfStack(row)] : columns.map((column) => endOfBar(row, column))));
  const room = Math.max(...words.flatMap((each) => each.split("\n")).map((each) => widthOf(each, look, 11))) + 16;
  const crowded = upright && rows.length * room * (stacked ? 1 : columns.length) > look.width - 60;
  const turned = crowded && rows.length <= 10 ? { rotate: 90, align: "left", verticalAlign: "middle" } : {};
  const isMarked = !crowded || "rotate" in turned;
  const ends = { show: isMarked, position: upright ? "top" : "right", distance: 5, color: look.ink, fontSize: 11, ...turned };
  const drawn = series.map(({ name, column, style }) => ({
    type: "bar", name, itemStyle: style, stack: stacked ? "all" : undefined, data: rows.map((row) => amount(row[column])),
    barMaxWidth: upright ? 44 : stacked || series.length === 1 ? 18 : 13, barGap: "10%",
    label: { ...ends, show: !stacked && isMarked, formatter: (at) => endOfBar(rows[at.dataIndex], column) },
  }));
  drawn.push({
    ...diamonds(look), name: say("withheld"), label: { ...ends, formatter: (at) => endOfStack(rows[at.dataIndex]) },
    data: stacked ? rows.map((row, at) => ({ value: upright ? [at, sumOf(row, columns)] : [sumOf(row, columns), at], symbolSize: isHidden(row) ? 9 : 0 })) : [],
  });
  // A tick for every 120 pixels that the bars have, so that each has its number.
  const left = look.width - room - Math.max(...names.flatMap((name) => name.split("\n")).map((name) => widthOf(name, look)));
  const values = valueAxis(unit, look, { ...(upright ? {} : { splitNumber: Math.max(1, Math.min(6, Math.round(left / 120))) }), ...axis });
  const nameOf = { name: of, nameLocation: "middle", nameGap: 26, nameTextStyle: { color: look.soft, fontSize: 12 } };
  const few = upright && names.length <= 10 ? { interval: 0, rotate: look.narrow ? 45 : 0 } : thinned(look);
  const shown = names.slice(0, rows.length);
  const nameAxisOf = upright ? { ...nameAxis(shown, look, { ...few, color: look.soft }), ...nameOf } : { ...nameAxis(shown, look), inverse: true };
  const isLong = !upright && rows.length > 15;
  const high = upright && "rotate" in turned ? room + 8 : 18;
  return {
    height: key.height + (upright ? 250 + high + (of ? 20 : 0) : rows.length * pitch + 50), drawn: rows.length, all: all.length,
    option: {
      ...frame(look, (at) => tip(rows[at.dataIndex]), upright ? "axis" : "item"),
      legend: key.option,
      grid: { left: 4, right: upright ? 10 : room, top: key.height + (upright ? high : 2), bottom: 4, outerBoundsMode: "same" },
      xAxis: upright ? nameAxisOf : { ...values, position: isLong ? "top" : "bottom" },
      yAxis: upright ? values : nameAxisOf,
      series: drawn,
    },
  };
}

// ---- the charts: what ECharts draws and how high, or null where there is nothing to draw ----

function colorFlow(table, look) {
  const { healthy, severity } = report.scheme;
  const order = [...severity.filter((name) => name !== healthy), healthy];
  const stays = (row) => row.color_before === healthy && row.color_after === healthy;
  const rows = table.rows.filter((row) => !stays(row) && (amount(row.persons) > 0 || isWithheld(row.persons)));
  if (rows.length === 0) return null;
  if (rows.every((row) => isWithheld(row.persons))) return "allWithheld";
  const least = Math.max(1, sumOf({ ...rows.map((row) => row.persons) }, Object.keys(rows)) * 0.012);
  const side = (column, depth, position) => {
    const names = [...new Set(rows.map((row) => row[column]))].sort((a, b) => order.indexOf(a) - order.indexOf(b));
    return names.map((name) => {
      const cells = rows.filter((row) => row[column] === name).map((row) => row.persons);
      const sum = cells.reduce((total, cell) => total + amount(cell), 0);
      const withheld = withheldOf(cells);
      const count = [...(sum > 0 ? [number(sum)] : []), ...(withheld ? [withheld] : [])].join(" + ");
      return { name: `${column}:${name}`, depth, itemStyle: colorFill(look, name), about: `${colorName(name)}: ${count}`, label: { position, formatter: `${colorName(name)}\n${count.replaceAll(" + ", "\n+ ")}` } };
    });
  };
  const [left, right] = [side("color_before", 0, "left"), side("color_after", 1, "right")];
  const links = rows.map((row) => ({
    source: `color_before:${row.color_before}`, target: `color_after:${row.color_after}`, value: Math.max(amount(row.persons), least),
    about: table.describe(row), lineStyle: { color: look[row.color_after] ?? look.three, opacity: 0.45 },
  }));
  const kept = table.rows.find(stays);
  const head = (words, edge) => ({ text: words, [edge]: 0, top: 0, padding: 0, textStyle: { color: look.soft, fontSize: 12, fontWeight: 400 } });
  const margin = look.narrow ? 84 : 110;
  return {
    height: 50 + Math.max(left.length, right.length) * 64,
    extra: kept ? say("stayed", { n: table.show(kept, "persons"), color: colorName(healthy) }) : "",
    option: {
      ...frame(look, (at) => at.data.about),
      title: report.comparison
        ? [head(table.title("color_before"), "left"), head(table.title("color_after"), "right")]
        : [head(report.before ?? say("before"), "left"), head(say("tonight", { date: report.date }), "right")],
      series: [{
        type: "sankey", left: margin, right: margin, top: 44, bottom: 26, nodeWidth: 16, nodeGap: 36, layoutIterations: 0, draggable: false,
        emphasis: { focus: "adjacency" }, label: { color: look.ink, fontSize: 12, lineHeight: 15 }, data: [...left, ...right], links,
      }],
    },
  };
}

function changesByRule(table, look) {
  const colors = [...new Set(table.rows.map((row) => row.color_after))];
  return bars(table, look, {
    rows: table.rows.map((row) => ({ ...row, [`to ${row.color_after}`]: row.persons })), stacked: true, unit: say("persons"),
    label: (row) => (row.rule_id === null ? say("noRule") : `${row.rule_id} · ${table.show(row, "basis")}`), lines: 5,
    series: colors.map((name) => ({ name: `→ ${colorName(name)}`, column: `to ${name}`, style: colorFill(look, name) })),
  });
}

function coverage(table, look) {
  return bars(table, look, {
    unit: say("share"), axis: { max: 100, interval: 25 }, label: (row) => table.show(row, "region_id"),
    series: [{ name: table.title("share"), column: "share", style: fill(look, "one", "plain") }],
  });
}

function epidemicCurve(table, look) {
  const rows = table.rows.slice(-DAYS_MAX);
  if (rows.length === 0) return null;
  const statuses = { confirmed: fill(look, "one", "plain"), asymptomatic: fill(look, "two", "rising"), suspected: fill(look, "three", "dots") };
  const kinds = ["onset", "report"];
  const columns = (kind) => Object.keys(statuses).map((status) => `${kind}_${status}`);
  const hidden = (row, kind) => columns(kind).some((column) => isWithheld(row[column]));
  const withheld = say("withheld");
  const all = kinds.flatMap(columns);
  if (rows.some((row) => kinds.some((kind) => hidden(row, kind))) && rows.every((row) => sumOf(row, all) === 0)) return "allWithheld";
  const key = legend([
    ...Object.keys(statuses).map((status) => say(status)),
    { name: say("mean"), itemStyle: { opacity: 0 } },
    ...(rows.some((row) => row.incomplete) ? [say("incomplete")] : []),
    ...(rows.some((row) => kinds.some((kind) => hidden(row, kind))) ? [{ name: withheld, icon: "diamond" }] : []),
  ], look);
  const panel = look.narrow ? 170 : 190;
  const tops = [key.height + 32, key.height + 32 + panel + 68];
  // The incomplete days stand behind, on axes of their own: bars that share an axis share its width.
  const series = kinds.flatMap((kind, at) => {
    const place = { xAxisIndex: at, yAxisIndex: at };
    const means = rows.map((row) => (typeof row[`${kind}_mean_7`] === "number" ? row[`${kind}_mean_7`] : null));
    return [
      {
        type: "bar", name: say("incomplete"), xAxisIndex: at + 2, yAxisIndex: at + 2, barWidth: "100%", silent: true, z: 0,
        itemStyle: { color: look.line, decal: { ...HATCHES.falling, color: look.soft }, opacity: 0.6 }, data: rows.map((row) => (row.incomplete && kind === "onset" ? 1 : 0)),
      },
      ...Object.entries(statuses).map(([status, itemStyle]) => ({
        ...place, type: "bar", name: say(status), stack: kind, barCategoryGap: "14%", barMaxWidth: 28, itemStyle,
        data: rows.map((row) => amount(row[`${kind}_${status}`])),
      })),
      {
        ...place, type: "line", name: say("mean"), symbol: "none", z: 4, color: look.ink, lineStyle: { color: look.ink, width: 2 },
        data: means,
      },
      // Light around the line, so that it is seen on any bar.
      { ...place, type: "line", symbol: "none", z: 3, silent: true, lineStyle: { color: look.box, width: 5, opacity: 0.8 }, data: means },
      {
        ...diamonds(look), ...place, name: withheld, symbolSize: look.narrow ? 5 : 8,
        data: rows.map((row) => (hidden(row, kind) ? sumOf(row, columns(kind)) : null)),
        label: { show: true, position: "top", distance: 3, color: look.ink, fontSize: 10, formatter: (of) => withheldOf(columns(kind).map((column) => rows[of.dataIndex][column])) }, labelLayout: { hideOverlap: true },
      },
    ];
  });
  const days = nameAxis(rows.map((row) => row.date.slice(5)), look, thinned(look));
  return {
    height: tops[1] + panel + 30,
    option: {
      ...frame(look, (at) => table.describe(rows[at.dataIndex]), "axis"),
      axisPointer: { link: [{ xAxisIndex: [0, 1] }] },
      legend: key.option,
      title: kinds.map((kind, at) => ({ text: say(kind), left: 0, top: tops[at] - 28, padding: 0, textStyle: { color: look.ink, fontSize: 13, fontWeight: 600 } })),
      grid: tops.map((top) => ({ left: 40, right: 8, top, height: panel, outerBoundsMode: "none" })),
      xAxis: [0, 1, 2, 3].map((at) => ({ ...days, gridIndex: at % 2, show: at < 2, axisPointer: { show: at < 2 } })),
      yAxis: [0, 1, 2, 3].map((at) => (at < 2 ? valueAxis("", look, { gridIndex: at, splitNumber: 4 }) : { type: "value", gridIndex: at - 2, min: 0, max: 1, show: false })),
      series,
    },
  };
}

/** Cases in the order of a tree: each followed by those it infected, the earliest first. */
function treeOrder(rows) {
  const known = new Set(rows.map((row) => row.case));
  const children = new Map();
  for (const row of rows) {
    const parent = known.has(row.infector) ? row.infector : null;
    children.set(parent, [...(children.get(parent) ?? []), row]);
  }
  const ordered = new Set();
  const visit = (row) => {
    if (ordered.has(row)) return;
    ordered.add(row);
    (children.get(row.case) ?? []).forEach(visit);
  };
  for (const siblings of children.values()) siblings.sort((a, b) => a.day.localeCompare(b.day));
  (children.get(null) ?? []).forEach(visit);
  rows.forEach(visit);
  return [...ordered];
}

function transmission(table, look) {
  const all = treeOrder(table.rows.filter((row) => row.day !== null));
  const rows = all.slice(0, look.paper ? 45 : ROWS_MAX);
  if (rows.length === 0) return null;
  const sorted = rows.map((row) => row.day).sort();
  const days = daysBetween(sorted[0], sorted.at(-1));
  const at = new Map(rows.map((row, index) => [row.case, index]));
  const parent = (row) => rows[at.get(row.infector)];
  const point = (row) => [days.indexOf(row.day), at.get(row.case)];
  // How many of a case's infectors, theirs and so on have the same day: their lines run side by side.
  const lane = (row) => {
    let lanes = 0;
    for (let up = parent(row), steps = 0; up && steps < rows.length; up = parent(up), steps += 1) lanes += up.day === row.day ? 1 : 0;
    return lanes;
  };
  const links = rows.filter(parent);
  const size = look.narrow ? 8 : 10;
  const arrow = (params, api) => {
    const row = links[params.dataIndex];
    const [x0, y0] = api.coord(point(parent(row)));
    const [x1, y1] = api.coord(point(row));
    const bend = x0 + size / 2 + 3 + Math.min(lane(parent(row)), 4) * 3;
    const way = Math.sign(x1 - bend) || -1;
    const tip = x1 - way * (size / 2);
    const bad = row.plausible === 0;
    const color = bad ? look.red : look.soft;
    const line = { type: "polyline", shape: { points: [[x0, y0], [bend, y0], [bend, y1], [tip, y1]] }, style: { stroke: color, fill: "none", lineWidth: bad ? 1.8 : 1.2, lineDash: bad ? [5, 3] : null } };
    const head = { type: "polygon", shape: { points: [[tip, y1], [tip - way * 6, y1 - 3.5], [tip - way * 6, y1 + 3.5]] }, style: { fill: color } };
    const mark = { type: "text", style: { text: "!", x: Math.max(bend, x1 + size / 2) + 7, y: y1, fill: look.red, font: `bold 14px ${look.font}`, align: "center", verticalAlign: "middle" } };
    return { type: "group", children: bad ? [line, head, mark] : [line, head] };
  };
  const dot = (row) => ({
    value: point(row), symbol: parent(row) ? "circle" : "diamond", symbolSize: parent(row) ? size : size + 4,
    itemStyle: { color: parent(row) ? look.one : look.two, borderColor: look.ink, borderWidth: 1, opacity: 1, decal: HATCHES.plain },
  });
  const line = (key, color, type) => ({ name: say(key), itemStyle: { opacity: 0 }, lineStyle: { color, type, width: 2 } });
  const shape = (key, icon, color) => ({ name: say(key), icon, itemStyle: { color, borderColor: look.ink, borderWidth: 1, decal: HATCHES.plain } });
  const entries = [shape("root", "diamond", look.two), shape("infected", "circle", look.one), line("plausible", look.soft, "solid"), line("implausible", look.red, "dashed")];
  const key = legend(entries, look);
  const pitch = look.paper ? Math.min(20, PAPER.height / rows.length) : 22;
  return {
    height: key.height + rows.length * pitch + 40, drawn: rows.length, all: all.length,
    option: {
      ...frame(look, (over) => table.describe((over.seriesName === "links" ? links : rows)[over.dataIndex])),
      legend: key.option,
      grid: { left: 4, right: 20, top: key.height + 4, bottom: 4, outerBoundsMode: "same" },
      xAxis: { ...nameAxis(days.map((day) => day.slice(5)), look, thinned(look)), position: "top", splitLine: { show: true, lineStyle: { color: look.line } } },
      yAxis: {
        ...nameAxis(rows.map((row) => withoutMiddle(table.show(row, "case"), look.narrow ? 11 : 22)), look, { fontSize: 11 }),
        inverse: true, axisLine: { show: false }, splitLine: { show: true, lineStyle: { color: look.line, opacity: 0.5 } },
      },
      series: [
        { type: "custom", name: "links", renderItem: arrow, data: links.map(point), z: 2 },
        { type: "scatter", name: "cases", data: rows.map(dot), z: 3 },
        ...entries.map(({ name }) => ({ type: "line", name, data: [] })),
      ],
    },
  };
}

function delays(table, look) {
  return bars(table, look, {
    unit: say("days"), label: (row) => `${table.show(row, "measure")}\n(n = ${table.show(row, "persons")})`, lines: 5,
    series: [
      { name: table.title("median"), column: "median", style: fill(look, "one", "plain") },
      { name: table.title("p90"), column: "p90", style: fill(look, "two", "rising") },
    ],
  });
}

function minutes(table, look, label) {
  return bars(table, look, {
    stacked: true, unit: say("minutes"), label,
    total: (row, sum) => [number(sum), `= ${table.show(row, "observed_minutes")}`, `+ ${table.show(row, "inferred_minutes")}`].join(look.narrow ? "\n" : " "),
    series: [
      { name: table.title("observed_minutes"), column: "observed_minutes", style: fill(look, "one", "plain") },
      { name: table.title("inferred_minutes"), column: "inferred_minutes", style: fill(look, "two", "rising") },
    ],
  });
}

const rings = (table, look) => minutes(table, look, (row) => say("ring", { n: table.show(row, "ring"), persons: table.show(row, "persons") }));
const observed = (table, look) => minutes(table, look, (row) => table.show(row, "category"));

function contactsPerCase(table, look) {
  return bars(table, look, {
    upright: true, unit: say("cases"), of: say("perCase"), label: (row) => table.show(row, "contacts"),
    series: [
      { name: table.title("cases_ring_1"), column: "cases_ring_1", style: fill(look, "one", "plain") },
      { name: table.title("cases_ring_2"), column: "cases_ring_2", style: fill(look, "two", "rising") },
    ],
  });
}

function contactsByKind(table, look) {
  return bars(table, look, { unit: say("contacts"), label: (row) => table.show(row, "category"), series: [{ name: table.title("contacts"), column: "contacts", style: fill(look, "one", "plain") }] });
}

function hotSpots(table, look) {
  const chance = (row) => (typeof row.ratio === "number" ? ` (×${table.show(row, "ratio")}, p = ${table.show(row, "p_value")})` : "");
  return bars(table, look, {
    unit: say("cases"), most: SPOTS_MAX, label: (row) => table.show(row, row.name === null ? "venue" : "name"),
    end: (row, column) => table.show(row, column) + (column === "cases" ? chance(row) : ""),
    series: [
      { name: table.title("cases"), column: "cases", style: fill(look, "one", "plain") },
      { name: table.title("expected_cases"), column: "expected_cases", style: fill(look, "two", "rising") },
    ],
  });
}

/** Up to as many steps as there are shades, between round numbers, from the least to the most of some counts. */
function stepsOf(counts, shades) {
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  const round = [1, 10, 100, 1e3, 1e4, 1e5, 1e6].flatMap((ten) => [ten, 2 * ten, 5 * ten]).filter((n) => n <= most);
  const starts = round.slice(Math.max(0, round.findLastIndex((n) => n <= least))).slice(-shades.length);
  starts[0] = Math.min(starts[0], least);
  return starts.map((min, at) => {
    const last = at === starts.length - 1;
    const max = last ? most : starts[at + 1] - 1;
    return { min, max, color: shades[shades.length - starts.length + at], label: last && most > min ? `${number(min)}+` : min === max ? number(min) : `${number(min)}–${number(max)}` };
  });
}

function venueHours(table, look) {
  if (table.rows.length === 0) return null;
  const spots = tables.has("hot_spots") ? read(tables.get("hot_spots")).rows : [];
  const names = new Map(spots.map((row) => [row.venue, row.name]));
  const all = [...new Set(table.rows.map((row) => row.venue))];
  const venues = all.slice(0, look.paper ? 28 : 40);
  const rows = table.rows.filter((row) => venues.includes(row.venue));
  const dates = rows.map((row) => row.slot.slice(0, 10)).sort();
  const hours = ["00:00", "06:00", "12:00", "18:00"];
  const slots = daysBetween(dates[0], dates.at(-1)).flatMap((day) => hours.map((hour) => `${day} ${hour}`));
  const place = (row) => [slots.indexOf(row.slot), venues.indexOf(row.venue)];
  const [shown, withheld] = [rows.filter((row) => !isWithheld(row.persons)), rows.filter((row) => isWithheld(row.persons))];
  const room = Math.min(260, look.width * 0.3);
  const days = Math.ceil(slots.length / hours.length);
  const every = Math.ceil((44 * days) / (look.width - room - 24)) * hours.length;
  const onDay = (step) => (at) => at % step === 0;
  const steps = stepsOf(shown.length > 0 ? shown.map((row) => amount(row.persons)) : [1], look.heat);
  const inkOf = (count) => look.heatInk[look.heat.indexOf(steps.find((step) => count >= step.min && count <= step.max)?.color)] ?? look.ink;
  const cell = (look.width - room - 24) / slots.length;
  const inCell = { show: cell >= 20, position: "inside", fontSize: cell >= 28 ? 11 : 9 };
  return {
    height: venues.length * 32 + 76, drawn: venues.length, all: all.length,
    option: {
      ...frame(look, (at) => table.describe((at.seriesType === "heatmap" ? shown : withheld)[at.dataIndex])),
      grid: { left: 4, right: 14, top: 4, bottom: 40, outerBoundsMode: "same" },
      xAxis: {
        ...nameAxis(slots, look, { color: look.soft, interval: (at) => at % every === 2, formatter: (at) => slots[at].slice(5, 10) }),
        position: "top", splitLine: { show: true, interval: onDay(hours.length), lineStyle: { color: look.soft, opacity: 0.6 } }, z: 3,
      },
      yAxis: { ...nameAxis(venues.map((venue) => wrap(visible(String(names.get(venue) ?? venue)), room, look)), look), inverse: true, splitLine: { show: true, lineStyle: { color: look.line } }, z: 3 },
      visualMap: {
        type: "piecewise", seriesIndex: 0, dimension: 2, pieces: steps, orient: "horizontal", left: "center", bottom: 0, itemWidth: 16, itemHeight: 12, itemGap: 8,
        selectedMode: false, hoverLink: false, textStyle: { color: look.ink, fontSize: look.narrow ? 11 : 12 },
      },
      series: [
        {
          type: "heatmap", data: shown.map((row) => ({ value: [...place(row), amount(row.persons)], label: { ...inCell, color: inkOf(amount(row.persons)), formatter: table.show(row, "persons") } })),
          itemStyle: { borderWidth: 0, decal: HATCHES.plain },
        },
        {
          ...diamonds(look), silent: false, symbolSize: inCell.show ? 0 : Math.max(4, Math.min(7, cell)), data: withheld.map(place),
          label: { ...inCell, color: look.ink, formatter: (at) => String(withheld[at.dataIndex].persons) },
        },
      ],
    },
  };
}

function districts(table, look) {
  const { healthy, severity } = report.scheme;
  return bars(table, look, {
    stacked: true, unit: say("persons"), label: (row) => table.show(row, "region_id"),
    series: severity.filter((name) => name !== healthy && table.has(name)).map((name) => ({ name: colorName(name), column: name, style: colorFill(look, name) })),
  });
}

function releases(whole, look) {
  const table = { ...whole, rows: whole.rows.filter((row) => row.date !== null) };
  if (table.rows.length === 0) return null;
  const { healthy, severity } = report.scheme;
  const change = (row) => `${row.color_before} ${row.color_after}`;
  const named = (row) => `${colorName(row.color_before)} → ${colorName(row.color_after)}`;
  const dates = table.rows.map((row) => row.date).sort();
  const rows = daysBetween(dates[0], dates.at(-1)).map((date) => {
    const those = table.rows.filter((row) => row.date === date);
    return { date, those, ...Object.fromEntries(those.map((row) => [change(row), row.persons])) };
  });
  const chart = bars(table, look, {
    rows, stacked: true, upright: true, unit: say("persons"), label: (row) => row.date.slice(5),
    tip: (row) => [row.date, ...(row.those ?? []).map((each) => `${named(each)}: ${table.show(each, "persons")}`)].join("\n"),
    series: [...new Map([...table.rows].sort((a, b) => severity.indexOf(a.color_before) - severity.indexOf(b.color_before)).map((row) => [change(row), row]))].map(([column, row]) => ({ name: named(row), column, style: { ...fill(look, row.color_before, row.color_after === healthy ? "plain" : "falling"), opacity: row.color_after === healthy ? 1 : 0.45 } })),
  });
  return typeof chart === "object" && table.rows.length < whole.rows.length ? { ...chart, extra: say("dayless") } : chart;
}

/** A group of bars a threshold; columns are rings or colors. */
function sweep(table, look) {
  const { severity } = report.scheme;
  const columns = table.names.slice(1);
  const fills = [["one", "plain"], ["two", "rising"], ["three", "dots"]];
  return bars(table, look, {
    unit: say("persons"), label: (row) => table.show(row, "min_overlap"),
    series: columns.map((column, at) => ({
      name: table.title(column), column, style: severity.includes(column) ? colorFill(look, column) : fill(look, ...fills[at % fills.length]),
    })),
  });
}

const CHARTS = {
  color_flow: colorFlow, changes_by_rule: changesByRule, coverage, epidemic_curve: epidemicCurve, transmission, delays, rings,
  contacts_per_case: contactsPerCase, hot_spots: hotSpots, contacts_by_kind: contactsByKind, venue_hours: venueHours, observed, districts, releases, sweep,
};

// ---- the page ----

const darkScheme = window.matchMedia("(prefers-color-scheme: dark)");

function lookOf(box) {
  const width = printing ? PAPER.width : box.clientWidth;
  return { ...(darkScheme.matches && !printing ? DARK : LIGHT), width, narrow: width < 500, paper: printing, font: getComputedStyle(document.body).fontFamily };
}

/** A sentence in both languages in place of a chart. */
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
  box.removeAttribute("role");
  box.removeAttribute("aria-label");
  delete box.dataset.drawn;
}

function draw(box) {
  echarts.getInstanceByDom(box)?.dispose();
  box.style.width = printing ? `${PAPER.width}px` : "";
  box.style.height = "";
  const table = tables.get(box.dataset.table);
  const look = lookOf(box);
  const chart = CHARTS[box.dataset.chart](read(table), look);
  if (chart === null) return sentence(box, WORDS.nothing);
  if (typeof chart === "string") return sentence(box, WORDS[chart]);
  const height = Math.round(chart.height);
  box.replaceChildren();
  box.style.height = `${height}px`;
  const note = box.nextElementSibling;
  const cut = chart.drawn < chart.all ? say("cut", { n: chart.drawn, all: chart.all }) : "";
  note.querySelector(".extra").textContent = [chart.extra ?? "", cut].join(" ").trim();
  box.setAttribute("role", "img");
  box.setAttribute("aria-label", `${t(table.title)}. ${note.innerText.trim()}`);
  const devicePixelRatio = printing ? 3 : Math.max(2, window.devicePixelRatio);
  const instance = echarts.init(box, null, { renderer: "canvas", devicePixelRatio, width: look.width, height });
  instance.setOption(chart.option);
  instance.getZr().flush();
  if (printing) photograph(box);
  box.dataset.drawn = "true";
}

/** Replaces a chart by one picture of it: of a chart in layers, or of hatches, Chromium prints only a part. */
function photograph(box) {
  const chart = echarts.getInstanceByDom(box);
  const drawn = chart.getRenderedCanvas({ pixelRatio: 3, backgroundColor: "#ffffff" });
  const picture = document.createElement("canvas");
  [picture.width, picture.height] = [drawn.width, drawn.height];
  picture.style.width = `${chart.getWidth()}px`;
  picture.style.height = `${chart.getHeight()}px`;
  picture.getContext("2d").drawImage(drawn, 0, 0);
  chart.dispose();
  box.replaceChildren(picture);
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
  document.title = chosen === "zh" ? root.dataset.titleZh : root.dataset.titleEn;
  for (const button of document.querySelectorAll("[data-language]")) button.setAttribute("aria-pressed", String(button.dataset.language === chosen));
  drawAll();
  markWide();
}

function print(on) {
  if (printing === on) return;
  printing = on;
  drawAll();
}

/** Marks the tables that are wider than the page. */
function markWide() {
  for (const box of document.querySelectorAll(".scroll")) box.classList.toggle("overflows", box.scrollWidth > box.clientWidth + 1);
}

function start() {
  document.documentElement.classList.add("scripted");
  document.querySelector(".languages").hidden = false;
  for (const details of document.querySelectorAll("details")) {
    details.open = false;
    details.addEventListener("toggle", markWide);
  }
  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => {
      history.replaceState(null, "", `#${button.dataset.language}`);
      speak(button.dataset.language);
    });
  }
  // The hash keeps the language, so links to sections scroll without it.
  for (const link of document.querySelectorAll("nav a")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const target = document.getElementById(link.hash.slice(1));
      target.scrollIntoView();
      target.focus({ preventScroll: true });
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
      markWide();
    }, 150);
  });
  speak(fromHash() ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en"));
}

start();
