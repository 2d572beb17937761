//! GraphML and GEXF: persons as nodes, who exposed whom as edges.

use std::collections::BTreeMap;
use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::{Meeting, Network, Person, utc};
use crate::error::{Error, Result};
use crate::rings::join_windows;
use crate::time::{Second, format_utc};

type Xml = Writer<Vec<u8>>;

/// An attribute of a node or edge: its name, its type, and the cell, if there is one.
type Cell = (&'static str, &'static str, Option<String>);

fn of_person(person: &Person) -> Vec<Cell> {
    let time = |at: Option<Second>| at.map(format_utc);
    let text = |cell: &Option<String>| cell.clone();
    vec![
        ("person_id", "string", Some(person.id.clone())),
        ("role", "string", Some(person.role().into())),
        ("ring", "int", Some(person.ring.to_string())),
        ("status", "string", text(&person.status)),
        ("onset_at", "string", time(person.onset_at)),
        ("reported_at", "string", time(person.reported_at)),
        ("first_exposed_at", "string", time(person.first_exposed_at)),
        ("color", "string", text(&person.color)),
        ("rule_id", "string", text(&person.rule)),
        ("region_id", "string", text(&person.region)),
    ]
}

fn minutes(seconds: u64) -> String {
    format!("{}.{}", seconds / 60, seconds % 60 * 10 / 60)
}

fn of_meeting(network: &Network, meeting: &Meeting) -> Vec<Cell> {
    let venue = &network.venues[meeting.venue];
    vec![
        // A meeting of under six seconds would weigh nothing.
        ("weight", "double", Some(minutes(meeting.overlap_s.max(6)))),
        ("start", "string", Some(utc(Some(meeting.start)))),
        ("end", "string", Some(utc(Some(meeting.end)))),
        ("ring", "int", Some(meeting.ring.to_string())),
        ("overlap_s", "long", Some(meeting.overlap_s.to_string())),
        ("observed_overlap_s", "long", Some(meeting.observed_s.to_string())),
        ("venue_id", "string", Some(venue.id.clone())),
        ("venue_category", "string", venue.category.clone()),
        ("verdict", "string", meeting.verdict.clone()),
    ]
}

fn failed(e: io::Error) -> Error {
    Error::storage(std::path::Path::new("export"), "writing")(e)
}

/// A document: its declaration and one element.
fn document(root: impl FnOnce(&mut Xml) -> io::Result<()>) -> Result<Vec<u8>> {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 1);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))
        .and_then(|()| root(&mut xml))
        .map_err(failed)?;
    let mut bytes = xml.into_inner();
    bytes.push(b'\n');
    Ok(bytes)
}

/// XML 1.0 has no place for most control characters, escaped or not.
fn printable(text: &str) -> String {
    text.replace(
        |c: char| {
            (c.is_control() && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}')
        },
        "\u{fffd}",
    )
}

/// `contacts.graphml`: a node a person, an edge an exposure or link between cases; `weight` is minutes.
pub(super) fn graphml(network: &Network) -> Result<Vec<u8>> {
    let keys = |xml: &mut Xml, of: &str, cells: &[Cell]| -> io::Result<()> {
        for (name, kind, _) in cells {
            let id = format!("{of}-{name}");
            xml.create_element("key")
                .with_attributes([
                    ("id", id.as_str()),
                    ("for", of),
                    ("attr.name", *name),
                    ("attr.type", *kind),
                ])
                .write_empty()?;
        }
        Ok(())
    };
    let data = |xml: &mut Xml, of: &str, cells: Vec<Cell>| -> io::Result<()> {
        for (name, _, cell) in cells {
            if let Some(cell) = cell {
                let key = format!("{of}-{name}");
                xml.create_element("data")
                    .with_attribute(("key", key.as_str()))
                    .write_text_content(BytesText::new(&printable(&cell)))?;
            }
        }
        Ok(())
    };
    let blank = Meeting {
        from: 0,
        to: 0,
        venue: 0,
        ring: 0,
        start: 0,
        end: 0,
        overlap_s: 0,
        observed_s: 0,
        verdict: None,
    };
    document(|xml| {
        xml.create_element("graphml")
            .with_attribute(("xmlns", "http://graphml.graphdrawing.org/xmlns"))
            .write_inner_content(|xml| {
                keys(xml, "node", &of_person(&Person::default()))?;
                if !network.venues.is_empty() {
                    keys(xml, "edge", &of_meeting(network, &blank))?;
                }
                xml.create_element("graph")
                    .with_attributes([("id", "contacts"), ("edgedefault", "directed")])
                    .write_inner_content(|xml| {
                        for (at, person) in network.persons.iter().enumerate() {
                            xml.create_element("node")
                                .with_attribute(("id", format!("n{at}").as_str()))
                                .write_inner_content(|xml| data(xml, "node", of_person(person)))?;
                        }
                        for (at, meeting) in network.meetings.iter().enumerate() {
                            let ends = [meeting.from, meeting.to].map(|at| format!("n{at}"));
                            xml.create_element("edge")
                                .with_attributes([
                                    ("id", format!("e{at}").as_str()),
                                    ("source", &ends[0]),
                                    ("target", &ends[1]),
                                ])
                                .write_inner_content(|xml| data(xml, "edge", of_meeting(network, meeting)))?;
                        }
                        Ok(())
                    })?;
                Ok(())
            })?;
        Ok(())
    })
}

/// `contacts.gexf`, GEXF 1.3: a node a person, an edge a pair of them with a spell a meeting; spells that touch or overlap
/// are joined, as Gephi refuses them. A node is there from its first meeting to its last.
pub(super) fn gexf(network: &Network) -> Result<Vec<u8>> {
    let mut pairs: BTreeMap<(usize, usize), Vec<&Meeting>> = BTreeMap::new();
    for meeting in network.meetings.iter().filter(|meeting| meeting.start < meeting.end) {
        pairs.entry((meeting.from, meeting.to)).or_default().push(meeting);
    }
    let mut there: Vec<Option<(Second, Second)>> = vec![None; network.persons.len()];
    for meeting in pairs.values().flatten() {
        for person in [meeting.from, meeting.to] {
            let (start, end) = there[person].unwrap_or((meeting.start, meeting.end));
            there[person] = Some((start.min(meeting.start), end.max(meeting.end)));
        }
    }
    let attributes = |xml: &mut Xml, class: &str, cells: &[(&str, &str)]| -> io::Result<()> {
        xml.create_element("attributes")
            .with_attributes([("class", class), ("mode", "static")])
            .write_inner_content(|xml| {
                for (name, kind) in cells {
                    let kind = if *kind == "int" { "integer" } else { *kind };
                    xml.create_element("attribute")
                        .with_attributes([("id", *name), ("title", *name), ("type", kind)])
                        .write_empty()?;
                }
                Ok(())
            })?;
        Ok(())
    };
    let values = |xml: &mut Xml, cells: &[(&str, Option<String>)]| -> io::Result<()> {
        xml.create_element("attvalues").write_inner_content(|xml| {
            for (name, cell) in cells {
                if let Some(cell) = cell {
                    xml.create_element("attvalue")
                        .with_attributes([("for", *name), ("value", printable(cell).as_str())])
                        .write_empty()?;
                }
            }
            Ok(())
        })?;
        Ok(())
    };
    let persons: Vec<(&str, &str)> =
        of_person(&Person::default()).iter().map(|(name, kind, _)| (*name, *kind)).collect();
    let edges = [("ring", "integer"), ("meetings", "integer"), ("venues", "string"), ("verdict", "string")];
    let spells = |xml: &mut Xml, spans: &[(Second, Second)]| -> io::Result<()> {
        xml.create_element("spells").write_inner_content(|xml| {
            for (start, end) in spans {
                let (start, end) = (format_utc(*start), format_utc(*end));
                xml.create_element("spell")
                    .with_attributes([("start", start.as_str()), ("end", end.as_str())])
                    .write_empty()?;
            }
            Ok(())
        })?;
        Ok(())
    };
    let edge =
        |xml: &mut Xml, at: usize, (from, to): (usize, usize), meetings: &[&Meeting]| -> io::Result<()> {
            let spans = join_windows(meetings.iter().map(|meeting| (meeting.start, meeting.end)).collect());
            let ends = [from, to].map(|at| format!("n{at}"));
            let overlap: u64 = meetings.iter().map(|meeting| meeting.overlap_s).sum();
            let mut venues: Vec<&str> =
                meetings.iter().map(|m| network.venues[m.venue].id.as_str()).collect();
            venues.sort_unstable();
            venues.dedup();
            let kind = if meetings[0].ring == 0 { "case_link" } else { "exposure" };
            let cells = [
                ("ring", Some(meetings[0].ring.to_string())),
                ("meetings", Some(meetings.len().to_string())),
                ("venues", Some(venues.join("; "))),
                ("verdict", meetings[0].verdict.clone()),
            ];
            xml.create_element("edge")
                .with_attributes([
                    ("id", format!("e{at}").as_str()),
                    ("source", &ends[0]),
                    ("target", &ends[1]),
                    ("kind", kind),
                    ("weight", &minutes(overlap.max(6))),
                ])
                .write_inner_content(|xml| {
                    values(xml, &cells)?;
                    spells(xml, &spans)
                })?;
            Ok(())
        };
    document(|xml| {
        xml.create_element("gexf")
            .with_attributes([("xmlns", "http://gexf.net/1.3"), ("version", "1.3")])
            .write_inner_content(|xml| {
                xml.create_element("meta")
                    .with_attribute(("lastmodifieddate", network.date.to_string().as_str()))
                    .write_inner_content(|xml| {
                        xml.create_element("creator").write_text_content(BytesText::new("ringtrace"))?;
                        let about = format!("traced contacts, night of {}", network.date);
                        xml.create_element("description").write_text_content(BytesText::new(&about))?;
                        Ok(())
                    })?;
                xml.create_element("graph")
                    .with_attributes([
                        ("mode", "dynamic"),
                        ("defaultedgetype", "directed"),
                        // Spells hold times of day too, which the schema and Gephi take for either; networkx knows no dateTime.
                        ("timeformat", "date"),
                        ("timerepresentation", "interval"),
                    ])
                    .write_inner_content(|xml| {
                        attributes(xml, "node", &persons)?;
                        attributes(xml, "edge", &edges)?;
                        xml.create_element("nodes")
                            .with_attribute(("count", network.persons.len().to_string().as_str()))
                            .write_inner_content(|xml| {
                                for (at, person) in network.persons.iter().enumerate() {
                                    let cells: Vec<(&str, Option<String>)> = of_person(person)
                                        .into_iter()
                                        .map(|(name, _, cell)| (name, cell))
                                        .collect();
                                    xml.create_element("node")
                                        .with_attributes([
                                            ("id", format!("n{at}").as_str()),
                                            ("label", printable(&person.id).as_str()),
                                        ])
                                        .write_inner_content(|xml| {
                                            values(xml, &cells)?;
                                            match there[at] {
                                                Some(span) => spells(xml, &[span]),
                                                None => Ok(()),
                                            }
                                        })?;
                                }
                                Ok(())
                            })?;
                        xml.create_element("edges")
                            .with_attribute(("count", pairs.len().to_string().as_str()))
                            .write_inner_content(|xml| {
                                pairs
                                    .iter()
                                    .enumerate()
                                    .try_for_each(|(at, (pair, all))| edge(xml, at, *pair, all))
                            })?;
                        Ok(())
                    })?;
                Ok(())
            })?;
        Ok(())
    })
}
