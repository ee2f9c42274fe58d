/** What a run found and did. */
import type { Facts } from '../remotes/facts.ts'
import type { Place } from './recipe.ts'
import type { Difference, Mode } from './validator.ts'

/**
 * - `held`: as it should be; nothing was done.
 * - `changed`: was not; now it is.
 * - `differs`: is not, and nothing was done (test-only).
 * - `failed`: could not be checked or made so.
 * - `unknown`: cannot be told on this remote, which runs no commands.
 * - `skipped`: its `when` or `on` says not here, or an earlier step failed.
 */
export type Status = 'held' | 'changed' | 'differs' | 'failed' | 'unknown' | 'skipped'

/** What one step found and did. */
export interface Verdict {
  id: string
  validator: string
  title: string
  place: Place
  status: Status
  differences: readonly Difference[]
  /** What was done, or why nothing was. */
  message: string | undefined
  /** The last lines of the command that failed. */
  output: string | undefined
  durationMs: number
  children: readonly Verdict[]
}

export interface Report {
  recipe: { name: string; file: string; digest: string }
  target: { name: string; via: string; place: 'image' | 'host' }
  facts: Facts
  mode: Mode
  /** Values as resolved; secrets as `***`. */
  args: Readonly<Record<string, string>>
  startedAt: Date
  durationMs: number
  /** Everything is as the recipe says, now. */
  ok: boolean
  verdicts: readonly Verdict[]
}

/** The verdicts that are not branches, in order, with those of branches that were chosen. */
export function leavesOf(verdicts: readonly Verdict[]): Verdict[] {
  return verdicts.flatMap((verdict) =>
    verdict.children.length > 0 ? leavesOf(verdict.children) : [verdict],
  )
}

/** How many leaves have each status. */
export function countStatuses(verdicts: readonly Verdict[]): Record<Status, number> {
  const counts: Record<Status, number> = {
    held: 0,
    changed: 0,
    differs: 0,
    failed: 0,
    unknown: 0,
    skipped: 0,
  }
  for (const verdict of leavesOf(verdicts)) counts[verdict.status]++
  return counts
}
