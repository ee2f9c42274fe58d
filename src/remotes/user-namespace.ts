/**
 * Work with a guest's owners without being root: a user namespace in which the caller is root and
 * the caller's range of subordinate users are everybody else.
 *
 * Files that the guest's root owns belong to the caller outside, so a home directory that is closed
 * to others will do, and what the work writes is the caller's own.
 */
import { Failure, isFailure } from '../base/failure.ts'
import { runProcess } from '../base/process.ts'

const LAUNCHER = ['unshare', '--map-root-user', '--map-auto', '--'] as const

/**
 * Words to put in front of a command so that it may own files as any user of a guest; none when the
 * caller is root. Fails with NEEDS_ROOT when this host does not allow it, and says why.
 */
export async function findUserNamespace(): Promise<readonly string[]> {
  if (process.geteuid?.() === 0) return []
  const why = await whyNoUserNamespace()
  if (why === undefined) return LAUNCHER
  throw new Failure(
    'NEEDS_ROOT',
    `without root this needs a user namespace with a range of users, but ${why}`,
    {
      fix: 'Install uidmap, give yourself a range (usermod --add-subuids 100000-165535 --add-subgids 100000-165535 NAME) and see that the kernel allows user namespaces; or run it as root.',
    },
  )
}

/** What stands in the way of a user namespace here; undefined if nothing does. */
export async function whyNoUserNamespace(): Promise<string | undefined> {
  try {
    // A mount needs rights inside the namespace, which some hosts withhold though it can be made.
    const result = await runProcess([
      ...LAUNCHER,
      'unshare',
      '--mount',
      'cat',
      '/proc/self/uid_map',
    ])
    const reason = result.stderr.toString().trim().split('\n').at(-1) ?? ''
    if (result.code !== 0) return reason || `unshare ended with ${result.code}`
    const users = result.stdout
      .toString()
      .trim()
      .split('\n')
      .reduce((sum, line) => sum + Number(line.trim().split(/\s+/)[2] ?? 0), 0)
    return users < 65_536 ? `the caller's range has only ${users - 1} users` : undefined
  } catch (error) {
    if (isFailure(error, 'TOOL_MISSING')) return error.message
    throw error
  }
}
