"""Checks GEXF 1.3 files against its schema: python3 gexf_xsd_check.py GEXF_XSD FILE...

GEXF_XSD is specs/1.3/gexf.xsd of the repository gephi/gexf, with dynamics.xsd and viz.xsd beside it. Needs lxml.
"""
import sys

from lxml import etree

NS = "{http://gexf.net/1.3}"


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    schema = etree.XMLSchema(etree.parse(sys.argv[1]))
    for path in sys.argv[2:]:
        tree = etree.parse(path)
        if not schema.validate(tree):
            sys.exit(f"gexf_xsd_check: {path}: {schema.error_log.last_error}")
        # What the schema does not say: ids are unique, edges join nodes that exist, the counts are right.
        nodes = [node.get("id") for node in tree.iter(NS + "node")]
        edges = list(tree.iter(NS + "edge"))
        known = set(nodes)
        if len(known) != len(nodes) or len({edge.get("id") for edge in edges}) != len(edges):
            sys.exit(f"gexf_xsd_check: {path}: an id stands twice")
        for edge in edges:
            if edge.get("source") not in known or edge.get("target") not in known:
                sys.exit(f"gexf_xsd_check: {path}: edge {edge.get('id')} has an end that is no node")
            spells = [(spell.get("start"), spell.get("end")) for spell in edge.iter(NS + "spell")]
            if any(start >= end for start, end in spells) or any(a[1] >= b[0] for a, b in zip(spells, spells[1:])):
                sys.exit(f"gexf_xsd_check: {path}: edge {edge.get('id')} has spells that touch; Gephi refuses them")
        declared = {(a.getparent().get("class"), a.get("id")) for a in tree.iter(NS + "attribute")}
        for value in tree.iter(NS + "attvalue"):
            owner = value.getparent().getparent().tag.removeprefix(NS)
            if (owner, value.get("for")) not in declared:
                sys.exit(f"gexf_xsd_check: {path}: attribute {value.get('for')} of a {owner} is not declared")
        for tag, found in (("nodes", nodes), ("edges", edges)):
            count = tree.find(f".//{NS}{tag}").get("count")
            if count is not None and int(count) != len(found):
                sys.exit(f"gexf_xsd_check: {path}: count of {tag} is {count}, there are {len(found)}")
        print(f"ok: {path}: {len(nodes)} nodes, {len(edges)} edges")


main()
