/** Something that a build made in a cloud, as its ledger keeps it. */
import type { Json } from '../../tasks/task.ts'

/** In the order in which a cloud lets go of them: what hangs on another thing first. */
export const REMOVAL_ORDER = [
  'server',
  'floating-ip',
  'port',
  'security-group',
  'keypair',
  'volume',
  'image',
] as const
export type ThingKind = (typeof REMOVAL_ORDER)[number]

export interface Thing {
  readonly kind: ThingKind
  /** Null: the one of the environment. */
  readonly cloud: string | null
  /** The factory image that it was made for. */
  readonly imageId: string
  readonly name: string
  /** Left out: nobody learned it, and perhaps it was never made. */
  readonly id?: string
  /** It stays when the build fails. */
  readonly keep?: boolean
}

/** Undefined: it is none of ours. */
export function asThing(value: Json): Thing | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const { kind, cloud, imageId, name, id, keep } = value as Readonly<Record<string, Json>>
  const known = REMOVAL_ORDER.find((one) => one === kind)
  if (known === undefined || typeof name !== 'string' || typeof imageId !== 'string')
    return undefined
  return {
    kind: known,
    cloud: typeof cloud === 'string' ? cloud : null,
    imageId,
    name,
    ...(typeof id === 'string' && { id }),
    ...(keep === true && { keep }),
  }
}

/** All that we make is called so. */
export const NAME_PREFIX = 'ingot-'
/** The name of the property and the metadata by which things of ours are known. */
export const MARK = 'ingot_build'

/** As `MARK` stands in descriptions. */
export function markOf(imageId: string): string {
  return `${MARK}=${imageId}`
}
