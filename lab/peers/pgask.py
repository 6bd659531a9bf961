# SPDX-License-Identifier: Apache-2.0
"""Runs statements over one PostgreSQL connection: ADDRESS PORT USER STATEMENT..."""

import sys

import psycopg2

connection = psycopg2.connect(host=sys.argv[1], port=int(sys.argv[2]), user=sys.argv[3], dbname="postgres")
connection.autocommit = True
cursor = connection.cursor()
for statement in sys.argv[4:]:
    try:
        cursor.execute(statement)
        if cursor.description:
            cursor.fetchall()
    except psycopg2.Error:
        continue
connection.close()
