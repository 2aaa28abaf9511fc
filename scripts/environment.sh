# Sourced by the scripts beside it: makes .venv and installs into it what `pyproject.toml` asks for.
# Nothing is done twice: a stamp remembers for which pyproject.toml it was done.

fail() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

# Sets $python to an interpreter that is new enough.
find_python() {
    for python in python3 python3.14 python3.13 python3.12 python3.11 python; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            return
        fi
    done
    fail "Python 3.11 or newer is needed, and none was found on PATH"
}

# prepare EXTRA: sees to it that $root/.venv has the gateway with that extra.
prepare() {
    venv="$root/.venv"
    wanted="$(cksum <"$root/pyproject.toml") $1"
    for stamp in "$venv/.installed-$1" "$venv/.installed-dev"; do # dev has all of client
        if [ -x "$venv/bin/python" ] && [ -f "$stamp" ] &&
            [ "$(cat "$stamp")" = "${wanted% *} ${stamp##*-}" ]; then
            return
        fi
    done
    find_python
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python has no venv module (Debian, Ubuntu: apt install python3-venv)"
    if ! "$venv/bin/python" -c 'import pip' 2>/dev/null; then
        "$python" -m venv --clear "$venv" || fail "cannot make $venv"
    fi
    echo "$(basename "$0"): installing into $venv, once" >&2
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --editable "$root[$1]" >&2 || fail "the installation failed; the lines above say why"
    echo "$wanted" >"$venv/.installed-$1"
}
