/**
 * Clean-up: takes out of an image what one machine must not share with another, and the lint that
 * finds it. A task of `clean-tasks.ts` finds leftovers, each with the way it is taken out, so that
 * lint and clean-up can never disagree. Files only, no commands: it works on every remote.
 */
import type { Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import type { Remote } from '../remotes/remote.ts'
import { didYouMean } from '../schema/find-faults.ts'
import { cleanTasks, type CleanTask, type Leftover } from './clean-tasks.ts'

export interface CleanOptions {
  /** Names of tasks that are left out. */
  keep?: readonly string[]
  /** Names of tasks that are done although they are off by themselves. */
  also?: readonly string[]
}

/** Something that is left in the image. */
export interface CleanFinding {
  /** Name of the task that would take it out. */
  task: string
  path: string
  what: string
}

export interface CleanReport {
  /** What was taken out, by task; tasks that found nothing are there too. */
  tasks: readonly { name: string; paths: readonly string[] }[]
  /** What could not be taken out. */
  left: readonly CleanFinding[]
}

/**
 * Takes everything out that the tasks find, then looks again.
 * Fails with USAGE (no such task), REMOTE_CANNOT (a host, or a remote that cannot write).
 */
export async function cleanGuest(
  remote: Remote,
  options: CleanOptions,
  context: Context,
): Promise<CleanReport> {
  if (remote.place === 'host')
    throw new Failure('REMOTE_CANNOT', `${remote.name} is a running host; clean-up is for images`)
  const tasks: { name: string; paths: string[] }[] = []
  for (const task of chooseTasks(options)) {
    const paths: string[] = []
    for (const leftover of await task.find(remote)) {
      if (!leftover.undo) continue
      await undo(remote, leftover)
      paths.push(leftover.path)
    }
    if (paths.length > 0) context.log.debug('clean.task', { task: task.name, paths })
    tasks.push({ name: task.name, paths })
  }
  return { tasks, left: await lintGuest(remote, options) }
}

/** As `cleanGuest`; fails with CLEAN_LINT when something is left. */
export async function cleanAndLint(
  remote: Remote,
  options: CleanOptions,
  context: Context,
): Promise<CleanReport> {
  const report = await cleanGuest(remote, options, context)
  if (report.left.length > 0) throw toLintFailure(remote, report.left)
  return report
}

/** Everything that the tasks find. Changes nothing. Fails with USAGE. */
export async function lintGuest(
  remote: Remote,
  options: CleanOptions = {},
): Promise<CleanFinding[]> {
  const findings: CleanFinding[] = []
  for (const task of chooseTasks(options))
    for (const { path, what } of await task.find(remote))
      findings.push({ task: task.name, path, what: what ?? task.what })
  return findings
}

/** Findings as a Failure CLEAN_LINT that names them. */
function toLintFailure(remote: Remote, findings: readonly CleanFinding[]): Failure {
  const lines = findings.map(({ task, path, what }) => `${path}: ${what} (${task})`)
  return new Failure(
    'CLEAN_LINT',
    `${remote.name} still holds ${findings.length} things that machines must not share:\n${lines.join('\n')}`,
    { details: { findings } },
  )
}

/** The tasks that are done. Fails with USAGE. */
export function chooseTasks({ keep = [], also = [] }: CleanOptions): CleanTask[] {
  const names = cleanTasks.map(({ name }) => name)
  for (const name of [...keep, ...also])
    if (!names.includes(name))
      throw new Failure(
        'USAGE',
        `there is no clean-up task '${name}'${didYouMean(name, names) || `; there are ${names.join(', ')}`}`,
      )
  return cleanTasks.filter(
    ({ name, optional }) => !keep.includes(name) && (!optional || also.includes(name)),
  )
}

async function undo(remote: Remote, { path, undo }: Leftover): Promise<void> {
  if (undo === 'remove') await remote.remove(path)
  else if (undo === 'truncate') {
    const stat = await remote.stat(path)
    if (!stat) return
    await remote.writeFile(path, '', { mode: stat.mode, uid: stat.uid, gid: stat.gid })
  } else await undo?.()
}
