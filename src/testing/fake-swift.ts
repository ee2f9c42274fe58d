/**
 * A small Swift in this process: accounts opened by its own auth (v1) or by tokens that a Keystone finds good,
 * containers that must be there, ETags that must fit, static and dynamic large objects, listings in pages.
 */
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { md5Of, sendBytes, type Trouble } from './_fake-objects.ts'
import { endServer, listen } from './listen.ts'

export interface FakeSwift extends AsyncDisposable {
  /** For auth version 1, with `user` and `password`. */
  readonly authUrl: string
  readonly user: string
  readonly password: string
  /** The account, as the catalogue of a Keystone names it. */
  readonly storageUrl: string
  /** `PUT /v1/AUTH_test/images/key` and so on, in order. */
  readonly asked: readonly string[]
  names(container: string): string[]
  /** Every token ends now. */
  endTokens(): void
  readonly trouble: Trouble
}

export interface FakeSwiftOptions {
  /** Whether a token is good; left out: those that v1 auth gave. */
  readonly isGoodToken?: (token: string) => Promise<boolean>
  /** Segments in one manifest. 0: no static large objects. Default 1000. */
  readonly manifestSegments?: number
  /** Entries in one page of a listing. Default 10,000. */
  readonly pageSize?: number
}

interface Stored {
  readonly bytes: Buffer
  readonly etag: string
  readonly at: Date
  /** Of a static large object: paths of its segments. */
  readonly segments?: readonly string[]
  /** Of a dynamic one: `container/prefix`. */
  readonly prefix?: string
}

type Container = Map<string, Stored>

interface Entry {
  readonly path: string
  readonly etag: string
  readonly size_bytes: number
}

class Refusal extends Error {
  readonly status: number
  constructor(status: number, message = '') {
    super(message)
    this.status = status
  }
}

const ACCOUNT = '/v1/AUTH_test'
/** A segment may be no manifest of manifests of manifests… */
const MAX_DEPTH = 10

export async function openFakeSwift(options: FakeSwiftOptions = {}): Promise<FakeSwift> {
  const { isGoodToken, manifestSegments = 1000, pageSize = 10_000 } = options
  const asked: string[] = []
  const trouble: Trouble = { failNext: 0, breakNext: 0, quota: Number.POSITIVE_INFINITY }
  const login = { user: 'test:tester', password: randomUUID() }
  const tokens = new Set<string>()
  const containers = new Map<string, Container>()
  const contentOf = (object: Stored, depth = 0): Buffer => {
    if (depth > MAX_DEPTH) throw new Refusal(409, 'too deep')
    if (object.prefix !== undefined) {
      const [name = '', ...rest] = object.prefix.split('/')
      const parts = [...(containers.get(name) ?? [])]
        .filter(([key]) => key.startsWith(rest.join('/')))
        .toSorted(([one], [other]) => (one < other ? -1 : 1))
      return Buffer.concat(parts.map(([, part]) => contentOf(part, depth + 1)))
    }
    if (object.segments === undefined) return object.bytes
    return Buffer.concat(
      object.segments.map((path) => {
        const segment = at(path)
        if (!segment) throw new Refusal(409, `no segment ${path}`)
        return contentOf(segment, depth + 1)
      }),
    )
  }
  const at = (path: string): Stored | undefined => {
    const [name = '', ...rest] = path.replace(/^\//, '').split('/')
    return containers.get(name)?.get(rest.join('/'))
  }
  const used = () =>
    [...containers.values()]
      .flatMap((container) => [...container.values()])
      .reduce((sum, { bytes }) => sum + bytes.length, 0)

  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    asked.push(`${request.method} ${request.url}`)
    const body = await bodyOf(request)
    const { pathname, searchParams: query } = new URL(request.url ?? '', 'http://swift')
    if (pathname === '/auth/v1.0') return logIn(request, response)
    if (pathname === '/info') {
      const slo = { max_manifest_segments: manifestSegments, min_segment_size: 1 }
      const info = { swift: { version: '2.30' }, ...(manifestSegments > 0 && { slo }) }
      return void response.end(JSON.stringify(info))
    }
    if (trouble.failNext > 0) {
      trouble.failNext--
      throw new Refusal(503)
    }
    const token = String(request.headers['x-auth-token'])
    const good = isGoodToken ? await isGoodToken(token) : tokens.has(token)
    if (!good) throw new Refusal(401)
    if (!pathname.startsWith(`${ACCOUNT}/`)) throw new Refusal(403)
    const [name = '', ...rest] = pathname
      .slice(ACCOUNT.length + 1)
      .split('/')
      .map(decodeURIComponent)
    const key = rest.join('/')
    const { method = '' } = request
    if (key === '' && method === 'PUT') {
      const isNew = !containers.has(name)
      if (isNew) containers.set(name, new Map())
      return void response.writeHead(isNew ? 201 : 202).end()
    }
    const container = containers.get(name)
    if (!container) throw new Refusal(404)
    if (key === '') return list(container, query, response)
    if (method === 'PUT') return put(request, response, container, key, body, query)
    const object = container.get(key)
    if (!object) throw new Refusal(404)
    if (method === 'DELETE') {
      if (query.get('multipart-manifest') === 'delete') {
        if (object.segments === undefined) throw new Refusal(400, 'Not an SLO manifest')
        removeSegments(object)
      }
      container.delete(key)
      return void response.writeHead(204).end()
    }
    const whole = { ...object, bytes: contentOf(object) }
    const more: Record<string, string> = object.segments ? { 'x-static-large-object': 'True' } : {}
    if (!sendBytes(request, response, whole, trouble, more)) throw new Refusal(416)
  }

  const logIn = ({ headers }: IncomingMessage, response: ServerResponse) => {
    if (headers['x-auth-user'] !== login.user || headers['x-auth-key'] !== login.password)
      throw new Refusal(401)
    const token = `AUTH_tk${randomUUID()}`
    tokens.add(token)
    response.writeHead(200, { 'x-auth-token': token, 'x-storage-url': swift.storageUrl }).end()
  }

  const list = (container: Container, query: URLSearchParams, response: ServerResponse) => {
    if (query.get('format') !== 'json') throw new Refusal(406)
    const marker = query.get('marker') ?? ''
    const limit = Math.min(pageSize, Number(query.get('limit') ?? pageSize))
    const rows = [...container.entries()]
      .filter(([name]) => name.startsWith(query.get('prefix') ?? '') && name > marker)
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
      .slice(0, limit)
      .map(([name, object]) => ({
        name,
        // Of a large object that is dynamic, a listing knows only the manifest.
        bytes: object.segments ? contentOf(object).length : object.bytes.length,
        hash: object.etag,
        last_modified: object.at.toISOString().replace('Z', '000'),
      }))
    response.end(JSON.stringify(rows))
  }

  const put = (
    { headers }: IncomingMessage,
    response: ServerResponse,
    container: Container,
    key: string,
    body: Buffer,
    query: URLSearchParams,
  ) => {
    if (used() + body.length > trouble.quota) throw new Refusal(413, 'Upload exceeds quota.')
    const isManifest = query.get('multipart-manifest') === 'put' && manifestSegments > 0
    const segments = isManifest ? checkManifest(body) : undefined
    const etag = segments ? md5Of(segments.map((one) => one.etag).join('')) : md5Of(body)
    if (headers.etag !== undefined && headers.etag !== etag) throw new Refusal(422)
    const prefix = headers['x-object-manifest']
    container.set(key, {
      bytes: segments ? Buffer.alloc(0) : body,
      etag,
      at: new Date(),
      ...(segments && { segments: segments.map(({ path }) => path) }),
      ...(typeof prefix === 'string' && { prefix: decodeURIComponent(prefix) }),
    })
    response.writeHead(201, { etag: isManifest ? `"${etag}"` : etag }).end()
  }

  const checkManifest = (body: Buffer): readonly Entry[] => {
    const entries = JSON.parse(body.toString()) as Entry[]
    if (entries.length === 0 || entries.length > manifestSegments)
      throw new Refusal(400, 'Number of segments')
    for (const { path, etag, size_bytes: size } of entries) {
      const segment = at(path)
      if (!segment || segment.etag !== etag || contentOf(segment).length !== size)
        throw new Refusal(400, `${path}: does not fit`)
    }
    return entries
  }

  const removeSegments = ({ segments = [] }: Stored) => {
    for (const path of segments) {
      const segment = at(path)
      if (segment) removeSegments(segment)
      const [name = '', ...rest] = path.replace(/^\//, '').split('/')
      containers.get(name)?.delete(rest.join('/'))
    }
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      const status = error instanceof Refusal ? error.status : 500
      const message = error instanceof Error ? error.message : ''
      response.writeHead(status, { 'content-type': 'text/html' })
      response.end(request.method === 'HEAD' ? undefined : `<html><h1>${message}</h1></html>`)
    })
  })
  const base = await listen(server)
  const swift: FakeSwift = {
    authUrl: `${base}/auth/v1.0`,
    ...login,
    storageUrl: `${base}${ACCOUNT}`,
    asked,
    trouble,
    names: (container) => [...(containers.get(container)?.keys() ?? [])],
    endTokens: () => tokens.clear(),
    [Symbol.asyncDispose]: () => endServer(server),
  }
  return swift
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks)
}
