#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# How much of the whole program all tests together run through. Takes as long as all scripts of tests/e2e.
set -u
cd "$(dirname "$0")/../.." || exit 1
make --no-print-directory coverage-build tools >/dev/null || exit 2
tests/coverage --all build/coverage
