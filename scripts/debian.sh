# What the scripts that install packages on Debian and Ubuntu have in common; sourced, not run.
# shellcheck shell=bash

say() { printf '%s\n' "$@" >&2; }

missing() {
    say "$@"
    exit 2
}

as_root() {
    if ((EUID == 0)); then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        missing "needs root for: $*" "Run it as root, or install sudo."
    fi
}

find_cargo() {
    # rustup's own file puts cargo on the PATH of shells that do not read a profile.
    if ! command -v cargo >/dev/null && [[ -r ${CARGO_HOME:-$HOME/.cargo}/env ]]; then
        # shellcheck source=/dev/null
        . "${CARGO_HOME:-$HOME/.cargo}/env"
    fi
    command -v cargo >/dev/null || missing "There is no Rust toolchain. Install one from https://rustup.rs, and run this again."
}

# Some libraries are opened at run time, so that no linker reports them missing.
has_library() {
    local cache
    cache=$(PATH="$PATH:/sbin:/usr/sbin" ldconfig -p 2>/dev/null || true)
    [[ $cache == *"$1"* ]]
}

# Debian starts a Redis on port 6379 when the package is installed. The tests start their own servers on ports of their
# own, so a policy that forbids starting services stands while apt runs, unless the machine has a policy already.
readonly service_policy=/usr/sbin/policy-rc.d
service_policy_is_ours=no

forbid_services() {
    if [[ -e $service_policy ]]; then return 0; fi
    service_policy_is_ours=yes
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$service_policy" >/dev/null
    as_root chmod 755 "$service_policy"
}

lift_service_policy() {
    if [[ $service_policy_is_ours == no ]]; then return 0; fi # in a trap, a bare return would repeat the exit status
    service_policy_is_ours=no
    as_root rm -f "$service_policy"
}

apt_install() {
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
    forbid_services
    as_root "${apt[@]}" update
    as_root "${apt[@]}" install -y --no-install-recommends "$@"
    lift_service_policy
}

# Installs the packages that the given function names, one a line, and asks it again.
install_missing() {
    local packages
    mapfile -t packages < <("$1")
    if ((${#packages[@]} == 0)); then
        say "nothing to install"
        return
    fi
    if ! command -v apt-get >/dev/null; then
        missing "This system has no apt-get. Install these by its own means, and run this again (names as in Debian):" \
            "  ${packages[*]}"
    fi
    say "installing ${packages[*]}"
    apt_install "${packages[@]}"
    mapfile -t packages < <("$1")
    ((${#packages[@]} == 0)) || missing "still missing after the installation: ${packages[*]}"
}
