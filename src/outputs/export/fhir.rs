//! FHIR R4 as NDJSON: the exposed as Patient, the venue as Location, an exposure as an Observation of the profile US Public
//! Health Exposure Contact Information (eCR STU 2.1).
//!
//! Ids of resources are hashes, as FHIR allows few characters in them; the ids of the input are their identifiers.

use serde_json::{Value, json};

use super::Network;
use crate::time;

const PROFILE: &str = "http://hl7.org/fhir/us/ecr/StructureDefinition/us-ph-exposure-contact-information";
const ACT_CLASS: &str = "http://terminology.hl7.org/CodeSystem/v3-ActClass";

/// A resource's id: 32 hexadecimal digits that follow from what it is of.
fn id(kind: &str, parts: &[&str]) -> String {
    let mut hash = blake3::Hasher::new();
    for part in [kind].iter().chain(parts) {
        hash.update(part.as_bytes());
        hash.update(&[0]);
    }
    hash.finalize().to_hex()[..32].to_string()
}

fn lines(values: impl Iterator<Item = Value>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in values {
        bytes.extend(value.to_string().as_bytes());
        bytes.push(b'\n');
    }
    bytes
}

pub(super) fn files(network: &Network) -> Vec<(&'static str, Vec<u8>)> {
    let of_person = |at: usize| id("Patient", &[&network.persons[at].id]);
    let of_venue = |at: usize| id("Location", &[&network.venues[at].id]);
    let patient = |at: usize| {
        json!({"resourceType": "Patient", "id": of_person(at),
            "identifier": [{"system": "urn:x-ringtrace:person_id", "value": network.persons[at].id}]})
    };
    let mut used: Vec<usize> = network.meetings.iter().map(|meeting| meeting.venue).collect();
    used.sort_unstable();
    used.dedup();
    let location = |at: usize| {
        let venue = &network.venues[at];
        let mut location = json!({"resourceType": "Location", "id": of_venue(at), "mode": "instance",
            "identifier": [{"system": "urn:x-ringtrace:venue_id", "value": venue.id}]});
        if let Some(name) = venue.name.as_ref().filter(|name| !name.trim().is_empty()) {
            location["name"] = json!(name);
        }
        if let Some(category) = venue.category.as_ref().filter(|category| !category.trim().is_empty()) {
            location["type"] = json!([{"text": category}]);
        }
        if let Some(region) = venue.region.as_ref().filter(|region| !region.trim().is_empty()) {
            location["address"] = json!({"district": region});
        }
        location
    };
    let observation = |at: usize| {
        let meeting = &network.meetings[at];
        let (from, to) = (&network.persons[meeting.from].id, &network.persons[meeting.to].id);
        let (start, end) = (time::format_utc(meeting.start), time::format_utc(meeting.end));
        let number = at.to_string();
        let about = match &meeting.verdict {
            Some(verdict) => format!("met another case that could infect: {verdict}"),
            None => format!("shared a venue with a source, ring {}", meeting.ring),
        };
        json!({
            "resourceType": "Observation",
            "id": id("Observation", &[from, to, &network.venues[meeting.venue].id, &start, &end, &number]),
            "meta": {"profile": [PROFILE]},
            "status": "final",
            "category": [{"coding": [{"system": ACT_CLASS, "code": "AEXPOS", "display": "acquisition exposure"}]}],
            "code": {"text": about},
            "subject": {"reference": format!("Patient/{}", of_person(meeting.to))},
            "focus": [
                {"reference": format!("Patient/{}", of_person(meeting.from))},
                {"reference": format!("Location/{}", of_venue(meeting.venue))},
            ],
            "effectivePeriod": {"start": start, "end": end},
            "valueString": format!("{} s together, {} s of it observed", meeting.overlap_s, meeting.observed_s),
        })
    };
    vec![
        ("Patient.ndjson", lines((0..network.persons.len()).map(patient))),
        ("Location.ndjson", lines(used.into_iter().map(location))),
        ("Observation.ndjson", lines((0..network.meetings.len()).map(observation))),
    ]
}
