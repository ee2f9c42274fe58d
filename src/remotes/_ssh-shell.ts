/**
 * What is said to the shells on the other side. A command line there is a fixed text without any
 * of the user's words: it starts a shell that reads one line from its input and carries that out.
 * Arguments and environment, secrets among them, are in that line, so no process list, no sudo log
 * and no login shell's quoting rules ever see them. The rest of the input is the command's own.
 *
 * Each such shell has a name of ours as its last word, by which it is found when it must end. Marks
 * (see `_marked-stream.ts`) fence off what login scripts, sudo and banners print.
 */
import { plainEnvironment } from './plain-environment.ts'
import type { Command } from './remote.ts'

/** Carries out the first line of its input, in an empty environment; reads not a byte more of it. */
export function toListener(name: string, as: 'root' | 'user'): string {
  const shell = `env -i /bin/sh -c 'IFS= read -r c; eval "$c"' ${name}`
  return as === 'root' ? `exec sudo -n -- ${shell}` : `exec ${shell}`
}

const SET_PATH = `PATH=${plainEnvironment['PATH']}; export PATH`
/** A newline in a variable, for `quote`. */
const SET_NEWLINE = `_ingot_n=$(printf '\\n.'); _ingot_n=\${_ingot_n%.}`

const say = (nonce: string, words: string) => `printf '\\036%s %s\\n' ${nonce} "${words}"`

/** A character for each byte, so that quoting leaves bytes that are no text as they are. */
const bytes = (text: string | Uint8Array) => Buffer.from(text).toString('latin1')

/** One word in single quotes, on one line. */
function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`).replaceAll('\n', `'"$_ingot_n"'`)}'`
}

/**
 * The line that runs one command, and gives it the rest of the input. It marks the beginning on
 * both streams (on standard error with the process id and session of the shell that waits, for
 * whoever must end it), and the end with the exit code. The waiting shell keeps the streams open:
 * what a command closes, or leaves open to a daemon, does not matter.
 */
export function toCommandLine(command: Command, nonce: string): string {
  const env = Object.entries({ ...plainEnvironment, ...command.env })
  const exports = env.map(([name, value]) => `export ${name}=${quote(value)}`)
  const words = command.argv.map(quote).join(' ')
  return [
    SET_NEWLINE,
    'trap : TERM', // when the command is asked to end, this shell stays to tell how it ended
    'exec 3>&1 4>&2 2>/dev/null', // what the waiting shell itself says ("Killed") is for nobody
    `${say(nonce, 'begun')} >&4; ${say(nonce, 'begun')} >&3`,
    `(umask 022; cd /; ${exports.join('; ')}; set -- ${words}; exec "$@") 2>&4 3>&- 4>&-`,
    `_ingot_c=$?; ${say(nonce, '$_ingot_c')} >&3; ${say(nonce, '$_ingot_c')} >&4`,
  ].join('; ')
}

/**
 * What the keeper is told to carry out a small command of our own, which leaves nothing running.
 * Its input may be any bytes but NUL. What it prints, errors too, is the keeper's answer.
 */
export function toKeeperWork(argv: readonly string[], input?: Uint8Array): Buffer {
  const pipe = input && `printf %s ${quote(bytes(input))} | `
  const words = argv.map((word) => quote(bytes(word))).join(' ')
  return Buffer.from(`do (umask 022; set -- ${words}; ${pipe ?? ''}exec "$@") 2>&1`, 'latin1')
}

/**
 * The lines that make the first session the keeper: a shell as root that does small work (`do
 * CODE`), ends what runs in another session with all it started (`TERM NAME`, `KILL NAME`), and,
 * when we are gone for whatever reason, ends all of them. Each line it is told begins with a number,
 * with which it marks its answer. `name` is the keeper's; those of the others begin with it.
 */
export function toKeeperLines(nonce: string, name: string, become: boolean): string {
  const greet = `${SET_PATH}; ${say(nonce, 'hello $(id -u)')}`
  const asRoot = become ? toListener(name, 'root') : 'exit'
  const code = keeper(nonce, name).replaceAll(/\s*\n\s*/g, ' ')
  return `${greet}; [ "$(id -u)" = 0 ] || ${asRoot}; IFS= read -r c; eval "$c"\n${code}\n`
}

const keeper = (nonce: string, name: string) => `
  ${SET_PATH}; ${SET_NEWLINE}; exec 2>/dev/null; cd /;
  read -r _line </proc/$$/stat; set -- \${_line##*) }; _own=$4;
  ${END}
  ${say(nonce, 'ready')};
  while read -r _id _verb _rest; do
    case $_verb in
      do) eval "$_rest" </dev/null;;
      TERM) end TERM "$_rest";;
      KILL) for _i in 1 2 3 4 5 6 7 8 9; do end KILL "$_rest" || break; done;;
    esac;
    ${say(nonce, 'did $_id $?')};
  done;
  end TERM '${name}-*' && sleep 1 && end KILL '${name}-*'`

/**
 * Shell: sends signal $1 to the shells whose name is like $2, to the rest of their sessions, and to
 * whatever descends from any of these; says whether there was anything. When TERM is followed by
 * KILL, the shell may be gone already: the sessions of a name are remembered.
 * Source: proc(5): /proc/PID/stat is: pid (name) state ppid pgrp session …
 */
const END = `
  end() {
    _found=' '; [ "$2" = "$_name" ] || _sessions=' '; _name=$2;
    for _p in /proc/[0-9]*; do
      _line=; read -r _line <$_p/cmdline;
      case "$_line" in *$2) ;; *) continue;; esac;
      read -r _line <$_p/stat || continue;
      set -- $1 "$2" \${_line##*) };
      [ "$3" != Z ] || continue;
      _found="$_found\${_p#/proc/} ";
      [ "$6" = "$_own" ] || _sessions="$_sessions$6 ";
    done;
    _more=1;
    while [ $_more = 1 ]; do
      _more=0;
      for _p in /proc/[0-9]*; do
        case "$_found$$ " in *" \${_p#/proc/} "*) continue;; esac;
        read -r _line <$_p/stat || continue;
        set -- $1 "$2" \${_line##*) };
        [ "$3" != Z ] || continue;
        case "$_sessions|$_found" in
          *" $6 "*'|'*|*'|'*" $4 "*) _found="$_found\${_p#/proc/} "; _more=1;;
        esac;
      done;
    done;
    [ "$_found" != ' ' ] || return 1;
    kill -$1 $_found;
    return 0;
  };`
