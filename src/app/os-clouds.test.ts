import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { after, test } from 'node:test'
import { makeContext } from '../base/context.ts'
import { failsWith } from '../testing/fails-with.ts'
import { openFakeOpenStack } from '../testing/fake-openstack.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { openCloudByName } from './os-clouds.ts'

const at = await tempDir()
const fake = await openFakeOpenStack()
after(() => fake[Symbol.asyncDispose]())
const { cloud } = fake
assert.ok(cloud.auth === 'keystone')
const { authUrl } = cloud

test('a cloud is opened by the variables of today, and by those of old', async () => {
  const who = { OS_AUTH_URL: authUrl, OS_USERNAME: 'demo', OS_PASSWORD: 'not-shown' }
  for (const project of [{ OS_PROJECT_NAME: 'demo' }, { OS_TENANT_NAME: 'demo' }]) {
    await using opened = await openCloudByName(undefined, { ...who, ...project }, makeContext())
    assert.equal(await opened.projectId(), fake.state.project)
    assert.equal((await opened.compute.listFlavors()).length, 2)
  }
})

test('a cloud is opened by its name, with secrets from a file of their own', async () => {
  const auth = { auth_url: authUrl, username: 'demo', project_name: 'demo' }
  await writeFile(at('clouds.yaml'), JSON.stringify({ clouds: { small: { auth } } }))
  const secrets = { clouds: { small: { auth: { password: 'not-shown' } } } }
  await writeFile(at('secure.yaml'), JSON.stringify(secrets))
  const files = {
    OS_CLIENT_CONFIG_FILE: at('clouds.yaml'),
    OS_CLIENT_SECURE_FILE: at('secure.yaml'),
  }
  await using opened = await openCloudByName('small', files, makeContext())
  assert.equal(opened.name, 'cloud small')
  assert.equal((await opened.network.listNetworks()).length, 2)
  await assert.rejects(openCloudByName('large', files, makeContext()), failsWith('CONFIG_INVALID'))
  const gone = { ...files, OS_CLIENT_CONFIG_FILE: at('gone.yaml') }
  await assert.rejects(openCloudByName('small', gone, makeContext()), failsWith('FILE_NOT_FOUND'))
})
