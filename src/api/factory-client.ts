/**
 * The factory as its clients see it, typed: builds of the embedded service (over a socket file) or of an Ingot elsewhere.
 * Answers are the wire's own shapes; refusals are the failures that the other side met.
 */
import { setTimeout as wait } from 'node:timers/promises'
import type { Context } from '../base/context.ts'
import { Failure, isFailure } from '../base/failure.ts'
import { readEvents } from '../bytes/event-stream.ts'
import { openClientHttp, readAll, wholeBody } from './_client-http.ts'
import type { ClientOptions, UploadData } from './client.ts'
import type {
  WireBuild,
  WireBuilds,
  WireLeftover,
  WireLogEntry,
  WireOrder,
  WirePart,
} from './factory-wire.ts'

/** What happens to a build, for who follows it. */
export type BuildEvent =
  | { readonly kind: 'build'; readonly build: WireBuild }
  | { readonly kind: 'log'; readonly entry: WireLogEntry }

/** Secrets for what is at a provider, where the configuration has none. */
export interface BuildSecrets {
  readonly definition?: unknown
  readonly credentials?: unknown
}

export interface Artifact {
  /** Bytes, if they are known. */
  readonly length: number | undefined
  readonly fileName: string | undefined
  readonly stream: AsyncIterable<Uint8Array>
}

export interface FactoryClient extends AsyncDisposable {
  order(order: WireOrder): Promise<WireBuild>
  import(
    data: UploadData,
    options: { readonly name?: string | undefined; readonly parameters?: object },
  ): Promise<WireBuild>
  /** All builds that a query (`type`, `status`, `target`, `name`, …) finds, newest first, page after page. */
  list(query?: Readonly<Record<string, string>>): AsyncGenerator<WireBuild>
  show(id: string): Promise<WireBuild>
  /** By id, else the newest of the name, first among those that `preferred` finds. Fails with BUILD_NOT_FOUND. */
  find(idOrName: string, preferred?: Readonly<Record<string, string>>): Promise<WireBuild>
  /** From an entry of its log on, until it has ended; a connection that breaks is made again. Fails with BUILD_NOT_FOUND. */
  follow(id: string, after?: number): AsyncGenerator<BuildEvent>
  log(id: string, after?: number): AsyncGenerator<WireLogEntry>
  document(id: string, kind: string): Promise<Buffer>
  artifact(id: string): Promise<Artifact>
  /** These three are done also when we are told to stop meanwhile. */
  cancel(id: string): Promise<WireBuild>
  retry(id: string, secrets?: BuildSecrets): Promise<WireBuild>
  delete(id: string, how?: BuildSecrets & { readonly keep?: boolean }): Promise<void>
  parts(): Promise<readonly WirePart[]>
  /** Builders look around in `cloud`, or where they build if nobody says where. */
  leftovers(cloud?: string): Promise<readonly WireLeftover[]>
  /** Gives what is left still. */
  reap(id?: string, cloud?: string): Promise<readonly WireLeftover[]>
}

const BUILDS = '/ingot/v1/builds'
const LEFTOVERS = '/ingot/v1/leftovers'
const UUID = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i
/** Between two tries to come back to a server that went away, and how often it is tried. */
const AGAIN_MS = 1000
const TRIES = 60

/**
 * Opens a client; nothing is asked yet. Its functions fail with what the factory's own failures are,
 * REMOTE_UNREACHABLE, INTERRUPTED.
 */
export function openFactoryClient(options: ClientOptions, context: Context): FactoryClient {
  const http = openClientHttp(options, context)
  const { send, base } = http
  const askJson = async <T>(method: string, path: string, json?: object, undoes = false) => {
    const headers = json === undefined ? {} : { 'content-type': 'application/json' }
    const text = (await readAll(await send({ method, path, headers, json, undoes }))).toString()
    return (text === '' ? undefined : JSON.parse(text)) as T
  }
  const show = async (id: string) => await askJson<WireBuild>('GET', pathOf(id))
  async function* list(query: Readonly<Record<string, string>> = {}) {
    const parameters = new URLSearchParams({ limit: '200', ...query })
    let path: string | undefined = `${BUILDS}?${parameters.toString()}`
    while (path !== undefined) {
      const page: WireBuilds = await askJson('GET', path)
      yield* page.builds
      path = page.next
    }
  }
  const openEvents = async (id: string, after: number) => {
    const headers = { accept: 'text/event-stream', 'last-event-id': String(after) }
    return wholeBody(await send({ method: 'GET', path: pathOf(id, '/events'), headers }), base)
  }

  return {
    list,
    show,
    order: async (order) => await askJson('POST', BUILDS, order),
    import: async (data, { name, parameters }) => {
      const query = new URLSearchParams()
      if (name !== undefined) query.set('name', name)
      if (parameters !== undefined) query.set('parameters', JSON.stringify(parameters))
      const headers = {
        'content-type': 'application/octet-stream',
        ...(data.size !== undefined && { 'content-length': String(data.size) }),
      }
      const path = `${BUILDS}/import?${query.toString()}`
      const answer = await readAll(await send({ method: 'POST', path, headers, data }))
      return JSON.parse(answer.toString()) as WireBuild
    },
    find: async (idOrName, preferred) => {
      if (UUID.test(idOrName)) return await show(idOrName)
      for (const query of [...(preferred === undefined ? [] : [preferred]), {}])
        for await (const build of list({ ...query, name: idOrName, limit: '1' })) return build
      throw new Failure('BUILD_NOT_FOUND', `no factory image ${idOrName}`)
    },
    follow: (id, after = 0) => followEvents((from) => openEvents(id, from), after, context.signal),
    log: async function* (id, after = 0) {
      for (let from: number | undefined = after; from !== undefined;) {
        const page: { entries: WireLogEntry[]; next?: number } = await askJson(
          'GET',
          pathOf(id, `/log?after=${from}`),
        )
        yield* page.entries
        from = page.next
      }
    },
    document: async (id, kind) =>
      await readAll(
        await send({ method: 'GET', path: pathOf(id, `/documents/${encodeURIComponent(kind)}`) }),
      ),
    artifact: async (id) => {
      const path = pathOf(id, '/artifact')
      const response = await send({ method: 'GET', path, headers: { accept: '*/*' } })
      const { 'content-length': length, 'content-disposition': disposition } = response.headers
      return {
        length: length === undefined ? undefined : Number(length),
        fileName: /filename="([^"]+)"/.exec(disposition ?? '')?.[1],
        stream: wholeBody(response, base),
      }
    },
    cancel: async (id) => await askJson('POST', pathOf(id, '/cancel'), undefined, true),
    retry: async (id, secrets) => await askJson('POST', pathOf(id, '/retry'), secrets, true),
    delete: async (id, { keep = false, ...secrets } = {}) =>
      await askJson('DELETE', pathOf(id, keep ? '?keep=true' : ''), secrets, true),
    parts: async () => (await askJson<{ plugins: WirePart[] }>('GET', '/ingot/v1/plugins')).plugins,
    leftovers: async (cloud) => {
      const path =
        cloud === undefined ? LEFTOVERS : `${LEFTOVERS}?cloud=${encodeURIComponent(cloud)}`
      return (await askJson<{ leftovers: WireLeftover[] }>('GET', path)).leftovers
    },
    reap: async (id, cloud) => {
      const body = {
        ...(id !== undefined && { build_id: id }),
        ...(cloud !== undefined && { cloud }),
      }
      return (await askJson<{ leftovers: WireLeftover[] }>('POST', LEFTOVERS, body)).leftovers
    },
    [Symbol.asyncDispose]: () => http[Symbol.asyncDispose](),
  }
}

/** Events until the last one; after a break from where it was. */
async function* followEvents(
  open: (after: number) => Promise<AsyncIterable<Uint8Array>>,
  after: number,
  signal: AbortSignal,
): AsyncGenerator<BuildEvent> {
  let from = after
  for (let tries = 0; ; tries++) {
    try {
      for await (const { event, id, data } of readEvents(await open(from))) {
        tries = 0
        if (id !== undefined) from = Number(id)
        if (event === 'log') yield { kind: 'log', entry: JSON.parse(data) as WireLogEntry }
        const build = event === 'log' ? null : (JSON.parse(data) as WireBuild | null)
        if (build !== null) yield { kind: 'build', build }
        if (event === 'end') return
      }
    } catch (error) {
      const isBreak = isFailure(error, 'REMOTE_UNREACHABLE') || isCut(error)
      if (!isBreak || tries >= TRIES) throw error
    }
    await wait(AGAIN_MS, undefined, { signal }).catch(() => {
      throw new Failure('INTERRUPTED', 'interrupted')
    })
  }
}

function isCut(error: unknown): boolean {
  return isFailure(error, 'READER_GONE') || isFailure(error, 'IMAGE_TRUNCATED')
}

function pathOf(id: string, rest = ''): string {
  return `${BUILDS}/${encodeURIComponent(id)}${rest}`
}
