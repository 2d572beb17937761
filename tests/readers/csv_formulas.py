"""Opens CSV files in LibreOffice and looks for formulas: python3 csv_formulas.py FILE... Needs soffice (libreoffice-calc).

Each file is opened twice, as a double click opens it and with formulas evaluated; no cell may become a formula. Opened
with all columns as text, every cell must come back as it stands in the file. Signs that only other spreadsheets take for
the start of a formula are looked for in the file itself.
"""
import csv
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml

TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
# What the format compared with cannot hold.
NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
SIGN = re.compile(r"\s*[=+\-@＝＋－＠|%]|[\t\r]")
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
# Separator comma, quote, UTF-8, from line 1, columns, language, quoted cells as text, special numbers, … formulas.
PLAIN = "CSV:44,34,76,1,,0,false,true,false"
EVALUATED = "CSV:44,34,76,1,,0,false,true,false,false,false,-1,true"


def literal(node):
    """The text of a cell; LibreOffice writes runs of spaces and tabs as elements."""
    text = node.text or ""
    for child in node:
        text += {TEXT + "s": " " * int(child.get(TEXT + "c", 1)), TEXT + "tab": "\t", TEXT + "line-break": "\n"}.get(child.tag) \
            or literal(child)
        text += child.tail or ""
    return text


def opened(path, infilter, folder):
    subprocess.run(["soffice", f"-env:UserInstallation=file://{folder}/profile", "--headless", f"--infilter={infilter}",
                    "--convert-to", "fods", "--outdir", folder, str(path)], check=True, capture_output=True, timeout=300)
    tree = xml.parse(pathlib.Path(folder) / (path.stem + ".fods"))
    for row in tree.iter(TABLE + "table-row"):
        cells = []
        for cell in row.iter(TABLE + "table-cell"):
            text = "\n".join(literal(p) for p in cell.findall(TEXT + "p"))
            repeat = int(cell.get(TABLE + "number-columns-repeated", 1))
            cells += [(text, cell.get(TABLE + "formula"), cell.get(OFFICE + "value-type"))] * (repeat if repeat < 1000 else 0)
        yield from [cells] * min(int(row.get(TABLE + "number-rows-repeated", 1)), 1 if any(c[0] for c in cells) else 0)


def main():
    for path in map(pathlib.Path, sys.argv[1:] or sys.exit(__doc__)):
        rows = list(csv.reader(open(path, newline="", encoding="utf-8-sig")))
        for number, row in enumerate(rows, 1):
            for text in row:
                if SIGN.match(text) and not NUMBER.fullmatch(text):
                    sys.exit(f"csv_formulas: {path}, row {number}: would start a formula: {text!r}")
        as_text = f"CSV:44,34,76,1,{'/'.join(f'{i}/2' for i in range(1, len(rows[0]) + 1))},0,false,false,false"
        with tempfile.TemporaryDirectory() as folder:
            for infilter in (PLAIN, EVALUATED):
                for number, row in enumerate(opened(path, infilter, folder), 1):
                    for text, formula, _ in row:
                        if formula or text in ("#NAME?", "#VALUE!", "#REF!"):
                            sys.exit(f"csv_formulas: {path}, row {number}: a formula: {formula or text}")
            cells = 0
            for number, (want, got) in enumerate(zip(rows, opened(path, as_text, folder), strict=True), 1):
                got = [text for text, _, _ in got] + [""] * len(want)
                for a, b in zip(want, got):
                    cells += 1
                    # The format has no carriage return in a text either: it becomes a line break.
                    a = NO_XML.sub("", a).replace("\r\n", "\n").replace("\r", "\n")
                    if b not in (a, a.removeprefix("'")):
                        sys.exit(f"csv_formulas: {path}, row {number}: {a!r} came back as {b!r}")
        print(f"ok: {path}: {len(rows)} rows, {cells} cells")


main()
