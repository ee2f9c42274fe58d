/**
 * Clean-up of a guest that runs, just before it is stopped and its disk becomes an image. What is found is the matter of the
 * same tasks as offline; it is all taken out by one last command, since what we log in by may be among it.
 */
import type { Context } from '../base/context.ts'
import type { Remote } from '../remotes/remote.ts'
import { withListedTree } from './_listed-tree.ts'
import { chooseTasks, type CleanFinding, type CleanOptions, type CleanReport } from './clean.ts'

/** Printed when all is taken out: what comes after may cut the connection. */
const DONE = 'all is taken out'

/**
 * Empties what is to be emptied, then removes what is to be removed. Both lists come as input: a number of bytes, then the
 * paths, each ended by a NUL. The journal is told first to write no more files. `$1`: whether the guest is then shut down.
 */
const TAKE_OUT = `journalctl --relinquish-var >/dev/null 2>&1
read -r _empty && {
  head -c "$_empty" | xargs -0 -r -n 1 sh -c ': > "$1"' sh
  xargs -0 -r rm -rf --
} || exit 1
sync
fstrim -a >/dev/null 2>&1
echo '${DONE}'
[ "$1" = yes ] || exit 0
systemctl --no-block poweroff 2>/dev/null || poweroff`

const TIMEOUT_MS = 15 * 60_000

export interface CleanRunningOptions extends CleanOptions {
  /** Shut the guest down at once, from within: its file systems are whole then. */
  readonly powerOff?: boolean
}

/**
 * Takes everything out that the tasks find. Afterwards nobody may be able to log in any more, and this remote can only be
 * closed. `left` tells what cannot be taken out.
 * Fails with USAGE (no such task), COMMAND_FAILED, COMMAND_TIMEOUT, REMOTE_LOST, INTERRUPTED.
 */
export async function cleanRunningGuest(
  remote: Remote,
  options: CleanRunningOptions,
  context: Context,
): Promise<CleanReport> {
  const [emptied, removed]: [string[], string[]] = [[], []]
  const tasks: { name: string; paths: string[] }[] = []
  const left: CleanFinding[] = []
  const undoings: (() => Promise<void>)[] = []
  const listed = await withListedTree(remote)
  for (const task of chooseTasks(options)) {
    const paths: string[] = []
    for (const { path, what, undo } of await task.find(listed)) {
      if (undo === undefined) left.push({ task: task.name, path, what: what ?? task.what })
      else paths.push(path)
      if (undo === 'remove') removed.push(path)
      else if (undo === 'truncate') emptied.push(path)
      else if (undo !== undefined) undoings.push(undo)
    }
    if (paths.length > 0) context.log.debug('clean.task', { task: task.name, paths })
    tasks.push({ name: task.name, paths })
  }
  for (const undo of undoings) await undo()
  await takeOut(remote, emptied, removed, options.powerOff === true)
  return { tasks, left }
}

/** Shuts the guest down from within. The remote can only be closed then. */
export async function powerOffGuest(remote: Remote): Promise<void> {
  await takeOut(remote, [], [], true)
}

async function takeOut(
  remote: Remote,
  emptied: readonly string[],
  removed: readonly string[],
  powerOff: boolean,
): Promise<void> {
  const toEmpty = Buffer.from(emptied.map((path) => `${path}\0`).join(''))
  const toRemove = Buffer.from(removed.map((path) => `${path}\0`).join(''))
  const input = Buffer.concat([Buffer.from(`${toEmpty.length}\n`), toEmpty, toRemove])
  const argv = ['sh', '-c', TAKE_OUT, 'sh', powerOff ? 'yes' : 'no']
  let heard = ''
  const onOutput = (text: string) => void (heard = (heard + text).slice(-1000))
  try {
    await remote.runOk({ argv, input, onOutput, timeoutMs: TIMEOUT_MS })
  } catch (error) {
    if (!powerOff || !heard.includes(DONE)) throw error
  }
}
