/**
 * Clean-up of a guest that runs, just before it is stopped and its disk becomes an image. What is found is the matter of the
 * same tasks as offline; it is all taken out by one last command, since what we log in by may be among it.
 */
import type { Context } from '../base/context.ts'
import type { Remote } from '../remotes/remote.ts'
import { withListedTree } from './_listed-tree.ts'
import { chooseTasks, type CleanOptions, type CleanReport, lintGuest } from './clean.ts'

/** Of these a guest that runs always has some. */
const ALIVE: ReadonlySet<string> = new Set(['logs', 'temporary-files', 'caches', 'leases'])

/**
 * Empties what is to be emptied, then removes what is to be removed. Both lists come as input: two numbers, then the paths,
 * each ended by a NUL. The journal is told first to write no more files.
 */
const TAKE_OUT = `journalctl --relinquish-var >/dev/null 2>&1
read -r _empty
head -c "$_empty" | xargs -0 -r -n 1 sh -c ': > "$1"' sh
xargs -0 -r rm -rf --
sync
fstrim -a >/dev/null 2>&1
:`

const TIMEOUT_MS = 15 * 60_000

/**
 * Takes everything out that the tasks find. Afterwards nobody may be able to log in any more, and this remote can only be
 * closed. `left` tells what could not be taken out; what a living system makes anew at once is not in it.
 * Fails with USAGE (no such task), COMMAND_FAILED, COMMAND_TIMEOUT, REMOTE_LOST, INTERRUPTED.
 */
export async function cleanRunningGuest(
  remote: Remote,
  options: CleanOptions,
  context: Context,
): Promise<CleanReport> {
  const [emptied, removed]: [string[], string[]] = [[], []]
  const tasks: { name: string; paths: string[] }[] = []
  const listed = await withListedTree(remote)
  const undoings: (() => Promise<void>)[] = []
  for (const task of chooseTasks(options)) {
    const paths: string[] = []
    for (const { path, undo } of await task.find(listed)) {
      if (undo === undefined) continue
      paths.push(path)
      if (undo === 'remove') removed.push(path)
      else if (undo === 'truncate') emptied.push(path)
      else undoings.push(undo)
    }
    if (paths.length > 0) context.log.debug('clean.task', { task: task.name, paths })
    tasks.push({ name: task.name, paths })
  }
  for (const undo of undoings) await undo()
  const toEmpty = Buffer.from(emptied.map((path) => `${path}\0`).join(''))
  const toRemove = Buffer.from(removed.map((path) => `${path}\0`).join(''))
  const input = Buffer.concat([Buffer.from(`${toEmpty.length}\n`), toEmpty, toRemove])
  await remote.runOk({ argv: ['sh', '-c', TAKE_OUT], input, timeoutMs: TIMEOUT_MS })
  const left = await lintGuest(await withListedTree(remote), options)
  return { tasks, left: left.filter(({ task }) => !ALIVE.has(task)) }
}
