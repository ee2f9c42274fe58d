/**
 * An item of a content library: descriptor and disk, pushed in one update session.
 * Source: VMware, vSphere Automation REST API: content library, item, update session.
 */
import { Failure } from '../../base/failure.ts'
import { askRest, askToRemove, type Rest } from '../../clouds/ask-rest.ts'
import type { CloudHttp } from '../../clouds/cloud-http.ts'
import { memorySource, type Source } from '../../bytes/source.ts'
import type { PhaseScene } from '../os-builder.ts'
import { askUntil } from './_poll.ts'
import { DISK_FILE } from './_vsphere-descriptor.ts'
import { keepingAlive, upload, type VsphereProvider } from './_vsphere-upload.ts'

const SESSION_HEADER = 'vmware-api-session-id'

export interface Library {
  readonly http: CloudHttp
  readonly rest: Rest
  readonly base: string
  readonly session: string
}

/** Signs in. */
export async function openLibrary(
  http: CloudHttp,
  { options, credentials }: VsphereProvider,
  signal: AbortSignal,
): Promise<Library> {
  const base = `${options.url.replace(/\/+$/, '')}/rest`
  const { username, password } = credentials
  const basic = Buffer.from(`${username}:${password}`).toString('base64')
  const anonymous = {
    http,
    name: 'vSphere',
    authorization: async () => ({ authorization: `Basic ${basic}` }),
  }
  const url = `${base}/com/vmware/cis/session`
  const session = valueOf((await askRest(anonymous, { method: 'POST', url, signal })).json)
  if (typeof session !== 'string') throw new Failure('CLOUD_FAILED', 'vSphere gave no session')
  const rest = { http, name: 'vSphere', authorization: async () => ({ [SESSION_HEADER]: session }) }
  return { http, rest, base: `${base}/com/vmware/content/library`, session }
}

export interface NewItem {
  /** Name of the library. */
  readonly library: string
  readonly name: string
  /** Whose it is: names are not ours alone. */
  readonly description: string
}

/** Makes an item; its id. */
export async function createItem(
  library: Library,
  { library: of, name, description }: NewItem,
  signal: AbortSignal,
): Promise<string> {
  const library_id = await findLibrary(library, of, signal)
  const spec = { library_id, name, description, type: 'ovf' }
  return asId(await ask(library, '/item', signal, { create_spec: spec }))
}

/** Ids of the items that are as one was to be made. */
export async function findItems(
  library: Library,
  { library: of, name, description }: NewItem,
  signal: AbortSignal,
): Promise<string[]> {
  const library_id = await findLibrary(library, of, signal)
  const found = await ask(library, '/item?~action=find', signal, { spec: { library_id, name } })
  const ours: string[] = []
  for (const id of Array.isArray(found) ? found.map(asId) : []) {
    const url = `${library.base}/item/id:${id}`
    const item = valueOf((await askRest(library.rest, { url, signal })).json)
    if ((item as { description?: unknown } | undefined)?.description === description) ours.push(id)
  }
  return ours
}

async function findLibrary(library: Library, name: string, signal: AbortSignal): Promise<string> {
  const found = await ask(library, '?~action=find', signal, { spec: { name } })
  const [libraryId] = Array.isArray(found) ? (found as unknown[]) : []
  if (typeof libraryId === 'string') return libraryId
  throw new Failure('CLOUD_NOT_FOUND', `vSphere has no content library ${name}`)
}

/** Pushes the two files of an item. */
export async function fillItem(
  library: Library,
  item: string,
  { descriptor, disk }: { readonly descriptor: string; readonly disk: Source },
  pollSeconds: number,
  scene: PhaseScene,
): Promise<void> {
  const { signal, tell } = scene
  const spec = { create_spec: { library_item_id: item } }
  const session = `/item/update-session/id:${asId(await ask(library, '/item/update-session', signal, spec))}`
  const push = async (name: string, content: Source, told: (fraction: number) => void) => {
    const file = { file_spec: { name, source_type: 'PUSH', size: content.size } }
    const path = session.replace('update-session', 'updatesession/file')
    const added = await ask(library, `${path}?~action=add`, signal, file)
    const { upload_endpoint: endpoint } = added as { upload_endpoint?: { uri?: string } }
    if (endpoint?.uri === undefined) throw new Failure('CLOUD_FAILED', `vSphere takes no ${name}`)
    await upload(
      library.http,
      {
        method: 'PUT',
        url: endpoint.uri,
        mediaType: 'application/octet-stream',
        headers: { [SESSION_HEADER]: library.session },
        content,
      },
      { signal, tell: told },
    )
  }
  const keep = async () => await ask(library, `${session}?~action=keep-alive`, signal, {})
  await push('image.ovf', memorySource(Buffer.from(descriptor)), () => {})
  await keepingAlive(keep, async () => await push(DISK_FILE, disk, tell))
  await ask(library, `${session}?~action=complete`, signal, {})
  await askUntil(pollSeconds, signal, async () => {
    const { json } = await askRest(library.rest, { url: `${library.base}${session}`, signal })
    const { state, error_message: error } = valueOf(json) as {
      state?: string
      error_message?: unknown
    }
    if (state === 'DONE') return true
    if (state === 'ACTIVE') return undefined
    throw new Failure(
      'CLOUD_FAILED',
      `vSphere: the update is ${state}: ${JSON.stringify(error ?? '').slice(0, 300)}`,
    )
  })
}

export async function removeItem(
  { rest, base }: Library,
  item: string,
  signal: AbortSignal,
): Promise<void> {
  await askToRemove(rest, { url: `${base}/item/id:${item}`, signal })
}

async function ask(
  { rest, base }: Library,
  path: string,
  signal: AbortSignal,
  json: unknown,
): Promise<unknown> {
  return valueOf(
    (await askRest(rest, { method: 'POST', url: `${base}${path}`, json, signal })).json,
  )
}

function valueOf(json: unknown): unknown {
  return typeof json === 'object' && json !== null ? (json as { value?: unknown }).value : undefined
}

function asId(value: unknown): string {
  if (typeof value !== 'string' || !/^[A-Za-z0-9:-]{1,100}$/.test(value))
    throw new Failure('CLOUD_FAILED', 'vSphere made something that has no id')
  return value
}
