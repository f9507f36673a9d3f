#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Reads gcc's call graphs (-fcallgraph-info=su): fails on recursion, prints the deepest stack any call can use."""
import pathlib
import re
import sys

NODE = re.compile(r'node: \{ title: "([^"]*)" label: "([^"]*)"')
EDGE = re.compile(r'edge: \{ sourcename: "([^"]*)" targetname: "([^"]*)"')
SIZE = re.compile(r'(\d+) bytes \((\w[^)]*)\)')


def read(folder):
    frames, calls = {}, {}
    for path in sorted(pathlib.Path(folder).rglob('*.ci')):
        for line in path.read_text().splitlines():
            if match := NODE.match(line):
                size = SIZE.search(match[2])
                frames[match[1]] = max(frames.get(match[1], 0), int(size[1]) if size else 0)
            elif match := EDGE.match(line):
                calls.setdefault(match[1], set()).add(match[2])
    return frames, calls


def cycle(calls):
    """A list of functions that call each other in a circle, or None."""
    state = {}
    for start in sorted(calls):
        stack = [(start, iter(sorted(calls.get(start, ()))))] if start not in state else []
        while stack:
            name, rest = stack[-1]
            state[name] = 'open'
            callee = next(rest, None)
            if callee is None:
                state[name] = 'done'
                stack.pop()
            elif state.get(callee) == 'open':
                names = [entry[0] for entry in stack]
                return names[names.index(callee):] + [callee]
            elif callee not in state:
                stack.append((callee, iter(sorted(calls.get(callee, ())))))
    return None


def deepest(frames, calls):
    """The costliest chain of calls, as bytes and names; the graph has no circles."""
    best = {}

    def visit(name):
        if name not in best:
            below = max((visit(callee) for callee in calls.get(name, ())), default=(0, []))
            best[name] = (below[0] + frames.get(name, 0), [name] + below[1])
        return best[name]

    return max(map(visit, frames), default=(0, []))


def main():
    frames, calls = read(sys.argv[1])
    if not frames:
        sys.exit('no call graph in ' + sys.argv[1])
    circle = cycle(calls)
    short = lambda names: ' > '.join(name.rsplit(':', 1)[-1] for name in names)
    if circle:
        sys.exit('recursion: ' + short(circle))
    size, chain = deepest(frames, calls)
    print(f'deepest stack: {size} bytes, callbacks not counted: {short(chain)}')


main()
