/**
 * The image service as its clients see it, typed: the one way in which the command speaks to a service, be it the
 * embedded one (over a socket file), an Ingot elsewhere, or a Glance. Answers are the wire's own shapes.
 */
import type { Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { openClientHttp, readAll, wholeBody } from './_client-http.ts'

/** An image on the wire; what stands at its top level besides these is a property. */
export interface WireImage {
  readonly id: string
  readonly name: string | null
  readonly status: string
  readonly visibility: string
  readonly disk_format: string | null
  readonly container_format: string | null
  readonly size: number | null
  readonly virtual_size: number | null
  readonly checksum: string | null
  readonly os_hash_algo: string | null
  readonly os_hash_value: string | null
  readonly owner: string | null
  readonly tags: readonly string[]
  readonly [property: string]: unknown
}

/** A task of an image, as `GET /v2/images/{id}/tasks` tells it. */
export interface WireTask {
  readonly id: string
  readonly type: string
  readonly status: 'pending' | 'processing' | 'success' | 'failure'
  readonly message: string
  readonly [key: string]: unknown
}

/** A format that an image can be had in. */
export interface WireFormat {
  readonly name: string
  readonly media_type: string
  readonly size: number | null
  readonly digest: string | null
  readonly stored: boolean
  readonly summary: string
}

export type PatchOperation =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string }

export interface Download {
  /** Bytes that are still to come. */
  readonly length: number | undefined
  readonly etag: string | undefined
  readonly stream: AsyncIterable<Uint8Array>
}

export interface ImageClient extends AsyncDisposable {
  /** All images that a query (`name`, `status`, `tag`, …) finds, page after page. */
  list(query?: Readonly<Record<string, string | readonly string[]>>): AsyncGenerator<WireImage>
  /** By id, else by name. Fails with IMAGE_NOT_FOUND; with USAGE when several have the name. */
  find(idOrName: string): Promise<WireImage>
  show(id: string): Promise<WireImage>
  create(image: Readonly<Record<string, unknown>>): Promise<WireImage>
  change(id: string, operations: readonly PatchOperation[]): Promise<WireImage>
  /** It is done also when we are told to stop meanwhile. */
  delete(id: string): Promise<void>
  /** Puts the data of a queued image, or stages it for an import. */
  upload(id: string, to: 'file' | 'stage', data: UploadData): Promise<void>
  /** The data as it is stored; with `format`, in that one; from a byte on. */
  download(
    id: string,
    wish?: {
      readonly format?: string
      readonly compressed?: boolean
      readonly from?: number
      readonly etag?: string
    },
  ): Promise<Download>
  import(id: string, request: Readonly<Record<string, unknown>>): Promise<void>
  tasks(id: string): Promise<readonly WireTask[]>
  formats(id: string): Promise<readonly WireFormat[]>
  members(id: string): Promise<readonly { member_id: string; status: string }[]>
  share(id: string, project: string): Promise<void>
  unshare(id: string, project: string): Promise<void>
}

export interface UploadData {
  readonly stream: AsyncIterable<Uint8Array>
  /** Bytes; undefined when it is not known before the end. */
  readonly size: number | undefined
  readonly store?: string | undefined
}

export interface ClientOptions {
  /** `http://host:9292`; without `/v2`. */
  readonly endpoint: string
  /** Speak over this socket file instead of to the endpoint's host. */
  readonly socketPath?: string | undefined
  /** Asked for every request; undefined: none is needed. */
  readonly token?: (() => Promise<string | undefined>) | undefined
  /** The token was refused: forget it. The request is made once more. */
  readonly forgetToken?: ((token: string) => void) | undefined
  readonly authorities?: string | undefined
  readonly insecure?: boolean | undefined
}

const PATCH = 'application/openstack-images-v2.1-json-patch'
const UUID = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i

/**
 * Opens a client; nothing is asked yet. Its functions fail with what the service's own failures are,
 * REMOTE_UNREACHABLE, INTERRUPTED.
 */
export function openImageClient(options: ClientOptions, context: Context): ImageClient {
  const http = openClientHttp(options, context)
  const { send, base } = http
  const askJson = async <T>(
    method: string,
    path: string,
    json?: unknown,
    type = 'application/json',
  ) => {
    const headers = json === undefined ? {} : { 'content-type': type }
    const text = (await readAll(await send({ method, path, headers, json }))).toString('utf8')
    return (text === '' ? undefined : JSON.parse(text)) as T
  }

  const show = async (id: string) =>
    await askJson<WireImage>('GET', `/v2/images/${encodeURIComponent(id)}`)
  async function* list(query: Readonly<Record<string, string | readonly string[]>> = {}) {
    const parameters = new URLSearchParams()
    for (const [key, value] of Object.entries(query))
      for (const one of typeof value === 'string' ? [value] : value) parameters.append(key, one)
    let path: string | undefined = `/v2/images?${parameters.toString()}`
    while (path !== undefined) {
      const page: { images: WireImage[]; next?: string } = await askJson('GET', path)
      yield* page.images
      path = page.next
    }
  }

  return {
    list,
    show,
    find: async (idOrName) => {
      if (UUID.test(idOrName)) return await show(idOrName)
      const named: WireImage[] = []
      for await (const one of list({ name: `in:"${idOrName.replaceAll('"', '\\"')}"` }))
        named.push(one)
      const [first, second] = named
      if (first === undefined) throw new Failure('IMAGE_NOT_FOUND', `no image ${idOrName}`)
      if (second !== undefined)
        throw new Failure('USAGE', `${named.length} images are called ${idOrName}`, {
          fix: `Name one by its id: ${named.map(({ id }) => id).join(', ')}`,
        })
      return first
    },
    create: async (given) => await askJson('POST', '/v2/images', given),
    change: async (id, operations) => await askJson('PATCH', image(id, ''), operations, PATCH),
    delete: async (id) => {
      await readAll(await send({ method: 'DELETE', path: image(id, ''), undoes: true }))
    },
    upload: async (id, to, data) => {
      const headers = {
        'content-type': 'application/octet-stream',
        ...(data.store !== undefined && { 'x-image-meta-store': data.store }),
        ...(data.size !== undefined && { 'content-length': String(data.size) }),
      }
      await readAll(await send({ method: 'PUT', path: image(id, `/${to}`), headers, data }))
    },
    download: async (id, { format, compressed, from = 0, etag } = {}) => {
      const parameters = new URLSearchParams()
      if (format !== undefined) parameters.set('disk_format', format)
      if (compressed === true) parameters.set('compressed', 'true')
      const query = parameters.size > 0 ? `?${parameters.toString()}` : ''
      const headers = {
        accept: '*/*',
        ...(from > 0 && { range: `bytes=${from}-` }),
        ...(from > 0 && etag !== undefined && { 'if-range': etag }),
      }
      const response = await send({ method: 'GET', path: image(id, `/file${query}`), headers })
      if (response.statusCode === 204)
        throw new Failure('IMAGE_STATE', `image ${id} has no data yet`)
      if (from > 0 && response.statusCode !== 206)
        throw new Failure('IMAGE_CHANGED', `image ${id} cannot be gone on with at byte ${from}`)
      const length = response.headers['content-length']
      return {
        length: length === undefined ? undefined : Number(length),
        etag: response.headers.etag,
        stream: wholeBody(response, base),
      }
    },
    import: async (id, request) => await askJson('POST', image(id, '/import'), request),
    tasks: async (id) => (await askJson<{ tasks: WireTask[] }>('GET', image(id, '/tasks'))).tasks,
    formats: async (id) =>
      (await askJson<{ formats: WireFormat[] }>('GET', image(id, '/formats'))).formats,
    members: async (id) =>
      (
        await askJson<{ members: { member_id: string; status: string }[] }>(
          'GET',
          image(id, '/members'),
        )
      ).members,
    share: async (id, member) => await askJson('POST', image(id, '/members'), { member }),
    unshare: async (id, member) =>
      await askJson('DELETE', image(id, `/members/${encodeURIComponent(member)}`)),
    [Symbol.asyncDispose]: () => http[Symbol.asyncDispose](),
  }
}

function image(id: string, rest: string): string {
  return `/v2/images/${encodeURIComponent(id)}${rest}`
}
