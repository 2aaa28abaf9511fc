# Sourced by the scripts beside it: makes .venv and installs into it what `pyproject.toml` asks for;
# makes .tools, with what others wrote and the gateway is tried with.
# Nothing is done twice: a stamp remembers for which files it was done.

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

# prepare_tools: sees to it that $root/.tools has what tests/tools names, in its own environment.
prepare_tools() {
    tools="$root/.tools"
    named="$root/tests/tools"
    wanted=$(cat "$named/requirements.txt" "$named/collections.txt" | cksum)
    [ "$(cat "$tools/installed" 2>/dev/null)" != "$wanted" ] || return 0
    find_python
    echo "$(basename "$0"): installing into $tools, once" >&2
    rm -rf "$tools"
    mkdir "$tools"
    pip="$tools/venv/bin/python -m pip --quiet --disable-pip-version-check"
    "$python" -m venv "$tools/venv" &&
        $pip install --requirement "$named/requirements.txt" >&2 &&
        $pip download --no-deps --only-binary :all: --dest "$tools/wheels" \
            --requirement "$named/collections.txt" >&2 &&
        "$tools/venv/bin/python" -c '
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    wanted = [one for one in wheel.namelist() if one.startswith("ansible_collections/amazon/aws/")]
    wheel.extractall(sys.argv[2], wanted)
' "$tools"/wheels/*.whl "$tools/collections" &&
        rm -r "$tools/wheels" || return
    echo "$wanted" >"$tools/installed"
}
