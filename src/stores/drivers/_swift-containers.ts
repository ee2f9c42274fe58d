/** The two containers of a store in Swift: of objects, and of segments of large ones. */
import type { IncomingMessage } from 'node:http'
import { isFailure } from '../../base/failure.ts'
import type { SwiftRequest, SwiftSession } from './_swift-session.ts'

interface ListedName {
  readonly name: string
  readonly size: number
  readonly modifiedAt: Date
}

interface WireEntry {
  name?: string
  bytes?: number
  last_modified?: string
}

/** Entries asked for in one page of a listing. */
const PAGE = 10_000
/** Removals at a time. */
const REMOVALS = 8

export class SwiftContainers {
  readonly objects: string
  readonly segments: string
  readonly #session: SwiftSession

  constructor(session: SwiftSession, container: string) {
    this.objects = container
    this.segments = `${container}_segments`
    this.#session = session
  }

  /** Swift checks the MD5 as it takes the bytes. */
  async put(
    container: string,
    name: string,
    body: Uint8Array,
    md5: Buffer,
    signal: AbortSignal,
  ): Promise<void> {
    const headers = { etag: md5.toString('hex'), 'content-type': 'application/octet-stream' }
    await this.send(container, name, { method: 'PUT', headers, body, signal })
  }

  /** Asks about an object; makes the container, and asks again, if there was none. What is answered in headers. */
  async send(
    container: string,
    name: string,
    request: Omit<SwiftRequest, 'path'>,
  ): Promise<IncomingMessage['headers']> {
    const go = async () => await this.#session.ask({ ...request, path: [container, name] })
    try {
      return (await go()).headers
    } catch (error) {
      if (!isFailure(error, 'OBJECT_NOT_FOUND')) throw error
      await this.#session.ask({ method: 'PUT', path: [container], body: Buffer.alloc(0) })
      return (await go()).headers
    }
  }

  async sizeOf(container: string, name: string, signal: AbortSignal): Promise<number> {
    const { headers } = await this.#session.ask({ method: 'HEAD', path: [container, name], signal })
    return Number(headers['content-length'])
  }

  /** An object; a large one with what its manifest names, as far as Swift does that. */
  async remove(container: string, name: string): Promise<void> {
    const path = [container, name]
    const query = { 'multipart-manifest': 'delete' }
    // 400: it is no large object, or one that is too large for Swift to remove at once.
    await this.#session.ask({ method: 'DELETE', path, query, allow: [400, 404] })
    await this.#session.ask({ method: 'DELETE', path, allow: [404] })
  }

  /** Everything whose name begins with `prefix`. */
  async removeAll(container: string, prefix: string): Promise<void> {
    const removeSome = async (names: readonly string[]) =>
      await Promise.all(
        names.map((name) =>
          this.#session.ask({ method: 'DELETE', path: [container, name], allow: [404] }),
        ),
      )
    let some: string[] = []
    for await (const { name } of this.list(container, prefix)) {
      some.push(name)
      if (some.length < REMOVALS) continue
      await removeSome(some)
      some = []
    }
    await removeSome(some)
  }

  /** Names in their order; nothing if there is no container. */
  async *list(container: string, prefix: string): AsyncGenerator<ListedName> {
    for (let marker = ''; ;) {
      const query = { format: 'json', limit: String(PAGE), prefix, marker }
      const { status, body } = await this.#session.ask({ path: [container], query, allow: [404] })
      const page = status === 200 ? (JSON.parse(body.toString()) as WireEntry[]) : []
      for (const { name = '', bytes = 0, last_modified: at = '' } of page)
        yield { name, size: bytes, modifiedAt: new Date(`${at}Z`) }
      const last = page.at(-1)?.name
      if (last === undefined) return
      marker = last
    }
  }
}
