# What the scripts of this recipe share. They read it from /tmp, where copy_script puts it.

# Says that something is not as it should be. In a check (test_only=1) that ends the script with 1,
# so that the check fails; else the script goes on and makes it so.
differs() {
  echo "$1" >&2
  [ "$test_only" = 0 ] || exit 1
}

# Writes standard input to a file, unless the file holds just that already.
want_file() {
  wanted=$(cat && echo .)
  found=$(cat "$1" 2>/dev/null && echo .) || found=
  [ "$found" = "$wanted" ] && return
  differs "$1 is not as it should be"
  mkdir -p "$(dirname "$1")"
  printf '%s' "${wanted%.}" > "$1"
}
