/** Who asks in tests of who may do what, and the real server, with a Keystone behind it, that they ask. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { openService } from '../app/open-service.ts'
import { KEYSTONE_DEFAULTS, serviceDefaults } from '../app/service-config.ts'
import { makeContext } from '../base/context.ts'
import { createServer } from '../http/server.ts'
import type { ImageStatus, Visibility } from '../images/image.ts'
import { openFakeKeystone } from './fake-keystone.ts'

/** Projects: one owns the images; shared ones are shared with two others, of which one has accepted. */
type Project = 'home' | 'friend' | 'asked' | 'away' | 'ops' | 'services'

export interface Persona {
  /** Left out: the token is for the whole system. */
  readonly project?: Project
  readonly role: 'admin' | 'member' | 'reader' | 'service' | 'guest'
}

export const PERSONAS = {
  'admin of the system': { role: 'admin' },
  'admin of a project': { project: 'ops', role: 'admin' },
  'member of the owner': { project: 'home', role: 'member' },
  'reader of the owner': { project: 'home', role: 'reader' },
  'somebody of the owner without a role': { project: 'home', role: 'guest' },
  'member of a project that accepted': { project: 'friend', role: 'member' },
  'reader of a project that accepted': { project: 'friend', role: 'reader' },
  'member of a project that was asked': { project: 'asked', role: 'member' },
  'foreign member': { project: 'away', role: 'member' },
  'foreign reader': { project: 'away', role: 'reader' },
  'foreign somebody without a role': { project: 'away', role: 'guest' },
  service: { project: 'services', role: 'service' },
} as const satisfies Record<string, Persona>
export type PersonaName = keyof typeof PERSONAS
export const NAMES = Object.keys(PERSONAS) as PersonaName[]

export const anybody = () => true
/** A token is good for a project; one for the whole system is good for nothing here. */
const isInProject = (who: Persona) => who.project !== undefined
export const isAdmin = (who: Persona) => isInProject(who) && who.role === 'admin'
/** An admin is a member too, and a member a reader. */
export const isMember = (who: Persona) => isInProject(who) && ['admin', 'member'].includes(who.role)
export const isReader = (who: Persona) =>
  isMember(who) || (isInProject(who) && who.role === 'reader')
export const isService = (who: Persona) => isInProject(who) && who.role === 'service'

export const VISIBILITIES: readonly Visibility[] = ['private', 'shared', 'community', 'public']

export interface Question {
  readonly line: string
  readonly as: PersonaName | undefined
  readonly body?: unknown
  readonly type?: string | undefined
}

export interface Answer {
  readonly status: number
  readonly text: string
}

/** The server, and a token for each, gone when the tests of the file are done. Called at the top of the file. */
export async function openAccessScene() {
  const opened = new AsyncDisposableStack()
  after(() => opened.disposeAsync())
  const keystone = opened.use(await openFakeKeystone())
  keystone.addUser({ name: 'ingot', password: 's3cret', projects: { services: ['service'] } })
  const tokens = new Map<PersonaName, string>()
  for (const name of NAMES) {
    const { project, role }: Persona = PERSONAS[name]
    if (project === undefined) keystone.addUser({ name, password: 'x', system: [role] })
    else keystone.addUser({ name, password: 'x', projects: { [project]: [role] } })
    tokens.set(name, keystone.issue(name, project === undefined ? { system: true } : { project }))
  }
  const dataDir = await mkdtemp(join(tmpdir(), 'ingot-access-'))
  opened.defer(() => rm(dataDir, { recursive: true, force: true }))
  const own = { auth_url: keystone.url, username: 'ingot', password: 's3cret' }
  const project = { project_name: 'services' }
  const config = {
    ...serviceDefaults(dataDir),
    auth: { mode: 'keystone' as const, keystone: { ...KEYSTONE_DEFAULTS, ...own, ...project } },
    cache: { enabled: true, max_size: 1_000_000 },
    stores: { default: 'memory', list: [{ id: 'memory', type: 'memory' }] },
  }
  const service = opened.use(await openService(config, makeContext(), { role: 'server' }))
  const app = createServer(service)
  opened.defer(() => app.close())
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  opened.defer(() => agent.destroy())

  const ask = async ({ line, as, body, type }: Question): Promise<Answer> => {
    const [method, path] = line.split(' ')
    const text =
      typeof body === 'string' ? body : body === undefined ? undefined : JSON.stringify(body)
    const headers = {
      accept: 'application/json',
      ...(as !== undefined && { 'x-auth-token': tokens.get(as) }),
      ...(text !== undefined && {
        'content-type': type ?? 'application/json',
        'content-length': Buffer.byteLength(text),
      }),
    }
    return await new Promise((resolve, reject) => {
      const asked = request(`${url}${path}`, { method, headers, agent }, (response) => {
        const parts: Buffer[] = []
        response.on('data', (part: Buffer) => parts.push(part)).on('error', reject)
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString() }),
        )
      })
      asked.on('error', reject).end(text)
    })
  }

  /** One image of the owner for each visibility and persona, so that what one does is not in another's way. */
  const makeImages = async (
    status: ImageStatus,
    visibilities: readonly Visibility[],
    of: readonly (PersonaName | undefined)[],
  ) => {
    const { catalog, context } = service
    const now = context.now()
    const owner = keystone.projectId('home')
    const nothing = { checksum: null, hashAlgorithm: null, hashValue: null, size: null }
    const formats = { containerFormat: 'bare', diskFormat: 'raw', virtualSize: null }
    const smallest = { minRamMiB: 0, minDiskGiB: 0, tags: ['old'], properties: {} }
    const flags = { protected: false, hidden: false, createdAt: now, updatedAt: now }
    const record = { name: 'old', status, owner, ...nothing, ...formats, ...smallest, ...flags }
    return await service.database.write(async (tx) => {
      const cases = []
      for (const visibility of visibilities)
        for (const persona of of) {
          const image = await catalog.insert(tx, { ...record, id: context.newId(), visibility })
          cases.push({ visibility, persona, image })
          const shared = { imageId: image.id, createdAt: now, updatedAt: now }
          const [friend, asked] = [keystone.projectId('friend'), keystone.projectId('asked')]
          await catalog.addMember(tx, { ...shared, member: friend, status: 'accepted' })
          await catalog.addMember(tx, { ...shared, member: asked, status: 'pending' })
        }
      return cases
    })
  }
  return { keystone, service, ask, makeImages }
}

/** Everything that was answered otherwise than expected, in one message. */
export function checkAll(
  answers: readonly { what: string; expected: number; status: number; text: string }[],
) {
  const wrong = answers.filter(({ expected, status }) => expected !== status)
  const lines = wrong.map(
    ({ what, expected, status, text }) =>
      `${what}: expected ${expected}, got ${status} ${text.slice(0, 200)}`,
  )
  assert.equal(lines.length, 0, `${lines.length} of ${answers.length}:\n${lines.join('\n')}`)
}

/** For titles. */
export function told(body: unknown): string {
  return typeof body === 'object' ? ` ${JSON.stringify(body)}` : ''
}
