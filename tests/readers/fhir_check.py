"""Checks FHIR NDJSON: python3 fhir_check.py FILE... (all files of an export, so that references can be followed).

Each line is read by fhir.resources (R4B, whose Observation, Patient and Location are those of R4), and each Observation
against the profile US Public Health Exposure Contact Information of eCR STU 2.1. Needs fhir.resources 7 or newer.
"""
import json
import sys

from fhir.resources.R4B import get_fhir_model_class

PROFILE = "http://hl7.org/fhir/us/ecr/StructureDefinition/us-ph-exposure-contact-information"
ACT_CLASS = "http://terminology.hl7.org/CodeSystem/v3-ActClass"
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"


def references(value):
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from references(item)


def profile_faults(o):
    """What the profile asks for beyond FHIR itself."""
    codings = [c for category in o.get("category", []) for c in category.get("coding", [])]
    if PROFILE not in o.get("meta", {}).get("profile", []):
        yield "meta.profile"
    if len(o.get("category", [])) != 1 or len(codings) != 1:
        yield "category: exactly one"
    if any(c.get("system") != ACT_CLASS or c.get("code") not in ("AEXPOS", "TEXPOS", "EXPOS") for c in codings):
        yield "category: ActClassExposure"
    if not o.get("subject", {}).get("reference", "").startswith("Patient/"):
        yield "subject: a Patient"
    for focus in o.get("focus", []):
        if focus.get("reference", "").split("/")[0] not in ("Patient", "RelatedPerson", "Group", "Location"):
            yield "focus: Patient, RelatedPerson, Group or Location"
    if o.get("extension"):
        yield "extension: none but the address"
    if any(k.startswith("value") and k not in ("valueString", "valueCodeableConcept") for k in o):
        yield "value: CodeableConcept or string"
    for component in o.get("component", []):
        if [(c.get("system"), c.get("code")) for c in component["code"].get("coding", [])] != [(PARTICIPATION, "EXPAGNT")]:
            yield "component.code: EXPAGNT"
        if not {"valueString", "valueCodeableConcept"} & set(component):
            yield "component.value"


def main():
    seen, wanted, counts = set(), {}, {}
    for path in sys.argv[1:] or sys.exit(__doc__):
        with open(path, encoding="utf-8", newline="\n") as file:
            for number, line in enumerate(file, 1):
                at = f"{path}:{number}"
                resource = json.loads(line)
                kind = resource["resourceType"]
                get_fhir_model_class(kind).model_validate(resource)
                key = f"{kind}/{resource['id']}"
                if key in seen:
                    sys.exit(f"fhir_check: {at}: {key} stands twice")
                seen.add(key)
                counts[kind] = counts.get(kind, 0) + 1
                wanted.update((reference, at) for reference in references(resource))
                if kind == "Observation" and (faults := list(profile_faults(resource))):
                    sys.exit(f"fhir_check: {at}: {'; '.join(faults)}")
    if missing := [f"{at}: {reference}" for reference, at in wanted.items() if reference not in seen]:
        sys.exit(f"fhir_check: no such resource: {missing[0]}")
    print("ok:", ", ".join(f"{n} {kind}" for kind, n in counts.items()))


main()
