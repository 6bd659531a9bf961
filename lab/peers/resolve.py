# SPDX-License-Identifier: Apache-2.0
"""Asks questions with dnspython: ADDRESS PORT udp|tcp NAME TYPE..."""

import sys

import dns.resolver

resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers = [sys.argv[1]]
resolver.port = int(sys.argv[2])
resolver.lifetime = 4
words = sys.argv[4:]
for name, kind in zip(words[::2], words[1::2]):
    try:
        resolver.resolve(name, kind, tcp=sys.argv[3] == "tcp", search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer, dns.resolver.NoNameservers):
        continue
