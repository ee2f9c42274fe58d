/** A recipe on running hosts: several at once, each with a report of its own. */
import type { Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { openRemote } from '../remotes/open-remote.ts'
import type { RemoteDriver } from '../remotes/remote.ts'
import { resolveArguments } from './argument-values.ts'
import type { Recipe } from './recipe.ts'
import type { Report } from './report.ts'
import { runRecipe, type RunRecipeOptions } from './run-recipe.ts'

/** A host, not yet reached. */
export interface Host {
  name: string
  /** `ssh`, `local`. */
  via: string
  open: (context: Context) => Promise<RemoteDriver>
}

export interface HostRunOptions extends RunRecipeOptions {
  /** How many hosts are worked on at the same time. */
  jobs: number
  /** Called when a host is done, in the order in which they are. */
  onReport?: (report: Report) => void
}

/**
 * Runs the recipe on each host. What goes wrong with one is in its report and stops no other: a host
 * that cannot be reached has a report with one failed step, the login. The reports, in the order of
 * the hosts.
 * Fails with ARGUMENT_INVALID before any host is reached, and with INTERRUPTED once all have ended.
 */
export async function runOnHosts(
  recipe: Recipe,
  hosts: readonly Host[],
  options: HostRunOptions,
  context: Context,
): Promise<Report[]> {
  resolveArguments(recipe.args, options.values)
  const reports: Report[] = []
  const bugs: unknown[] = []
  const queue = [...hosts.entries()]
  const work = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const [index, host] = next
      try {
        const named = hosts.length > 1 ? nameProgress(context, host.name) : context
        const report = await runOnHost(recipe, host, options, named)
        reports[index] = report
        options.onReport?.(report)
      } catch (error) {
        bugs.push(error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(options.jobs, hosts.length) }, work))
  if (bugs.length > 0) throw bugs[0]
  if (context.signal.aborted) throw new Failure('INTERRUPTED', 'interrupted')
  return reports
}

/** Progress of one of several hosts says which. */
function nameProgress(context: Context, on: string): Context {
  return { ...context, progress: (event) => context.progress({ ...event, on }) }
}

/** The report of one host, whatever foreseen went wrong. */
async function runOnHost(
  recipe: Recipe,
  host: Host,
  options: HostRunOptions,
  context: Context,
): Promise<Report> {
  const startedAt = context.now()
  try {
    await using remote = openRemote(await host.open(context), context)
    const report = await runRecipe(recipe, remote, options, context)
    if (options.mode === 'reconcile' && report.ok) await remote.finish()
    return report
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    const durationMs = context.now().getTime() - startedAt.getTime()
    return toFailedReport(recipe, host, options, error, { startedAt, durationMs })
  }
}

/** What is told of a host on which not even the first step could be tried. */
function toFailedReport(
  recipe: Recipe,
  host: Host,
  options: HostRunOptions,
  failure: Failure,
  times: { startedAt: Date; durationMs: number },
): Report {
  const args = resolveArguments(recipe.args, options.values)
  const told = [failure.message, failure.fix].filter((text) => text !== undefined).join('\n')
  return {
    recipe: { name: recipe.name, file: recipe.file, digest: recipe.digest },
    target: { name: host.name, via: host.via, place: 'host' },
    facts: {
      distro: '',
      family: undefined,
      version: '',
      codename: '',
      prettyName: 'not reached',
      architecture: '',
    },
    mode: options.mode,
    args: args.masked(),
    ...times,
    ok: false,
    verdicts: [
      {
        id: failure.code,
        validator: 'host',
        title: `work on ${host.name}`,
        place: { file: recipe.file, line: 1, column: 1 },
        status: 'failed',
        differences: [],
        message: args.mask(told),
        output: undefined,
        durationMs: times.durationMs,
        children: [],
      },
    ],
  }
}
