/**
 * The `openstack` command of Debian 12 (python-openstackclient 6.0) against `ingot serve`: every image command, with
 * every flag that has a meaning here, under each way of authentication. It has no commands for imports, stores,
 * tasks, the cache or metadata definitions: `glance` has (glance.test.ts). `--volume` and `--sign-key-path` need a
 * Cinder and a Barbican. Mistakes of its own: `image create --protected` sends a property `is_protected` that is
 * no text, which every Glance refuses; `image create --project` one that is called `owner_id`; `image set
 * --deactivate` does not look at the answer.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { openFakeKeystone } from '../../src/testing/fake-keystone.ts'
import { tempDir } from '../../src/testing/temp-dir.ts'
import { type Clients, noClients, openClients, type Person } from './_clients.ts'
import {
  bytes,
  type Ground,
  makeTokens,
  openGround,
  type OpenstackImage,
  PROJECTS,
} from './_ground.ts'

const temp = await tempDir()
const skip = await noClients()
const opened = new AsyncDisposableStack()
after(() => opened.disposeAsync())

interface People {
  readonly admin: Person
  readonly alice: Person
  readonly bob: Person
  /** Says for bob what he thinks of an image that is shared with him. */
  readonly answer: (id: string, status: 'accept' | 'reject' | 'pending') => Promise<unknown>
  /** Takes, for alice, an image from bob again. */
  readonly shareNoMore: (id: string) => Promise<unknown>
  /** Ids. */
  readonly projects: { readonly alice: string; readonly bob: string }
}

let clients: Clients
before(async () => {
  writeFileSync(temp('disk.raw'), bytes)
  if (!skip) clients = opened.use(await openClients(temp('')))
})

describe('openstack, without authentication', { skip }, () => {
  let ground: Ground
  let person: Person
  before(async () => {
    ground = opened.use(await openGround(temp('none')))
    person = clients.as({ OS_AUTH_TYPE: 'none', OS_ENDPOINT: ground.url })
  })
  const create = async (words: string) => await person.json<OpenstackImage>(`image create ${words}`)

  it('creates an image with each flag, and shows all of it', async () => {
    const id = randomUUID()
    const flags = '--container-format ovf --disk-format vmdk --min-disk 7 --min-ram 512 --community'
    await create(
      `${flags} --id ${id} --property os_distro=debian --property 'note=two words' --tag a --tag b every`,
    )
    const image = await person.json<OpenstackImage>(`image show ${id}`)
    const { name, status, visibility, disk_format: disk, container_format: container } = image
    assert.deepEqual(
      { name, status, visibility, disk, container },
      { name: 'every', status: 'queued', visibility: 'community', disk: 'vmdk', container: 'ovf' },
    )
    assert.equal(image.min_disk, 7)
    assert.equal(image.min_ram, 512)
    assert.deepEqual(image.tags.toSorted(), ['a', 'b'])
    assert.equal(image.properties['os_distro'], 'debian')
    assert.equal(image.properties['note'], 'two words')
    await person.fails('openstack', `image create --id ${id} again`, /409|already/i)
    await person.ok('openstack', `image set --protected ${id}`)
    await person.fails('openstack', `image delete ${id}`, /protected/i)
    await person.ok('openstack', `image set --unprotected ${id}`)
    await person.ok('openstack', `image delete ${id}`)
    await person.fails('openstack', `image show ${id}`, /No Image found|Could not find|not found/i)
  })

  it('uploads a file, and standard input, and saves the very bytes', async () => {
    const fromFile = await create(`--file ${temp('disk.raw')} file`)
    const fromStdin = await create('stdin').catch(() => undefined)
    assert.equal(fromStdin?.status, 'queued', 'at a terminal no data is given')
    const piped = JSON.parse(
      await person.ok('openstack', 'image create -f json piped', {
        stdin: temp('disk.raw'),
      }),
    ) as OpenstackImage
    for (const { id } of [fromFile, piped]) {
      const image = await person.json<OpenstackImage>(`image show ${id}`)
      assert.equal(image.status, 'active')
      assert.equal(image.size, bytes.length)
      await person.ok('openstack', `image save --file ${temp('saved')} ${id}`)
      assert.deepEqual(readFileSync(temp('saved')), bytes)
    }
    const { stdout } = await person.run('openstack', ['image', 'save', fromFile.id])
    assert.deepEqual(stdout, bytes)
  })

  it('shows progress of an upload', async () => {
    await person.ok('openstack', `image create --progress --file ${temp('disk.raw')} progress`)
  })

  it('stages and imports with --import', async () => {
    const { id } = await create(`--import --file ${temp('disk.raw')} imported`)
    const image = await person.json<OpenstackImage>(`image show ${id}`)
    assert.match(image.status, /importing|active/)
  })

  it('names the store of an image', async () => {
    const { id } = await create(`--file ${temp('disk.raw')} stored`)
    assert.equal(
      (await person.json<OpenstackImage>(`image show ${id}`)).properties['stores'],
      'fast',
    )
  })

  it('lists by every filter, sorted, page by page', async () => {
    const mark = 'lister'
    for (const [name, words] of [
      ['c', '--public --tag red --property kind=odd'],
      ['a', '--private --tag red --tag blue'],
      ['b', '--shared --property kind=odd'],
      ['d', '--community'],
    ])
      await create(`${words} --property mark=${mark} l-${name}`)
    const names = async (words: string) => {
      const rows = await person.json<{ Name: string }[]>(
        `image list --property mark=${mark} ${words}`,
      )
      return rows.map((row) => row.Name)
    }
    assert.deepEqual(await names('--sort name:asc'), ['l-a', 'l-b', 'l-c', 'l-d'])
    assert.deepEqual(await names('--sort name:desc'), ['l-d', 'l-c', 'l-b', 'l-a'])
    assert.deepEqual(await names('--sort status:asc,name:desc'), ['l-d', 'l-c', 'l-b', 'l-a'])
    assert.deepEqual(await names('--public'), ['l-c'])
    assert.deepEqual(await names('--private'), ['l-a'])
    assert.deepEqual(await names('--shared'), ['l-b'])
    assert.deepEqual(await names('--community'), ['l-d'])
    assert.deepEqual(await names('--all --sort name'), ['l-a', 'l-b', 'l-c', 'l-d'])
    assert.deepEqual(await names('--tag red --sort name'), ['l-a', 'l-c'])
    assert.deepEqual(await names('--tag red --tag blue'), ['l-a'])
    assert.deepEqual(await names('--property kind=odd --sort name'), ['l-b', 'l-c'])
    assert.deepEqual(await names('--name l-b'), ['l-b'])
    assert.deepEqual(await names('--status active'), [])
    assert.deepEqual((await names('--status queued')).length, 4)
    assert.deepEqual(await names('--hidden'), [])
    // The client sorts by itself: of what the server gives, the newest first.
    assert.deepEqual(await names('--limit 2 --sort name'), ['l-b', 'l-d'])
    const { id } = await person.json<OpenstackImage>('image show l-b')
    assert.deepEqual(await names(`--sort name --marker ${id}`), ['l-a', 'l-c'])
    const long = await person.json<Record<string, unknown>[]>(`image list --long --name l-c`)
    assert.equal(long[0]?.['Visibility'], 'public')
    await person.fails('openstack', 'image list --limit -1', /invalid|400|limit/i)
    await person.fails('openstack', 'image list --sort nonsense:asc', /nonsense/)
  })

  it('lists all of more images than a page holds', async () => {
    for (let n = 0; n < 30; n++) await create(`--tag many many-${n}`)
    const rows = await person.json<object[]>('image list --tag many')
    assert.equal(rows.length, 30)
    assert.equal((await person.json<object[]>('image list --tag many --limit 7')).length, 7)
  })

  it('sets, and unsets, what an image has', async () => {
    await create('before')
    const flags =
      '--name afterwards --min-disk 3 --min-ram 64 --container-format ova --disk-format vmdk --protected --community'
    const wellKnown =
      `--architecture x86_64 --os-distro debian --os-version 13 --instance-id ${randomUUID()}` +
      ` --kernel-id ${randomUUID()} --ramdisk-id ${randomUUID()}`
    await person.ok(
      'openstack',
      `image set ${flags} ${wellKnown} --property a=1 --property b/c~d=2 --tag x --tag y before`,
    )
    const image = await person.json<OpenstackImage>('image show afterwards')
    assert.deepEqual(
      [image.min_disk, image.min_ram, image.container_format, image.disk_format, image.visibility],
      [3, 64, 'ova', 'vmdk', 'community'],
    )
    const { properties } = image
    assert.deepEqual(
      [properties['a'], properties['b/c~d'], properties['architecture'], properties['os_version']],
      ['1', '2', 'x86_64', '13'],
    )
    assert.deepEqual(image.tags.toSorted(), ['x', 'y'])
    await person.ok('openstack', `image set --property a=3 ${image.id}`)
    await person.ok('openstack', `image unset --tag x --property a ${image.id}`)
    const less = await person.json<OpenstackImage>(`image show ${image.id}`)
    assert.deepEqual(less.tags, ['y'])
    assert.equal('a' in less.properties, false)
    await person.ok('openstack', `image set --unprotected --shared ${image.id}`)
    await person.ok('openstack', `image set --public ${image.id}`)
    await person.ok('openstack', `image set --private ${image.id}`)
    await person.fails('openstack', `image unset --property never ${image.id}`, /never|unset/i)
    await person.fails(
      'openstack',
      `image set --property os_glance_x=1 ${image.id}`,
      /403|Forbidden|reserved/i,
    )
    await person.fails(
      'openstack',
      `image set --min-disk -1 ${image.id}`,
      /400|min_disk|less than/i,
    )
  })

  it('hides an image, and shows it again', async () => {
    const { id } = await create('hidden')
    await person.ok('openstack', `image set --hidden ${id}`)
    const ids = async (words: string) =>
      (await person.json<{ ID: string }[]>(`image list ${words}`)).map((row) => row.ID)
    assert.deepEqual(await ids('--hidden'), [id])
    assert.equal((await ids('')).includes(id), false)
    await person.ok('openstack', `image set --unhidden ${id}`)
    assert.deepEqual(await ids('--hidden'), [])
  })

  it('deactivates an image, and activates it', async () => {
    const { id } = await create(`--file ${temp('disk.raw')} switched`)
    await person.ok('openstack', `image set --deactivate ${id}`)
    assert.equal((await person.json<OpenstackImage>(`image show ${id}`)).status, 'deactivated')
    await person.ok('openstack', `image set --activate ${id}`)
    assert.equal((await person.json<OpenstackImage>(`image show ${id}`)).status, 'active')
  })

  it('deletes several images by their names, and says which are not there', async () => {
    await create('gone-1')
    await create('gone-2')
    await person.ok('openstack', 'image delete gone-1 gone-2')
    await person.fails('openstack', 'image delete gone-1', /gone-1/)
    await create('twin')
    await create('twin')
    await person.fails('openstack', 'image show twin', /More than one/)
  })

  it('says what is wrong with data', async () => {
    writeFileSync(temp('not.qcow2'), 'QFI\xfb and no more of it')
    const words = `image create --disk-format qcow2 --file ${temp('disk.raw')} wrong`
    await person.fails('openstack', words, /415|qcow2|format/i)
  })
})

/** What takes two projects. */
function trySharing(people: () => People): void {
  it('shares an image with a project, which accepts, rejects and leaves it', async () => {
    const { alice, bob, answer, projects } = people()
    const { id } = await alice.json<OpenstackImage>('image create --shared with-bob')
    await bob.fails('openstack', `image show ${id}`, /No Image found|Could not find|not found/i)
    await alice.ok('openstack', `image add project ${id} ${projects.bob}`)
    await alice.fails(
      'openstack',
      `image add project ${id} ${projects.bob}`,
      /409|already|duplicate/i,
    )
    const statuses = async () => {
      const rows = await alice.json<Record<string, string>[]>(`image member list ${id}`)
      return rows.map((row) => [row['Member ID'], row['Status']])
    }
    assert.deepEqual(await statuses(), [[projects.bob, 'pending']])
    const seen = async (words = '') =>
      (await bob.json<{ ID: string }[]>(`image list ${words}`)).some((row) => row.ID === id)
    assert.equal(await seen(), false)
    assert.equal(await seen('--shared --member-status pending'), true)
    await answer(id, 'accept')
    assert.deepEqual(await statuses(), [[projects.bob, 'accepted']])
    assert.equal(await seen(), true)
    await answer(id, 'reject')
    assert.equal(await seen(), false)
    assert.equal(await seen('--shared --member-status rejected'), true)
    await answer(id, 'pending')
    await bob.fails('openstack', `image set --name mine ${id}`, /403|Forbidden|not permitted/i)
    await bob.fails(
      'openstack',
      `image delete ${id}`,
      /403|Forbidden|not permitted|Failed to delete/i,
    )
    await people().shareNoMore(id)
    assert.deepEqual(await statuses(), [])
  })

  it('keeps what is one project’s from the other', async () => {
    const { admin, alice, bob, projects } = people()
    const { id } = await alice.json<OpenstackImage>('image create --private only-mine')
    await bob.fails('openstack', `image show ${id}`, /No Image found|Could not find|not found/i)
    await bob.fails(
      'openstack',
      `image set --name mine ${id}`,
      /No Image found|Could not find|not found/i,
    )
    await bob.fails(
      'openstack',
      `image delete ${id}`,
      /not found|No Image|Failed to delete|Could not find/i,
    )
    await alice.fails('openstack', `image set --public ${id}`, /403|Forbidden|not permitted/i)
    assert.equal((await admin.json<OpenstackImage>(`image show ${id}`)).owner, projects.alice)
    await alice.ok('openstack', `image set --community ${id}`)
    assert.equal((await bob.json<OpenstackImage>(`image show ${id}`)).visibility, 'community')
    const rows = await bob.json<{ ID: string }[]>('image list')
    assert.equal(
      rows.some((row) => row.ID === id),
      false,
      'the community’s are in no list',
    )
  })

  it('refuses, without a reset, data beyond the quota', async () => {
    const { bob } = people()
    const words = `image create --file ${temp('disk.raw')} large`
    await bob.fails('openstack', words, /413|quota|too large|limit/i)
  })
}

const quotas = (project: string) => ({
  default: {},
  projects: { [project]: { image_size_total: 1 } },
})

describe('openstack, with tokens of a file', { skip }, () => {
  let people: People
  let stranger: Person
  before(async () => {
    const { admin, alice, bob } = makeTokens(temp('tokens.yaml'))
    const { url } = opened.use(
      await openGround(temp('token'), {
        auth: { mode: 'token', tokens_file: temp('tokens.yaml') },
        quotas: quotas(PROJECTS.bob),
      }),
    )
    const as = (token: string) =>
      clients.as({ OS_AUTH_TYPE: 'admin_token', OS_ENDPOINT: `${url}/v2`, OS_TOKEN: token })
    // What openstack asks Keystone about first, glance does without.
    const glance = (token: string, words: string) =>
      clients.as({ OS_IMAGE_URL: url, OS_AUTH_TOKEN: token }).ok('glance', words)
    people = {
      admin: as(admin),
      alice: as(alice),
      bob: as(bob),
      answer: (id, status) => {
        const wire = status === 'pending' ? status : `${status}ed`
        return glance(bob, `member-update ${id} ${PROJECTS.bob} ${wire}`)
      },
      shareNoMore: (id) => glance(alice, `member-delete ${id} ${PROJECTS.bob}`),
      projects: PROJECTS,
    }
    stranger = as('of-nobody')
  })
  trySharing(() => people)

  it('asks who one is', async () => {
    await stranger.fails('openstack', 'image list', /401|Unauthorized|requires authentication/i)
  })
})

describe('openstack, with Keystone', { skip }, () => {
  let people: People
  before(async () => {
    const keystone = opened.use(await openFakeKeystone())
    const user = (name: string, role: string) =>
      keystone.addUser({ name, password: 'secret', projects: { [`of-${name}`]: [role] } })
    user('ingot', 'service')
    user('admin', 'admin')
    user('alice', 'member')
    user('bob', 'member')
    const projects = { alice: keystone.projectId('of-alice'), bob: keystone.projectId('of-bob') }
    const service = {
      auth_url: keystone.url,
      username: 'ingot',
      password: 'secret',
      project_name: 'of-ingot',
    }
    const { url } = opened.use(
      await openGround(temp('keystone'), {
        auth: { mode: 'keystone', keystone: service },
        quotas: quotas(projects.bob),
      }),
    )
    keystone.addService('image', url)
    keystone.addService('identity', keystone.url)
    const as = (name: string) =>
      clients.as({
        OS_AUTH_URL: keystone.url,
        OS_USERNAME: name,
        OS_PASSWORD: 'secret',
        OS_PROJECT_NAME: `of-${name}`,
        OS_USER_DOMAIN_NAME: 'Default',
        OS_PROJECT_DOMAIN_NAME: 'Default',
        OS_IDENTITY_API_VERSION: '3',
      })
    const [admin, alice, bob] = [as('admin'), as('alice'), as('bob')]
    people = {
      admin,
      alice,
      bob,
      projects,
      answer: (id, status) => bob.ok('openstack', `image set --${status} ${id}`),
      shareNoMore: (id) => alice.ok('openstack', `image remove project ${id} ${projects.bob}`),
    }
  })
  trySharing(() => people)

  it('gives an image to another project, and lists by project, for an administrator', async () => {
    const { admin, alice, bob, projects } = people
    const { id } = await admin.json<OpenstackImage>('image create given')
    await admin.ok('openstack', `image set --project ${projects.bob} ${id}`)
    assert.equal((await bob.json<OpenstackImage>(`image show ${id}`)).owner, projects.bob)
    const rows = await admin.json<{ ID: string }[]>(`image list --project ${projects.bob}`)
    assert.ok(rows.some((row) => row.ID === id))
    const own = await alice.json<OpenstackImage>('image create own')
    const words = `image set --project ${projects.bob} ${own.id}`
    await alice.fails('openstack', words, /403|Forbidden|not permitted/i)
  })

  it('lets nobody in with a wrong password', async () => {
    const env = { OS_PASSWORD: 'wrong' }
    await people.alice.fails('openstack', 'image list', /401/, { env })
  })
})
