import type { BodyParts } from '../body/body.ts'
import type { GivenTemplate } from '../factory.ts'
import type { Reach } from '../reach.ts'
import type { Template } from '../template.ts'

/** What `openRecipeRuns` is handed. */
export interface RecipeRunsParts extends BodyParts {
  /** Tells a worker of a task; it would be found without, later. */
  readonly offer: (taskId: string) => Promise<void>
  /** Fails with TEMPLATE_INVALID, RECIPE_INVALID. */
  readonly parseTemplate: (given: GivenTemplate) => Promise<Template>
  /** 32 bytes by which orders are sealed: the same for all servers of a database; see `open-secret-key.ts`. */
  readonly secretKey: Uint8Array
  /** For copies, and for what is worth keeping between runs. Both exist. */
  readonly workDirectory: string
  readonly cacheDirectory: string
  /** What this host reads for those who order runs; and whether they own it, so that nothing is kept from them. */
  readonly reach: Reach
  readonly ordersByOwner?: boolean
  readonly settings: {
    /** Bytes of log that are kept of a run. */
    readonly maxLogSize: number
    /** How long runs that have ended are remembered. */
    readonly keepMs: number
    /** Runs at a time in this server, by their kind; default: 1 that packs, 2 that validate, 4 that provision. */
    readonly concurrency?: Readonly<Partial<Record<'pack' | 'validate' | 'provision', number>>>
  }
}
