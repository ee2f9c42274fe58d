/**
 * Validators: the steps of a recipe. Each is a plain object with a schema and two functions: `check`
 * looks and says what differs, `apply` makes it so. They never know which flow runs them; that is
 * `run-recipe.ts`'s matter, and so is the order: check, apply, check again.
 *
 * A validator reads the guest through `scene.remote`. Where the truth is in files it reads files, so
 * that an image can be checked without running anything of it; where it is not, it runs a command,
 * and on a remote that cannot, the verdict is "unknown: needs a command".
 *
 * Specifications and options are `unknown` to who holds validators of any kind: each is only given a
 * specification that its schema accepts, and options that its own `load` made.
 */
import type { TSchema } from 'typebox'
import type { Context } from '../base/context.ts'
import type { WebRules } from '../bytes/web-request.ts'
import type { Facts } from '../remotes/facts.ts'
import type { Remote } from '../remotes/remote.ts'
import type { Path } from '../schema/find-faults.ts'
import type { ArgumentValues } from './argument-values.ts'
import type { Verdict } from './report.ts'
import type { Argument, Step } from './recipe.ts'

/** One thing that is not as the recipe says. */
export interface Difference {
  /** What was looked at: `package nginx`, `mode of /etc/motd`. */
  what: string
  expected: string
  found: string
}

export type Mode = 'test-only' | 'reconcile'

/** What a validator sees while it runs. */
export interface Scene {
  readonly remote: Remote
  readonly facts: Facts
  readonly mode: Mode
  readonly args: ArgumentValues
  /** How long one command of a step may take. */
  readonly commandTimeoutMs: number
  /** Where downloads are kept between runs. */
  readonly cacheDir: string
  /** Where this host may ask for what a step names. `fetch` goes by it. */
  readonly webRules: WebRules
  /** What stands at an address now, at most 64 MiB; once in a run. Fails with DOWNLOAD_FAILED. */
  readonly fetch: (url: string) => Promise<Buffer>
  /** Leaves something to be done when the whole run has ended, well or not. */
  readonly atEnd: (ending: () => Promise<void>) => void
  readonly context: Context
  /** Shows a line of a running command; secrets are masked by the caller. */
  readonly onOutput: (text: string) => void
}

/** What a validator may ask for while its specification is loaded. */
export interface Loading {
  /** The step is one of the recipe's `tests`: only ever checked. */
  readonly isTest: boolean
  /** The file a step names, from the recipe's directories. A fault if there is none, or outside. */
  readResource(name: string, path: Path): Buffer
  /** The steps of a nested list. */
  loadSteps(value: unknown, path: Path): readonly Step[]
  /** Reports a fault at a path within the specification. */
  fault(path: Path, message: string, severity?: 'error' | 'warning'): void
  /** Says that the step looks at an argument; a warning if nothing declares or sets it. */
  usesArgument(name: string, path: Path): void
  /** Says that the step may set an argument when it runs. */
  makesArgument(name: string, path: Path): void
  /** What the recipe declares under this name. */
  argument(name: string): Argument | undefined
}

interface Described {
  readonly name: string
  /** One line for help. */
  readonly summary: string
  /** What a reader of docs/recipes.md wants to know beyond the keys; Markdown. */
  readonly description?: string
  /** YAML of one or a few steps; tested to load. */
  readonly example: string
  /** Shape of what stands after `name:` in the recipe. */
  readonly schema: TSchema
  /**
   * Whether `{{ argument }}` in texts is filled in when the step runs. Ingot's own validators do;
   * Sahara's take every text as it stands. `verbatim` names keys that are left alone.
   */
  readonly templated?: boolean
  readonly verbatim?: readonly string[]
}

/** A step that looks and changes. */
export interface LeafValidator extends Described {
  readonly kind: 'leaf'
  /** Makes options of a specification that has the right shape; left out: the specification is them. */
  load?(spec: unknown, loading: Loading): unknown
  /** Short, for people: `package nginx, curl`. */
  title(options: unknown): string
  /**
   * Whether the check runs a command of the guest even where that is an image, so that reading alone
   * cannot answer it; left out: it reads files.
   */
  needsCommand?(options: unknown): boolean
  /** Nothing means that all is as it should be. Changes nothing. */
  check(options: unknown, scene: Scene): Promise<Difference[]>
  /** Makes it so; left out: the step can only be checked. Says what it did, if there is more to say. */
  apply?(options: unknown, scene: Scene, differences: readonly Difference[]): Promise<string | void>
  /**
   * `apply`: in reconcile mode the step is applied without a check before or after, as Sahara does
   * with scripts, which look after themselves.
   */
  readonly reconcile?: 'check-first' | 'apply'
}

/** A step that chooses among other steps. */
export interface BranchValidator extends Described {
  readonly kind: 'branch'
  load(spec: unknown, loading: Loading): unknown
  title(options: unknown): string
  /** Every step below, for `recipe show`. */
  children(options: unknown): readonly { label: string; steps: readonly Step[] }[]
  run(options: unknown, scene: Scene, runSteps: RunSteps): Promise<BranchOutcome>
}

/** Runs steps in order, in the mode given (default: the scene's). */
export type RunSteps = (steps: readonly Step[], mode?: Mode) => Promise<BranchOutcome>

export interface BranchOutcome {
  /** Whether all is as it should be now. */
  ok: boolean
  verdicts: readonly Verdict[]
}

export type Validator = LeafValidator | BranchValidator

/** Types the literal of a leaf validator. */
export function defineValidator<Spec, Options = Spec>(
  validator: Omit<LeafValidator, 'kind' | 'load' | 'title' | 'needsCommand' | 'check' | 'apply'> & {
    title(options: Options): string
    needsCommand?(options: Options): boolean
    check(options: Options, scene: Scene): Promise<Difference[]>
    apply?(
      options: Options,
      scene: Scene,
      differences: readonly Difference[],
    ): Promise<string | void>
  } & ([Spec] extends [Options]
      ? { load?(spec: Spec, loading: Loading): Options }
      : { load(spec: Spec, loading: Loading): Options }),
): LeafValidator {
  return { kind: 'leaf', ...validator }
}

/** Types the literal of a branch validator. */
export function defineBranch<Spec, Options>(
  validator: Omit<BranchValidator, 'kind' | 'load' | 'title' | 'children' | 'run'> & {
    load(spec: Spec, loading: Loading): Options
    title(options: Options): string
    children(options: Options): readonly { label: string; steps: readonly Step[] }[]
    run(options: Options, scene: Scene, runSteps: RunSteps): Promise<BranchOutcome>
  },
): BranchValidator {
  return { kind: 'branch', ...validator }
}
