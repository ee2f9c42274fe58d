/**
 * A small S3 server in this process, of the strict and old kind: it checks every signature, MD5 and digest,
 * knows no newer check sums, and holds multipart uploads to their rules. Buckets are addressed by path.
 */
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { md5Of, sendBytes, type Trouble } from './_fake-objects.ts'
import { signatureFault } from './_signature-4.ts'
import { endServer, listen } from './listen.ts'

export interface FakeS3 extends AsyncDisposable {
  readonly endpoint: string
  readonly accessKey: string
  readonly secretKey: string
  /** `PUT /bucket/key?partNumber=1&uploadId=…` and so on, in order. */
  readonly asked: readonly string[]
  /** Names of objects, and of uploads that were neither completed nor aborted. */
  objects(bucket: string): string[]
  uploads(bucket: string): string[]
  /** What an object holds. */
  content(bucket: string, key: string): Buffer | undefined
  /** What goes wrong from now on. */
  readonly trouble: Trouble
}

export interface FakeS3Options {
  /** Buckets that are there. */
  readonly buckets?: readonly string[]
  /** Parts but the last may not be smaller. Default 5 MiB, as Amazon's. */
  readonly minPart?: number
  /** Entries in one page of a listing. Default 1000. */
  readonly pageSize?: number
}

interface Stored {
  readonly bytes: Buffer
  readonly etag: string
  readonly at: Date
}

interface Upload {
  readonly key: string
  readonly id: string
  readonly at: Date
  readonly parts: Map<number, Stored>
}

interface Bucket {
  readonly objects: Map<string, Stored>
  readonly uploads: Map<string, Upload>
}

class Refusal extends Error {
  readonly status: number
  constructor(status: number, name: string, message = name) {
    super(message)
    this.status = status
    this.name = name
  }
}

const REGION = 'us-east-1'

export async function openFakeS3(options: FakeS3Options = {}): Promise<FakeS3> {
  const { buckets: names = [], minPart = 5 * 1024 * 1024, pageSize = 1000 } = options
  const keys = { accessKey: 'AKIDFAKE', secretKey: randomUUID() }
  const asked: string[] = []
  const trouble: Trouble = { failNext: 0, breakNext: 0, quota: Number.POSITIVE_INFINITY }
  const buckets = new Map(names.map((name) => [name, newBucket()]))
  const used = () =>
    [...buckets.values()]
      .flatMap(({ objects }) => [...objects.values()])
      .reduce((sum, { bytes }) => sum + bytes.length, 0)

  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    asked.push(`${request.method} ${request.url}`)
    const body = await bodyOf(request)
    if (trouble.failNext > 0) {
      trouble.failNext--
      throw new Refusal(503, 'SlowDown', 'Please reduce your request rate.')
    }
    const fault = signatureFault(request, body, { ...keys, region: REGION, service: 's3' })
    if (fault !== undefined) throw new Refusal(fault.status, fault.name)
    checkContent(request, body)
    const { pathname, searchParams: query } = new URL(request.url ?? '', 'http://s3')
    const [, name = '', ...rest] = pathname.split('/').map(decodeURIComponent)
    const key = rest.join('/')
    const { method = '' } = request
    if (key === '' && method === 'PUT') {
      buckets.set(name, newBucket())
      return void response.writeHead(200).end()
    }
    const bucket = buckets.get(name)
    if (!bucket) throw new Refusal(404, 'NoSuchBucket', 'The specified bucket does not exist')
    if (key === '') return ofBucket(method, name, bucket, query, response)
    if (query.has('uploadId') || query.has('uploads'))
      return ofUpload(method, bucket, key, query, body, response)
    if (method === 'PUT') {
      if (used() + body.length > trouble.quota) throw new Refusal(403, 'QuotaExceeded')
      const etag = `"${md5Of(body)}"`
      bucket.objects.set(key, { bytes: body, etag, at: new Date() })
      return void response.writeHead(200, { etag }).end()
    }
    if (method === 'DELETE') {
      bucket.objects.delete(key)
      return void response.writeHead(204).end()
    }
    const object = bucket.objects.get(key)
    if (!object) throw new Refusal(404, 'NoSuchKey', 'The specified key does not exist.')
    if (!sendBytes(request, response, object, trouble)) throw new Refusal(416, 'InvalidRange')
  }

  const ofBucket = (
    method: string,
    name: string,
    { objects, uploads }: Bucket,
    query: URLSearchParams,
    response: ServerResponse,
  ) => {
    if (method === 'HEAD') return void response.writeHead(200).end()
    if (method !== 'GET') throw new Refusal(405, 'MethodNotAllowed')
    const prefix = query.get('prefix') ?? ''
    if (query.has('uploads')) {
      const from = query.get('upload-id-marker')
      const all = [...uploads.values()].filter(({ key }) => key.startsWith(prefix))
      const start = from === null ? 0 : all.findIndex(({ id }) => id === from) + 1
      const page = all.slice(start, start + pageSize)
      const more = start + pageSize < all.length
      const rows = page.map(
        ({ key, id, at }) =>
          `<Upload><Key>${key}</Key><UploadId>${id}</UploadId><Initiated>${at.toISOString()}</Initiated></Upload>`,
      )
      const marker = more
        ? `<NextKeyMarker>${page.at(-1)?.key}</NextKeyMarker><NextUploadIdMarker>${page.at(-1)?.id}</NextUploadIdMarker>`
        : ''
      return xml(
        response,
        'ListMultipartUploadsResult',
        `<Bucket>${name}</Bucket><IsTruncated>${more}</IsTruncated>${marker}${rows.join('')}`,
      )
    }
    const all = [...objects.keys()].filter((key) => key.startsWith(prefix)).toSorted()
    const start = Number(query.get('continuation-token') ?? 0)
    const more = start + pageSize < all.length
    const rows = all.slice(start, start + pageSize).map((key) => {
      const { bytes, at, etag } = objects.get(key)!
      return `<Contents><Key>${key}</Key><LastModified>${at.toISOString()}</LastModified><ETag>${etag}</ETag><Size>${bytes.length}</Size></Contents>`
    })
    const next = more ? `<NextContinuationToken>${start + pageSize}</NextContinuationToken>` : ''
    return xml(
      response,
      'ListBucketResult',
      `<Name>${name}</Name><IsTruncated>${more}</IsTruncated>${next}${rows.join('')}`,
    )
  }

  const ofUpload = (
    method: string,
    bucket: Bucket,
    key: string,
    query: URLSearchParams,
    body: Buffer,
    response: ServerResponse,
  ) => {
    if (method === 'POST' && query.has('uploads')) {
      const id = randomUUID()
      bucket.uploads.set(id, { key, id, at: new Date(), parts: new Map() })
      return xml(response, 'InitiateMultipartUploadResult', `<UploadId>${id}</UploadId>`)
    }
    const upload = bucket.uploads.get(query.get('uploadId') ?? '')
    if (!upload || upload.key !== key)
      throw new Refusal(404, 'NoSuchUpload', 'The specified upload does not exist.')
    if (method === 'PUT') {
      const number = Number(query.get('partNumber'))
      if (!(number >= 1 && number <= 10_000)) throw new Refusal(400, 'InvalidArgument')
      const etag = `"${md5Of(body)}"`
      upload.parts.set(number, { bytes: body, etag, at: new Date() })
      return void response.writeHead(200, { etag }).end()
    }
    if (method === 'DELETE') {
      bucket.uploads.delete(upload.id)
      return void response.writeHead(204).end()
    }
    if (method === 'GET') {
      const rows = [...upload.parts].map(
        ([number, { bytes, etag }]) =>
          `<Part><PartNumber>${number}</PartNumber><ETag>${etag}</ETag><Size>${bytes.length}</Size></Part>`,
      )
      return xml(response, 'ListPartsResult', `<IsTruncated>false</IsTruncated>${rows.join('')}`)
    }
    const bytes = joinParts(upload, body.toString(), minPart)
    if (used() + bytes.length > trouble.quota) throw new Refusal(403, 'QuotaExceeded')
    const etag = `"${md5Of(bytes)}-${upload.parts.size}"`
    bucket.objects.set(key, { bytes, etag, at: new Date() })
    bucket.uploads.delete(upload.id)
    return xml(response, 'CompleteMultipartUploadResult', `<Key>${key}</Key><ETag>${etag}</ETag>`)
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      const known =
        error instanceof Refusal ? error : new Refusal(500, 'InternalError', String(error))
      response.writeHead(known.status, { 'content-type': 'application/xml' })
      const text = `<Code>${known.name}</Code><Message>${known.message}</Message>`
      response.end(request.method === 'HEAD' ? undefined : `<Error>${text}</Error>`)
    })
  })
  const endpoint = await listen(server)
  return {
    endpoint,
    ...keys,
    asked,
    trouble,
    objects: (name) => [...(buckets.get(name)?.objects.keys() ?? [])],
    uploads: (name) => [...(buckets.get(name)?.uploads.values() ?? [])].map(({ key }) => key),
    content: (name, key) => buckets.get(name)?.objects.get(key)?.bytes,
    [Symbol.asyncDispose]: () => endServer(server),
  }
}

function newBucket(): Bucket {
  return { objects: new Map(), uploads: new Map() }
}

/** The parts that the list names, in its order, each with the right ETag and none too small. */
function joinParts(upload: Upload, list: string, minPart: number): Buffer {
  const named = [...list.matchAll(/<Part>(.*?)<\/Part>/gs)].map(([, part = '']) => ({
    number: Number(/<PartNumber>(\d+)</.exec(part)?.[1]),
    etag: /<ETag>(.*?)</.exec(part)?.[1]?.replaceAll('&quot;', '"'),
  }))
  if (named.length === 0) throw new Refusal(400, 'MalformedXML')
  const parts = named.map(({ number, etag }, index) => {
    const part = upload.parts.get(number)
    if (!part || part.etag !== etag) throw new Refusal(400, 'InvalidPart')
    if (index > 0 && number <= (named[index - 1]?.number ?? 0))
      throw new Refusal(400, 'InvalidPartOrder')
    if (index < named.length - 1 && part.bytes.length < minPart)
      throw new Refusal(400, 'EntityTooSmall')
    return part.bytes
  })
  return Buffer.concat(parts)
}

function checkContent({ headers }: IncomingMessage, body: Buffer): void {
  const md5 = headers['content-md5']
  if (md5 !== undefined && md5 !== Buffer.from(md5Of(body), 'hex').toString('base64'))
    throw new Refusal(400, 'BadDigest')
  const isNewer = Object.keys(headers).some((name) =>
    /^x-amz-(checksum|sdk-checksum|trailer)/.test(name),
  )
  if (isNewer || headers['content-encoding'] === 'aws-chunked')
    throw new Refusal(501, 'NotImplemented', 'this server knows no newer check sums')
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function xml(response: ServerResponse, name: string, content: string): void {
  response.writeHead(200, { 'content-type': 'application/xml' })
  response.end(
    `<?xml version="1.0" encoding="UTF-8"?><${name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${content}</${name}>`,
  )
}
