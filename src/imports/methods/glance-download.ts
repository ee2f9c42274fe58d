import { Failure, messageOf } from '../../base/failure.ts'
import { MiB } from '../../base/units.ts'
import { type Download, openDownload } from '../../bytes/download.ts'
import type { WebRules } from '../../bytes/web-request.ts'
import type { CloudInterface, Keystone } from '../../clouds/cloud.ts'
import { Type } from '../../schema/type.ts'
import type { ImportMethod, MethodScene } from '../method.ts'

interface Parameters {
  readonly glance_image_id: string
  readonly glance_region: string
  readonly glance_service_interface?: string
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
/** The catalogue is the administrator's: what it names may stand anywhere. */
const CATALOGUE: WebRules = { checkUrl: () => {}, checkAddress: () => {} }
const INTERFACES: readonly CloudInterface[] = ['public', 'internal', 'admin']
/** More than this no record of an image has. */
const MAX_RECORD = 4 * MiB

/** Data of an image of another region, fetched from its image service as whoever asks for it. */
export const glanceDownload: ImportMethod<Parameters> = {
  name: 'glance-download',
  summary: 'data of an image of another region',
  options: Type.Object({
    glance_image_id: Type.String({ description: 'of the image there, a UUID' }),
    glance_region: Type.String({ minLength: 1, maxLength: 255, description: 'where it is' }),
    glance_service_interface: Type.Optional(
      Type.String({
        description: 'which of its addresses: public, internal, admin; default public',
      }),
    ),
  }),
  from: 'queued',
  // Whether the region and its address are there is found out by the task, as it is in Glance.
  check: async ({ parameters: { glance_image_id: id }, caller }, scene) => {
    if (!UUID.test(id))
      throw new Failure('REQUEST_INVALID', 'glance-download: image id does not look like a UUID')
    await using keystone = keystoneFor(scene, caller.token, caller.projectId)
    void keystone
    return caller.token
  },
  open: async ({ parameters, secret, projectId }, scene, context) => {
    await using keystone = keystoneFor(scene, secret, projectId)
    const endpoint = await keystone.endpoint({
      service: 'image',
      region: parameters.glance_region,
      interface: interfaceOf(parameters.glance_service_interface),
    })
    const base = `${endpoint.replace(/\/v2\/?$/, '')}/v2/images/${parameters.glance_image_id}`
    const headers = { 'x-auth-token': await keystone.token() }
    const options = { ...scene.web, rules: CATALOGUE, headers }
    const record = await readRecord(await openDownload(base, options, context), base)
    const { size, stream, cancel } = await openDownload(`${base}/file`, options, context)
    return {
      kind: 'arriving',
      stream,
      size: size ?? sizeOf(record),
      expected: digestOf(record),
      properties: pickProperties(record, scene.copiedProperties),
      formats: formatsOf(record),
      [Symbol.asyncDispose]: async () => cancel(),
    }
  },
}

function keystoneFor(
  { openKeystone }: MethodScene,
  token: string | undefined,
  projectId: string | null,
): Keystone {
  if (openKeystone !== undefined && token !== undefined) return openKeystone(token, projectId)
  throw new Failure(
    'REQUEST_INVALID',
    'glance-download finds the other image service by the caller’s token of Keystone; there is none',
  )
}

async function readRecord(download: Download, url: string): Promise<Record<string, unknown>> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of download.stream) {
    length += chunk.length
    if (length > MAX_RECORD) break
    chunks.push(chunk)
  }
  try {
    const record: unknown = JSON.parse(Buffer.concat(chunks).toString())
    if (typeof record === 'object' && record !== null) return record as Record<string, unknown>
    throw new Error('it is no object')
  } catch (cause) {
    throw new Failure('DOWNLOAD_FAILED', `${url} is no image: ${messageOf(cause)}`, { cause })
  }
}

function sizeOf({ size }: Record<string, unknown>): number | undefined {
  return Number.isSafeInteger(size) ? (size as number) : undefined
}

function interfaceOf(name = 'public'): CloudInterface {
  const found = INTERFACES.find((one) => one === name)
  if (found !== undefined) return found
  throw new Failure('ENDPOINT_UNKNOWN', `wanted one of ${INTERFACES.join(', ')}, found '${name}'`)
}

/** What the image there is: this one becomes the same. */
function formatsOf({ disk_format: disk, container_format: container }: Record<string, unknown>) {
  return {
    ...(typeof disk === 'string' && { diskFormat: disk }),
    ...(typeof container === 'string' && { containerFormat: container }),
  }
}

function digestOf(record: Record<string, unknown>) {
  const { os_hash_algo: algorithm, os_hash_value: value } = record
  const isKnown = algorithm === 'sha512' || algorithm === 'sha256'
  return isKnown && typeof value === 'string' ? { algorithm, value } : undefined
}

/** Properties of these prefixes; never what an image service keeps for itself. */
function pickProperties(
  record: Record<string, unknown>,
  prefixes: readonly string[],
): Record<string, string> {
  const picked: Record<string, string> = {}
  for (const [name, value] of Object.entries(record))
    if (
      typeof value === 'string' &&
      !name.startsWith('os_glance') &&
      prefixes.some((prefix) => name.startsWith(prefix))
    )
      picked[name] = value
  return picked
}
