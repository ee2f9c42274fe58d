/** A cloud target: the disk is PUT to a web server that takes files, such as one with WebDAV, and DELETEd from there. */
import { request as askHttp } from 'node:http'
import { request as askHttps } from 'node:https'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import {
  defineCloudTarget,
  definePlugin,
  Failure,
  type FormattedDisk,
  type Json,
  type PhaseScene,
  type Provider,
  type Static,
  streamFormatted,
  Type,
} from 'ingot/plugin'

const strict = { additionalProperties: false } as const
const options = Type.Object(
  {
    http_format: Type.Optional(
      Type.Union([Type.Literal('qcow2'), Type.Literal('raw'), Type.Literal('vmdk')], {
        description: 'what is sent; default qcow2',
      }),
    ),
  },
  strict,
)
const providerOptions = Type.Object(
  {
    url: Type.String({
      pattern: '^https?://[^?#]+/$',
      maxLength: 2000,
      description: 'the directory that images are put into, with a slash at its end',
    }),
  },
  strict,
)
const credentials = Type.Object(
  {
    token: Type.Optional(
      Type.String({ minLength: 1, maxLength: 8192, secret: true, description: 'a bearer token' }),
    ),
  },
  strict,
)
type Shelf = Provider<Static<typeof providerOptions>, Static<typeof credentials>>

export const httpPutTarget = defineCloudTarget<
  Static<typeof options>,
  Shelf['options'],
  Shelf['credentials']
>({
  name: 'http-put',
  summary: 'A web server that takes files by PUT',
  options,
  provider: { options: providerOptions, credentials },
  format: ({ http_format = 'qcow2' }) => http_format,

  async push(job) {
    const { provider, image, holdings } = job
    const disk = await job.disk.open(job.options.http_format ?? 'qcow2')
    const name = `${image.id}-${disk.fileName}`
    // Written down before it is made: whatever happens from here on, `clear` is told of it.
    const holding = await holdings.add({ name })
    await job.phase({ name: 'sending the disk', from: 0, to: 99 }, async (scene) =>
      send(provider, name, disk, scene),
    )
    await holding.drop()
    return { identifier: name, properties: { url: new URL(name, provider.options.url).href } }
  },

  async remove({ identifierOnProvider: name }, provider, { signal }) {
    if (name !== null) await drop(provider, name, signal)
  },

  async clear(things, provider, { signal }) {
    for (const name of things.map(nameIn))
      if (name !== undefined) await drop(provider, name, signal)
    return []
  },
})

export const plugin = definePlugin({ name: 'http-put', cloudTargets: [httpPutTarget] })

async function send(
  shelf: Shelf,
  name: string,
  disk: FormattedDisk,
  { signal, tell }: PhaseScene,
): Promise<void> {
  const headers = { 'content-type': disk.mediaType, 'content-length': disk.size }
  await ask(shelf, name, {
    method: 'PUT',
    headers,
    signal,
    body: Readable.from(streamFormatted(disk, signal, tell)),
  })
}

/** That it is gone already is success. */
async function drop(shelf: Shelf, name: string, signal: AbortSignal): Promise<void> {
  await ask(shelf, name, { method: 'DELETE', headers: {}, signal, body: Readable.from([]) }, [404])
}

interface Question {
  readonly method: string
  readonly headers: Readonly<Record<string, string | number>>
  readonly signal: AbortSignal
  readonly body: Readable
}

/** Follows no redirection: the token is for this server only. */
async function ask(
  { name: provider, options: { url }, credentials: { token } }: Shelf,
  name: string,
  { method, headers, signal, body }: Question,
  alsoFine: readonly number[] = [],
): Promise<void> {
  const address = new URL(encodeURIComponent(name), url)
  const asking = (address.protocol === 'https:' ? askHttps : askHttp)(address, {
    method,
    signal,
    headers: { ...headers, ...(token !== undefined && { authorization: `Bearer ${token}` }) },
  })
  const answered = new Promise<number>((resolve, reject) => {
    asking.on('error', reject)
    asking.on('response', (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
  })
  const sent = pipeline(body, asking)
  sent.catch(() => {}) // a server may answer before it has taken all: then its answer counts
  const status = await answered.catch((cause: unknown) => {
    signal.throwIfAborted()
    throw new Failure('CLOUD_AWAY', `${provider}: ${method} ${name} was not answered`, { cause })
  })
  if ((status >= 200 && status < 300) || alsoFine.includes(status)) {
    await sent
    return
  }
  const code = status === 401 || status === 403 ? 'CLOUD_DENIED' : 'CLOUD_FAILED'
  throw new Failure(code, `${provider}: ${method} ${name} was answered with ${status}`)
}

function nameIn(thing: Json): string | undefined {
  if (typeof thing !== 'object' || thing === null || !('name' in thing)) return undefined
  return typeof thing.name === 'string' ? thing.name : undefined
}
