/**
 * What is asked of an oVirt engine. Source: oVirt, "REST API Guide", version 4: disks, image transfers, machines, templates.
 */
import { Failure, isFailure } from '../../base/failure.ts'
import {
  askRest,
  askToRemove,
  type Rest,
  type RestAnswer,
  type RestQuestion,
} from '../../clouds/ask-rest.ts'
import { openCloudHttp } from '../../clouds/cloud-http.ts'
import type { Provider } from '../cloud-target.ts'
import { readAuthorities } from './_authorities.ts'
import type { OvirtCredentials, OvirtProviderOptions } from './_ovirt-schemas.ts'
import { askUntil } from './_poll.ts'

export type OvirtProvider = Provider<OvirtProviderOptions, OvirtCredentials>

/** A thing of the engine's, of which we look at little. */
export type Thing = { readonly id: string } & Readonly<Record<string, unknown>>

/** A disk whose transfer nobody goes on with is let go of after two minutes. */
const MOST_TRIES = 60

type Asked = Pick<RestQuestion, 'method' | 'json'>

export class OvirtEngine implements AsyncDisposable {
  /** For what is asked of others with the same trust: the image daemon, which knows no passwords. */
  readonly daemon: Rest
  readonly #rest: Rest
  readonly #base: string
  readonly #pollSeconds: number

  private constructor(provider: OvirtProvider, authorities: string | undefined) {
    const { url, insecure = false, parallel = 4, poll_seconds = 3 } = provider.options
    const { username, password } = provider.credentials
    const trust = { insecure, ...(authorities !== undefined && { authorities }) }
    const http = openCloudHttp({ trust, timeoutMs: 60_000, connections: parallel + 1 })
    const basic = Buffer.from(`${username}:${password}`).toString('base64')
    this.#base = `${url.replace(/\/+$/, '').replace(/\/api$/, '')}/api`
    this.#pollSeconds = poll_seconds
    const headers = { authorization: `Basic ${basic}`, version: '4' }
    this.#rest = { http, name: 'oVirt', authorization: async () => headers }
    this.daemon = { http, name: 'oVirt’s image daemon', authorization: async () => ({}) }
  }

  static async open(provider: OvirtProvider): Promise<OvirtEngine> {
    return new OvirtEngine(provider, await readAuthorities(provider))
  }

  async ask(path: string, signal: AbortSignal, asked: Asked = {}): Promise<unknown> {
    return (await askRest(this.#rest, { ...asked, url: `${this.#base}${path}`, signal })).json
  }

  async make(path: string, signal: AbortSignal, json: unknown): Promise<Thing> {
    return asThing(await this.ask(path, signal, { method: 'POST', json }))
  }

  /** Removes it, once it is not locked any more; one that is in use stays so. That it is gone is success. */
  async remove(path: string, signal: AbortSignal): Promise<void> {
    let tries = 0
    await askUntil(this.#pollSeconds, signal, async () => {
      try {
        await this.#remove(path, signal)
        return true
      } catch (error) {
        const isBusy = isFailure(error) && error.details['status'] === 409
        if (!isBusy || ++tries > MOST_TRIES) throw error
        return undefined
      }
    })
  }

  async #remove(path: string, signal: AbortSignal): Promise<RestAnswer | undefined> {
    return await askToRemove(this.#rest, { url: `${this.#base}${path}`, signal })
  }

  async get(path: string, signal: AbortSignal): Promise<Thing | undefined> {
    try {
      return asThing(await this.ask(path, signal))
    } catch (error) {
      if (isFailure(error, 'CLOUD_NOT_FOUND')) return undefined
      throw error
    }
  }

  /** Waits until a thing is as `field` being one of `wanted`. Fails with CLOUD_FAILED when it cannot become so. */
  async until(
    path: string,
    signal: AbortSignal,
    state: { readonly field: string; readonly wanted: string; readonly passing: readonly string[] },
  ): Promise<Thing> {
    return await askUntil(this.#pollSeconds, signal, async () => {
      const thing = await this.get(path, signal)
      const now = thing?.[state.field]
      if (thing !== undefined && now === state.wanted) return thing
      if (state.passing.includes(String(now))) return undefined
      throw new Failure(
        'CLOUD_FAILED',
        `oVirt: ${path} is ${JSON.stringify(now ?? 'gone')}, not ${state.wanted}`,
      )
    })
  }

  /** Things of a collection (`disks`) with this name and description: names are not ours alone. */
  async named(
    collection: string,
    name: string,
    description: string,
    signal: AbortSignal,
  ): Promise<Thing[]> {
    const json = await this.ask(
      `/${collection}?search=${encodeURIComponent(`name=${name}`)}`,
      signal,
    )
    const [list] = Object.values((json ?? {}) as Record<string, unknown>)
    return Array.isArray(list)
      ? list
          .map(asThing)
          .filter((thing) => thing['name'] === name && thing['description'] === description)
      : []
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#rest.http[Symbol.asyncDispose]()
  }
}

function asThing(json: unknown): Thing {
  const { id } = (json ?? {}) as { readonly id?: unknown }
  if (typeof id !== 'string' || !/^[A-Za-z0-9-]{1,64}$/.test(id))
    throw new Failure('CLOUD_FAILED', 'oVirt answered with a thing that has no id')
  return { ...(json as object), id }
}
