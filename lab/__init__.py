"""The lab: a real Asterisk from Debian's packages, with the leak and the traffic that shows it.

Standard library only, so that any Python from 3.10 on runs it: `python3 -m lab up 16`.
"""
