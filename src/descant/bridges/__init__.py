"""Bridges: worlds of other libraries as domains, and domains as worlds of other libraries.

Each needs the extra of its name, and says so where that is not installed.
"""
