# SPDX-License-Identifier: Apache-2.0
"""The programs that are recorded, by kind of protocol."""
