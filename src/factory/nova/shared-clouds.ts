import type { Context } from '../../base/context.ts'
import { makeContext } from '../../base/context.ts'
import type { OpenStack, OpenStackServices } from '../../clouds/openstack/openstack.ts'

export type OpenCloud = (
  name: string | undefined,
  context: Pick<Context, 'now' | 'signal'>,
) => Promise<OpenStack>

interface Shared {
  readonly opening: Promise<OpenStack>
  users: number
}

/** One client for each cloud, however many builds use it; closed when nobody does. */
export class SharedClouds {
  readonly #open: OpenCloud
  readonly #clouds = new Map<string | undefined, Shared>()

  constructor(open: OpenCloud) {
    this.#open = open
  }

  /** What `work` asks of the cloud ends when `signal` is aborted. Fails as opening does. */
  async use<Value>(
    name: string | undefined,
    { now, signal }: Pick<Context, 'now' | 'signal'>,
    work: (services: OpenStackServices) => Promise<Value>,
  ): Promise<Value> {
    // It outlives the build that came first.
    const opened = () => ({ opening: this.#open(name, makeContext({ now })), users: 0 })
    const shared = this.#clouds.get(name) ?? opened()
    this.#clouds.set(name, shared)
    shared.users += 1
    try {
      return await work((await shared.opening).during(signal))
    } finally {
      shared.users -= 1
      if (shared.users === 0) await this.#close(name, shared)
    }
  }

  async #close(name: string | undefined, { opening }: Shared): Promise<void> {
    this.#clouds.delete(name)
    const cloud = await opening.catch(() => undefined)
    await cloud?.[Symbol.asyncDispose]()
  }
}
