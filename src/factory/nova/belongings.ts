/**
 * What a build has in a cloud: each thing is noted before it is made, with a name and a mark by which it is found even if
 * nobody learned its id; and it is removed when it has served.
 */
import { isFailure } from '../../base/failure.ts'
import type { OpenStackServices } from '../../clouds/openstack/openstack.ts'
import type { Json } from '../../tasks/task.ts'
import type { Holding, Holdings } from '../os-builder.ts'
import { removeThing } from './_remove-thing.ts'
import {
  asThing,
  MARK,
  markOf,
  NAME_PREFIX,
  REMOVAL_ORDER,
  type Thing,
  type ThingKind,
} from './thing.ts'

export interface Belonging {
  readonly id: string
  remove(): Promise<void>
  /** It is to stay: from now on nobody clears it away. */
  release(): Promise<void>
}

export interface BelongingsOptions {
  readonly services: OpenStackServices
  readonly holdings: Holdings
  readonly cloud: string | null
  readonly imageId: string
  readonly attempt: number
  /** A build that fails leaves all for somebody to look at. */
  readonly keep: boolean
  readonly signal: AbortSignal
}

interface Owned {
  readonly thing: Thing
  readonly holding: Holding
}

export class Belongings {
  readonly #options: BelongingsOptions
  #owned: Owned[] = []

  constructor(options: BelongingsOptions) {
    this.#options = options
  }

  /** Properties of images, metadata of servers and volumes. */
  get metadata(): Readonly<Record<string, string>> {
    return { [MARK]: this.#options.imageId }
  }

  /** `role` tells things of one kind apart: `install`. `make` is given the name and the mark that they have to bear. */
  async make<Made extends { readonly id: string }>(
    kind: ThingKind,
    role: string,
    make: (name: string, mark: string) => Promise<Made>,
  ): Promise<Made & Belonging> {
    const { cloud, imageId, attempt, keep, holdings } = this.#options
    const name = `${NAME_PREFIX}${imageId}-${attempt}-${role}`
    const thing: Thing = { kind, cloud, imageId, name, ...(keep && { keep }) }
    const holding = await holdings.add({ ...thing })
    const made = await make(name, markOf(imageId))
    const known: Owned = { thing: { ...thing, id: made.id }, holding }
    this.#owned.push(known)
    await holding.update({ ...known.thing })
    return {
      ...made,
      remove: async () => await this.#remove(known),
      release: async () => await this.#forget(known),
    }
  }

  /** Everything, in the order in which a cloud lets go of things; but what has the id of `but`. */
  async removeAll(but?: string): Promise<void> {
    for (const owned of inOrder(this.#owned, ({ thing }) => thing))
      if (but === undefined || owned.thing.id !== but) await this.#remove(owned)
  }

  async #remove(owned: Owned): Promise<void> {
    const { services, signal } = this.#options
    await removeThing(services, owned.thing, signal)
    await this.#forget(owned)
  }

  async #forget(owned: Owned): Promise<void> {
    this.#owned = this.#owned.filter((one) => one !== owned)
    await owned.holding.drop()
  }
}

export interface ClearOptions {
  /** Of the cloud in which they all are. */
  readonly services: OpenStackServices
  readonly signal: AbortSignal
  /** What is kept on purpose goes too. */
  readonly all: boolean
  readonly onGone: (thing: Thing) => void
  readonly onLeft: (thing: Thing, error: unknown) => void
}

/** Removes things that were noted; what is left still. Who is not a thing of ours is left. */
export async function clearBelongings(
  noted: readonly Json[],
  { services, signal, all, onGone, onLeft }: ClearOptions,
): Promise<readonly Json[]> {
  const left: Json[] = []
  const things: Thing[] = []
  for (const one of noted) {
    const thing = asThing(one)
    if (thing === undefined || (thing.keep === true && !all)) left.push(one)
    else things.push(thing)
  }
  for (const thing of inOrder(things, (one) => one))
    try {
      await removeThing(services, thing, signal)
      onGone(thing)
    } catch (error) {
      if (isFailure(error, 'INTERRUPTED')) throw error
      onLeft(thing, error)
      left.push({ ...thing })
    }
  return left
}

function inOrder<One>(all: readonly One[], thingOf: (one: One) => Thing): One[] {
  const rank = (one: One) => REMOVAL_ORDER.indexOf(thingOf(one).kind)
  return all.toSorted((one, other) => rank(one) - rank(other))
}
