"""Reads GraphML and GEXF with networkx: python3 networkx_check.py FILE... (--contacts CSV | --nodes N --edges M).

--contacts takes the contacts.csv of the epicontacts export of the same run: GraphML has an edge for each of its rows,
GEXF one for each pair of persons, and both have exactly its persons.
"""
import argparse
import csv
import datetime
import sys

import networkx


def fail(what):
    sys.exit(f"networkx_check: {what}")


def expected(args, gexf):
    if not args.contacts:
        return args.nodes, args.edges
    with open(args.contacts, newline="", encoding="utf-8") as file:
        pairs = [(row["from"], row["to"]) for row in csv.DictReader(file)]
    return len({person for pair in pairs for person in pair}), len(set(pairs) if gexf else pairs)


def check(path, args):
    gexf = path.endswith(".gexf")
    graph = networkx.read_gexf(path) if gexf else networkx.read_graphml(path, force_multigraph=True)
    nodes, edges = expected(args, gexf)
    if nodes is not None and graph.number_of_nodes() != nodes:
        fail(f"{path}: {graph.number_of_nodes()} nodes, not {nodes}")
    if edges is not None and graph.number_of_edges() != edges:
        fail(f"{path}: {graph.number_of_edges()} edges, not {edges}")
    if not graph.is_directed():
        fail(f"{path}: not directed")
    ids = [data.get("person_id") for _, data in graph.nodes(data=True)]
    if None in ids:
        fail(f"{path}: a node without person_id")
    spans = []
    for source, target, data in graph.edges(data=True):
        if source == target or not isinstance(data.get("weight"), float):
            fail(f"{path}: edge {source} to {target}: {data}")
        spans += data["spells"] if gexf else [(data["start"], data["end"])]
    for start, end in spans:
        start, end = (datetime.datetime.fromisoformat(t.replace("Z", "+00:00")) for t in (start, end))
        if not start < end:
            fail(f"{path}: {start} is not before {end}")
    print(f"ok: {path}: {graph.number_of_nodes()} nodes, {graph.number_of_edges()} edges, {len(spans)} spans")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--contacts")
    parser.add_argument("--nodes", type=int)
    parser.add_argument("--edges", type=int)
    args = parser.parse_args()
    if not args.contacts and (args.nodes is None or args.edges is None):
        parser.error("give --contacts, or --nodes and --edges")
    for path in args.files:
        check(path, args)


main()
