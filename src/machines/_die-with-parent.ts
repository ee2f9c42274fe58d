/**
 * The argument vector that runs `argv` so that it dies with this process, however that ends: the
 * kernel kills it (prctl PR_SET_PDEATHSIG, set by setpriv of util-linux). The shell closes the one
 * gap, a parent that died before the signal was asked for: then its parent is somebody else.
 */
export function dieWithParent(argv: readonly string[]): string[] {
  const check = 'test "$PPID" = "$0" && exec "$@"'
  const death = ['setpriv', '--pdeathsig', 'KILL', '--no-new-privs']
  return [...death, '--', 'sh', '-c', check, String(process.pid), ...argv]
}
