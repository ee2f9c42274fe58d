/**
 * Who may do what with everything but images, asked of the real server with a Keystone behind it: every endpoint, by every
 * kind of caller. What is expected is worked out here from a few sentences of the specification, not from the policy's rules.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  anybody,
  checkAll,
  isAdmin,
  isMember,
  isReader,
  isService,
  NAMES,
  openAccessScene,
  type Persona,
  type PersonaName,
  PERSONAS,
  told,
} from '../src/testing/access-scene.ts'

const { keystone, service, ask } = await openAccessScene()

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
