/**
 * Carries a recipe out on a remote.
 *
 * Test-only: every step checks, and the run goes on to the end so that all differences are known.
 * Reconcile: each step checks, applies what differs and checks again; the first failure ends it.
 */
import type { Context } from '../base/context.ts'
import { Failure, messageOf } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import { fetchStream } from '../bytes/fetch-stream.ts'
import { anyWeb } from '../bytes/public-web.ts'
import type { WebRules } from '../bytes/web-request.ts'
import type { Facts } from '../remotes/facts.ts'
import type { Remote } from '../remotes/remote.ts'
import { type ArgumentValues, resolveArguments } from './argument-values.ts'
import type { Recipe, Step } from './recipe.ts'
import { leavesOf, type Report, type Verdict } from './report.ts'
import { isTemplate, parseTemplate, renderTexts } from './template.ts'
import type { BranchOutcome, Difference, LeafValidator, Mode, Scene } from './validator.ts'

export interface RunRecipeOptions {
  mode: Mode
  /** Values given for the recipe's arguments, by name. */
  values: ReadonlyMap<string, string>
  /** How long one command of a step may take. Default 30 minutes. */
  commandTimeoutMs?: number
  /** Where downloads are kept between runs. */
  cacheDir: string
  /**
   * Where this host asks for what steps name by `url`. Default: anywhere, since a recipe is its user's own. Who runs
   * the recipes of strangers says less.
   */
  webRules?: WebRules
}

const DEFAULT_COMMAND_TIMEOUT_MS = 30 * 60_000
const MAX_OUTPUT_LINES = 20
const MAX_FETCHED = 64 * MiB

/**
 * Runs the recipe; the report says what each step found and did. A step that fails is in the report,
 * not thrown.
 * Fails with ARGUMENT_INVALID, NO_OPERATING_SYSTEM, INTERRUPTED.
 */
export async function runRecipe(
  recipe: Recipe,
  remote: Remote,
  options: RunRecipeOptions,
  context: Context,
): Promise<Report> {
  const args = resolveArguments(recipe.args, options.values)
  const facts = await remote.facts()
  args.set('distro', facts.distro)
  const run = new Run(remote, facts, args, options, context)
  const startedAt = context.now()
  const verdicts: Verdict[] = []
  try {
    verdicts.push(...(await run.steps(recipe.steps, options.mode)).verdicts)
    if (options.mode === 'test-only')
      verdicts.push(...(await run.steps(recipe.tests, 'test-only')).verdicts)
  } finally {
    await run.end()
  }
  return {
    recipe: { name: recipe.name, file: recipe.file, digest: recipe.digest },
    target: { name: remote.name, via: remote.via, place: remote.place },
    facts,
    mode: options.mode,
    args: args.masked(),
    startedAt,
    durationMs: context.now().getTime() - startedAt.getTime(),
    ok: !verdicts.some(isBad),
    verdicts,
  }
}

class Run {
  readonly #remote: Remote
  readonly #facts: Facts
  readonly #args: ArgumentValues
  readonly #options: RunRecipeOptions
  readonly #context: Context
  readonly #endings: (() => Promise<void>)[] = []
  readonly #fetched = new Map<string, Promise<Buffer>>()
  #lost = false

  constructor(
    remote: Remote,
    facts: Facts,
    args: ArgumentValues,
    options: RunRecipeOptions,
    context: Context,
  ) {
    this.#remote = remote
    this.#facts = facts
    this.#args = args
    this.#options = options
    this.#context = context
  }

  /** Takes away what steps put into the guest for the time of the run. */
  async end(): Promise<void> {
    for (const ending of this.#endings.toReversed()) {
      if (this.#lost) return
      await ending()
    }
  }

  /** Runs steps in order. After a failure in reconcile mode the rest is skipped. */
  async steps(steps: readonly Step[], mode: Mode): Promise<BranchOutcome> {
    const verdicts: Verdict[] = []
    let stopped = false
    for (const [index, step] of steps.entries()) {
      if (stopped) {
        verdicts.push(
          verdictOf(step, 'skipped', { message: 'not reached: an earlier step failed' }),
        )
        continue
      }
      const verdict = await this.#step(step, mode, index, steps.length)
      verdicts.push(verdict)
      stopped = mode === 'reconcile' && isBad(verdict)
    }
    return { ok: !verdicts.some(isBad), verdicts }
  }

  async #step(declared: Step, mode: Mode, index: number, total: number): Promise<Verdict> {
    const step = { ...declared, title: this.#titleOf(declared) }
    try {
      const why = this.#whySkipped(step)
      if (why !== undefined) return verdictOf(step, 'skipped', { message: why })
    } catch (error) {
      return this.#failed(step, error)
    }
    const { now } = this.#context
    // A branch is nothing to watch: what happens in it is told by the steps it chose.
    const progress = step.validator.kind === 'leaf' ? this.#context.progress : () => {}
    const { id, title } = step
    progress({ kind: 'step', id, title, index: index + 1, total })
    const startedAt = now().getTime()
    const verdict = await this.#judge(step, mode)
    const durationMs = now().getTime() - startedAt
    progress({ kind: 'step-end', id, title, status: verdict.status, durationMs })
    return { ...verdict, durationMs }
  }

  /** With arguments filled in where they can be; secrets masked. */
  #titleOf({ title, validator }: Step): string {
    if (validator.kind !== 'leaf' || !validator.templated || !isTemplate(title)) return title
    try {
      return this.#args.mask(parseTemplate(title).render(this.#args, this.#facts))
    } catch {
      return title // what is wrong with it, the step itself will say
    }
  }

  #whySkipped(step: Step): string | undefined {
    if (this.#lost) return 'not reached: the connection was lost'
    if (step.on !== undefined && step.on !== this.#remote.place)
      return `only on ${step.on === 'host' ? 'a running host' : 'an image'}`
    if (step.when && !step.when.holds(this.#args, this.#facts, this.#remote.place))
      return `when: ${step.when.text}`
    return undefined
  }

  /** What the step found and did; only what ends the whole run is thrown. */
  async #judge(step: Step, mode: Mode): Promise<Verdict> {
    try {
      if (step.validator.kind === 'branch') {
        const outcome = await step.validator.run(
          step.options,
          this.#scene(mode),
          (steps, inner = mode) => this.steps(steps, inner),
        )
        return verdictOf(step, statusOfBranch(outcome), { children: outcome.verdicts })
      }
      return await this.#judgeLeaf(step, step.validator, mode)
    } catch (error) {
      return this.#failed(step, error)
    }
  }

  /** The verdict of a step that threw. */
  #failed(step: Step, error: unknown): Verdict {
    if (!(error instanceof Failure) || error.code === 'INTERRUPTED') throw error
    this.#lost ||= error.code === 'REMOTE_LOST'
    const output = typeof error.details['output'] === 'string' ? error.details['output'] : undefined
    const status = error.code === 'REMOTE_CANNOT' && !this.#remote.can.run ? 'unknown' : 'failed'
    return verdictOf(step, status, {
      message:
        status === 'unknown'
          ? `needs a command: ${messageOf(error)}`
          : this.#args.mask(messageOf(error)),
      ...(output === undefined ? {} : { output: this.#args.mask(lastLines(output)) }),
    })
  }

  async #judgeLeaf(step: Step, validator: LeafValidator, mode: Mode): Promise<Verdict> {
    const scene = this.#scene(mode)
    const options = validator.templated
      ? renderTexts(step.options, validator.verbatim ?? [], (text) =>
          parseTemplate(text).render(this.#args, this.#facts),
        )
      : step.options
    if (mode === 'reconcile' && validator.reconcile === 'apply' && validator.apply) {
      const message = await validator.apply(options, scene, [])
      return verdictOf(step, 'changed', { message: message ?? undefined })
    }
    const before = this.#masked(await validator.check(options, scene))
    if (before.length === 0) return verdictOf(step, 'held')
    if (mode === 'test-only' || !validator.apply)
      return verdictOf(step, mode === 'test-only' ? 'differs' : 'failed', { differences: before })
    const message = await validator.apply(options, scene, before)
    const after = this.#masked(await validator.check(options, scene))
    if (after.length === 0)
      return verdictOf(step, 'changed', { differences: before, message: message ?? undefined })
    return verdictOf(step, 'failed', {
      differences: after,
      message: 'still not as it should be after it was applied',
    })
  }

  get #webRules(): WebRules {
    return this.#options.webRules ?? anyWeb
  }

  async #fetch(url: string): Promise<Buffer> {
    const options = { rules: this.#webRules, maxSize: MAX_FETCHED }
    const fetched = this.#fetched.get(url) ?? readAll(fetchStream(url, options, this.#context))
    this.#fetched.set(url, fetched)
    return await fetched
  }

  #masked(differences: readonly Difference[]): Difference[] {
    const mask = (text: string) => this.#args.mask(text)
    return differences.map(({ what, expected, found }) => ({
      what: mask(what),
      expected: mask(expected),
      found: mask(found),
    }))
  }

  #scene(mode: Mode): Scene {
    let rest = ''
    return {
      remote: this.#remote,
      facts: this.#facts,
      mode,
      args: this.#args,
      commandTimeoutMs: this.#options.commandTimeoutMs ?? DEFAULT_COMMAND_TIMEOUT_MS,
      cacheDir: this.#options.cacheDir,
      webRules: this.#webRules,
      fetch: (url) => this.#fetch(url),
      atEnd: (ending) => this.#endings.push(ending),
      context: this.#context,
      onOutput: (text) => {
        const lines = (rest + text).split(/\r\n|\n|\r/)
        rest = (lines.pop() ?? '').slice(-4096)
        for (const line of lines)
          if (line.trim() !== '')
            this.#context.progress({
              kind: 'output',
              line: this.#args.mask(line),
            })
      },
    }
  }
}

function verdictOf(
  step: Step,
  status: Verdict['status'],
  parts: Partial<Pick<Verdict, 'differences' | 'message' | 'output' | 'children'>> = {},
): Verdict {
  return {
    id: step.id,
    validator: step.validator.name,
    title: step.title,
    place: step.place,
    status,
    differences: parts.differences ?? [],
    message: parts.message,
    output: parts.output,
    durationMs: 0,
    children: parts.children ?? [],
  }
}

/** Whether a verdict means that the target is not, or is not known to be, as the recipe says. */
function isBad(verdict: Verdict): boolean {
  return verdict.status === 'differs' || verdict.status === 'failed' || verdict.status === 'unknown'
}

/** A branch is as bad as the worst below it, unless it holds all the same (`any`). */
function statusOfBranch(outcome: BranchOutcome): Verdict['status'] {
  const leaves = leavesOf(outcome.verdicts)
  const has = (status: Verdict['status']) => leaves.some((leaf) => leaf.status === status)
  if (outcome.ok)
    return has('changed')
      ? 'changed'
      : leaves.length > 0 && leaves.every((leaf) => leaf.status === 'skipped')
        ? 'skipped'
        : 'held'
  return has('failed') ? 'failed' : has('unknown') ? 'unknown' : 'differs'
}

async function readAll(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(stream))
}

function lastLines(text: string): string {
  return text.split('\n').slice(-MAX_OUTPUT_LINES).join('\n')
}
