/**
 * A small resource manager of Azure's, with the Entra ID that gives tokens for it, over TLS. It checks secret and token, the
 * version and shape of what is asked, makes images only of blobs that are there, and takes its time as Azure does.
 * Source: Azure REST API, Microsoft.Compute: Images, Gallery Images, Gallery Image Versions; "Asynchronous operations".
 */
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { runTool } from '../base/process.ts'
import { endServer } from './listen.ts'

export interface FakeAzureArm extends AsyncDisposable {
  /** Of both services. */
  readonly endpoint: string
  /** PEM file of the certificate that they show. */
  readonly certificate: string
  readonly tenant: string
  readonly client: string
  readonly secret: string
  readonly subscription: string
  /** What is there, by resource id. */
  readonly resources: ReadonlyMap<string, Record<string, unknown>>
  /** `PUT /subscriptions/…`, in order. */
  readonly asked: readonly string[]
  /** Error codes that new resources of a kind are refused with: `{ images: 'QuotaExceeded' }`. */
  readonly refused: Record<string, string>
}

class Refusal extends Error {
  readonly status: number
  constructor(status: number, name: string, message = name) {
    super(message)
    this.status = status
    this.name = name
  }
}

interface Answer {
  readonly status: number
  readonly headers?: Record<string, string>
  readonly json?: unknown
}

const RESOURCE =
  /^\/subscriptions\/([^/]+)\/resourceGroups\/[^/]+\/providers\/Microsoft\.Compute\/(?:(images)\/[^/]+|galleries\/[^/]+\/(images)\/[^/]+(?:\/(versions)\/[^/]+)?)$/

/** `directory` takes the certificate; `hasBlob` says whether there is a blob at a URL. */
export async function openFakeAzureArm(
  directory: string,
  hasBlob: (url: string) => Promise<boolean>,
): Promise<FakeAzureArm> {
  const [keyFile, certificate] = [`${directory}/arm-key.pem`, `${directory}/arm-cert.pem`]
  const name = ['-subj', '/CN=arm', '-addext', 'subjectAltName=IP:127.0.0.1']
  const kind = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  await runTool([
    'openssl',
    ...kind,
    '-days',
    '2',
    '-keyout',
    keyFile,
    '-out',
    certificate,
    ...name,
  ])
  const known = {
    tenant: randomUUID(),
    client: randomUUID(),
    secret: randomUUID(),
    subscription: randomUUID(),
  }
  const token = randomUUID()
  const resources = new Map<string, Record<string, unknown>>()
  const operations = new Map<string, number>()
  const asked: string[] = []
  const refused: Record<string, string> = {}

  const ofEntra = (path: string, body: string): Answer => {
    const base = `${arm.endpoint}/${known.tenant}`
    if (path.endsWith('/.well-known/openid-configuration'))
      return {
        status: 200,
        json: {
          token_endpoint: `${base}/oauth2/v2.0/token`,
          authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
          issuer: `${base}/v2.0`,
          jwks_uri: `${base}/keys`,
        },
      }
    const form = new URLSearchParams(body)
    const isRight =
      form.get('grant_type') === 'client_credentials' &&
      form.get('client_id') === known.client &&
      form.get('client_secret') === known.secret &&
      (form.get('scope') ?? '').includes('/.default')
    if (!isRight)
      return { status: 401, json: { error: 'invalid_client', error_description: 'no such secret' } }
    return { status: 200, json: { token_type: 'Bearer', expires_in: 3600, access_token: token } }
  }

  const create = async (
    id: string,
    what: string,
    body: Record<string, unknown>,
  ): Promise<Answer> => {
    const refusal = refused[what]
    if (refusal !== undefined) throw new Refusal(409, refusal)
    await checkResource(id, what, body, resources, hasBlob)
    const operation = randomUUID()
    operations.set(operation, 0)
    const properties = { ...(body['properties'] as object), provisioningState: 'Succeeded' }
    resources.set(id, { ...body, id, name: id.split('/').at(-1), properties })
    return {
      status: 201,
      headers: { 'azure-asyncoperation': `${arm.endpoint}/operations/${operation}?api-version=1` },
      json: { ...body, id, properties: { ...properties, provisioningState: 'Creating' } },
    }
  }

  const remove = (id: string): Answer => {
    if (!resources.has(id)) return { status: 204 }
    if ([...resources.keys()].some((other) => other.startsWith(`${id}/`)))
      throw new Refusal(409, 'CannotDeleteResource', 'nested resources exist')
    resources.delete(id)
    const operation = randomUUID()
    operations.set(operation, 0)
    const location = `${arm.endpoint}/operations/${operation}?api-version=1`
    return { status: 202, headers: { 'azure-asyncoperation': location } }
  }

  const answer = async (request: IncomingMessage): Promise<Answer> => {
    const { method = '', headers } = request
    const body = await textOf(request)
    const { pathname, searchParams } = new URL(request.url ?? '', arm.endpoint)
    if (pathname.startsWith(`/${known.tenant}/`)) return ofEntra(pathname, body)
    asked.push(`${method} ${pathname}`)
    if (headers.authorization !== `Bearer ${token}`) throw new Refusal(401, 'AuthenticationFailed')
    const operation = /^\/operations\/(.+)$/.exec(pathname)?.[1]
    if (operation !== undefined) {
      const looks = operations.get(operation) ?? 0
      operations.set(operation, looks + 1)
      return { status: 200, json: { status: looks > 0 ? 'Succeeded' : 'InProgress' } }
    }
    if (!/^\d{4}-\d\d-\d\d/.test(searchParams.get('api-version') ?? ''))
      throw new Refusal(400, 'MissingApiVersionParameter')
    const [, subscription, image, definition, version] = RESOURCE.exec(pathname) ?? []
    if (subscription !== known.subscription) throw new Refusal(404, 'SubscriptionNotFound')
    const what = version ?? (definition === undefined ? image : 'definitions')
    if (method === 'PUT' && what !== undefined)
      return await create(pathname, what, JSON.parse(body) as Record<string, unknown>)
    if (method === 'DELETE') return remove(pathname)
    const found = resources.get(pathname)
    if (found === undefined) throw new Refusal(404, 'ResourceNotFound')
    return { status: 200, json: found }
  }

  const credentials = { key: await readFile(keyFile), cert: await readFile(certificate) }
  const server = createServer(credentials, (request, response) => {
    void answer(request)
      .catch((error: unknown): Answer => {
        const { status, name, message } =
          error instanceof Refusal ? error : new Refusal(500, 'InternalServerError', String(error))
        return { status, json: { error: { code: name, message } } }
      })
      .then(({ status, headers = {}, json }) =>
        response
          .writeHead(status, { 'content-type': 'application/json', ...headers })
          .end(json === undefined ? undefined : JSON.stringify(json)),
      )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const arm: FakeAzureArm = {
    endpoint: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    certificate,
    ...known,
    resources,
    asked,
    refused,
    [Symbol.asyncDispose]: () => endServer(server),
  }
  return arm
}

/** Fails with what Azure would say of a new resource that is not as it must be. */
async function checkResource(
  id: string,
  what: string,
  body: Record<string, unknown>,
  resources: ReadonlyMap<string, unknown>,
  hasBlob: (url: string) => Promise<boolean>,
): Promise<void> {
  const { location, properties = {} } = body as { location?: string; properties?: Shape }
  if (!location) throw wrong('location')
  if (what === 'definitions') {
    const { osType, osState, identifier } = properties
    if (osType !== 'Linux' || osState !== 'Generalized') throw wrong('osType, osState')
    if (!identifier?.publisher || !identifier.offer || !identifier.sku) throw wrong('identifier')
    return
  }
  const source = properties.storageProfile?.osDiskImage?.source
  const disk = properties.storageProfile?.osDisk
  if (what === 'versions') {
    if (!resources.has(id.replace(/\/versions\/[^/]+$/, '')))
      throw new Refusal(404, 'ParentResourceNotFound')
    if (
      !/\/Microsoft\.Storage\/storageAccounts\//.test(source?.storageAccountId ?? source?.id ?? '')
    )
      throw wrong('storageAccountId')
    if (!properties.publishingProfile?.targetRegions?.length) throw wrong('targetRegions')
  } else if (
    disk?.osType !== 'Linux' ||
    disk.osState !== 'Generalized' ||
    !properties.hyperVGeneration
  )
    throw wrong('osDisk, hyperVGeneration')
  const uri = (what === 'versions' ? source?.uri : disk?.blobUri) ?? ''
  if (!uri.endsWith('.vhd') || !(await hasBlob(uri))) throw wrong(`no VHD at ${uri}`)
}

function wrong(message: string): Refusal {
  return new Refusal(400, 'InvalidParameter', message)
}

interface Shape {
  readonly osType?: string
  readonly osState?: string
  readonly hyperVGeneration?: string
  readonly identifier?: {
    readonly publisher?: string
    readonly offer?: string
    readonly sku?: string
  }
  readonly publishingProfile?: { readonly targetRegions?: readonly unknown[] }
  readonly storageProfile?: {
    readonly osDisk?: {
      readonly osType?: string
      readonly osState?: string
      readonly blobUri?: string
    }
    readonly osDiskImage?: {
      readonly source?: {
        readonly storageAccountId?: string
        readonly id?: string
        readonly uri?: string
      }
    }
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
