"""Parses a vector picture: read_svg.py FILE

Prints how often each element occurs, and all text, as one line of JSON.
"""
import collections
import json
import sys
import xml.etree.ElementTree

elements = collections.Counter()
texts = []
for element in xml.etree.ElementTree.parse(sys.argv[1]).iter():
    name = element.tag.rpartition("}")[2]
    elements[name] += 1
    if name == "text":
        texts.append("".join(element.itertext()).strip())
    assert not any("data:" in value or "href" in key for key, value in element.attrib.items()), element.attrib
print(json.dumps({"elements": elements, "texts": texts}))
