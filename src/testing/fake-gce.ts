/**
 * A small Google in this process: resumable uploads of Cloud Storage, and images of Compute Engine. It checks the signature,
 * claims and scopes of each token, the order of chunks, and what an image must be made of.
 * Source: AIP-4111; "Cloud Storage JSON API", resumable uploads; "Compute Engine API v1", images and operations.
 */
import { generateKeyPairSync, randomUUID, verify } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import { gunzipSync } from 'node:zlib'
import { KiB } from '../base/units.ts'
import { endServer, listen } from './listen.ts'

export interface FakeGoogle extends AsyncDisposable {
  readonly endpoint: string
  /** As the file of a service account has them. */
  readonly credentials: { client_email: string; private_key: string; project_id: string }
  readonly bucket: string
  readonly objects: ReadonlyMap<string, Buffer>
  readonly images: ReadonlyMap<string, FakeGoogleImage>
  readonly asked: readonly string[]
  /** Bytes of chunks that were taken. */
  readonly received: { bytes: number }
  readonly trouble: {
    /** So many answers are 503. */
    failNext: number
    /** So many chunks are taken only in part. */
    shorten: number
    /** What the next images fail with: `QUOTA_EXCEEDED`. */
    imageError: string | undefined
  }
}

export interface FakeGoogleImage {
  readonly name: string
  readonly labels: Record<string, string>
  /** All that was said of it. */
  readonly said: Record<string, unknown>
  /** The archive, unpacked. */
  readonly tar: Buffer
}

class Refusal extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

interface Answer {
  readonly status?: number
  readonly headers?: Record<string, string>
  readonly json?: unknown
}

const NAME = /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/
const CHUNK = 256 * KiB

export async function openFakeGoogle(): Promise<FakeGoogle> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  const credentials = {
    client_email: 'builder@project-1.iam.gserviceaccount.com',
    private_key: privateKey,
    project_id: 'project-1',
  }
  const bucket = 'builds'
  const objects = new Map<string, Buffer>()
  const images = new Map<string, FakeGoogleImage>()
  const sessions = new Map<string, { name: string; size: number; chunks: Buffer[]; have: number }>()
  const operations = new Map<string, { looks: number; error?: string; target: string }>()
  const asked: string[] = []
  const received = { bytes: 0 }
  const trouble: FakeGoogle['trouble'] = { failNext: 0, shorten: 0, imageError: undefined }

  /** A token that the account has signed, for this hour and both services. */
  const checkToken = ({ headers }: IncomingMessage) => {
    const [, head = '', claims = '', signature = ''] =
      /^Bearer ([\w-]+)\.([\w-]+)\.([\w-]+)$/.exec(headers.authorization ?? '') ?? []
    const isSigned = verify(
      'sha256',
      Buffer.from(`${head}.${claims}`),
      publicKey,
      Buffer.from(signature, 'base64url'),
    )
    if (!isSigned) throw new Refusal(401, 'Invalid Credentials')
    const { iss, sub, scope, iat, exp } = JSON.parse(
      Buffer.from(claims, 'base64url').toString(),
    ) as Record<string, string>
    const now = Date.now() / 1000
    const isTimely =
      Number(iat) <= now + 1 && Number(exp) > now && Number(exp) - Number(iat) <= 3600
    if (iss !== credentials.client_email || sub !== iss || !isTimely)
      throw new Refusal(401, 'claims')
    if (!/auth\/compute\b/.test(scope ?? '') || !/devstorage\.read_write/.test(scope ?? ''))
      throw new Refusal(403, 'Request had insufficient authentication scopes.')
  }

  const beginUpload = ({ headers }: IncomingMessage, query: URLSearchParams): Answer => {
    const name = query.get('name')
    const size = Number(headers['x-upload-content-length'])
    if (query.get('uploadType') !== 'resumable' || !name || !(size > 0))
      throw new Refusal(400, 'upload')
    const id = randomUUID()
    sessions.set(id, { name, size, chunks: [], have: 0 })
    return { headers: { location: `${endpoint}/upload/session/${id}` } }
  }

  const takeChunk = (id: string, { headers }: IncomingMessage, body: Buffer): Answer => {
    const session = sessions.get(id)
    if (session === undefined) throw new Refusal(410, 'no such session')
    if (headers['content-range'] === `bytes */${session.size}`)
      return {
        status: 308,
        ...(session.have > 0 && { headers: { range: `bytes=0-${session.have - 1}` } }),
      }
    const [, from, last, size] =
      /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers['content-range'] ?? '') ?? []
    const isWhole = Number(last) - Number(from) + 1 === body.length && Number(size) === session.size
    const isLast = Number(last) + 1 === session.size
    if (!isWhole || Number(from) !== session.have || (!isLast && body.length % CHUNK !== 0))
      throw new Refusal(400, 'content-range')
    const taken = trouble.shorten > 0 ? body.subarray(0, Math.min(CHUNK, body.length - 1)) : body
    if (trouble.shorten > 0) trouble.shorten--
    session.chunks.push(taken)
    session.have += taken.length
    received.bytes += taken.length
    if (session.have < session.size)
      return { status: 308, headers: { range: `bytes=0-${session.have - 1}` } }
    objects.set(session.name, Buffer.concat(session.chunks))
    sessions.delete(id)
    return { json: { name: session.name, size: String(session.size) } }
  }

  const operation = (target: string, error?: string): Answer => {
    const name = `operation-${randomUUID()}`
    operations.set(name, { looks: 0, target, ...(error !== undefined && { error }) })
    return { json: { name, status: 'PENDING', targetLink: target } }
  }

  const insertImage = (said: Record<string, unknown>): Answer => {
    const {
      name,
      rawDisk,
      sourceType,
      guestOsFeatures,
      labels = {},
    } = said as {
      name?: string
      rawDisk?: { source?: string; containerType?: string }
      sourceType?: string
      guestOsFeatures?: { type?: string }[]
      labels?: Record<string, string>
    }
    if (!NAME.test(name ?? '') || sourceType !== 'RAW') throw new Refusal(400, 'name, sourceType')
    if (images.has(name ?? '')) throw new Refusal(409, 'The resource already exists')
    if (!guestOsFeatures?.every(({ type }) => /^[A-Z0-9_]+$/.test(type ?? '')))
      throw new Refusal(400, 'features')
    const place = `https://storage.googleapis.com/${bucket}/`
    const archive = objects.get(rawDisk?.source?.replace(place, '') ?? '')
    if (archive === undefined || rawDisk?.containerType !== 'TAR') throw new Refusal(400, 'rawDisk')
    const error = trouble.imageError
    trouble.imageError = undefined
    const target = `${endpoint}/compute/v1/projects/project-1/global/images/${name}`
    if (error === undefined)
      images.set(name!, { name: name!, labels, said, tar: gunzipSync(archive) })
    return operation(target, error)
  }

  const lookAtOperation = (name: string): Answer => {
    const found = operations.get(name)
    if (found === undefined) throw new Refusal(404, 'no such operation')
    const isDone = found.looks++ > 0
    const errors = [{ code: found.error, message: 'it was not made' }]
    const ended = found.error === undefined ? {} : { error: { errors } }
    return {
      json: {
        name,
        targetLink: found.target,
        status: isDone ? 'DONE' : 'RUNNING',
        ...(isDone && ended),
      },
    }
  }

  const answer = async (request: IncomingMessage): Promise<Answer> => {
    const { method = '' } = request
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    const body = Buffer.concat(chunks)
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://google')
    asked.push(`${method} ${pathname}`)
    if (trouble.failNext > 0) {
      trouble.failNext--
      throw new Refusal(503, 'Backend Error')
    }
    checkToken(request)
    const session = /^\/upload\/session\/(.+)$/.exec(pathname)?.[1]
    if (session !== undefined) return takeChunk(session, request, body)
    if (pathname === `/upload/storage/v1/b/${bucket}/o`) return beginUpload(request, searchParams)
    const object = new RegExp(`^/storage/v1/b/${bucket}/o/([^/]+)$`).exec(pathname)?.[1]
    if (object !== undefined && method === 'DELETE') {
      if (!objects.delete(decodeURIComponent(object))) throw new Refusal(404, 'no such object')
      return { status: 204 }
    }
    const [, kind, name = ''] =
      /^\/compute\/v1\/projects\/project-1\/global\/(images|operations)(?:\/([^/]+))?$/.exec(
        pathname,
      ) ?? []
    if (kind === 'operations') return lookAtOperation(name)
    if (kind === 'images' && method === 'POST') {
      if (!searchParams.has('requestId')) throw new Refusal(400, 'requestId')
      return insertImage(JSON.parse(body.toString()) as Record<string, unknown>)
    }
    const image = kind === 'images' ? images.get(name) : undefined
    if (image === undefined) throw new Refusal(404, `The resource '${pathname}' was not found`)
    if (method === 'GET') return { json: { name, labels: image.labels } }
    images.delete(name)
    return operation(pathname)
  }

  const server = createServer((request, response) => {
    void answer(request)
      .catch((error: unknown): Answer => {
        const { status, message } =
          error instanceof Refusal ? error : new Refusal(500, String(error))
        return { status, json: { error: { code: status, message } } }
      })
      .then(({ status = 200, headers = {}, json }) =>
        response
          .writeHead(status, headers)
          .end(json === undefined ? undefined : JSON.stringify(json)),
      )
  })
  const endpoint = await listen(server)
  return {
    endpoint,
    credentials,
    bucket,
    objects,
    images,
    asked,
    received,
    trouble,
    [Symbol.asyncDispose]: () => endServer(server),
  }
}
