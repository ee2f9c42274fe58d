/** `ingot image` against a cloud with Keystone. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { MiB } from '../src/base/units.ts'
import { openFakeKeystone } from '../src/testing/fake-keystone.ts'
import { imageCommand, plainShell, type ShownImage } from '../src/testing/image-command.ts'
import { startServer } from '../src/testing/serve.ts'
import { tempDir } from '../src/testing/temp-dir.ts'

const temp = await tempDir()
writeFileSync(temp('disk.raw'), randomBytes(MiB))
const plain = plainShell(temp(''))

describe('ingot image, against a cloud with Keystone', () => {
  const opened = new AsyncDisposableStack()
  after(() => opened.disposeAsync())
  let authUrl: string
  before(async () => {
    const keystone = opened.use(await openFakeKeystone())
    keystone.addUser({ name: 'ingot', password: 's', projects: { service: ['service'] } })
    keystone.addUser({ name: 'alice', password: 'secret', projects: { web: ['member'] } })
    authUrl = keystone.url
    const server = opened.use(
      await startServer(temp('keystone.yaml'), {
        data_dir: temp('cloud'),
        auth: {
          mode: 'keystone',
          keystone: { auth_url: authUrl, username: 'ingot', password: 's' },
        },
      }),
    )
    keystone.addService('image', server.url)
  })
  const variables = () => ({
    OS_AUTH_URL: authUrl,
    OS_USERNAME: 'alice',
    OS_PASSWORD: 'secret',
    OS_PROJECT_NAME: 'web',
    OS_USER_DOMAIN_NAME: 'Default',
    OS_PROJECT_DOMAIN_NAME: 'Default',
  })

  it('reads OS_… variables as OpenStack’s clients do', async () => {
    const image = imageCommand([], { ...plain, ...variables() })
    const made = await image.json('import', 'mine', '--file', temp('disk.raw'))
    assert.equal(made.status, 'active')
    await image.fails(1, /not authorized/, 'set', 'mine', '--visibility', 'public')
    const wrong = imageCommand([], { ...plain, ...variables(), OS_PASSWORD: 'wrong' })
    await wrong.fails(1, /authentication|denied|401/i, 'list')
  })

  it('reads clouds.yaml, and goes by --local past all of it', async () => {
    mkdirSync(temp('.config/openstack'), { recursive: true })
    const auth = { auth_url: authUrl, username: 'alice', password: 'secret', project_name: 'web' }
    const clouds = {
      mine: { auth: { ...auth, user_domain_name: 'Default', project_domain_name: 'Default' } },
    }
    writeFileSync(temp('.config/openstack/clouds.yaml'), JSON.stringify({ clouds }))
    const image = imageCommand(['--os-cloud', 'mine'], plain)
    assert.equal((await image.json<ShownImage[]>('list')).length, 1)
    await imageCommand(['--os-cloud', 'yours'], plain).fails(2, /yours/, 'list')
    const local = imageCommand(['--local', '--data-dir', temp('local')], {
      ...plain,
      OS_CLOUD: 'mine',
    })
    assert.deepEqual(await local.json('list'), [])
  })
})
