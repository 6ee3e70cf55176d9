#!/usr/bin/env bash
# tests/python_tests/upstream.sh CHECKOUT [PYTEST ARGS...]: runs the tests of the original package
# against this one. CHECKOUT is a clone of its public repository. The current Python needs this
# package, mlx[cpu], pytest and rich. The tests of commands, training and porting are left out.
set -euo pipefail

say() { printf 'upstream.sh: %s\n' "$*" >&2; }

[[ -d ${1-}/tests ]] || { say "expected a checkout with tests/, got \"${1-}\""; exit 2; }
checkout=$(realpath -- "$1")
shift
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT
# A copy, because the checkout has a package of the same name.
cp -r -- "$checkout/tests" "$scratch/tests"
rm -rf -- "$scratch"/tests/{cli,training,porting}
cd -- "$scratch"
say "$(python -c 'import bit_axon, sys; print(bit_axon.__file__, "with Python", sys.version.split()[0])')"
python -m pytest -q -p no:cacheprovider tests "$@"
