"""The messages of SAE J2735 and J3224, profile `j2735_2024`: facts in, bare contents out.

One module for each message with its writer (`rsu.v2x.writers`): what each field is filled from,
its unit, what is left out and why. `units` turns SI values into data elements, `places` states
positions and parts of the road, `revision` counts changes, `psids` lists application ids. MAP is
in `rsu.v2x.map.sae`.

J2735 itself is not public. Names, ranges and numbers are those of facts: j2735-2024-fields.md;
where a meaning rests on one public implementation or sample, the module says so.
"""
