"""Reads a SORMAS contact import as its importer does: python3 sormas_check.py FILE [--date %m/%d/%Y] [--separator ,]

Four head lines (entities, columns, two comments); rules and constants of SORMAS 1.104 (ContactImporter, DataImporter,
ContactFacadeEjb.validate, PersonFacadeEjb.validate, opencsv 5.7, whose escape character is the backslash).
"""
import argparse, datetime, sys

ENUMS = {
    "contactProximity": "TOUCHED_FLUID PHYSICAL_CONTACT CLOTHES_OR_OTHER CLOSE_CONTACT FACE_TO_FACE_LONG MEDICAL_UNSAFE SAME_ROOM "
                        "AIRPLANE FACE_TO_FACE_SHORT MEDICAL_SAFE MEDICAL_SAME_ROOM AEROSOL MEDICAL_DISTANT MEDICAL_LIMITED",
    "contactClassification": "UNCONFIRMED CONFIRMED NO_CONTACT", "contactStatus": "ACTIVE CONVERTED DROPPED",
    "contactIdentificationSource": "CASE_PERSON CONTACT_PERSON TRACING_APP OTHER UNKNOWN", "tracingApp": "CORONA_WARN_APP OTHER UNKNOWN",
    "quarantine": "HOME INSTITUTIONELL HOSPITAL HOTEL ASYLUM_ACCOMMODATION NONE UNKNOWN OTHER", "person.sex": "MALE FEMALE OTHER UNKNOWN",
    "disease": "AFP CHOLERA CONGENITAL_RUBELLA CSM DENGUE EVD LASSA MEASLES MONKEYPOX NEW_INFLUENZA PLAGUE POLIO UNSPECIFIED_VHF RABIES "
               "YELLOW_FEVER CORONAVIRUS TUBERCULOSIS PERTUSSIS INFLUENZA_A INFLUENZA_B OTHER UNDEFINED"}
DATES = ["reportDateTime", "firstContactDate", "lastContactDate", "followUpUntil", "quarantineFrom", "quarantineTo"]
BOOLS, LIMITS = ["multiDayContact", "overwriteFollowUpUntil"], {"caseOrEventInformation": 4096, "description": 4096}
TEXTS = ["caseIdExternalSystem", "caseOrEventInformation", "region", "district", "community", "tracingAppDetails", "description",
         "externalID", "externalToken", "person.firstName", "person.lastName", "person.externalId", "person.externalToken"]
REQUIRED = ["disease", "reportDateTime", "person.firstName", "person.lastName"]


def fail(what):
    sys.exit(f"sormas_check: {what}")


def cells(line, separator):
    found, text, quoted, at = [], "", False, 0
    while at < len(line):
        c, after = line[at], line[at + 1:at + 2]
        if c == "\\":                                  # kept only where it is doubled
            if after and after in '\\"' + separator:
                text, at = text + after, at + 1
        elif c == '"' and quoted and after == '"':
            text, at = text + '"', at + 1
        elif c == '"':
            quoted = not quoted
        elif c == separator and not quoted:
            found, text = found + [text], ""
        else:
            text += c
        at += 1
    return fail("a cell with a line break, or a quote left open: " + line[:80]) if quoted else found + [text]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for option in ({"name": "file"}, {"name": "--date", "default": "%m/%d/%Y"}, {"name": "--separator", "default": ","}):
        parser.add_argument(option.pop("name"), **option)
    args = parser.parse_args()
    lines = open(args.file, encoding="utf-8-sig", newline="").read().split("\n")
    entities, columns = (cells(line, args.separator) for line in lines[:2])
    if [line[:2] for line in lines[:4]] != ['"C', '"c', "##", "##"] or lines[-1] != "":
        fail("the head is not entities, columns, two lines that start with ##")
    if len(entities) != len(columns) or len(set(columns)) != len(columns):
        fail("the head lines differ in length, or a column stands twice")
    for entity, column in zip(entities, columns):
        if column not in [*ENUMS, *DATES, *BOOLS, *TEXTS] or entity != ("Person" if column.startswith("person.") else "Contact"):
            fail(f"column {entity} {column}")
    for number, line in enumerate(lines[4:-1], 5):
        row = dict(zip(columns, (c.strip() for c in cells(line, args.separator)), strict=True))
        if line.startswith("##") or any(not row.get(c) for c in REQUIRED):
            fail(f"line {number}: read as a comment, or without one of {REQUIRED}")
        for column, value in row.items():
            allowed = "true false" if column in BOOLS else ENUMS.get(column)
            if value and allowed and value not in allowed.split() or len(value) > LIMITS.get(column, 512):
                fail(f"line {number}: {column} {value}")
            try:
                _ = value and column in DATES and datetime.datetime.strptime(value, args.date)
            except ValueError:
                fail(f"line {number}: {column} {value}")
        for cause, needed in (("overwriteFollowUpUntil", "followUpUntil"), ("multiDayContact", "firstContactDate")):
            if (row.get(cause) == "true") != bool(row.get(needed)):
                fail(f"line {number}: {cause} and {needed} go together")
    print(f"ok: {args.file}: {len(lines) - 5} contacts")


main()
