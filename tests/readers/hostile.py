"""Writes a night's input full of ids and names that would do harm if they were taken for anything but text:
python3 hostile.py DIR; then ringtrace run --config DIR/night.toml --date 2022-03-03."""
import csv
import pathlib
import sys

STARTS = ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", " =", "\ufeff=", "'", "|", "%", '"', ";="]
RESTS = ["1+1", "cmd|' /C calc'!A0", 'HYPERLINK("http://x")', "SUM(A1:A9)*cmd", "2+5+cmd|'/C calc'!A0", "A1"]
MARKUP = ["</script><script>window.__hacked=1</script>", '<img src=x onerror="window.__hacked=2">', "{{7*7}}", "<b>&amp;</b>",
          "]]>", "<!--", "javascript:window.__hacked=3", "\u202eabc", "bell\x07", "张三"]
NAMES = [start + rest for start in STARTS for rest in RESTS] + MARKUP


def write(path, header, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) == 2 else sys.exit(__doc__))
    folder.mkdir(parents=True, exist_ok=True)
    visits = [("case", "v0", "2022-03-01 00:00", "2022-03-01 11:00"), ("case", NAMES[0], "2022-03-02 00:00", "2022-03-02 11:00")]
    for number, name in enumerate(NAMES):
        visits.append((name, "v0", f"2022-03-01 {number % 10:02}:00", f"2022-03-01 {number % 10:02}:40"))
        visits.append((f"p{number}", NAMES[0] if number % 2 else name, "2022-03-02 02:00", "2022-03-02 03:00"))
        visits.append(("case", name, "2022-03-02 13:00", "2022-03-02 13:20") if number == 7 else (f"q{number}", name, "2022-03-03 01:00", "2022-03-03 02:00"))
    write(folder / "visits.csv", ["person_id", "venue_id", "arrived_at", "left_at"], visits)
    venues = [("v0", MARKUP[0], MARKUP[1], MARKUP[0])] + [(name, name, name, name) for name in NAMES]
    write(folder / "venues.csv", ["venue_id", "category", "region_id", "name"], venues)
    cases = [("case", "confirmed", "2022-03-01 08:00", "2022-03-02 08:00"), (NAMES[3], "confirmed", "2022-03-03 08:00", "2022-03-03 09:00")]
    write(folder / "cases.csv", ["person_id", "status", "onset_at", "reported_at"], cases)
    write(folder / "residences.csv", ["person_id", "region_id"], [(name, name) for name in NAMES])
    tables = "".join(f'[{name}]\npaths = ["{name}.csv"]\n' for name in ("visits", "venues", "cases", "residences"))
    (folder / "night.toml").write_text(f'time_zone = "Asia/Shanghai"\n{tables}', encoding="utf-8")


main()
