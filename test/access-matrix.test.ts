/**
 * Who may do what, asked of the real server with a Keystone behind it: every endpoint, by every kind of caller, on
 * every kind of image. What is expected is worked out here from a few sentences of the specification, not from the
 * policy's rules: who sees an image, and what it takes to do a thing with one.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { openService } from '../src/app/open-service.ts'
import { KEYSTONE_DEFAULTS, serviceDefaults } from '../src/app/service-config.ts'
import type { Service } from '../src/app/service.ts'
import { makeContext } from '../src/base/context.ts'
import { createServer } from '../src/http/server.ts'
import type { ImageStatus, Visibility } from '../src/images/image.ts'
import { type FakeKeystone, openFakeKeystone } from '../src/testing/fake-keystone.ts'

// ---- Who ----

/** Projects: one owns the images; shared ones are shared with two others, of which one has accepted. */
type Project = 'home' | 'friend' | 'asked' | 'away' | 'ops' | 'services'

interface Persona {
  /** Left out: the token is for the whole system. */
  readonly project?: Project
  readonly role: 'admin' | 'member' | 'reader' | 'service' | 'guest'
}

const PERSONAS = {
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
type PersonaName = keyof typeof PERSONAS
const NAMES = Object.keys(PERSONAS) as PersonaName[]

// ---- The specification, in plain words ----

const anybody = () => true
/** A token is good for a project; one for the whole system is good for nothing here. */
const isInProject = (who: Persona) => who.project !== undefined
const isAdmin = (who: Persona) => isInProject(who) && who.role === 'admin'
/** An admin is a member too, and a member a reader. */
const isMember = (who: Persona) => isInProject(who) && ['admin', 'member'].includes(who.role)
const isReader = (who: Persona) => isMember(who) || (isInProject(who) && who.role === 'reader')
const isService = (who: Persona) => isInProject(who) && who.role === 'service'

/** An image is within reach of its owner, of everybody if it is public or community, of those it is shared with. */
function reaches(who: Persona, visibility: Visibility): boolean {
  if (who.role === 'admin' || who.project === 'home') return true
  if (visibility === 'public' || visibility === 'community') return true
  return visibility === 'shared' && (who.project === 'friend' || who.project === 'asked')
}

/** Whose image it is, or with whom it is shared. */
const isInvolved = ({ project }: Persona) =>
  project !== undefined && ['home', 'friend', 'asked'].includes(project)
/** A project with which an image is shared is known to itself and to the owner. */
const knowsFriend = (who: Persona) =>
  isAdmin(who) || (isReader(who) && (who.project === 'home' || who.project === 'friend'))

/** What it takes, given that the image is within reach. */
const NEEDS = {
  /** To see it takes a reader. */
  see: isReader,
  /** Data is for members. */
  download: isMember,
  /** What changes an image is for members of its owner. */
  change: (who: Persona) => isAdmin(who) || (isMember(who) && who.project === 'home'),
  /** Who is shared with says whether it wants that; its owner does not. */
  accept: (who: Persona) => isAdmin(who) || (isMember(who) && who.project === 'friend'),
  /** The owner's readers, and those it is shared with, know with whom. */
  'know members': (who: Persona) => isAdmin(who) || (isReader(who) && isInvolved(who)),
  administer: isAdmin,
  serve: (who: Persona) => isService(who) || isAdmin(who),
  'serve or change': (who: Persona) => isService(who) || NEEDS.change(who),
} as const
type Need = keyof typeof NEEDS

/** What an image's endpoint answers. */
function expectedOfImage(
  who: Persona,
  visibility: Visibility,
  { needs, done, shownTo = anybody }: ImageEndpoint,
): number {
  if (!reaches(who, visibility) || !shownTo(who)) return 404
  if (NEEDS[needs](who)) return typeof done === 'number' ? done : done(who, visibility)
  return isReader(who) ? 403 : 404
}

// ---- The endpoints of images ----

interface ImageEndpoint {
  /** `{id}` is the image, `{friend}` a project that it is shared with. */
  readonly line: string
  readonly needs: Need
  /** What those get who may. */
  readonly done: number | ((who: Persona, visibility: Visibility) => number)
  /** In which the image has to be. Default: queued. */
  readonly status?: ImageStatus
  readonly body?: unknown
  readonly type?: string
  /** Only this kind of image is looked at. */
  readonly only?: Visibility
  /** Others learn of what stands below the image no more than of an image that they do not see. */
  readonly shownTo?: (who: Persona) => boolean
}

const patch = (path: string, value: unknown) => ({
  line: 'PATCH /v2/images/{id}',
  type: 'application/openstack-images-v2.1-json-patch',
  body: [{ op: 'replace', path, value }],
})

/** Members are for shared images: who sees another gets 403. */
const onlyShared = (done: number) => (_who: Persona, visibility: Visibility) =>
  visibility === 'shared' ? done : 403

const IMAGE_ENDPOINTS: readonly ImageEndpoint[] = [
  { line: 'GET /v2/images/{id}', needs: 'see', done: 200 },
  { line: 'GET /v2/images/{id}/tasks', needs: 'see', done: 200 },
  { line: 'GET /v2/images/{id}/file', needs: 'download', done: 204 },
  { line: 'GET /v2/images/{id}/formats', needs: 'download', done: 200 },
  {
    line: 'GET /v2/images/{id}/file',
    needs: 'download',
    status: 'deactivated',
    done: (who) => (isAdmin(who) ? 204 : 403),
  },
  { ...patch('/name', 'new'), needs: 'change', done: 200 },
  { ...patch('/visibility', 'community'), needs: 'change', done: 200 },
  { ...patch('/visibility', 'public'), needs: 'administer', done: 200 },
  { ...patch('/owner', 'else'), needs: 'administer', done: 200 },
  { line: 'DELETE /v2/images/{id}', needs: 'change', done: 204 },
  {
    line: 'PUT /v2/images/{id}/file',
    needs: 'change',
    done: 204,
    type: 'application/octet-stream',
    body: 'data'.repeat(256),
  },
  {
    line: 'PUT /v2/images/{id}/stage',
    needs: 'change',
    done: 204,
    type: 'application/octet-stream',
    body: 'data'.repeat(256),
  },
  {
    // Nothing was staged
    line: 'POST /v2/images/{id}/import',
    needs: 'change',
    done: 409,
    body: { method: { name: 'glance-direct' } },
  },
  {
    line: 'POST /v2/images/{id}/actions/deactivate',
    needs: 'change',
    status: 'active',
    done: 204,
  },
  {
    line: 'POST /v2/images/{id}/actions/reactivate',
    needs: 'change',
    status: 'deactivated',
    done: 204,
  },
  { line: 'PUT /v2/images/{id}/tags/new', needs: 'change', done: 204 },
  { line: 'DELETE /v2/images/{id}/tags/old', needs: 'change', done: 204 },
  { line: 'GET /v2/images/{id}/members', needs: 'know members', done: 200, only: 'shared' },
  {
    line: 'POST /v2/images/{id}/members',
    needs: 'change',
    done: onlyShared(200),
    body: { member: 'another' },
  },
  {
    line: 'GET /v2/images/{id}/members/{friend}',
    needs: 'know members',
    done: 200,
    only: 'shared',
    shownTo: knowsFriend,
  },
  {
    line: 'PUT /v2/images/{id}/members/{friend}',
    needs: 'accept',
    done: 200,
    body: { status: 'rejected' },
    only: 'shared',
    shownTo: knowsFriend,
  },
  { line: 'DELETE /v2/images/{id}/members/{friend}', needs: 'change', done: onlyShared(204) },
  {
    // There is no store for such addresses
    line: 'POST /v2/images/{id}/locations',
    needs: 'serve or change',
    done: 400,
    body: { url: 'http://example.org/image' },
  },
  {
    // Nor for these, which only services may name at all
    line: 'POST /v2/images/{id}/locations',
    needs: 'serve',
    done: 400,
    body: { url: 'rbd://pool/image' },
  },
  { line: 'GET /v2/images/{id}/locations', needs: 'serve', done: 200 },
  { line: 'PUT /v2/cache/{id}', needs: 'administer', status: 'active', done: 202 },
  // It is not in this store
  { line: 'DELETE /v2/stores/memory/{id}', needs: 'administer', status: 'active', done: 404 },
]

// ---- The endpoints of everything else ----

interface Endpoint {
  readonly line: string
  readonly may: (who: Persona) => boolean
  readonly done: number
  readonly body?: unknown
}

const ENDPOINTS: readonly Endpoint[] = [
  { line: 'GET /v2/images', may: isReader, done: 200 },
  { line: 'POST /v2/images', may: isMember, done: 201, body: { name: 'x' } },
  { line: 'POST /v2/images', may: isMember, done: 201, body: { visibility: 'community' } },
  { line: 'POST /v2/images', may: isAdmin, done: 201, body: { visibility: 'public' } },
  { line: 'POST /v2/images', may: isAdmin, done: 201, body: { owner: 'somebody-else' } },
  { line: 'GET /v2/info/import', may: anybody, done: 200 },
  { line: 'GET /v2/info/stores', may: anybody, done: 200 },
  { line: 'GET /v2/info/stores/detail', may: (who) => isAdmin(who) || isService(who), done: 200 },
  { line: 'GET /v2/info/usage', may: anybody, done: 200 },
  { line: 'GET /v2/tasks', may: isAdmin, done: 200 },
  { line: 'GET /v2/tasks/00000000-0000-0000-0000-000000000000', may: isAdmin, done: 404 },
  { line: 'GET /v2/cache', may: isAdmin, done: 200 },
  { line: 'DELETE /v2/cache', may: isAdmin, done: 204 },
  { line: 'POST /v2/cache/clean', may: isAdmin, done: 200 },
  { line: 'POST /v2/cache/prune', may: isAdmin, done: 200 },
  ...['images', 'image', 'members', 'member', 'tasks', 'task'].map((name) => ({
    line: `GET /v2/schemas/${name}`,
    may: anybody,
    done: 200,
  })),
  { line: 'GET /v2/metadefs/namespaces', may: isReader, done: 200 },
  { line: 'POST /v2/metadefs/namespaces', may: isAdmin, done: 201, body: { namespace: 'made' } },
  { line: 'GET /v2/metadefs/resource_types', may: isReader, done: 200 },
  // What is asked for is nothing, which those are told who may ask
  { line: 'GET /ingot/v1/builds', may: isReader, done: 200 },
  { line: 'POST /ingot/v1/builds', may: isMember, done: 400, body: {} },
  { line: 'POST /ingot/v1/builds/import?parameters=5', may: isMember, done: 400, body: {} },
  { line: 'GET /ingot/v1/plugins', may: isReader, done: 200 },
  { line: 'GET /ingot/v1/leftovers', may: isAdmin, done: 200 },
  { line: 'POST /ingot/v1/leftovers', may: isAdmin, done: 200 },
  { line: 'POST /ingot/v1/recipes/check', may: isReader, done: 200, body: { template: 'x' } },
  { line: 'POST /ingot/v1/recipes/pack', may: isMember, done: 400, body: {} },
  { line: 'POST /ingot/v1/recipes/validate', may: isMember, done: 400, body: {} },
  { line: 'POST /ingot/v1/recipes/provision', may: isAdmin, done: 400, body: {} },
  { line: 'GET /ingot/v1/recipe-runs', may: isReader, done: 200 },
  { line: 'GET /imagefactory/base_images', may: isReader, done: 200 },
  { line: 'POST /imagefactory/base_images', may: isMember, done: 400, body: {} },
  { line: 'GET /imagefactory/plugins', may: isReader, done: 200 },
]

interface BuildEndpoint {
  /** `{id}` is a build of the owner's that failed before it was begun. */
  readonly line: string
  readonly may: (who: Persona) => boolean
  readonly done: number
}

/** Builds are seen by readers of their project; what is done with them is for its members. */
const BUILD_ENDPOINTS: readonly BuildEndpoint[] = [
  ...['', '/log', '/events', '/children'].map((end) => ({
    line: `GET /ingot/v1/builds/{id}${end}`,
    may: isReader,
    done: 200,
  })),
  { line: 'GET /ingot/v1/builds/{id}/documents/icicle', may: isReader, done: 404 },
  { line: 'GET /ingot/v1/builds/{id}/artifact', may: isMember, done: 409 },
  { line: 'POST /ingot/v1/builds/{id}/cancel', may: isMember, done: 409 },
  { line: 'POST /ingot/v1/builds/{id}/retry', may: isMember, done: 202 },
  { line: 'DELETE /ingot/v1/builds/{id}', may: isMember, done: 204 },
  { line: 'GET /imagefactory/base_images/{id}', may: isReader, done: 200 },
  { line: 'GET /imagefactory/base_images/{id}/raw_image', may: isMember, done: 409 },
  { line: 'DELETE /imagefactory/base_images/{id}', may: isMember, done: 204 },
]

interface NamespaceEndpoint {
  /** `{ns}` is the namespace. */
  readonly line: string
  readonly body?: unknown
  /** For those who may change it: admins. Left out: readers may, and get 200. */
  readonly changed?: number
}

const NAMESPACE_ENDPOINTS: readonly NamespaceEndpoint[] = [
  { line: 'GET {ns}' },
  { line: 'PUT {ns}', changed: 200, body: 'itself' },
  { line: 'POST {ns}/properties', changed: 201, body: { name: 'p', title: 'P', type: 'string' } },
  { line: 'GET {ns}/properties' },
  { line: 'GET {ns}/properties/p' },
  { line: 'PUT {ns}/properties/p', changed: 200, body: { name: 'p', title: 'Q', type: 'string' } },
  { line: 'DELETE {ns}/properties/p', changed: 204 },
  { line: 'POST {ns}/objects', changed: 201, body: { name: 'o' } },
  { line: 'GET {ns}/objects' },
  { line: 'GET {ns}/objects/o' },
  { line: 'PUT {ns}/objects/o', changed: 200, body: { name: 'o', description: 'd' } },
  { line: 'DELETE {ns}/objects/o', changed: 204 },
  { line: 'POST {ns}/tags/t', changed: 201 },
  { line: 'GET {ns}/tags' },
  { line: 'GET {ns}/tags/t' },
  { line: 'PUT {ns}/tags/t', changed: 200, body: { name: 't' } },
  { line: 'DELETE {ns}/tags/t', changed: 204 },
  { line: 'POST {ns}/resource_types', changed: 201, body: { name: 'OS::Glance::Image' } },
  { line: 'GET {ns}/resource_types' },
  { line: 'DELETE {ns}/resource_types/OS::Glance::Image', changed: 204 },
  { line: 'DELETE {ns}/properties', changed: 204 },
  { line: 'DELETE {ns}/objects', changed: 204 },
  { line: 'DELETE {ns}/tags', changed: 204 },
  { line: 'DELETE {ns}', changed: 204 },
]

/** A namespace is seen by readers: the public ones, and those of their project. */
function expectedOfNamespace(who: Persona, isPublic: boolean, changed: number | undefined): number {
  const sees = isAdmin(who) || (isReader(who) && (isPublic || who.project === 'home'))
  if (!sees) return 404
  if (changed === undefined) return 200
  return isAdmin(who) ? changed : 403
}

// ---- The server ----

let keystone: FakeKeystone
let service: Service
let app: FastifyInstance
let url: string
let dataDir: string
const tokens = new Map<PersonaName, string>()
const agent = new Agent({ keepAlive: true, maxSockets: 8 })

before(async () => {
  keystone = await openFakeKeystone()
  keystone.addUser({ name: 'ingot', password: 's3cret', projects: { services: ['service'] } })
  for (const name of NAMES) {
    const { project, role }: Persona = PERSONAS[name]
    if (project === undefined) keystone.addUser({ name, password: 'x', system: [role] })
    else keystone.addUser({ name, password: 'x', projects: { [project]: [role] } })
    tokens.set(name, keystone.issue(name, project === undefined ? { system: true } : { project }))
  }
  dataDir = await mkdtemp(join(tmpdir(), 'ingot-matrix-'))
  const own = { auth_url: keystone.url, username: 'ingot', password: 's3cret' }
  const project = { project_name: 'services' }
  const config = {
    ...serviceDefaults(dataDir),
    auth: { mode: 'keystone' as const, keystone: { ...KEYSTONE_DEFAULTS, ...own, ...project } },
    cache: { enabled: true, max_size: 1_000_000 },
    stores: { default: 'memory', list: [{ id: 'memory', type: 'memory' }] },
  }
  service = await openService(config, makeContext(), { role: 'server' })
  app = createServer(service)
  url = await app.listen({ host: '127.0.0.1', port: 0 })
  assert.ok((app.server.address() as AddressInfo).port > 0)
})

after(async () => {
  agent.destroy()
  await app.close()
  await service[Symbol.asyncDispose]()
  await keystone[Symbol.asyncDispose]()
  await rm(dataDir, { recursive: true, force: true })
})

interface Question {
  readonly line: string
  readonly as: PersonaName | undefined
  readonly body?: unknown
  readonly type?: string | undefined
}

async function ask({ line, as, body, type }: Question): Promise<{ status: number; text: string }> {
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

const VISIBILITIES: readonly Visibility[] = ['private', 'shared', 'community', 'public']

/** One image of the owner for each visibility and persona, so that what one does is not in another's way. */
async function makeImages(
  status: ImageStatus,
  visibilities: readonly Visibility[],
  of: readonly (PersonaName | undefined)[],
) {
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

/** Everything that was answered otherwise than expected, in one message. */
function checkAll(
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
function told(body: unknown): string {
  return typeof body === 'object' ? ` ${JSON.stringify(body)}` : ''
}

describe('who may do what with images', () => {
  for (const endpoint of IMAGE_ENDPOINTS) {
    const { line, needs, status = 'queued', body, type, only } = endpoint
    it(`${line} of one that is ${status}: to ${needs}${told(body)}`, async () => {
      const visibilities = only === undefined ? VISIBILITIES : [only]
      const cases = await makeImages(status, visibilities, [...NAMES, undefined])
      const answers = await Promise.all(
        cases.map(async ({ visibility, persona, image }) => {
          const path = line
            .replace('{id}', image.id)
            .replace('{friend}', keystone.projectId('friend'))
          const answer = await ask({ line: path, as: persona, body, type })
          const expected =
            persona === undefined ? 401 : expectedOfImage(PERSONAS[persona], visibility, endpoint)
          return { what: `${persona ?? 'nobody'}, ${visibility} image`, expected, image, ...answer }
        }),
      )
      checkAll(answers)
      for (const { image, what } of answers.filter(({ expected }) =>
        [401, 403, 404].includes(expected),
      ))
        assert.deepEqual(await service.catalog.get(image.id), image, `${what}: nothing has changed`)
    })
  }
})

describe('who may do what else', () => {
  for (const { line, may, done, body } of ENDPOINTS)
    it(`${line}${told(body)}`, async () => {
      const answers = await Promise.all(
        [...NAMES, undefined].map(async (as) => {
          const expected = as === undefined ? 401 : may(PERSONAS[as]) ? done : 403
          return { what: as ?? 'nobody', expected, ...(await ask({ line, as, body })) }
        }),
      )
      checkAll(answers)
    })

  it('anybody sees versions, and whether the server is well', async () => {
    for (const [line, expected] of [
      ['GET /', 300],
      ['GET /versions', 200],
      ['GET /healthcheck', 200],
    ] as const)
      for (const as of [undefined, ...NAMES])
        assert.equal((await ask({ line, as })).status, expected, `${line} by ${as}`)
  })
})

describe('who may do what with builds', () => {
  for (const { line, may, done } of BUILD_ENDPOINTS)
    it(line, async () => {
      const answers = []
      for (const as of [...NAMES, undefined]) {
        const { id } = await service.factory.orderBase({
          requester: { owner: keystone.projectId('home'), userId: null, requestId: 'req-matrix' },
          template: { text: '<template/>' },
          parameters: {},
          unknownParameters: 'refuse',
          invalidTemplate: 'fail',
        })
        const who: Persona | undefined = as && PERSONAS[as]
        const sees = who && isReader(who) && (isAdmin(who) || who.project === 'home')
        const expected = who === undefined ? 401 : !sees ? 404 : may(who) ? done : 403
        const answer = await ask({ line: line.replace('{id}', id), as })
        answers.push({ what: as ?? 'nobody', expected, ...answer })
      }
      checkAll(answers)
    })
})

describe('who may do what with metadata definitions', () => {
  for (const visibility of ['public', 'private'] as const)
    it(`of a ${visibility} namespace`, async () => {
      const namespace = `of-home-${visibility}`
      const body = { namespace, visibility, owner: keystone.projectId('home') }
      const made = await ask({
        line: 'POST /v2/metadefs/namespaces',
        as: 'admin of a project',
        body,
      })
      assert.equal(made.status, 201, made.text)
      // One after the other: what an admin has made, others may see. Admins come last, so that nothing is gone before.
      const callers = [undefined, ...NAMES].toSorted((a, b) => rank(a) - rank(b))
      const answers = []
      for (const endpoint of NAMESPACE_ENDPOINTS)
        for (const as of callers) {
          const line = endpoint.line.replace('{ns}', `/v2/metadefs/namespaces/${namespace}`)
          const sent = endpoint.body === 'itself' ? body : endpoint.body
          const isPublic = visibility === 'public'
          const expected =
            as === undefined ? 401 : expectedOfNamespace(PERSONAS[as], isPublic, endpoint.changed)
          const what = `${as ?? 'nobody'}, ${endpoint.line}`
          answers.push({ what, expected, ...(await ask({ line, as, body: sent })) })
        }
      checkAll(answers)
    })
})

function rank(name: PersonaName | undefined): number {
  return name === 'admin of a project' ? 1 : 0
}

describe('a listing', () => {
  it('shows what is one’s own, public, or shared and accepted (to admins all), and of others’ community images only those that are asked for', async () => {
    const cases = await makeImages('active', VISIBILITIES, [undefined])
    const idOf = (visibility: Visibility) =>
      cases.find((one) => one.visibility === visibility)?.image.id
    const list = async (as: PersonaName, query: string) => {
      const { status, text } = await ask({ line: `GET /v2/images?limit=1000${query}`, as })
      assert.equal(status, 200, text)
      const { images } = JSON.parse(text) as { images: { id: string }[] }
      const ids = new Set(images.map(({ id }) => id))
      return VISIBILITIES.filter((visibility) => ids.has(idOf(visibility) ?? ''))
    }
    for (const name of NAMES.filter((one) => isReader(PERSONAS[one]))) {
      const who: Persona = PERSONAS[name]
      const shown = VISIBILITIES.filter((visibility) => {
        if (who.project === 'home' || visibility === 'public') return true
        if (isAdmin(who)) return visibility !== 'community'
        return visibility === 'shared' && who.project === 'friend'
      })
      assert.deepEqual(await list(name, ''), shown, name)
      assert.deepEqual(await list(name, '&visibility=community'), ['community'], name)
      const isTold = isAdmin(who) || who.project === 'home' || who.project === 'asked'
      const offered = isTold ? ['shared'] : []
      assert.deepEqual(await list(name, '&visibility=shared&member_status=pending'), offered, name)
    }
  })
})
