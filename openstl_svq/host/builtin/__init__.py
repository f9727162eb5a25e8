"""The part of OpenSTL's API that SimVP needs, written here, under OpenSTL's own module paths.

Same names, same state-dict keys, same numbers (tests/parity), so that one import line can stand for either host.
"""
