/**
 * Who may do what with images, asked of the real server with a Keystone behind it: every endpoint, by every kind of
 * caller, on every kind of image. What is expected is worked out here from a few sentences of the specification, not
 * from the policy's rules: who sees an image, and what it takes to do a thing with one.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ImageStatus, Visibility } from '../src/images/image.ts'
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
  VISIBILITIES,
} from '../src/testing/access-scene.ts'

const { keystone, service, ask, makeImages } = await openAccessScene()

// ---- The specification, in plain words ----

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
