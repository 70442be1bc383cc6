"""One page about a batch, in one file that needs no network: from runs and their records to HTML.

Each section is a module: what it counts are plain functions, what it shows is made of elements (`html.py`), in which
text is escaped. Charts are SVG without a script, as wide as their place; `page.js` only draws the table of runs.
"""
