/**
 * Recipes behind an API: pack an image of the catalog, validate an image or a host against a recipe, provision hosts. Each
 * run is a task of the ledger, so that it outlives its request, is cancelled, and ends clearly whatever happens to the
 * process that carries it out. Made by `openRecipeRuns` (`open-recipe-runs.ts`). Who may is asked at the door.
 */
import type { Json, TaskKind, TaskStatus } from '../tasks/task.ts'
import type { LogEntry } from './build-log.ts'
import type { GivenTemplate, Requester } from './factory.ts'

export type RecipeRunKind = 'pack' | 'validate' | 'provision'

export interface RecipeRun {
  readonly id: string
  readonly kind: RecipeRunKind
  readonly status: TaskStatus
  /** What is being done, or how it ended, for people. */
  readonly message: string
  /** 0 to 100. */
  readonly percent: number
  /** The recipe's name. */
  readonly recipe: string
  /** The image that is packed or validated; the hosts that are validated or provisioned. */
  readonly imageId: string | null
  readonly hosts: readonly string[]
  /** Of `pack`: the image that is made. It is there once the run has ended well. */
  readonly newImageId: string | null
  /** Whether everything is as the recipe says; null as long as nobody knows. A validation that says no has ended well. */
  readonly ok: boolean | null
  readonly owner: string | null
  readonly userId: string | null
  readonly createdAt: Date
  readonly updatedAt: Date
}

interface RunOrder {
  readonly requester: Requester
  /** A recipe (YAML) or a TDL, and the files that it names. */
  readonly recipe: GivenTemplate
  /** Values of the recipe's arguments, by name. */
  readonly args: Readonly<Record<string, string>>
  /** How long one command of a step may take. Default 30 minutes. */
  readonly commandTimeoutMs?: number | undefined
}

/** What becomes of the disk of an image. */
interface ImageOrder {
  readonly imageId: string
  /** Somebody vouches for the image, so that this host may mount it and run its programs: quicker. Default no. */
  readonly trusted?: boolean | undefined
  /** Device of the root file system, when there is more than one: `/dev/sda2`. */
  readonly rootFileSystem?: string | undefined
}

export interface PackOrder extends RunOrder, ImageOrder {
  /** Of the new image. Default: that of the recipe. */
  readonly name?: string | undefined
  /** Whether what machines must not share is taken out. Default yes. */
  readonly clean?: boolean | undefined
}

/** Hosts that are reached by SSH, all in one way. */
export interface HostsOrder {
  /** Names or addresses, without user; `host:port` where it is not `port`. */
  readonly hosts: readonly string[]
  readonly user: string
  /** Default 22. */
  readonly port?: number | undefined
  /** A private key, as OpenSSH writes it, without a passphrase. Kept sealed, and only for as long as the run lasts. */
  readonly privateKey: string
  /** Lines of a known_hosts file: what the hosts prove themselves by. There is no trust on first use. */
  readonly knownHosts: string
  /** Become root by `sudo -n` when the user is not. Default no. */
  readonly sudo?: boolean | undefined
}

export type ValidateOrder = RunOrder & (ImageOrder | HostsOrder)
export type ProvisionOrder = RunOrder & HostsOrder

export interface RecipeRunQuery {
  /** Null: of no project. */
  readonly owner?: string | null | undefined
  readonly kind?: RecipeRunKind | undefined
  /** Newest first; default 100, at most 1,000. */
  readonly limit?: number | undefined
}

/** What happens in a run, for who follows it. */
export type RecipeRunEvent =
  | { readonly kind: 'run'; readonly run: RecipeRun }
  | { readonly kind: 'log'; readonly entry: LogEntry }

export interface RecipeRuns {
  /**
   * Makes a new image of one that is active: its disk after the recipe, raw, with the properties of the old one, which
   * stays as it is. Whole or not at all. Each of the three fails, before anything is kept, with RECIPE_INVALID,
   * TEMPLATE_INVALID, ARGUMENT_INVALID, REQUEST_INVALID, LIMIT_EXCEEDED (files or text are too large), IMAGE_NOT_FOUND, IMAGE_STATE.
   */
  pack(order: PackOrder): Promise<RecipeRun>
  /** Changes nothing. */
  validate(order: ValidateOrder): Promise<RecipeRun>
  provision(order: ProvisionOrder): Promise<RecipeRun>
  /** Fails with TASK_NOT_FOUND, as do those below. */
  get(id: string): Promise<RecipeRun>
  list(query: RecipeRunQuery): Promise<RecipeRun[]>
  /** What was found and done, by target: a list of reports; undefined until the run has ended. */
  readReports(id: string): Promise<readonly Json[] | undefined>
  readLog(id: string, after?: number, limit?: number): Promise<LogEntry[]>
  /** From now (or after an entry of the log) until the run has come to its end, or `signal`. */
  follow(id: string, signal: AbortSignal, after?: number): AsyncIterable<RecipeRunEvent>
  cancel(id: string): Promise<void>

  /** For the worker. */
  readonly kinds: readonly TaskKind[]
}
